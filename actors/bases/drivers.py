"""Who runs the loop: a thread of its own, the thread that waits for an answer, or an asyncio loop."""

from __future__ import annotations

import abc
import asyncio
import atexit
import contextvars
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.bases.inproc import InProcessBase

log = logging.getLogger(__name__)

JOIN_LIMIT_S = 10.0
"""How long shutdown waits for the loop's thread: a handler that never returns cannot be ended from outside."""
INLINE_TURNS = 4
"""Turns in a row before other callbacks of the asyncio loop get theirs: a request, its handler, its answer fit in."""
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

    def detach(self) -> None:  # noqa: B027 - not every driver needs it
        """The system is closing its descriptors. In the loop."""

    def finish(self) -> None:  # noqa: B027 - not every driver needs it
        """The system was asked to stop from within the loop's thread: see it through if possible."""

    def join(self) -> None:  # noqa: B027 - not every driver needs it
        """Wait, within bounds, for what :meth:`start` started. Not in the loop."""

    def run_until(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        raise RuntimeError('only a base with drive="caller" is run by its caller')


def _get(queue: SimpleQueue[Any], timeout_s: float | None) -> Any:
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
                self.base.turn(None)
            except KeyboardInterrupt:
                log.error("a handler raised KeyboardInterrupt: ignored in the loop's own thread")

    def in_loop(self) -> bool:
        return get_ident() == self._thread.ident

    def wait(self, queue: SimpleQueue[Any], timeout_s: float | None) -> Any:
        return _get(queue, timeout_s)

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
            item = _get(queue, timeout_s)
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


class AsyncioDriver(Driver):
    """A guest in a running asyncio loop: one watched descriptor (the selector's own) and one timer.

    Turns run as callbacks of that loop, each bounded, so its other tasks get their share.
    """

    def start(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError('drive="asyncio" needs a running asyncio loop: create the base inside it') from None
        fileno = getattr(self.base.selector, "fileno", None)
        if fileno is None:
            raise RuntimeError(
                f'drive="asyncio" needs a selector that can be watched itself (epoll, kqueue); '
                f'{type(self.base.selector).__name__} cannot: use drive="thread"'
            )
        self._ident = get_ident()
        self._context = contextvars.copy_context()  # of the program, not of whichever of its tasks sends something
        self._calls: list[Callable[[], None]] = []
        self._may_hurry = True
        self._is_looking = False
        self._looks_until = 0.0
        self._is_busy = False
        self._soon: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: float | None = None
        self._fd: int = fileno()
        self._loop.add_reader(self._fd, self._turn, True)
        self.base.sleeping = True

    def in_loop(self) -> bool:
        # Once the asyncio loop has ended nobody else runs ours: any thread may, to shut down.
        return get_ident() == self._ident or self._loop.is_closed()

    def wake(self) -> None:
        if self.in_loop():
            self._turn_soon()
        else:
            self.base.waker.wake()

    def after_turn(self, call: Callable[[], None]) -> None:
        self._calls.append(call)
        if not self.base.turning:
            self._turn_soon()

    def _turn_soon(self) -> None:
        if self._soon is None and not self._loop.is_closed():
            self._soon = self._loop.call_soon(self._turn, False, context=self._context)

    def _turn(self, polls: bool) -> None:
        """Run turns and what the program wants called after them; what that sends goes out before anybody waits.

        Only the first turn after the watched descriptor became readable polls: the asyncio loop has looked, or will.
        """
        base = self.base
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._may_hurry = self._may_hurry or polls
        self._is_busy = True
        try:
            for _ in range(INLINE_TURNS):
                if base.closed:
                    return
                if polls:
                    base.turn(0.0)
                    polls = False
                else:
                    base.turn_without_poll()
                if self._calls:
                    calls, self._calls = self._calls, []
                    for call in calls:
                        call()
                if not base.busy:
                    return
        finally:
            self._is_busy = False
            if not base.closed:
                self._arm()

    def hurry(self, call: Callable[[], None], again: bool) -> bool:
        """Once after each look at the sockets, or when ``again`` says that enough has come together: who asks again as
        soon as it was answered need not wait for the next turn. (One request at a time: 30 us of 300.)"""
        base = self.base
        if not (self._may_hurry or again) or self._is_busy or base.closed or not self.in_loop():
            return False
        self._may_hurry = False
        self._is_busy = True
        base.incoming.append((None, call, None))
        try:
            base.turn_without_poll()
        finally:
            self._is_busy = False
            if not base.closed:
                self._arm()
        return True

    def _arm(self) -> None:
        base = self.base
        base.sleeping = True  # before the last look at what was posted, see post()
        if base.busy or self._calls:
            base.sleeping = False
            self._turn_soon()
            return
        due = base.next_due()
        if self._timer is not None and due != self._timer_due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and due is not None:
            self._timer_due = due
            self._timer = self._loop.call_at(
                self._loop.time() + max(due - base.now(), 0.0), self._on_timer, context=self._context
            )
        if base.busy_poll_s:
            self._looks_until = base.now() + base.busy_poll_s
            if not self._is_looking:
                self._is_looking = True
                self._loop.call_soon(self._look_again, context=self._context)

    def _look_again(self) -> None:
        """While something waits to be called, the asyncio loop looks at its descriptors and does not sleep."""
        base = self.base
        self._is_looking = not base.closed and base.now() < self._looks_until
        if self._is_looking:
            self._loop.call_soon(self._look_again, context=self._context)

    def _on_timer(self) -> None:
        self._timer = None
        self._turn(False)

    def wait(self, queue: SimpleQueue[Any], timeout_s: float | None) -> Any:
        return _get(queue, timeout_s)

    def detach(self) -> None:
        for handle in (self._soon, self._timer):
            if handle is not None:
                handle.cancel()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)

    def finish(self) -> None:
        if not self.base.turning:
            while not self.base.closed:
                self.base.turn(None)


def make_driver(drive: str, base: InProcessBase) -> Driver:
    """Return the driver called ``drive``. Raises ValueError for an unknown name."""
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
