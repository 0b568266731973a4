"""What happened, as text lines and as one SHA-256 over them: two runs are the same if their digests are.

A line says what was delivered, by whom, to whom and when. Actors and descriptors are numbers there; a line tells the
name of each when it comes into being. That is half the length of a line, and 160 bytes less for each end of a
connection. :class:`Names` puts the names in again.

Payloads are not part of it: those of one node's actors would double the cost of a run, and the raw bytes of a link
differ from run to run whatever the seed: RFC 6455 wants the masks of frames to be unpredictable, and the websockets
library takes them from the operating system. Their number does not differ, and is in the trace.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

from actors.bases.reactor import WATCH_TOKEN
from actors.bases.sim_time import TICKS_PER_S, VirtualClock
from core.messages import EventBatch

TRACE_BATCH = 2048
"""Lines are hashed about so many at a time."""


TELLS = " is "
NET = "net "


class LineSink(Protocol):
    """Keeps the whole trace: a list's ``extend``, for one."""

    def __call__(self, lines: list[str], /) -> object: ...


class Names:
    """What the numbers in a trace stand for, as its lines tell (:meth:`learn`); ``of`` may be filled in otherwise."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def learn(self, lines: list[str]) -> None:
        """Note the names that these lines tell."""
        for line in lines:
            number, told, name = line.partition(TELLS)
            if told and number.removeprefix(NET).isdecimal():
                self.of[number] = name

    def read(self, line: str) -> str:
        """A line with names instead of numbers, as far as they are known."""
        if line.startswith(NET):
            number, _, what = line.removeprefix(NET).partition(" ")
            return f"{self.of.get(NET + number, NET + number)} {what}"
        sender, sends, rest = line.partition(" > ")
        receiver, _, what = rest.partition(" ")
        return f"{self.of.get(sender, sender)} > {self.of.get(receiver, receiver)} {what}" if sends else line


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
        self._introduced = 0

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

    def introduce(self, name: str) -> int:
        """Tell the name of something new; returns the number that stands for it from now on."""
        self._introduced += 1
        self.note(f"{self._introduced}{TELLS}{name}")
        return self._introduced

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
    """What stands for an address in a trace: no name of the system's own, which counts the systems of this process."""
    label: int | str | None = getattr(getattr(address, "cell", None), "label", None)
    return str(label) if label is not None else str(address.addressDetails).partition("/")[2] or "system"
