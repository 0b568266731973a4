"""The earliest of several deadlines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.deadlines import earliest


def test_none_if_nothing_is_set() -> None:
    assert earliest() is None
    assert earliest(None, None) is None


@given(st.lists(st.none() | st.floats(allow_nan=False)))
def test_the_smallest_of_those_that_are_set(times: list[float | None]) -> None:
    assert earliest(*times) == min((at for at in times if at is not None), default=None)
