"""LIP 0004, "Selection", as far as the book decides it: whom to dial, and what a `getPeers` answer holds."""

from __future__ import annotations

from random import Random

import pytest

from core.book import Book, Constraints, Identity, Table
from core.book.choice import tried_share
from core.book.config import BookConfig
from core.book.sample import answer_size
from core.decisions import DecisionKind, Rule
from core.ids import Endpoint
from core.netgroup import net_group
from tests.core.book.tools import (
    NOW_S,
    at,
    chi_square,
    chi_square_bound,
    in_group,
    make_book,
    named,
    numbers,
    spread,
    table_of,
    unchecked_book,
)

SOURCE = "9.8.7.6"
BANNED = Rule("banned", "a test")


def filled(tried: int, new: int, **options: object) -> Book:
    """A book with exactly so many addresses (of distinct groups and sources, so that no bucket overflows)."""
    book = unchecked_book(new_bucket_count=255, tried_bucket_count=255, **options)
    peers = spread(tried + new)
    for peer in peers[:tried]:
        book.connected(peer, NOW_S)
    for peer in peers[tried:]:
        book.add(peer, peer.ip, NOW_S)
    assert book.counts() == (new, tried)
    assert not book.check()
    return book


# Whom to dial


@pytest.mark.parametrize(
    ("tried", "new", "share"),
    [
        *((0, 50, 0.0), (99, 1, 0.99), (50, 150, 0.25), (99, 901, 0.099), (100, 0, 1.0), (7, 0, 1.0)),
        *((100, 900, 0.5), (100, 100, 0.5), (300, 100, 0.75), (2048, 4096, 0.5)),
    ],
)
def test_lip_probability_of_drawing_from_tried(tried: int, new: int, share: float) -> None:
    """Below 100 tried the share of a uniform draw over all known; else r = max(x, 0.5)."""
    assert tried_share(new, tried, tried, BookConfig()) == pytest.approx(share)


@pytest.mark.parametrize(("tried", "new", "share"), [(0, 50, 0.0), (1, 50, 0.5), (99, 1, 0.5), (300, 100, 0.75)])
def test_lisk_option_coin_flip_below_100_tried(tried: int, new: int, share: float) -> None:
    assert tried_share(new, tried, tried, BookConfig(coin_flip_when_few=True)) == pytest.approx(share)


def test_lip_below_100_tried_the_choice_is_uniform_over_all_known() -> None:
    book = filled(40, 80)
    count = 24_000
    drawn: dict[Endpoint, int] = {view.endpoint: 0 for view in book.all()}
    for _ in range(count):
        (endpoint,) = book.choose(1, NOW_S).endpoints
        drawn[endpoint] += 1
    assert chi_square(list(drawn.values()), [count / 120] * 120) < chi_square_bound(120)


@pytest.mark.parametrize(("tried", "new", "share"), [(100, 400, 0.5), (150, 50, 0.75)])
def test_lip_from_100_tried_the_choice_weighs_the_tables_and_is_uniform_inside(
    tried: int, new: int, share: float
) -> None:
    book = filled(tried, new)
    count = 20_000
    drawn: dict[Endpoint, int] = {view.endpoint: 0 for view in book.all()}
    for _ in range(count):
        (endpoint,) = book.choose(1, NOW_S).endpoints
        drawn[endpoint] += 1
    expected = [
        count * (share / tried if table_of(book, endpoint) is Table.TRIED else (1 - share) / new) for endpoint in drawn
    ]
    assert chi_square(list(drawn.values()), expected) < chi_square_bound(len(drawn))


def test_lip_draw_again_when_few_are_eligible_keeps_the_probabilities() -> None:
    """Half of these choices end in the list of eligible addresses instead of a lucky draw; nobody can tell."""
    book = filled(150, 300)
    tried = [view.endpoint for view in book.tried()]
    new = [view.endpoint for view in book.all() if view.table is Table.NEW]
    open_ = {*tried[:3], *new[:6]}
    limits = Constraints(forbidden=lambda endpoint: None if endpoint in open_ else BANNED)
    count = 3_000
    drawn = dict.fromkeys(open_, 0)
    for _ in range(count):
        (endpoint,) = book.choose(1, NOW_S, limits).endpoints
        drawn[endpoint] += 1
    # r = 0.5: a tried one is drawn with 0.5/150, a new one with 0.5/300; given that one of the nine is drawn:
    expected = [count * (2 / 12 if endpoint in tried[:3] else 1 / 12) for endpoint in drawn]
    assert chi_square(list(drawn.values()), expected) < chi_square_bound(9)


def test_lip_draw_again_ends_with_the_only_eligible_address() -> None:
    book = filled(200, 400)
    lonely = book.tried()[123].endpoint
    limits = Constraints(forbidden=lambda endpoint: None if endpoint == lonely else BANNED)
    for _ in range(20):
        assert book.choose(3, NOW_S, limits).endpoints == (lonely,)


def test_lip_draw_again_ends_when_nobody_is_eligible() -> None:
    book = filled(200, 400)
    choice = book.choose(5, NOW_S, Constraints(forbidden=lambda endpoint: BANNED))
    assert choice.endpoints == ()
    assert {made.decision for made in choice.decisions} == {DecisionKind.PASSED_OVER}
    assert make_book().choose(5, NOW_S).endpoints == ()


def test_lip_draw_again_when_the_address_is_connected_or_banned() -> None:
    book = make_book()
    peers = spread(6)
    book.add_many(peers, SOURCE, NOW_S)
    banned = peers[2]
    limits = Constraints(
        endpoints={peers[0]},
        ips={peers[1].ip},
        forbidden=lambda endpoint: BANNED if endpoint == banned else None,
    )
    choice = book.choose(6, NOW_S, limits)
    assert set(choice.endpoints) == set(peers[3:])
    passed = {made.subject: made.rule for made in choice.decisions if made.decision is DecisionKind.PASSED_OVER}
    wanted = {
        peers[0].peer_id: "connected_or_resting",
        peers[1].peer_id: "one_outbound_per_ip",
        banned.peer_id: "banned",
    }
    assert passed.items() <= wanted.items()
    assert passed


def test_lip_at_most_3_outbound_for_each_group() -> None:
    book = make_book()
    book.add_many([*in_group(20, "77.66"), *in_group(20, "88.55")], SOURCE, NOW_S)
    limits = Constraints(group_counts={net_group("77.66.0.1"): 2})
    choice = book.choose(20, NOW_S, limits)
    groups = [net_group(endpoint.ip) for endpoint in choice.endpoints]
    assert groups.count(net_group("77.66.0.1")) == 1
    assert groups.count(net_group("88.55.0.1")) == 3
    assert len(groups) == 4
    full = [made for made in choice.decisions if made.rule == "outbound_group_full"]
    assert all(numbers(made) == {"outbound_in_group": 3, "limit": 3} for made in full)
    assert full


def test_lip_group_limit_does_not_change_the_counts_of_the_caller() -> None:
    book = make_book()
    book.add_many(in_group(5), SOURCE, NOW_S)
    counts = {net_group("1.1.1.1"): 1}
    book.choose(5, NOW_S, Constraints(group_counts=counts))
    assert counts == {net_group("1.1.1.1"): 1}


@pytest.mark.parametrize(("ip", "private_exempt"), [("127.0.0.1", False), ("10.1.2.3", True)])
def test_exempt_addresses_know_no_group_or_address_limit(ip: str, private_exempt: bool) -> None:
    book = make_book(private_networks_exempt=private_exempt)
    nodes = [at(ip, 5000 + n) for n in range(12)]
    book.add_many(nodes, ip, NOW_S)
    limits = Constraints(endpoints={nodes[0]}, ips={ip}, group_counts={net_group(ip): 50})
    assert set(book.choose(20, NOW_S, limits).endpoints) == set(nodes[1:])


def test_a_choice_never_repeats_an_address() -> None:
    book = filled(30, 30)
    choice = book.choose(60, NOW_S)
    assert len(set(choice.endpoints)) == len(choice.endpoints) == 60


def test_one_choice_holds_one_endpoint_of_an_address() -> None:
    book = make_book(identity=Identity.ENDPOINT)
    book.add_many([at("1.2.3.4", 5000 + n) for n in range(10)], SOURCE, NOW_S)
    for _ in range(10):
        assert len(book.choose(3, NOW_S).endpoints) == 1


def test_feelers_draw_from_new_alone() -> None:
    book = filled(120, 10)
    assert {table_of(book, book.choose(1, NOW_S, only=Table.NEW).endpoints[0]) for _ in range(50)} == {Table.NEW}
    assert {table_of(book, book.choose(1, NOW_S, only=Table.TRIED).endpoints[0]) for _ in range(50)} == {Table.TRIED}
    assert len(book.choose(20, NOW_S, only=Table.NEW).endpoints) == 10
    assert filled(5, 0).choose(3, NOW_S, only=Table.NEW).endpoints == ()


def test_a_choice_is_explained_by_its_numbers() -> None:
    book = filled(120, 360)
    (decision,) = book.choose(1, NOW_S).decisions
    assert named([decision])[0][1:] == ("chosen", "outbound_choice")
    figures = numbers(decision)
    assert (figures["tried"], figures["new"], figures["tried_share"], figures["draws"]) == (120, 360, 0.5, 1)


# What a getPeers answer holds


@pytest.mark.parametrize(
    ("known", "cap", "least", "most"),
    [
        (0, 1000, 0, 0),
        (1, 1000, 1, 1),
        (20, 1000, 20, 20),
        (100, 1000, 100, 100),
        (150, 1000, 100, 100),
        (300, 1000, 100, 150),
        (600, 1000, 150, 300),
        (3000, 1000, 750, 1000),
        (6144, 1000, 1000, 1000),
        (600, 200, 150, 200),
        (6144, 200, 200, 200),
        (500, 50, 50, 50),
        (3, 2, 2, 2),
        (10, 0, 0, 0),
    ],
)
def test_lip_getpeers_answer_size(known: int, cap: int, least: int, most: int) -> None:
    sizes = {answer_size(known, cap, Random(seed)) for seed in range(2_000)}
    assert (min(sizes), max(sizes)) == (least, most)


def test_lip_getpeers_n_is_uniform() -> None:
    rng = Random(5)
    count, cells = 20_200, 101
    sizes = [answer_size(400, 1000, rng) for _ in range(count)]
    assert chi_square([sizes.count(100 + n) for n in range(cells)], [count / cells] * cells) < chi_square_bound(cells)


def test_lip_getpeers_addresses_are_random_and_shuffled() -> None:
    book = filled(100, 300)
    draws, known = 400, [view.endpoint for view in book.all()]
    seen, first = dict.fromkeys(known, 0), dict.fromkeys(known, 0)
    total = 0
    for _ in range(draws):
        answer = book.sample_for_getpeers(100)
        assert len(set(answer)) == len(answer) == 100
        total += 100
        first[answer[0]] += 1
        for endpoint in answer:
            seen[endpoint] += 1
    # Without replacement the counts vary less than the bound assumes.
    assert chi_square(list(seen.values()), [total / 400] * 400) < chi_square_bound(400)
    assert max(first.values()) < 12, "the first place goes to anybody"


def test_lip_getpeers_leaves_out_those_that_asked_not_to_be_advertised() -> None:
    book = make_book()
    peers = spread(40)
    for n, peer in enumerate(peers):
        book.inbound_seen(peer, NOW_S, advertise=n % 4 != 0)
    assert set(book.sample_for_getpeers()) == {peer for n, peer in enumerate(peers) if n % 4 != 0}


def test_hidden_addresses_do_not_show_in_the_length_of_the_answer() -> None:
    """lisk-p2p draws first and drops afterwards: the gap tells how many there are."""
    book = make_book()
    for n, peer in enumerate(spread(120)):
        book.inbound_seen(peer, NOW_S, advertise=n >= 60)
    assert len(book.sample_for_getpeers()) == 60


def test_getpeers_is_ipv4_only_on_the_lisk_wire() -> None:
    book = make_book()
    four, six = at("1.2.3.4"), at("2a01:4f8::1")
    book.add(four, None, NOW_S)
    book.add(six, None, NOW_S)
    assert book.sample_for_getpeers() == (four,)
    assert set(book.sample_for_getpeers(ipv4_only=False)) == {four, six}


def test_getpeers_is_capped_at_200_by_default() -> None:
    assert len(filled(500, 500).sample_for_getpeers()) == 200


@pytest.mark.parametrize(
    ("requester", "told"),
    [
        ("8.8.8.8", {"1.2.3.4"}),
        ("1.2.3.4", set()),
        ("192.168.5.5", {"1.2.3.4", "192.168.1.9"}),
        ("127.0.0.1", {"1.2.3.4", "192.168.1.9", "127.0.0.1"}),
        (None, {"1.2.3.4", "192.168.1.9", "127.0.0.1"}),
    ],
)
def test_getpeers_tells_nobody_about_itself_or_about_networks_out_of_its_reach(
    requester: str | None, told: set[str]
) -> None:
    book = make_book()
    for ip in ("1.2.3.4", "192.168.1.9", "127.0.0.1"):
        book.add(at(ip), None, NOW_S)
    assert {endpoint.ip for endpoint in book.sample_for_getpeers(requester_ip=requester)} == told
