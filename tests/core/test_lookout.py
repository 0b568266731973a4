"""When a loop looks for what comes instead of sleeping: after asking, where it is worth it, and never for long."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.lookout import LONGEST_PAUSE_S, MAX_PROSPECTS, SLEPT_EVERY, TRUSTED, VAIN_BURST_S, VAIN_SHARE, Lookout

LONGEST_S = 0.0002
US = 1e-6


class World:
    """A loop that asks one remote after the other. ``wait_s(looking)`` is when the answer comes, after the question."""

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        self.lookout = Lookout(longest_s)
        self.now = 100.0
        self.looked: list[bool] = []  # for each question, whether the loop looked for its answer
        self.vain_s = 0.0

    def ask(self, wait_s: Callable[[bool], float], remote: str = "a", work_s: float = 40 * US) -> None:
        """One question, and its answer; then so much other work, or rest."""
        self.lookout.expect(remote)
        until = self.lookout.rest(self.now)
        comes_at = self.now + wait_s(until is not None)
        self.looked.append(until is not None)
        if until is not None and comes_at > until:
            self.vain_s += until - self.now
            self.lookout.missed(until)
            self.now = comes_at
        else:
            self.now = comes_at
            self.lookout.woken(self.now)
        self.now += work_s

    def ask_often(self, count: int, wait_s: Callable[[bool], float], remote: str = "a", work_s: float = 40 * US) -> int:
        """How many of these questions the loop looked for answers to."""
        before = sum(self.looked)
        for _ in range(count):
            self.ask(wait_s, remote, work_s)
        return sum(self.looked) - before


def quick(looking: bool) -> float:
    """Two nodes with a processor each: being woken takes half of the time."""
    return (60 if looking else 140) * US


def one_processor(looking: bool) -> float:
    """The other side cannot answer before this one sleeps."""
    return 2 * LONGEST_S if looking else 80 * US


def test_nothing_is_looked_for_that_is_not_expected() -> None:
    lookout = Lookout(LONGEST_S)
    for at in range(100):
        assert not lookout.is_expecting
        assert lookout.rest(at * 60 * US) is None
        lookout.woken((at + 1) * 60 * US)


def test_answers_that_come_soon_are_looked_for_after_a_few() -> None:
    world = World()
    world.ask_often(TRUSTED + 10, quick)
    assert world.looked == [False] * TRUSTED + [True] * 10
    assert world.vain_s == 0.0


def test_one_wait_in_many_is_slept_through() -> None:
    world = World()
    assert world.ask_often(10 * SLEPT_EVERY, quick) == 10 * SLEPT_EVERY - TRUSTED - 10


@pytest.mark.parametrize("rate", [10, 100, 1000])
def test_a_trickle_is_not_looked_for(rate: int) -> None:
    """Who answers somebody that asks so often a second sleeps until the next question."""
    world = World()
    assert world.ask_often(5 * rate, lambda looking: 1 / rate) == 0


def test_the_end_of_a_burst_is_one_look_in_vain() -> None:
    world = World()
    for _ in range(20):
        world.ask_often(100, quick)
        world.ask(lambda looking: 1.0)
    assert world.vain_s <= 20 * LONGEST_S + 1e-9
    assert sum(world.looked) > 20 * 80


def test_with_one_processor_for_both_sides_it_notices_and_tries_ever_more_rarely() -> None:
    world = World()
    looks = []
    for _ in range(5):
        started_at = world.now
        before = sum(world.looked)
        while world.now < started_at + 20.0:
            world.ask(one_processor, work_s=0.0005)
        looks.append(sum(world.looked) - before)
    assert looks[0] <= 25
    assert looks[-1] <= 2 * 20.0 / LONGEST_PAUSE_S + 2
    assert world.vain_s < 0.001 * (world.now - 100.0)


def test_looking_that_does_not_shorten_the_wait_ends() -> None:
    world = World()
    assert world.ask_often(1000, lambda looking: 100 * US) < 200


def test_looking_that_went_well_and_turns_bad_ends_at_once_and_comes_back() -> None:
    world = World()
    world.ask_often(200, quick)
    assert world.ask_often(20, lambda looking: 0.01) <= 2
    world.now += 1.0
    assert world.ask_often(100, quick) >= 90


def test_who_is_slow_does_not_spoil_who_is_quick() -> None:
    world = World()
    looks = 0
    for _ in range(200):
        looks += world.ask_often(1, quick, "near")
        assert world.ask_often(1, lambda looking: 0.05, "far") == 0
    assert looks > 180


def test_a_late_find_counts_as_none() -> None:
    """The loop was looking, but somebody else had its processor for longer than the look may take."""
    world = World()
    world.ask_often(50, quick)
    for _ in range(2):
        world.lookout.expect("a")
        assert world.lookout.rest(world.now) is not None
        world.now += 10 * LONGEST_S
        world.lookout.woken(world.now)
    world.lookout.expect("a")
    assert world.lookout.rest(world.now) is None


def test_what_the_program_does_itself_is_no_news_of_the_remote() -> None:
    world = World()
    world.ask_often(50, quick)
    for _ in range(50):
        world.lookout.expect("a")
        world.lookout.rest(world.now)
        world.now += 0.01
        world.lookout.acted()
        world.lookout.missed(world.now)
        world.lookout.woken(world.now)
    assert world.ask_often(20, quick) >= 19


def test_with_nothing_allowed_it_never_looks() -> None:
    world = World(0.0)
    assert world.ask_often(1000, quick) == 0
    assert not world.lookout.is_expecting


def test_no_more_remotes_are_remembered_than_allowed() -> None:
    world = World()
    for number in range(10 * MAX_PROSPECTS):
        world.ask(quick, str(number))
    assert len(world.lookout._prospects) == MAX_PROSPECTS


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5 * LONGEST_S), st.floats(0, 0.02)), max_size=400))
def test_looks_in_vain_are_bounded_whatever_remotes_do(steps: list[tuple[str, float, float]]) -> None:
    world = World()
    for remote, wait_s, work_s in steps:
        world.ask_often(TRUSTED, quick, remote)  # lure it
        world.ask(lambda looking, wait_s=wait_s: wait_s, remote, work_s)
    elapsed_s = world.now - 100.0
    assert world.vain_s <= VAIN_BURST_S + VAIN_SHARE * elapsed_s + 1e-9
