"""A real lisk-p2p node behind the same few methods as :class:`scripts.benchmarks.ensemble_process.EnsembleNode`."""

from __future__ import annotations

import os
from typing import Self

from tests.interop.lisk_node import BENCH_CONFIG, LiskNode, MessageCount

MICRO = 1e-6


class LiskProcess:
    """Context manager; ``seeds`` are peer ids, ``core`` the CPU that the process is bound to."""

    def __init__(self, seeds: list[str], core: int | None = None) -> None:
        self._node = LiskNode(seedPeers=seeds, **BENCH_CONFIG)
        if core is not None:
            os.sched_setaffinity(self._node.pid, {core})
        self._counts: dict[str, MessageCount] = {}
        self.peer_id = self._node.peer_id

    def __enter__(self) -> Self:
        self._node.set_procedure("echo", "echo", quiet=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._node.stop()

    def wait_connected(self, count: int = 1) -> None:
        """Wait until ``count`` peers are connected."""
        self._node.wait_for(lambda: len(self._node.connected_ids()) >= count, 30.0, f"{count} connections")

    def start_counting(self, event: str, expected: int) -> None:
        """Count messages of this event from now on."""
        self._counts[event] = self._node.count(event, expected)

    def counted_at(self, event: str) -> float:
        """Wait for the last of them; monotonic seconds."""
        result = self._counts.pop(event).result(180.0)
        if not result["complete"]:
            raise TimeoutError(f"{result['count']} of {result['expected']} messages came")
        return float(result["lastAt"])

    def flood(self, event: str, count: int, size: int, peer_id: str | None) -> float:
        """Send; returns when it began, monotonic seconds."""
        return float(self._node.flood(event, count, size, peer_id, 180.0)["startedAt"])

    def rpc_flood(self, peer_id: str, count: int, size: int, in_flight: int) -> dict[str, float]:
        """``elapsed``, ``p50``, ``p99`` in seconds."""
        result = self._node.rpc_flood(peer_id, count, size, in_flight, timeout_s=180.0)
        if result["failed"]:
            raise RuntimeError(f"{result['failed']} requests failed")
        return {"elapsed": result["elapsed"], "p50": result["latency"]["p50"], "p99": result["latency"]["p99"]}

    def usage(self) -> dict[str, float]:
        """``cpu_s`` and ``rss_bytes`` of the process."""
        usage = self._node.usage()
        return {
            "cpu_s": (usage["cpu"]["user"] + usage["cpu"]["system"]) * MICRO,
            "rss_bytes": float(usage["memory"]["rss"]),
        }
