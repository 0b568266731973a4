"""The node's long memory: which addresses are known, and where they came from (LIP 0004, "Peer directory").

Design goals, each against an attacker who wants all our outbound connections:

* Bounded influence. An address goes to a bucket that depends on a secret and on net groups, so one source group fills
  at most 16 of 128 `new` buckets and one group at most 4 of 64 `tried` buckets, however many addresses it has.
* Earned trust. Only our own successful handshake moves an address to `tried`. Gossip, and connections made to us, can
  only ever reach `new`.
* No redirection. Under the LIP's identity an IP address has one entry. Gossip never changes its port. The host itself
  (an inbound connection) may, while the entry is in `new`; an entry in `tried` changes its port only by a handshake
  of ours with the other port. A wrong port told first costs one failed dial: then the entry is gone.
* No ghosts. An address is in one place or in none; what is evicted is forgotten everywhere.

Pure: time (``now``, Unix seconds, so that ages survive a restart), randomness and the secret come in as arguments.
Every operation returns the decisions it took.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from core.book import rules
from core.book.answers import KEPT_FROM_ANSWERS, KeptAnswers, asker_class, fit_for
from core.book.check import problems
from core.book.choice import Choice, Constraints, OutboundDraw
from core.book.config import BookConfig
from core.book.entry import BookCounts, Entry, EntryRecord, EntryView, Table
from core.book.hashing import NO_SOURCE
from core.book.records import restore, snapshot
from core.book.refusals import port_kept, unusable
from core.book.sample import MIN_ANSWER, WIRE_CAP, sample_peers
from core.book.shelves import Shelves
from core.book.trial import Trials
from core.decisions import Decision, DecisionKind, Decisions, Rule, decide
from core.ids import Endpoint
from core.netgroup import address_info

NO_CONSTRAINTS = Constraints()


class Book:
    """New and tried addresses in buckets.

    ``config``: sizes and rules. ``secret``: keys the bucket hash; at least 4 bytes (32 are better; exactly 4 with
    lisk-p2p's hashing), made once and kept across restarts, or else an attacker only has to wait for one. ``rng``:
    should be unpredictable in production. Raises ValueError if the secret does not fit.
    """

    def __init__(self, config: BookConfig, secret: bytes, rng: Random) -> None:
        self._config = config
        self._rng = rng
        self._shelves = Shelves(config, secret, rng)
        self._by_endpoint = self._shelves.by_endpoint
        self._by_ip = self._shelves.by_ip
        self._trials = Trials(self._shelves) if config.test_before_evict else None
        kept_s = (config.answer_kept_min_s, config.answer_kept_max_s)
        self._answers = KeptAnswers(*kept_s, rng) if config.answer_kept_max_s else None
        self._changes = 0

    # What is known

    def __len__(self) -> int:
        return len(self._by_endpoint)

    @property
    def config(self) -> BookConfig:
        """The settings that the book was made with."""
        return self._config

    @property
    def changes(self) -> int:
        """Grows with every change worth storing: two equal figures mean that nothing needs to be written."""
        return self._changes

    def has(self, endpoint: Endpoint) -> bool:
        """Whether exactly this address and port is known."""
        return endpoint in self._by_endpoint

    def unknown(self, endpoints: Iterable[Endpoint]) -> list[Endpoint]:
        """Those that :meth:`has` does not know, in their order."""
        known = self._by_endpoint
        return [endpoint for endpoint in endpoints if endpoint not in known]

    def get(self, endpoint: Endpoint) -> EntryView | None:
        """What is known of exactly this address and port."""
        entry = self._by_endpoint.get(endpoint)
        return entry.view() if entry is not None else None

    def find_ip(self, ip: str) -> tuple[EntryView, ...]:
        """All entries of an IP address (several only on exempt addresses, with whitelists, or by endpoint)."""
        return tuple(entry.view() for entry in self._shelves.of_ip(ip))

    def tried(self) -> tuple[EntryView, ...]:
        """All tried addresses, in no particular order."""
        return tuple(entry.view() for entry in self._shelves.tried.entries)

    def all(self) -> tuple[EntryView, ...]:
        """All known addresses, tried ones first."""
        shelves = self._shelves
        return tuple(entry.view() for table in (shelves.tried, shelves.new) for entry in table.entries)

    def counts(self) -> BookCounts:
        """How many addresses are new, tried, and hidden from others."""
        shelves = self._shelves
        told = len(shelves.pool_4.entries) + len(shelves.pool_6.entries)
        return BookCounts(len(shelves.new), len(shelves.tried), len(self._by_endpoint) - told)

    def check(self) -> list[str]:
        """Every invariant that does not hold, in words; an empty list if all is well. Slow: reads the whole book."""
        return problems(self._shelves)

    # What happens to an address

    def add(self, endpoint: Endpoint, source_ip: str | None, now: float, advertise: bool = True) -> Decisions:
        """An address that the peer at ``source_ip`` told us (None: our own configuration). Known ones stay as they are.

        Raises ValueError if ``source_ip`` is no address.
        """
        if endpoint in self._by_endpoint:
            return ()
        return self._admit(endpoint, source_ip, now, advertise, rules.ADVERTISED)

    def add_many(self, endpoints: Iterable[Endpoint], source_ip: str | None, now: float) -> Decisions:
        """The addresses of one `getPeers` answer. Raises ValueError if ``source_ip`` is no address."""
        decisions: list[Decision] = []
        for endpoint in endpoints:
            if endpoint not in self._by_endpoint:
                decisions += self._admit(endpoint, source_ip, now, True, rules.ADVERTISED)
        return tuple(decisions)

    def inbound_seen(self, endpoint: Endpoint, now: float, advertise: bool = True) -> Decisions:
        """A peer connected to us and announced ``endpoint`` as its own: into `new`, with itself as the source.

        Its wish about advertising is remembered and counts for more than anybody's gossip.
        """
        entry = self._by_endpoint.get(endpoint)
        if entry is not None:
            entry.last_seen = now
            self.set_advertise(endpoint, advertise)
            return ()
        entry = self._by_ip.get(endpoint.ip)
        if entry is None:
            decisions = self._admit(endpoint, endpoint.ip, now, advertise, rules.INBOUND)
            admitted = self._by_endpoint.get(endpoint)
            if admitted is not None:
                admitted.last_seen = now
            return decisions
        if self._shelves.usable(endpoint) is None:
            return (unusable(endpoint, now),)
        if entry.table is Table.TRIED:
            # Whoever shares the address (a NAT neighbour) must not turn our verified port into his own.
            return (port_kept(entry, endpoint, now),)
        decision = self._change_port(entry, endpoint, rules.PORT_ANNOUNCED, now)
        entry.last_seen = now
        self.set_advertise(endpoint, advertise)
        return (decision,)

    def connected(self, endpoint: Endpoint, now: float) -> Decisions:
        """Our outbound handshake succeeded: the address is tried, its failures are forgotten."""
        decisions: list[Decision] = []
        entry = self._by_endpoint.get(endpoint)
        if entry is None:
            info = self._shelves.usable(endpoint)
            if info is None:
                return (unusable(endpoint, now),)
            entry = self._by_ip.get(endpoint.ip)
            if entry is not None:
                decisions.append(self._change_port(entry, endpoint, rules.PORT_VERIFIED, now))
            else:
                # Nobody told us (a seed, a configured peer): no source.
                entry = self._shelves.create(endpoint, info, NO_SOURCE, True)
        if entry.table is Table.NEW:
            self._promote(entry, decisions, now)
        elif self._trials is not None:
            self._trials.passed(entry, decisions, now)
        entry.failures = 0
        entry.last_connected = entry.last_seen = now
        self._changes += 1
        return tuple(decisions)

    def dial_failed(self, endpoint: Endpoint, now: float) -> Decisions:
        """An outbound connection could not be made. In `new` that is the end; in `tried` the third one in a row.

        A failure at another port than the known one says nothing about the entry.
        """
        entry = self._by_endpoint.get(endpoint)
        if entry is None:
            return ()
        self._changes += 1
        if entry.table is Table.NEW:
            self._shelves.forget(entry)
            return (decide(endpoint.peer_id, DecisionKind.FORGOTTEN, rules.FAILED_IN_NEW, now),)
        decisions: list[Decision] = []
        if self._trials is not None and self._trials.failed(entry, decisions, now):
            return tuple(decisions)
        entry.failures += 1
        numbers = (("failures", entry.failures), ("limit", self._config.max_failures))
        if entry.failures < self._config.max_failures:
            return ()
        if entry.whitelisted:
            rule = rules.WHITELISTED
            return (decide(endpoint.peer_id, DecisionKind.KEPT, rule, now, *numbers),)
        self._shelves.tried.take(entry)
        self._shelves.demote(entry, decisions, now, rules.FAILED_IN_TRIED, *numbers)
        return tuple(decisions)

    def remove(self, endpoint: Endpoint, now: float, rule: Rule = rules.REMOVED) -> Decisions:
        """Forget exactly this address and port (it is our own, ...). Whitelisted ones stay."""
        if self._answers is not None:
            self._answers.withdraw(endpoint.ip)
        entry = self._by_endpoint.get(endpoint)
        return () if entry is None else (self._remove(entry, now, rule),)

    def remove_ip(self, ip: str, now: float, rule: Rule = rules.REMOVED) -> Decisions:
        """Forget all entries of an IP address (it is banned). Whitelisted ones stay."""
        if self._answers is not None:
            self._answers.withdraw(ip)
        return tuple(self._remove(entry, now, rule) for entry in self._shelves.of_ip(ip))

    def set_advertise(self, endpoint: Endpoint, advertise: bool) -> bool:
        """Remember whether the peer wants to be given to others; False if it is not known."""
        entry = self._by_endpoint.get(endpoint)
        if entry is None:
            return False
        if entry.advertise != advertise:
            entry.advertise = advertise
            self._changes += 1
            if entry.pool_pos >= 0:
                self._shelves.hide(entry)
            else:
                self._shelves.show(entry)
        return True

    def whitelist(self, endpoint: Endpoint, now: float) -> Decisions:
        """A whitelisted peer: in tried at once, and never removed from it (LIP 0004, "Static lists").

        Trust is for exactly this ip:port. What happens on other ports of the address has an entry of its own.
        """
        decisions: list[Decision] = []
        shelves = self._shelves
        entry = self._by_endpoint.get(endpoint)
        if entry is None:
            info = shelves.usable(endpoint)
            if info is None:
                return (unusable(endpoint, now),)
            entry = shelves.create(endpoint, info, NO_SOURCE, True, whitelisted=True)
        elif entry.whitelisted:
            return ()
        else:
            if self._by_ip.get(endpoint.ip) is entry:
                del self._by_ip[endpoint.ip]
            shelves.table_of(entry).take(entry)
            entry.whitelisted = True
        shelves.enter_tried(entry, decisions, now, rules.WHITELISTED)
        self._changes += 1
        return tuple(decisions)

    # Test before evict (option)

    def pending_tests(self) -> tuple[Endpoint, ...]:
        """Tried addresses that should be dialled now, because a newcomer waits for a place in their full bucket.

        The results are reported as those of any dial. An address that is connected at present has passed: report it
        by :meth:`connected`. Empty unless ``test_before_evict`` is on.
        """
        return self._trials.endpoints() if self._trials is not None else ()

    def expire_tests(self, now: float) -> Decisions:
        """End the tests that had no result within 40 minutes; to be called every minute or so."""
        decisions: list[Decision] = []
        if self._trials is not None:
            self._trials.expire(decisions, now)
            self._changes += bool(decisions)
        return tuple(decisions)

    # Who is given away, who is dialled

    def sample_for_getpeers(
        self,
        cap: int = WIRE_CAP,
        ipv4_only: bool = True,
        requester_ip: str | None = None,
        least: int = MIN_ANSWER,
        now: float | None = None,
    ) -> tuple[Endpoint, ...]:
        """The answer to a `getPeers` request; see :func:`core.book.sample.sample_peers`.

        With ``now``, and if the book keeps its answers, a large book gives the same one again for about a day
        (:mod:`core.book.answers`).
        """
        shelves = self._shelves
        pools = (shelves.pool_4,) if ipv4_only else (shelves.pool_4, shelves.pool_6)
        known = sum(len(pool.entries) for pool in pools)
        if self._answers is None or now is None or known < KEPT_FROM_ANSWERS * cap:
            return sample_peers(pools, cap, requester_ip, self._rng, least)
        kept = self._answers.get(
            asker_class(requester_ip), now, lambda: sample_peers(pools, cap, None, self._rng, least)
        )
        return tuple(endpoint for endpoint in fit_for(requester_ip, kept) if not self._hides(endpoint))

    def _hides(self, endpoint: Endpoint) -> bool:
        """Whether a known address has asked not to be told since an answer with it was made."""
        entry = self._by_endpoint.get(endpoint)
        return entry is not None and not entry.advertise

    def choose(
        self, count: int, now: float, constraints: Constraints = NO_CONSTRAINTS, only: Table | None = None
    ) -> Choice:
        """Up to ``count`` different addresses to dial, by the LIP's probabilities (:mod:`core.book.choice`).

        ``only``: draw from this table alone (feelers test addresses of `new`).
        """
        shelves = self._shelves
        return OutboundDraw(shelves.new, shelves.tried, self._config, self._rng, constraints).run(count, now, only)

    # Storage

    def snapshot(self) -> tuple[EntryRecord, ...]:
        """Every entry as plain data, tried ones first (:mod:`core.book.records`)."""
        return snapshot(self._shelves)

    def restore(self, records: Iterable[EntryRecord], now: float) -> Decisions:
        """Put stored entries back; meant for an empty book. Returns the refusals and evictions."""
        decisions = restore(self._shelves, records, now, self._config.max_failures)
        self._changes += 1
        return tuple(decisions)

    # Steps

    def _admit(self, endpoint: Endpoint, source_ip: str | None, now: float, advertise: bool, rule: Rule) -> Decisions:
        """Put an unknown endpoint into `new`, if nothing speaks against it."""
        source = address_info(source_ip) if source_ip is not None else None
        info = self._shelves.usable(endpoint)
        if info is None:
            return (unusable(endpoint, now),)
        if source is not None and self._config.refuse_narrower_reach and info.net_class > source.net_class:
            numbers = (("reach", info.net_class), ("source_reach", source.net_class))
            return (decide(endpoint.peer_id, DecisionKind.REFUSED, rules.NARROWER_REACH, now, *numbers),)
        occupant = self._by_ip.get(endpoint.ip)
        if occupant is not None:
            return (port_kept(occupant, endpoint, now),)
        decisions: list[Decision] = []
        source_group = source.group if source is not None else NO_SOURCE
        entry = self._shelves.create(endpoint, info, source_group, advertise)
        self._shelves.enter_new(entry, decisions, now)
        decisions.append(decide(endpoint.peer_id, DecisionKind.ADDED, rule, now, ("bucket", entry.bucket)))
        self._changes += 1
        return tuple(decisions)

    def _promote(self, entry: Entry, decisions: list[Decision], now: float) -> None:
        """Put an entry that is in `new`, or in no table yet, into `tried`, unless an occupant is to be tested first."""
        shelves = self._shelves
        if self._trials is not None and self._trials.defers(entry, decisions, now):
            if not entry.is_placed:
                shelves.enter_new(entry, decisions, now)
            return
        if entry.is_placed:
            shelves.new.take(entry)
        shelves.enter_tried(entry, decisions, now, rules.OUTBOUND_SUCCESS)

    def _remove(self, entry: Entry, now: float, rule: Rule) -> Decision:
        subject = entry.endpoint.peer_id
        if entry.whitelisted:
            return decide(subject, DecisionKind.KEPT, rules.WHITELISTED, now)
        self._shelves.forget(entry)
        self._changes += 1
        return decide(subject, DecisionKind.FORGOTTEN, rule, now)

    def _change_port(self, entry: Entry, endpoint: Endpoint, rule: Rule, now: float) -> Decision:
        known_port = entry.endpoint.port
        self._shelves.change_port(entry, endpoint)
        self._changes += 1
        numbers = (("known_port", known_port), ("port", endpoint.port))
        return decide(endpoint.peer_id, DecisionKind.UPDATED, rule, now, *numbers)
