"""What a scenario is extended by: kinds of attackers and measures of a program's own."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from actors.simulation import roles
from actors.simulation.experiment import run_scenario
from actors.simulation.roles import Lab
from actors.simulation.scenario_files import scenario_of_mapping
from core.errors import ConfigError
from core.scenario.fields import Key, Section, integer


class Options(Section, frozen=True, kw_only=True):
    addresses: Annotated[int, Key(integer(1, 10), "how many")] = 2
    victim: Annotated[Any, Key(lambda value, path: value, "whom")] = "hub"


class Lurker:
    """Connects to its victim with real nodes, and does nothing."""

    def __init__(self, name: str, options: Options, lab: Lab) -> None:
        self.name, self.lab = name, lab
        ips = lab.addresses.take(name, options.addresses, slash16=1)
        victim = lab.select(options.victim)[0]
        self.nodes = [
            lab.add_node(f"{name}-{index}", ip, owner=name, fixed_peers=[victim.peer_id])
            for index, ip in enumerate(ips)
        ]

    def start(self) -> None:
        self.lab.count("begun")
        for node in self.nodes:
            node.launch()

    def stop(self) -> None:
        self.lab.count("ceased")
        for node in self.nodes:
            node.shut_down()


@pytest.fixture(autouse=True)
def own_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    roles.attackers()  # everything else is loaded before
    monkeypatch.setattr(roles, "_attackers", dict(roles._attackers))
    monkeypatch.setattr(roles, "_measures", dict(roles._measures))
    roles.attacker("test-lurker", Options)(Lurker)
    roles.measure("test_twice", "test_twice(n): twice the number")(lambda lab, n: 2.0 * n)


SCENARIO: dict[str, Any] = {
    "scenario": "lurking",
    "duration": "60s",
    "nodes": [{"group": "hub"}, {"group": "full", "count": 3, "seeds": "hub"}],
    "watch": "hub",
    "attackers": {"name": "lurk", "kind": "test-lurker", "start": "20s", "addresses": 3},
    "invariants": {"disjoint": True},
}


def test_an_attacker_acts_at_its_time_and_is_told_apart() -> None:
    changes = {
        "attackers": {**SCENARIO["attackers"], "stop": "40s"},
        "expect": [
            {"value": "inbound_held(hub, lurk).mean", "at": "19s", "equals": 0},
            {"value": "inbound_held(hub, lurk).mean", "at": "39s", "equals": 0.5},
            {"value": "counter(begun) + counter(ceased)", "equals": 2},
            {"value": "inbound_held(hub).mean", "equals": 0},
            "test_twice(21) == 42",
        ],
    }
    result = run_scenario(scenario_of_mapping(SCENARIO | changes).plan())
    assert result.failure == ""
    assert [verdict.holds for verdict in result.verdicts] == [True] * 5, result.verdicts
    assert result.detail is not None
    assert set(result.detail.owners.values()) == {"lurk"}
    assert max(one.inbound.get("lurk", 0) for one in result.detail.holders) == 3
    assert {bucket.table for bucket in result.detail.buckets} == {"tried", "new"}


def test_a_timeline_can_start_and_stop_attackers() -> None:
    changes = {
        "attackers": {**SCENARIO["attackers"], "start": "never"},
        "timeline": {"at": "10s", "attack": {"start": "lurk"}, "for": "20s"},
        "expect": [{"value": "counter(begun)", "equals": 1}, {"value": "counter(ceased)", "equals": 1}],
    }
    result = run_scenario(scenario_of_mapping(SCENARIO | changes).plan(), detail=False)
    assert result.holds, result
    assert result.detail is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"attackers": {"name": "lurk", "kind": "test-lurkr"}}, "did you mean test-lurker"),
        ({"attackers": {"name": "lurk", "kind": "test-lurker", "addreses": 3}}, "attackers.addreses: unknown key"),
        ({"attackers": {"name": "hub", "kind": "test-lurker"}}, "the name 'hub' is taken"),
        ({"attackers": {"name": "lurk", "kind": "test-lurker", "addresses": 11}}, "from 1 to 10, got 11"),
        ({"timeline": {"at": "1s", "attack": {"start": "lurc"}}}, "there is no attacker 'lurc'; did you mean lurk?"),
        ({"expect": ["test_twice(1, 2) == 2"]}, "test_twice: too many positional arguments"),
        ({"expect": ["test_twice(1)", "twice(1)"]}, "there is no measure called 'twice'; did you mean test_twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_them_is_said(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        scenario_of_mapping(SCENARIO | changes).plan()
    assert problem in str(caught.value)


def test_names_are_taken_once() -> None:
    with pytest.raises(ValueError, match="already"):
        roles.attacker("test-lurker", Options)(Lurker)
    with pytest.raises(ValueError, match="already"):
        roles.measure("reach", "again")(lambda lab: 1.0)
