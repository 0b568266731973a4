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

from collections.abc import Collection, Iterable
from random import Random

from core.book import rules
from core.book.answers import KEPT_FROM_ANSWERS, KeptAnswers, asker_class, fit_for, within_reach, without_asker
from core.book.check import problems
from core.book.choice import Choice, Constraints, OutboundDraw
from core.book.config import BookConfig
from core.book.entry import BookCounts, EntryRecord, EntryView, Table
from core.book.hashing import NO_SOURCE
from core.book.records import restore, snapshot
from core.book.refusals import port_kept, unusable
from core.book.rows import ADVERTISED, IPV4, MAX_FAILURES_COUNTED, NO_BUCKET, OF_IP, WHITELISTED
from core.book.sample import MIN_ANSWER, WIRE_CAP, sample_peers
from core.book.shelves import Shelves
from core.book.trial import Trials
from core.decisions import Decision, DecisionKind, Decisions, Rule, decide
from core.ids import Endpoint
from core.netgroup import AddressInfo, address_info

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
        self._rows = self._shelves.rows
        self._trials = Trials(self._shelves) if config.test_before_evict else None
        kept_s = (config.answer_kept_min_s, config.answer_kept_max_s)
        self._answers = KeptAnswers(*kept_s, rng) if config.answer_kept_max_s else None
        self._changes = 0

    # What is known

    def __len__(self) -> int:
        return len(self._rows)

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
        return self._rows.find(endpoint) is not None

    def unknown(self, endpoints: Collection[Endpoint]) -> list[Endpoint]:
        """Those that :meth:`has` does not know, in their order."""
        return self._rows.unknown(endpoints)

    def get(self, endpoint: Endpoint) -> EntryView | None:
        """What is known of exactly this address and port."""
        row = self._rows.find(endpoint)
        return self._rows.view(row) if row is not None else None

    def find_ip(self, ip: str) -> tuple[EntryView, ...]:
        """All entries of an IP address (several only on exempt addresses, with whitelists, or by endpoint)."""
        return tuple(self._rows.view(self._rows.row(endpoint)) for endpoint in self._shelves.of_ip(ip))

    def tried(self) -> tuple[EntryView, ...]:
        """All tried addresses, in no particular order."""
        return tuple(map(self._rows.view, self._shelves.tried.extent))

    def all(self) -> tuple[EntryView, ...]:
        """All known addresses, tried ones first."""
        return tuple(map(self._rows.view, range(len(self._rows))))

    def counts(self) -> BookCounts:
        """How many addresses are new, and tried."""
        tried = self._rows.tried_count
        return BookCounts(len(self._rows.endpoints) - tried, tried)

    def hidden(self) -> int:
        """How many addresses of either table are never given to anybody."""
        return len(self._rows) - self._rows.count(ADVERTISED)

    def check(self) -> list[str]:
        """Every invariant that does not hold, in words; an empty list if all is well. Slow: reads the whole book."""
        return problems(self._shelves)

    # What happens to an address

    def add(self, endpoint: Endpoint, source_ip: str | None, now: float, advertise: bool = True) -> Decisions:
        """An address that the peer at ``source_ip`` told us (None: our own configuration). Known ones stay as they are.

        Raises ValueError if ``source_ip`` is no address.
        """
        if self._rows.find(endpoint) is not None:
            return ()
        source = address_info(source_ip) if source_ip is not None else None
        decisions: list[Decision] = []
        self._admit(endpoint, source, decisions, now, advertise, rules.ADVERTISED)
        return tuple(decisions)

    def add_many(self, endpoints: Iterable[Endpoint], source_ip: str | None, now: float) -> Decisions:
        """The addresses of one `getPeers` answer. Raises ValueError if ``source_ip`` is no address."""
        source = address_info(source_ip) if source_ip is not None else None
        decisions: list[Decision] = []
        for endpoint in endpoints:
            if self._rows.find(endpoint) is None:
                self._admit(endpoint, source, decisions, now, True, rules.ADVERTISED)
        return tuple(decisions)

    def inbound_seen(self, endpoint: Endpoint, now: float, advertise: bool = True) -> Decisions:
        """A peer connected to us and announced ``endpoint`` as its own: into `new`, with itself as the source.

        Its wish about advertising is remembered and counts for more than anybody's gossip.
        """
        rows = self._rows
        row = rows.find(endpoint)
        if row is not None:
            rows.seen_at[row] = now
            self._changes += rows.advertise(row, advertise)
            return ()
        row = rows.index.get(endpoint.ip)
        if row is None:
            decisions: list[Decision] = []
            row = self._admit(endpoint, address_info(endpoint.ip), decisions, now, advertise, rules.INBOUND)
            if row is not None:
                rows.seen_at[row] = now
            return tuple(decisions)
        if self._shelves.usable(endpoint) is None:
            return (unusable(endpoint, now),)
        if rows.table(row) is Table.TRIED:
            # Whoever shares the address (a NAT neighbour) must not turn our verified port into his own.
            return (port_kept(rows.endpoints[row], endpoint, now),)
        decision = self._change_port(row, endpoint, rules.PORT_ANNOUNCED, now)
        rows.seen_at[row] = now
        self._changes += rows.advertise(row, advertise)
        return (decision,)

    def connected(self, endpoint: Endpoint, now: float, advertise: bool | None = None) -> Decisions:
        """Our outbound handshake succeeded: the address is tried, its failures are forgotten.

        ``advertise``: what it said about its wish to be given to others, None if nothing.
        """
        decisions: list[Decision] = []
        rows = self._rows
        row = rows.find(endpoint)
        if row is None:
            info = self._shelves.usable(endpoint)
            if info is None:
                return (unusable(endpoint, now),)
            row = rows.index.get(endpoint.ip)
            if row is not None:
                decisions.append(self._change_port(row, endpoint, rules.PORT_VERIFIED, now))
            else:
                # Nobody told us (a seed, a configured peer): no source.
                row = self._shelves.create(endpoint, info, NO_SOURCE, True)
        if row >= rows.tried_count:
            row = self._promote(row, decisions, now)
        else:
            rows.failures[row] = 0
            if self._trials is not None:
                self._trials.passed(endpoint, decisions, now)
        rows.set_connected(row, now)
        rows.seen_at[row] = now
        if advertise is not None:
            rows.advertise(row, advertise)
        self._changes += 1
        return tuple(decisions)

    def dial_failed(self, endpoint: Endpoint, now: float) -> Decisions:
        """An outbound connection could not be made. In `new` that is the end; in `tried` the third one in a row.

        A failure at another port than the known one says nothing about the entry.
        """
        rows = self._rows
        row = rows.find(endpoint)
        if row is None:
            return ()
        self._changes += 1
        if row >= rows.tried_count:
            self._shelves.forget(row)
            return (decide(endpoint.peer_id, DecisionKind.FORGOTTEN, rules.FAILED_IN_NEW, now),)
        decisions: list[Decision] = []
        if self._trials is not None and self._trials.failed(endpoint, decisions, now):
            return tuple(decisions)
        rows.failures[row] = failures = min(rows.failures[row] + 1, MAX_FAILURES_COUNTED)
        numbers = (("failures", failures), ("limit", self._config.max_failures))
        if failures < self._config.max_failures:
            return ()
        if rows.has(row, WHITELISTED):
            rule = rules.WHITELISTED
            return (decide(endpoint.peer_id, DecisionKind.KEPT, rule, now, *numbers),)
        self._shelves.tried.take(row)
        self._shelves.demote(row, decisions, now, rules.FAILED_IN_TRIED, *numbers)
        return tuple(decisions)

    def remove(self, endpoint: Endpoint, now: float, rule: Rule = rules.REMOVED) -> Decisions:
        """Forget exactly this address and port (it is our own, ...). Whitelisted ones stay."""
        if self._answers is not None:
            self._answers.withdraw(endpoint.ip)
        return () if self._rows.find(endpoint) is None else (self._remove(endpoint, now, rule),)

    def remove_ip(self, ip: str, now: float, rule: Rule = rules.REMOVED) -> Decisions:
        """Forget all entries of an IP address (it is banned). Whitelisted ones stay."""
        if self._answers is not None:
            self._answers.withdraw(ip)
        return tuple(self._remove(endpoint, now, rule) for endpoint in self._shelves.of_ip(ip))

    def set_advertise(self, endpoint: Endpoint, advertise: bool) -> bool:
        """Remember whether the peer wants to be given to others; False if it is not known."""
        row = self._rows.find(endpoint)
        if row is None:
            return False
        self._changes += self._rows.advertise(row, advertise)
        return True

    def whitelist(self, endpoint: Endpoint, now: float) -> Decisions:
        """A whitelisted peer: in tried at once, and never removed from it (LIP 0004, "Static lists").

        Trust is for exactly this ip:port. What happens on other ports of the address has an entry of its own.
        """
        decisions: list[Decision] = []
        shelves, rows = self._shelves, self._rows
        row, failures = rows.find(endpoint), 0
        if row is None:
            info = shelves.usable(endpoint)
            if info is None:
                return (unusable(endpoint, now),)
            row = shelves.create(endpoint, info, NO_SOURCE, True, whitelisted=True)
        elif rows.has(row, WHITELISTED):
            return ()
        else:
            shelves.table_of(row).take(row)
            if rows.table(row) is Table.TRIED:
                failures = rows.failures[row]
                row = rows.to_new(row)
            rows.set_flags(row, (rows.flags[row] | WHITELISTED) & ~OF_IP)
        row = shelves.enter_tried(row, shelves.tried_bucket(row), decisions, now, rules.WHITELISTED)
        rows.failures[row] = failures
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
        rows, rng = self._rows, self._rng
        told = rows.count(ADVERTISED | IPV4 if ipv4_only else ADVERTISED)
        if self._answers is None or now is None or told < KEPT_FROM_ANSWERS * cap:
            return fit_for(requester_ip, sample_peers(rows.told(ipv4_only), cap, rng, least))
        kept = self._answers.get(
            asker_class(requester_ip),
            now,
            lambda: within_reach(requester_ip, sample_peers(rows.told(ipv4_only), cap, rng, least)),
        )
        answer = without_asker(requester_ip, kept)
        if told == len(rows) or not self.hidden():
            return answer
        # Somebody may have asked not to be told since this answer was made.
        hidden = set(rows.hidden())
        return tuple(endpoint for endpoint in answer if endpoint not in hidden)

    def choose(
        self, count: int, now: float, constraints: Constraints = NO_CONSTRAINTS, only: Table | None = None
    ) -> Choice:
        """Up to ``count`` different addresses to dial, by the LIP's probabilities (:mod:`core.book.choice`).

        ``only``: draw from this table alone (feelers test addresses of `new`).
        """
        shelves = self._shelves
        draw = OutboundDraw(shelves.new, shelves.tried, self._config, self._rng, constraints, only)
        return draw.run(count, now)

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

    def _admit(
        self,
        endpoint: Endpoint,
        source: AddressInfo | None,
        decisions: list[Decision],
        now: float,
        advertise: bool,
        rule: Rule,
    ) -> int | None:
        """Put an unknown endpoint into `new`, if nothing speaks against it. Its row comes back."""
        info = self._shelves.usable(endpoint)
        if info is None:
            decisions.append(unusable(endpoint, now))
            return None
        if source is not None and info.net_class > source.net_class and self._config.refuse_narrower_reach:
            numbers = (("reach", info.net_class), ("source_reach", source.net_class))
            decisions.append(decide(endpoint.peer_id, DecisionKind.REFUSED, rules.NARROWER_REACH, now, *numbers))
            return None
        rows = self._rows
        occupant = rows.index.get(endpoint.ip)
        if occupant is not None:
            decisions.append(port_kept(rows.endpoints[occupant], endpoint, now))
            return None
        row = self._shelves.create(endpoint, info, NO_SOURCE if source is None else source.group, advertise)
        row = self._shelves.enter_new(row, decisions, now)
        decisions.append(decide(endpoint.peer_id, DecisionKind.ADDED, rule, now, ("bucket", rows.buckets[row])))
        self._changes += 1
        return row

    def _promote(self, row: int, decisions: list[Decision], now: float) -> int:
        """Put an entry of `new` into `tried`, unless an occupant is to be tested first. It may be in no bucket yet.

        The number that its row has then comes back.
        """
        shelves = self._shelves
        is_placed, bucket = self._rows.buckets[row] != NO_BUCKET, shelves.tried_bucket(row)
        if self._trials is not None and self._trials.defers(row, bucket, decisions, now):
            return row if is_placed else shelves.enter_new(row, decisions, now)
        if is_placed:
            shelves.new.take(row)
        return shelves.enter_tried(row, bucket, decisions, now, rules.OUTBOUND_SUCCESS)

    def _remove(self, endpoint: Endpoint, now: float, rule: Rule) -> Decision:
        row = self._rows.row(endpoint)
        if self._rows.has(row, WHITELISTED):
            return decide(endpoint.peer_id, DecisionKind.KEPT, rules.WHITELISTED, now)
        self._shelves.forget(row)
        self._changes += 1
        return decide(endpoint.peer_id, DecisionKind.FORGOTTEN, rule, now)

    def _change_port(self, row: int, endpoint: Endpoint, rule: Rule, now: float) -> Decision:
        """Let the entry of an IP address stand for another port of it; it stays in its bucket."""
        known_port = self._rows.endpoints[row].port
        self._rows.endpoints[row] = endpoint
        self._changes += 1
        numbers = (("known_port", known_port), ("port", endpoint.port))
        return decide(endpoint.peer_id, DecisionKind.UPDATED, rule, now, *numbers)
