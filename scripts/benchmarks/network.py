"""Node to node over loopback: Ensemble beside real lisk-p2p nodes, in one run.

Each pair of nodes lives in two processes, each bound to a core of its own where there are two. Every round measures
every pair once, in turn, so that a change of the machine's speed hits all alike; reported are the medians over the
rounds with lowest and highest, and the median of the ratios *within* a round. The first pair is the reference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from scripts.benchmarks.ensemble_process import EnsembleNode
from scripts.benchmarks.lisk_process import LiskProcess

Node = EnsembleNode | LiskProcess
Maker = Callable[[list[str], int | None], Node]

REFERENCE = "lisk-p2p to lisk-p2p"
PAIRS: dict[str, tuple[Maker, Maker]] = {
    REFERENCE: (LiskProcess, LiskProcess),
    "Ensemble to Ensemble": (EnsembleNode, EnsembleNode),
    "Ensemble to lisk-p2p": (EnsembleNode, LiskProcess),
    "lisk-p2p to Ensemble": (LiskProcess, EnsembleNode),
}
"""Sender (it dials) and receiver of each pair."""

MEASURES = {
    "one-way 32 B": "messages/s",
    "one-way 1 KB": "messages/s",
    "one-way 64 KB": "messages/s",
    "requests, 64 in flight": "requests/s",
    "one request, p50": "ms",
    "one request, p99": "ms",
    "CPU per one-way message": "us",
}
ONE_WAY = {"one-way 32 B": (32, 1.0), "one-way 1 KB": (1024, 0.5), "one-way 64 KB": (65536, 0.02)}
"""Size in bytes, and the share of the base count that is sent."""


def measure_pair(make_sender: Maker, make_receiver: Maker, base_count: int) -> dict[str, float]:
    """All measures for one pair of nodes, made and ended here."""
    cores = sorted(os.sched_getaffinity(0))
    first, second = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    result: dict[str, float] = {}
    with make_receiver([], second) as receiver, make_sender([receiver.peer_id], first) as sender:
        sender.wait_connected()
        _one_way(sender, receiver, "warm-up", 32, base_count // 10)
        for name, (size, share) in ONE_WAY.items():
            count = max(100, int(base_count * share))
            before = sender.usage()["cpu_s"] + receiver.usage()["cpu_s"]
            result[name] = _one_way(sender, receiver, name, size, count)
            if size == 32:
                spent = sender.usage()["cpu_s"] + receiver.usage()["cpu_s"] - before
                result["CPU per one-way message"] = spent / count * 1e6
        many = sender.rpc_flood(receiver.peer_id, base_count // 2, 32, 64)
        result["requests, 64 in flight"] = (base_count // 2) / many["elapsed"]
        single = sender.rpc_flood(receiver.peer_id, max(200, base_count // 20), 32, 1)
        result["one request, p50"] = single["p50"] * 1e3
        result["one request, p99"] = single["p99"] * 1e3
    return result


def _one_way(sender: Node, receiver: Node, event: str, size: int, count: int) -> float:
    """Messages per second from the first send to the last arrival."""
    receiver.start_counting(event, count)
    started_at = sender.flood(event, count, size, receiver.peer_id)
    return count / (receiver.counted_at(event) - started_at)


def run(rounds: int, base_count: int, progress: Callable[[str], None]) -> dict[str, list[dict[str, float]]]:
    """The measures of every pair, one dictionary a round."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in PAIRS}
    for number in range(1, rounds + 1):
        for name, (make_sender, make_receiver) in PAIRS.items():
            progress(f"round {number} of {rounds}: {name}")
            results[name].append(measure_pair(make_sender, make_receiver, base_count))
    return results


def as_json(results: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians, extremes and ratios, for programs."""
    from scripts.benchmarks.summary import ratios, spread

    return {
        pair: {
            measure: {
                "unit": unit,
                **spread([entry[measure] for entry in rounds]),
                "ratio_to_lisk": spread(ratios(results[REFERENCE], rounds, measure)),
            }
            for measure, unit in MEASURES.items()
        }
        for pair, rounds in results.items()
    }
