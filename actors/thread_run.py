"""One run of a node for programs with threads: its session, its handler thread, its blocking calls.

Two threads come into being. The actors' own thread takes in what the node says: it ends calls and queues events, and
never runs a line of the program. The handler thread runs the program's handlers one after the other, in order. So a
handler may call anything, ``request()`` and ``stop()`` too: the answer does not come through the handler thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

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

CHUNK = 256
"""Events that the handler thread takes at a time; a full queue cannot drop these any more."""

STOP_SHARE = 0.8
"""Share of stop()'s time that the node itself gets; the rest is for the actor system and the handler thread."""

MIN_CLOSE_S = 0.1
"""What the actor system and the handler thread get even if the time is up: they usually need a millisecond."""

A = TypeVar("A", bound=m.Query)
T = TypeVar("T")


class ThreadRun:
    """Made by ``start()``, thrown away by ``stop()``."""

    def __init__(
        self,
        config: NodeConfig,
        listeners: Listeners,
        counters: ClientCounters,
        system: System | Place,
        node_class: type[Any],
    ) -> None:
        self._listeners = listeners
        self._counters = counters
        self._wakeups: SimpleQueue[bool] = SimpleQueue()  # True: there are events; False: end
        self._is_draining = False
        self._handling: Registration | None = None
        self._thread = threading.Thread(target=self._handle_events, name="ensemble-handlers", daemon=True)
        self._window = SendWindow()
        self._marks: deque[Future[m.Query]] = deque()
        self._posting = threading.Lock()
        self.client = Client(config, listeners, counters, lambda: self._wakeups.put(True))
        self._session = open_session(system, "thread", node_class, self.client.on_message, config)
        self.client.attach(self._session)

    # -- calls

    def ask(self, command: Command[A], timeout_s: float | None = None) -> A:
        """Send a command and wait for its answer. Raises what the node answered with, or EnsembleError for silence."""
        patience_s = command.timeout_s if timeout_s is None else timeout_s
        future: Future[m.Query] = Future()
        number = self.client.call(command.message, future)
        try:
            answer = future.result(patience_s)
        except TimeoutError:
            if future.done() or not self.client.calls.forget(number):
                return checked_answer(command, future.result())  # it came at the last moment, or is a TimeoutError
            raise silence(command, patience_s) from None
        except BaseException:
            self.client.calls.forget(number)
            raise
        return checked_answer(command, answer)

    def post(self, message: m.SendMessage | m.BroadcastMessage) -> None:
        """Send without waiting for the answer, at the speed at which the node takes messages (see SendWindow)."""
        with self._posting:
            if not self._window.is_due(len(message.data or b"")):
                self.client.send(message, message.peer_id if type(message) is m.SendMessage else None)
                return
            while len(self._marks) >= SendWindow.OPEN_MARKS:
                self._await_mark(self._marks.popleft())
            mark: Future[m.Query] = Future()
            self.client.call(message, mark)
            self._marks.append(mark)

    def _await_mark(self, mark: Future[m.Query]) -> None:
        try:
            error = mark.exception(CALL_TIMEOUT_S)
        except TimeoutError:
            raise SendFailed(f"the node has not taken messages for {CALL_TIMEOUT_S:g} s") from None
        if isinstance(error, NotActive):
            raise error

    # -- life

    def start_handlers(self) -> None:
        """Begin to run handlers, first for what has happened since the start."""
        self._thread.start()

    @property
    def is_handler_thread(self) -> bool:
        """Whether a handler is calling."""
        return threading.current_thread() is self._thread

    def close(self, deadline: float) -> str:
        """Stop the node and end everything, by ``deadline`` (monotonic time). Returns what went wrong, or ""."""
        problem = ""
        self._is_draining = True
        try:
            self.ask(STOP, max(0.0, deadline - time.monotonic()) * STOP_SHARE)
        except EnsembleError as error:
            problem = str(error)
        finally:
            self.client.close()
            has_closed = self._session.close_within(max(MIN_CLOSE_S, deadline - time.monotonic()))
            self._wakeups.put(False)
        stuck = self._join(max(deadline, time.monotonic() + MIN_CLOSE_S))
        return problem or ("" if has_closed else "an actor does not end") or stuck

    def _join(self, deadline: float) -> str:
        if self._thread.ident is None or self.is_handler_thread:
            return ""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if not self._thread.is_alive():
            return ""
        entry = self._handling
        return f"a handler of {entry.name} did not return: {entry.label}" if entry else "handlers still run"

    # -- the handler thread

    def _handle_events(self) -> None:
        while self._wakeups.get():
            while chunk := self.client.queue.take(CHUNK):
                chunk.reverse()
                while chunk:
                    self._handle(chunk.pop())  # not kept: a request nobody keeps is refused when it goes away

    def _handle(self, item: Item) -> None:
        if self._is_draining and is_payload(item):
            self._counters.events_dropped_total += 1
            return
        for entry in self._listeners.claim(item):
            self._handling = entry
            try:
                result = entry.handler(item)
            except BaseException as error:  # the end of a thread: whatever a handler raises must not end the others
                self._listeners.raised(item, entry, error)
            else:
                if type(item) is IncomingRequest:
                    self._listeners.returned(item, entry, result)
        self._handling = None


class EventStream(Generic[T]):
    """Events as they come: iterate over it, or :meth:`get` one at a time. For one consumer; made by ``P2P.events``.

    It collects from the moment it is made until :meth:`close` (or the end of its ``with`` block, or ``stop()``), with
    the bounds of ``max_subscriber_queue_events``. It does not pass through the handler thread, so handlers may use it.
    """

    def __init__(self, queue: EventQueue, listeners: Listeners, names: frozenset[str]) -> None:
        self._queue = queue
        self._listeners = listeners
        self._changed = threading.Condition()
        self._is_closed = False
        listeners.add_sink(names, self)

    def __enter__(self) -> EventStream[T]:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> EventStream[T]:
        return self

    def __next__(self) -> T:
        """The next event. Raises StopIteration when the stream is closed and empty."""
        item = self._next(None)
        if item is None:
            raise StopIteration
        return item

    def get(self, timeout_s: float | None = None) -> T:
        """The next event. Raises TimeoutError after ``timeout_s``, NotActive when the stream is closed and empty."""
        item = self._next(timeout_s)
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
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def push(self, items: list[Item]) -> None:
        """Take in events (the actors' thread)."""
        if self._queue.put(items):
            with self._changed:
                self._changed.notify_all()

    def _next(self, timeout_s: float | None) -> T | None:
        while True:
            if taken := self._queue.take(1):
                item: Any = taken[0]
                return item  # type: ignore[no-any-return]
            with self._changed:
                if not self._changed.wait_for(lambda: len(self._queue) > 0 or self._is_closed, timeout_s):
                    raise TimeoutError(f"no event within {timeout_s:g} s")
                if not len(self._queue):
                    return None
