"""One node with many peers: connections made, memory, broadcasts; beside a lisk-p2p node with the same peers.

The peers are a crowd in a process of its own (:mod:`scripts.benchmarks.crowd`), on another core, which is the same for
every node: it takes in the bytes and looks for the last message.
"""

from __future__ import annotations

import functools
import sys
import time

from scripts.benchmarks.child import Child
from scripts.benchmarks.ensemble_process import EnsembleNode, NativeNode
from scripts.benchmarks.lisk_process import LiskProcess
from scripts.benchmarks.network import Maker, Node
from scripts.benchmarks.rounds import Figures, Measure, Progress, Result, alternate, cores

NODES: dict[str, Maker] = {"lisk-p2p": LiskProcess, "Ensemble, native": NativeNode, "Ensemble, lisk-0.10": EnsembleNode}

MEASURES = {
    "start to first connection": Measure("ms", False),
    "connections": Measure("a second", True),
    "CPU of a connection": Measure("us", False),
    "memory without peers": Measure("MB", False),
    "memory, 20 inbound peers": Measure("MB", False),
    "memory, 100 inbound peers": Measure("MB", False),
    "broadcast 1 KB to 20": Measure("deliveries/s", True),
    "broadcast 1 KB to 100": Measure("deliveries/s", True),
    "CPU of a delivery, 1 KB to 20": Measure("us", False),
}
SIDE_BY_SIDE = 10
"""Connections that are being made at the same time."""


def measure_node(make: Maker, base_count: int, native: bool) -> Figures:
    """All measures for one node, made and ended here."""
    first, second = cores()
    result: Figures = {}
    command = [sys.executable, "-m", "scripts.benchmarks.crowd"]
    with make([], first) as node, Child(command, second) as crowd:
        result["start to first connection"] = _first_connection(make, node.peer_id, second)
        result["memory without peers"] = node.usage()["rss_bytes"] / 1e6
        many = max(20, base_count // 200)
        before = node.usage()["cpu_s"]
        options = {"peer_id": node.peer_id, "side_by_side": SIDE_BY_SIDE, "native": native}
        took = crowd.call("churn", count=many, **options)
        result["connections"] = many / took["elapsed"]
        result["CPU of a connection"] = (node.usage()["cpu_s"] - before) / many * 1e6
        present = 0
        for peers in (20, 100):
            crowd.call("connect", count=peers - present, **options)
            present = peers
            node.wait_connected(peers)
            result[f"memory, {peers} inbound peers"] = node.usage()["rss_bytes"] / 1e6
        # With all hundred, then with twenty: the memory above is that of a node that has sent nothing yet.
        _broadcast(node, crowd, 100, base_count // 100, result)
        crowd.call("leave", keep=20)
        _broadcast(node, crowd, 20, base_count // 20, result)
    return result


def _first_connection(make: Maker, listener: str, core: int | None) -> float:
    """From nothing to a connected node, in ms; its process starts, its node starts, it dials a listener of its kind."""
    started_at = time.monotonic()
    with make([listener], core) as node:
        node.wait_connected()
        return (time.monotonic() - started_at) * 1e3


def _broadcast(node: Node, crowd: Child, peers: int, count: int, result: Figures) -> None:
    count, marker = max(20, count), f"last-of-{peers}"
    before = node.usage()["cpu_s"]
    crowd.begin("await_marker", marker=marker)
    started_at = node.flood("broadcast", count, 1024, None)
    node.flood(marker, 1, 1024, None)
    ended_at = crowd.take()["lastAt"]
    result[f"broadcast 1 KB to {peers}"] = (count + 1) * peers / (ended_at - started_at)
    if peers == 20:
        spent = node.usage()["cpu_s"] - before
        result["CPU of a delivery, 1 KB to 20"] = spent / (count + 1) / peers * 1e6


def run(rounds: int, base_count: int, progress: Progress, *, first: int | None = None) -> Result:
    """The ``first`` so many kinds of nodes; None: all."""
    contestants = {
        name: functools.partial(measure_node, make, base_count, make is NativeNode)
        for name, make in list(NODES.items())[:first]
    }
    return Result("One node, many peers", MEASURES, alternate(contestants, rounds, progress))
