"""What the book knows of one address."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from core.ids import Endpoint
from core.netgroup import NetGroup


class Table(enum.Enum):
    """The two collections of LIP 0004. Values are stable: they are stored."""

    NEW = "new"
    TRIED = "tried"


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
    """How many addresses the book holds."""

    new: int
    tried: int
