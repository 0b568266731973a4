"""An Ensemble node in another process, with the methods of :class:`tests.interop.lisk_node.LiskNode` that count."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
ANSWER_S = 180.0

CONFIG = {
    "host_ip": "127.0.0.1",
    "port": 0,
    "populator_interval_s": 0.25,
    "ws_max_message_rate_per_s": 1e9,
    "ack_timeout_s": 60.0,
}
"""As the harness configures lisk-p2p for benchmarks: rate limits out of the way, patient time-outs."""


class EnsembleNode:
    """Context manager; ``seeds`` are peer ids, ``core`` the CPU that the process is bound to."""

    def __init__(self, seeds: list[str], core: int | None = None) -> None:
        self._config = {**CONFIG, "seed_peers": seeds}
        self._core = core
        self._next_id = 0
        self.peer_id = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.benchmarks.worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if self._core is not None:
            os.sched_setaffinity(self._process.pid, {self._core})
        self.peer_id = self.call("start", config=self._config)["peer_id"]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def begin(self, command: str, **arguments: Any) -> int:
        """Send a command without waiting."""
        assert self._process.stdin is not None
        self._next_id += 1
        line = json.dumps({"id": self._next_id, "command": command, **arguments})
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        return self._next_id

    def take(self) -> dict[str, Any]:
        """The answer to the oldest open command. Raises RuntimeError if it failed, TimeoutError if there is none."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            raise TimeoutError("the benchmark's node ended" if ready else f"no answer within {ANSWER_S:g} s")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def call(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self.begin(command, **arguments)
        return self.take()

    def wait_connected(self, count: int = 1) -> None:
        """Wait until ``count`` peers are connected."""
        self.call("wait_connected", count=count)

    def start_counting(self, event: str, expected: int) -> None:
        """Count messages of this event from now on."""
        self.call("count", event=event, expected=expected)

    def counted_at(self, event: str) -> float:
        """Wait for the last of them; monotonic seconds."""
        return float(self.call("counted", event=event)["lastAt"])

    def flood(self, event: str, count: int, size: int, peer_id: str | None) -> float:
        """Send; returns when it began, monotonic seconds."""
        return float(self.call("flood", event=event, count=count, size=size, peer_id=peer_id)["startedAt"])

    def rpc_flood(self, peer_id: str, count: int, size: int, in_flight: int) -> dict[str, float]:
        """``elapsed``, ``p50``, ``p99`` in seconds."""
        return self.call("rpcflood", peer_id=peer_id, count=count, size=size, in_flight=in_flight)

    def usage(self) -> dict[str, float]:
        """``cpu_s`` and ``rss_bytes`` of the process."""
        return self.call("usage")
