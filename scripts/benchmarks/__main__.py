"""``scripts/bench``: everything, or some subjects, as a table for the terminal, Markdown, JSON and a picture."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from scripts.benchmarks import actors, book, fanout, libp2p_process, network, processes, simulation, trickle
from scripts.benchmarks.network import Maker
from scripts.benchmarks.picture import picture
from scripts.benchmarks.rounds import Result
from scripts.benchmarks.summary import budget_table, judged, markdown, summarise, table

SUBJECTS = ("network", "peers", "trickle", "processes", "actors", "book", "simulation")
QUICK_COUNT = 400
QUICK_ACTOR_MESSAGES = 2000


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("subjects", nargs="*", help=f"what to measure: {', '.join(SUBJECTS)} (all of them)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each subject (5)")
    parser.add_argument("--count", type=int, default=20_000, help="one-way messages of 32 B in a round (20000)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one short round of lisk-p2p and one Ensemble: shows that it works, not how fast",
    )
    parser.add_argument("--no-libp2p", action="store_true", help="leave py-libp2p out")
    parser.add_argument("--json", type=Path, help="write all figures to this file as well")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file, as docs/performance.md has them")
    parser.add_argument("--svg", type=Path, help="draw the ratios into this file")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.count = 1, QUICK_COUNT
    subjects = options.subjects or list(SUBJECTS)
    unknown = sorted(set(subjects) - set(SUBJECTS))
    if unknown or options.rounds < 1 or options.count < QUICK_COUNT:
        parser.error(
            f"no such subject: {', '.join(unknown)}" if unknown else f"at least 1 round of {QUICK_COUNT} messages"
        )
    started = time.monotonic()
    result = {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0)), **measure(subjects, options)}
    say(f"done in {time.monotonic() - started:.0f} s; load average now {os.getloadavg()[0]:.1f}")
    write(result, options)
    return 1 if result["failed"] else 0


def measure(subjects: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """The summary of each subject, under its name; printed as soon as it is there.

    A subject that fails does not take the others' figures along: ``failed`` tells why it is missing.
    """
    result: dict[str, Any] = {"failed": {}}
    for subject in subjects:
        try:
            result[subject], text = measure_subject(subject, options, result)
        except Exception as error:  # of a node, its process or its driver: whatever ends a subject, the next may do
            result["failed"][subject] = repr(error)
            traceback.print_exc()
            text = f"{subject} failed: {error!r}"
        print(f"{text}\n", flush=True)
    result["budgets"] = judged({name: result[name] for name in ("network", "peers") if name in result})
    if result["budgets"]:
        print(budget_table(result["budgets"]))
    return result


def measure_subject(subject: str, options: argparse.Namespace, notes: dict[str, Any]) -> tuple[Any, str]:
    """The summary for programs, and the table for people."""
    if subject == "actors":
        found = actors.run(options.rounds, QUICK_ACTOR_MESSAGES if options.quick else 200_000, say)
        return found, actors.table(found)
    if subject == "book":
        times = book.run(quick=options.quick)
        return times, book.table(times)
    if subject == "trickle":
        shares = trickle.run(say, quick=options.quick)
        return shares, trickle.table(shares)
    if subject == "simulation":
        sizes = simulation.run_all(say, quick=options.quick)
        return sizes, simulation.table(sizes)
    if subject == "processes":
        systems = processes.as_json(processes.run(options.rounds, say, quick=options.quick))
        return systems, processes.table(systems)
    summary = summarise(compare(subject, options, notes))
    return summary, table(summary)


def compare(subject: str, options: argparse.Namespace, notes: dict[str, Any]) -> Result:
    """One of the subjects in which nodes of several kinds take part."""
    first = 2 if options.quick else None
    if subject == "peers":
        return fanout.run(options.rounds, options.count, say, first=first)
    rival: Maker | None = None
    if not (options.no_libp2p or options.quick):
        try:
            rival = libp2p_process.maker()
        except libp2p_process.Unavailable as error:
            notes["libp2p"] = str(error)
            print(f"py-libp2p is missing from what follows: {error}")
    return network.run(options.rounds, options.count, say, rival, first=first)


def write(result: dict[str, Any], options: argparse.Namespace) -> None:
    """The files that were asked for."""
    compared = [result[name] for name in ("network", "peers") if name in result]
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.svg is not None:
        options.svg.write_text(picture(compared))
    if options.markdown is not None:
        parts = [f"## {summary['title']}\n\n{markdown(summary)}" for summary in compared]
        parts += [f"The subject `{subject}` failed: {error}" for subject, error in result["failed"].items()]
        if "libp2p" in result:
            parts.append(f"py-libp2p is missing: {result['libp2p']}")
        if result["budgets"]:
            parts.append(f"## Budgets\n\n{budget_table(result['budgets'])}")
        if "trickle" in result:
            parts.append(f"## What a trickle costs\n\n{trickle.markdown(result['trickle'])}")
        if "processes" in result:
            parts.append(f"## In processes\n\n```text\n{processes.table(result['processes'])}\n```")
        if "actors" in result:
            parts.append(f"## Actor to actor\n\n{actors.markdown(result['actors'])}")
        if "book" in result:
            parts.append(f"## The peer book\n\n{book.markdown(result['book'])}")
        options.markdown.write_text("\n\n".join(parts) + "\n")


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(f"[bench] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
