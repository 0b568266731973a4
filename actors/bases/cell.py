"""Mailboxes and addresses: what the base holds of an actor, and what an actor sees of the base."""

from __future__ import annotations

import abc
import os
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from thespian.actors import ActorAddress, PoisonMessage  # type: ignore[import-untyped, unused-ignore]

from core.empty import NO_ITEMS

if TYPE_CHECKING:
    from actors.bases.environment import Environment
    from actors.bases.host import ActorHost, RootCell

HOSTS: weakref.WeakValueDictionary[str, ActorHost] = weakref.WeakValueDictionary()
"""Running in-process systems by name: an unpickled address finds its mailbox through this."""


class InProcessAddress(ActorAddress):  # type: ignore[misc, unused-ignore]
    """Address of an actor in this process: text ``<system>/<parent>/<Class>.<number>``, and its mailbox if known.

    Compared by its text, as all Thespian addresses are; like those it has no hash. A pickled address finds its mailbox
    again in the process it came from; anywhere else it is the address of nobody.
    """

    __slots__ = ("cell",)

    cell: Cell
    """Missing on the address of nobody."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell  # Thespian's own would keep the text, which the mailbox knows

    @property
    def _aaddr(self) -> str:
        return self.cell.text

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is type(other) is InProcessAddress:
            return self.cell is other.cell  # no two have the same text, dead or alive
        if isinstance(other, InProcessAddress):
            return bool(self._aaddr == other._aaddr)
        return bool(ActorAddress.__eq__(self, other))

    def __ne__(self, other: object) -> bool:
        return self is not other and not self == other  # Thespian's own would go by way of the texts

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> InProcessAddress:
        return self

    def __deepcopy__(self, memo: object) -> InProcessAddress:
        return self

    def __reduce__(self) -> tuple[Any, tuple[int, str]]:
        return _restore_address, (os.getpid(), self._aaddr)


class AddressOfNobody(InProcessAddress):
    """One by its text only: its actor is dead, or could not be found when it was unpickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def _aaddr(self) -> str:
        return self._text


def _restore_address(process_id: int, text: str) -> InProcessAddress:
    host = HOSTS.get(text.partition("/")[0]) if process_id == os.getpid() else None
    cell = host.find(text) if host is not None else None
    return AddressOfNobody(text) if cell is None else cell.address


class Cell(abc.ABC):
    """A mailbox with an address.

    ``instance`` is the actor whose ``receiveMessage`` gets the messages; while it is None the loop calls
    :meth:`drain` instead. ``scheduled`` is true while the cell is in the ready queue or being run.
    """

    __slots__ = ("address", "host", "inbox", "instance", "scheduled")

    def __init__(self, host: ActorHost) -> None:
        self.host = host
        self.address = InProcessAddress(self)
        self.inbox: deque[tuple[Any, Any]] = host.make_inbox()
        self.instance: Any = None  # Actor | None; Any, for the loop tests it once for many messages
        self.scheduled = False

    @property
    @abc.abstractmethod
    def text(self) -> str:
        """That of its address. Made when it is asked for: of tens of thousands hardly anybody asks."""

    @abc.abstractmethod
    def drain(self, limit: int) -> int:
        """Take up to ``limit`` messages out of the inbox; return how many. Runs in the loop."""


class Origin(NamedTuple):
    """How an actor was created, or goes, where that is not in the usual way."""

    requirements: Any = None
    source_hash: str | None = None
    global_name: str | None = None
    nanny: Cell | None = None
    """Creator of a globally named actor, whose parent is the system: it hears of the exit too."""
    text: str | None = None
    """That of an orphan's address, which tells of the parent it had."""
    leaving: Any = None  # Actor | None


PLAIN = Origin()
"""That of nearly all actors."""


class ActorCell(Cell):
    """An actor: its mailbox, its place in the family, and the object that Thespian's ``Actor`` calls ``_myRef``.

    The life of a cell: *live* (``instance`` set), *leaving* (``leaving`` set: it was asked to exit and waits for its
    children), *dead* (neither). Messages for one that is not live become dead letters.
    """

    __slots__ = (
        "_what",
        "children",
        "created_count",
        "held",
        "number",
        "origin",
        "parent",
        "timer_count",
        "watch",
    )

    parent: ActorCell | RootCell
    children: list[ActorCell]
    """A list, for a dictionary would take four times as much, and a child is looked for only when it ends."""
    created_count: int
    held: Any  # Watch | None
    """The descriptors of its present watch, as the descriptor table has them."""

    def __init__(
        self, host: ActorHost, kind: str, parent: ActorCell | RootCell, requirements: Any, source_hash: str | None
    ) -> None:
        """``kind``: the name of its class."""
        super().__init__(host)
        self._what: type | str = kind  # until there is the class
        self.number = parent.created_count + 1
        parent.created_count = self.number
        self.parent = parent
        is_plain = requirements is None and source_hash is None
        self.origin = PLAIN if is_plain else Origin(requirements, source_hash)
        self.children = NO_ITEMS
        self.created_count = 0
        self.watch: Any = None
        self.held = None
        self.timer_count = 0

    @property
    def text(self) -> str:
        return self.origin.text or f"{self.parent.text}/{self.kind}.{self.number}"

    @property
    def kind(self) -> str:
        """The name of its class."""
        return self._what if isinstance(self._what, str) else self._what.__name__

    @property
    def actor_class(self) -> Any:
        """What it was created as; None until that is known."""
        return None if isinstance(self._what, str) else self._what

    @actor_class.setter
    def actor_class(self, actor_class: type) -> None:
        self._what = actor_class

    @property
    def leaving(self) -> Any:
        """The actor that was asked to exit and waits for its children, or None."""
        return self.origin.leaving

    @leaving.setter
    def leaving(self, instance: Any) -> None:
        if instance is not self.origin.leaving:
            self.origin = self.origin._replace(leaving=instance)

    @property
    def globalName(self) -> str | None:
        """Thespian's name for it."""
        return self.origin.global_name

    @property
    def has_mail(self) -> bool:
        """More messages wait: one that the actor sends to itself now comes after them, and costs a queue entry. (On
        Thespian's process bases it opens a TCP connection.)"""
        return bool(self.inbox)

    @property
    def is_dead(self) -> bool:
        return self.instance is None and self.leaving is None

    @property
    def environment(self) -> Environment:
        return self.host.environment

    def forget_address(self) -> None:
        """Dead: keep its address by name only, so that cell and address go with the last who holds either, and need
        not wait for the collector of cycles."""
        self.address = AddressOfNobody(self.text)

    def adopt(self, child: ActorCell) -> None:
        """``child`` is one of its children from now on."""
        if not self.children:
            self.children = []
        self.children.append(child)

    def child(self, text: str) -> ActorCell | None:
        """The child whose address has this text."""
        number = text.rpartition(".")[2]
        found = (child for child in self.children if str(child.number) == number and child.text == text)
        return next(found, None)

    def disown(self, address: ActorAddress) -> None:
        """The child of this address, if there is one, is gone."""
        child = getattr(address, "cell", None) or self.child(address.actorAddressString)
        if child in self.children:
            self.children.remove(child)
            if not self.children:
                self.children = NO_ITEMS

    def drain(self, limit: int) -> int:
        return self.host.drain_passive(self, limit)

    # What Thespian's Actor calls.

    def actor_send(self, to: ActorAddress, message: Any) -> None:
        host = self.host
        try:
            cell = to.cell
        except AttributeError:
            host.dead_letter(to, message)
            return
        if cell.host is not host:
            cell.host.post(cell, message, self.address)
            return
        cell.inbox.append((message, self.address))
        if not cell.scheduled:
            cell.scheduled = True
            host.ready.append(cell)

    def createActor(self, actor_class: Any, requirements: Any, global_name: str | None, source_hash: Any) -> Any:
        return self.host.create_child(self, actor_class, requirements, global_name, source_hash)

    def wakeupAfter(self, period: Any, payload: Any) -> None:
        self.host.wake_later(self, period, payload)

    def handleDeadLetters(self, address: ActorAddress, enable: bool) -> None:
        self.host.set_dead_letter_handler(address, enable)

    def registerSourceAuthority(self, address: ActorAddress) -> None:
        self.host.sources.authority = self

    def notifyOnSourceAvailability(self, address: ActorAddress, enable: bool) -> None:
        self.host.sources.notify(self, enable)

    def notifyOnSystemRegistrationChanges(self, address: ActorAddress, enable: bool) -> None:
        """Nothing ever registers: an in-process system is no member of a convention."""

    def preRegisterRemoteSystem(self, address: Any, capabilities: Any) -> None:
        self.host.log_unsupported(self, "preRegisterRemoteSystem")

    def deRegisterRemoteSystem(self, address: Any) -> None:
        self.host.log_unsupported(self, "deRegisterRemoteSystem")

    def updateCapability(self, name: str, value: Any) -> None:
        self.host.change_capability(name, value)

    def loadActorSource(self, file_or_name: Any) -> str:
        return self.host.sources.load(*self.host.sources.read(file_or_name))

    def unloadActorSource(self, source_hash: str) -> None:
        self.host.sources.unload(source_hash)

    def actorSystemShutdown(self) -> None:
        self.host.begin_stop()


class StrictActorCell(ActorCell):
    """An actor whose messages are pickled when sent, as between processes: the receiver gets a copy made at that time.

    As on Thespian's multi-process bases, sending what cannot be pickled does not raise: the message comes back to the
    sender as a PoisonMessage that seems to come from the receiver.
    """

    __slots__ = ()

    def actor_send(self, to: ActorAddress, message: Any) -> None:
        try:
            message = self.host.isolate(message)
        except Exception:
            poison = PoisonMessage(message, self.host.describe_error(self.address, message))
            self.host.enqueue(self, poison, to)
            return
        super().actor_send(to, message)
