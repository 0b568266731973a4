"""Where entries stand: two tables of buckets, the indices over them, and who must leave when a bucket is full.

The shelves keep an entry in one table, in the index by endpoint, in the index by IP if the LIP's identity covers it,
and in the pool of advertised entries if it may be told. What enters and leaves, and why, is :mod:`core.book.book`.
"""

from __future__ import annotations

from random import Random

from core.book import rules
from core.book.config import BookConfig, Hashing, Identity
from core.book.entry import Entry, Table
from core.book.hashing import bucket_hash
from core.book.table import AdvertisedPool, BucketTable
from core.decisions import Decision, DecisionKind, Rule, decide
from core.ids import MAX_PORT, MIN_PORT, Endpoint
from core.netgroup import AddressInfo, NetClass, NetGroup, address_info


class Shelves:
    """The tables of one book and their indices. Arguments as for :class:`core.book.book.Book`."""

    __slots__ = ("by_endpoint", "by_ip", "config", "hash", "new", "pool_4", "pool_6", "rng", "tried")

    def __init__(self, config: BookConfig, secret: bytes, rng: Random) -> None:
        self.config = config
        self.rng = rng
        self.hash = bucket_hash(config, secret)
        self.new = BucketTable(Table.NEW, config.new_bucket_count, config.bucket_size)
        self.tried = BucketTable(Table.TRIED, config.tried_bucket_count, config.bucket_size)
        self.pool_4 = AdvertisedPool()
        self.pool_6 = AdvertisedPool()
        self.by_endpoint: dict[Endpoint, Entry] = {}
        self.by_ip: dict[str, Entry] = {}
        """The one entry of an IP address, for the addresses that the LIP's identity covers."""

    def usable(self, endpoint: Endpoint) -> AddressInfo | None:
        """What the address says; None unless it is canonical text of an address and port that can be dialled."""
        try:
            info = address_info(endpoint.ip)
        except ValueError:
            return None
        if info.text != endpoint.ip or info.net_class is NetClass.UNUSABLE:
            return None
        if not MIN_PORT <= endpoint.port <= MAX_PORT:
            return None
        if self.config.hashing is Hashing.LISK and len(info.packed) != 4:
            return None
        return info

    def is_exempt(self, info: AddressInfo) -> bool:
        """Whether several nodes may share this address: loopback, and private addresses by option."""
        if info.net_class is NetClass.LOCAL:
            return True
        return info.net_class is NetClass.PRIVATE and self.config.private_networks_exempt

    def of_ip(self, ip: str) -> list[Entry]:
        """All entries of an IP address. Reads the whole book where the LIP's identity does not cover the address."""
        one = self.by_ip.get(ip)
        if one is not None and not self.tried.whitelisted_count:
            return [one]
        return [entry for entry in self.by_endpoint.values() if entry.endpoint.ip == ip]

    def create(
        self, endpoint: Endpoint, info: AddressInfo, source_group: NetGroup, advertise: bool, whitelisted: bool = False
    ) -> Entry:
        """An entry for an address that has none, in the indices but not yet in a table."""
        exempt = self.is_exempt(info)
        entry = Entry(endpoint, info, endpoint.port if exempt else 0, source_group, advertise)
        entry.whitelisted = whitelisted
        self.by_endpoint[endpoint] = entry
        if not exempt and not whitelisted and self.config.identity is Identity.IP:
            self.by_ip[endpoint.ip] = entry
        if advertise:
            self.show(entry)
        return entry

    def forget(self, entry: Entry) -> None:
        """Take an entry out of its table and out of every index."""
        endpoint = entry.endpoint
        self.table_of(entry).take(entry)
        del self.by_endpoint[endpoint]
        if self.by_ip.get(endpoint.ip) is entry:
            del self.by_ip[endpoint.ip]
        self.hide(entry)

    def change_port(self, entry: Entry, endpoint: Endpoint) -> None:
        """Let the entry of an IP address stand for another port of it; it stays in its bucket."""
        del self.by_endpoint[entry.endpoint]
        entry.endpoint = endpoint
        self.by_endpoint[endpoint] = entry

    def table_of(self, entry: Entry) -> BucketTable:
        """The table that the entry is in."""
        return self.tried if entry.table is Table.TRIED else self.new

    def show(self, entry: Entry) -> None:
        """Put a hidden entry into the pool of those that may be told."""
        self.pool_of(entry).add(entry)

    def hide(self, entry: Entry) -> None:
        """Take it out of its pool, if it is in there."""
        if entry.pool_pos >= 0:
            self.pool_of(entry).take(entry)

    def pool_of(self, entry: Entry) -> AdvertisedPool:
        """The pool of the family of its address."""
        return self.pool_4 if len(entry.info.packed) == 4 else self.pool_6

    def enter_new(self, entry: Entry, decisions: list[Decision], now: float) -> None:
        """Place an entry that is in no table into `new`.

        Full bucket: out goes the oldest occupant if it is older than the limit, else a uniformly chosen one (LIP 0004,
        "Peer directory"). A random victim cannot be aimed at.
        """
        bucket = self.hash.new_bucket(entry.info, entry.source_group, entry.exempt_port)
        if self.new.is_full(bucket):
            victim, rule = self.new.oldest(bucket), rules.NEW_BUCKET_FULL_AGE
            if now - victim.placed_at <= self.config.new_max_age_s:
                # `new` holds no whitelisted entries: there is always a victim.
                victim, rule = self.new.random_victim(bucket, self.rng) or victim, rules.NEW_BUCKET_FULL_RANDOM
            self.forget(victim)
            decisions.append(
                decide(
                    victim.endpoint.peer_id,
                    DecisionKind.EVICTED,
                    rule,
                    now,
                    ("bucket", bucket),
                    ("age_s", now - victim.placed_at),
                    ("max_age_s", self.config.new_max_age_s),
                )
            )
        self.new.place(entry, bucket, now)

    def enter_tried(self, entry: Entry, decisions: list[Decision], now: float, rule: Rule) -> None:
        """Place an entry that is in no table into `tried`, for the reason ``rule``.

        Full bucket: a uniformly chosen occupant moves to `new`, with the source group it came with. If every occupant
        is whitelisted, a whitelisted newcomer is let in beyond the bucket's size, and another goes to `new`.
        """
        bucket = self.hash.tried_bucket(entry.info, entry.exempt_port)
        if self.tried.is_full(bucket):
            victim = self.tried.random_victim(bucket, self.rng)
            if victim is not None:
                self.tried.take(victim)
                self.demote(victim, decisions, now, rules.TRIED_BUCKET_FULL, ("bucket", bucket))
            elif not entry.whitelisted:
                decisions.append(
                    decide(
                        entry.endpoint.peer_id, DecisionKind.REFUSED, rules.ONLY_WHITELISTED, now, ("bucket", bucket)
                    )
                )
                self.enter_new(entry, decisions, now)
                return
        self.tried.place(entry, bucket, now)
        decisions.append(decide(entry.endpoint.peer_id, DecisionKind.MOVED_TO_TRIED, rule, now, ("bucket", bucket)))

    def demote(
        self, entry: Entry, decisions: list[Decision], now: float, rule: Rule, *numbers: tuple[str, float]
    ) -> None:
        """Place an entry that has just left `tried` into `new`, where it counts no failures."""
        entry.failures = 0
        decisions.append(decide(entry.endpoint.peer_id, DecisionKind.MOVED_TO_NEW, rule, now, *numbers))
        self.enter_new(entry, decisions, now)
