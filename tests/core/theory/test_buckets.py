"""Coverage of buckets: published figures of LIP 0004's tables and of Heilman et al. 2015."""

from __future__ import annotations

import pytest

from core.theory import buckets


@pytest.mark.parametrize(("groups", "share"), [(1, 0.0611), (11, 0.4999), (12, 0.5304), (37, 0.9028), (74, 0.9905)])
def test_groups_to_cover_tried(groups: int, share: float) -> None:
    assert buckets.tried_coverage(groups) == pytest.approx(share, abs=1e-4)


def test_heilman_2015_by_the_same_formula() -> None:
    assert 64 * buckets.tried_coverage(32, 64, 4) == pytest.approx(55.5, abs=0.05)
    assert buckets.eclipse(0.987, 8) == pytest.approx(0.90, abs=0.002)
    assert buckets.eclipse(8192 / (8192 + 7227), 8) == pytest.approx(0.0064, abs=0.001)


@pytest.mark.parametrize(
    ("groups", "addresses", "share"),
    [(1, 64, 0.024), (1, 128, 0.039), (12, 256, 0.480), (16, 128, 0.471), (37, 64, 0.600), (74, 128, 0.947)],
)
def test_a_full_table_taken_over(groups: int, addresses: int, share: float) -> None:
    assert buckets.owned_of_full(groups, addresses) == pytest.approx(share, abs=6e-4)


@pytest.mark.parametrize(
    ("addresses", "stored"), [(32, 32.0), (64, 63.84), (96, 94.29), (128, 117.60), (160, 124.44), (192, 125.01)]
)
def test_one_group(addresses: int, stored: float) -> None:
    assert buckets.one_group_stored(addresses) == pytest.approx(stored, abs=0.01)


def test_bounds_of_one_group() -> None:
    assert buckets.one_group_capacity() == pytest.approx(125.03, abs=0.01)
    assert buckets.one_group_stored(65536) == pytest.approx(buckets.one_group_capacity(), abs=1e-6)


@pytest.mark.parametrize(
    ("groups", "stored"), [(1, 32.0), (2, 61.8), (4, 115.3), (8, 202.0), (16, 317.8), (64, 475.7), (1000, 483.1)]
)
def test_one_source(groups: int, stored: float) -> None:
    assert buckets.new_from_one_source(groups) == pytest.approx(stored, abs=0.05)


def test_new_by_source_groups() -> None:
    assert buckets.new_coverage(6) == pytest.approx(0.529, abs=1e-3)
    assert buckets.new_coverage(19) == pytest.approx(0.908, abs=1e-3)


def test_the_outbound_draw() -> None:
    assert buckets.eclipse(0.9659, 20) == pytest.approx(0.5, abs=1e-3)
    assert buckets.offered_share(100, 300, 0.2, 1.0) == pytest.approx(0.6), "half of all draws come from new"
    assert buckets.offered_share(300, 100, 0.2, 1.0) == pytest.approx(0.4)
    assert buckets.offered_share(0, 0, 1.0, 1.0) == 0.0
    assert buckets.living_share(0.5, 0.25) == pytest.approx(0.8)
