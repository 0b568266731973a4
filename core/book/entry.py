"""What the book knows of one address."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from core.ids import Endpoint
from core.netgroup import AddressInfo, NetGroup

if TYPE_CHECKING:
    from core.book.table import AdvertisedPool


class Table(enum.Enum):
    """The two collections of LIP 0004. Values are stable: they are stored."""

    NEW = "new"
    TRIED = "tried"


class Entry:
    """The book's own, mutable record of an address. It never leaves :mod:`core.book`; others get an EntryView."""

    __slots__ = (
        "advertise",
        "bucket",
        "endpoint",
        "exempt_port",
        "failures",
        "info",
        "last_connected",
        "last_seen",
        "placed_at",
        "pool",
        "pool_pos",
        "source_group",
        "table",
        "table_pos",
        "whitelisted",
    )

    def __init__(
        self, endpoint: Endpoint, info: AddressInfo, exempt_port: int, source_group: NetGroup, advertise: bool
    ) -> None:
        self.endpoint = endpoint
        self.info = info
        self.exempt_port = exempt_port
        """The port, if the address is exempt from grouping (loopback, private by option); 0 otherwise."""
        self.source_group = source_group
        self.advertise = advertise
        self.whitelisted = False
        self.failures = 0
        self.placed_at = 0.0
        self.last_connected: float | None = None
        self.last_seen: float | None = None
        self.table = Table.NEW
        self.bucket = -1
        self.table_pos = -1
        self.pool: AdvertisedPool | None = None
        self.pool_pos = -1

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
