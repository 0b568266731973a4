"""The actors' loop as a guest in a running asyncio loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from queue import SimpleQueue
from threading import get_ident
from typing import TYPE_CHECKING, Any

from actors.bases.drivers import Driver, get_within
from actors.bases.reactor import Events

if TYPE_CHECKING:
    from actors.bases.cell import ActorCell

INLINE_TURNS = 4
"""Turns in a row before other callbacks of the asyncio loop get theirs: a request, its handler, its answer fit in."""

LOOK_S = 0.00005
"""So long the loop looks at its own descriptors before it lets others have a turn: a turn of asyncio's takes a fifth
of it, in which nobody looks."""


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
        self._looks_until: float | None = None
        self._look: asyncio.Handle | None = None
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

    def _turn(self, polls: bool, events: Events = ()) -> None:
        """Run turns and what the program wants called after them; what that sends goes out before anybody waits.

        Only the first turn after the watched descriptor became readable polls, unless it is given what there is: the
        asyncio loop has looked, or will.
        """
        base = self.base
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if polls:
            self._may_hurry = True
            self._looks_until = None
            base.lookout.woken(base.now())
        self._is_busy = True
        try:
            for _ in range(INLINE_TURNS):
                if base.closed:
                    return
                if polls and not events:
                    base.turn(0.0)
                else:
                    base.turn_on(events)
                polls, events = False, ()
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
        base.lookout.acted()
        self._is_busy = True
        try:
            call()
            base.turn_on(())
        finally:
            self._is_busy = False
            if not base.closed:
                self._arm()
        return True

    def hand(self, cell: ActorCell, message: Any, sender: Any, again: bool) -> bool:
        """As :meth:`hurry` for one message; and between two turns, for what the program wants to go out at once."""
        base = self.base
        if base.turning or base.closed or not (self._may_hurry or again):
            return False
        self._may_hurry = False
        if self._is_busy:
            base.hand(cell, message, sender)
            return True
        base.lookout.acted()
        self._is_busy = True
        try:
            base.hand(cell, message, sender)
            if base.ready:
                base.turn_on(())
        finally:
            self._is_busy = False
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
        if base.lookout.is_expecting:
            self._looks_until = base.lookout.rest(base.now())
            if self._looks_until is not None and self._look is None:
                self._look = self._loop.call_soon(self._look_around, context=self._context)

    def _look_around(self) -> None:
        """Look at the actors' descriptors for a while, and let nobody sleep: the asyncio loop does not while something
        waits to be called."""
        self._look = None
        base, until = self.base, self._looks_until
        if base.closed or until is None:
            return
        now = base.now()
        pause_at = now + LOOK_S
        while now < until and now < pause_at:
            if events := base.selector.select(0):
                self._turn(True, events)
                return
            now = base.now()
        if now < until:
            self._look = self._loop.call_soon(self._look_around, context=self._context)
        else:
            self._looks_until = None
            base.lookout.missed(now)

    def _on_timer(self) -> None:
        self._timer = None
        self._turn(False)

    def wait(self, queue: SimpleQueue[Any], timeout_s: float | None) -> Any:
        return get_within(queue, timeout_s)

    def detach(self) -> None:
        for handle in (self._soon, self._timer, self._look):
            if handle is not None:
                handle.cancel()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)

    def finish(self) -> None:
        if not self.base.turning:
            while not self.base.closed:
                self.base.turn(None)
