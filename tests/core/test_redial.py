"""Back-off of fixed peers (LIP 0004, "Static lists")."""

from __future__ import annotations

import pytest

from core.redial import MAX_PAUSE_S, Redial
from tests.core.pool_tools import at


def pauses(redial: Redial, count: int) -> list[float]:
    """The pauses between ``count`` dials that all fail at once."""
    now, found = 0.0, []
    for _ in range(count):
        assert redial.due(now) == [at(1)]
        redial.lost(at(1), now)
        due = redial.next_deadline()
        assert due is not None
        found.append(due - now)
        now = due
    return found


def test_pauses_double_up_to_a_minute_and_stay_there() -> None:
    assert pauses(Redial([at(1)], 10.0), 9) == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_after_years_of_failure_the_pause_is_still_a_minute() -> None:
    assert pauses(Redial([at(1)], 10.0), 5000)[-1] == MAX_PAUSE_S


def test_the_first_pause_is_no_longer_than_the_populators_interval() -> None:
    assert pauses(Redial([at(1)], 0.25), 3) == [0.25, 0.5, 1.0]


def test_a_fixed_peer_is_handed_out_once() -> None:
    redial = Redial([at(1), at(2)], 10.0)
    assert redial.waiting() == 2
    assert redial.due(0.0) == [at(1), at(2)]
    assert redial.due(1e9) == []
    assert redial.next_deadline() is None
    assert redial.waiting() == 0
    redial.lost(at(2), 5.0)
    assert redial.due(5.9) == []
    assert redial.waiting() == 1
    assert redial.due(6.0) == [at(2)]


def test_a_success_ends_the_waiting_and_resets_the_pauses() -> None:
    redial = Redial([at(1)], 10.0)
    for _ in range(5):
        redial.lost(at(1), 0.0)
    redial.succeeded(at(1))
    assert redial.next_deadline() is None
    redial.lost(at(1), 100.0)
    assert redial.next_deadline() == 101.0


def test_other_peers_are_none_of_its_business() -> None:
    redial = Redial([], 10.0)
    redial.succeeded(at(9))
    assert redial.next_deadline() is None
    with pytest.raises(KeyError):
        redial.lost(at(9), 0.0)
