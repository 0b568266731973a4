"""The attacks in configs/simulations do what their files say, and each kind of attacker is in one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.simulation import roles
from actors.simulation.experiment import run_scenario
from actors.simulation.results import RunResult
from actors.simulation.scenario_files import read_scenario, scenario_of_mapping

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "simulations"
OURS = {"sybil-flood", "address-poison", "eclipse", "slow-loris", "chatty", "ban-framing"}


def checked(result: RunResult) -> RunResult:
    assert not result.failure, result.failure
    assert all(verdict.holds for verdict in result.verdicts), result.verdicts
    return result


@pytest.mark.parametrize("name", ["sybil-flood", "ban-framing", "chatty"])
def test_an_attack_from_a_file(name: str) -> None:
    checked(run_scenario(read_scenario(FOLDER / f"{name}.yaml").plan()))


def test_all_kinds_are_known_with_what_they_do() -> None:
    found = {kind.kind: kind.meaning for kind in roles.attackers()}
    assert found.keys() >= OURS
    assert all(found[kind] for kind in OURS)


@pytest.mark.parametrize(
    ("kind", "options", "expectation"),
    [
        ("address-poison", {"poison": 300, "poison_slash16": 30, "rate": "0.5/s"}, "new_held(hub, foe).mean > 0.3"),
        ("slow-loris", {"rate": "20/s", "addresses": 1}, "connected(hub, late) == 1"),
        ("eclipse", {"slash16": 8, "close_after": "1s", "rate": "1/s"}, "inbound_held(hub, foe).mean > 0.5"),
    ],
)
def test_an_attack_from_a_program(kind: str, options: dict[str, object], expectation: str) -> None:
    tree = {
        "scenario": "attack",
        "duration": "90s",
        "nodes": [
            {"group": "hub"},
            {"group": "full", "count": 3, "seeds": "hub", "config": {"max_outbound_connections": 2}},
            {"group": "late", "seeds": "hub", "start": {"at": "60s"}, "config": {"max_outbound_connections": 2}},
        ],
        "attackers": [{"name": "foe", "kind": kind, "victim": "hub", "addresses": 16, "start": "10s", **options}],
        "expect": [expectation, "bans_total(hub) == 0"],
    }
    result = run_scenario(scenario_of_mapping(tree).plan())
    checked(result)
    assert result.detail is not None
    assert {one.node for one in result.detail.holders} == {"hub"}, "a victim is watched without being named"
