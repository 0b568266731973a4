"""What an attacker can own of the book: LIP 0004's bounds, and published figures for its bucket geometry.

The expected means were computed apart from this code, in closed form and by Monte Carlo; tolerances are four standard
errors of the mean.
"""

from __future__ import annotations

from random import Random
from statistics import mean

import pytest

from core.book import Book, BookConfig, Table
from core.book.hashing import LipHash
from core.netgroup import address_info, net_group
from tests.core.book.tools import (
    NOW_S,
    chi_square,
    chi_square_bound,
    in_group,
    spread,
    unchecked_book,
)


def test_lip_one_source_group_fills_at_most_16_new_buckets() -> None:
    book = unchecked_book()
    for n, peer in enumerate(spread(4_000)):
        book.add(peer, f"66.77.{n % 256}.{n % 7}", NOW_S)
    assert not book.check()
    buckets = {view.bucket for view in book.all()}
    assert 8 < len(buckets) <= 16
    assert book.counts().new == 32 * len(buckets)


def test_lip_one_group_fills_at_most_4_tried_buckets() -> None:
    book = unchecked_book()
    for peer in in_group(3_000):
        book.connected(peer, NOW_S)
    assert not book.check()
    assert len({view.bucket for view in book.tried()}) <= 4
    assert book.counts().tried <= 128


def test_a_flood_from_one_source_group_leaves_the_rest_of_new_alone() -> None:
    book = unchecked_book()
    honest = spread(1_500)
    for peer in honest:
        book.add(peer, peer.ip, NOW_S)
    known = [peer for peer in honest if book.has(peer)]
    flood = in_group(250, "66.10") + in_group(250, "66.11") + spread(3_000, first=5_000)
    for peer in flood:
        book.add(peer, "66.77.1.1", NOW_S)
    lost = sum(not book.has(peer) for peer in known)
    assert lost <= len(known) * 0.2, "16 of 128 buckets are 12.5 %"
    assert not book.check()


@pytest.mark.parametrize(("count", "expected", "deviation"), [(64, 63.84, 1.2), (128, 117.60, 9.1), (160, 124.44, 9.2)])
def test_tried_addresses_of_one_group_that_an_empty_table_stores(count: int, expected: float, deviation: float) -> None:
    stored = []
    for seed in range(60):
        rng = Random(seed)
        book = Book(BookConfig(), rng.randbytes(32), rng)
        for peer in in_group(count, f"{40 + seed}.7"):
            book.connected(peer, NOW_S)
        stored.append(book.counts().tried)
    assert mean(stored) == pytest.approx(expected, abs=4 * deviation / 60**0.5)


@pytest.mark.parametrize(("groups", "expected"), [(4, 115.3), (16, 317.8), (64, 475.7)])
def test_new_places_that_one_source_group_can_take(groups: int, expected: float) -> None:
    """Mean over secrets of 32 x the number of buckets that a source reaches with so many address groups."""
    source = net_group("66.77.1.1")
    infos = [address_info(peer.ip) for peer in spread(groups)]
    places = []
    for seed in range(1_500):
        scheme = LipHash(Random(seed).randbytes(32), 128, 64)
        places.append(32 * len({scheme.new_bucket(info, source, 0) for info in infos}))
    # At most 16 buckets, so a deviation of a run of at most 8 buckets; in truth it is below 2.
    assert mean(places) == pytest.approx(expected, abs=4 * 2 * 32 / 1_500**0.5)


def test_share_of_a_full_tried_table_that_4_groups_of_128_addresses_take() -> None:
    shares = []
    for seed in range(6):
        rng = Random(seed)
        book = Book(BookConfig(), rng.randbytes(32), rng)
        honest = iter(spread(25_000))
        while book.counts().tried < 2_048:
            book.connected(next(honest), NOW_S)
        attackers = [peer for group in ("201.1", "202.2", "203.3", "204.4") for peer in in_group(128, group)]
        for peer in attackers:
            book.connected(peer, NOW_S)
        shares.append(sum(view.endpoint in set(attackers) for view in book.tried()) / 2_048)
    assert mean(shares) == pytest.approx(0.1472, abs=4 * 0.0082 / 6**0.5)


def test_lip_the_victim_of_a_full_tried_bucket_is_uniform() -> None:
    """Else an attacker could keep his own entries and push out those of others."""
    size, runs = 8, 2_400
    peers = spread(size + 1)
    victims = dict.fromkeys(peers[:size], 0)
    for seed in range(runs):
        book = unchecked_book(seed, new_bucket_count=1, tried_bucket_count=1, bucket_size=size)
        for peer in peers:
            book.connected(peer, NOW_S)
        (victim,) = [view.endpoint for view in book.all() if view.table is Table.NEW]
        victims[victim] += 1
    assert chi_square(list(victims.values()), [runs / size] * size) < chi_square_bound(size)


def test_lip_the_victim_of_a_full_new_bucket_is_uniform() -> None:
    size, runs = 8, 2_400
    peers = spread(size + 1)
    victims = dict.fromkeys(peers[:size], 0)
    for seed in range(runs):
        book = unchecked_book(seed, new_bucket_count=1, tried_bucket_count=1, bucket_size=size)
        for peer in peers:
            book.add(peer, "66.77.1.1", NOW_S)
        (victim,) = [peer for peer in peers if not book.has(peer)]
        victims[victim] += 1
    assert chi_square(list(victims.values()), [runs / size] * size) < chi_square_bound(size)


def test_memory_is_bounded_whatever_is_told() -> None:
    book = unchecked_book(new_bucket_count=8, tried_bucket_count=4)
    for n, peer in enumerate(spread(6_000)):
        book.add(peer, f"66.{n % 250}.1.1", NOW_S)
        if n % 3 == 0:
            book.connected(peer, NOW_S)
    new, tried = book.counts()
    assert 8 * 31 < new <= 8 * 32
    assert tried == 4 * 32
    assert not book.check()
