"""One short round of the benchmark: every row yields a figure. No time is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.benchmarks import fanout, network

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.interop
@pytest.mark.slow
def test_a_quick_run_yields_every_figure(tmp_path: Path) -> None:
    files = {kind: tmp_path / f"bench.{kind}" for kind in ("json", "markdown", "svg")}
    arguments = [text for kind, path in files.items() for text in (f"--{kind}", str(path))]
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmarks", "network", "peers", "--quick", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(files["json"].read_text())
    for subject, measures in (("network", network.MEASURES), ("peers", fanout.MEASURES)):
        contestants = found[subject]["contestants"]
        assert len(contestants) == 2
        for figures in contestants.values():
            assert set(figures) == set(measures)
            assert all(row["median"] > 0 for row in figures.values())
    assert files["markdown"].read_text().count("\n| ") >= len(network.MEASURES) + len(fanout.MEASURES)
    ElementTree.parse(files["svg"])
