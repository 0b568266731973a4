"""From foreign values to typed sections."""

from __future__ import annotations

import contextlib
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.scenario import fields as f
from core.scenario.fields import Faults, Key, Section


class Leaf(Section, frozen=True, kw_only=True):
    count: Annotated[int, Key(f.integer(1, 100), "how many")]
    close_after_s: Annotated[float, Key(f.duration(above=0.0), "when it closes")] = 1.0
    from_: Annotated[str, Key(f.one_of("full", "hub"), "who")] = "full"
    size_bytes: Annotated[int, Key(f.size(at_most=1000), "how large")] = 100


class Tree(Section, frozen=True, kw_only=True):
    leaves: Annotated[tuple[Leaf, ...], Key(f.one_or_many(f.section(Leaf)), "its leaves")] = ()
    share: Annotated[float, Key(f.share(), "of all")] = 0.5
    names: Annotated[tuple[str, ...], Key(f.list_of(f.name()), "names")] = ()
    by_name: Annotated[dict[str, float] | None, Key(f.mapping_of(f.number(0, 1)), "values")] = None
    ends: Annotated[tuple[float, float], Key(f.pair_of(f.duration()), "from and to")] = (0.0, 1.0)
    exact: Annotated[bool, Key(f.boolean(), "whether")] = False

    def __post_init__(self) -> None:
        if self.ends[0] > self.ends[1]:
            raise f.fault(("ends",), "expected the first to be before the second")


def problems_of(value: object) -> list[str]:
    with pytest.raises(Faults) as caught:
        f.section(Tree)(value, ("tree",))
    return [str(problem) for problem in caught.value.problems]


def test_a_section_with_all_that_it_can_hold() -> None:
    given = {
        "leaves": [{"count": 3, "close_after": "2min", "from": "hub", "size": "1KB"}, {"count": 1}],
        "share": "30%", "names": ["a", "b-2"], "by_name": {"x": 1}, "ends": ["1s", "2s"], "exact": True,
    }  # fmt: skip
    tree: Tree = f.section(Tree)(given, ())
    assert tree.leaves == (Leaf(count=3, close_after_s=120.0, from_="hub", size_bytes=1000), Leaf(count=1))
    assert (tree.share, tree.names, tree.by_name, tree.ends, tree.exact) == (
        0.3,
        ("a", "b-2"),
        {"x": 1.0},
        (1, 2),
        True,
    )
    assert f.section(Tree)({"leaves": {"count": 2}}, ()).leaves == (Leaf(count=2),)
    assert f.section(Tree)(None, ()) == Tree()


def test_every_problem_is_told_with_its_place() -> None:
    told = problems_of(
        {
            "leaves": [{"count": 0}, {"cuont": 3}, {"count": 1, "from": "hubb", "close_after": 5, "size": "2KB"}, 7],
            "shares": 1,
            "names": ["a", "1b"],
            "by_name": {"x": 2},
            "ends": ["1s"],
            "exact": "yes",
        }
    )
    assert told == [
        "tree.leaves[0].count: expected a whole number from 1 to 100, got 0",
        "tree.leaves[1].cuont: unknown key; did you mean count?",
        "tree.leaves[1]: count is missing: how many",
        "tree.leaves[2].from: expected one of full, hub, got 'hubb'; did you mean hub?",
        "tree.leaves[2].close_after: expected a duration with its unit, as 50ms, 10s, 1h30min (units: us, ms, s, min, "
        "h, d) of more than 0 ms, got 5",
        "tree.leaves[2].size: expected a value of at most 1,000 bytes, got '2KB'",
        "tree.leaves[3]: expected a mapping with count, got 7",
        "tree.shares: unknown key; did you mean share?",
        "tree.names[1]: expected a name (a letter, then letters, digits, '_', '-'; at most 40), got '1b'",
        "tree.by_name.x: expected a number from 0 to 1, got 2",
        "tree.ends: expected a list of two entries, got ['1s']",
        "tree.exact: expected true or false, got 'yes'",
    ]


def test_relations_inside_a_section_have_its_place() -> None:
    assert problems_of({"ends": ["2s", "1s"]}) == ["tree.ends: expected the first to be before the second"]
    assert problems_of([1]) == [
        "tree: expected a mapping with keys of: leaves, share, names, by_name, ends, exact, got [1]"
    ]


def test_words_that_yaml_takes_for_truth_values() -> None:
    assert f.one_of("on", "off")(True, ()) == "on"
    assert f.one_of("on", "off")(False, ()) == "off"


def test_a_plain_number_can_be_a_text() -> None:
    assert f.text()(7, ()) == "7"
    for wrong in ("", None, True, "x" * 300):
        with pytest.raises(Faults):
            f.text()(wrong, ())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["leaves", "share", "names", "by_name", "ends", "exact", "x"]), JSON) | JSON)
def test_whatever_is_given_is_a_tree_or_problems(value: object) -> None:
    with contextlib.suppress(Faults):
        assert isinstance(f.section(Tree)(value, ()), Tree)
