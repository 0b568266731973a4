"""Scenario files: what is wrong with them is said with file, line, key and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.simulation.scenario_files import (
    Point,
    ScenarioFile,
    assignment,
    read_scenario,
    scenario_of_mapping,
    scenario_of_text,
    seeds_of,
)
from core.errors import ConfigError
from core.scenario.draws import Draw

GOOD = """
scenario: good
duration: 2min
parameters: {n: 4, latency: 50ms}
nodes:
  - {group: hub}
  - {group: full, count: $n, seeds: hub, config: {peer_ban_time_s: 1h}}
links: {latency: "lognormal($latency, 0.5)"}
workload: {at: 60s, publish: {id: m1}}
expect: [reach(m1) == 1]
"""


def read(text: str, **settings: object) -> ScenarioFile:
    return scenario_of_text(text, "x.yaml", list(settings.items()))


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text).plan()
    return caught.value.problems


def test_a_good_file_is_a_plan() -> None:
    plan = read(GOOD).plan(seed=9)
    assert (plan.seed, plan.duration_s, [group.count for group in plan.nodes]) == (9, 120.0, [1, 4])
    assert plan.links.latency == Draw("lognormal", (0.05, 0.5))
    assert plan.node_names() == ["hub", "full-0", "full-1", "full-2", "full-3"]


def test_parameters_and_every_other_value_can_be_set() -> None:
    plan = read(GOOD, n=2, **{"links.jitter": "1ms", "nodes.full.region": None, "workload.at": "30s"})
    plan.tree["nodes"][1].pop("region", None)
    with pytest.raises(ConfigError, match=r"--set nodes\.full\.region"):
        plan.plan()
    chosen = read(GOOD, n=2, **{"links.jitter": "1ms", "nodes[1].start": "5s"}).plan()
    assert chosen.nodes[1].count == 2
    assert chosen.nodes[1].start.at_s == 5.0
    assert chosen.links.jitter == Draw("constant", (0.001,))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("duration: 2min", "duration: 2", "x.yaml:3:1: duration: expected a duration with its unit"),
        ("duration", "durations", "x.yaml:3:1: durations: unknown key; did you mean duration?"),
        ("seeds: hub", "seeds: hubb",
         "x.yaml:7:30: nodes[1].seeds: there is no group or node called 'hubb'; did"),
        ("peer_ban_time_s", "peer_ban_tim_s", "unknown option; did you mean peer_ban_time_s"),
        ("$n", "$m", "x.yaml:7:19: nodes[1].count: there is no parameter called 'm'"),
        ("count: $n", "count: 0", "x.yaml:7:19: nodes[1].count: expected a whole number from 1 to 20,000, got 0"),
        ("lognormal", "lognormals", "x.yaml:8:9: links.latency: unknown distribution lognormals; did"),
        ("publish", "publsh", "x.yaml:9:1: workload: expected one of"),
        ("reach(m1)", "reech(m1)", "x.yaml:10:10: expect[0]: there is no measure called 'reech'; did you mean reach?"),
        ("reach(m1) ==", "reach(m1) =", "x.yaml:10:10: expect[0]: expected a number, a measure or an operator"),
        ("reach(m1) == 1", "'reach(1, 2, 3)'", "x.yaml:10:10: expect[0]: reach: too many positional arguments"),
        ("group: full", "group: hub", "x.yaml:7:6: nodes[1].group: the name 'hub' is taken"),
        ("group: full", "group: all", "x.yaml:7:6: nodes[1].group: the name 'all' is taken: it is reserved"),
        ("1h", "1parsec", "nodes[1].config.peer_ban_time_s: expected a duration"),
        ("config: {", "config: {seed_peers: [], ", "the laboratory sets it; use the group's key 'seeds'"),
        ("seeds: hub", "seeds: hub, region: eu", "x.yaml:7:42: nodes[1].region: links have no regions"),
        ("expect: [", "expect: [{eventually: 1, within: 1s, after: splt}, ", "no entry of the timeline has the id"),
        ("expect: [", "expect: [{anchor: nothing-like-it, of: reach}, ", "expect[0].anchor: there is no anchor called"),
        ("expect: [", "expect: [{value: reach}, ", "expect[0]: expected one of within, equals, or min and max"),
        ("expect:", "attackers: {name: a, kind: nobody}\nexpect:", "there is no kind of attacker called 'nobody'"),
        ("expect:", "attackers: {name: a, kind: eclipse, victim: hubb}\nexpect:",
         "attackers.victim: there is no group or node called 'hubb'; did you mean hub?"),
        ("expect: [", "expect: [outbound(fulll).min > 0, ", "no group or node called 'fulll'; did you mean full?"),
        ("expect: [", "expect: ['outbound_held(hub, foe).mean < 1', ", "there is no attacker 'foe'; there are none"),
        ("scenario: good\n", "", "expected a scenario: a mapping with the keys scenario, duration"),
        ("scenario: good", "scenario: [", "not valid YAML"),
        ("at: 60s", "at: 60s, every: 5s", "expected one of at, every, between, when"),
        ("at: 60s", "at: 60s, for: 5s", "workload.for: publish cannot be undone"),
        ("parameters: {", "parameters: {1x: 3, ", "expected a mapping of names to values"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, problem: str) -> None:
    assert GOOD.count(old) >= 1
    told = "\n".join(problems(GOOD.replace(old, new, 1)))
    assert any(choice in told for choice in problem.split("|")), told


def test_all_problems_are_told_at_once() -> None:
    assert (
        len(problems(GOOD.replace("hub, config", "hubb, config").replace("reach(m1) == 1", "reach(m1) == no(), x")))
        == 3
    )


def test_a_sweep_has_a_point_for_each_combination() -> None:
    file = read(GOOD + "sweep: {n: [2, 4], links.latency: [10ms, 20ms, 30ms]}\n")
    points = file.points()
    assert len(points) == 6
    assert points[1].label == "n=2, links.latency=20ms"
    assert points[1].as_arguments() == ["--set", "n=2", "--set", "links.latency=20ms"]
    plan = file.plan(point=points[5])
    assert (plan.nodes[1].count, plan.links.latency.parameters) == (4, (0.03,))
    file.assignments.append(("n", 3))
    assert len(file.points()) == 3, "what the command line sets is not swept"
    for wrong in ("sweep: [1]", "sweep: {n: 3}", f"sweep: {{n: {list(range(200))}, m: {list(range(200))}}}"):
        with pytest.raises(ConfigError, match="sweep"):
            read(f"{GOOD}{wrong}\n").points()


def test_the_seed_draws_values_the_same_for_the_same_seed() -> None:
    text = (
        GOOD.replace("{n: 4,", "{")
        + "draw: {n: [2, 3, 4, 5, 6, 7, 8, 9], start: 'uniform(1s, 9s)', x: 'uniform(0, 1)'}\n"
    )
    text = text.replace("seeds: hub", "seeds: hub, start: $start")
    plans = [read(text).plan(seed=seed).nodes[1] for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    assert 1.0 <= plans[0].start.at_s <= 9.0


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read_scenario(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is a directory"):
        read_scenario(tmp_path)
    (tmp_path / "list.yaml").write_text("- 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"list\.yaml:1:1: expected a scenario"):
        read_scenario(tmp_path / "list.yaml")


def test_the_hash_is_of_what_is_said_and_not_of_how() -> None:
    plain = read("scenario: a\nduration: 1s\n").config_hash()
    assert (
        plain
        == read("{duration: 1s, scenario: a}").config_hash()
        == read("# hello\nscenario: a\nduration: 1s").config_hash()
    )
    assert plain != read("scenario: a\nduration: 2s\n").config_hash()
    assert plain != read("scenario: a\nduration: 1s\n", n=1).config_hash()


def test_assignments_and_seeds_of_a_command_line() -> None:
    assert assignment("a.b=80ms") == ("a.b", "80ms")
    assert assignment("n=[1, 2]") == ("n", [1, 2])
    assert seeds_of("1..3,7") == [1, 2, 3, 7]
    for wrong in ("a", "=3", "a=[", "a={b: !x 1}"):
        with pytest.raises(ValueError, match=r"expected NAME=VALUE|cannot be read"):
            assignment(wrong)
    for wrong in ("", "a..b", "3..1", "1..9999999", "-1"):
        with pytest.raises(ValueError, match="expected"):
            seeds_of(wrong)


def test_a_program_can_hold_a_scenario() -> None:
    plan = scenario_of_mapping({"scenario": "x", "duration": "1s", "nodes": [{"group": "a"}]}).plan()
    assert plan.seed == 1
    assert Point().label == ""
