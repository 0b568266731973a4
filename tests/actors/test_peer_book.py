"""The book's actor: what it answers, whom it tells, and the rule of the application. Its neighbours are probes."""

from __future__ import annotations

from typing import Any

import pytest

from actors.peer_book import PeerBook
from actors.wiring import Charter, Init, Rooms, Subscriber, SubscribersChanged
from core.config import NodeConfig
from core.events import BanPeer, DiscoveredPeer, PeerInfo, UnbanPeer
from core.house_messages import (
    AddressBanned,
    AddressUnbanned,
    BansInForce,
    BookCounts,
    ChooseFeeler,
    ChoosePeers,
    ChosenPeers,
    DecisionsTaken,
    FeelerChosen,
    ForgetPeer,
    GetSample,
    InboundSeen,
    OutboundFailed,
    OutboundSucceeded,
    PeersAdvertised,
    PeerSample,
)
from core.ids import Endpoint, PeerId
from core.messages import (
    BanAddress,
    Done,
    EventBatch,
    Failed,
    GetTriedPeers,
    ListKnownPeers,
    PeerList,
    UnbanAddress,
)
from tests.actors.remote import node_info
from tests.actors.world import Complaints, World

SOURCE = PeerId("50.1.0.1:5001")


def at(number: int) -> Endpoint:
    return Endpoint(f"{20 + number // 200}.{1 + number % 200}.0.1", 5001)


class Rig:
    """A book and its neighbours; ``pool`` and ``server`` hear of bans, ``node`` of counts and events."""

    def __init__(self, world: World, *, init: bool = True, **options: Any) -> None:
        self.world = world
        self.config = NodeConfig(**options)
        self.node, self.pool, self.server, self.peer = (world.probe() for _ in range(4))
        self.address = world.create(PeerBook)
        if init:
            self.init()

    def init(self) -> None:
        rooms = Rooms(self.node.address, self.pool.address, self.address, self.server.address)
        subscribers = (Subscriber(self.node.address, None),)
        self.node.tell(self.address, Init(Charter(self.config, node_info(), 5001, b"s" * 32, rooms, subscribers)))
        self.world.run(0.1)

    @property
    def book(self) -> PeerBook:
        found: PeerBook = self.world.instance(self.address)
        return found

    def choose(self, count: int, *excluded: Endpoint) -> ChosenPeers:
        asked = len(self.pool.of(ChosenPeers))
        self.pool.tell(self.address, ChoosePeers(asked + 1, count, frozenset(excluded)))
        answer: ChosenPeers = self.pool.wait(ChosenPeers, asked + 1)
        assert answer.request_id == asked + 1
        return answer

    def advertise(self, *endpoints: Endpoint, source: PeerId = SOURCE) -> None:
        self.peer.tell(self.address, PeersAdvertised(source, source.rpartition(":")[0], endpoints))
        self.world.run(0.1)

    def events(self, kind: type) -> list[Any]:
        return [event for batch in self.node.of(EventBatch) for event in batch.events if isinstance(event, kind)]

    def counts(self) -> BookCounts:
        counts: BookCounts = self.node.of(BookCounts)[-1]
        return counts


@pytest.fixture
def rig(world: World) -> Rig:
    return Rig(world)


# ---- what is known ----


def test_configured_peers_are_known_from_the_start_unless_blacklisted(world: World) -> None:
    rig = Rig(
        world,
        previous_peers=[at(1), at(2)],
        whitelisted_peers=[at(3), at(4)],
        blacklisted_ips=[at(2).ip, at(4).ip],
    )
    rig.node.tell(rig.address, GetTriedPeers(7))
    answer = rig.node.wait(PeerList)
    assert {peer.endpoint for peer in answer.peers} == {at(1), at(3)}
    assert answer.request_id == 7


def test_advertised_peers_become_known_and_are_told_as_discovered(rig: Rig) -> None:
    rig.advertise(at(1), at(2))
    rig.advertise(at(2), at(3))
    assert [(event.endpoint, event.source) for event in rig.events(DiscoveredPeer)] == [
        (at(1), SOURCE),
        (at(2), SOURCE),
        (at(3), SOURCE),
    ]
    assert (rig.counts().new_peers, rig.counts().discovered) == (3, 3)
    assert set(rig.choose(10).endpoints) == {at(1), at(2), at(3)}


def test_discovered_peers_are_counted_also_if_nobody_listens_and_once_if_told_twice(rig: Rig) -> None:
    rig.node.tell(rig.address, SubscribersChanged((Subscriber(rig.node.address, frozenset({BanPeer.NAME})),)))
    rig.advertise(at(1), at(2), at(2))
    assert rig.events(DiscoveredPeer) == []
    assert (rig.counts().new_peers, rig.counts().discovered) == (2, 2)


def test_blacklisted_and_banned_addresses_are_not_learned(world: World) -> None:
    rig = Rig(world, blacklisted_ips=["20.0.0.0/8"])
    rig.node.tell(rig.address, BanAddress(1, "30.1.0.1", PeerId("30.1.0.1:1"), ""))
    rig.advertise(at(1), Endpoint("30.1.0.1", 5001), Endpoint("40.1.0.1", 5001))
    rig.pool.tell(rig.address, InboundSeen(at(2), True))
    assert rig.choose(10).endpoints == (Endpoint("40.1.0.1", 5001),)


def test_successes_and_failures_move_peers(rig: Rig) -> None:
    rig.advertise(at(1), at(2), at(3))
    rig.pool.tell(rig.address, OutboundSucceeded(at(1), True))
    rig.pool.tell(rig.address, OutboundFailed(at(2)))
    rig.pool.tell(rig.address, ForgetPeer(at(3)))
    answer = rig.choose(10)
    assert answer.endpoints == (at(1),)
    assert (answer.tried_count, answer.known_count) == (1, 1)


def test_the_wish_not_to_be_advertised_is_remembered(rig: Rig) -> None:
    """Defect 14 of lisk-p2p: the flag of an outbound peer is ignored, its address is gossiped."""
    rig.pool.tell(rig.address, OutboundSucceeded(at(1), False))
    rig.pool.tell(rig.address, InboundSeen(at(2), False))
    rig.pool.tell(rig.address, InboundSeen(at(3), True))
    rig.peer.tell(rig.address, GetSample(5, "60.1.0.1"))
    assert rig.peer.wait(PeerSample) == PeerSample(5, (at(3),))


def test_known_peers_are_listed_without_those_in_use(rig: Rig) -> None:
    rig.advertise(at(1), at(2))
    rig.pool.tell(rig.address, ListKnownPeers(3, frozenset({at(1)})))
    assert [peer.endpoint for peer in rig.pool.wait(PeerList).peers] == [at(2)]


def test_endpoints_in_use_are_not_chosen(rig: Rig) -> None:
    rig.advertise(*(at(number) for number in range(20)))
    excluded = [at(number) for number in range(15)]
    assert set(rig.choose(20, *excluded).endpoints) == {at(number) for number in range(15, 20)}
    assert len(rig.choose(3).endpoints) == 3


@pytest.mark.parametrize(("least", "most", "expected"), [(100, 200, 100), (10, 200, (75, 150)), (5, 40, 40)])
def test_a_sample_has_the_configured_size(world: World, least: int, most: int, expected: int | tuple[int, int]) -> None:
    rig = Rig(world, minimum_peer_discovery_threshold=least, max_peer_discovery_response_length=most)
    for number in range(300):
        rig.peer.tell(rig.address, InboundSeen(at(number), True))
    low, high = expected if isinstance(expected, tuple) else (expected, 150)
    for number in range(20):
        rig.peer.tell(rig.address, GetSample(number, "60.1.0.1"))
        size = len(rig.peer.wait(PeerSample, number + 1).endpoints)
        assert min(low, most) <= size <= min(high, most)


def test_a_large_book_gives_the_same_answer_again_for_a_day(rig: Rig) -> None:
    """Bitcoin Core PR #18991. A scraper gets 200 of 500 addresses, however often it asks."""
    for number in range(500):
        rig.pool.tell(rig.address, InboundSeen(at(number), True))
    told: set[Endpoint] = set()
    for number in range(5):
        rig.peer.tell(rig.address, GetSample(number, f"60.1.0.{number}"))
        told |= set(rig.peer.wait(PeerSample, number + 1).endpoints)
        rig.world.run(3600.0)
    assert 125 <= len(told) <= 200
    rig.world.run(27 * 3600.0)
    rig.peer.tell(rig.address, GetSample(5, "60.1.0.5"))
    assert set(rig.peer.wait(PeerSample, 6).endpoints) != told


# ---- intake ----


def many(first: int, count: int) -> list[Endpoint]:
    return [
        Endpoint(f"{70 + number % 50}.{number // 50 % 200}.{number // 10_000}.1", 5001)
        for number in range(first, first + count)
    ]


def test_one_host_tells_a_thousand_addresses_and_then_one_every_ten_seconds(rig: Rig) -> None:
    """Bitcoin Core PR #22387."""
    for batch in range(10):
        rig.advertise(*many(200 * batch, 200), source=PeerId(f"50.1.0.1:{5001 + batch}"))
    assert len(rig.events(DiscoveredPeer)) == 1000, "another port is the same host"
    rig.world.run(100.0)
    rig.advertise(*many(2000, 200))
    assert len(rig.events(DiscoveredPeer)) == 1010
    rig.advertise(*many(3000, 200), source=PeerId("50.1.0.2:5001"))
    assert len(rig.events(DiscoveredPeer)) == 1210, "another host has its own allowance"
    refused = [record for told in rig.node.of(DecisionsTaken) for record in told.decisions]
    (first, *_) = [record for record in refused if record.rule == "address_intake_limit"]
    assert dict(first.numbers) == {"left_out": 200, "taken": 0}


def test_known_addresses_cost_a_teller_nothing(world: World) -> None:
    rig = Rig(world, address_intake_allowance=10)
    for _ in range(20):
        rig.advertise(*many(0, 5))
    rig.advertise(*many(5, 5))
    assert len(rig.events(DiscoveredPeer)) == 10
    rig.advertise(*many(10, 5))
    assert len(rig.events(DiscoveredPeer)) == 10


def test_nodes_of_one_machine_have_an_allowance_each_and_the_limit_can_be_off(world: World) -> None:
    rig = Rig(world, address_intake_allowance=10)
    for port in (1, 2):
        rig.advertise(*many(100 * port, 50), source=PeerId(f"127.0.0.1:{port}"))
    assert len(rig.events(DiscoveredPeer)) == 20
    rig = Rig(world, address_intake_per_s=0, address_intake_allowance=1)
    rig.advertise(*many(0, 200))
    assert len(rig.events(DiscoveredPeer)) == 200


# ---- feelers, tests before an eviction, anchors ----


def ask_for_feeler(rig: Rig, *excluded: Endpoint, connected: tuple[Endpoint, ...] = ()) -> FeelerChosen:
    asked = len(rig.pool.of(FeelerChosen))
    ips = frozenset(it.ip for it in (*excluded, *connected))
    question = ChooseFeeler(asked + 1, frozenset((*excluded, *connected)), ips, frozenset(connected))
    rig.pool.tell(rig.address, question)
    answer: FeelerChosen = rig.pool.wait(FeelerChosen, asked + 1)
    assert answer.request_id == asked + 1
    return answer


def crowd(rig: Rig) -> tuple[list[Endpoint], Endpoint]:
    """Fill the tried buckets of one network, long ago; then one more of it is connected: who was there, and he."""
    group = [Endpoint(f"66.7.{number // 200}.{1 + number % 200}", 5001) for number in range(1000)]
    for endpoint in group:
        rig.pool.tell(rig.address, OutboundSucceeded(endpoint, True))
    rig.world.run(1.0)
    there = [peer.endpoint for peer in rig.book.book.tried()]
    assert not rig.book.book.pending_tests(), "all were connected a moment ago"
    rig.world.run(5 * 3600.0)
    newcomer = Endpoint("66.7.9.9", 5001)
    rig.pool.tell(rig.address, OutboundSucceeded(newcomer, True))
    rig.world.run(0.1)
    return there, newcomer


def test_a_feeler_goes_to_a_new_address_that_is_not_in_use(rig: Rig) -> None:
    rig.advertise(at(1), at(2))
    rig.pool.tell(rig.address, OutboundSucceeded(at(3), True))
    assert ask_for_feeler(rig, at(1)) == FeelerChosen(1, at(2))
    assert ask_for_feeler(rig, at(1), at(2)) == FeelerChosen(2, None)


@pytest.mark.parametrize("alive", [True, False])
def test_who_is_to_leave_tried_is_felt_first(rig: Rig, alive: bool) -> None:
    """Bitcoin Core PR #9037: an attacker who connects us to thousands of his addresses pushes out the dead only."""
    there, newcomer = crowd(rig)
    rig.advertise(at(1))
    answer = ask_for_feeler(rig)
    suspect = answer.endpoint
    assert answer.is_test
    assert suspect in there
    assert suspect is not None
    report: Any = OutboundSucceeded(suspect, True) if alive else OutboundFailed(suspect)
    rig.pool.tell(rig.address, report)
    rig.world.run(0.1)
    tried = {entry.endpoint for entry in rig.book.book.tried()}
    assert (suspect in tried, newcomer in tried) == (alive, not alive)
    assert not ask_for_feeler(rig).is_test


def test_who_is_connected_has_passed_the_test(rig: Rig) -> None:
    crowd(rig)
    (suspect,) = rig.book.book.pending_tests()
    assert not ask_for_feeler(rig, connected=(suspect,)).is_test
    assert suspect in {entry.endpoint for entry in rig.book.book.tried()}
    assert rig.book.book.pending_tests() == ()


def test_a_test_without_a_result_ends_after_forty_minutes(rig: Rig) -> None:
    """An outage of ours must not freeze the table."""
    _, newcomer = crowd(rig)
    rig.world.run(39 * 60.0)
    assert len(rig.book.book.pending_tests()) == 1
    rig.world.run(3 * 60.0)
    assert rig.book.book.pending_tests() == ()
    assert newcomer in {entry.endpoint for entry in rig.book.book.tried()}


@pytest.mark.parametrize("options", [{"test_before_evict": False}, {"feeler_interval_s": 0}])
def test_without_the_option_or_feelers_a_newcomer_comes_in_at_once(world: World, options: dict[str, Any]) -> None:
    rig = Rig(world, **options)
    _, newcomer = crowd(rig)
    assert newcomer in {entry.endpoint for entry in rig.book.book.tried()}


def test_counts_are_told_when_they_change_only(rig: Rig) -> None:
    rig.advertise(at(1))
    told = len(rig.node.of(BookCounts))
    rig.advertise(at(1))
    rig.pool.tell(rig.address, OutboundFailed(at(9)))
    rig.world.run(1)
    assert len(rig.node.of(BookCounts)) == told


def test_what_comes_before_init_waits_for_it(world: World, complaints: Complaints) -> None:
    rig = Rig(world, init=False)
    rig.pool.tell(rig.address, ChoosePeers(1, 5, frozenset()))
    rig.pool.tell(rig.address, InboundSeen(at(1), True))
    world.run(1)
    assert rig.pool.got == []
    rig.init()
    assert rig.pool.wait(ChosenPeers).request_id == 1
    assert rig.choose(5).endpoints == (at(1),)


# ---- bans ----


def test_a_ban_reaches_server_pool_and_program_and_clears_the_book(rig: Rig) -> None:
    rig.advertise(at(1), at(2))
    rig.node.tell(rig.address, BanAddress(4, at(1).ip, at(1).peer_id, "flood", 50.0))
    assert rig.node.wait(Done) == Done(4)
    for gate in (rig.server, rig.pool):
        (told,) = gate.of(AddressBanned)
        assert (told.ban.ip, told.ban.reason) == (at(1).ip, "flood")
    (event,) = rig.events(BanPeer)
    assert (event.peer_id, event.ip_address, event.reason) == (at(1).peer_id, at(1).ip, "flood")
    assert rig.choose(5).endpoints == (at(2),)
    assert (rig.counts().banned_addresses, rig.counts().bans) == (1, 1)
    rig.world.run(49)
    assert rig.pool.of(AddressUnbanned) == []
    rig.world.run(2)
    for gate in (rig.server, rig.pool):
        assert gate.of(AddressUnbanned) == [AddressUnbanned(at(1).ip)]
    assert rig.events(UnbanPeer) == [UnbanPeer(ip_address=at(1).ip)]
    assert rig.counts().banned_addresses == 0


def test_a_ban_of_24_hours_ends_after_24_hours(rig: Rig) -> None:
    rig.node.tell(rig.address, BanAddress(1, "1.1.1.1", PeerId("1.1.1.1:1"), ""))
    rig.world.run(86_399)
    assert rig.pool.of(AddressUnbanned) == []
    rig.world.run(2)
    assert rig.pool.of(AddressUnbanned) == [AddressUnbanned("1.1.1.1")]


def test_a_ban_in_another_spelling_is_the_same_ban(rig: Rig) -> None:
    rig.advertise(at(1))
    rig.node.tell(rig.address, BanAddress(1, f"::ffff:{at(1).ip}", PeerId("x"), ""))
    rig.node.wait(Done)
    assert rig.pool.of(AddressBanned)[0].ban.ip == at(1).ip
    assert rig.choose(5).endpoints == ()
    rig.node.tell(rig.address, UnbanAddress(2, f"::ffff:{at(1).ip}"))
    rig.node.wait(Done, 2)
    assert rig.pool.of(AddressUnbanned) == [AddressUnbanned(at(1).ip)]


def test_a_second_ban_of_an_address_is_done_and_told_once(rig: Rig) -> None:
    for number in (1, 2):
        rig.node.tell(rig.address, BanAddress(number, "1.1.1.1", PeerId("1.1.1.1:1"), ""))
    rig.node.wait(Done, 2)
    assert len(rig.pool.of(AddressBanned)) == len(rig.events(BanPeer)) == 1


@pytest.mark.parametrize(
    "message",
    [
        BanAddress(1, "no address", PeerId("x"), ""),
        BanAddress(1, "1.1.1.1", PeerId("x"), "", -5.0),
        BanAddress(1, "1.1.1.1", PeerId("x"), "", float("nan")),
        BanAddress(1, "20.2.0.1", PeerId("x"), ""),  # a fixed peer's
        UnbanAddress(1, "1.1.1.1"),
        UnbanAddress(1, "no address"),
    ],
)
def test_what_cannot_be_done_is_refused(world: World, message: Any) -> None:
    rig = Rig(world, fixed_peers=[at(1)])
    rig.node.tell(rig.address, message)
    assert rig.node.wait(Failed).request_id == 1
    assert rig.pool.of(AddressBanned) == []


def test_nobody_is_answered_where_nobody_asked(rig: Rig) -> None:
    rig.node.tell(rig.address, BanAddress(0, "1.1.1.1", PeerId("x"), ""))
    rig.node.tell(rig.address, BanAddress(0, "no address", PeerId("x"), ""))
    rig.world.run(1)
    assert (rig.node.of(Done), rig.node.of(Failed)) == ([], [])


def test_the_gates_are_told_at_the_start_who_is_banned(rig: Rig) -> None:
    assert rig.pool.of(BansInForce) == rig.server.of(BansInForce) == [BansInForce((), is_new_book=True)]


def test_a_new_neighbour_is_told_all_bans(rig: Rig) -> None:
    rig.node.tell(rig.address, BanAddress(1, "1.1.1.1", PeerId("x"), ""))
    new = rig.world.probe()
    rig.node.tell(rig.address, Rooms(rig.node.address, new.address, rig.address, rig.server.address))
    (bans,) = [new.wait(BansInForce)]
    assert [ban.ip for ban in bans.bans] == ["1.1.1.1"]


# ---- the application's rule ----


def last_first(tried: tuple[PeerInfo, ...], new: tuple[PeerInfo, ...], count: int) -> Any:
    """A rule: new ones first."""
    return [*new, *tried]


def by_endpoint(tried: tuple[PeerInfo, ...], new: tuple[PeerInfo, ...], count: int) -> Any:
    return (peer.endpoint for peer in (*tried, *new))


def nonsense(tried: Any, new: Any, count: int) -> Any:
    return [None, 7, [], {}, Endpoint("9.9.9.9", 9), ("9.9.9.9", 9), "9.9.9.9:9", object()]


def nobody(tried: Any, new: Any, count: int) -> Any:
    return ()


def mute(tried: Any, new: Any, count: int) -> Any:
    return None


def broken(tried: Any, new: Any, count: int) -> Any:
    raise RuntimeError("as told")


def no_list(tried: Any, new: Any, count: int) -> Any:
    return 7


@pytest.mark.parametrize(
    ("rule", "count", "expected"),
    [
        (last_first, 10, {at(1), at(2), at(3)}),
        (last_first, 2, {at(2), at(3)}),
        (by_endpoint, 10, {at(1), at(2), at(3)}),
        (nonsense, 10, set()),
        (nobody, 10, set()),
        (mute, 10, {at(1), at(2), at(3)}),
    ],
)
def test_the_applications_rule_chooses_among_the_known(world: World, rule: Any, count: int, expected: set[Any]) -> None:
    rig = Rig(world, peer_selection_for_connection=rule)
    rig.advertise(at(1), at(2), at(3), at(4))
    rig.pool.tell(rig.address, OutboundSucceeded(at(1), True))
    assert set(rig.choose(count, at(4)).endpoints) == expected


@pytest.mark.parametrize("rule", [broken, no_list])
def test_a_broken_rule_leaves_the_choice_to_the_book(world: World, complaints: Complaints, rule: Any) -> None:
    rig = Rig(world, peer_selection_for_connection=rule)
    rig.advertise(at(1), at(2))
    assert set(rig.choose(10).endpoints) == {at(1), at(2)}
    complaints.expect("peer_selection_for_connection raised")
