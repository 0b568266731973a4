"""A node in processes beside a node in one process and beside lisk-p2p: starting, memory, stopping, throughput.

The openers are bare sockets in another process (:mod:`scripts.benchmarks.openers`). ``answering`` is the time from the
start of the node to the moment when 120 openers, who came all at once, have shaken hands and have the answer to a
question that their peer actor answers. The messages are one-way, 32 bytes, from 8 openers at once; counted is what the
program's handler gets.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

PEERS = 120
SENDERS = 8
MESSAGES = 12_500
"""From each sender in one round."""

SIZE_BYTES = 32
WAIT_S = 60.0

CONFIG = {
    "host_ip": "127.0.0.1",
    "port": 0,
    "max_inbound_connections": PEERS,
    "max_pending_handshakes": PEERS,
    "max_outbound_connections": 0,
    "ws_max_message_rate_per_s": 1e9,
    "max_subscriber_queue_events": 1_000_000,
}

UNITS = {
    "listening": "s",
    "answering, 120 peers": "s",
    "memory of a peer": "MB",
    "stopped": "s",
    "messages from 8 peers": "messages/s",
    "CPU per message": "us",
}


class Openers:
    """The crowd, in a process of its own."""

    def __init__(self, port: int, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.benchmarks.openers", str(port), str(count)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, command: str, **arguments: Any) -> None:
        """Have all of them do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
        self._process.stdin.flush()

    def call(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The same, and wait until it is done. Raises RuntimeError if they cannot."""
        self.begin(command, **arguments)
        return self.take()

    def take(self) -> dict[str, Any]:
        """The answer to what was begun."""
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self) -> None:
        """End them."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait(WAIT_S)


@contextmanager
def openers(port: int, count: int) -> Iterator[Openers]:
    """The crowd, for a while."""
    made = Openers(port, count)
    try:
        yield made
    finally:
        made.close()


class Counter:
    """Counts messages, and says when so many have come."""

    def __init__(self) -> None:
        self.count = 0
        self._target = 0
        self._reached = threading.Event()
        self.reached_at = 0.0

    def expect(self, target: int) -> None:
        """From now on."""
        self.count, self._target = 0, target
        self._reached.clear()

    def __call__(self, _message: Any) -> None:
        """One more."""
        self.count += 1
        if self.count == self._target:
            self.reached_at = time.monotonic()
            self._reached.set()

    def wait(self) -> float:
        """When the last came. Raises TimeoutError."""
        if not self._reached.wait(WAIT_S):
            raise TimeoutError(f"{self.count:,} of {self._target:,} messages came")
        return self.reached_at


def measure(system: str) -> dict[str, float]:
    """All figures of one node in one place to run."""
    return {**measure_life(system), **measure_messages(system)}


def measure_life(system: str) -> dict[str, float]:
    """Starting, answering, memory, stopping."""
    from actors import P2P

    result: dict[str, float] = {}
    node = P2P(system=system, **CONFIG)
    started = time.monotonic()
    node.start()
    result["listening"] = time.monotonic() - started
    with openers(_port(node), PEERS) as crowd:
        ready = time.monotonic()
        result["answering, 120 peers"] = crowd.call("connect")["answered_at"] - ready + result["listening"]
        if system == "multiprocess":
            result["memory of a peer"] = _peer_memory_mb(_pids(node))
        crowd.begin("part")
        stopping = time.monotonic()
        node.stop()
        result["stopped"] = time.monotonic() - stopping
        crowd.take()
    return result


def measure_messages(system: str) -> dict[str, float]:
    """From all senders to the program's handler."""
    from actors import P2P
    from core.events import MessageReceived

    counter = Counter()
    with P2P(system=system, **CONFIG) as node, openers(_port(node), SENDERS) as crowd:
        node.on(MessageReceived, counter)
        crowd.call("connect")
        for messages in (MESSAGES // 10, MESSAGES):  # the first warms up
            counter.expect(SENDERS * messages)
            before = _cpu_s(_pids(node))
            started_at = crowd.call("flood", messages=messages, size=SIZE_BYTES)["started_at"]
            elapsed = counter.wait() - started_at
            spent = _cpu_s(_pids(node)) - before
    count = SENDERS * MESSAGES
    return {"messages from 8 peers": count / elapsed, "CPU per message": spent / count * 1e6}


def _port(node: Any) -> int:
    port: int = node.listen_address[1]
    return port


def measure_lisk() -> dict[str, float]:
    """What lisk-p2p, one process by design, does with the same openers."""
    from scripts.benchmarks.lisk_process import LiskProcess

    with LiskProcess([]) as node:
        with openers(int(node.peer_id.rpartition(":")[2]), SENDERS) as crowd:
            crowd.call("connect")
            for messages in (MESSAGES // 10, MESSAGES):
                node.start_counting("flood", SENDERS * messages)
                before = node.usage()["cpu_s"]
                started_at = crowd.call("flood", messages=messages, size=SIZE_BYTES)["started_at"]
                elapsed = node.counted_at("flood") - started_at
                spent = node.usage()["cpu_s"] - before
        count = SENDERS * MESSAGES
        return {"messages from 8 peers": count / elapsed, "CPU per message": spent / count * 1e6}


def measure_processes() -> dict[str, float]:
    """A node in processes."""
    return measure("multiprocess")


NODES: dict[str, Callable[[], dict[str, float]]] = {
    "lisk-p2p": measure_lisk,
    "Ensemble, one process": lambda: measure("inproc"),
    "Ensemble, processes": measure_processes,
}


def run(rounds: int, progress: Callable[[str], None], *, quick: bool = False) -> dict[str, list[dict[str, float]]]:
    """Every node once in every round; ``quick``: only the one in processes."""
    nodes = {name: node for name, node in NODES.items() if not quick or node is measure_processes}
    results: dict[str, list[dict[str, float]]] = {name: [] for name in nodes}
    for number in range(1, rounds + 1):
        for name, measure_node in nodes.items():
            progress(f"round {number} of {rounds}: {name}")
            results[name].append(measure_node())
    return results


def as_json(results: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians and extremes, for programs."""
    from scripts.benchmarks.summary import spread

    return {
        name: {
            measure: {"unit": UNITS[measure], **spread([one[measure] for one in rounds])}
            for measure in UNITS
            if rounds and measure in rounds[0]
        }
        for name, rounds in results.items()
    }


def table(summary: dict[str, Any]) -> str:
    """One row for each measure and node."""
    lines = [f"{'measure':<26}{'node':<26}{'median':>12}  lowest to highest"]
    for measure in UNITS:
        for name, figures in summary.items():
            if measure in figures:
                row = figures[measure]
                numbers = [_number(row[key]) for key in ("median", "min", "max")]
                lines.append(f"{measure:<26}{name:<26}{numbers[0]:>12}  {numbers[1]} to {numbers[2]} {row['unit']}")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _pids(node: Any) -> list[int]:
    from actors.bases.hygiene import descendants_of

    warden = getattr(node._run._session, "warden_pid", None)
    return [os.getpid()] if warden is None else [os.getpid(), warden, *descendants_of(warden)]


def _cpu_s(pids: list[int]) -> float:
    ticks = os.sysconf("SC_CLK_TCK")
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(one[11]) + int(one[12]) for one in fields) / ticks


def _peer_memory_mb(pids: list[int]) -> float:
    """Proportional set size of the largest peer process."""
    sizes = []
    for pid in pids:
        if Path(f"/proc/{pid}/comm").read_text().strip() == "InboundPeer":
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            (line,) = [line for line in rollup.splitlines() if line.startswith("Pss:")]
            sizes.append(int(line.split()[1]) / 1024)
    return max(sizes)
