"""Is a script deterministic? Run it twice and find the first line in which the two histories differ.

    check_determinism(script, seed=7)

``script`` gets a fresh :class:`~actors.bases.sim_nodes.Simulation` and does with it what it likes. What differs between
two runs in one process is state that outlives a simulation, the clock, or entropy that is not the simulation's. What
differs between processes (the order of a set of texts, which ``PYTHONHASHSEED`` decides) shows when the digest that
this returns is compared: :mod:`tests.sim.test_determinism` does.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from actors.bases.sim_nodes import Simulation
from actors.bases.sim_trace import Names
from core.errors import EnsembleError

CONTEXT_LINES = 20


class NotDeterministic(EnsembleError):
    """Two runs of one script with one seed differ. ``line`` counts from 0; the texts are None beyond a run's end."""

    def __init__(self, line: int, first: str | None, second: str | None, before: list[str]) -> None:
        context = "\n".join(f"    {text}" for text in before)
        super().__init__(
            f"the runs differ at line {line} of the trace\n"
            f"before that, in both:\n{context}\n"
            f"first run:  {'the end' if first is None else first}\n"
            f"second run: {'the end' if second is None else second}"
        )
        self.line = line
        self.first = first
        self.second = second


class _Recorder:
    """Keeps a trace, a hundredth of its size."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def __call__(self, lines: list[str]) -> None:
        self._pieces.append(zlib.compress("\n".join(lines).encode(), 1))

    def __len__(self) -> int:
        return len(self._pieces)

    def lines(self, piece: int) -> list[str]:
        return zlib.decompress(self._pieces[piece]).decode().split("\n") if 0 <= piece < len(self._pieces) else []


class _Comparer:
    """Gets the second trace and stops at the first difference to the first one."""

    def __init__(self, first: _Recorder) -> None:
        self._first = first
        self._piece = 0
        self._count = 0
        self._tail: list[str] = []
        self._has_differed = False
        self._names = Names()

    def __call__(self, lines: list[str]) -> None:
        if self._has_differed:
            return
        other = self._first.lines(self._piece)
        self._piece += 1
        if lines != other:
            self._differ(other, lines)
        self._names.learn(lines)
        self._count += len(lines)
        self._tail = lines[-CONTEXT_LINES:]

    def finish(self) -> None:
        """The second run is over; so was the first, if they are the same."""
        rest = self._first.lines(self._piece)
        if rest:
            self._differ(rest, [])

    def _differ(self, first: list[str], second: list[str]) -> None:
        self._has_differed = True
        place = 0
        while place < min(len(first), len(second)) and first[place] == second[place]:
            place += 1
        self._names.learn(first[:place])
        before = [self._names.read(line) for line in [*self._tail, *first[:place]][-CONTEXT_LINES:]]
        raise NotDeterministic(self._count + place, self._at(first, place), self._at(second, place), before)

    def _at(self, lines: list[str], place: int) -> str | None:
        return self._names.read(lines[place]) if place < len(lines) else None


def check_determinism(script: Callable[[Simulation], object], seed: int | str = 0, **options: Any) -> str:
    """Run ``script`` twice and return the digest. Raises NotDeterministic, and whatever the script raises.

    ``options`` are those of :class:`~actors.bases.sim_nodes.Simulation`.
    """
    recorder = _Recorder()
    digest = _run(script, seed, recorder, options)
    comparer = _Comparer(recorder)
    again = _run(script, seed, comparer, options)
    comparer.finish()
    if again != digest:
        raise EnsembleError(f"the traces are equal and the digests are not: {digest} and {again}")
    return digest


def _run(script: Callable[[Simulation], object], seed: int | str, keep: Any, options: dict[str, Any]) -> str:
    with Simulation(seed, keep_trace=keep, **options) as sim:
        script(sim)
        return sim.digest()
