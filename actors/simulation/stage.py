"""Programs on a simulation's stage: plain functions that may wait, one at a time, in virtual time.

A handler of the threads form of ``P2P`` may call anything, ``request()`` too, and stop where it is until the answer is
there. So each program has a thread of its own here as well, but only one of all threads ever runs: whoever runs the
simulation hands the turn to a program, and gets it back when the program waits or is done. Nothing depends on when the
operating system lets a thread run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core.errors import EnsembleError

if TYPE_CHECKING:
    from actors.bases.sim_nodes import Simulation

Condition = Callable[[], bool]

REAL_LIMIT_S = 60.0
"""Real seconds that a program may keep the turn: one that never gives it back waits for something real."""


class StageClosed(BaseException):
    """The simulation is over: programs that still wait end here. Not an Exception, so that no handler catches it."""


class Player:
    """A program with a thread: ``work()`` is called whenever it gets the turn and is not in the middle of a wait."""

    def __init__(self, stage: Stage, name: str, work: Callable[[], object], *, once: bool = False) -> None:
        self._stage = stage
        self._work = work
        self._once = once
        self._turn = threading.Semaphore(0)
        self._condition: Condition | None = None
        self._is_planned = False
        self._is_ending = False
        self._thread = threading.Thread(target=self._play, name=f"simulated-{name}", daemon=True)
        self._thread.start()

    @property
    def is_me(self) -> bool:
        """Whether the caller is this program."""
        return threading.current_thread() is self._thread

    @property
    def has_ended(self) -> bool:
        """It plays no more."""
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Give it a turn, still at this instant. In the thread of the simulation, or of another program."""
        if not self._is_planned and not self.has_ended:
            self._is_planned = True
            base = self._stage.sim.base
            base.timers.call_at(base.now(), self._run)

    def look(self) -> None:
        """Something has changed: wake it if that is what it waits for."""
        if self._condition is not None and self._condition():
            self.wake()

    def end(self) -> None:
        """Let it play no more: it ends as soon as it does not wait; :meth:`wake` it for that."""
        self._is_ending = True

    def _run(self, _first: Any = None, _second: Any = None) -> None:
        self._is_planned = False
        if not self.has_ended:
            self._stage.hand_over(self)

    def take_turn(self) -> None:
        """For the stage only."""
        self._turn.release()

    # ---- in its own thread

    def wait(self, condition: Condition, timeout_s: float | None) -> bool:
        """Give the turn back until the condition holds; False if that takes longer than ``timeout_s``."""
        base = self._stage.sim.base
        deadline = None if timeout_s is None else base.now() + max(timeout_s, 0.0)
        if deadline is not None and not condition():
            base.timers.call_at(deadline, self._wake_at)
        self._condition = condition
        try:
            while not condition():
                if deadline is not None and base.now() >= deadline:
                    return False
                self._give_back()
            return True
        finally:
            self._condition = None

    def _wake_at(self, _first: Any, _second: Any) -> None:
        if self._condition is not None:
            self.wake()

    def _give_back(self) -> None:
        self._stage.turn_back()
        self._turn.acquire()
        if self._stage.is_closed:
            raise StageClosed

    def _play(self) -> None:
        self._turn.acquire()
        try:
            while not self._stage.is_closed:
                self._work()
                if self._once or self._is_ending:
                    return
                self._give_back()
        except StageClosed:
            return
        except BaseException as error:
            self._stage.error = error  # whoever runs the simulation hears of it
        finally:
            self._stage.leave(self)
            self._stage.turn_back()


class Stage:
    """The turn of one simulation: who has it."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.is_closed = False
        self.error: BaseException | None = None
        self._back = threading.Semaphore(0)
        self._players: dict[Player, None] = {}

    def add(self, name: str, work: Callable[[], object], *, once: bool = False) -> Player:
        """A new program. It does nothing before it is woken."""
        player = Player(self, name, work, once=once)
        self._players[player] = None
        return player

    def leave(self, player: Player) -> None:
        """A program has ended."""
        self._players.pop(player, None)

    def hand_over(self, player: Player) -> None:
        """Let a program play until it waits. Raises what it raised."""
        player.take_turn()
        if not self._back.acquire(timeout=REAL_LIMIT_S):
            raise EnsembleError(
                f"a handler has not given its turn back for {REAL_LIMIT_S:g} real seconds: in a simulation it may only "
                "wait for what the simulation does (time.sleep, sockets and locks of its own are real)"
            )
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def turn_back(self) -> None:
        """The player that has the turn gives it back."""
        self._back.release()

    def changed(self) -> None:
        """Something has changed that programs may wait for."""
        for player in list(self._players):
            player.look()

    def wait(self, condition: Condition, timeout_s: float | None) -> bool:
        """Let virtual time pass until the condition holds; False if that takes longer than ``timeout_s``.

        In a program: others play on. In whoever runs the simulation: it runs. Raises RuntimeError in what can do
        neither, as an action of :meth:`Simulation.at`.
        """
        for player in self._players:
            if player.is_me:
                return player.wait(condition, timeout_s)
        return self.sim.base.run_until(condition, timeout_s)

    def close(self) -> None:
        """End every program, wherever it waits."""
        self.is_closed = True
        for player in list(self._players):
            player.take_turn()
            self._back.acquire(timeout=REAL_LIMIT_S)
