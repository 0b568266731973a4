"""The peer book with both tables full, beside lisk-p2p's own PeerBook in the same run."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

from scripts.benchmarks import book_times

ROUNDS = 5
BATCH = 200
TIME_LIMIT_S = 120
DRIVER = Path(__file__).resolve().parents[2] / "tests" / "interop" / "driver"


def run(*, quick: bool = False) -> dict[str, dict[str, Any]]:
    """Microseconds for each operation: ours, and lisk-p2p's where it has the same one and npm has installed it."""
    timed = book_times.run(1 if quick else book_times.ROUNDS)
    ours: dict[str, dict[str, Any]] = {name: dict(figures) for name, figures in timed.items()}
    for name, values in lisk_book(1 if quick else ROUNDS).items():
        ours[name]["lisk_us"] = statistics.median(values)
    return ours


def lisk_book(rounds: int) -> dict[str, list[float]]:
    """lisk-p2p's microseconds, one value a round; empty where Node.js or the package is missing."""
    node = shutil.which("node")
    if node is None or not (DRIVER / "node_modules" / "@liskhq" / "lisk-p2p").is_dir():
        return {}
    script = Path(__file__).with_name("lisk_book.js")
    done = subprocess.run(
        [node, str(script), str(rounds), str(BATCH)],
        cwd=DRIVER,
        check=True,
        capture_output=True,
        timeout=TIME_LIMIT_S,
    )
    figures: dict[str, list[float]] = json.loads(done.stdout)
    return figures


def table(results: dict[str, dict[str, Any]]) -> str:
    """One row for each operation."""
    lines = [f"{'operation, us':<38}{'median':>10}{'min':>9}{'max':>9}{'lisk-p2p':>11}{'ratio':>8}"]
    for name, figures in results.items():
        lisk = figures.get("lisk_us")
        beside = f"{lisk:>11.1f}{figures['us'] / lisk:>8.2f}" if lisk else ""
        lines.append(f"{name:<38}{figures['us']:>10.2f}{figures['us_min']:>9.2f}{figures['us_max']:>9.2f}{beside}")
    return "\n".join(lines)


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """The same for docs/performance.md."""
    lines = [
        "| operation, both tables full, us | median | lowest to highest | lisk-p2p's PeerBook |",
        "|---|---|---|---|",
    ]
    for name, figures in results.items():
        beside = f"{figures['lisk_us']:.1f}" if "lisk_us" in figures else "-"
        reach = f"{figures['us_min']:.1f} to {figures['us_max']:.1f}"
        lines.append(f"| {name.replace('_', ' ')} | {figures['us']:.1f} | {reach} | {beside} |")
    return "\n".join(lines)
