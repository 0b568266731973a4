"""What a node keeps across restarts, as plain data, and the checks of everything that comes back from disk.

Kept are the addresses of the peer book, the bans in force, the secret that keys the buckets (LIP 0004, "Peer
directory") and a few anchors (Bitcoin Core's ``anchors.dat``). A stored file is input like any other: the disk may be
failing, the file somebody else's or edited by hand. Whoever can write it can already run the node as he likes, so the
checks are not against him; they keep a damaged row from becoming a crash at every start, or an entry that is immune
to eviction because its times make no sense.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from core.book.entry import EntryRecord, Table
from core.ids import MAX_PORT, MIN_PORT, Endpoint
from core.messages import (
    Ban,
)
from core.netgroup import MAX_ADDRESS_TEXT, NetClass, NetGroup, address_info, group_text

SECRET_BYTES = 32
"""LIP 0004 asks for at least 4; 32 cannot be searched."""

MAX_ENTRIES = 20_000
"""A full book has 6,144 addresses, and up to 10,000 may be whitelisted by configuration."""

MAX_STORED_BANS = 65_536
"""As many as there can be in force (:data:`core.bans.MAX_BANS`)."""

MAX_REASON_CHARACTERS = 200
"""A reason is stored up to here: 65,536 bans must not become hundreds of megabytes."""

MAX_FAILURES = 65_536
MAX_UNIX_TIME = 253_402_300_799.0
"""End of the year 9999."""

SOON_S = 1.0
"""What must not be lost to a crash, a ban, waits so long at most for others like it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a peer book at one moment: all entries (tried first) and all bans in force."""

    entries: tuple[EntryRecord, ...] = ()
    bans: tuple[Ban, ...] = ()

    def bounded(self) -> Snapshot:
        """The snapshot as it is stored: no more of anything, and no longer, than is read back."""
        bans = (Ban(ban.ip, ban.until, ban.reason[:MAX_REASON_CHARACTERS]) for ban in self.bans[:MAX_STORED_BANS])
        return Snapshot(self.entries[:MAX_ENTRIES], tuple(bans))


@dataclass(frozen=True, slots=True)
class Stored:
    """What a storage held when it was opened. ``notices`` are warnings for the operator, in whole sentences."""

    secret: bytes
    snapshot: Snapshot
    notices: tuple[str, ...] = ()


# ---- rows from disk ---------------------------------------------------------------------------------------------


def entry_from_row(row: Sequence[object]) -> EntryRecord:
    """One entry from its columns, in the order of :class:`EntryRecord`. Raises ValueError, saying what is wrong."""
    ip, port, table, source_group, failures, placed_at, last_connected, last_seen, advertise = _columns(row, 9)
    return EntryRecord(
        _ip(ip),
        _integer("port", port, MIN_PORT, MAX_PORT),
        _table(table),
        _group(source_group),
        _integer("failures", failures, 0, MAX_FAILURES),
        _time("placed_at", placed_at),
        None if last_connected is None else _time("last_connected", last_connected),
        None if last_seen is None else _time("last_seen", last_seen),
        bool(_integer("advertise", advertise, 0, 1)),
    )


def ban_from_row(row: Sequence[object]) -> Ban:
    """One ban from ``(ip, until, reason)``. Raises ValueError, saying what is wrong."""
    ip, until, reason = _columns(row, 3)
    if not isinstance(reason, str) or len(reason) > MAX_REASON_CHARACTERS:
        raise ValueError(f"reason: expected text of at most {MAX_REASON_CHARACTERS} characters, got {_shown(reason)}")
    return Ban(_ip(ip, to_dial=False), _time("until", until), reason)


def anchor_from_row(row: Sequence[object]) -> Endpoint:
    """One anchor from ``(ip, port)``. Raises ValueError, saying what is wrong."""
    ip, port = _columns(row, 2)
    return Endpoint(_ip(ip), _integer("port", port, MIN_PORT, MAX_PORT))


def secret_from(value: object) -> bytes:
    """The stored secret. Raises ValueError if it is not one of ours."""
    if not isinstance(value, bytes) or len(value) != SECRET_BYTES:
        raise ValueError(f"secret: expected {SECRET_BYTES} bytes")  # what was found stays out of logs
    return value


@dataclass(slots=True)
class RowReader:
    """Turns rows into values and counts those that are unusable: one warning for all of them, not one for each."""

    skipped: int = 0
    first: str = ""
    """Why the first of them was skipped."""

    def read(self, rows: Iterable[Sequence[object]], convert: Callable[[Sequence[object]], T], what: str) -> list[T]:
        """The usable rows, converted; ``what`` names them in the warning."""
        kept: list[T] = []
        for row in rows:
            try:
                kept.append(convert(row))
            except ValueError as error:
                self.skip(f"{what}: {error}")
        return kept

    def skip(self, reason: str, count: int = 1) -> None:
        """Count rows that were not taken."""
        self.skipped += count
        self.first = self.first or reason

    def notices(self) -> tuple[str, ...]:
        """The warning, if there is anything to warn of."""
        if not self.skipped:
            return ()
        rows = "1 stored row is" if self.skipped == 1 else f"{self.skipped} stored rows are"
        return (f"{rows} unusable and left out; the first: {self.first}",)


def _columns(row: Sequence[object], count: int) -> Sequence[object]:
    if len(row) != count:
        raise ValueError(f"expected {count} columns, got {len(row)}")
    return row


def _ip(value: object, *, to_dial: bool = True) -> str:
    """Canonical text of an address: any other spelling would be a second key for the same peer."""
    if isinstance(value, str) and len(value) <= MAX_ADDRESS_TEXT:
        try:
            info = address_info(value)
        except ValueError:
            info = None
        if info is not None and info.text == value and not (to_dial and info.net_class is NetClass.UNUSABLE):
            return value
    raise ValueError(f"ip: expected the canonical text of a usable IP address, got {_shown(value)}")


def _integer(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, int) and low <= value <= high:
        return int(value)
    raise ValueError(f"{name}: expected an integer from {low} to {high}, got {_shown(value)}")


def _time(name: str, value: object) -> float:
    if isinstance(value, int | float) and 0 <= value <= MAX_UNIX_TIME:  # false for NaN
        return float(value)
    raise ValueError(f"{name}: expected a Unix time up to the year 9999, got {_shown(value)}")


def _table(value: object) -> str:
    if value in (Table.NEW.value, Table.TRIED.value):
        return str(value)
    raise ValueError(f"table: expected new or tried, got {_shown(value)}")


def _group(value: object) -> bytes:
    if isinstance(value, bytes):
        if not value:
            return value
        try:
            group_text(NetGroup(value[:8]))
        except ValueError:
            pass  # the error below says the same of a value of another type
        else:
            if len(value) <= 8:
                return value
    raise ValueError(f"source_group: expected a net group or nothing, got {_shown(value)}")


def _shown(value: object) -> str:
    text = repr(value if not isinstance(value, str | bytes) else value[:40])
    return text if len(text) <= 80 else text[:77] + "..."


# ---- when to write ----------------------------------------------------------------------------------------------


class SavePlan:
    """When the book is due to be written: at intervals if something changed, soon after a ban or its end.

    ``version`` is a figure from 0 that grows with every change. Times are monotonic seconds. The first write is due an
    interval after the start in any case: what was read may have been changed by today's configuration.
    """

    def __init__(self, interval_s: float, now: float) -> None:
        self._interval_s = interval_s
        self._soon_s = min(SOON_S, interval_s)
        self._saved_version = -1
        self._saved_at = now
        self._hurry = False

    def hurry(self) -> None:
        """Something happened that a crash must not undo."""
        self._hurry = True

    def next_due(self, version: int) -> float | None:
        """When to write next; None while the stored state is the present one."""
        if self._hurry:
            return self._saved_at + self._soon_s
        return None if version == self._saved_version else self._saved_at + self._interval_s

    def saved(self, version: int, now: float) -> None:
        """``version`` was handed to the storage."""
        self._saved_version = version
        self._saved_at = now
        self._hurry = False

    def failed(self) -> None:
        """What was handed over could not be written: try again after an interval, changed or not."""
        self._saved_version = -1
