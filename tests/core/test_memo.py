"""A memo gives what its function would, asks it once, and stays small."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.memo import Memo


@given(st.lists(st.integers(0, 9)), st.integers(1, 12))
def test_it_gives_what_the_function_gives_and_holds_no_more_than_it_may(keys: list[int], most: int) -> None:
    memo: Memo[int, str] = Memo(str, most)
    for key in keys:
        assert memo[key] == str(key)
        assert len(memo) <= most


def test_the_function_is_asked_once_until_all_is_forgotten() -> None:
    asked: list[int] = []

    def double(number: int) -> int:
        asked.append(number)
        return 2 * number

    memo = Memo(double, 3)
    assert list(map(memo.__getitem__, [1, 2, 1, 3, 3, 2])) == [2, 4, 2, 6, 6, 4]
    assert asked == [1, 2, 3]
    assert [memo[4], memo[1]] == [8, 2]
    assert asked == [1, 2, 3, 4, 1]


def test_what_is_raised_is_not_remembered() -> None:
    memo = Memo(int, 3)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            memo["no number"]
    assert not memo
