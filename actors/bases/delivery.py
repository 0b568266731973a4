"""What happens to a message beyond the plain call of ``receiveMessage``: failures, system messages, dead letters.

Where Thespian's bases differ, this one does what the multi-process bases do, for actors that work under the weaker
promise work everywhere:

* A handler that raises is called once more, at once, with a deep copy of the message (what the first try changed in
  the actor stays changed). If that fails too, the sender gets a PoisonMessage with the original message and both
  tracebacks; the actor lives on, without a watch. No PoisonMessage answers a PoisonMessage or a ChildActorExited.
* An ActorExitRequest is never refused: what its handler raises is logged.
* SystemExit (any exception that is no ``Exception``, save KeyboardInterrupt) ends that actor only: no second try, its
  children are asked to exit, its parent is told at once.
* A message for an actor that exited, or is waiting for its children to, goes to the dead-letter handler, if there is
  one (the last one registered), as a DeadEnvelope.
"""

from __future__ import annotations

import abc
import copy
import logging
import selectors
import traceback
from typing import TYPE_CHECKING, Any

from thespian.actors import (  # type: ignore[import-untyped, unused-ignore]
    ActorAddress,
    ActorExitRequest,
    ActorSystemMessage,
    ChildActorExited,
    DeadEnvelope,
    PoisonMessage,
    Thespian_ActorStatus,
    Thespian_StatusReq,
    WakeupMessage,
)
from thespian.system.timing import ExpirationTimer  # type: ignore[import-untyped, unused-ignore]

from actors.bases.cell import ActorCell, Cell
from actors.bases.reactor import WATCH_TOKEN, Reactor, WatchMark
from actors.bases.watch import WatchReady
from core.empty import NO_ENTRIES

if TYPE_CHECKING:
    from actors.bases.environment import Environment

log = logging.getLogger(__name__)


class Delivery(Reactor):
    """The loop, with Thespian's rules for messages."""

    root: Cell
    """The system itself: parent of primary actors, sender of what the base sends."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.dead_letter_box: ActorCell | None = None

    @abc.abstractmethod
    def leave(self, cell: ActorCell, recursive: bool) -> None:
        """``cell`` has handled an ActorExitRequest."""

    @abc.abstractmethod
    def bury(self, cell: ActorCell, *, crashed: bool = False) -> None:
        """``cell`` is no more."""

    @staticmethod
    def describe_error(address: ActorAddress, message: Any) -> str:
        """Return the details of a PoisonMessage for the exception being handled."""
        return f"{type(message).__name__} at {address}:\n{traceback.format_exc()}"

    # Handlers that fail.

    def _attempt(self, cell: ActorCell, message: Any, sender: Any) -> None:
        """Deliver with two tries; the hot path has the first one inlined."""
        try:
            result = cell.instance.receiveMessage(message, sender)
        except Exception:
            self._retry(cell, message, sender)
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._crash(cell)
        else:
            if result is not cell.watch:
                self.descriptors.replace(cell, result)

    def hand(self, cell: ActorCell, message: Any, sender: Any) -> None:
        """Deliver a message at once, unless the actor has others: for a driver, between turns. (A mailbox and a turn
        for it take 4 us.)"""
        if cell.instance is None or cell.inbox:
            self.enqueue(cell, message, sender)
            return
        self.turning = True
        try:
            self._attempt(cell, message, sender)
        finally:
            self.turning = False

    def _hand_ready(self, cell: ActorCell, fd: int, mask: int) -> None:
        reads, writes = mask & selectors.EVENT_READ, mask & selectors.EVENT_WRITE
        self._attempt(cell, WatchReady([fd] if reads else [], (fd,) if writes else ()), cell.address)

    def _retry(self, cell: ActorCell, message: Any, sender: Any) -> None:
        log.warning("%s failed on a %s, first try", cell.address, type(message).__name__, exc_info=True)
        try:
            result = cell.instance.receiveMessage(copy.deepcopy(message), sender)
        except Exception:
            log.error("%s failed on a %s, second try", cell.address, type(message).__name__, exc_info=True)
            result = None
            if not isinstance(message, PoisonMessage | ChildActorExited):
                cell.actor_send(sender, PoisonMessage(message, self.describe_error(cell.address, message)))
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._crash(cell)
            return
        if result is not cell.watch:
            self.descriptors.replace(cell, result)

    def _crash(self, cell: ActorCell) -> None:
        log.error("%s ended abruptly", cell.address, exc_info=True)
        self.bury(cell, crashed=True)

    # Messages that mean something to the base.

    def _deliver_system(self, cell: ActorCell, message: ActorSystemMessage, sender: Any) -> None:
        if message is WATCH_TOKEN:
            watch_ready = self._collect_ready(cell)
            if watch_ready is not None:
                self._attempt(cell, watch_ready, sender)
        elif isinstance(message, ActorExitRequest):
            self._deliver_exit(cell, message, sender)
        elif isinstance(message, Thespian_StatusReq):
            cell.actor_send(sender, self._status_of(cell))
        else:
            self._attempt(cell, message, sender)
            if isinstance(message, ChildActorExited):
                cell.disown(message.childAddress)

    def _collect_ready(self, cell: ActorCell) -> WatchReady | None:
        """Return what is ready of the watch as it is now: a descriptor may have left it since the poll."""
        events, mask_of = self.ready_events.pop(cell, NO_ENTRIES), self.descriptors.mask_of
        if len(events) == 1:
            ((fd, mask),) = events.items()
            mask &= mask_of(cell, fd)
            reads, writes = mask & selectors.EVENT_READ, mask & selectors.EVENT_WRITE
            return WatchReady([fd] if reads else [], (fd,) if writes else ()) if mask else None
        readable: list[int] = []
        writable: list[int] = []
        for fd, mask in events.items():
            mask &= mask_of(cell, fd)
            if mask & selectors.EVENT_READ:
                readable.append(fd)
            if mask & selectors.EVENT_WRITE:
                writable.append(fd)
        return WatchReady(readable, tuple(writable)) if readable or writable else None

    def _deliver_exit(self, cell: ActorCell, message: ActorExitRequest, sender: Any) -> None:
        try:
            cell.instance.receiveMessage(message, sender)
        except Exception:
            log.warning("%s failed on its exit request and exits all the same", cell.address, exc_info=True)
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._crash(cell)
            return
        self.leave(cell, message.isRecursive)

    def _status_of(self, cell: ActorCell) -> Thespian_ActorStatus:
        status = Thespian_ActorStatus(
            cell.address,
            getattr(cell.actor_class, "__name__", cell.actor_class),
            self.root.address,
            cell.parent.address,
            cell.origin.source_hash,
            True if cell.leaving is not None else None,
        )
        for child in cell.children:
            status.addChild(child.address)
        for message, sender in cell.inbox:
            status.addReceivedMessage(sender, cell.address, type(message).__name__)
        now = self._now()
        status.addWakeups([(cell.address, ExpirationTimer(due - now)) for due, _ in self.timers.of(cell)])
        return status

    # Messages for actors that are not there any more.

    def drain_passive(self, cell: ActorCell, limit: int) -> int:
        """Deal with the mail of an actor that is leaving or dead."""
        count = min(limit, len(cell.inbox))
        for _ in range(count):
            message, sender = cell.inbox.popleft()
            if cell.leaving is not None and isinstance(message, ChildActorExited):
                self._tell_leaving(cell, message, sender)
            elif cell.leaving is not None and isinstance(message, Thespian_StatusReq):
                cell.actor_send(sender, self._status_of(cell))
            elif isinstance(message, WatchMark | WakeupMessage):
                continue
            elif isinstance(message, ActorExitRequest) and (cell.leaving is not None or sender is self.root.address):
                continue  # it is on its way already
            else:
                self.dead_letter(cell.address, message)
        return count

    def _tell_leaving(self, cell: ActorCell, message: ChildActorExited, sender: Any) -> None:
        try:
            cell.leaving.receiveMessage(message, sender)
        except KeyboardInterrupt:
            raise
        except BaseException:
            log.warning("%s, exiting, failed on a child's exit", cell.address, exc_info=True)
        cell.disown(message.childAddress)
        if not cell.children:
            self.bury(cell)

    def dead_letter(self, to: ActorAddress, message: Any) -> None:
        """Hand a message that cannot be delivered to the dead-letter handler, if there is one."""
        box = self.dead_letter_box
        if box is not None and not isinstance(message, DeadEnvelope | ChildActorExited):
            self.enqueue(box, DeadEnvelope(to, message), self.root.address)

    def set_dead_letter_handler(self, address: ActorAddress, enable: bool) -> None:
        cell = getattr(address, "cell", None)
        if enable and isinstance(cell, ActorCell) and cell.host is self and cell.instance is not None:
            self.dead_letter_box = cell
        elif not enable and self.dead_letter_box is cell:
            self.dead_letter_box = None
