"""An Ensemble node in another process, with the methods of :class:`scripts.benchmarks.lisk_process.LiskProcess`."""

from __future__ import annotations

import sys
from typing import Any

from scripts.benchmarks.child import Child

CONFIG = {
    "host_ip": "127.0.0.1",
    "port": 0,
    "populator_interval_s": 0.25,
    "ws_max_message_rate_per_s": 1e9,
    "ack_timeout_s": 60.0,
}
"""As the harness configures lisk-p2p for benchmarks: rate limits out of the way, patient time-outs."""


class EnsembleNode(Child):
    """``seeds`` are peer ids. ``native``: speak the native dialect with those who know it."""

    def __init__(self, seeds: list[str], core: int | None = None, *, native: bool = False, **options: Any) -> None:
        super().__init__([sys.executable, "-m", "scripts.benchmarks.worker"], core)
        self._config: dict[str, Any] = {**CONFIG, "network": {"native": native}, "seed_peers": seeds, **options}
        self.peer_id = ""

    def ready(self) -> None:
        """Start the node."""
        self.peer_id = self.call("start", config=self._config)["peer_id"]

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
        """Send to one peer, or to all; returns when it began, monotonic seconds."""
        return float(self.call("flood", event=event, count=count, size=size, peer_id=peer_id)["startedAt"])

    def rpc_flood(self, peer_id: str, count: int, size: int, in_flight: int) -> dict[str, float]:
        """``elapsed``, ``p50``, ``p99`` in seconds."""
        return self.call("rpcflood", peer_id=peer_id, count=count, size=size, in_flight=in_flight)

    def trickle(self, peer_id: str, kind: str, per_s: int, seconds: float) -> None:
        """Send so many messages or requests a second to one peer, evenly."""
        self.call("trickle", peer_id=peer_id, kind=kind, per_s=per_s, seconds=seconds)


class NativeNode(EnsembleNode):
    """An Ensemble node that speaks the native dialect with its like."""

    def __init__(self, seeds: list[str], core: int | None = None, **options: Any) -> None:
        super().__init__(seeds, core, native=True, **options)


class SleepyNode(NativeNode):
    """One that never looks for what comes next, and sleeps at once."""

    def __init__(self, seeds: list[str], core: int | None = None) -> None:
        super().__init__(seeds, core, busy_poll_s=0.0)
