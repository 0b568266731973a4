"""Actors of a simulation: the node they live on, and how their messages travel."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, ValuesView
from random import Random
from typing import TYPE_CHECKING, Any

from thespian.actors import PoisonMessage  # type: ignore[import-untyped, unused-ignore]

from actors.bases.cell import ActorCell, Cell

if TYPE_CHECKING:
    from thespian.actors import ActorAddress

    from actors.bases.sim_environment import SimEnvironment
    from actors.bases.simulation import SimulationBase


@dataclasses.dataclass(eq=False, slots=True)
class Identity:
    """A node as its actors see it.

    ``network`` is what :func:`actors.transport.port.network_of` gives them, ``storage`` what
    :func:`actors.storage.storage_of` does.
    """

    name: str
    environment: SimEnvironment
    network: Any = None
    storage: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Reordering:
    """How unkind the message passing is: what Thespian's multi-process bases do to messages, on purpose.

    Each message to another actor takes a random time up to ``max_delay_s``, so that messages of different pairs of
    actors overtake each other; those of one pair keep their order unless ``break_pair_order`` (Thespian's TCP base
    does not promise even that). Which mailbox is looked at first is drawn by lot.
    """

    max_delay_s: float = 0.002
    break_pair_order: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_delay_s < math.inf:
            raise ValueError(f"expected max_delay_s as seconds, 0 or more, got {self.max_delay_s!r}")


class SmallInbox(list[tuple[Any, Any]]):
    """A mailbox that is nearly always empty, or nearly so. An empty deque takes 760 bytes, and each connection has two
    ends."""

    __slots__ = ()

    def popleft(self) -> tuple[Any, Any]:
        """Take the oldest message."""
        return self.pop(0)


class SimActorCell(ActorCell):
    """A mailbox with a home. ``label`` stands for it in traces, which tell at its birth for what."""

    __slots__ = ("identity", "label")

    host: SimulationBase
    identity: Identity
    label: int
    inbox: Any

    def __init__(
        self, host: SimulationBase, kind: str, parent: Any, requirements: Any, source_hash: str | None
    ) -> None:
        super().__init__(host, kind, parent, requirements, source_hash)
        self.identity = parent.identity if isinstance(parent, SimActorCell) else host.birthplace
        self.label = host.trace.introduce(self.full_name)

    @property
    def full_name(self) -> str:
        """The node, then the actor's place in the family."""
        return f"{self.identity.name}/{self.text.partition('/')[2]}"

    @property
    def environment(self) -> SimEnvironment:
        return self.identity.environment

    def watch_only(self, fd: int, events: int) -> None:
        """Watch this descriptor from now on, until this is called again: see :func:`actors.bases.watch.watch_only`."""
        self.host.descriptors.watch_only(self, fd, events)

    @property
    def network(self) -> Any:
        """The network of the actor's node."""
        return self.identity.network

    @property
    def storage(self) -> Any:
        """The disk of the actor's node."""
        return self.identity.storage


class Families(Mapping[int, Any]):
    """All living actors by their labels, found by going from parents to children.

    A table of them, to which every birth and death would be told, takes 60 bytes for each of 20,000, and is hardly ever
    looked at.
    """

    def __init__(self, eldest: Mapping[str, ActorCell]) -> None:
        self._eldest = eldest

    def __iter__(self) -> Iterator[int]:
        return (cell.label for cell in self._walk())

    def __len__(self) -> int:
        return sum(1 for _ in self._walk())

    def __getitem__(self, label: int) -> Any:
        for cell in self._walk():
            if cell.label == label:
                return cell
        raise KeyError(label)

    def _walk(self) -> Iterator[Any]:
        waiting: list[ActorCell] = [*self._eldest.values()][::-1]
        while waiting:
            cell = waiting.pop()
            waiting += cell.children[::-1]
            if not cell.is_dead:
                yield cell

    def values(self) -> ValuesView[Any]:
        return ValuesView({cell.label: cell for cell in self._walk()})


class UnkindSimActorCell(SimActorCell):
    """One whose messages are pickled, or delayed, or both."""

    __slots__ = ("last_arrivals",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.last_arrivals: dict[Cell, float] | None = None
        """When the last message under way to each receiver arrives; made when the first one is delayed."""

    def actor_send(self, to: ActorAddress, message: Any) -> None:
        host = self.host
        if host.strict:
            try:
                message = host.isolate(message)
            except Exception:
                host.enqueue(self, PoisonMessage(message, host.describe_error(self.address, message)), to)
                return
        if host.post_office is None:
            super().actor_send(to, message)
        else:
            host.post_office.send(self, to, message)


class Post:
    """Delays messages between actors."""

    def __init__(self, host: SimulationBase, manner: Reordering, rng: Random) -> None:
        self._host = host
        self._manner = manner
        self._rng = rng

    def send(self, sender: UnkindSimActorCell, to: ActorAddress, message: Any) -> None:
        """Have ``message`` arrive after a while, or at once if it is for the sender itself."""
        receiver: Cell | None = getattr(to, "cell", None)
        if receiver is None or receiver is sender or receiver.host is not self._host:
            ActorCell.actor_send(sender, to, message)
            return
        due = self._host.now() + self._rng.random() * self._manner.max_delay_s
        if not self._manner.break_pair_order:
            arrivals = sender.last_arrivals
            if arrivals is None:
                arrivals = sender.last_arrivals = {}
            # Equal times would leave the order to the lot: one tick later than the one before is in order.
            due = arrivals[receiver] = self._host.timers.after(arrivals.get(receiver), due)
        self._host.timers.call_at(due, self._arrive, receiver, (message, sender.address))

    def _arrive(self, receiver: Cell, mail: tuple[Any, ActorAddress]) -> None:
        self._host.enqueue(receiver, *mail)


class LotQueue:
    """Cells with mail; the next one is drawn by lot."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._cells: list[Cell] = []

    def append(self, cell: Cell, /) -> None:
        self._cells.append(cell)

    def popleft(self) -> Cell:
        """Take out any one. Raises IndexError if there is none."""
        cells = self._cells
        place = int(self._rng.random() * len(cells))
        cells[place], cells[-1] = cells[-1], cells[place]
        return cells.pop()

    def __len__(self) -> int:
        return len(self._cells)
