"""Results as continuous integration reads them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from actors.cli import main
from actors.simulation.junit import Case, as_xml, cases_of, cases_of_checks, write_junit
from actors.simulation.results import PointResult
from core.errors import EnsembleError
from core.scenario.judging import Anchor, Check

SCENARIO = """
scenario: small
duration: 10s
parameters: {least: 1}
nodes:
  - {group: hub}
  - {group: full, count: 2, seeds: hub}
expect:
  - {value: outbound(full).min, min: $least}
  - {mean: outbound(full).mean, min: $least}
"""


def simulated(tmp_path: Path, *arguments: str) -> tuple[int, ElementTree.Element]:
    file, target = tmp_path / "small.yaml", tmp_path / "junit.xml"
    file.write_text(SCENARIO, encoding="utf-8")
    code = main(["simulate", str(file), "--no-out", "--quiet", "--junit", str(target), *arguments])
    return code, ElementTree.parse(target).getroot()


def test_every_expectation_of_every_run_is_a_case(tmp_path: Path) -> None:
    code, root = simulated(tmp_path, "--seeds", "1..2", "--jobs", "1")
    (suite,) = root
    assert code == 0
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("errors")) == (
        "small",
        "5",
        "0",
        "0",
    )
    assert [case.get("name") for case in suite] == [
        "seed 1: the run",
        "seed 1: outbound(full).min",
        "seed 2: the run",
        "seed 2: outbound(full).min",
        "mean of outbound(full).mean, over all runs",
    ]


def test_what_fails_says_what_was_expected_and_how_to_see_it_again(tmp_path: Path) -> None:
    code, root = simulated(tmp_path, "--set", "least=9")
    (suite,) = root
    assert code == 1
    assert suite.get("failures") == "2"
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "expected >= 9, measured 1"
    assert "--set least=9" in (failure.text or "")


def test_figures_of_a_validation() -> None:
    right = Check(anchor=Anchor(name="right", expected=1.0, source="a law"), measured=1.0, runs=2)
    wrong = Check(anchor=Anchor(name="wrong", expected=1.0, source="a law"), measured=2.0, runs=2)
    root = ElementTree.fromstring(as_xml(cases_of_checks([right, wrong])))
    assert [(case.get("name"), len(case)) for case in root.iter("testcase")] == [("right", 0), ("wrong", 1)]
    assert "expected 1 ± 0, measured 2 in 2 runs; source: a law" in as_xml(cases_of_checks([wrong]))


def test_text_that_no_xml_can_have_is_replaced() -> None:
    text = as_xml([Case("a < b & c", "bell \x07", 1.0, "first\nsecond \ud800", is_error=True)])
    (suite,) = ElementTree.fromstring(text)
    assert (suite.get("name"), suite.get("errors")) == ("a < b & c", "1")
    assert suite[0].get("name") == "bell \N{REPLACEMENT CHARACTER}"
    assert suite[0][0].get("message") == "first"


def test_no_points_and_no_place_to_write(tmp_path: Path) -> None:
    assert list(cases_of([PointResult(settings=[], runs=[], metrics={}, verdicts=[], checks=[])])) == []
    with pytest.raises(EnsembleError, match="cannot be written"):
        write_junit(tmp_path / "nowhere" / "junit.xml", [])
