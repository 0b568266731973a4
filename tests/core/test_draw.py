"""Drawing takes out what it draws, and everything is as likely as everything else."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from core.draw import draw


@given(st.lists(st.integers(), unique=True, max_size=40), st.integers(-1, 50), st.integers())
def test_what_is_drawn_is_no_longer_there(items: list[int], count: int, seed: int) -> None:
    left = list(items)
    drawn = draw(left, count, Random(seed))
    assert len(drawn) == max(0, min(count, len(items)))
    assert sorted(drawn + left) == sorted(items)


def test_each_order_is_as_likely_as_any_other() -> None:
    rng = Random(7)
    rounds = 24_000
    seen = Counter(tuple(draw([1, 2, 3, 4], 3, rng)) for _ in range(rounds))
    assert set(seen) == set(permutations([1, 2, 3, 4], 3))
    # 24 orders, 1,000 each; the standard deviation is 31.
    assert all(abs(times - rounds / 24) < 5 * 31 for times in seen.values())
