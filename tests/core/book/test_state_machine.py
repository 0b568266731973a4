"""Random histories against a dumb twin: a dictionary and the rules of LIP 0004, with none of the book's machinery.

Who is evicted is the book's random choice: the twin reads the victim from the decisions and judges whether the rules
allowed it. Everything else it predicts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from core.book import BookConfig, Constraints, Identity, Table
from core.book.hashing import NO_SOURCE, LipHash
from core.decisions import Decision, DecisionKind
from core.ids import Endpoint
from core.netgroup import NetClass, NetGroup, address_info, net_group
from tests.core.book.tools import DAY_S, NOW_S, SECRET, CheckedBook

NEW_BUCKETS, TRIED_BUCKETS, SIZE = 4, 2, 2
HOSTS = [f"{group}.{n}" for group in ("20.1.1", "30.2.2", "40.3.3") for n in range(1, 5)]
HOSTS += ["2a01:4f8::1", "2a01:4f8::2", "10.0.0.1", "10.0.0.2", "127.0.0.1", "::1", "0.0.0.0", "224.0.0.1"]
SOURCES = ["50.1.1.1", "50.1.2.2", "60.1.1.1", "127.0.0.1", "10.0.0.9", "2a01:4f8::9", None]


@dataclass
class Twin:
    """One address, as the twin knows it."""

    endpoint: Endpoint
    table: Table
    source_group: NetGroup
    placed_at: float
    advertise: bool = True
    failures: int = 0
    whitelisted: bool = False
    last_connected: float | None = None
    last_seen: float | None = None


class BookAndTwin(RuleBasedStateMachine):
    endpoints: Bundle[Endpoint] = Bundle("endpoints")

    @initialize(
        seed=st.integers(0, 9),
        by_endpoint=st.booleans(),
        private_exempt=st.booleans(),
        strict=st.booleans(),
        weight=st.integers(0, 2),
    )
    def begin(self, seed: int, by_endpoint: bool, private_exempt: bool, strict: bool, weight: int) -> None:
        self.config = BookConfig(
            new_bucket_count=NEW_BUCKETS,
            tried_bucket_count=TRIED_BUCKETS,
            bucket_size=SIZE,
            identity=Identity.ENDPOINT if by_endpoint else Identity.IP,
            private_networks_exempt=private_exempt,
            refuse_narrower_reach=strict,
            min_tried_to_weigh=3,
            max_weight_per_group=weight,
        )
        self.book = CheckedBook(self.config, SECRET, Random(seed))
        self.hash = LipHash(SECRET, NEW_BUCKETS, TRIED_BUCKETS)
        self.known: dict[Endpoint, Twin] = {}
        self.now = NOW_S

    # The twin's own rules

    def exempt(self, ip: str) -> bool:
        net_class = address_info(ip).net_class
        return net_class is NetClass.LOCAL or (net_class is NetClass.PRIVATE and self.config.private_networks_exempt)

    def bucket(self, twin: Twin) -> tuple[Table, int]:
        info = address_info(twin.endpoint.ip)
        port = twin.endpoint.port if self.exempt(info.text) else 0
        if twin.table is Table.TRIED:
            return Table.TRIED, self.hash.tried_bucket(info, port)
        return Table.NEW, self.hash.new_bucket(info, twin.source_group, port)

    def sharer(self, endpoint: Endpoint) -> Twin | None:
        """The entry that stands for this IP address under the LIP's identity, if any."""
        if self.config.identity is Identity.ENDPOINT or self.exempt(endpoint.ip):
            return None
        return next((t for t in self.known.values() if t.endpoint.ip == endpoint.ip and not t.whitelisted), None)

    def usable(self, endpoint: Endpoint) -> bool:
        return address_info(endpoint.ip).net_class is not NetClass.UNUSABLE

    def place(self, twin: Twin, table: Table, decisions: list[Decision]) -> None:
        """Put ``twin`` into ``table``; the next of ``decisions`` must tell what had to leave, and be allowed to."""
        twin.table, twin.placed_at = table, self.now
        self.known.pop(twin.endpoint, None)
        where = self.bucket(twin)
        rivals = [other for other in self.known.values() if self.bucket(other) == where]
        if len(rivals) >= SIZE:
            if table is Table.NEW:
                self.evict_from_new(rivals, decisions.pop(0))
            elif not self.demote_from_tried(rivals, twin, decisions):
                return
        self.known[twin.endpoint] = twin
        if table is Table.TRIED:
            moved = decisions.pop(0)
            assert (moved.decision, moved.subject) == (DecisionKind.MOVED_TO_TRIED, twin.endpoint.peer_id)

    def evict_from_new(self, rivals: list[Twin], decision: Decision) -> None:
        assert decision.decision is DecisionKind.EVICTED
        victim = next(other for other in rivals if other.endpoint.peer_id == decision.subject)
        oldest = min(other.placed_at for other in rivals)
        if self.now - oldest > 30 * DAY_S:
            assert decision.rule == "new_bucket_full_oldest"
            assert victim.placed_at == oldest
        else:
            assert decision.rule == "new_bucket_full_random"
        del self.known[victim.endpoint]

    def demote_from_tried(self, rivals: list[Twin], twin: Twin, decisions: list[Decision]) -> bool:
        if all(other.whitelisted for other in rivals):
            if twin.whitelisted:
                return True
            assert decisions.pop(0).rule == "tried_bucket_all_whitelisted"
            self.place(twin, Table.NEW, decisions)
            return False
        moved = decisions.pop(0)
        assert (moved.decision, moved.rule) == (DecisionKind.MOVED_TO_NEW, "tried_bucket_full")
        victim = next(other for other in rivals if other.endpoint.peer_id == moved.subject)
        assert not victim.whitelisted
        victim.failures = 0
        self.place(victim, Table.NEW, decisions)
        return True

    # Operations

    @rule(target=endpoints, ip=st.sampled_from(HOSTS), port=st.sampled_from([5001, 5002]))
    def endpoint(self, ip: str, port: int) -> Endpoint:
        return Endpoint(ip, port)

    @rule(seconds=st.sampled_from([1.0, 3600.0, 20 * DAY_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(endpoint=endpoints, source=st.sampled_from(SOURCES), advertise=st.booleans())
    def add(self, endpoint: Endpoint, source: str | None, advertise: bool) -> None:
        decisions = list(self.book.add(endpoint, source, self.now, advertise))
        self.expect_admission(endpoint, source, advertise, decisions)
        assert not decisions

    @rule(some=st.lists(endpoints, max_size=6), source=st.sampled_from(SOURCES))
    def add_many(self, some: list[Endpoint], source: str | None) -> None:
        decisions = list(self.book.add_many(some, source, self.now))
        for endpoint in some:
            self.expect_admission(endpoint, source, True, decisions)
        assert not decisions

    def expect_admission(
        self, endpoint: Endpoint, source: str | None, advertise: bool, decisions: list[Decision]
    ) -> None:
        if endpoint in self.known:
            return
        refusal = None
        if not self.usable(endpoint):
            refusal = "address_unusable"
        elif (
            source is not None
            and self.config.refuse_narrower_reach
            and address_info(endpoint.ip).net_class > address_info(source).net_class
        ):
            refusal = "narrower_reach_than_source"
        elif self.sharer(endpoint) is not None:
            refusal = "port_kept"
        if refusal is not None:
            assert decisions.pop(0).rule == refusal
            return
        group = net_group(source) if source is not None else NO_SOURCE
        self.place(Twin(endpoint, Table.NEW, group, self.now, advertise), Table.NEW, decisions)
        added = decisions.pop(0)
        assert (added.decision, added.subject) == (DecisionKind.ADDED, endpoint.peer_id)

    @rule(endpoint=endpoints, advertise=st.booleans())
    def inbound_seen(self, endpoint: Endpoint, advertise: bool) -> None:
        decisions = list(self.book.inbound_seen(endpoint, self.now, advertise))
        twin, sharer = self.known.get(endpoint), self.sharer(endpoint)
        if twin is None and sharer is not None:
            decision = decisions.pop(0)
            if sharer.table is Table.TRIED:
                assert decision.rule == "port_kept"
            else:
                assert decision.rule == "port_announced"
                self.change_port(sharer, endpoint)
                twin = sharer
        elif twin is None:
            self.expect_admission(endpoint, endpoint.ip, advertise, decisions)
            twin = self.known.get(endpoint)
        if twin is not None:
            twin.advertise, twin.last_seen = advertise, self.now
        assert not decisions

    def change_port(self, twin: Twin, endpoint: Endpoint) -> None:
        del self.known[twin.endpoint]
        twin.endpoint = endpoint
        self.known[endpoint] = twin

    @rule(endpoint=endpoints, advertise=st.sampled_from([None, True, False]))
    def connected(self, endpoint: Endpoint, advertise: bool | None) -> None:
        decisions = list(self.book.connected(endpoint, self.now, advertise))
        twin = self.known.get(endpoint)
        if twin is None and not self.usable(endpoint):
            assert decisions.pop(0).rule == "address_unusable"
            assert not decisions
            return
        if twin is None:
            twin = self.sharer(endpoint)
            if twin is not None:
                assert decisions.pop(0).rule == "port_verified"
                self.change_port(twin, endpoint)
        if twin is None:
            twin = Twin(endpoint, Table.NEW, NO_SOURCE, self.now)
        if twin.table is Table.NEW:
            self.place(twin, Table.TRIED, decisions)
        twin.failures = 0
        twin.last_connected = twin.last_seen = self.now
        if advertise is not None:
            twin.advertise = advertise
        assert not decisions

    @rule(endpoint=endpoints)
    def dial_failed(self, endpoint: Endpoint) -> None:
        decisions = list(self.book.dial_failed(endpoint, self.now))
        twin = self.known.get(endpoint)
        if twin is not None and twin.table is Table.NEW:
            assert decisions.pop(0).decision is DecisionKind.FORGOTTEN
            del self.known[endpoint]
        elif twin is not None:
            twin.failures += 1
            if twin.failures >= 3 and twin.whitelisted:
                assert decisions.pop(0).rule == "whitelisted"
            elif twin.failures >= 3:
                assert decisions.pop(0).rule == "consecutive_failures"
                twin.failures = 0
                self.place(twin, Table.NEW, decisions)
        assert not decisions

    @rule(endpoint=endpoints)
    def remove(self, endpoint: Endpoint) -> None:
        twin = self.known.get(endpoint)
        self.expect_removal([twin] if twin is not None else [], self.book.remove(endpoint, self.now))

    @rule(endpoint=endpoints)
    def remove_ip(self, endpoint: Endpoint) -> None:
        twins = [twin for twin in self.known.values() if twin.endpoint.ip == endpoint.ip]
        self.expect_removal(twins, self.book.remove_ip(endpoint.ip, self.now))

    def expect_removal(self, twins: list[Twin], decisions: Iterable[Decision]) -> None:
        told = {made.subject: made.decision for made in decisions}
        assert told == {
            twin.endpoint.peer_id: DecisionKind.KEPT if twin.whitelisted else DecisionKind.FORGOTTEN for twin in twins
        }
        for twin in twins:
            if not twin.whitelisted:
                del self.known[twin.endpoint]

    @rule(endpoint=endpoints, advertise=st.booleans())
    def set_advertise(self, endpoint: Endpoint, advertise: bool) -> None:
        assert self.book.set_advertise(endpoint, advertise) is (endpoint in self.known)
        if endpoint in self.known:
            self.known[endpoint].advertise = advertise

    @rule(endpoint=endpoints)
    def whitelist(self, endpoint: Endpoint) -> None:
        decisions = list(self.book.whitelist(endpoint, self.now))
        twin = self.known.get(endpoint)
        if twin is None and not self.usable(endpoint):
            assert decisions.pop(0).rule == "address_unusable"
        elif twin is None or not twin.whitelisted:
            twin = twin or Twin(endpoint, Table.NEW, NO_SOURCE, self.now)
            twin.whitelisted = True
            self.place(twin, Table.TRIED, decisions)
        assert not decisions

    @rule()
    def store_and_load(self) -> None:
        """A restart: the same entries, save that trust comes from configuration."""
        records = self.book.snapshot()
        trusted = [twin.endpoint for twin in self.known.values() if twin.whitelisted]
        copy = CheckedBook(self.config, SECRET, Random(1))
        for endpoint in trusted:
            copy.whitelist(endpoint, self.now)
        assert copy.restore(records, self.now) == ()
        assert {view.endpoint for view in copy.all()} == set(self.known)

    # Questions

    @rule(count=st.integers(0, 5), taken=st.lists(endpoints, max_size=5))
    def choose(self, count: int, taken: list[Endpoint]) -> None:
        limits = Constraints(endpoints=set(taken), group_counts={net_group("20.1.1.1"): 2})
        chosen = self.book.choose(count, self.now, limits).endpoints
        assert len(set(chosen)) == len(chosen) <= count
        assert set(chosen) <= set(self.known) - set(taken)
        plain = [endpoint for endpoint in chosen if not self.exempt(endpoint.ip)]
        assert len({endpoint.ip for endpoint in plain}) == len(plain)
        for group in {net_group(endpoint.ip) for endpoint in plain}:
            room = 1 if group == net_group("20.1.1.1") else 3
            assert sum(net_group(endpoint.ip) == group for endpoint in plain) <= room
        if count and not chosen:
            assert set(self.known) <= set(taken), "nobody chosen though somebody was eligible"

    @rule(some=st.lists(endpoints, max_size=8))
    def unknown(self, some: list[Endpoint]) -> None:
        assert self.book.unknown(some) == [endpoint for endpoint in some if endpoint not in self.known]

    @rule(cap=st.integers(0, 12), requester=st.sampled_from(SOURCES), ipv4_only=st.booleans())
    def sample(self, cap: int, requester: str | None, ipv4_only: bool) -> None:
        answer = self.book.sample_for_getpeers(cap, ipv4_only, requester)
        told = {
            twin.endpoint
            for twin in self.known.values()
            if twin.advertise and not (ipv4_only and ":" in twin.endpoint.ip)
        }
        assert len(set(answer)) == len(answer) <= cap
        assert set(answer) <= told
        if requester is None:
            assert len(answer) == min(cap, len(told))

    @invariant()
    def the_book_knows_what_the_twin_knows(self) -> None:
        seen = {
            view.endpoint: (
                view.table,
                view.bucket,
                view.source_group,
                view.failures,
                view.placed_at,
                view.advertise,
                view.whitelisted,
                view.last_connected,
                view.last_seen,
            )
            for view in self.book.all()
        }
        wanted = {
            twin.endpoint: (
                twin.table,
                self.bucket(twin)[1],
                twin.source_group,
                twin.failures,
                twin.placed_at,
                twin.advertise,
                twin.whitelisted,
                twin.last_connected,
                twin.last_seen,
            )
            for twin in self.known.values()
        }
        assert seen == wanted


BookAndTwin.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestBookAndTwin = BookAndTwin.TestCase
