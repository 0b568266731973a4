"""How far a long piece of work is: one line that is written anew on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

from actors.bases.stopwatch import Stopwatch
from core.scenario.units import shown_duration

TERMINAL_EVERY_S = 0.1
ELSEWHERE_EVERY_S = 10.0
BAR = 20


class ProgressLine:
    """Writes to stderr, so that results can be piped. ``is_quiet``: writes nothing."""

    def __init__(self, stream: TextIO | None = None, *, is_quiet: bool = False) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._is_quiet = is_quiet or self._stream is None
        self._is_terminal = not self._is_quiet and self._stream.isatty()
        self._watch = Stopwatch()
        self._next_s = 0.0 if self._is_terminal else ELSEWHERE_EVERY_S

    def virtual(self, label: str, now_s: float, duration_s: float) -> None:
        """A run has come so far."""
        if not self._is_due():
            return
        done = now_s / duration_s if duration_s else 1.0
        bar = "#" * round(done * BAR)
        real = self._watch.wall_s
        left = f", {shown_duration(real / done - real)} to go" if 0.0 < done < 1.0 else ""
        self._write(
            f"{label} [{bar:<{BAR}}] {shown_duration(now_s)} of {shown_duration(duration_s)} virtual, "
            f"{shown_duration(real)} real{left}"
        )

    def runs(self, done: int, total: int, failed: int) -> None:
        """So many runs of a sweep are done."""
        if not self._is_due() and done < total:
            return
        real = self._watch.wall_s
        left = f", {shown_duration(real / done * (total - done))} to go" if 0 < done < total else ""
        self._write(f"{done} of {total} runs done, {failed} failed, {shown_duration(real)} real{left}")

    def text(self, text: str) -> None:
        """Something else."""
        if self._is_due():
            self._write(text)

    def clear(self) -> None:
        """The line is no longer true."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _is_due(self) -> bool:
        if self._is_quiet or self._watch.wall_s < self._next_s:
            return False
        self._next_s = self._watch.wall_s + (TERMINAL_EVERY_S if self._is_terminal else ELSEWHERE_EVERY_S)
        return True

    def _write(self, text: str) -> None:
        if self._is_quiet:
            return
        self._stream.write(f"\r\x1b[K{text[:160]}" if self._is_terminal else f"{text}\n")
        self._stream.flush()
