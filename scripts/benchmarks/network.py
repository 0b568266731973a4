"""Node to node over loopback: Ensemble beside real lisk-p2p nodes, and beside py-libp2p, in one run.

Each pair of nodes lives in two processes, each bound to a core of its own where there are two: a sender, which dials,
and a receiver.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol, Self

from scripts.benchmarks.ensemble_process import EnsembleNode, NativeNode, SleepyNode
from scripts.benchmarks.lisk_process import LiskProcess
from scripts.benchmarks.rounds import Figures, Measure, Progress, Result, alternate, cores


class Node(Protocol):
    """What every kind of node can do here; see :class:`scripts.benchmarks.ensemble_process.EnsembleNode`."""

    peer_id: str

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def wait_connected(self, count: int = 1) -> None: ...
    def start_counting(self, event: str, expected: int) -> None: ...
    def counted_at(self, event: str) -> float: ...
    def flood(self, event: str, count: int, size: int, peer_id: str | None) -> float: ...
    def rpc_flood(self, peer_id: str, count: int, size: int, in_flight: int) -> dict[str, float]: ...
    def usage(self) -> dict[str, float]: ...


Maker = Callable[[list[str], int | None], Node]

REFERENCE = "lisk-p2p to lisk-p2p"
PAIRS: dict[str, tuple[Maker, Maker]] = {
    REFERENCE: (LiskProcess, LiskProcess),
    "Ensemble to Ensemble, native": (NativeNode, NativeNode),
    "native, busy_poll_s 0": (SleepyNode, SleepyNode),
    "Ensemble to Ensemble, lisk-0.10": (EnsembleNode, EnsembleNode),
    "Ensemble to lisk-p2p": (EnsembleNode, LiskProcess),
    "lisk-p2p to Ensemble": (LiskProcess, EnsembleNode),
}
"""Sender (it dials) and receiver of each pair."""

ONE_WAY = {"one-way 32 B": (32, 1.0), "one-way 1 KB": (1024, 0.5), "one-way 64 KB": (65536, 0.02)}
"""Size in bytes, and the share of the base count that is sent."""

MEASURES = {
    "one-way 32 B": Measure("messages/s", True),
    "one-way 1 KB": Measure("messages/s", True),
    "one-way 64 KB": Measure("messages/s", True),
    "requests, 64 in flight": Measure("requests/s", True),
    "one request, p50": Measure("ms", False),
    "one request, p99": Measure("ms", False),
    "CPU of the sender, one-way 32 B": Measure("us", False),
    "CPU of the receiver, one-way 32 B": Measure("us", False),
    "CPU of both, a request of 64": Measure("us", False),
    "CPU of both, a single request": Measure("us", False),
}


def measure_pair(make_sender: Maker, make_receiver: Maker, base_count: int) -> Figures:
    """All measures for one pair of nodes, made and ended here."""
    first, second = cores()
    with make_receiver([], second) as receiver, make_sender([receiver.peer_id], first) as sender:
        sender.wait_connected()
        one_way(sender, receiver, "warm-up", 32, max(100, base_count // 10))
        return {**_one_ways(sender, receiver, base_count), **_requests(sender, receiver, base_count)}


def _one_ways(sender: Node, receiver: Node, base_count: int) -> Figures:
    result: Figures = {}
    for name, (size, share) in ONE_WAY.items():
        count = max(50, int(base_count * share))
        before = sender.usage()["cpu_s"], receiver.usage()["cpu_s"]
        result[name] = one_way(sender, receiver, name, size, count)
        if size == 32:
            result["CPU of the sender, one-way 32 B"] = (sender.usage()["cpu_s"] - before[0]) / count * 1e6
            result["CPU of the receiver, one-way 32 B"] = (receiver.usage()["cpu_s"] - before[1]) / count * 1e6
    return result


def _requests(sender: Node, receiver: Node, base_count: int) -> Figures:
    count, few = max(100, base_count // 2), max(100, base_count // 20)
    before = sender.usage()["cpu_s"] + receiver.usage()["cpu_s"]
    many = sender.rpc_flood(receiver.peer_id, count, 32, 64)
    between = sender.usage()["cpu_s"] + receiver.usage()["cpu_s"]
    single = sender.rpc_flood(receiver.peer_id, few, 32, 1)
    after = sender.usage()["cpu_s"] + receiver.usage()["cpu_s"]
    return {
        "requests, 64 in flight": count / many["elapsed"],
        "one request, p50": single["p50"] * 1e3,
        "one request, p99": single["p99"] * 1e3,
        "CPU of both, a request of 64": (between - before) / count * 1e6,
        "CPU of both, a single request": (after - between) / few * 1e6,
    }


def one_way(sender: Node, receiver: Node, event: str, size: int, count: int) -> float:
    """Messages per second from the first send to the last arrival."""
    receiver.start_counting(event, count)
    started_at = sender.flood(event, count, size, receiver.peer_id)
    return count / (receiver.counted_at(event) - started_at)


def run(rounds: int, base_count: int, progress: Progress, rival: Maker | None, *, first: int | None = None) -> Result:
    """The ``first`` so many pairs (None: all), and the rival with itself if there is one."""
    pairs = dict(list(PAIRS.items())[:first])
    if rival is not None:
        pairs["py-libp2p to py-libp2p"] = (rival, rival)
    contestants = {
        # The rival needs milliseconds where the others need microseconds: a twentieth of the messages will do.
        name: functools.partial(measure_pair, *pair, base_count // 20 if pair[0] is rival else base_count)
        for name, pair in pairs.items()
    }
    return Result("Node to node", MEASURES, alternate(contestants, rounds, progress))
