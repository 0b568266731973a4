"""The entries of a book, column by column, and the one index over them.

A full book has 6,000 entries, and a simulation has as many books as nodes. An entry that is an object, in two
indices and three lists, takes 250 bytes; a row of these columns takes 75, a third of them the index's.

The rows of `tried` come first, then those of `new`, so that a uniform draw over either is O(1). A row that leaves one
table for the other changes places with the row at the border; one that is forgotten, with the last. So the number of a
row is good until the next entry moves: whoever goes on after that finds the row again, by :meth:`Rows.find`.

When we were connected, and what failed since, is of interest in `tried` only, and so those columns are as long as it
is: hardly any entry of `new` has ever been connected, and those that have are in a dictionary (``once_connected``).
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from itertools import compress
from math import nan
from operator import attrgetter, itemgetter
from typing import Any

from core.book.entry import EntryView, Table
from core.ids import Endpoint
from core.netgroup import NetGroup, address_info, net_group

NO_BUCKET = 255
"""Of a row that is in no bucket: it has just been made, or is on its way from one table to the other."""

ADVERTISED = 1
WHITELISTED = 2
EXEMPT = 4
"""Several nodes may share the address (loopback, private by option): the port is part of its bucket hash."""
IPV4 = 8
OF_IP = 16
"""The one entry of its IP address (LIP 0004's identity). Others are known by address and port."""

MAX_FAILURES_COUNTED = 65_535

Key = str | Endpoint
"""What an entry is found by: its IP address, or address and port (see :data:`OF_IP`). A port may change, a key does
not. With texts alone for keys a dictionary takes a third less."""

_MASKS = (ADVERTISED, ADVERTISED | IPV4, EXEMPT, OF_IP)
_HAS = {mask: bytes(value & mask == mask for value in range(256)) for mask in _MASKS}
_IS_HIDDEN = bytes(not value & ADVERTISED for value in range(256))
_ip_of = itemgetter(0)
_group_of = attrgetter("group")
_numbers: list[int] = []
"""The numbers of rows, one object for each in the process: above 256 each row's would be one of 32 bytes."""


class Rows:
    """See the module. Times are Unix seconds; ``nan`` for never."""

    __slots__ = (
        "buckets",
        "columns",
        "connected_at",
        "endpoints",
        "failures",
        "flags",
        "index",
        "nobody_shares",
        "once_connected",
        "placed_at",
        "seen_at",
        "sources",
        "tried_count",
    )

    def __init__(self) -> None:
        self.index: dict[Key, int] = {}
        self.tried_count = 0
        self.endpoints: list[Endpoint] = []
        self.sources: list[NetGroup] = []
        self.buckets = bytearray()
        self.flags = bytearray()
        self.placed_at = array("d")
        self.seen_at = array("d")
        times = (self.placed_at, self.seen_at)
        self.columns: tuple[Any, ...] = (self.endpoints, self.sources, self.buckets, self.flags, *times)
        """Those of all rows."""
        self.failures = array("H")
        self.connected_at = array("d")
        self.once_connected: dict[Key, float] = {}
        self.nobody_shares = True
        """Whether it is known that no two rows share a net group (:meth:`all_alone`)."""

    def __len__(self) -> int:
        return len(self.endpoints)

    # What is known

    def find(self, endpoint: Endpoint) -> int | None:
        """The row of exactly this address and port."""
        index = self.index
        row = index.get(endpoint.ip)
        if row is not None and self.endpoints[row] == endpoint:
            return row
        return index.get(endpoint)

    def row(self, endpoint: Endpoint) -> int:
        """The same of an address that must be known; raises KeyError if it is not."""
        row = self.find(endpoint)
        if row is None:
            raise KeyError(endpoint)
        return row

    def unknown(self, endpoints: Collection[Endpoint]) -> list[Endpoint]:
        """Those that :meth:`find` does not find, in their order."""
        # An answer to getPeers has 200, and all of them are known as a rule: this is a fifth of the time of as many
        # calls, and what follows a quarter.
        known, index = self.endpoints, self.index
        try:
            if [known[index[endpoint.ip]] for endpoint in endpoints] == list(endpoints):
                return []
        except KeyError:
            pass
        row_of = index.get
        return [
            endpoint
            for endpoint in endpoints
            if ((row := row_of(endpoint.ip)) is None or known[row] != endpoint) and endpoint not in index
        ]

    def key(self, row: int) -> Key:
        """What the row is found by."""
        endpoint = self.endpoints[row]
        return endpoint.ip if self.flags[row] & OF_IP else endpoint

    def table(self, row: int) -> Table:
        """The table that the row is in."""
        return Table.TRIED if row < self.tried_count else Table.NEW

    def has(self, row: int, flag: int) -> bool:
        """Whether the row has this flag."""
        return bool(self.flags[row] & flag)

    def last_connected(self, row: int) -> float:
        """When we were connected to it last."""
        if row < self.tried_count:
            return self.connected_at[row]
        return self.once_connected.get(self.key(row), nan) if self.once_connected else nan

    def advertise(self, row: int, advertise: bool) -> bool:
        """Note whether it wants to be given to others. Whether that is another wish than before."""
        flags = self.flags[row]
        if flags & ADVERTISED == advertise:
            return False
        self.flags[row] = flags ^ ADVERTISED
        return True

    def set_connected(self, row: int, at: float) -> None:
        """Note when we were connected to it last; ``nan`` for never."""
        if row < self.tried_count:
            self.connected_at[row] = at
        elif at == at:
            self.once_connected[self.key(row)] = at

    def port_in_hash(self, row: int) -> int:
        """The port, if the address is exempt from grouping; 0 otherwise."""
        return self.endpoints[row].port if self.flags[row] & EXEMPT else 0

    def view(self, row: int) -> EntryView:
        """A copy for the world outside the book."""
        endpoint, flags = self.endpoints[row], self.flags[row]
        return EntryView(
            endpoint,
            self.table(row),
            self.buckets[row],
            net_group(endpoint.ip),
            self.sources[row],
            self.failures[row] if row < self.tried_count else 0,
            self.placed_at[row],
            time_or_none(self.last_connected(row)),
            time_or_none(self.seen_at[row]),
            bool(flags & ADVERTISED),
            bool(flags & WHITELISTED),
        )

    def told(self, ipv4_only: bool) -> list[Endpoint]:
        """The addresses that may be given to others; whoever asked not to be advertised is not among them."""
        mask = ADVERTISED | IPV4 if ipv4_only else ADVERTISED
        if self.count(mask) == len(self.endpoints):
            return self.endpoints.copy()
        return list(compress(self.endpoints, self.flags.translate(_HAS[mask])))

    def hidden(self) -> list[Endpoint]:
        """The addresses that asked not to be advertised."""
        return list(compress(self.endpoints, self.flags.translate(_IS_HIDDEN)))

    def count(self, mask: int) -> int:
        """How many rows have all flags of ``mask``, one of :data:`_MASKS`."""
        return self.flags.translate(_HAS[mask]).count(1)

    def groups(self, rows: slice) -> Iterator[NetGroup]:
        """The net groups of some rows, one for each, without those exempt from grouping."""
        endpoints: Iterable[Endpoint] = self.endpoints[rows]
        if self.count(EXEMPT):
            pairs = zip(endpoints, self.flags[rows], strict=True)
            endpoints = [endpoint for endpoint, flags in pairs if not flags & EXEMPT]
        return map(_group_of, map(address_info, map(_ip_of, endpoints)))

    def all_alone(self) -> bool:
        """Whether no two rows share a net group; those exempt from grouping are in none.

        Looked for once after rows were added: one that leaves, or moves from one table to the other, lets nobody share
        who did not before.
        """
        if not self.nobody_shares:
            groups = list(self.groups(slice(None)))
            self.nobody_shares = len(set(groups)) == len(groups)
        return self.nobody_shares

    # Changes

    def add(self, endpoint: Endpoint, source: NetGroup, flags: int) -> int:
        """Append a row for an address that has none: in `new`, in no bucket yet. Its number comes back."""
        endpoints = self.endpoints
        number = len(endpoints)
        if number == len(_numbers):
            _numbers.append(number)
        row = _numbers[number]
        endpoints.append(endpoint)
        self.sources.append(source)
        self.buckets.append(NO_BUCKET)
        self.flags.append(flags)
        self.placed_at.append(0.0)
        self.seen_at.append(nan)
        self.index[endpoint.ip if flags & OF_IP else endpoint] = row
        self.nobody_shares = False
        return row

    def set_flags(self, row: int, flags: int) -> None:
        """Give a row other flags, and the key that follows from them."""
        before = self.key(row)
        self.flags[row] = flags
        if self.key(row) != before:
            self.index[self.key(row)] = self.index.pop(before)
            if before in self.once_connected:
                self.once_connected[self.key(row)] = self.once_connected.pop(before)

    def remove(self, row: int) -> int:
        """Forget a row of `new`. The number comes back of the one that has its number now: it was the last."""
        key = self.key(row)
        del self.index[key]
        if self.once_connected:
            self.once_connected.pop(key, None)
        last = len(self.endpoints) - 1
        if row == last:
            for column in self.columns:
                column.pop()
        else:
            for column in self.columns:
                column[row] = column.pop()
            self.index[self.key(row)] = _numbers[row]
        return last

    def to_tried(self, row: int) -> int:
        """Let a row of `new` that is in no bucket be one of `tried`. Its number comes back."""
        border = self.tried_count
        self.failures.append(0)
        self.connected_at.append(self.once_connected.pop(self.key(row), nan) if self.once_connected else nan)
        self.tried_count = border + 1
        if row != border:
            self._swap(row, border)
        return border

    def to_new(self, row: int) -> int:
        """Let a row of `tried` that is in no bucket be one of `new`, where no failures are counted. Its number comes
        back."""
        failures, times = self.failures, self.connected_at
        connected_at = times[row]
        if connected_at == connected_at:
            self.once_connected[self.key(row)] = connected_at
        self.tried_count = border = self.tried_count - 1
        failures[row] = failures[border]
        failures.pop()
        times[row] = times[border]
        times.pop()
        if row != border:
            self._swap(row, border)
        return border

    def _swap(self, mover: int, other: int) -> None:
        """Let a row change places with another one. When it came into a bucket is lost, as it is in none."""
        # Column by column and without key(): in a loop over the columns it takes twice as long.
        endpoints, sources, flags, seen_at = self.endpoints, self.sources, self.flags, self.seen_at
        one, two = endpoints[mover], endpoints[other]
        endpoints[mover], endpoints[other] = two, one
        sources[mover], sources[other] = sources[other], sources[mover]
        seen_at[mover], seen_at[other] = seen_at[other], seen_at[mover]
        self.buckets[mover], self.buckets[other] = self.buckets[other], NO_BUCKET
        self.placed_at[mover] = self.placed_at[other]
        flags_of_one, flags_of_two = flags[mover], flags[other]
        flags[mover], flags[other] = flags_of_two, flags_of_one
        self.index[two.ip if flags_of_two & OF_IP else two] = _numbers[mover]
        self.index[one.ip if flags_of_one & OF_IP else one] = _numbers[other]


def time_or_none(time_s: float) -> float | None:
    """A time of a row as others see it: None for never."""
    return time_s if time_s == time_s else None
