"""Birth and death of actors, the system itself, and its capabilities."""

from __future__ import annotations

import functools
import inspect
import itertools
import logging
import math
import pickle
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from thespian.actors import (  # type: ignore[import-untyped, unused-ignore]
    ActorAddress,
    ActorExitRequest,
    ActorSystemException,
    ActorSystemFailure,
    ChildActorExited,
    InvalidActorSpecification,
    NoCompatibleSystemForActor,
    Thespian_StatusReq,
    Thespian_SystemStatus,
    ValidatedSource,
    WakeupMessage,
)
from thespian.system.timing import timePeriodSeconds  # type: ignore[import-untyped, unused-ignore]
from thespian.system.utilis import (  # type: ignore[import-untyped, unused-ignore]
    actualActorClass,
    checkActorCapabilities,
    withPossibleInitArgs,
)

from actors.bases.cell import HOSTS, ActorCell, Cell, StrictActorCell
from actors.bases.delivery import Delivery
from actors.bases.sources import SourceLibrary
from core.empty import NO_ITEMS

if TYPE_CHECKING:
    from actors.bases.environment import Environment

log = logging.getLogger(__name__)

FORCED_STOP_S = 5.0
"""Actors that have not exited this long after the system was asked to stop are dropped."""

_system_numbers = itertools.count(1)


@functools.lru_cache(maxsize=256)
def takes_no_arguments(actor_class: type) -> bool:
    """Whether ``__init__`` wants nothing of what Thespian offers. Asked once for each class, for inspecting a signature
    takes longer than making an actor."""
    try:
        parameters = inspect.signature(actor_class.__init__).parameters  # type: ignore[misc]
    except (ValueError, NameError, AttributeError):
        return False
    return not {"capabilities", "requirements"} & set(parameters)


class RootCell(Cell):
    """The actor system as an address: parent of the primary actors, of globally named ones and of orphans."""

    __slots__ = ("children", "created_count")

    host: ActorHost
    created_count: int

    def __init__(self, host: ActorHost) -> None:
        super().__init__(host)
        self.children: dict[str, ActorCell] = {}
        """By the text of their addresses."""
        self.created_count = 0

    @property
    def text(self) -> str:
        return self.host.name

    def adopt(self, child: ActorCell) -> None:
        """``child`` is one of its children from now on."""
        self.children[child.text] = child

    def drain(self, limit: int) -> int:
        count = min(limit, len(self.inbox))
        for _ in range(count):
            message, sender = self.inbox.popleft()
            if isinstance(message, ChildActorExited):
                self.children.pop(message.childAddress.actorAddressString, None)
            elif isinstance(message, ValidatedSource):
                self.host.sources.validated(message, sender)
            elif isinstance(message, Thespian_StatusReq):
                self.host.send_from_root(sender, self.host.system_status())
            else:
                log.debug("the actor system ignores a %s from %s", type(message).__name__, sender)
        return count


class ActorHost(Delivery):
    """The population of one in-process actor system."""

    root: RootCell

    make_inbox: Callable[[], Any] = deque
    """Makes a mailbox: a deque, or something with its ``append`` and ``popleft``."""

    def __init__(self, environment: Environment, capabilities: dict[str, Any], *, strict: bool) -> None:
        super().__init__(environment)
        self.strict = strict
        self.capabilities = capabilities
        self.name = self._make_name()
        self._table: dict[str, ActorCell] = {}
        self.names: dict[str, ActorCell] = {}
        self.root = RootCell(self)
        self.sources = SourceLibrary(self)
        self.stopping = False
        self._stop_deadline = math.inf
        self._cell_class: type[ActorCell] = StrictActorCell if strict else ActorCell
        HOSTS[self.name] = self

    def _make_name(self) -> str:
        """Return the first part of every address; unique among the running systems of the process."""
        return f"in{next(_system_numbers)}"

    def find(self, text: str) -> Cell | None:
        """The mailbox of an address."""
        return self.root if text == self.name else self._actor_at(text)

    # The table of actors, which not every system keeps.

    @property
    def cells(self) -> Mapping[Any, ActorCell]:
        """All actors that live, by the texts of their addresses or what the system has instead."""
        return self._table

    def _actor_at(self, text: str) -> ActorCell | None:
        return self._table.get(text)

    def _enter(self, cell: ActorCell) -> None:
        self._table[cell.text] = cell

    def _strike(self, cell: ActorCell) -> None:
        self._table.pop(cell.text, None)

    @staticmethod
    def isolate(message: Any) -> Any:
        """Return ``message`` as another process would get it. Raises pickle.PicklingError if it would not."""
        try:
            return pickle.loads(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
        except Exception as error:
            raise pickle.PicklingError(f"a {type(message).__name__} cannot go to another process: {error}") from error

    def send_from_root(self, to: ActorAddress, message: Any) -> None:
        cell = getattr(to, "cell", None)
        if cell is None:
            self.dead_letter(to, message)
        else:
            cell.host.post(cell, message, self.root.address)

    # Birth.

    def create_primary(self, spec: Any, requirements: Any, global_name: str | None, source_hash: str | None) -> Any:
        """Create an actor for a caller outside; return its address.

        Raises ImportError, InvalidActorSpecification (no such class, not importable in strict mode, or its
        ``__init__`` raised), InvalidActorSourceHash, NoCompatibleSystemForActor, ActorSystemFailure (stopping).
        """
        if global_name and global_name in self.names:
            return self.names[global_name].address
        if self.stopping:
            raise ActorSystemFailure("the actor system is shutting down: no new actors")
        cell = self._conceive(self.root, spec, requirements, source_hash)
        self._animate(cell, spec)
        self._settle(cell, global_name)
        return cell.address

    def create_child(
        self, creator: ActorCell, spec: Any, requirements: Any, global_name: str | None, source_hash: str | None
    ) -> Any:
        """Create an actor for another actor; return its address, come what may.

        A creator hears of failure as it would between processes: by ChildActorExited. One that is exiting itself gets
        the address of nobody. A globally named actor belongs to the system and outlives its creator.
        """
        if global_name and global_name in self.names:
            return self.names[global_name].address
        parent = self.root if global_name else creator
        cell = self._conceive(parent, spec, requirements, source_hash or creator.origin.source_hash)
        if self.stopping or creator.instance is None:
            log.debug("%s is exiting and cannot create %s", creator.address, cell.address)
            return cell.address
        if global_name:
            cell.origin = cell.origin._replace(nanny=creator)
        try:
            self._animate(cell, spec)
        except (Exception, SystemExit) as error:
            log.error("%s could not create %s: %s", creator.address, spec, error, exc_info=True)
            creator.adopt(cell)
            self.enqueue(creator, ChildActorExited(cell.address), cell.address)
        else:
            self._settle(cell, global_name)
        return cell.address

    def _conceive(
        self, parent: ActorCell | RootCell, spec: Any, requirements: Any, source_hash: str | None
    ) -> ActorCell:
        class_name = getattr(spec, "__name__", None) or str(spec).rpartition(".")[2]
        return self._cell_class(self, class_name, parent, requirements, source_hash)

    def _animate(self, cell: ActorCell, spec: Any) -> None:
        actor_class = cell.actor_class = self._resolve(spec, cell.origin.source_hash)
        if hasattr(actor_class, "actorSystemCapabilityCheck") and not checkActorCapabilities(
            actor_class, self.capabilities, cell.origin.requirements
        ):
            raise NoCompatibleSystemForActor(actor_class, "No compatible ActorSystem could be found")
        try:
            if takes_no_arguments(actor_class):
                instance = actor_class()
            else:
                offered = withPossibleInitArgs(
                    capabilities=dict(self.capabilities), requirements=cell.origin.requirements
                )
                instance = offered.create(actor_class)
        except ActorSystemException:
            raise
        except (Exception, SystemExit) as error:
            raise InvalidActorSpecification(spec, f"{type(error).__name__} in __init__: {error}") from error
        instance._myRef = cell
        cell.instance = instance

    def _resolve(self, spec: Any, source_hash: str | None) -> Any:
        actor_class = spec
        if not isinstance(spec, type):  # a class is itself: to have that found out takes 2 us
            loader = functools.partial(self.sources.find_class, source_hash) if source_hash else None
            try:
                actor_class = actualActorClass(spec, loader)
            except AttributeError as error:
                raise InvalidActorSpecification(spec, str(error)) from error
        if not isinstance(actor_class, type) or not callable(getattr(actor_class, "receiveMessage", None)):
            raise InvalidActorSpecification(spec, "expected an actor class")
        if self.strict:
            module = sys.modules.get(actor_class.__module__)
            if getattr(module, actor_class.__name__, None) is not actor_class:
                raise InvalidActorSpecification(spec, "expected a class at the top level of an importable module")
        return actor_class

    def _settle(self, cell: ActorCell, global_name: str | None) -> None:
        parent: Any = cell.parent
        parent.adopt(cell)
        self._enter(cell)
        if global_name:
            cell.origin = cell.origin._replace(global_name=global_name)
            self.names[global_name] = cell

    def wake_later(self, cell: ActorCell, period: Any, payload: Any) -> None:
        """Schedule a WakeupMessage. ``period``: seconds or a timedelta. Raises TypeError, ValueError for anything else.

        In strict mode the payload must survive pickling, as Thespian demands; PicklingError otherwise.
        """
        delay_s = float(timePeriodSeconds(period))
        if math.isnan(delay_s):
            raise ValueError("expected a delay in seconds, got NaN")
        if self.strict:
            payload = self.isolate(payload)
        if not cell.is_dead:
            kept = period if payload is None else WakeupMessage(period, payload)
            self.timers.add(self._now() + max(delay_s, 0.0), cell, kept)

    # Death.

    def leave(self, cell: ActorCell, recursive: bool) -> None:
        if recursive and cell.children:
            cell.leaving, cell.instance = cell.instance, None
            self._release(cell)
            for child in cell.children:
                self._ask_to_exit(child)
        else:
            self.bury(cell)

    def bury(self, cell: ActorCell, *, crashed: bool = False) -> None:
        cell.instance = cell.leaving = None
        self._release(cell)
        self.timers.forget(cell)
        self._strike(cell)
        for child in cell.children:
            if not child.is_dead:
                child.origin = child.origin._replace(text=child.text)
                child.parent = self.root
                self.root.adopt(child)
                if crashed or self.stopping:
                    self._ask_to_exit(child)
        cell.children = NO_ITEMS
        for relative in (cell.parent, cell.origin.nanny):
            if isinstance(relative, RootCell) or (isinstance(relative, ActorCell) and not relative.is_dead):
                self.enqueue(relative, ChildActorExited(cell.address), cell.address)
        cell.forget_address()
        if cell.inbox and not cell.scheduled:
            cell.scheduled = True
            self.ready.append(cell)

    def _ask_to_exit(self, cell: ActorCell) -> None:
        if not cell.is_dead:
            self.enqueue(cell, ActorExitRequest(recursive=True), self.root.address)

    def _release(self, cell: ActorCell) -> None:
        """Take from ``cell`` what only a living actor holds."""
        self.descriptors.release(cell)
        self.ready_events.pop(cell, None)
        self.sources.forget(cell)
        if self.dead_letter_box is cell:
            self.dead_letter_box = None
        if cell.globalName and self.names.get(cell.globalName) is cell:
            del self.names[cell.globalName]

    def begin_stop(self) -> None:
        """Ask every actor to exit; the system ends when all have, or by force after :data:`FORCED_STOP_S`."""
        if self.stopping:
            return
        self.stopping = True
        self._stop_deadline = self._now() + FORCED_STOP_S
        for cell in self.root.children.values():
            self._ask_to_exit(cell)

    def next_due(self) -> float | None:
        due = self.timers.next_due
        return due if not self.stopping else min(self._stop_deadline, math.inf if due is None else due)

    def _stop_finished(self) -> bool:
        """Whether the actors have gone; once the time is up, make it so."""
        if self.root.children and self._now() >= self._stop_deadline:
            left = sorted(cell.text for cell in self.cells.values())
            log.error("actors that did not exit are dropped: %s", ", ".join(left))
            for cell in list(self.cells.values()):
                cell.instance = cell.leaving = None
                self._release(cell)
            self._table.clear()
            self.root.children.clear()
        return not self.root.children

    # The system.

    def change_capability(self, name: str, value: Any) -> None:
        """Set a capability, or with None remove it; actors whose check now refuses this system are asked to exit."""
        if value is None:
            changed = self.capabilities.pop(name, None) is not None
        else:
            changed = name not in self.capabilities or self.capabilities[name] != value
            self.capabilities[name] = value
        if not changed:
            return
        for cell in list(self.cells.values()):
            if not checkActorCapabilities(cell.actor_class, self.capabilities, cell.origin.requirements):
                self._ask_to_exit(cell)

    def system_status(self) -> Thespian_SystemStatus:
        status = Thespian_SystemStatus(self.root.address, None, dict(self.capabilities), self.stopping)
        for cell in self.root.children.values():
            status.addChild(cell.address)
        for name, cell in self.names.items():
            status.addGlobalActor(name, cell.address)
        if self.dead_letter_box is not None:
            status.setDeadLetterHandler(self.dead_letter_box.address)
        if self.sources.authority is not None:
            status.sourceAuthority = self.sources.authority.address
        status.loadedSources = self.sources.infos()
        status.addKeyVal("Loop turns", self.loop_turns)
        return status

    @staticmethod
    def log_unsupported(cell: ActorCell, operation: str) -> None:
        log.warning("%s asked for %s: an in-process system has no conventions", cell.address, operation)
