"""What two nodes use of a processor while little or nothing happens, and what looking before sleeping adds to it.

Real seconds are measured: CPU time of sender and receiver as a share of one processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from scripts.benchmarks.ensemble_process import NativeNode, SleepyNode
from scripts.benchmarks.rounds import Progress, cores

SECONDS = 3.0
RATES = (10, 100, 1000)
KINDS = ("messages", "requests")
IDLE = "idle"

Maker = Callable[[list[str], int | None], NativeNode]
CONTESTANTS: dict[str, Maker] = {"by default": NativeNode, "busy_poll_s 0": SleepyNode}

Shares = dict[str, dict[str, dict[str, float]]]
"""By row (``idle``, ``messages, 10/s``, ...), contestant, and side (``sender``, ``receiver``): of one processor."""


def run(progress: Progress, *, quick: bool = False) -> Shares:
    """Measure every contestant in every row."""
    result: Shares = {}
    for name, make in CONTESTANTS.items():
        progress(f"trickle: {name}")
        for row, shares in _measure(make, 0.3 if quick else SECONDS).items():
            result.setdefault(row, {})[name] = shares
    return result


def _measure(make: Maker, seconds: float) -> dict[str, dict[str, float]]:
    first, second = cores()
    rows: dict[str, dict[str, float]] = {}
    with make([], second) as receiver, make([receiver.peer_id], first) as sender:
        sender.wait_connected()
        time.sleep(seconds / 3)  # the introduction is over

        def share_of(work: Callable[[], None]) -> dict[str, float]:
            before, began = (sender.usage()["cpu_s"], receiver.usage()["cpu_s"]), time.monotonic()
            work()
            after, took_s = (sender.usage()["cpu_s"], receiver.usage()["cpu_s"]), time.monotonic() - began
            return {"sender": (after[0] - before[0]) / took_s, "receiver": (after[1] - before[1]) / took_s}

        rows[IDLE] = share_of(lambda: time.sleep(seconds))
        for kind in KINDS:
            for per_s in RATES:
                rows[f"{kind}, {per_s}/s"] = share_of(
                    lambda kind=kind, per_s=per_s: sender.trickle(receiver.peer_id, kind, per_s, seconds)  # type: ignore[misc]
                )
    return rows


def table(result: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """A line for each row, in percent of one processor: sender and receiver of each contestant."""
    lines = [f"{'CPU, % of one':<20}" + "".join(f"{name + ', sender / receiver':>36}" for name in CONTESTANTS)]
    for row, shares in result.items():
        cells = "".join(f"{_cell(shares[name]):>36}" for name in CONTESTANTS)
        lines.append(f"{row:<20}{cells}")
    return "\n".join(lines)


def markdown(result: Mapping[str, Any]) -> str:
    """The same for docs/performance.md."""
    lines = [
        "| CPU of sender / receiver, % of one processor | " + " | ".join(CONTESTANTS) + " |",
        "|---" * (len(CONTESTANTS) + 1) + "|",
    ]
    lines += [
        f"| {row} | {' | '.join(_cell(shares[name]) for name in CONTESTANTS)} |" for row, shares in result.items()
    ]
    return "\n".join(lines)


def _cell(shares: Mapping[str, float]) -> str:
    return f"{shares['sender'] * 100:.1f} / {shares['receiver'] * 100:.1f}"
