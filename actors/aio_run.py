"""One run of a node for asyncio programs: everything happens in the caller's loop, nothing in a thread.

The actors are guests of the loop; what the node says comes in as a callback, which ends calls and queues events.
Handlers get the events as soon as the actors have done what they are at, without another turn of the loop: plain
functions are called, coroutine functions become tasks of their own.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import math
from collections import deque
from collections.abc import Awaitable
from typing import Any, Generic, NamedTuple, TypeVar

from actors.client import Client, ClientCounters, SendWindow
from actors.commands import CALL_TIMEOUT_S, STOP, Command, checked_answer, silence
from actors.event_queue import EventQueue, Item, is_payload
from actors.incoming import IncomingRequest
from actors.listeners import Listeners, Registration
from actors.session import Place, System, open_session
from core import messages as m
from core.config import NodeConfig
from core.errors import EnsembleError, NotActive, SendFailed

_log = logging.getLogger("ensemble")

CHUNK = 64
"""Events handled before the loop's other tasks get a turn."""

REQUESTS_TOGETHER = 32
"""Requests handled before their answers go out: the other side works on these while we work on the next."""

STOP_SHARE = 0.8
"""Share of stop()'s time that the node itself gets; the rest is for the handlers."""

SWEEP_S = 1.0
"""How often open calls are looked through for those that the node has forgotten."""

VALUES = frozenset({bytes, str, int, float, bool, dict, list, tuple, type(None)})
"""What handlers return mostly, and what is surely no coroutine: asking ``inspect`` takes 1 us."""

CANCEL_LIMIT_S = 1.0
"""How long a cancelled handler may take to clean up."""

A = TypeVar("A", bound=m.Query)
T = TypeVar("T")


class Unstarted(NamedTuple):
    """A handler has returned a coroutine, and it was not its turn yet."""

    item: Item
    entry: Registration
    awaitable: Awaitable[object]


class AsyncRun:
    """Made by ``start()``, thrown away by ``stop()``. Belongs to the loop it was made in."""

    def __init__(
        self,
        config: NodeConfig,
        listeners: Listeners,
        counters: ClientCounters,
        system: System | Place,
        node_class: type[Any],
        max_handler_tasks: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._context = contextvars.copy_context()  # handlers do not see those of other tasks and handlers
        self._listeners = listeners
        self._counters = counters
        self._max_tasks = max_handler_tasks
        self._tasks: dict[asyncio.Task[None], Registration] = {}
        self._chunk: list[Item] = []  # taken from the queue, the oldest last
        self._unstarted: deque[Unstarted] = deque()  # coroutines for which no task was free
        self._is_handling = self._is_draining = False
        self._window = SendWindow()
        self._marks: deque[asyncio.Future[m.Query]] = deque()
        self._posting = asyncio.Lock()
        self._backstops: dict[int, tuple[float, float, Command[Any]]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweeps_at = math.inf
        self.client = Client(config, listeners, counters, self._handle_soon)
        self._session = open_session(system, "asyncio", node_class, self.client.on_message, config)
        self.client.attach(self._session)

    # -- calls

    async def ask(self, command: Command[A], timeout_s: float | None = None) -> A:
        """Send a command and wait for its answer. Raises what the node answered with, or EnsembleError for silence."""
        patience_s = command.timeout_s if timeout_s is None else timeout_s
        message = command.message
        future: asyncio.Future[m.Query] = self._loop.create_future()
        number = self.client.call(message, future, hurry=type(message) is m.SendRequest)
        deadline = self._time() + patience_s
        self._backstops[number] = (deadline, patience_s, command)
        if self._sweeps_at > deadline:
            self._sweep_by(deadline)
        try:
            answer: Any = await future
            return answer if type(answer) is command.answer else checked_answer(command, answer)
        finally:
            del self._backstops[number]
            if future.cancelled():  # with its caller
                self.client.calls.forget(number)

    def _sweep_by(self, deadline: float) -> None:
        """One timer for all calls: a timer each would cost a request more than its message does."""
        deadline = min(deadline, self._time() + SWEEP_S)
        if self._sweeper is not None:
            if self._sweeps_at <= deadline:
                return
            self._sweeper.cancel()
        self._sweeps_at = deadline
        self._sweeper = self._loop.call_at(deadline, self._sweep)

    def _sweep(self) -> None:
        """End the calls that the node has forgotten."""
        self._sweeper, self._sweeps_at = None, math.inf
        now = self._time()
        for number, (deadline, patience_s, command) in sorted(self._backstops.items(), key=lambda item: item[1][0]):
            if now >= deadline:
                self.client.calls.fail(number, silence(command, patience_s))
            else:
                self._sweep_by(deadline)

    def post_at_once(self, message: m.SendMessage | m.BroadcastMessage) -> bool:
        """:meth:`post` for when it need not wait. False: it has to, and nothing was sent."""
        size = len(message.data or b"")
        is_full = len(self._marks) >= SendWindow.OPEN_MARKS and not self._marks[0].done()
        if self._posting.locked() or (is_full and self._window.will_be_due(size)):
            return False
        peer_id = message.peer_id if type(message) is m.SendMessage else None
        if not self._window.is_due(size):
            self.client.send(message, peer_id)
            return True
        if len(self._marks) >= SendWindow.OPEN_MARKS:
            _raise_if_stopped(self._marks.popleft())
        mark: asyncio.Future[m.Query] = self._loop.create_future()
        mark.add_done_callback(_take_notice)
        self.client.call(message, mark)
        self._marks.append(mark)
        return True

    async def post(self, message: m.SendMessage | m.BroadcastMessage) -> None:
        """Send without waiting for the answer, at the speed at which the node takes messages (see SendWindow)."""
        if self.post_at_once(message):
            return
        async with self._posting:  # one after the other, in order
            while len(self._marks) >= SendWindow.OPEN_MARKS:
                mark = self._marks.popleft()
                await asyncio.wait((mark,), timeout=CALL_TIMEOUT_S)
                if not mark.done():
                    raise SendFailed(f"the node has not taken messages for {CALL_TIMEOUT_S:g} s")
                _raise_if_stopped(mark)
        await self.post(message)

    # -- life

    def start_handlers(self) -> None:
        """Begin to run handlers, first for what has happened since the start."""
        self._is_handling = True
        self._loop.call_soon(self._run_handlers, context=self._context)

    @property
    def is_handler_task(self) -> bool:
        """Whether a handler is calling."""
        return asyncio.current_task() in self._tasks

    async def close(self, deadline: float) -> str:
        """Stop the node and end everything, by ``deadline`` (loop time). Returns what went wrong, or ""."""
        problem = ""
        self._is_draining = True
        try:
            await self.ask(STOP, max(0.0, deadline - self._loop.time()) * STOP_SHARE)
        except EnsembleError as error:
            problem = str(error)
        finally:
            self.client.close()
            if self._sweeper is not None:
                self._sweeper.cancel()
            await self._session.aclose()
            problem = await self._end_handlers(deadline) or problem
        return problem

    async def _end_handlers(self, deadline: float) -> str:
        """Let handlers have what still waits for them (no payloads: those are discarded by now), then end them."""
        current = asyncio.current_task()
        while self._has_events() and self._loop.time() < deadline:
            others = {task for task in self._tasks if task is not current}
            if not self._unstarted:
                self._run_handlers()
                await asyncio.sleep(0)
            elif others:
                left_s = max(0.0, deadline - self._loop.time())
                await asyncio.wait(others, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            else:
                break  # the only task is the one that stops the node
        self._is_handling = False
        while self._unstarted:
            _discard(self._unstarted.popleft().awaitable)
        waiting = {task for task in self._tasks if task is not current}
        names = ", ".join(sorted({self._tasks[task].label for task in waiting}))
        if not await self._end(waiting, deadline):
            return f"handlers did not return and were cancelled: {names}"
        return ""

    async def _end(self, tasks: set[asyncio.Task[None]], deadline: float) -> bool:
        """Wait for tasks, then cancel them. Whether all ended by themselves."""
        if not tasks:
            return True
        _, late = await asyncio.wait(tasks, timeout=max(0.0, deadline - self._loop.time()))
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CANCEL_LIMIT_S)
        return not late

    # -- handlers

    def _handle_soon(self) -> None:
        """Events wait, and the actors are at work: handlers get them in the same turn of the loop, after the actors."""
        if self._is_handling:
            self._session.after_turn(self._run_handlers)

    def _has_events(self) -> bool:
        return self._is_handling and bool(self._unstarted or self._chunk or len(self.client.queue))

    def _run_handlers(self) -> None:
        """Give events to handlers, in order; the rest later, if it is many or a coroutine waits for a free task."""
        if not self._is_handling or self._unstarted:
            return
        chunk = self._chunk
        if not chunk:
            chunk = self._chunk = self.client.queue.take(CHUNK)
            chunk.reverse()
        answers = REQUESTS_TOGETHER
        was_pending = self.client.hold_back()
        try:
            while chunk and answers:
                answers -= type(chunk[-1]) is IncomingRequest
                self._handle(chunk.pop())  # not kept: a request nobody keeps is refused when it goes away
                if self._unstarted:
                    return
        finally:
            self.client.let_go(was_pending, again=True)
        if chunk or len(self.client.queue):
            self._session.after_turn(self._run_handlers)

    def _handle(self, item: Item) -> None:
        if self._is_draining and is_payload(item):
            self._counters.events_dropped_total += 1
            return
        for entry in self._listeners.claim(item):
            try:
                result = entry.handler(item)
            except Exception as error:
                self._listeners.raised(item, entry, error)
                continue
            if result is None and not entry.is_procedure:
                continue
            if type(result) not in VALUES and inspect.isawaitable(result):
                self._unstarted.append(Unstarted(item, entry, result))
                self._start_tasks()
            else:
                self._listeners.returned(item, entry, result)

    def _start_tasks(self) -> None:
        while self._unstarted and len(self._tasks) < self._max_tasks:
            item, entry, awaitable = self._unstarted.popleft()
            task = self._loop.create_task(self._finish(item, entry, awaitable), name=f"ensemble-handler-{entry.label}")
            self._tasks[task] = entry
            task.add_done_callback(self._forget, context=self._context)

    async def _finish(self, item: Item, entry: Registration, awaitable: Awaitable[object]) -> None:
        try:
            result = await awaitable
        except Exception as error:
            self._listeners.raised(item, entry, error)
        else:
            was_pending = self.client.hold_back()  # if it is the only one that returns now, its answer goes out at once
            try:
                self._listeners.returned(item, entry, result)
            finally:
                self.client.let_go(was_pending, again=False)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if self._unstarted:
            self._start_tasks()
            self._run_handlers()


def _discard(awaitable: Awaitable[object]) -> None:
    """A coroutine that will not be run any more says so unless it is closed."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


def _raise_if_stopped(mark: asyncio.Future[m.Query]) -> None:
    error = mark.exception()
    if isinstance(error, NotActive):
        raise error


def _take_notice(future: asyncio.Future[m.Query]) -> None:
    """An error of a message nobody waits for is reported as an event, not as a forgotten future."""
    if not future.cancelled():
        future.exception()


class AsyncEventStream(Generic[T]):
    """Events as they come: ``async for``, or ``await get()`` one at a time. For one consumer; made by ``P2P.events``.

    It collects from the moment it is made until :meth:`close` (or the end of its ``async with`` block, or ``stop()``),
    with the bounds of ``max_subscriber_queue_events``.
    """

    def __init__(self, queue: EventQueue, listeners: Listeners, names: frozenset[str]) -> None:
        self._queue = queue
        self._listeners = listeners
        self._changed = asyncio.Event()
        self._is_closed = False
        listeners.add_sink(names, self)

    async def __aenter__(self) -> AsyncEventStream[T]:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def __aiter__(self) -> AsyncEventStream[T]:
        return self

    async def __anext__(self) -> T:
        """The next event. Raises StopAsyncIteration when the stream is closed and empty."""
        item = await self._next()
        if item is None:
            raise StopAsyncIteration
        return item

    async def get(self, timeout_s: float | None = None) -> T:
        """The next event. Raises TimeoutError after ``timeout_s``, NotActive when the stream is closed and empty."""
        try:
            async with asyncio.timeout(timeout_s):
                item = await self._next()
        except TimeoutError:
            raise TimeoutError(f"no event within {timeout_s:g} s") from None
        if item is None:
            raise NotActive("the event stream is closed")
        return item

    @property
    def dropped_total(self) -> int:
        """Events lost because this stream was read too slowly."""
        return self._queue.dropped_total

    def close(self) -> None:
        """Collect no more. What has been collected can still be read."""
        self._listeners.remove_sink(self)
        self._is_closed = True
        self._changed.set()

    def push(self, items: list[Item]) -> None:
        """Take in events."""
        if self._queue.put(items):
            self._changed.set()

    async def _next(self) -> T | None:
        while True:
            if taken := self._queue.take(1):
                item: Any = taken[0]
                return item  # type: ignore[no-any-return]
            if self._is_closed:
                return None
            self._changed.clear()
            await self._changed.wait()
