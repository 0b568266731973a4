"""Which links are cut: groups, single cuts, one way and both."""

from __future__ import annotations

import pytest

from actors.transport.sim_cuts import Cuts

NAMES = ("ann", "ben", "cal", "dan")


@pytest.fixture
def cuts() -> Cuts:
    return Cuts(NAMES)


def blocked(cuts: Cuts) -> set[str]:
    return {f"{one}>{other}" for one in NAMES for other in NAMES if cuts.blocks(one, other)}


def test_without_cuts_everything_gets_through(cuts: Cuts) -> None:
    assert not cuts
    assert not blocked(cuts)


def test_a_one_way_cut_lets_the_answers_through(cuts: Cuts) -> None:
    cuts.add(["ann"], ["ben"], both_ways=False)
    assert cuts
    assert blocked(cuts) == {"ann>ben"}


def test_a_cut_in_both_directions(cuts: Cuts) -> None:
    cuts.add(["ann"], ["ben", "cal"], both_ways=True)
    assert blocked(cuts) == {"ann>ben", "ben>ann", "ann>cal", "cal>ann"}


def test_a_cut_from_everybody_else(cuts: Cuts) -> None:
    cuts.add(["ann", "ben"], None, both_ways=False)
    assert blocked(cuts) == {"ann>cal", "ann>dan", "ben>cal", "ben>dan"}


def test_cuts_end_one_by_one_or_all_together(cuts: Cuts) -> None:
    first = cuts.add(["ann"], ["ben"], both_ways=False)
    cuts.add(["ann"], ["ben", "cal"], both_ways=False)
    cuts.end(first)
    cuts.end(first)
    assert blocked(cuts) == {"ann>ben", "ann>cal"}
    cuts.partition([["dan"]])
    cuts.end(None)
    assert not blocked(cuts)
    assert not cuts


def test_a_partition_and_a_cut_add_up(cuts: Cuts) -> None:
    cuts.partition([["ann", "ben"]])
    cuts.add(["cal"], ["dan"], both_ways=False)
    assert blocked(cuts) == {f"{a}>{b}" for a, b in [*pairs("ab", "cd"), *pairs("cd", "ab"), ("cal", "dan")]}


def pairs(left: str, right: str) -> list[tuple[str, str]]:
    full = {name[0]: name for name in NAMES}
    return [(full[one], full[other]) for one in left for other in right]


def test_nobody_is_cut_from_oneself(cuts: Cuts) -> None:
    cuts.add(["ann"], ["ann"], both_ways=True)
    assert not blocked(cuts)


def test_unknown_names_are_refused(cuts: Cuts) -> None:
    with pytest.raises(ValueError, match="'eve'"):
        cuts.add(["eve"], None, both_ways=True)
    with pytest.raises(ValueError, match="'eve'"):
        cuts.add(["ann"], ["eve"], both_ways=True)
    with pytest.raises(ValueError, match="two groups"):
        cuts.partition([["ann"], ["ann"]])
