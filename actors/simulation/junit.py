"""Expectations and validations as JUnit's XML, the form in which continuous integration reads test results.

One suite for each combination of a sweep, one case for each expectation of each run, and for those that are judged over
all runs. What failed says what was expected, what was measured, and the command that does it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from actors.simulation.results import PointResult, RunResult
from actors.simulation.tables import figure
from core.errors import EnsembleError
from core.scenario.judging import Check

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may have (section 2.2)."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test case. ``failure``: why it failed, empty if it did not; ``is_error``: the run itself went wrong."""

    suite: str
    name: str
    time_s: float = 0.0
    failure: str = ""
    is_error: bool = False


def cases_of(points: Iterable[PointResult]) -> Iterator[Case]:
    """Every expectation of every run, and that the run came to its end."""
    for point in points:
        settings = ", ".join(f"{name}={value}" for name, value in point.settings)
        for run in point.runs:
            yield from _of_run(run, f"{run.scenario} ({settings})" if settings else run.scenario)
        judged_alone = {verdict.label for run in point.runs for verdict in run.verdicts if verdict.holds is not None}
        for verdict in point.verdicts:
            if verdict.label not in judged_alone:
                text = "" if verdict.holds else f"expected {verdict.expected}, measured {figure(verdict.measured)}"
                name = point.runs[0].scenario if point.runs else ""
                yield Case(f"{name} ({settings})" if settings else name, f"{verdict.label}, over all runs", 0.0, text)


def _of_run(run: RunResult, suite: str) -> Iterator[Case]:
    again = f"\nreplay: {run.replay}" if run.replay else ""
    failure = f"{run.failure}{again}" if run.failure else ""
    yield Case(suite, f"seed {run.seed}: the run", run.wall_s, failure, is_error=True)
    for verdict in run.verdicts:
        if verdict.holds is None:
            continue
        detail = f" ({verdict.detail})" if verdict.detail else ""
        text = f"expected {verdict.expected}, measured {figure(verdict.measured)}{detail}{again}"
        yield Case(suite, f"seed {run.seed}: {verdict.label}", 0.0, "" if verdict.holds else text)


def cases_of_checks(checks: Iterable[Check]) -> Iterator[Case]:
    """The figures of a validation."""
    for check in checks:
        text = f"expected {check.anchor.expected:.6g} ± {check.tolerance:.3g}, measured {check.measured:.6g}"
        failure = "" if check.holds else f"{text} in {check.runs} runs; source: {check.anchor.source}"
        yield Case("validation", check.anchor.name, 0.0, failure)


def as_xml(cases: Iterable[Case]) -> str:
    """The document."""
    suites: dict[str, list[Case]] = {}
    for case in cases:
        suites.setdefault(case.suite, []).append(case)
    root = ElementTree.Element("testsuites", name="ensemble simulate")
    for name, them in suites.items():
        root.append(_suite(name, them))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _suite(name: str, cases: Sequence[Case]) -> ElementTree.Element:
    errors = sum(bool(case.failure) and case.is_error for case in cases)
    failures = sum(bool(case.failure) for case in cases) - errors
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}
    suite = ElementTree.Element("testsuite", {"name": _clean(name), **counts})
    for case in cases:
        found = {"classname": _clean(name), "name": _clean(case.name), "time": f"{case.time_s:.3f}"}
        element = ElementTree.SubElement(suite, "testcase", found)
        if case.failure:
            kind = "error" if case.is_error else "failure"
            first = case.failure.partition("\n")[0]
            ElementTree.SubElement(element, kind, message=_clean(first)).text = _clean(case.failure)
    return suite


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def write_junit(path: Path, cases: Iterable[Case]) -> None:
    """Write the document to a file. Raises EnsembleError if that is impossible."""
    try:
        path.write_text(as_xml(cases), encoding="utf-8")
    except OSError as error:
        raise EnsembleError(f"results cannot be written to {path}: {error.strerror}") from None
