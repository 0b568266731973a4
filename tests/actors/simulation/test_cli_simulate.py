"""``ensemble simulate`` from the command line: exit codes, tables, files, sweeps, complaints."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from actors.cli import main

SMALL = """
scenario: small
about: Four nodes & a <message>.
duration: 20s
parameters: {size: 1KB, seen: 1}
nodes:
  - {group: hub}
  - {group: full, count: 3, seeds: hub}
watch: hub
probes: {name: share, value: reach(hello)}
workload: {at: 15s, publish: {id: hello, from: hub, size: $size}}
timeline: {at: 16s, ban: {on: hub, nodes: full-1}}
invariants: {honest_bans: off}
expect:
  - {value: reach(hello), equals: $seen}
  - {mean: hops(hello).mean, within: [1, 0]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def run(*arguments: object) -> int:
    return main(["simulate", *map(str, arguments)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_run_prints_a_table_and_writes_every_file(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(file, "--seed", 7, "--out", out) == 0
    printed = capsys.readouterr()
    assert "small, seed 7: 4 nodes, 20 s of virtual time" in printed.out
    assert re.search(r"reach\(hello\) +=? ?1 +1 +holds", printed.out)
    digest = re.search(r"digest ([0-9a-f]{64})", printed.out)
    assert digest is not None
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["digests"] == [digest[1]]
    assert manifest["seeds"] == [7]
    assert (out / "replay.txt").read_text() == f"ensemble simulate {file} --seed 7\n"
    assert {"python", "thespian", "websockets"} <= set(manifest["versions"])
    messages = rows(out / "messages.csv")
    assert {row["node"] for row in messages} == {"hub", "full-0", "full-1", "full-2"}
    assert {row["hops"] for row in messages} == {"0", "1"}
    assert [(row["node"], row["reason"]) for row in rows(out / "bans.csv")] == [("hub", "banned by the scenario")]
    edges = rows(out / "edges.csv")
    assert {"opened", "closed"} == {row["what"] for row in edges}
    assert {row["peer_name"] for row in edges if row["node"] == "hub"} == {"full-0", "full-1", "full-2"}
    assert {row["metric"] for row in rows(out / "metrics.csv")} >= {"running nodes", "outbound per node", "share"}
    assert {row["place"] for row in rows(out / "holders.csv")} >= {"inbound", "new"}
    summary = json.loads((out / "summary.json").read_text())
    assert summary[0]["runs"][0]["metrics"]["reach"] == 1.0
    assert summary[0]["runs"][0]["detail"] is None
    look_at(out / "report.html", "Four nodes &amp; a &lt;message&gt;", "Reach over time", "Inbound slots of hub")


def look_at(page: Path, *expected: str) -> None:
    """A page holds all it needs: its charts are well-formed, nothing is fetched, nothing is a script."""
    text = page.read_text(encoding="utf-8")
    for what in expected:
        assert what in text
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", text)
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert charts
    for chart in charts:
        ElementTree.fromstring(chart)
        assert "nan" not in chart
        assert "inf" not in chart.replace("inform", "")


def test_an_expectation_that_fails_is_exit_code_1_and_says_how_to_replay(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "--set", "seen=0.5", "--no-out", "--quiet") == 1
    printed = capsys.readouterr().out
    assert "FAILS" in printed
    assert f"replay: ensemble simulate {file} --seed 1 --set seen=0.5" in printed


def test_a_sweep_over_values_and_seeds_in_processes(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(SMALL + "sweep: {nodes.full.count: [2, 3]}\n", encoding="utf-8")
    out = tmp_path / "out"
    assert run(file, "--seeds", "1..2", "--jobs", 2, "--out", out, "--set", "seen=[1]") == 2
    assert "equals: expected a number" in capsys.readouterr().err
    assert run(file, "--seeds", "1..2", "--jobs", 2, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "small (nodes.full.count=3): 2 runs" in printed
    found = rows(out / "runs.csv")
    assert [(row["nodes.full.count"], row["seed"]) for row in found] == [("2", "1"), ("2", "2"), ("3", "1"), ("3", "2")]
    assert len({row["digest"] for row in found}) == 4
    look_at(out / "report.html", "nodes.full.count=2", "Figures over all runs", "expectations that fail")
    again = tmp_path / "again"
    assert run(file, "--seed", 2, "--set", "nodes.full.count=3", "--out", again, "--quiet") == 0
    assert json.loads((again / "manifest.json").read_text())["digests"] == [found[3]["digest"]], "in another process"


def test_json_for_programs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--json", "--no-out", "--quiet") == 0
    (point,) = json.loads(capsys.readouterr().out)
    assert point["runs"][0]["verdicts"][0]["holds"] is True


def test_determinism_is_checked_here_and_in_other_processes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--check-determinism", "--seed", 3) == 0
    printed = capsys.readouterr().out
    assert printed.count("the same") == 2
    assert re.search(r"digest [0-9a-f]{64}", printed)


def test_a_plan_is_explained(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--explain") == 0
    printed = capsys.readouterr().out
    assert "small: 4 nodes for 20 s" in printed
    assert "at 15 s" in printed


def test_the_vocabulary_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    assert "propagation(message): seconds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.yaml"], "none.yaml: there is no such file"),
        ([], "expected a scenario file"),
        (["FILE", "--seed", "1", "--seeds", "1..2"], "expected one of --seed and --seeds"),
        (["FILE", "--seeds", "x"], "--seeds: expected seeds as 1..50"),
        (["FILE", "--set", "nodes.full.cuont=3"], "cuont: unknown key; did you mean count?"),
        (["FILE", "--set", "durations=3s"], "neither a parameter nor a key of the file; did you mean duration?"),
        (["FILE", "--set", "nodes.fuller.count=3"], "nodes has no entry 'fuller'"),
    ],
)
def test_wrong_input_is_exit_code_2(
    file: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*[str(file) if argument == "FILE" else argument for argument in arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_directory_that_cannot_be_written_is_said(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    assert run(file, "--out", tmp_path / "taken", "--quiet") == 1
    assert "results cannot be written" in capsys.readouterr().err
