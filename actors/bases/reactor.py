"""The event loop under the actors: mailboxes, timers and descriptors, taken in turns, in one thread.

One *turn*: wait (not at all while there is work), take in what other threads posted, hand out ready descriptors, fire
the timers that are due, then run mailboxes for a bounded number of messages and a bounded time. A pair of actors that
never stops talking, an actor that sends to itself or a wake-up without delay therefore costs the sockets and timers
at most one turn. Within a turn every ready actor gets a bounded number of messages before the next one's turn comes.

What a simulation replaces: the clock (``_now``), how to wait (``_poll``), what there is to wait for (``_make_timers``,
``_make_selector``, ``_make_waker``) and the order in which ready mailboxes run (``_make_ready_queue``).
"""

from __future__ import annotations

import abc
import logging
import select
import selectors
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from thespian.actors import ActorSystemMessage  # type: ignore[import-untyped, unused-ignore]

from actors.bases.cell import ActorCell, Cell
from actors.bases.descriptors import DescriptorTable
from actors.bases.timers import TimerHeap, wakeup_of
from actors.bases.waker import Waker

if TYPE_CHECKING:
    from actors.bases.environment import Environment

log = logging.getLogger(__name__)

MESSAGES_PER_VISIT = 16
"""One actor handles at most this many messages before the next ready actor's turn."""
MESSAGES_PER_SLICE = 32
"""After this many messages the loop looks at the clock: cheap against the messages, fine enough for slow handlers."""
SLICES_PER_TURN = 16
"""At most 512 messages a turn: below a millisecond of quick handlers."""
TURN_S = 0.001
"""A turn's mailboxes stop at the first look at the clock after this time, however slow the handlers."""
LONGEST_WAIT_S = 86_400.0
"""Longer waits overflow the milliseconds of epoll_wait; one look around a day costs nothing."""
ERRORS_IN_A_ROW = 100
"""This many failed turns in a row mean that the loop cannot work any more: the system stops."""

Events = Sequence[tuple[selectors.SelectorKey, int]]


class ReadyQueue(Protocol):
    """Cells with mail. A deque is first come, first served; a simulation may draw by lot."""

    def append(self, cell: Cell, /) -> None: ...
    def popleft(self) -> Cell: ...
    def __len__(self) -> int: ...


class WatchMark:
    """In a mailbox: something may be ready of what the actor watches."""

    __slots__ = ()


class WatchToken(WatchMark, ActorSystemMessage):  # type: ignore[misc, unused-ignore]
    """Stands in a mailbox for the WatchReady that is made up when its turn comes, from what is ready by then."""


WATCH_TOKEN = WatchToken()


class Reactor(abc.ABC):
    """The loop. Everything here except :meth:`post` and :attr:`waker` is for the thread that runs it."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.ready = self._make_ready_queue()
        self.timers = self._make_timers()
        self.selector = self._make_selector()
        self.waker = self._make_waker()
        self.selector.register(self.waker, selectors.EVENT_READ, None)
        self.descriptors = self._make_descriptors()
        self.ready_events: dict[Cell, dict[int, int]] = {}
        """What is ready of the watches of actors that have not been told yet, by descriptor."""
        self.incoming: deque[tuple[Cell | None, Any, Any]] = deque()
        self.sleeping = False
        self.loop_turns = 0
        """Turns so far: a measure of what the loop does while it should do nothing."""
        self.turning = False
        self.closed = False
        self._failures = 0

    # Hooks for a subclass.

    def _now(self) -> float:
        """Seconds of the clock that timers and deadlines use."""
        return self.environment.now()

    def _poll(self, timeout_s: float | None) -> Events:
        """Wait for descriptors, at most ``timeout_s`` (None: for ever); return (key, events) as a selector does."""
        return self.selector.select(timeout_s)

    def _make_ready_queue(self) -> ReadyQueue:
        return deque()

    def _make_timers(self) -> TimerHeap:
        return TimerHeap()

    def _make_selector(self) -> selectors.BaseSelector:
        if not hasattr(select, "epoll"):
            return selectors.DefaultSelector()
        from actors.bases.epoll import EpollSelector

        return EpollSelector()

    def _make_descriptors(self) -> DescriptorTable:
        return DescriptorTable(self.selector)

    def _make_waker(self) -> Waker:
        return Waker()

    def _on_awake(self, events: Events) -> None:  # noqa: B027 - not every loop cares
        """The loop has slept until these came, or until it was woken, or its time was up."""

    def _wake(self) -> None:
        """Something was posted while the loop slept. Any thread."""
        self.waker.wake()

    # To be filled in by the host of the actors.

    @abc.abstractmethod
    def _deliver_system(self, cell: ActorCell, message: ActorSystemMessage, sender: Any) -> None:
        """Deal with a message that may mean something to the base itself."""

    @abc.abstractmethod
    def _hand_ready(self, cell: ActorCell, fd: int, mask: int) -> None:
        """Tell an actor about its descriptor at once: it is the only one with something to do."""

    @abc.abstractmethod
    def _retry(self, cell: ActorCell, message: Any, sender: Any) -> None:
        """A handler raised; the exception is being handled."""

    @abc.abstractmethod
    def _crash(self, cell: ActorCell) -> None:
        """A handler asked to end everything (SystemExit and the like); the exception is being handled."""

    @abc.abstractmethod
    def _turn_ended(self) -> None:
        """Called at the end of every turn."""

    @abc.abstractmethod
    def _discard_incoming(self) -> None:
        """Something was posted after the end. Any thread."""

    @abc.abstractmethod
    def begin_stop(self) -> None:
        """Ask all actors to exit, then end."""

    # From any thread.

    def post(self, cell: Cell | None, message: Any, sender: Any) -> None:
        """Put a message into a mailbox, from any thread; with None for the cell, call ``message()`` in the loop."""
        self.incoming.append((cell, message, sender))
        # Order matters: the loop sets `sleeping` before it looks at `incoming` for the last time.
        if self.sleeping:
            self.sleeping = False
            self._wake()
        elif self.closed:
            self._discard_incoming()

    # In the loop.

    @property
    def busy(self) -> bool:
        """Whether a turn would find work without waiting (due timers and descriptors apart)."""
        return bool(self.incoming or self.ready)

    def next_due(self) -> float | None:
        """When the loop must run again if nothing else happens, in the clock's seconds; None for never."""
        return self.timers.next_due

    def enqueue(self, cell: Cell, message: Any, sender: Any) -> None:
        cell.inbox.append((message, sender))
        if not cell.scheduled:
            cell.scheduled = True
            self.ready.append(cell)

    def turn(self, timeout_s: float | None = None) -> None:
        """Run one turn, waiting at most ``timeout_s`` seconds for work (None: as long as it takes).

        An error in the loop itself is a bug of ours: it is logged and the loop goes on, unless it never ends.
        """
        self._run_turn(timeout_s, None)

    def turn_on(self, events: Events) -> None:
        """Run one turn on what the driver has polled, perhaps nothing, and on what waits already."""
        self._run_turn(0.0, events)

    def _run_turn(self, timeout_s: float | None, events: Events | None) -> None:
        self.loop_turns += 1
        self.turning = True
        self.sleeping = False
        try:
            if events is None:
                events = self._wait(timeout_s)
            if self.incoming:
                self._take_incoming()
            if events:
                self._note_ready(events)
            now, due = self._now(), self.timers.next_due
            if due is not None and due <= now:
                self._fire_timers(now)
            if self.ready:
                self._run_ready(now + TURN_S)
            self._turn_ended()
        except Exception:
            self._failures += 1
            log.exception("error in the event loop (%d in a row)", self._failures)
            if self._failures == ERRORS_IN_A_ROW:
                log.critical("the event loop cannot go on: stopping the actor system")
                self.begin_stop()
        else:
            self._failures = 0
        finally:
            self.turning = False

    def _wait(self, timeout_s: float | None) -> Events:
        delay_s = self._delay(timeout_s) if timeout_s != 0.0 else 0.0
        if delay_s == 0.0 and not len(self.descriptors) and not self.waker.raised:
            return ()
        if delay_s != 0.0:
            self.sleeping = True
            if self.incoming:
                delay_s = 0.0
        try:
            events = self._poll(delay_s)
        finally:
            self.sleeping = False
        if delay_s != 0.0:
            self._on_awake(events)
        return events

    def _delay(self, timeout_s: float | None) -> float | None:
        if self.busy:
            return 0.0
        delay_s = LONGEST_WAIT_S if timeout_s is None else min(max(timeout_s, 0.0), LONGEST_WAIT_S)
        due = self.next_due()
        if due is None:
            return None if timeout_s is None else delay_s
        return delay_s if delay_s == 0.0 else min(delay_s, max(due - self._now(), 0.0))

    def _take_incoming(self) -> None:
        for _ in range(len(self.incoming)):  # what arrives meanwhile waits for the next turn
            cell, message, sender = self.incoming.popleft()
            if cell is None:
                call: Callable[[], None] = message
                call()
            else:
                self.enqueue(cell, message, sender)

    def _note_ready(self, events: Events) -> None:
        if len(events) == 1 and not self.ready:
            key, mask = events[0]
            cell: Any = key.data  # ActorCell | None
            if mask and cell is not None and cell.instance is not None:
                self._hand_ready(cell, key.fd, mask)
                return
        for key, mask in events:
            cell = key.data
            if cell is None:
                self.waker.clear()
            elif mask:
                ready = self.ready_events.get(cell)
                if ready is None:
                    ready = self.ready_events[cell] = {}
                    self.enqueue(cell, WATCH_TOKEN, cell.address)
                ready[key.fd] = mask

    def _fire_timers(self, now: float) -> None:
        for cell, message in self.timers.pop_due(now):
            if cell.instance is not None:
                self.enqueue(cell, wakeup_of(message), cell.address)

    def _run_ready(self, end: float) -> None:
        for _ in range(SLICES_PER_TURN):
            self._run_mailboxes(MESSAGES_PER_SLICE)
            if not self.ready or self._now() >= end:
                return

    def _run_mailboxes(self, budget: int) -> None:
        """Let ready actors handle about ``budget`` messages. This is the hot path: a message costs what is here."""
        ready = self.ready
        take = ready.popleft
        while budget > 0 and ready:
            cell: Any = take()
            inbox = cell.inbox
            instance = cell.instance
            try:
                if instance is None:
                    budget -= cell.drain(MESSAGES_PER_VISIT)
                    continue
                count = len(inbox)
                if count > MESSAGES_PER_VISIT:
                    count = MESSAGES_PER_VISIT
                budget -= count
                while count:
                    count -= 1
                    message, sender = inbox.popleft()
                    if isinstance(message, ActorSystemMessage):
                        self._deliver_system(cell, message, sender)
                        if cell.instance is None:
                            break
                        continue
                    try:
                        result = instance.receiveMessage(message, sender)
                    except Exception:
                        self._retry(cell, message, sender)
                        break
                    except KeyboardInterrupt:
                        raise
                    except BaseException:
                        self._crash(cell)
                        break
                    if result is not cell.watch:
                        self.descriptors.replace(cell, result)
            finally:
                if inbox:
                    ready.append(cell)
                else:
                    cell.scheduled = False
