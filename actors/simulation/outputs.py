"""Results as files: a directory with a manifest, JSON, CSV and one page to look at."""

from __future__ import annotations

import csv
import importlib.metadata
import math
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from actors.bases.stopwatch import unix_now
from actors.simulation.results import PointResult, RunDetail, RunResult
from actors.simulation.scenario_files import ScenarioFile
from actors.simulation.sweeps import Job
from core.errors import EnsembleError
from core.scenario.judging import Check

PACKAGES = ("ensemble-p2p", "thespian", "websockets", "msgpack", "msgspec", "pyyaml")


class Manifest(msgspec.Struct, kw_only=True):
    """What ran, with which versions, and how to do it again."""

    scenario: str
    file: str
    config_sha256: str
    started_at: str
    versions: dict[str, str]
    seeds: list[int] = []
    digests: list[str] = []
    replay: list[str] = []
    wall_s: float = 0.0
    cpu_s: float = 0.0

    @classmethod
    def begin(cls, file: ScenarioFile) -> Manifest:
        """The part that is known before anything runs."""
        return cls(
            scenario=str(file.tree["scenario"]),
            file=file.origin,
            config_sha256=file.config_hash(),
            started_at=datetime.fromtimestamp(unix_now(), UTC).isoformat(timespec="seconds"),
            versions=versions(),
        )

    def end(self, results: Sequence[RunResult], wall_s: float) -> Manifest:
        """Complete, when everything has run, which took ``wall_s``."""
        return msgspec.structs.replace(
            self,
            seeds=[result.seed for result in results],
            digests=[result.digest for result in results],
            replay=[result.replay for result in results],
            wall_s=wall_s,
            cpu_s=sum(result.cpu_s for result in results),
        )


def versions() -> dict[str, str]:
    """Versions of Python, the machine, and every package that a run depends on."""
    found = {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": platform.platform(),
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "(not installed)"
    return found


def as_json(value: Any, *, indent: int = 2) -> str:
    """Results as JSON text; what is no number (NaN, infinity) is null."""
    return msgspec.json.format(msgspec.json.encode(_plain(value)), indent=indent).decode()


def _plain(value: Any) -> Any:
    return _finite(msgspec.to_builtins(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def checks_as_json(checks: Sequence[Check]) -> str:
    """The table of validations as JSON."""
    return as_json([_check(check) for check in checks])


def _check(check: Check) -> dict[str, Any]:
    return {
        "anchor": check.anchor.name,
        "quantity": check.anchor.quantity,
        "source": check.anchor.source,
        "expected": check.anchor.expected,
        "sd_of_a_run": check.anchor.sd,
        "slack": check.anchor.slack,
        "measured": check.measured,
        "runs": check.runs,
        "tolerance": check.tolerance,
        "z": check.z,
        "holds": check.holds,
    }


def write_results(directory: Path, manifest: Manifest, jobs: Sequence[Job], points: Sequence[PointResult]) -> None:
    """Write everything into a directory, which is made. Raises EnsembleError if that is impossible."""
    from actors.simulation.report import run_report, sweep_report

    runs = [run for point in points for run in point.runs]
    detail = runs[0].detail if len(runs) == 1 else None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write(directory / "manifest.json", as_json(manifest))
        _write(directory / "summary.json", as_json([without_detail(point) for point in points]))
        _write(directory / "replay.txt", "\n".join(manifest.replay))
        if detail is None:
            _write_runs(directory / "runs.csv", runs)
            page = sweep_report(manifest, jobs, points)
        else:
            _write_detail(directory, detail)
            page = run_report(manifest, jobs[0].scenario, points[0], detail)
        _write(directory / "report.html", page)
    except OSError as error:
        raise EnsembleError(f"results cannot be written to {directory}: {error.strerror}") from None


def write_validation(directory: Path, checks: Sequence[Check]) -> None:
    """Write the table of validations: JSON and a page."""
    from actors.simulation.report import validation_report

    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write(directory / "validation.json", checks_as_json(checks))
        _write(directory / "report.html", validation_report(checks, versions()))
    except OSError as error:
        raise EnsembleError(f"results cannot be written to {directory}: {error.strerror}") from None


def without_detail(point: PointResult) -> PointResult:
    """The same in short."""
    runs = [msgspec.structs.replace(run, detail=None) for run in point.runs]
    return msgspec.structs.replace(point, runs=runs)


def _write(path: Path, text: str) -> None:
    path.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")


def _rows(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def _write_runs(path: Path, runs: Sequence[RunResult]) -> None:
    names = list(dict.fromkeys(name for run in runs for name in run.metrics))
    settings = list(dict.fromkeys(name for run in runs for name, _ in run.settings))
    rows = []
    for run in runs:
        given = dict(run.settings)
        figures = [run.metrics.get(name, "") for name in names]
        chosen = [given.get(name, "") for name in settings]
        rows.append([run.seed, *chosen, run.holds, run.failure, run.digest, *figures])
    _rows(path, ["seed", *settings, "holds", "failure", "digest", *names], rows)


def _write_detail(directory: Path, detail: RunDetail) -> None:
    _rows(
        directory / "messages.csv",
        ["message", "node", "at_s", "delay_s", "from", "hops", "duplicates"],
        (
            [log.id, node, log.at_s + delay, delay, source, hops, log.copies.get(node, 0)]
            for log in detail.messages
            for node, delay, source, hops in log.arrivals
        ),
    )
    points = sorted((at_s, name, value) for name, curve in detail.series.items() for at_s, value in curve)
    _rows(directory / "metrics.csv", ["at_s", "metric", "value"], points)
    named = detail.names.get
    _rows(
        directory / "edges.csv",
        ["at_s", "node", "peer", "peer_name", "direction", "what", "code", "reason"],
        ([e.at_s, e.node, e.peer, named(e.peer, ""), e.direction, e.what, e.code, e.reason] for e in detail.edges),
    )
    _rows(directory / "bans.csv", ["at_s", "node", "ip", "until_unix_s", "reason"], detail.bans)
    _rows(
        directory / "evictions.csv",
        ["at_s", "node", "peer", "peer_name", "direction"],
        ([one.at_s, one.node, one.peer, named(one.peer, ""), one.direction] for one in detail.evictions),
    )
    _rows(directory / "story.csv", ["at_s", "text"], detail.story)
    if detail.holders:
        _rows(
            directory / "holders.csv",
            ["at_s", "node", "place", "owner", "count"],
            (
                [one.at_s, one.node, place, owner, count]
                for one in detail.holders
                for place in ("outbound", "inbound", "tried", "new")
                for owner, count in getattr(one, place).items()
            ),
        )
        _write(directory / "buckets.json", as_json(detail.buckets))
