"""How many addresses one host may tell: Bitcoin Core's token bucket, in virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.book.intake import MAX_SOURCES, Intake

ONE, OTHER = b"\x01\x02\x03\x04", b"\x05\x06\x07\x08"
DAY_S = 86_400.0


def test_five_full_answers_are_taken_at_once_and_then_a_tenth_of_an_address_a_second() -> None:
    intake = Intake(0.1, 1000)
    assert [intake.take(ONE, 200, 0.0) for _ in range(6)] == [200, 200, 200, 200, 200, 0]
    assert intake.take(ONE, 200, 30.0) == 3
    assert intake.take(ONE, 200, 39.0) == 0
    assert intake.take(ONE, 200, 40.0) == 1


def test_a_flood_of_a_day_gets_little_more_than_honest_answers() -> None:
    """Asked every 30 s a flooder tells 200 made-up addresses each time: 576,000 a day without the limit."""
    intake = Intake(0.1, 1000)
    taken = sum(intake.take(ONE, 200, 30.0 * n) for n in range(int(DAY_S / 30)))
    assert taken <= 1000 + 0.1 * DAY_S


def test_what_was_used_grows_back_but_never_beyond_the_allowance() -> None:
    intake = Intake(0.1, 1000)
    intake.take(ONE, 1000, 0.0)
    assert intake.take(ONE, 2000, 100 * DAY_S) == 1000


def test_every_source_has_its_own_allowance() -> None:
    intake = Intake(0.1, 10)
    assert (intake.take(ONE, 20, 0.0), intake.take(OTHER, 20, 0.0)) == (10, 10)


def test_no_limit_by_option() -> None:
    intake = Intake(0.0, 1)
    assert intake.take(ONE, 10_000, 0.0) == 10_000
    assert len(intake) == 0


def test_the_memory_is_bounded_and_forgets_who_told_least_recently() -> None:
    intake = Intake(0.1, 10)
    intake.take(ONE, 10, 0.0)
    for n in range(MAX_SOURCES - 1):
        intake.take(b"%d" % n, 1, 0.0)
    assert intake.take(ONE, 1, 0.0) == 0, "still known, and now the latest"
    intake.take(OTHER, 1, 0.0)
    assert len(intake) == MAX_SOURCES
    assert intake.take(ONE, 1, 0.0) == 0


@given(st.lists(st.tuples(st.floats(0, 10_000), st.integers(0, 300)), max_size=50), st.floats(0.01, 10))
def test_never_more_than_allowance_and_refill(calls: list[tuple[float, int]], rate_per_s: float) -> None:
    intake, now, taken = Intake(rate_per_s, 100), 0.0, 0
    for pause_s, wanted in calls:
        now += pause_s
        granted = intake.take(ONE, wanted, now)
        assert 0 <= granted <= wanted
        taken += granted
        assert taken <= 100 + rate_per_s * now + 1e-6
