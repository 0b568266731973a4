"""Who runs the loop: a thread of its own, the thread that waits for an answer, or an asyncio loop."""

from __future__ import annotations

import abc
import atexit
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.bases.cell import ActorCell
    from actors.bases.inproc import InProcessBase

log = logging.getLogger(__name__)

JOIN_LIMIT_S = 10.0
"""How long shutdown waits for the loop's thread: a handler that never returns cannot be ended from outside."""
SETTLE_TURNS = 64
"""A tell() of the calling thread runs at most this many turns: actors may never fall silent."""
TAKE_OVER: Any = object()
"""Put into the queue of a waiting thread: whoever ran the loop has left, it is your turn."""


class Driver(abc.ABC):
    """Runs the turns of one system."""

    def __init__(self, base: InProcessBase) -> None:
        self.base = base

    @abc.abstractmethod
    def start(self) -> None:
        """Begin. Raises RuntimeError if the loop cannot be run this way here."""

    @abc.abstractmethod
    def in_loop(self) -> bool:
        """Whether the caller's thread is the one that runs turns."""

    @abc.abstractmethod
    def wait(self, queue: SimpleQueue[Any], timeout_s: float | None) -> Any:
        """Return the next item of ``queue``, which the loop fills. Raises queue.Empty after ``timeout_s``."""

    def wake(self) -> None:
        """The loop sleeps and there is work. Any thread."""
        self.base.waker.wake()

    def settle(self) -> None:  # noqa: B027 - not every driver needs it
        """A message was sent from outside: run the loop, where that is the sender's business."""

    def after_turn(self, call: Callable[[], None]) -> None:
        """Call a function of the program when the turn is over. In the loop."""
        raise RuntimeError('only a base with drive="asyncio" calls its program')

    def hurry(self, call: Callable[[], None], again: bool) -> bool:
        """Run a turn with ``call()`` in it right now, if this is the moment for it. In the loop."""
        return False

    def hand(self, cell: ActorCell, message: Any, sender: Any, again: bool) -> bool:
        """Have an actor handle a message right now, if this is the moment for it. In the loop."""
        return False

    def detach(self) -> None:  # noqa: B027 - not every driver needs it
        """The system is closing its descriptors. In the loop."""

    def finish(self) -> None:  # noqa: B027 - not every driver needs it
        """The system was asked to stop from within the loop's thread: see it through if possible."""

    def join(self) -> None:  # noqa: B027 - not every driver needs it
        """Wait, within bounds, for what :meth:`start` started. Not in the loop."""

    def run_until(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        raise RuntimeError('only a base with drive="caller" is run by its caller')


def get_within(queue: SimpleQueue[Any], timeout_s: float | None) -> Any:
    return queue.get(timeout=None if timeout_s is None else min(timeout_s, threading.TIMEOUT_MAX))


class ThreadDriver(Driver):
    """A thread of its own. It is no daemon: it ends with the system, and the program ends after it.

    A program that ends without shutdown() has it called on its behalf, as the executors of the standard library do.
    """

    def start(self) -> None:
        _stop_at_exit(self.base)
        self._thread = threading.Thread(target=self._main, name=f"actors-{self.base.name}")
        self._thread.start()

    def _main(self) -> None:
        while not self.base.closed:
            try:
                if self.base.lookout.is_expecting:
                    self._look_around()
                self.base.turn(None)
            except KeyboardInterrupt:
                log.error("a handler raised KeyboardInterrupt: ignored in the loop's own thread")

    def _look_around(self) -> None:
        """Spare ourselves a sleep, if that is worth it; :meth:`InProcessBase._on_awake` tells what became of one."""
        base = self.base
        if base.busy:
            return
        until = base.lookout.rest(base.now())
        while until is not None and not base.incoming:
            events = base.selector.select(0)
            now = base.now()
            if events:
                base.lookout.woken(now)
                return
            if now >= until:
                base.lookout.missed(now)
                return

    def in_loop(self) -> bool:
        return get_ident() == self._thread.ident

    def wait(self, queue: SimpleQueue[Any], timeout_s: float | None) -> Any:
        return get_within(queue, timeout_s)

    def join(self) -> None:
        self._thread.join(JOIN_LIMIT_S)
        if self._thread.is_alive():
            log.error("a handler still blocks the loop of %s: its thread is left behind", self.base.name)


class CallerDriver(Driver):
    """The thread that waits runs the loop. Of several, one leads and the others follow until it has its answer."""

    def __init__(self, base: InProcessBase) -> None:
        super().__init__(base)
        self._lock = threading.Lock()
        self._leader: int | None = None
        self._followers: deque[SimpleQueue[Any]] = deque()

    def start(self) -> None:
        """Nothing to start: the first caller will run the loop."""

    def in_loop(self) -> bool:
        return self._leader == get_ident()

    def wait(self, queue: SimpleQueue[Any], timeout_s: float | None) -> Any:
        deadline = None if timeout_s is None else self.base.now() + timeout_s
        while True:
            if self._lead():
                try:
                    return self._run_for_item(queue, deadline)
                finally:
                    self._step_down()
            item = self._follow(queue, None if deadline is None else max(deadline - self.base.now(), 0.0))
            if item is not TAKE_OVER:
                return item

    def _run_for_item(self, queue: SimpleQueue[Any], deadline: float | None) -> Any:
        found: list[Any] = []

        def arrived() -> bool:
            while not queue.empty():
                item = queue.get_nowait()
                if item is not TAKE_OVER:  # a baton that came too late
                    found.append(item)
                    return True
            return False

        self._run(arrived, deadline)
        if not found:
            raise Empty
        return found[0]

    def _run(self, condition: Callable[[], bool], deadline: float | None) -> bool:
        """Run turns until ``condition`` holds (True) or the deadline has passed (False); one turn at least.

        At the very deadline the loop goes on until it is idle: in virtual time that instant is not over before.
        """
        base = self.base
        if condition():
            return True
        while not base.closed:
            base.turn(None if deadline is None else max(deadline - base.now(), 0.0))
            if condition():
                return True
            if deadline is not None and (now := base.now()) >= deadline and (now > deadline or not base.busy):
                return False
        return False

    def _lead(self) -> bool:
        with self._lock:
            if self._leader is None:
                self._leader = get_ident()
                return True
            return False

    def _step_down(self) -> None:
        with self._lock:
            self._leader = None
            self._pass_on()

    def _pass_on(self) -> None:
        if self._leader is None and self._followers:
            self._followers.popleft().put(TAKE_OVER)

    def _follow(self, queue: SimpleQueue[Any], timeout_s: float | None) -> Any:
        with self._lock:
            if self._leader is None:
                return TAKE_OVER
            self._followers.append(queue)
        item: Any = None
        try:
            item = get_within(queue, timeout_s)
            return item
        finally:
            with self._lock:
                if queue in self._followers:
                    self._followers.remove(queue)
                elif item is not TAKE_OVER:
                    self._pass_on()  # was called upon to lead, and leaves

    def settle(self) -> None:
        if self._lead():
            try:
                for _ in range(SETTLE_TURNS):
                    if self.base.closed or not self.base.busy:
                        return
                    self.base.turn(0.0)
            finally:
                self._step_down()

    def run_until(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        if not self._lead():
            raise RuntimeError("the loop is being run already")
        try:
            return self._run(condition, None if timeout_s is None else self.base.now() + timeout_s)
        finally:
            self._step_down()


def make_driver(drive: str, base: InProcessBase) -> Driver:
    """Return the driver called ``drive``. Raises ValueError for an unknown name."""
    from actors.bases.asyncio_driver import AsyncioDriver

    drivers: dict[str, type[Driver]] = {"thread": ThreadDriver, "caller": CallerDriver, "asyncio": AsyncioDriver}
    if drive not in drivers:
        raise ValueError(f"drive: expected one of {', '.join(drivers)}, got {drive!r}")
    return drivers[drive](base)


_open_bases: weakref.WeakSet[InProcessBase] = weakref.WeakSet()


def _stop_at_exit(base: InProcessBase) -> None:
    if not _open_bases:
        # Only this hook runs before the interpreter waits for threads that are no daemons; it is what
        # concurrent.futures uses. Without it (it is not public) the program would have to call shutdown() itself.
        register = getattr(threading, "_register_atexit", atexit.register)
        register(_shutdown_open_bases)
    _open_bases.add(base)


def _shutdown_open_bases() -> None:
    for base in list(_open_bases):
        base.shutdown()
