"""A configuration on its way from process to process: whoever has read it once has it, and has what follows from it.

Every peer's actor is sent the configuration. Where each is a process, reading it anew would be a millisecond of checks
and a quarter of a megabyte for each peer; a process forked from one that has read it finds it there.
"""

from __future__ import annotations

import pickle
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.config.schema import NodeConfig

_known: dict[bytes, weakref.ref[NodeConfig]] = {}


def packed(reduced: str | tuple[Any, ...]) -> bytes:
    """The two parts by which pickle would make a configuration again, as one key. Raises what pickling raises."""
    return pickle.dumps(reduced, pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> NodeConfig:
    """The configuration; the same object for the same content, as long as somebody has it. Comes from our processes."""
    reference = _known.get(content)
    found = reference() if reference is not None else None
    if found is not None:
        return found
    rebuild, arguments = pickle.loads(content)
    made: NodeConfig = rebuild(*arguments)
    _known[content] = weakref.ref(made, lambda _: _known.pop(content, None))
    return made
