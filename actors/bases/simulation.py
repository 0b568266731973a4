"""The simulation base: the actors of many nodes in virtual time, in one thread, from one seed.

    base = SimulationBase(seed=7)
    node = base.create_on(Identity("alice", base.make_environment("alice")), Node)
    base.run_for(86_400.0)

Nothing here waits: when no actor has mail, the clock jumps to the next event. Nothing happens between two calls of
``run_for``, ``run_until`` or ``step``, and handling a message takes no virtual time. There are no threads, no
descriptors of the operating system, and no entropy but the seed.

Each actor lives on a node: it has the clock, the randomness and the network of its :class:`Identity`, which its
children share. Events of one instant come in an order drawn by lot (:mod:`actors.bases.sim_time`). With ``reordering``
messages between actors are delayed at random too, which is what Thespian's own bases do to them.

It is a Thespian system base like :class:`~actors.bases.inproc.InProcessBase`, whose rules for failures, dead letters
and exits it shares. An error in the base itself is raised to whoever runs it: a simulation gone wrong must not go on.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from thespian.actors import ActorSystemFailure  # type: ignore[import-untyped, unused-ignore]

from actors.bases.cell import ActorCell
from actors.bases.reactor import MESSAGES_PER_VISIT, ReadyQueue
from actors.bases.sim_cell import (
    Families,
    Identity,
    LotQueue,
    Post,
    Reordering,
    SimActorCell,
    SmallInbox,
    UnkindSimActorCell,
)
from actors.bases.sim_collector import BIRTHS_PER_LOOK, QuietCollector
from actors.bases.sim_environment import SimEnvironment, derive_rng
from actors.bases.sim_kernel import StillWaker, VirtualDescriptors, VirtualKernel
from actors.bases.sim_mailboxes import SimMailboxes, StandStill
from actors.bases.sim_pages import LargePages
from actors.bases.sim_time import EventHeap, VirtualClock, round_up
from actors.bases.sim_trace import LineSink, Names, Trace
from actors.bases.timers import wakeup_of
from actors.transport.frames import masking_keys
from core.empty import NO_ITEMS

T = TypeVar("T")

LARGE_FROM_ACTORS = 5_000
"""From so many actors on, which take some 50 MB, it matters where in memory they are."""

WALL_START = 1_700_000_000.0
"""What the calendar says when a simulation begins (14 November 2023), unless told otherwise."""

ASK_FIRST = 0.0
"""Kept for a timer whose actor is asked whether it is worth waking (``sleeps_until``): such an actor does not look at
the delay, which would be one more number for each connection."""

MESSAGES_PER_INSTANT = 2_000_000
"""More messages without a moment passing mean that some actors never fall silent: virtual time would stand still."""


class SimulationBase(SimMailboxes):
    """See the module. ``seed`` decides everything that is drawn; ``keep_trace`` gets every line of the trace.

    ``strict`` pickles every message, as between processes.
    """

    timers: EventHeap
    selector: VirtualKernel
    descriptors: VirtualDescriptors
    make_inbox = SmallInbox

    def __init__(
        self,
        seed: int | str = 0,
        *,
        wall_start: float = WALL_START,
        reordering: Reordering | None = None,
        strict: bool = False,
        keep_trace: LineSink | None = None,
        messages_per_instant: int = MESSAGES_PER_INSTANT,
    ) -> None:
        self.seed = seed
        self.wall_start = wall_start
        self.clock = VirtualClock()
        self.trace = Trace(self.clock, keep_trace)
        self.delivered = 0
        self.living = 0
        """Actors. Counted: :attr:`cells` walks through all of them, and this is asked with each run."""
        self.post_office = Post(self, reordering, derive_rng(seed, "post")) if reordering is not None else None
        self._messages_per_visit = MESSAGES_PER_VISIT if reordering is None else 1
        self._messages_per_instant = messages_per_instant
        self.frozen = {}
        self.inspect: Callable[[], None] | None = None
        """Called between events, once ``inspect_at`` has passed; it sets that anew. It may look at everything and must
        change nothing: it is no event, and no part of the trace."""
        self.inspect_at = math.inf
        self._quiet_collector = QuietCollector()
        self._births_left = BIRTHS_PER_LOOK
        self._pages = LargePages()
        self._masks = masking_keys(lambda count: self._home.environment.token_bytes(count))
        self._home = Identity("system", self.make_environment("system"))
        self.birthplace = self._home
        super().__init__(logDefs=False, strict=strict, drive="caller", environment=self._home.environment)
        self._cell_class = UnkindSimActorCell if strict or self.post_office is not None else SimActorCell

    def make_environment(self, node: str, clock_offset_s: float = 0.0) -> SimEnvironment:
        """Clock and randomness for a node of this name, whose calendar is wrong by ``clock_offset_s``."""
        return SimEnvironment(self.seed, node, self.clock, self.wall_start + clock_offset_s, self._masks)

    @property
    def kernel(self) -> VirtualKernel:
        """The descriptors: for networks."""
        return self.selector

    # ---- what the reactor is made of

    def _now(self) -> float:
        return self.clock.now

    def _make_ready_queue(self) -> ReadyQueue:
        return deque() if self.post_office is None else LotQueue(derive_rng(self.seed, "mailboxes"))

    def _make_timers(self) -> EventHeap:
        return EventHeap(self.clock, derive_rng(self.seed, "order of events"), self._fire)

    def _make_selector(self) -> VirtualKernel:
        return VirtualKernel(self._tell)

    def _make_descriptors(self) -> VirtualDescriptors:
        return VirtualDescriptors(self.selector)

    def _make_waker(self) -> StillWaker:
        return StillWaker()

    def wake_later(self, cell: ActorCell, period: Any, payload: Any) -> None:
        if payload is None and type(period) is float and hasattr(cell.instance, "sleeps_until"):
            self.timers.add(self.clock.now + max(period, 0.0), cell, ASK_FIRST)
        else:
            super().wake_later(cell, period, payload)

    def _fire(self, cell: ActorCell, message: Any) -> None:
        instance = cell.instance
        if instance is None:
            return
        due = instance.sleeps_until(self.clock.now) if message is ASK_FIRST else None
        if due is None:
            self.enqueue(cell, wakeup_of(message), cell.address)
        elif due < math.inf:
            self.timers.add(due, cell, message)

    # ---- births and disappearances

    def create_on(self, identity: Identity, actor_class: Any) -> Any:
        """Create a top-level actor on a node; return its address. Raises as :meth:`newPrimaryActor`."""
        self.birthplace = identity
        try:
            return self.newPrimaryActor(actor_class, None, None, None)
        finally:
            self.birthplace = self._home

    def create_child(self, creator: Any, spec: Any, requirements: Any, global_name: str | None, source: Any) -> Any:
        self._births_left -= 1
        self.birthplace = creator.identity  # of a globally named one, whose parent is the system
        try:
            return super().create_child(creator, spec, requirements, global_name, source)
        finally:
            self.birthplace = self._home

    @property
    def cells(self) -> Families:
        return Families(self.root.children)

    def _enter(self, cell: ActorCell) -> None:
        self.living += 1

    def _strike(self, cell: ActorCell) -> None:
        self.living -= 1

    def _actor_at(self, text: str) -> ActorCell | None:
        """From the nearest ancestor that is the system's own child, downwards."""
        place = len(text)
        while place > 0 and text[:place] not in self.root.children:
            place = text.rfind("/", 0, place)
        cell = self.root.children.get(text[: max(0, place)])
        while cell is not None and place < len(text):
            end = text.find("/", place + 1)
            place = len(text) if end < 0 else end
            cell = cell.child(text[:place])
        return cell

    def population(self, identity: Identity) -> dict[str, SimActorCell]:
        """The living actors of a node, by their full names."""
        cells = (cell for cell in self.cells.values() if isinstance(cell, SimActorCell))
        return {cell.full_name: cell for cell in cells if cell.identity is identity}

    def freeze(self, identity: Identity) -> None:
        """Let the actors of a node handle nothing until :meth:`thaw`."""
        self.frozen.setdefault(identity, [])

    def thaw(self, identity: Identity) -> bool:
        """Let them go on; False if they do already."""
        parked = self.frozen.pop(identity, None)
        if parked is not None:
            for cell in parked:
                self.ready.append(cell)
        return parked is not None

    def vanish(self, identity: Identity) -> int:
        """Take every actor of a node out of the world, without a word to anybody; return how many there were."""
        gone = self.population(identity)
        self.thaw(identity)
        for cell in gone.values():
            cell.instance = cell.leaving = None
            self._release(cell)
            self.timers.forget(cell)
            cell.inbox.clear()
            cell.children = NO_ITEMS
            self.root.children.pop(cell.text, None)
            cell.forget_address()
        self.living -= len(gone)
        return len(gone)

    # ---- calls from outside: there is one thread, so they are plain calls

    def call(self, function: Callable[[], T]) -> T:
        if self.closed:
            raise ActorSystemFailure("the actor system has been shut down")
        return function()

    def forbid_in_loop(self) -> None:
        if self.turning:
            raise RuntimeError("actors and scheduled calls cannot wait: they send, and handle the answer as a message")

    # ---- running

    @property
    def busy(self) -> bool:
        return bool(self.incoming or self.ready)

    def turn(self, timeout_s: float | None = None) -> None:
        """Finish this instant; if it was finished already, go to the next event, at most ``timeout_s`` away.

        Raises StandStill if there is neither an event nor a time-out.
        """
        self.loop_turns += 1
        self.turning = True
        try:
            end = math.inf if timeout_s is None else self.clock.now + max(timeout_s, 0.0)
            if self.busy:
                self._finish_instant()
            elif not self._advance(end) and end == math.inf:
                raise StandStill("waiting for a message, but no timer and no packet is under way")
            self._turn_ended()
        finally:
            self.turning = False

    def step(self) -> bool:
        """Let the next event happen, and everything that follows from it at the same instant. False: there is none."""
        self._finish_instant()
        if self.next_due() is None:
            return False
        self.turn(None)
        self._finish_instant()
        return True

    def run_for(self, seconds: float) -> None:
        """Let so much virtual time pass; what is due at its very end happens too."""
        self.run_until(None, seconds)

    def run_until(self, condition: Callable[[], bool] | None, timeout_s: float | None = None) -> bool:
        """Run until ``condition()`` holds; False if ``timeout_s`` of virtual time passed first.

        The condition is looked at after each event. Without a time-out, raises StandStill if nothing is left to
        happen. Raises RuntimeError if called by something that is being run: an actor, or a scheduled call.
        """
        self.forbid_in_loop()
        end = math.inf if timeout_s is None else round_up(self.clock.now + max(timeout_s, 0.0))
        self._see_to_pages()
        with self._quiet_collector:
            return self._run(condition, end)

    def _see_to_pages(self) -> None:
        if self.living >= LARGE_FROM_ACTORS:
            self._pages.keep_up()

    def _run(self, condition: Callable[[], bool] | None, end: float) -> bool:
        while not self.closed:
            self.turning = True
            try:
                self._finish_instant()
                if condition is None:
                    self._run_on(end)
            finally:
                self.turning = False
            if condition is not None and condition():
                return True
            self.turning = True
            try:
                if not self._advance(end):
                    if end == math.inf:
                        raise StandStill("the condition does not hold, and nothing is left to happen")
                    return False
                self._turn_ended()
            finally:
                self.turning = False
            if self._births_left < 0:
                self._births_left = self._quiet_collector.look(self.living)
                self._see_to_pages()
        return False

    def _run_on(self, end: float) -> None:
        """One event after the other, as long as nobody wants to look, to stop, or to collect garbage in between."""
        run_next, finish = self.timers.run_next, self._finish_instant
        incoming, ready = self.incoming, self.ready
        while self.inspect is None and not self.stopping and self._births_left >= 0 and run_next(end):
            if ready or incoming:
                finish()

    def _advance(self, end: float) -> bool:
        """Go to the next event that is not after ``end`` and let it happen; otherwise go to ``end``, and say False."""
        if self.inspect_at < math.inf:
            self._let_inspect(end)
        if self.stopping and self._stop_deadline <= end:
            # The deadline is no event: whatever is due first.
            if not self.timers.run_next(self._stop_deadline):
                self.clock.now = self._stop_deadline
            return True
        if self.timers.run_next(end):
            return True
        if end != math.inf:
            self.clock.now = end
        return False

    def _let_inspect(self, end: float) -> None:
        """Let whoever inspects do so, if its time comes before anything happens: once, just before that. In between
        everything is as it is now, however long it takes."""
        due = self.timers.next_due
        until = end if due is None else min(due, end)
        if self.inspect is not None and self.inspect_at < until < math.inf:
            self.clock.now = until
            self.inspect()

    # ---- the trace

    def recent(self, count: int) -> list[str]:
        """The last lines of the trace, up to ``count`` (2,000 at most), with the names of what still exists."""
        names = Names()
        names.of |= {str(cell.label): cell.full_name for cell in self.cells.values() if isinstance(cell, SimActorCell)}
        names.of |= {f"net {fd}": name for fd, file in self.kernel.files.items() if (name := file.name)}
        return [names.read(line) for line in self.trace.recent(count)]

    def digest(self) -> str:
        """SHA-256 (hex) over everything delivered so far: equal for equal runs, on any machine."""
        return self.trace.digest()
