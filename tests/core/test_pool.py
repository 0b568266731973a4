"""The pool in virtual time: filling slots, seeds, fixed peers, shuffling, stopping (LIP 0004)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from core.config import NodeConfig
from core.effects import Room
from core.events import NetworkReady, RemovePeer
from core.house_messages import (
    AllPeersClosed,
    AskForPeers,
    ChoosePeers,
    ClosePeer,
    ForgetPeer,
    InboundSeen,
    OutboundFailed,
    OutboundSucceeded,
    PoolCounts,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.messages import (
    Ban,
)
from core.netgroup import net_group
from core.pool_outbound import ASK_PAUSE_S, MAX_SEED_GUESTS
from core.pool_settings import PoolSettings
from tests.core.pool_tools import IN, OUT, Driven, at, info

SEEDS = tuple(at(number) for number in range(100, 106))
FIXED = at(200)


# ---- filling the slots ----


def test_asks_the_book_for_as_many_peers_as_slots_are_free() -> None:
    """LIP 0004, "Connections": as many outbound connections as wanted."""
    driven = Driven(max_outbound_connections=5).start()
    assert driven.question().count == 5
    driven.answer_book(at(1), at(2))
    assert driven.dialled() == [at(1), at(2)]
    driven.advance(10)
    question = driven.question()
    assert (question.count, question.excluded) == (3, {at(1), at(2)})


def test_takes_no_more_of_the_books_answer_than_it_asked_for() -> None:
    driven = Driven(max_outbound_connections=2).start()
    driven.answer_book(at(1), at(2), at(3))
    assert driven.dialled() == [at(1), at(2)]


def test_populates_on_every_tick_while_slots_are_free() -> None:
    driven = Driven(max_outbound_connections=5, populator_interval_s=10.0).start()
    for _ in range(3):
        driven.answer_book()
        driven.advance(10)
    assert len(driven.log.to(Room.BOOK, ChoosePeers)) == 4


def test_asks_nothing_while_all_slots_are_taken() -> None:
    driven = Driven(max_outbound_connections=3, shuffle_interval_s=1e6).start()
    driven.fill_outbound(3)
    asked = len(driven.log.to(Room.BOOK, ChoosePeers))
    driven.advance(1000)
    assert len(driven.log.to(Room.BOOK, ChoosePeers)) == asked


def test_with_no_outbound_slots_nobody_is_dialled() -> None:
    driven = Driven(max_outbound_connections=0, seed_peers=SEEDS).start()
    driven.advance(120)
    assert driven.dialled() == []


def test_a_lost_connection_is_replaced_at_once() -> None:
    """LIP 0004, "Connections": closed by the other side, pick another peer."""
    driven = Driven(max_outbound_connections=2).start()
    driven.fill_outbound(2)
    before = driven.now
    driven.closed(at(0))
    driven.answer_book(at(9))
    assert (driven.dialled()[-1], driven.now) == (at(9), before)


def test_an_unreachable_peer_is_replaced_at_once_and_the_book_hears_of_it() -> None:
    """LIP 0004, "Connections": dialled peer unreachable, choose another."""
    driven = Driven(max_outbound_connections=1).start()
    driven.answer_book(at(1))
    driven.closed(at(1))
    assert driven.log.to(Room.BOOK, OutboundFailed) == [OutboundFailed(at(1))]
    driven.answer_book(at(2))
    assert driven.dialled() == [at(1), at(2)]


def test_who_failed_is_not_dialled_again_within_an_interval() -> None:
    driven = Driven(max_outbound_connections=1, populator_interval_s=10.0).start()
    driven.answer_book(at(1))
    driven.closed(at(1))
    assert at(1) in driven.question().excluded
    for _ in range(50):  # a book that knows nobody else
        driven.answer_book(at(1))
        driven.advance(0.5)
    times = [time for time, _, _ in driven.log.dials]
    assert len(times) == 2  # and not again after that: the second dial is still under way
    assert times[1] - times[0] >= 10


def test_an_answer_given_before_the_failure_does_not_dial_again() -> None:
    driven = Driven(max_outbound_connections=5, seed_peers=(at(1),)).start()
    driven.answer_book(tried=0)  # dials the seed
    driven.advance(10)  # the next question is open
    driven.closed(at(1))
    driven.answer_book(at(1))
    assert driven.dialled() == [at(1)]


def test_a_peer_that_throws_us_out_at_once_is_not_dialled_in_a_loop() -> None:
    driven = Driven(max_outbound_connections=1, populator_interval_s=10.0).start()
    for _ in range(100):
        driven.answer_book(at(1))
        if (at(1), OUT) in driven.slots:
            driven.connected(at(1))
            driven.closed(at(1))
        driven.advance(1)
    assert len(driven.dialled()) <= 11


def test_late_and_repeated_answers_of_the_book_are_ignored() -> None:
    driven = Driven(max_outbound_connections=5).start()
    first = driven.question().request_id
    driven.advance(10)  # asked again: the book seemed dead
    driven.answer_book(at(1), request_id=first)
    assert driven.dialled() == []
    driven.answer_book(at(2))
    driven.answer_book(at(3))
    assert driven.dialled() == [at(2)]


def test_a_question_that_is_never_answered_is_asked_again_after_an_interval() -> None:
    driven = Driven(populator_interval_s=10.0).start()
    driven.advance(9)
    assert len(driven.log.to(Room.BOOK, ChoosePeers)) == 1
    driven.advance(1)
    assert len(driven.log.to(Room.BOOK, ChoosePeers)) == 2


def test_the_book_is_told_how_many_outbound_connections_each_group_has() -> None:
    driven = Driven(max_outbound_connections=5).start()
    near, far = Endpoint("9.9.1.1", 1), Endpoint("9.9.2.2", 1)
    driven.answer_book(near, far, at(1), Endpoint("127.0.0.1", 1))
    driven.advance(10)
    counts = dict(driven.question().group_counts)
    assert counts == {net_group("9.9.0.0"): 2, net_group(at(1).ip): 1}  # loopback has no limit


def test_never_dials_an_address_that_is_connected_inbound() -> None:
    """LIP 0004, "Connections": inbound and outbound sets are disjoint."""
    driven = Driven().start()
    driven.let_in(at(1))
    driven.answer_book(at(1), at(2))
    assert driven.dialled() == [at(2)]
    driven.advance(10)
    assert at(1) in driven.question().excluded


def test_own_address_is_forgotten_and_never_dialled_again() -> None:
    driven = Driven().start()
    driven.answer_book(at(1))
    driven.closed(at(1), code=CloseCode.OWN_NONCE)
    assert driven.log.to(Room.BOOK, ForgetPeer) == [ForgetPeer(at(1))]
    assert driven.log.to(Room.BOOK, OutboundFailed) == []
    for _ in range(10):
        driven.advance(60)
        assert at(1) in driven.question().excluded
        driven.answer_book(at(1))
    assert driven.dialled() == [at(1)]


def test_a_refused_duplicate_does_not_count_against_the_address() -> None:
    driven = Driven().start()
    driven.answer_book(at(1), at(2))
    driven.closed(at(1), code=CloseCode.DUPLICATE)
    driven.closed(at(2), code=CloseCode.INCOMPATIBLE)
    assert driven.log.to(Room.BOOK, OutboundFailed) == [OutboundFailed(at(2))]


def test_success_is_told_to_book_program_and_node() -> None:
    driven = Driven().start()
    driven.answer_book(at(1), at(2))
    driven.connected(at(1), advertise_address=False)
    driven.connected(at(2))
    assert driven.log.to(Room.BOOK, OutboundSucceeded) == [
        OutboundSucceeded(at(1), False),
        OutboundSucceeded(at(2), True),
    ]
    assert driven.log.events == [NetworkReady()]  # once
    driven.closed(at(1))
    assert driven.log.events[-1] == RemovePeer(peer_id=at(1).peer_id, reason="gone")
    reports = driven.log.to(Room.NODE, PoolCounts)
    assert reports[-1] == PoolCounts(0, 1, 0, 2, 0, 1, 0, at(1), Direction.OUTBOUND, False)
    assert reports[-2] == PoolCounts(0, 2, 0, 2, 0, 0, 0, at(2), Direction.OUTBOUND, True)


def test_saying_twice_that_a_peer_is_connected_changes_nothing() -> None:
    driven = Driven().start()
    driven.answer_book(at(1))
    driven.connected(at(1))
    driven.connected(at(1))
    assert driven.log.to(Room.NODE, PoolCounts)[-1].outbound_connects == 1
    assert len(driven.log.to(Room.BOOK, OutboundSucceeded)) == 1


def test_reports_of_unknown_peers_are_ignored() -> None:
    driven = Driven().start()
    driven.connected(at(1))
    driven.closed(at(1))
    driven.pool.on_updated(info(at(1)))
    assert driven.pool.connected_peers() == ()


def test_updates_are_kept_for_connected_peers_only() -> None:
    driven = Driven().start()
    driven.answer_book(at(1), at(2))
    driven.connected(at(1))
    for number in (1, 2):
        driven.pool.on_updated(info(at(number)))
    assert [peer.connected_at for peer in driven.pool.connected_peers()] == [None]  # the update's, and only peer 1


# ---- seeds ----


def test_seeds_are_asked_when_fewer_than_100_tried_peers_are_known() -> None:
    """LIP 0004, "Start-up and discovery", step 2."""
    driven = Driven(seed_peers=SEEDS).start()
    driven.answer_book(tried=99)
    assert sorted(driven.dialled()) == sorted(SEEDS)
    assert {kind for _, _, kind in driven.log.dials} == {PeerKind.SEED}


def test_seeds_are_left_alone_when_100_tried_peers_are_known() -> None:
    """LIP 0004, "Start-up and discovery", step 2."""
    driven = Driven(seed_peers=SEEDS).start()
    driven.answer_book(at(1), tried=100)
    assert driven.dialled() == [at(1)]


def test_all_seeds_are_used_in_random_order() -> None:
    """Defect 24 of lisk-p2p: only the first ``free slots`` seeds are ever used."""
    orders = set()
    for seed in range(20):
        driven = Driven(seed=seed, seed_peers=SEEDS, max_outbound_connections=2).start()
        driven.answer_book(tried=0)
        assert sorted(driven.dialled()) == sorted(SEEDS)
        orders.add(tuple(driven.dialled()))
    assert len(orders) > 10


@pytest.mark.parametrize("slots", [1, 2, 6])
def test_as_many_or_more_seeds_than_slots_work(slots: int) -> None:
    """Defect 23 of lisk-p2p: start() cancels its own seed connections."""
    driven = Driven(seed_peers=SEEDS, max_outbound_connections=slots).start()
    driven.answer_book(tried=0)
    for seed in SEEDS:
        driven.connected(seed)
    assert driven.log.closes() == {}
    assert driven.question().count == slots  # they take nobody's slot


def test_thousands_of_seeds_are_not_dialled_all_at_once_but_all_in_the_end() -> None:
    seeds = tuple(at(number) for number in range(80))
    driven = Driven(seed_peers=seeds).start()
    driven.answer_book(tried=0)
    assert len(driven.dialled()) == MAX_SEED_GUESTS
    for _ in range(40):
        for endpoint, _ in list(driven.slots):
            driven.closed(endpoint)
        driven.advance(30)
    assert set(driven.dialled()) == set(seeds)


def test_seeds_are_released_when_the_slots_are_full() -> None:
    """LIP 0004, "Start-up and discovery", step 2: then disconnect from the seeds."""
    driven = Driven(seed_peers=SEEDS[:2], max_outbound_connections=2, shuffle_interval_s=1e6).start()
    driven.answer_book(tried=0)
    for seed in SEEDS[:2]:
        driven.connected(seed)
    driven.answer_book(at(1), at(2))
    driven.advance(10)
    assert driven.log.closes() == {}  # full of dials only: they may fail
    driven.connected(at(1))
    driven.connected(at(2))
    driven.advance(10)
    said = ClosePeer(CloseCode.NORMAL, "Disconnect from SeedPeer after discovery")
    assert driven.log.closes() == dict.fromkeys(SEEDS[:2], said)


def test_seeds_are_asked_again_after_the_fallback_interval_while_slots_are_free() -> None:
    """LIP 0004, "Start-up and discovery", step 4."""
    driven = Driven(seed_peers=SEEDS, seed_interval_s=30.0).start()
    driven.answer_book(tried=500)
    driven.advance(29)
    assert driven.dialled() == []
    driven.advance(1)
    assert sorted(driven.dialled()) == sorted(SEEDS)
    for seed in SEEDS:
        driven.closed(seed)
    driven.advance(30)
    assert sorted(driven.dialled()) == sorted(SEEDS * 2)


def test_seeds_are_not_asked_again_when_the_slots_are_full() -> None:
    driven = Driven(seed_peers=SEEDS, max_outbound_connections=2, shuffle_interval_s=1e6).start()
    driven.answer_book(at(1), at(2), tried=500)
    driven.advance(300)
    assert driven.dialled() == [at(1), at(2)]


def test_rediscovery_asks_a_connected_peer_but_never_twice_within_its_penalty_window() -> None:
    driven = Driven(seed_interval_s=2.0, populator_interval_s=1.0).start()
    driven.answer_book(at(1))
    driven.connected(at(1))
    asked_at = [driven.now]  # connecting asks as well
    seen = 0
    for _ in range(400):
        driven.advance(0.25)
        asks = [said for _, _, said in driven.log.peers_told if isinstance(said, AskForPeers)]
        asked_at += [driven.now] * (len(asks) - seen)
        seen = len(asks)
    gaps = [later - earlier for earlier, later in pairwise(asked_at)]
    assert seen > 3
    assert min(gaps) >= ASK_PAUSE_S


# ---- fixed peers ----


def test_fixed_peers_are_redialled_for_ever_with_growing_pauses_of_at_most_a_minute() -> None:
    """LIP 0004, "Static lists": exponential back-off, never waiting longer than 1 minute, for ever."""
    driven = Driven(fixed_peers=(FIXED,)).start()
    for _ in range(4000):
        driven.advance(1)
        if (FIXED, OUT) in driven.slots:
            driven.closed(FIXED)
    times = [time for time, _, _ in driven.log.dials]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[:6] == sorted(pauses[:6])
    assert pauses[0] <= 2
    assert pauses[-1] == pytest.approx(60, abs=1)
    assert max(pauses) <= 61  # the test looks once a second


def test_a_success_resets_the_pauses() -> None:
    driven = Driven(fixed_peers=(FIXED,)).start()
    for _ in range(300):
        driven.advance(1)
        if (FIXED, OUT) in driven.slots:
            driven.closed(FIXED)
    while (FIXED, OUT) not in driven.slots:
        driven.advance(1)
    driven.connected(FIXED)
    driven.advance(500)
    driven.closed(FIXED)
    lost_at, count = driven.now, len(driven.dialled())
    driven.advance(1)
    assert len(driven.dialled()) == count + 1
    assert driven.log.dials[-1][0] - lost_at <= 1


def test_a_fixed_peer_that_is_connected_inbound_is_not_dialled_until_it_is_lost() -> None:
    """LIP 0004, "Static lists": fixed, always connected: outbound, unless already connected inbound."""
    driven = Driven(fixed_peers=(FIXED,)).start()
    driven.closed(FIXED)
    driven.let_in(FIXED)
    dials = len(driven.dialled())
    driven.advance(1000)
    assert len(driven.dialled()) == dials
    driven.closed(FIXED, IN)
    driven.advance(1)
    assert len(driven.dialled()) == dials + 1


def test_a_fixed_peer_chosen_by_the_book_keeps_its_pace() -> None:
    driven = Driven(fixed_peers=(FIXED,)).start()
    assert FIXED in driven.question().excluded
    driven.closed(FIXED)
    driven.answer_book(FIXED, at(1))
    assert driven.dialled() == [FIXED, at(1)]


def test_the_slot_of_a_fixed_peer_is_kept_free_while_it_is_away() -> None:
    driven = Driven(fixed_peers=(FIXED,), max_outbound_connections=2).start()
    driven.closed(FIXED)
    driven.answer_book(at(1), at(2))
    assert driven.dialled() == [FIXED, at(1)]
    driven.connected(at(1))
    driven.advance(1)
    assert driven.dialled() == [FIXED, at(1), FIXED]


def test_as_many_fixed_peers_as_slots_means_fixed_peers_only() -> None:
    driven = Driven(fixed_peers=(FIXED,), max_outbound_connections=1).start()
    driven.advance(60)
    assert driven.log.to(Room.BOOK, ChoosePeers) == []
    assert driven.dialled() == [FIXED]


def test_a_fixed_peer_that_is_ourselves_is_given_up() -> None:
    driven = Driven(fixed_peers=(FIXED,), max_outbound_connections=1).start()
    driven.closed(FIXED, code=CloseCode.OWN_NONCE)
    driven.advance(1000)
    assert driven.dialled() == [FIXED]
    assert driven.question().count == 1  # its slot is free again


def test_a_seed_that_is_fixed_is_dialled_as_fixed() -> None:
    driven = Driven(fixed_peers=(FIXED,), seed_peers=(FIXED,)).start()
    driven.closed(FIXED)
    driven.answer_book(tried=0)
    assert driven.log.dials == [(driven.now, FIXED, PeerKind.FIXED)]


# ---- shuffling ----


def shuffle_times(seed: int, intervals: int = 6, **settings: object) -> list[float]:
    """Seconds after the start at which outbound connections were dropped."""
    driven = Driven(seed=seed, max_outbound_connections=4, **settings).start()
    driven.fill_outbound(4)
    start, times, spare = driven.now, [], 50
    while driven.now < start + intervals * 300:
        driven.advance(1)
        for endpoint, said in driven.log.closes().items():
            if (endpoint, OUT) in driven.slots:
                assert (said.code, said.reason) == (CloseCode.EVICTED, f"Evicted outbound peer {endpoint.peer_id}")
                times.append(driven.now - start)
                driven.closed(endpoint, code=CloseCode.EVICTED)
                spare += 1
                driven.answer_book(at(spare))
                driven.connected(at(spare))
    return times


def test_one_outbound_connection_is_shuffled_in_every_interval_at_a_random_moment() -> None:
    """LIP 0004, "Connections": shuffling, at a random moment inside every 5 minutes."""
    moments = set()
    for seed in range(10):
        times = shuffle_times(seed)
        assert [int((time - 1) // 300) for time in times] == list(range(6))  # one in each
        moments |= {round(time % 300) for time in times}
    assert len(moments) > 40  # spread, not a tick
    assert min(moments) < 30
    assert max(moments) > 270


def test_shuffling_leaves_fixed_and_seed_peers_alone() -> None:
    """LIP 0004, "Connections": shuffling, never a fixed peer."""
    driven = Driven(max_outbound_connections=2, fixed_peers=(FIXED,), seed_peers=SEEDS[:1]).start()
    driven.connected(FIXED)
    driven.answer_book(at(1), tried=0)
    driven.connected(SEEDS[0])
    driven.connected(at(1))
    driven.advance(300)
    assert driven.log.closes()[at(1)].code == CloseCode.EVICTED
    assert FIXED not in driven.log.closes()
    assert driven.log.closes()[SEEDS[0]].code == CloseCode.NORMAL  # released, not shuffled


def test_no_shuffling_while_a_slot_is_free() -> None:
    driven = Driven(max_outbound_connections=4).start()
    driven.fill_outbound(3)
    driven.advance(3000)
    assert driven.log.closes() == {}


# ---- bans ----


def test_a_ban_closes_every_connection_of_the_address() -> None:
    """Defect 16 of lisk-p2p: a ban closes only the offending socket."""
    driven = Driven().start()
    here, there = Endpoint("9.9.9.9", 1), Endpoint("9.9.9.9", 2)
    driven.answer_book(here)
    driven.connected(here)
    driven.let_in(there)
    driven.ban("9.9.9.9")
    assert set(driven.log.closes()) == {here, there}


def test_a_ban_cancels_a_dial_under_way() -> None:
    driven = Driven().start()
    driven.answer_book(at(1))
    driven.ban(at(1).ip)
    assert set(driven.log.closes()) == {at(1)}


def test_banned_addresses_are_not_dialled_until_the_ban_ends() -> None:
    driven = Driven(seed_peers=(at(7),)).start()
    driven.ban(at(1).ip)
    driven.answer_book(at(1), at(2))
    assert driven.dialled() == [at(2)]
    driven.unban(at(1).ip)
    driven.advance(10)
    driven.answer_book(at(1))
    assert driven.dialled() == [at(2), at(1)]


def test_the_books_list_of_bans_replaces_the_pools() -> None:
    driven = Driven().start()
    driven.ban(at(1).ip)
    driven.answer_book(at(2))
    driven.connected(at(2))
    driven.banned = {at(2).ip}
    driven.apply(driven.pool.on_bans((Ban(at(2).ip, 0.0, ""),)))
    assert set(driven.log.closes()) == {at(2)}
    driven.advance(10)
    driven.answer_book(at(1))
    assert driven.dialled()[-1] == at(1)


# ---- a new book ----


def test_a_replaced_book_hears_who_is_connected_and_is_asked_at_once() -> None:
    driven = Driven(max_outbound_connections=3, seed_peers=SEEDS[:1]).start()
    driven.answer_book(at(1), at(2), tried=500)
    driven.connected(at(1))
    driven.let_in(at(3))
    driven.log.told[Room.BOOK].clear()
    driven.apply(driven.pool.on_book_replaced(driven.now))
    assert driven.log.told[Room.BOOK][:2] == [OutboundSucceeded(at(1), True), InboundSeen(at(3), True)]
    assert driven.question().count == 1
    driven.answer_book(tried=1)  # it knows little: the seeds are asked
    assert driven.dialled()[-1] == SEEDS[0]


# ---- the end ----


def test_stop_closes_everything_and_says_so_once() -> None:
    driven = Driven(max_outbound_connections=3).start()
    driven.answer_book(at(1), at(2))
    driven.connected(at(1))
    driven.let_in(at(3))
    driven.stop()
    assert {endpoint: said.code for endpoint, said in driven.log.closes().items()} == dict.fromkeys(
        (at(1), at(2), at(3)), CloseCode.NORMAL
    )
    assert driven.log.closes()[at(1)].reason == f"Intentionally removed peer {at(1).peer_id}"
    driven.stop()
    for endpoint, direction in list(driven.slots):
        assert driven.log.to(Room.NODE, AllPeersClosed) == []
        driven.closed(endpoint, direction, CloseCode.NORMAL)
    assert driven.log.to(Room.NODE, AllPeersClosed) == [AllPeersClosed()]
    driven.stop()
    driven.advance(1000)
    assert driven.log.to(Room.NODE, AllPeersClosed) == [AllPeersClosed()]
    assert driven.pool.next_deadline() is None


def test_stop_with_nobody_connected_says_so_at_once_and_once() -> None:
    driven = Driven().start()
    driven.stop()
    driven.stop()
    assert driven.log.to(Room.NODE, AllPeersClosed) == [AllPeersClosed()]


def test_after_the_stop_nobody_is_dialled_or_let_in() -> None:
    driven = Driven(seed_peers=SEEDS, fixed_peers=(FIXED,)).start()
    driven.stop()
    driven.answer_book(at(1), tried=0)
    driven.connected(FIXED)
    driven.apply(driven.pool.on_time(driven.now + 100))
    driven.apply(driven.pool.on_book_replaced(driven.now))
    assert driven.dialled() == [FIXED]
    refusal = driven.admit(at(5))
    assert refusal.message.code == CloseCode.TRY_AGAIN_LATER  # type: ignore[union-attr]


def test_a_dial_cut_short_by_the_stop_does_not_count_against_the_address() -> None:
    driven = Driven().start()
    driven.answer_book(at(1))
    driven.stop()
    driven.closed(at(1))
    assert driven.log.to(Room.BOOK, OutboundFailed) == []


# ---- settings ----


def test_settings_come_from_the_configuration() -> None:
    config = NodeConfig(
        max_outbound_connections=7,
        max_inbound_connections=8,
        populator_interval_s=3.0,
        fallback_seed_peer_discovery_interval_s=4.0,
        outbound_shuffle_interval_s=5.0,
        send_peer_limit=6,
        netgroup_protection_ratio=0.1,
        latency_protection_ratio=0.2,
        productivity_protection_ratio=0.3,
        longevity_protection_ratio=0.4,
        seed_peers=["1.1.1.1:1"],
        fixed_peers=["2.2.2.2:2"],
        whitelisted_peers=["3.3.3.3:3"],
    )
    settings = PoolSettings.from_config(config)
    assert (settings.max_outbound_connections, settings.max_inbound_connections) == (7, 8)
    assert (settings.populator_interval_s, settings.seed_interval_s, settings.shuffle_interval_s) == (3.0, 4.0, 5.0)
    assert settings.send_peer_limit == 6
    protection = settings.protection
    assert (protection.net_group, protection.latency) == (0.1, 0.2)
    assert (protection.productivity, protection.longevity) == (0.3, 0.4)
    assert settings.kinds() == {
        Endpoint("1.1.1.1", 1): PeerKind.SEED,
        Endpoint("2.2.2.2", 2): PeerKind.FIXED,
        Endpoint("3.3.3.3", 3): PeerKind.WHITELISTED,
    }


def test_blacklisted_goes_before_fixed_whitelisted_and_seed() -> None:
    """LIP 0004, "Static lists": blacklisted > fixed > whitelisted."""
    one, other = Endpoint("1.2.3.4", 1), Endpoint("5.6.7.8", 1)
    config = NodeConfig(
        blacklisted_ips=["1.2.0.0/16"],
        seed_peers=[one, other],
        fixed_peers=[one, other],
        whitelisted_peers=[one, other],
    )
    settings = PoolSettings.from_config(config)
    assert settings.kinds() == {other: PeerKind.FIXED}
    assert (settings.fixed_peers, settings.whitelisted_peers, settings.seed_peers) == ((other,), (), ())
