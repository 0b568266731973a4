"""What happened, as text lines and as one SHA-256 over them: two runs are the same if their digests are.

A line names what was delivered, by whom, to whom and when; no payloads. Those of one node's actors would double the
cost of a run, and the raw bytes of a link differ from run to run whatever the seed: RFC 6455 wants the masks of frames
to be unpredictable, and the websockets library takes them from the operating system. Their number does not differ, and
is in the trace.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

from actors.bases.reactor import WATCH_TOKEN
from actors.bases.sim_time import TICKS_PER_S, VirtualClock
from core.messages import EventBatch

TRACE_BATCH = 2048
"""Lines are hashed about so many at a time."""


class LineSink(Protocol):
    """Keeps the whole trace: a list's ``extend``, for one."""

    def __call__(self, lines: list[str], /) -> object: ...


class Trace:
    """The running digest. ``keep``, if given, gets every line too (costs memory or disk, changes nothing)."""

    def __init__(self, clock: VirtualClock, keep: LineSink | None = None) -> None:
        self._clock = clock
        self._keep = keep
        self._hash = hashlib.sha256()
        self.lines: list[str] = []
        """Those not hashed yet."""
        self._before: list[str] = []
        self.instant = -1.0
        """That of the last line."""
        self.count = 0
        """Lines so far."""

    def stamp(self) -> None:
        """Add the instant, if it has changed since the last line. Whoever appends to ``lines`` calls it before."""
        now = self._clock.now
        if now != self.instant:
            self.instant = now
            self.lines.append(f"@{int(now * TICKS_PER_S)}")

    def note(self, line: str) -> None:
        """Add a line."""
        lines, now = self.lines, self._clock.now
        if now != self.instant:
            self.instant = now
            lines.append(f"@{int(now * TICKS_PER_S)}")
        lines.append(line)
        if len(lines) >= TRACE_BATCH:
            self.flush()

    def flush(self) -> None:
        """Hash, and hand on, what has been collected."""
        lines = self.lines[:]
        if lines:
            self.lines.clear()  # the list itself stays: the base holds its append
            self._before = lines
            self.count += len(lines)
            self._hash.update(("\n".join(lines) + "\n").encode())
            if self._keep is not None:
                self._keep(lines)

    def recent(self, count: int) -> list[str]:
        """The last lines, up to ``count`` (2,000 at most), with the instants between them."""
        return (self._before + self.lines)[-count:]

    def digest(self) -> str:
        """SHA-256 over all lines so far, hex."""
        self.flush()
        return self._hash.hexdigest()


def line_of(message: Any, sender: Any, cell: Any) -> str:
    """The line of the trace for a message that is delivered."""
    kind = type(message)
    if kind is EventBatch:
        events = message.events
        names = type(events[0]).__name__ if len(events) == 1 else ",".join([type(event).__name__ for event in events])
        what = f"EventBatch {names}"
    elif message is WATCH_TOKEN:
        what = "WatchReady"
    else:
        what = kind.__name__
    try:
        return f"{sender.cell.label} > {cell.label} {what}"
    except AttributeError:  # somebody outside the actors
        return f"{label_of(sender)} > {label_of(cell.address)} {what}"


def label_of(address: Any) -> str:
    """The name of an address in a trace: without the system's own, which counts the systems of this process."""
    label: str | None = getattr(getattr(address, "cell", None), "label", None)
    return label if label is not None else str(address.addressDetails).partition("/")[2] or "system"
