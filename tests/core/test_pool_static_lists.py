"""Static lists and outbound limits in the pool, in virtual time: seeds by name, fixed peers only, groups, addresses.

LIP 0004, "Static lists", "Connections" and "Start-up and discovery".
"""

from __future__ import annotations

from typing import Any

import pytest

from core.config import NodeConfig
from core.effects import CreateInbound, Reply, Room
from core.evict import VictimRule
from core.house_messages import (
    AskForPeers,
    ChoosePeers,
    InboundRefused,
    NamedSeedsChanged,
    ResolvedHost,
)
from core.ids import CloseCode, Endpoint, PeerKind
from core.pool_settings import PoolSettings
from core.seeds import SeedName
from tests.core.pool_tools import IN, OUT, Driven, at

FIXED = at(200)
ALICE, BOB = SeedName("alice.example", 5001), SeedName("bob.example", 5002)


def resolve(driven: Driven, **answers: list[str]) -> None:
    """The resolver's answer: ``alice=["1.2.3.4"]``; an empty list is a failure."""
    hosts = tuple(ResolvedHost(f"{name}.example", tuple(ips)) for name, ips in answers.items())
    driven.apply(driven.pool.on_resolved(hosts, driven.now))


def trusted(driven: Driven) -> list[tuple[Endpoint, ...]]:
    """What book and server were told, one after the other; they are always told the same."""
    told = [
        [message.endpoints for message in driven.log.to(room, NamedSeedsChanged)] for room in (Room.BOOK, Room.SERVER)
    ]
    assert told[0] == told[1]
    return told[0]


def refusal(answer: object) -> InboundRefused:
    assert isinstance(answer, Reply)
    assert isinstance(answer.message, InboundRefused)
    return answer.message


# ---- seeds by name ----


def test_names_are_looked_up_at_the_start_and_their_addresses_trusted_as_seeds() -> None:
    """LIP 0004, "Static lists": seed, never banned."""
    driven = Driven(seed_names=(ALICE, BOB)).start()
    assert driven.log.look_ups == [(driven.now, ALICE.host), (driven.now, BOB.host)]
    resolve(driven, alice=["1.1.1.1", "2.2.2.2"], bob=["3.3.3.3"])
    assert trusted(driven) == [(Endpoint("1.1.1.1", 5001), Endpoint("2.2.2.2", 5001), Endpoint("3.3.3.3", 5002))]
    assert driven.dialled() == [], "nobody has asked for the seeds yet"
    driven.answer_book(tried=0)
    assert {(endpoint, kind) for _, endpoint, kind in driven.log.dials} == {
        (endpoint, PeerKind.SEED) for endpoint in trusted(driven)[0]
    }
    assert len(driven.log.look_ups) == 2, "the answers are fresh"


def test_seeds_wanted_before_their_names_are_known_are_dialled_when_they_are() -> None:
    """LIP 0004, "Start-up and discovery": fewer than 100 tried, connect to the seed peers."""
    driven = Driven(seed_names=(ALICE, BOB), seed_peers=(at(1),)).start()
    driven.answer_book(tried=0)
    assert driven.dialled() == [at(1)]
    resolve(driven, alice=["1.1.1.1"])
    assert driven.dialled() == [at(1), Endpoint("1.1.1.1", 5001)]
    resolve(driven, bob=["2.2.2.2"])
    assert driven.dialled()[2:] == [Endpoint("2.2.2.2", 5002)]


def test_with_enough_tried_peers_names_are_trusted_but_not_dialled() -> None:
    driven = Driven(seed_names=(ALICE,)).start()
    driven.answer_book(at(1), tried=100)
    resolve(driven, alice=["1.1.1.1"])
    assert driven.dialled() == [at(1)]
    assert trusted(driven) == [(Endpoint("1.1.1.1", 5001),)]


def test_names_are_looked_up_again_whenever_the_seeds_are_asked() -> None:
    """LIP 0004, "Start-up and discovery": too few outbound connections after 30 s, ask the seeds again."""
    driven = Driven(seed_names=(ALICE,), max_outbound_connections=2).start()
    start = driven.now
    driven.answer_book(tried=0)
    for number in range(4):
        resolve(driven, alice=[f"1.1.1.{number + 1}"])
        assert driven.dialled()[-1] == Endpoint(f"1.1.1.{number + 1}", 5001)
        driven.advance(30)
    assert [now - start for now, _ in driven.log.look_ups] == [0, 30, 60, 90, 120]
    assert len(trusted(driven)) == 4, "each time only the present ones"


def test_a_failed_look_up_keeps_the_trust_and_is_repeated() -> None:
    driven = Driven(seed_names=(ALICE,)).start()
    driven.answer_book(tried=0)
    resolve(driven, alice=["1.1.1.1"])
    driven.advance(30)
    resolve(driven, alice=[])
    assert trusted(driven) == [(Endpoint("1.1.1.1", 5001),)]
    driven.advance(30)
    assert len(driven.log.look_ups) == 3


def test_a_node_with_full_slots_renews_the_names_once_an_hour_and_dials_none() -> None:
    driven = Driven(seed_names=(ALICE,), max_outbound_connections=2, shuffle_interval_s=1e6).start()
    resolve(driven, alice=["9.9.9.9"])
    driven.fill_outbound(2)
    start = driven.now
    for _ in range(3 * 120):
        driven.advance(30)
        resolve(driven, alice=["9.9.9.9"])
    assert [now - start for now, _ in driven.log.look_ups] == [0, 3600, 7200, 10800]
    assert Endpoint("9.9.9.9", 5001) not in driven.dialled()
    assert len(trusted(driven)) == 1, "nothing is told while nothing changes"


def test_an_answer_that_comes_when_the_slots_are_full_dials_nobody() -> None:
    driven = Driven(seed_names=(ALICE,), max_outbound_connections=2).start()
    driven.answer_book(at(1), at(2), tried=0)
    driven.connected(at(1))
    driven.connected(at(2))
    resolve(driven, alice=["9.9.9.9"])
    assert driven.dialled() == [at(1), at(2)]


def test_an_inbound_peer_at_a_resolved_address_has_a_seeds_kind_and_loses_it_with_the_name() -> None:
    driven = Driven(seed_names=(ALICE,)).start()
    resolve(driven, alice=["1.1.1.1"])
    one = driven.admit(Endpoint("1.1.1.1", 5001))
    other = driven.admit(Endpoint("1.1.1.1", 7777))
    assert isinstance(one, CreateInbound)
    assert isinstance(other, CreateInbound)
    assert (one.kind, other.kind) == (PeerKind.SEED, PeerKind.NONE)
    driven.closed(Endpoint("1.1.1.1", 5001), IN)
    driven.advance(30)
    resolve(driven, alice=["2.2.2.2"])
    again = driven.admit(Endpoint("1.1.1.1", 5001))
    assert isinstance(again, CreateInbound)
    assert again.kind is PeerKind.NONE


def test_what_a_name_stands_for_is_judged_as_the_lists_are() -> None:
    """LIP 0004, "Static lists": blacklisted > fixed > whitelisted; and we are no seed of ours."""
    fixed, white = Endpoint("1.1.1.1", 5001), Endpoint("2.2.2.2", 5001)
    driven = Driven(
        seed_names=(ALICE,), fixed_peers=(fixed,), whitelisted_peers=(white,), blacklisted_ips=("3.0.0.0/8",),
        host_ip="4.4.4.4", listening_port=5001,
    ).start()  # fmt: skip
    driven.answer_book(tried=0)
    resolve(driven, alice=["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4", "5.5.5.5"])
    assert trusted(driven) == [(fixed, white, Endpoint("5.5.5.5", 5001))]
    assert {(endpoint, kind) for _, endpoint, kind in driven.log.dials} == {
        (fixed, PeerKind.FIXED), (white, PeerKind.SEED), (Endpoint("5.5.5.5", 5001), PeerKind.SEED),
    }  # fmt: skip
    let_in = driven.admit(white)
    assert isinstance(let_in, CreateInbound)
    assert let_in.kind is PeerKind.WHITELISTED


def test_a_new_server_or_book_hears_whom_to_trust() -> None:
    driven = Driven(seed_names=(ALICE,)).start()
    driven.apply(driven.pool.on_gates_replaced())
    assert trusted(driven) == []
    resolve(driven, alice=["1.1.1.1"])
    driven.apply(driven.pool.on_gates_replaced())
    assert trusted(driven) == [(Endpoint("1.1.1.1", 5001),)] * 2


def test_a_resolver_that_crashed_is_replaced_at_the_next_asking() -> None:
    driven = Driven(seed_names=(ALICE,)).start()
    driven.answer_book(tried=0)
    driven.advance(60)
    assert len(driven.log.look_ups) == 1, "one question at a time"
    driven.apply(driven.pool.on_resolver_lost())
    driven.advance(30)
    assert len(driven.log.look_ups) == 2


def test_after_the_stop_an_answer_dials_nobody() -> None:
    driven = Driven(seed_names=(ALICE,)).start()
    driven.answer_book(tried=0)
    driven.stop()
    resolve(driven, alice=["1.1.1.1"])
    assert driven.dialled() == []


# ---- fixed peers only ----


def test_fixed_peers_only_means_nobody_else_and_no_shuffling() -> None:
    """LIP 0004, "Static lists": a node can be set to connect to fixed peers only; shuffling is then off."""
    others = (at(1), at(2))
    driven = Driven(
        fixed_only=True, fixed_peers=(FIXED,), seed_peers=others, seed_names=(ALICE,), whitelisted_peers=(at(3),),
        max_outbound_connections=20,
    ).start()  # fmt: skip
    driven.connected(FIXED)
    driven.advance(86_400)
    assert driven.dialled() == [FIXED]
    assert driven.log.look_ups == []
    assert driven.log.to(Room.BOOK, ChoosePeers) == []
    assert driven.log.closes() == {}
    assert [said for _, _, said in driven.log.peers_told if isinstance(said, AskForPeers)] == []


def test_fixed_peers_only_redials_them_and_lets_others_in() -> None:
    driven = Driven(fixed_only=True, fixed_peers=(FIXED,)).start()
    driven.closed(FIXED)
    driven.advance(60)
    assert driven.dialled()[:2] == [FIXED, FIXED]
    assert isinstance(driven.admit(at(7)), CreateInbound)


def test_trust_in_seeds_holds_for_a_node_with_fixed_peers_only() -> None:
    driven = Driven(fixed_only=True, fixed_peers=(FIXED,), seed_peers=(at(1),)).start()
    let_in = driven.admit(at(1))
    assert isinstance(let_in, CreateInbound)
    assert let_in.kind is PeerKind.SEED


# ---- figures ----


def test_the_figures_of_the_lip_are_the_defaults() -> None:
    """LIP 0004, "Connections", "Selection", "Start-up and discovery"."""
    for settings in (PoolSettings(), PoolSettings.from_config(NodeConfig())):
        assert (settings.max_outbound_connections, settings.max_inbound_connections) == (20, 100)
        assert (settings.max_outbound_per_group, settings.send_peer_limit) == (3, 16)
        assert (settings.shuffle_interval_s, settings.shuffle_at_tick) == (300.0, False)
        assert (settings.seed_interval_s, settings.min_tried_for_no_seeds) == (30.0, 100)
        assert settings.victim_rule is VictimRule.YOUNGEST_OF_LARGEST_GROUP


def test_options_reach_the_pool() -> None:
    config = NodeConfig(
        max_outbound_per_netgroup=5, max_inbound_per_ip=6, private_networks_exempt=True, outbound_shuffle_moment="tick",
        inbound_victim="random", seed_peers=["a.example:1"], fixed_peers=["1.1.1.1:1"], fixed_peers_only=True,
        blacklisted_ips=["2.2.2.2"], host_ip="3.3.3.3",
    )  # type: ignore[arg-type]  # fmt: skip
    settings = PoolSettings.from_config(config, 7)
    assert (settings.max_outbound_per_group, settings.max_inbound_per_ip) == (5, 6)
    assert (settings.private_networks_exempt, settings.shuffle_at_tick, settings.fixed_only) == (True, True, True)
    assert settings.victim_rule is VictimRule.RANDOM
    assert settings.seed_names == (SeedName("a.example", 1),)
    assert (settings.blacklisted_ips, settings.host_ip, settings.listening_port) == (("2.2.2.2",), "3.3.3.3", 7)


# ---- outbound: groups and addresses ----


def group_of(*hosts: int, first: int = 50) -> list[Endpoint]:
    return [Endpoint(f"{first}.1.0.{host}", 5001) for host in hosts]


@pytest.mark.parametrize("limit", [1, 3, 5])
def test_at_most_3_outbound_connections_of_a_group(limit: int) -> None:
    """LIP 0004, "Connections": outbound per network group at most 3. The pool sees to it whoever chose."""
    driven = Driven(max_outbound_per_group=limit).start()
    driven.answer_book(*group_of(*range(1, 9)), at(1))
    assert driven.dialled() == [*group_of(*range(1, limit + 1)), at(1)]


def test_the_book_is_told_the_addresses_in_use_in_both_directions() -> None:
    """LIP 0004, "Connections": inbound and outbound sets are disjoint."""
    driven = Driven().start()
    driven.let_in(at(1, 7000))
    driven.answer_book(at(2))
    driven.advance(10)
    assert driven.question().ips == {at(1).ip, at(2).ip}


def test_an_address_that_came_in_meanwhile_is_not_dialled_at_another_port() -> None:
    driven = Driven().start()
    driven.let_in(at(1, 7000))
    driven.answer_book(at(1), at(2))
    assert driven.dialled() == [at(2)]


def test_loopback_is_exempt_and_private_networks_are_by_option() -> None:
    for ip, exempt, option in (("127.0.0.1", True, False), ("10.0.0.1", False, False), ("10.0.0.1", True, True)):
        driven = Driven(private_networks_exempt=option).start()
        driven.let_in(Endpoint(ip, 1))
        ports = [Endpoint(ip, port) for port in range(2, 10)]
        driven.answer_book(*ports)
        assert driven.dialled() == (ports if exempt else [])
        if exempt:
            driven.advance(10)
            assert driven.question().group_counts == ()


# ---- inbound: connections of one address ----


def test_one_host_gets_8_inbound_slots_and_the_next_one_is_refused() -> None:
    driven = Driven(max_inbound_connections=100).start()
    for port in range(1, 9):
        driven.let_in(Endpoint("66.6.6.6", port))
    refused = refusal(driven.admit(Endpoint("66.6.6.6", 9)))
    assert (refused.code, refused.reason) == (CloseCode.TRY_AGAIN_LATER, "Too many connections from this address")
    assert driven.log.closes() == {}, "those who came first are not thrown out by a neighbour"
    assert isinstance(driven.admit(Endpoint("66.6.6.7", 1)), CreateInbound)
    driven.closed(Endpoint("66.6.6.6", 3), IN)
    assert isinstance(driven.admit(Endpoint("66.6.6.6", 9)), CreateInbound)


def test_a_host_that_owns_a_64_of_ipv6_addresses_counts_as_one() -> None:
    driven = Driven(max_inbound_per_ip=2).start()
    driven.let_in(Endpoint("2001:db8::1", 1))
    driven.let_in(Endpoint("2001:db8::2", 1))
    assert refusal(driven.admit(Endpoint("2001:db8::3", 1))).code == CloseCode.TRY_AGAIN_LATER
    assert isinstance(driven.admit(Endpoint("2001:db8:0:1::1", 1)), CreateInbound)


@pytest.mark.parametrize(
    ("ip", "options"),
    [
        ("127.0.0.1", {}),
        ("192.168.1.1", {"private_networks_exempt": True}),
        ("66.6.6.6", {"whitelisted_peers": tuple(Endpoint("66.6.6.6", port) for port in range(1, 30))}),
    ],
)
def test_loopback_private_networks_by_option_and_trusted_peers_are_exempt(ip: str, options: dict[str, Any]) -> None:
    driven = Driven(max_inbound_per_ip=2, **options).start()
    for port in range(1, 30):
        driven.let_in(Endpoint(ip, port))


def test_without_the_option_private_addresses_are_limited_as_others() -> None:
    driven = Driven(max_inbound_per_ip=1).start()
    driven.let_in(Endpoint("192.168.1.1", 1))
    assert isinstance(driven.admit(Endpoint("192.168.1.1", 2)), Reply)


# ---- the moment of shuffling ----


def test_by_option_shuffling_is_at_the_end_of_each_interval() -> None:
    """lisk-p2p drops at the fixed tick; LIP 0004 wants a random moment, which is the default."""
    driven = Driven(max_outbound_connections=1, shuffle_at_tick=True, shuffle_interval_s=300.0).start()
    start, times = driven.now, []
    driven.fill_outbound(1)
    for number in range(1, 5):
        while not driven.slots[at(number - 1), OUT].leaving:
            driven.advance(1)
        times.append(driven.now - start)
        driven.closed(at(number - 1))
        driven.answer_book(at(number))
        driven.connected(at(number))
    assert times == [300, 600, 900, 1200]


# ---- small inbound tables ----


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_a_small_node_is_not_closed_to_newcomers(limit: int) -> None:
    driven = Driven(max_inbound_connections=limit).start()
    for number in range(20):
        driven.now += 1
        driven.let_in(at(number), latency_ms=5.0, response_rate=1.0)
        for endpoint in [key for key, slot in driven.slots.items() if slot.leaving]:
            driven.closed(*endpoint, code=CloseCode.EVICTED)
    assert driven.count(IN) == limit
