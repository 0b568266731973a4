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
from core.book.entry import Entry
from core.book.hashing import NO_SOURCE
from core.book.weights import GroupCounts, Weights, crowds
from core.config import NodeConfig
from core.ids import Endpoint
from core.netgroup import address_info, net_group
from core.rules import Rule
from tests.core.book.tools import NOW_S, at, in_group, numbers, spread, unchecked_book

DRAWS = 6000
CROWD = in_group(90)
ALONE = spread(27)


def entries(*endpoints: Endpoint, exempt_port: int = 0) -> list[Entry]:
    return [Entry(it, address_info(it.ip), exempt_port, NO_SOURCE, True) for it in endpoints]


def share_of_crowd(draw: Callable[[], Endpoint]) -> float:
    return sum(draw() in CROWD for _ in range(DRAWS)) / DRAWS


def weighed(them: list[Entry], limit: int) -> Weights:
    return Weights(them, crowds(them, limit))


def drawn(weights: Weights, rng: Random) -> Endpoint:
    entry = weights.draw(rng)
    assert entry is not None
    return entry.endpoint


@pytest.mark.parametrize(
    ("limit", "total", "share"), [(0, 117, 90 / 117), (1, 28, 1 / 28), (3, 30, 0.1), (90, 117, 90 / 117)]
)
def test_a_group_counts_for_so_many_of_its_addresses(limit: int, total: float, share: float) -> None:
    weights, rng = weighed(entries(*CROWD, *ALONE), limit), Random(1)
    assert weights.total == pytest.approx(total)
    deviation = (share * (1.0 - share) / DRAWS) ** 0.5
    assert share_of_crowd(lambda: drawn(weights, rng)) == pytest.approx(share, abs=4 * deviation)


def test_all_of_a_group_are_drawn_alike() -> None:
    weights, rng = weighed(entries(*CROWD[:10], *ALONE[:3]), 3), Random(2)
    counts = Counter(drawn(weights, rng) for _ in range(DRAWS))
    for endpoint in CROWD[:10]:
        assert counts[endpoint] == pytest.approx(DRAWS * 0.05, abs=4 * (DRAWS * 0.05) ** 0.5)


def test_a_table_of_one_network_alone_is_drawn_from_too() -> None:
    """More tries than one makes would be needed: the table is weighed in full."""
    weights = weighed(entries(*in_group(5000)), 1)
    assert len({drawn(weights, Random(seed)) for seed in range(20)}) == 20
    assert weighed([], 3).draw(Random(1)) is None


def test_exempt_addresses_count_for_one_each() -> None:
    loopback = entries(*(at("127.0.0.1", port) for port in range(1, 50)), exempt_port=1)
    weights = weighed(loopback, 3)
    assert (weights.total, weights.sum_of(loopback), weights.of(loopback[0])) == (49.0, 49.0, 1.0)


@given(st.lists(st.integers(0, 7), max_size=60), st.integers(0, 6))
def test_weights_add_up(groups: list[int], limit: int) -> None:
    them = entries(*(at(f"30.{group}.1.{number}") for number, group in enumerate(groups)))
    weights = weighed(them, limit)
    assert weights.sum_of(them) == pytest.approx(weights.total)
    for count in Counter(groups).values():
        assert not limit or weights.total <= len(them) - max(0, count - limit)
    assert all(0.0 < weights.of(entry) <= 1.0 for entry in them)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=80), st.integers(1, 4))
def test_counts_are_kept_as_the_table_changes(steps: list[tuple[bool, int]], limit: int) -> None:
    them = entries(*(at(f"30.{group}.1.{number}") for group in range(6) for number in range(2)))
    counts = GroupCounts(them, limit)
    for number, (comes, group) in enumerate(steps):
        if comes:
            them += entries(at(f"30.{group}.2.{number}"))
            counts.add(them[-1])
        elif them:
            counts.remove(them.pop(group % len(them)))
        again = GroupCounts(them, limit)
        assert (counts.of, counts.beyond) == (again.of, again.beyond)


def test_a_table_where_nobody_shares_a_group_keeps_no_counts() -> None:
    assert crowds(entries(*ALONE), 3) is None
    assert crowds(entries(*CROWD), 0) is None
    assert crowds(entries(*ALONE, *CROWD[:1]), 3) is None
    assert crowds(entries(*ALONE, *CROWD[:2]), 3) is not None


def besieged(limit: int, tried: int = 0) -> Book:
    """Known: honest addresses alone in their groups, ``tried`` of them tried, and a crowd in `new`."""
    book = unchecked_book(new_bucket_count=1024, tried_bucket_count=1024, max_weight_per_group=limit)
    for peer in spread(tried + len(ALONE))[:tried]:
        book.connected(peer, NOW_S)
    for peer in spread(tried + len(ALONE))[tried:]:
        book.add(peer, peer.ip, NOW_S)
    for number, peer in enumerate(CROWD):
        book.add(peer, f"{100 + number}.1.2.3", NOW_S)
    assert book.counts()[:2] == (len(ALONE) + len(CROWD), tried)
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
