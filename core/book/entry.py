"""What the book knows of one address."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from core.ids import Endpoint
from core.netgroup import AddressInfo, NetGroup


class Table(enum.Enum):
    """The two collections of LIP 0004. Values are stable: they are stored."""

    NEW = "new"
    TRIED = "tried"


class Entry(msgspec.Struct, eq=False, gc=False):
    """The book's own, mutable record of an address. It never leaves :mod:`core.book`; others get an EntryView.

    There are thousands, so it is a structure that Python's collector of cycles does not look at: it is part of none.
    """

    endpoint: Endpoint
    info: AddressInfo
    exempt_port: int
    """The port, if the address is exempt from grouping (loopback, private by option); 0 otherwise."""
    source_group: NetGroup
    advertise: bool
    whitelisted: bool = False
    failures: int = 0
    placed_at: float = 0.0
    last_connected: float | None = None
    last_seen: float | None = None
    table: Table = Table.NEW
    bucket: int = -1
    table_pos: int = -1
    pool_pos: int = -1
    """Its place in the pool of its family; -1 while it is in none."""

    @property
    def is_placed(self) -> bool:
        """Whether the entry has ever been put into a table."""
        return self.bucket >= 0

    def view(self) -> EntryView:
        """A copy for the world outside the book."""
        return EntryView(
            self.endpoint,
            self.table,
            self.bucket,
            self.info.group,
            self.source_group,
            self.failures,
            self.placed_at,
            self.last_connected,
            self.last_seen,
            self.advertise,
            self.whitelisted,
        )


@dataclass(frozen=True, slots=True)
class EntryView:
    """A known address, as it stood when asked. Times are Unix seconds, None for never."""

    endpoint: Endpoint
    table: Table
    bucket: int
    group: NetGroup
    source_group: NetGroup
    """Group of the peer that told us; empty if nobody did (configuration, a dial of our own)."""
    failures: int
    """Consecutive failed dials since the last success."""
    placed_at: float
    """When it came into its present table."""
    last_connected: float | None
    """Last successful outbound handshake."""
    last_seen: float | None
    """Last contact in either direction; hearsay does not count."""
    advertise: bool
    whitelisted: bool


class EntryRecord(NamedTuple):
    """One row of a snapshot: plain data, everything needed to put the address back."""

    ip: str
    port: int
    table: str
    source_group: bytes
    failures: int
    placed_at: float
    last_connected: float | None
    last_seen: float | None
    advertise: bool


class BookCounts(NamedTuple):
    """How many addresses the book holds. ``hidden``: those of either table that are never given to anybody."""

    new: int
    tried: int
    hidden: int
