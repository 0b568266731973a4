"""One handle on both forms of ``P2P``, so that one test says what both do."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from actors import aio
from actors.api import P2P
from core.events import Event
from tests.actors.fake_node import FakeNode

PATIENCE_S = 20.0
"""A test that waits for this has failed; nothing waits for it otherwise."""


class Form:
    """``P2P`` for threads, as it is."""

    name = "threads"

    def __init__(
        self, *args: Any, node_class: type[Any] = FakeNode, one_handler_at_a_time: bool = False, **options: Any
    ) -> None:
        self.p2p = self.make(one_handler_at_a_time, *args, node_class=node_class, **options)

    def make(self, one_handler_at_a_time: bool, *args: Any, **options: Any) -> Any:
        return P2P(*args, **options)  # handlers of this form run one at a time anyway

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call where the form wants to be called, and wait if it has to be waited for."""
        return function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.p2p, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: self.run(found, *args, **kwargs)

    def emit(self, *events: Event, procedure: str = "fake/emit") -> Any:
        """Let the node have these events; returns how many were subscribed."""
        return self.request(procedure, pickle.dumps(list(events))).json()

    def replies(self) -> list[Any]:
        """The answers to incoming requests that arrived at the peer."""
        replies: list[Any] = self.request("fake/replies").json()
        return replies

    def log(self) -> list[str]:
        """What the node received."""
        log: list[str] = self.request("fake/log").json()
        return log

    def async_handler(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The function as a handler in the style of the form."""
        return function

    def close(self) -> None:
        self.p2p.stop()


class AsyncForm(Form):
    """``aio.P2P`` in a loop that runs in a thread of the test."""

    name = "asyncio"

    def __init__(self, *args: Any, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="test-loop")
        self.thread.start()
        try:
            super().__init__(*args, **options)
        except BaseException:
            self._end_loop()
            raise

    def make(self, one_handler_at_a_time: bool, *args: Any, **options: Any) -> Any:
        return aio.P2P(*args, max_handler_tasks=1 if one_handler_at_a_time else 64, **options)

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async def call() -> Any:
            result = function(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(PATIENCE_S)

    def async_handler(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        async def handler(item: Any) -> Any:
            await asyncio.sleep(0)
            return function(item)

        return handler

    def close(self) -> None:
        try:
            self.run(self.p2p.stop)
        finally:
            self._end_loop()

    def _end_loop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE_S)
        self.loop.close()


class ProcessForm(Form):
    """``P2P`` for threads, every actor in a process of its own."""

    def make(self, one_handler_at_a_time: bool, *args: Any, **options: Any) -> Any:
        return super().make(one_handler_at_a_time, *args, **{"system": "multiprocess", **options})


class AsyncProcessForm(AsyncForm):
    """``aio.P2P``, every actor in a process of its own."""

    def make(self, one_handler_at_a_time: bool, *args: Any, **options: Any) -> Any:
        return super().make(one_handler_at_a_time, *args, **{"system": "multiprocess", **options})


FORMS: dict[str, type[Form]] = {"threads": Form, "asyncio": AsyncForm}

PROCESS_FORMS: dict[str, type[Form]] = {"threads, processes": ProcessForm, "asyncio, processes": AsyncProcessForm}


class Seen:
    """A handler that keeps what it gets, for a test that waits for it."""

    def __init__(self, answer: Callable[[Any], Any] | None = None) -> None:
        self._items: SimpleQueue[Any] = SimpleQueue()
        self._answer = answer

    def __call__(self, item: Any) -> Any:
        self._items.put(item)
        return self._answer(item) if self._answer is not None else None

    def next(self) -> Any:
        """The next item, whenever it comes."""
        return self._items.get(timeout=PATIENCE_S)

    @property
    def is_empty(self) -> bool:
        return self._items.empty()
