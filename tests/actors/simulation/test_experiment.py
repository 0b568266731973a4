"""Scenarios, run: what they measure is what happened."""

from __future__ import annotations

from typing import Any

from actors.simulation.experiment import run_scenario
from actors.simulation.results import RunResult
from actors.simulation.scenario_files import scenario_of_mapping

SMALL: dict[str, Any] = {
    "scenario": "small",
    "duration": "40s",
    "nodes": [{"group": "hub"}, {"group": "full", "count": 5, "seeds": "hub", "start": {"at": "1s", "over": "2s"}}],
    "workload": {"at": "30s", "publish": {"id": "hello", "from": "hub"}},
}


def run(changes: dict[str, Any], seed: int | None = None) -> RunResult:
    result = run_scenario(scenario_of_mapping(SMALL | changes).plan(seed))
    assert result.detail is not None
    return result


def verdicts(result: RunResult) -> dict[str, bool | None]:
    return {verdict.label: verdict.holds for verdict in result.verdicts}


def test_a_message_reaches_everybody_and_the_result_says_how() -> None:
    result = run(
        {
            "expect": [
                "reach(hello) == 1",
                "hops(hello).max <= 2 and outbound(full).min >= 1",
                {"value": "propagation(hello).p90", "max": "1s"},
                {"value": "connections.count", "equals": 6},
                {"eventually": "components == 1", "within": "20s", "after": "3s"},
                {"always": "running >= 1"},
                {"that": "running(full) == 0", "at": "500ms"},
                "reach(hello) == 0.5",
            ]
        }
    )
    assert result.failure == ""
    assert list(verdicts(result).values()) == [True] * 7 + [False]
    assert not result.holds
    detail = result.detail
    assert detail is not None
    (message,) = detail.messages
    assert (message.id, message.origin, message.population, len(message.arrivals)) == ("hello", "hub", 6, 6)
    assert message.arrivals[0] == ("hub", 0.0, "hub", 0)
    assert {name for name, *_ in message.arrivals} == {"hub", *(f"full-{index}" for index in range(5))}
    assert result.metrics["reach"] == 1.0
    assert detail.degrees == [5] * 6
    assert detail.series["running nodes"][-1] == (40.0, 6.0)


def test_the_same_seed_gives_the_same_digest_and_another_one_another() -> None:
    first, again, other = run({}), run({}), run({}, seed=2)
    assert first.digest == again.digest != other.digest
    assert first.metrics == again.metrics


def test_a_timeline_is_carried_out_and_undone() -> None:
    result = run(
        {
            "duration": "2min",
            "timeline": [
                {"at": "20s", "partition": [["full-0", "full-1"]], "for": "15s", "id": "split"},
                {"at": "60s", "crash": "full-4", "for": "10s"},
                {"when": "running == 5", "from": "50s", "note": "somebody is missing"},
                {"every": "20s", "times": 2, "request": {"from": "hub", "to": "full-2", "answer": "1KB"}},
                {"at": "90s", "freeze": "full-3", "for": "1s"},
                {"at": "95s", "restart": "full-2"},
                {"at": "100s", "ban": {"on": "hub", "nodes": "full-1"}},
            ],
            "workload": [{"at": "25s", "publish": {"id": "cut"}}, {"at": "59s", "publish": {"id": "whole"}}],
            "invariants": {"honest_bans": False},
            "expect": [
                {"value": "reach(cut)", "at": "34s", "max": 0.7},
                {"eventually": "reach(cut) == 1", "within": "10s", "after": "split.end"},
                "reach(whole) == 1",
                {"that": "running == 5", "at": "65s"},
                {"eventually": "running == 6", "within": "5s", "after": "70s"},
                "answered == 1",
                "running == 6",
                "bans_total(hub) == 1",
                {"value": "connected(hub, full-1)", "equals": 0},
            ],
        }
    )
    assert result.failure == ""
    assert all(verdicts(result).values()), result.verdicts
    assert result.detail is not None
    story = [line.text for line in result.detail.story]
    assert story[0].startswith("partition: full-0, full-1 | all others")
    assert "somebody is missing" in story
    assert {ban.node for ban in result.detail.bans} == {"hub"}


def test_a_run_in_which_an_invariant_breaks_says_so_and_how_to_replay_it() -> None:
    ban = {"at": "20s", "ban": {"on": "hub", "nodes": "full-1"}}
    result = run_scenario(scenario_of_mapping(SMALL | {"timeline": ban}).plan(), replay="the command", detail=False)
    assert "InvariantBroken" in result.failure
    assert "the command" in result.failure
    assert not result.holds
    assert 20.0 <= result.virtual_s < 40.0


def test_what_cannot_be_measured_holds_nowhere() -> None:
    nothing = "propagation(nobody).mean"
    result = run(
        {
            "duration": "10s",
            "workload": [],
            "timeline": {"when": nothing, "note": "never"},
            "expect": [
                nothing,
                {"always": nothing},
                {"eventually": nothing, "within": "5s"},
                {"value": nothing, "min": 0},
            ],
        }
    )
    assert [verdict.holds for verdict in result.verdicts] == [False] * 4
    assert result.detail is not None
    assert not result.detail.story
