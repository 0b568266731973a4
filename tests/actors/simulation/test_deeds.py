"""Everything that a timeline can do, done to a small network."""

from __future__ import annotations

from typing import Any

from actors.simulation.experiment import run_scenario
from actors.simulation.results import RunResult
from actors.simulation.scenario_files import scenario_of_mapping

NETWORK: dict[str, Any] = {
    "scenario": "deeds",
    "duration": "60s",
    "nodes": [{"group": "hub"}, {"group": "full", "count": 4, "seeds": "hub", "storage": True}],
}


def run(*timeline: dict[str, Any], **changes: Any) -> RunResult:
    result = run_scenario(scenario_of_mapping(NETWORK | {"timeline": list(timeline)} | changes).plan())
    assert result.failure == ""
    return result


def story(result: RunResult) -> list[str]:
    assert result.detail is not None
    return [f"{line.at_s:g} {line.text}" for line in result.detail.story]


def failing(result: RunResult) -> list[str]:
    return [verdict.label for verdict in result.verdicts if not verdict.holds]


def test_one_way_cuts_hold_up_one_direction() -> None:
    result = run(
        {"at": "20s", "cut": {"from": "hub", "to": "full-0"}, "for": "20s"},
        workload=[
            {"at": "25s", "publish": {"id": "out", "from": "hub"}},
            {"at": "26s", "publish": {"id": "in", "from": "full-0"}},
        ],
        relay={"targets": "none"},
        expect=[
            {"value": "reached(out, full-0)", "at": "30s", "equals": 0},
            {"value": "reached(in, hub)", "at": "30s", "equals": 1},
            {"value": "reached(out, full-0)", "equals": 1},
        ],
    )
    assert failing(result) == []
    assert story(result) == ["20 cut from hub to full-0", "40 a cut is healed"]


def test_power_cuts_stops_and_restarts() -> None:
    result = run(
        {"at": "20s", "crash": {"select": "full-0", "silent": True}, "for": "5s"},
        {"at": "30s", "stop": "full-1", "for": "5s"},
        {"at": "40s", "restart": {"select": "full-2", "lose": "storage"}},
        {"between": ["50s", "52s"], "times": 2, "crash": "full:1"},
        expect=[
            {"that": "running == 4 and running(full-0) == 0", "at": "24s"},
            {"that": "running(full-1) == 0", "at": "34s"},
            {"that": "running == 5", "at": "45s"},
            "running <= 4 and running >= 3",
            "failures == 0",
        ],
    )
    assert failing(result) == []
    told = story(result)
    assert told[0] == "20 full-0 lose power"
    assert "40 full-2 restart without storage" in told
    assert sum(" crash" in line for line in told) == 2


def test_slow_readers_frozen_programs_and_clocks() -> None:
    result = run(
        {"at": "20s", "slow": {"select": "full-0", "reads": "100B/s"}, "for": "20s"},
        {"at": "20s", "freeze": "full-1", "for": "10s"},
        {"at": "10s", "clock": {"select": "full-2", "step": "1h"}},
        {"at": "11s", "clock": {"select": "full-3", "step": "10min", "back": True}},
        workload={"at": "22s", "publish": {"id": "m", "from": "hub", "size": "4KB"}},
        expect=[
            {"value": "reached(m, full-0|full-1)", "at": "25s", "equals": 0},
            {"value": "reached(m, full-2|full-3)", "at": "25s", "equals": 1},
            {"value": "reached(m, full-1)", "at": "31s", "equals": 1},
            {"value": "reach(m)", "equals": 1},
        ],
    )
    assert failing(result) == []


def test_bans_and_penalties_are_seen_in_the_counts() -> None:
    result = run(
        {"at": "20s", "penalty": {"on": "hub", "nodes": "full-0", "points": 60}},
        {"at": "21s", "penalty": {"on": "hub", "nodes": "full-0", "points": 60}},
        {"at": "22s", "ban": {"on": "hub", "nodes": "full-1", "duration": "10s"}},
        {"at": "23s", "note": "banned by now"},
        invariants={"honest_bans": False},
        expect=[
            {"value": "bans(hub)", "at": "25s", "equals": 2},
            {"value": "bans(hub)", "equals": 1},
            {"value": "bans_total", "equals": 2},
            {"value": "connected(hub, full-0)", "equals": 0},
        ],
    )
    assert failing(result) == []
    assert "23 banned by now" in story(result)


def test_requests_and_starts_by_chance() -> None:
    nodes = [
        {"group": "hub"},
        {
            "group": "late",
            "count": 3,
            "seeds": "hub",
            "start": {"at": "5s", "poisson": "1/s"},
            "clock": "normal(0s, 1s)",
        },
        {"group": "never", "seeds": "hub", "start": "never"},
    ]
    result = run(
        {"at": "40s", "request": {"from": "late", "to": "hub", "size": "2KB", "answer": "1KB"}},
        {"at": "41s", "request": {"from": "hub", "to": "never", "timeout": "2s"}},
        {"at": "42s", "request": {"from": "hub"}},
        nodes=nodes,
        expect=[
            {"value": "running", "equals": 4},
            {"value": "running(never)", "equals": 0},
            {"value": "answered", "equals": 0.8},
            {"value": "request_time.max", "max": "1s"},
        ],
    )
    assert failing(result) == []
    assert result.metrics["requests answered"] == 0.8


def test_nodes_in_regions_with_uplinks_and_processing() -> None:
    nodes = [
        {"group": "hub", "region": "na", "uplink": "1Mbit/s"},
        {"group": "full", "count": 3, "seeds": "hub", "region": {"EU": 1.0}, "processing": "100ms"},
    ]
    result = run(
        nodes=nodes,
        links={"regions": "simblock-2019", "jitter": "uniform(0ms, 1ms)", "lost": "1/d"},
        workload={"at": "50s", "publish": {"id": "m", "from": "hub", "size": "10KB"}},
        relay={"targets": "uniform", "fanout": 1, "skip_sender": True},
        expect=[{"value": "reach(m)", "equals": 1}, {"value": "propagation(m).min", "min": "150ms"}],
    )
    assert failing(result) == []
    assert result.metrics["hops mean"] == 2.0
    assert result.detail is not None
    assert result.detail.regions == {"hub": "NA", **{f"full-{index}": "EU" for index in range(3)}}
