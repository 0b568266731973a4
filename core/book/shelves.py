"""Where entries stand: two tables of buckets over one set of rows, and who must leave when a bucket is full.

What enters and leaves, and why, is :mod:`core.book.book`. An entry that comes in may push another out, and that moves
rows: a number of a row that was known before is not good any more.
"""

from __future__ import annotations

from random import Random

from core.book import rules
from core.book.config import BookConfig, Hashing, Identity
from core.book.entry import Table
from core.book.hashing import bucket_hash
from core.book.rows import ADVERTISED, EXEMPT, IPV4, OF_IP, WHITELISTED, Rows
from core.book.table import BucketTable
from core.config.derived import one_of_equals
from core.decisions import Decision, DecisionKind, Rule, decide
from core.ids import MAX_PORT, MIN_PORT, Endpoint
from core.netgroup import AddressInfo, NetClass, NetGroup, address_info


class Shelves:
    """The tables of one book and their rows. Arguments as for :class:`core.book.book.Book`."""

    __slots__ = ("_flags_of", "_is_ipv4_only", "config", "hash", "new", "rng", "rows", "tried")

    def __init__(self, config: BookConfig, secret: bytes, rng: Random) -> None:
        self.config = config
        self.rng = rng
        self.hash = bucket_hash(config, secret)
        self._is_ipv4_only = config.hashing is Hashing.LISK
        of_ip = OF_IP if config.identity is Identity.IP else 0
        flags = (EXEMPT if self.is_exempt(net_class) else of_ip for net_class in NetClass)
        self._flags_of = one_of_equals(tuple(flags))
        self.rows = rows = Rows()
        self.new = BucketTable(Table.NEW, rows, config.new_bucket_count, config)
        self.tried = BucketTable(Table.TRIED, rows, config.tried_bucket_count, config)

    def usable(self, endpoint: Endpoint) -> AddressInfo | None:
        """What the address says; None unless it is canonical text of an address and port that can be dialled."""
        ip, port = endpoint
        try:
            info = address_info(ip)
        except ValueError:
            return None
        if info.text != ip or info.net_class is NetClass.UNUSABLE or not MIN_PORT <= port <= MAX_PORT:
            return None
        return None if self._is_ipv4_only and len(info.packed) != 4 else info

    def is_exempt(self, net_class: NetClass) -> bool:
        """Whether several nodes may share an address of this reach: loopback, and private ones by option."""
        if net_class is NetClass.LOCAL:
            return True
        return net_class is NetClass.PRIVATE and self.config.private_networks_exempt

    def of_ip(self, ip: str) -> list[Endpoint]:
        """All entries of an IP address."""
        rows = self.rows
        if rows.count(OF_IP) == len(rows):
            row = rows.index.get(ip)
            return [] if row is None else [rows.endpoints[row]]
        # The one entry of its address may have others beside it, which are whitelisted, on other ports.
        return [endpoint for endpoint in rows.endpoints if endpoint.ip == ip]

    def create(
        self, endpoint: Endpoint, info: AddressInfo, source_group: NetGroup, advertise: bool, whitelisted: bool = False
    ) -> int:
        """Make an entry for an address that has none, in no bucket yet, and return its row."""
        flags = self._flags_of[info.net_class]
        if advertise:
            flags |= ADVERTISED
        if len(info.packed) == 4:
            flags |= IPV4
        if whitelisted:
            flags = flags & ~OF_IP | WHITELISTED
        return self.rows.add(endpoint, source_group, flags)

    def forget(self, row: int) -> None:
        """Take an entry out of its bucket and out of the rows."""
        self.table_of(row).take(row)
        self.rows.remove(self.rows.to_new(row) if row < self.rows.tried_count else row)

    def table_of(self, row: int) -> BucketTable:
        """The table that the row is in."""
        return self.tried if row < self.rows.tried_count else self.new

    def tried_bucket(self, row: int) -> int:
        """Where the entry belongs in `tried`."""
        rows = self.rows
        return self.hash.tried_bucket(address_info(rows.endpoints[row].ip), rows.port_in_hash(row))

    def new_bucket(self, row: int) -> int:
        """Where the entry belongs in `new`."""
        rows = self.rows
        return self.hash.new_bucket(address_info(rows.endpoints[row].ip), rows.sources[row], rows.port_in_hash(row))

    def enter_new(self, row: int, decisions: list[Decision], now: float) -> int:
        """Place an entry that is in no bucket into one of `new`. The number that its row has then comes back.

        Full bucket: out goes the oldest occupant if it is older than the limit, else a uniformly chosen one (LIP 0004,
        "Peer directory"). A random victim cannot be aimed at.
        """
        new, bucket = self.new, self.new_bucket(row)
        if new.is_full(bucket):
            victim = self._evict(bucket, decisions, now)
            if row == self.rows.remove(victim):
                row = victim
        new.place(row, bucket, now)
        return row

    def _evict(self, bucket: int, decisions: list[Decision], now: float) -> int:
        """Take somebody out of this bucket of `new`, to be forgotten."""
        rows, max_age_s = self.rows, self.config.new_max_age_s
        victim, rule = self.new.overdue(bucket, now, max_age_s), rules.NEW_BUCKET_FULL_AGE
        if victim is None:
            victim, rule = self.new.random_victim(bucket, self.rng), rules.NEW_BUCKET_FULL_RANDOM
        if victim is None:
            raise ValueError(f"bucket {bucket} of `new` is full of whitelisted entries, which belong to `tried`")
        self.new.take(victim)
        numbers = (("bucket", bucket), ("age_s", now - rows.placed_at[victim]), ("max_age_s", max_age_s))
        decisions.append(decide(rows.endpoints[victim].peer_id, DecisionKind.EVICTED, rule, now, *numbers))
        return victim

    def enter_tried(self, row: int, bucket: int, decisions: list[Decision], now: float, rule: Rule) -> int:
        """Place an entry of `new` that is in no bucket into its bucket of `tried`, for the reason ``rule``.

        The number that its row has then comes back. Full bucket: a uniformly chosen occupant moves to `new`, with the
        source group it came with. If every occupant is whitelisted, a whitelisted newcomer is let in beyond the
        bucket's size, and another goes to `new`.
        """
        rows, tried = self.rows, self.tried
        endpoint, numbers = rows.endpoints[row], ("bucket", bucket)
        if tried.is_full(bucket):
            victim = tried.random_victim(bucket, self.rng)
            if victim is not None:
                tried.take(victim)
                self.demote(victim, decisions, now, rules.TRIED_BUCKET_FULL, numbers)
                row = rows.row(endpoint)
            elif not rows.has(row, WHITELISTED):
                full = rules.ONLY_WHITELISTED
                decisions.append(decide(endpoint.peer_id, DecisionKind.REFUSED, full, now, numbers))
                return self.enter_new(row, decisions, now)
        row = rows.to_tried(row)
        tried.place(row, bucket, now)
        decisions.append(decide(endpoint.peer_id, DecisionKind.MOVED_TO_TRIED, rule, now, numbers))
        return row

    def demote(self, row: int, decisions: list[Decision], now: float, rule: Rule, *numbers: tuple[str, float]) -> None:
        """Place an entry that has just left its bucket of `tried` into `new`, where it counts no failures."""
        rows = self.rows
        row = rows.to_new(row)
        decisions.append(decide(rows.endpoints[row].peer_id, DecisionKind.MOVED_TO_NEW, rule, now, *numbers))
        self.enter_new(row, decisions, now)
