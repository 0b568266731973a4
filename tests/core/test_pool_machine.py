"""Random histories of a pool: whatever comes in whatever order, the twin's invariants hold (see pool_tools)."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.effects import CreateInbound, Room
from core.house_messages import (
    ChoosePeers,
    NamedSeedsChanged,
    ResolvedHost,
)
from core.ids import CloseCode, Direction, Endpoint
from core.messages import (
    ApplyPenalty,
)
from core.seeds import SeedName
from tests.core.pool_tools import IN, OUT, Driven, info

IPS = [f"{group}.{group}.0.{host}" for group in range(1, 7) for host in range(1, 4)]
ENDPOINTS = [Endpoint(ip, port) for ip in IPS for port in (5001, 5002)]
SEEDS, FIXED, WHITE = tuple(ENDPOINTS[:3]), (ENDPOINTS[3], ENDPOINTS[4]), (ENDPOINTS[8], ENDPOINTS[0])
TRUSTED_IPS = {endpoint.ip for endpoint in (*SEEDS, *FIXED, *WHITE)}

endpoints = st.sampled_from(ENDPOINTS)
codes = st.sampled_from(
    [CloseCode.ABNORMAL, CloseCode.NORMAL, CloseCode.DUPLICATE, CloseCode.EVICTED, CloseCode.OWN_NONCE, 401]
)
NAMES = (SeedName("a.example", 5001), SeedName("b.example", 5002))
nonces = st.sampled_from(["a", "z"])


class PoolMachine(RuleBasedStateMachine):
    """Everything that can happen to a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.driven = Driven(
            max_outbound_connections=3,
            max_inbound_connections=3,
            max_outbound_per_group=2,
            max_inbound_per_ip=1,
            seed_peers=SEEDS,
            seed_names=NAMES,
            blacklisted_ips=("6.6.0.3",),
            fixed_peers=FIXED,
            whitelisted_peers=WHITE,
            populator_interval_s=10.0,
            seed_interval_s=7.0,
            shuffle_interval_s=60.0,
        ).start()

    def slot(self, number: int) -> tuple[Endpoint, Direction]:
        keys = sorted(self.driven.slots, key=str)
        return keys[number % len(keys)]

    @rule(seconds=st.floats(0.0, 100.0))
    def time_passes(self, seconds: float) -> None:
        self.driven.advance(seconds)

    @rule(chosen=st.lists(endpoints, max_size=5), tried=st.sampled_from([0, 99, 100]), back=st.integers(0, 2))
    def book_answers(self, chosen: list[Endpoint], tried: int, back: int) -> None:
        if self.driven.log.to(Room.BOOK, ChoosePeers):
            self.driven.answer_book(*chosen, tried=tried, request_id=self.driven.question().request_id - back)

    @precondition(lambda self: self.driven.slots)
    @rule(number=st.integers(0, 20), nonce=nonces)
    def gets_connected(self, number: int, nonce: str) -> None:
        self.driven.connected(*self.slot(number), nonce)

    @precondition(lambda self: self.driven.slots)
    @rule(number=st.integers(0, 20), code=codes)
    def gets_closed(self, number: int, code: int) -> None:
        self.driven.closed(*self.slot(number), code)

    @rule(endpoint=endpoints, direction=st.sampled_from([IN, OUT]), code=codes)
    def stray_reports(self, endpoint: Endpoint, direction: Direction, code: int) -> None:
        if (endpoint, direction) not in self.driven.slots:
            self.driven.connected(endpoint, direction)
            self.driven.closed(endpoint, direction, code)
        self.driven.pool.on_updated(info(endpoint, direction))

    @rule(name=st.sampled_from(NAMES), found=st.lists(endpoints, max_size=3))
    def name_is_resolved(self, name: SeedName, found: list[Endpoint]) -> None:
        host = ResolvedHost(name.host, tuple(endpoint.ip for endpoint in found))
        self.driven.apply(self.driven.pool.on_resolved((host,), self.driven.now))

    @rule()
    def resolver_crashes(self) -> None:
        self.driven.apply(self.driven.pool.on_resolver_lost())

    @rule()
    def gates_are_replaced(self) -> None:
        self.driven.apply(self.driven.pool.on_gates_replaced())

    @rule(endpoint=endpoints)
    def opener_comes(self, endpoint: Endpoint) -> None:
        answer = self.driven.admit(endpoint)
        assert not (self.driven.stopped and isinstance(answer, CreateInbound))

    @rule(endpoint=endpoints)
    def banned(self, endpoint: Endpoint) -> None:
        if endpoint.ip not in TRUSTED_IPS:  # the book never bans those
            self.driven.ban(endpoint.ip)

    @rule(endpoint=endpoints)
    def unbanned(self, endpoint: Endpoint) -> None:
        self.driven.unban(endpoint.ip)

    @rule()
    def book_is_replaced(self) -> None:
        self.driven.banned = set()
        self.driven.apply(self.driven.pool.on_bans(()))
        self.driven.apply(self.driven.pool.on_book_replaced(self.driven.now))

    @rule(endpoint=endpoints, named=st.booleans())
    def program_speaks(self, endpoint: Endpoint, named: bool) -> None:
        peer_id = endpoint.peer_id if named else None
        self.driven.send("event", peer_id)
        self.driven.broadcast("event")
        self.driven.request("procedure", peer_id)
        ask_id = self.driven.ask()
        self.driven.apply(self.driven.pool.penalise(ApplyPenalty(ask_id, endpoint.peer_id, 1, ""), ask_id))
        self.driven.answer(ask_id)

    @rule(really=st.integers(0, 9))
    def node_stops(self, really: int) -> None:
        if really == 0:
            self.driven.stop()

    @invariant()
    def every_query_has_one_answer(self) -> None:
        for ask_id in self.driven.log.answers:
            self.driven.answer(ask_id)

    @invariant()
    def nobody_blacklisted_is_trusted_for_a_name(self) -> None:
        for told in self.driven.log.to(Room.SERVER, NamedSeedsChanged):
            assert "6.6.0.3" not in {endpoint.ip for endpoint in told.endpoints}

    @invariant()
    def every_dial_is_counted_by_the_book_or_still_open(self) -> None:
        assert len(self.driven.pool.connected_peers()) <= len(self.driven.slots)


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
