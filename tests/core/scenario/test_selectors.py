"""Which nodes are meant."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest

from core.scenario.fields import Faults
from core.scenario.selectors import Selector, choose, parse_selector, unknown_names


@dataclass(frozen=True)
class Node:
    name: str
    is_running: bool = True


HUB = Node("hub")
FULL = [Node(f"full-{index}", index != 2) for index in range(6)]
GROUPS = {"hub": [HUB], "full": FULL}
NODES = {node.name: node for node in [HUB, *FULL]}


def chosen(value: object, seed: int = 1) -> list[str]:
    selector = parse_selector(value, ("x",))
    return [node.name for node in choose(selector, GROUPS, NODES, lambda: Random(seed))]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("hub", ["hub"]), ("full-3", ["full-3"]), ("hub|full-1", ["hub", "full-1"]), ("stopped", ["full-2"]),
        (["full-1", "hub"], ["full-1", "hub"]), ({"of": "full", "state": "stopped"}, ["full-2"]),
        ({"of": "all", "except": "full"}, ["hub"]), ({"of": ["hub", "full-0"], "except": "hub"}, ["full-0"]),
        ("hub|hub", ["hub"]), ({"state": "running", "except": "full"}, ["hub"]),
    ],
)  # fmt: skip
def test_selections(value: object, names: list[str]) -> None:
    assert chosen(value) == names


def test_all_and_running() -> None:
    assert chosen("all") == ["hub", *(node.name for node in FULL)]
    assert "full-2" not in chosen("running")


def test_lots_are_drawn_from_the_stream_and_keep_the_order() -> None:
    three = chosen("full:3")
    assert three == chosen("full:3") == sorted(three)
    assert len(set(three)) == 3
    assert any(chosen("full:3", seed) != three for seed in range(2, 9))
    assert len(chosen({"of": "full", "fraction": "50%"})) == 3
    assert len(chosen("full:99")) == 6
    assert len(chosen("random")) == 1
    assert "full-2" not in {name for seed in range(40) for name in chosen("random", seed)}


@pytest.mark.parametrize(
    "value",
    ["", "1full", "full:x", "full:0", 7, None, [], ["full:2"], {"of": "full:2", "pick": 1},
     {"pick": 1, "fraction": 0.5}, {"off": "full"}, {"state": "asleep"}, {"of": [1]}],
)  # fmt: skip
def test_what_is_no_selector(value: object) -> None:
    with pytest.raises(Faults):
        parse_selector(value, ("x",))


def test_unknown_names_are_found_wherever_they_are() -> None:
    selector = parse_selector({"of": "fulll", "except": "hubb"}, ("timeline", 0))
    told = [str(problem) for problem in unknown_names((selector, Selector(names=("full",))), [*GROUPS, *NODES])]
    assert told == [
        "timeline[0]: there is no group or node called 'fulll'; did you mean full?",
        "timeline[0].except: there is no group or node called 'hubb'; did you mean hub?",
    ]
    with pytest.raises(LookupError, match="did you mean"):
        choose(selector, GROUPS, NODES, lambda: Random(1))


def test_selectors_read_like_what_they_mean() -> None:
    assert str(parse_selector({"of": "full", "pick": 3, "except": "full-1"}, ())) == "3 of full except full-1"
    assert str(parse_selector("running", ())) == "all (running)"
