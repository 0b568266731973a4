"""Actor code loaded at run time from zip archives, as Thespian defines it.

Nothing is loaded unless an actor has registered as Source Authority and has answered the ValidateSource message with
a ValidatedSource. Loading takes place behind the caller's back: the hash is returned at once, the code can be used
when the authority has spoken. Unloading takes the modules out of this process, also from under actors that run.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from typing import TYPE_CHECKING, Any

from thespian.actors import (  # type: ignore[import-untyped, unused-ignore]
    ActorAddress,
    LoadedSource,
    UnloadedSource,
    ValidatedSource,
    ValidateSource,
)
from thespian.system.sourceLoader import (  # type: ignore[import-untyped, unused-ignore]
    SourceHashFinder,
    loadModuleFromHashSource,
)

if TYPE_CHECKING:
    from actors.bases.cell import ActorCell
    from actors.bases.delivery import Delivery

log = logging.getLogger(__name__)


class SourceLibrary:
    """The archives of one actor system. For the loop's thread only, except :meth:`read`."""

    def __init__(self, host: Delivery) -> None:
        self._host = host
        self.authority: ActorCell | None = None
        self._listeners: list[ActorCell] = []
        self._archives: dict[str, bytes] = {}
        self._infos: dict[str, Any] = {}
        self._pending: dict[str, Any] = {}

    @staticmethod
    def read(file_or_name: Any) -> tuple[bytes, str]:
        """Return (contents, name) of a path or an open binary file. Raises OSError as ``open`` does."""
        if hasattr(file_or_name, "read"):
            with file_or_name as file:
                return file.read(), str(getattr(file_or_name, "name", file_or_name))
        with open(file_or_name, "rb") as file:
            return file.read(), str(file_or_name)

    @staticmethod
    def hash_of(data: bytes) -> str:
        """MD5, as all Thespian bases name a source; authenticity is the authority's business, not the hash's."""
        return hashlib.md5(data, usedforsecurity=False).hexdigest()

    def load(self, data: bytes, info: str) -> str:
        """Ask the authority about an archive; return its hash."""
        source_hash = self.hash_of(data)
        if self.authority is None:
            log.warning("source %s (%s) is not loaded: there is no source authority", source_hash, info)
        elif source_hash not in self._archives:
            self._pending[source_hash] = info
            self._host.enqueue(self.authority, ValidateSource(source_hash, data, info), self._host.root.address)
        return source_hash

    def validated(self, message: ValidatedSource, sender: ActorAddress) -> None:
        """The system was told that a source is valid (or, without an archive in the message, that it is not)."""
        source_hash = message.sourceHash
        if self.authority is None or sender != self.authority.address:
            log.warning("source %s validated by %s, who is not the source authority: ignored", source_hash, sender)
            return
        if source_hash not in self._pending:
            log.warning("source %s validated, which nobody asked to load: ignored", source_hash)
            return
        info = self._pending.pop(source_hash)
        if not message.sourceZip:
            log.warning("source %s (%s) rejected by the source authority", source_hash, info)
            return
        try:
            names = SourceHashFinder(source_hash, lambda data: data, message.sourceZip).getZipNames()
        except Exception as error:
            log.error("source %s (%s) is no usable archive: %s", source_hash, info, error)
            return
        log.info("source %s (%s) loaded: %d files", source_hash, info, len(names))
        self._archives[source_hash] = message.sourceZip
        self._infos[source_hash] = getattr(message, "sourceInfo", None) or info
        for cell in self._listeners:
            self._announce(cell, source_hash)

    def _announce(self, cell: ActorCell, source_hash: str) -> None:
        self._host.enqueue(cell, LoadedSource(source_hash, self._infos[source_hash]), self._host.root.address)

    def unload(self, source_hash: str) -> None:
        """Forget a source and drop its modules from the process; an unknown hash is ignored."""
        self._pending.pop(source_hash, None)
        if self._archives.pop(source_hash, None) is not None:
            info = self._infos.pop(source_hash)
            for cell in self._listeners:
                self._host.enqueue(cell, UnloadedSource(source_hash, info), self._host.root.address)
        for finder in [finder for finder in sys.meta_path if getattr(finder, "srcHash", None) == source_hash]:
            root = finder.hashRoot()  # type: ignore[attr-defined]
            for name in [name for name in sys.modules if name.startswith(root)]:
                del sys.modules[name]
            sys.meta_path.remove(finder)

    def unload_all(self) -> None:
        for source_hash in list(self._archives):
            self.unload(source_hash)

    def find_class(self, source_hash: str, module: str, name: str) -> Any:
        """Return a class of a loaded source. Raises InvalidActorSourceHash, ImportError, AttributeError."""
        return loadModuleFromHashSource(source_hash, self._archives, module, name)

    def notify(self, cell: ActorCell, enable: bool) -> None:
        """Start (with what is loaded already) or stop telling ``cell`` about sources."""
        self._listeners = [listener for listener in self._listeners if listener is not cell]
        if enable:
            self._listeners.append(cell)
            for source_hash in self._archives:
                self._announce(cell, source_hash)

    def forget(self, cell: ActorCell) -> None:
        """``cell`` exited."""
        if cell in self._listeners:
            self.notify(cell, False)
        if self.authority is cell:
            self.authority = None

    def infos(self) -> list[tuple[str, str]]:
        return [(source_hash, str(info)) for source_hash, info in self._infos.items()]
