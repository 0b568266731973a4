"""``scripts/bench``: everything, or some subjects, with a table for people and JSON for programs."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from scripts import bench_actors
from scripts.benchmarks import book, network
from scripts.benchmarks.summary import table

SUBJECTS = ("actors", "book", "network")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("subjects", nargs="*", help=f"what to measure: {', '.join(SUBJECTS)} (all of them)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the network subject (5)")
    parser.add_argument("--count", type=int, default=20_000, help="one-way messages of 32 B in a round (20000)")
    parser.add_argument("--json", type=Path, help="write all figures to this file as well")
    options = parser.parse_args()
    subjects = options.subjects or list(SUBJECTS)
    unknown = sorted(set(subjects) - set(SUBJECTS))
    if unknown or options.rounds < 1 or options.count < 1000:
        parser.error(f"no such subject: {', '.join(unknown)}" if unknown else "at least 1 round of 1000 messages")
    result: dict[str, Any] = {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0))}
    started = time.monotonic()
    for subject in subjects:
        result[subject] = _measure(subject, options)
    say(f"done in {time.monotonic() - started:.0f} s; load average now {os.getloadavg()[0]:.1f}")
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def _measure(subject: str, options: argparse.Namespace) -> Any:
    if subject == "actors":
        figures = bench_actors.run(progress=say)
        print(bench_actors.table(figures))
        return figures
    if subject == "book":
        times = book.run()
        print(book.table(times))
        return times
    summary = network.as_json(network.run(options.rounds, options.count, say))
    print(table(summary))
    return summary


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(f"[bench] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
