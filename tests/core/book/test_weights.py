"""What an address counts in a draw: net groups of many addresses count for a few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.book import Book, BookConfig, Constraints
from core.book.choice import tried_share
from core.book.hashing import NO_SOURCE
from core.book.rows import EXEMPT, Rows
from core.book.weights import GroupCounts, Weights
from core.config import NodeConfig
from core.ids import Endpoint
from core.netgroup import NetGroup, net_group
from core.rules import Rule
from tests.core.book.tools import NOW_S, at, in_group, numbers, spread, unchecked_book

DRAWS = 6000
CROWD = in_group(90)
ALONE = spread(27)


def rows_of(*endpoints: Endpoint, flags: int = 0) -> Rows:
    rows = Rows()
    for endpoint in endpoints:
        rows.add(endpoint, NO_SOURCE, flags)
    return rows


def weighed(rows: Rows, limit: int) -> Weights:
    return Weights(rows, 0, len(rows), GroupCounts(rows.groups(slice(None)), limit) if limit else None)


def share_of_crowd(draw: Callable[[], Endpoint]) -> float:
    return sum(draw() in CROWD for _ in range(DRAWS)) / DRAWS


def drawn(rows: Rows, weights: Weights, rng: Random) -> Endpoint:
    row = weights.draw(rng)
    assert row is not None
    return rows.endpoints[row]


@pytest.mark.parametrize(
    ("limit", "total", "share"), [(0, 117, 90 / 117), (1, 28, 1 / 28), (3, 30, 0.1), (90, 117, 90 / 117)]
)
def test_a_group_counts_for_so_many_of_its_addresses(limit: int, total: float, share: float) -> None:
    rows, rng = rows_of(*CROWD, *ALONE), Random(1)
    weights = weighed(rows, limit)
    assert weights.total == pytest.approx(total)
    deviation = (share * (1.0 - share) / DRAWS) ** 0.5
    assert share_of_crowd(lambda: drawn(rows, weights, rng)) == pytest.approx(share, abs=4 * deviation)


def test_all_of_a_group_are_drawn_alike() -> None:
    rows, rng = rows_of(*CROWD[:10], *ALONE[:3]), Random(2)
    weights = weighed(rows, 3)
    counts = Counter(drawn(rows, weights, rng) for _ in range(DRAWS))
    for endpoint in CROWD[:10]:
        assert counts[endpoint] == pytest.approx(DRAWS * 0.05, abs=4 * (DRAWS * 0.05) ** 0.5)


def test_a_table_of_one_network_alone_is_drawn_from_too() -> None:
    """More tries than one makes would be needed: the table is weighed in full."""
    weights = weighed(rows_of(*in_group(5000)), 1)
    assert len({weights.draw(Random(seed)) for seed in range(20)}) == 20
    assert weighed(Rows(), 3).draw(Random(1)) is None


def test_exempt_addresses_count_for_one_each() -> None:
    loopback = rows_of(*(at("127.0.0.1", port) for port in range(1, 50)), *ALONE[:1], flags=EXEMPT)
    loopback.set_flags(49, 0)
    assert list(loopback.groups(slice(None))) == [net_group(ALONE[0].ip)]
    weights = weighed(loopback, 3)
    assert (weights.total, weights.sum_of(range(49)), weights.of(0)) == (50.0, 49.0, 1.0)


@given(st.lists(st.integers(0, 7), max_size=60), st.integers(0, 6))
def test_weights_add_up(groups: list[int], limit: int) -> None:
    rows = rows_of(*(at(f"30.{group}.1.{number}") for number, group in enumerate(groups)))
    weights, every = weighed(rows, limit), range(len(rows))
    assert weights.sum_of(every) == pytest.approx(weights.total)
    for count in Counter(groups).values():
        assert not limit or weights.total <= len(rows) - max(0, count - limit)
    assert all(0.0 < weights.of(row) <= 1.0 for row in every)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=80), st.integers(1, 4))
def test_counts_are_kept_as_the_table_changes(steps: list[tuple[bool, int]], limit: int) -> None:
    them = [NetGroup(bytes((group,))) for group in range(6) for _ in range(2)]
    counts = GroupCounts(them, limit)
    for comes, group in steps:
        if comes:
            them.append(NetGroup(bytes((group,))))
            counts.add(them[-1])
        elif them:
            counts.remove(them.pop(group % len(them)))
        again = GroupCounts(them, limit)
        assert (counts.of, counts.beyond) == (again.of, again.beyond)


def test_a_book_where_nobody_shares_a_group_keeps_no_counts() -> None:
    book = unchecked_book(max_weight_per_group=3)
    new = book._shelves.new
    for peer in (*ALONE, CROWD[0]):
        book.add(peer, peer.ip, NOW_S)
        assert new.weights().total == len(book)
        assert new.groups is None
    book.add(CROWD[1], CROWD[1].ip, NOW_S)
    assert new.weights().total == len(book)
    assert new.groups is not None
    assert new.groups.of[net_group(CROWD[0].ip)] == 2
    assert book.check() == []


def test_who_leaves_or_moves_makes_nobody_share_a_group() -> None:
    """So the groups of a thousand addresses are not compared again for each feeler that has found somebody."""
    book = unchecked_book(max_weight_per_group=3, max_failures=1)
    for peer in ALONE:
        book.add(peer, peer.ip, NOW_S)
    rows = book._rows
    assert rows.all_alone()
    book.connected(ALONE[0], NOW_S)
    book.connected(ALONE[1], NOW_S)
    book.dial_failed(ALONE[1], NOW_S)
    book.dial_failed(ALONE[2], NOW_S)
    book.whitelist(ALONE[3], NOW_S)
    book.inbound_seen(at(ALONE[4].ip, 7001), NOW_S)
    assert rows.nobody_shares
    book.connected(CROWD[0], NOW_S)
    assert not rows.nobody_shares, "somebody came: it has to be looked for"
    assert rows.all_alone()


HOSTS = st.sampled_from([*CROWD[:3], *in_group(2, "78.1"), *ALONE[:5], at("127.0.0.1"), at("127.0.0.1", 7001)])
DEEDS: dict[str, Callable[[Book, Endpoint], object]] = {
    "told": lambda book, peer: book.add(peer, "80.1.2.3", NOW_S),
    "announced": lambda book, peer: book.inbound_seen(at(peer.ip, peer.port + 1), NOW_S),
    "connected": lambda book, peer: book.connected(peer, NOW_S),
    "failed": lambda book, peer: book.dial_failed(peer, NOW_S),
    "removed": lambda book, peer: book.remove(peer, NOW_S),
    "whitelisted": lambda book, peer: book.whitelist(peer, NOW_S),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(DEEDS)), HOSTS, st.booleans()), max_size=40), st.integers(1, 3))
def test_the_weights_are_those_of_a_count_from_scratch(steps: list[tuple[str, Endpoint, bool]], limit: int) -> None:
    """Whatever is remembered between draws, and wherever a draw comes in between."""
    book = unchecked_book(new_bucket_count=2, tried_bucket_count=2, bucket_size=3, max_weight_per_group=limit)
    shelves = book._shelves
    for deed, peer, is_drawn in [*steps, ("told", ALONE[0], True)]:
        DEEDS[deed](book, peer)
        assert book.check() == []
        if not is_drawn:
            continue
        for table in (shelves.new, shelves.tried):
            them = [view for view in book.all() if view.table is table.kind]
            crowds = Counter(view.group for view in them if view.endpoint.ip != "127.0.0.1")
            weights = table.weights()
            assert weights.total == len(them) - sum(max(0, count - limit) for count in crowds.values())
            for view in them:
                row = book._rows.row(view.endpoint)
                assert weights.of(row) == min(1.0, limit / max(1, crowds[view.group]))


def test_without_a_limit_groups_do_not_matter() -> None:
    book = unchecked_book()
    for peer in CROWD[:5]:
        book.add(peer, peer.ip, NOW_S)
    assert book._shelves.new.weights().total == 5.0
    assert book._shelves.new.groups is None


def besieged(limit: int, tried: int = 0) -> Book:
    """Known: honest addresses alone in their groups, ``tried`` of them tried, and a crowd in `new`."""
    book = unchecked_book(new_bucket_count=255, tried_bucket_count=255, max_weight_per_group=limit)
    for peer in spread(tried + len(ALONE))[:tried]:
        book.connected(peer, NOW_S)
    for peer in spread(tried + len(ALONE))[tried:]:
        book.add(peer, peer.ip, NOW_S)
    for number, peer in enumerate(CROWD):
        book.add(peer, f"{100 + number}.1.2.3", NOW_S)
    assert book.counts() == (len(ALONE) + len(CROWD), tried)
    return book


@pytest.mark.parametrize(("limit", "share"), [(0, 90 / 117), (3, 0.1)])
def test_a_choice_of_the_book_is_by_weight(limit: int, share: float) -> None:
    book = besieged(limit)
    deviation = (share * (1.0 - share) / DRAWS) ** 0.5
    assert share_of_crowd(lambda: book.choose(1, NOW_S).endpoints[0]) == pytest.approx(share, abs=4 * deviation)


def test_the_share_of_tried_is_by_weight() -> None:
    """120 tried; in `new` 27 alone and 90 of one network, which count for 3."""
    (decision,) = besieged(3, tried=120).choose(1, NOW_S).decisions
    assert numbers(decision)["tried_share"] == pytest.approx(120 / 150)
    (decision,) = besieged(0, tried=120).choose(1, NOW_S).decisions
    assert numbers(decision)["tried_share"] == pytest.approx(120 / 237)


def test_the_weight_is_among_the_figures_of_a_decision() -> None:
    decisions = besieged(3).choose(500, NOW_S).decisions
    weights = {one.subject: numbers(one)["weight"] for one in decisions if one.decision.value == "chosen"}
    assert {weights.get(peer.peer_id, 3 / 90) for peer in CROWD} == {3 / 90}
    assert {weights[peer.peer_id] for peer in ALONE} == {1.0}


def test_when_few_may_be_dialled_the_weights_are_those_of_the_whole_table() -> None:
    """Of the crowd two may be dialled, of the others one: 2 x 3/90 against 1."""
    book = besieged(3)
    free = {*CROWD[:2], spread(1)[0]}
    limits = Constraints(forbidden=lambda endpoint: None if endpoint in free else Rule("busy", "a test"))
    share = (2 * 3 / 90) / (2 * 3 / 90 + 1)
    count = 1500
    hits = sum(book.choose(1, NOW_S, limits).endpoints[0] in CROWD for _ in range(count)) / count
    assert hits == pytest.approx(share, abs=4 * (share * (1.0 - share) / count) ** 0.5)


def test_everybody_is_found_in_the_end() -> None:
    chosen = besieged(1).choose(500, NOW_S, Constraints(group_limit=100)).endpoints
    assert len(chosen) == len(set(chosen)) == len(ALONE) + len(CROWD)
    assert sum(net_group(it.ip) == net_group(CROWD[0].ip) for it in besieged(1).choose(500, NOW_S).endpoints) == 3


@pytest.mark.parametrize(("least", "share"), [(0.5, 0.5), (0.9, 0.9), (0.0, 0.2)])
def test_the_least_share_of_tried(least: float, share: float) -> None:
    config = BookConfig(least_tried_share=least)
    assert tried_share(400.0, 100.0, 100, config) == pytest.approx(share)
    assert tried_share(10.0, 990.0, 990, config) == pytest.approx(0.99)
    assert tried_share(99.0, 1.0, 1, config) == pytest.approx(0.01), "with few tried ones all known ones count"


def test_what_a_node_does() -> None:
    config = BookConfig.from_config(NodeConfig())
    assert (config.max_weight_per_group, config.least_tried_share) == (3, 0.9)
    without_feelers = BookConfig.from_config(NodeConfig(feeler_interval_s=0.0))
    assert without_feelers.least_tried_share == 0.5, "then draws are all that tries new addresses out"
    lisk = BookConfig.like_lisk()
    assert (lisk.max_weight_per_group, lisk.least_tried_share) == (0, 0.5)


@pytest.mark.parametrize(
    "options", [{"least_tried_share": -0.1}, {"least_tried_share": 1.1}, {"max_weight_per_group": -1}]
)
def test_figures_that_cannot_work(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        BookConfig(**options)  # type: ignore[arg-type]
