"""An asyncio event loop in virtual time: tasks, futures, sleeps and time-outs on a simulation's clock.

What asyncio itself is made of works unchanged (tasks, ``sleep``, ``timeout``, ``Queue``, ``Event``, ``TaskGroup``).
Callbacks of one loop keep their order, as asyncio promises. What would need the real world is refused: sockets, threads
and processes raise NotImplementedError or RuntimeError.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from actors.bases.sim_nodes import Simulation

T = TypeVar("T")

_log = logging.getLogger("ensemble")


_Base: Any = asyncio.AbstractEventLoop
"""Its many methods for the real world raise NotImplementedError, which is what they are to do here."""


class VirtualLoop(_Base):  # type: ignore[misc]
    """A loop on a simulation; runs while the simulation does."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._ready: deque[asyncio.Handle] = deque()
        self._is_planned = False
        self._is_running = False
        self._is_closed = False

    # ---- what tasks and futures need

    def time(self) -> float:
        """Virtual seconds since the simulation began."""
        return self._sim.now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """Call at this instant, after everything that was asked for before."""
        if self._is_closed:
            raise RuntimeError("the simulation is over")
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        self._plan()
        return handle

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        """The same: there are no other threads."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call after so many virtual seconds."""
        return self.call_at(self._sim.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at a virtual time."""
        if self._is_closed:
            raise RuntimeError("the simulation is over")
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._sim.base.timers.call_at(when, self._due, handle)
        return handle

    def _due(self, handle: asyncio.TimerHandle, _: Any) -> None:
        if not handle.cancelled() and not self._is_closed:
            self._ready.append(handle)
            self._plan()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio tells of a cancelled timer here; it is looked at when it is due."""

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None, **options: Any
    ) -> asyncio.Task[T]:
        """A task of this loop; it begins at this instant."""
        return asyncio.Task(coro, loop=self, name=name, context=context, **options)

    def get_debug(self) -> bool:
        """No."""
        return False

    def is_running(self) -> bool:
        """Whether one of its callbacks is being called."""
        return self._is_running

    def is_closed(self) -> bool:
        """Whether the simulation is over."""
        return self._is_closed

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A callback or a forgotten task has raised: that is an error in the log, and of the test."""
        _log.error("%s", context.get("message"), exc_info=context.get("exception"))

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """The same."""
        self.call_exception_handler(context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """Refused: a thread would take real time."""
        raise RuntimeError("threads have no place in virtual time; call the function directly")

    async def shutdown_asyncgens(self) -> None:
        """Nothing to do."""

    # ---- running

    def run_until_complete(self, future: Any, limit_s: float | None = None) -> Any:
        """Run the simulation until a coroutine or future is done; return its result.

        Raises what it raises, TimeoutError after ``limit_s`` virtual seconds.
        """
        task = asyncio.ensure_future(future, loop=self)
        if not self._sim.base.run_until(task.done, limit_s):
            task.cancel()
            self._sim.base.run_until(task.done, 0.0)
            raise TimeoutError(f"not done within {limit_s:g} virtual seconds")
        return task.result()

    def close(self) -> None:
        """Call nothing more; tasks that are not done are cancelled."""
        if self._is_closed:
            return
        for task in asyncio.all_tasks(self):
            task.cancel()
        self._drain()
        self._is_closed = True

    def _plan(self) -> None:
        if not self._is_planned and not self._is_running:
            self._is_planned = True
            self._sim.base.timers.call_at(self._sim.now, self._turn)

    def _turn(self, _first: Any, _second: Any) -> None:
        self._is_planned = False
        if not self._is_closed:
            self._drain()

    def _drain(self) -> None:
        """Call everything that is ready, and what becomes ready through it."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        self._is_running = True
        try:
            while self._ready:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            self._is_running = False
            events._set_running_loop(before)
