"""A node in processes, partners that are connected to it, and a hand that kills."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from actors import P2P
from core.events import RemovePeer
from tests.actors.multiprocess.kernel import alive, kill, listening, name_of, tree, wait_until

ROOT = Path(__file__).parents[2]
RATE = 1e9


def start_program(options: dict[str, Any]) -> subprocess.Popen[str]:
    """A program with a node in processes; it has not said anything yet."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.running_node", json.dumps(options)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def close_pipes(program: subprocess.Popen[str]) -> None:
    """Of a program that has ended."""
    for stream in (program.stdin, program.stdout):
        if stream is not None and not stream.closed:
            stream.close()


class Node:
    """A node whose actors are processes, run by a program that is a process too."""

    def __init__(self, **options: Any) -> None:
        # A window so short that kills one after the other do not spend the budget; that has a test of its own.
        options = {"host_ip": "127.0.0.1", "port": 0, "max_outbound_connections": 0, "restart_window_s": 0.5, **options}
        self.program = start_program(options)
        said = self.next_line()
        self.port: int = said["port"]
        self.warden: int = said["warden"]
        self.seen: set[int] = set()

    def next_line(self, limit_s: float = 20.0) -> dict[str, Any]:
        """What the program says next."""
        assert self.program.stdout is not None
        assert select.select([self.program.stdout], [], [], limit_s)[0], "the program says nothing"
        found: dict[str, Any] = json.loads(self.program.stdout.readline() or '{"failed": "the program has ended"}')
        return found

    def command(self, **command: Any) -> dict[str, Any]:
        """Have the program do something."""
        assert self.program.stdin is not None
        self.program.stdin.write(json.dumps(command) + "\n")
        self.program.stdin.flush()
        return self.next_line()

    def processes(self) -> dict[int, str]:
        """All processes of the node with their names, the program's left out."""
        found = {pid: name_of(pid) for pid in tree(self.warden)}
        self.seen |= found.keys()
        return found

    def named(self, *names: str) -> list[int]:
        """The processes with one of these names."""
        return [pid for pid, name in self.processes().items() if name in names]

    def is_listening(self) -> bool:
        """Whether somebody could connect."""
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def is_gone(self) -> bool:
        """Whether no process and no port is left."""
        return not alive(self.seen) and not tree(self.warden) and ("127.0.0.1", self.port) not in listening(self.seen)

    def stop(self, limit_s: float = 20.0) -> int:
        """In order; the program's exit code."""
        self.processes()
        assert self.program.stdin is not None
        self.program.stdin.close()
        return self.program.wait(limit_s)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.program.poll() is None:
            self.program.kill()
            self.program.wait()
        close_pipes(self.program)
        wait_until(self.is_gone, "processes are left")


class Partners:
    """Nodes in this process that keep a connection to a node, and count how often it is lost."""

    def __init__(self, port: int, count: int) -> None:
        self.lost = 0
        self._lock = threading.Lock()
        self.peers = []
        for _ in range(count):
            peer = P2P(
                host_ip="127.0.0.1",
                port=0,
                fixed_peers=[f"127.0.0.1:{port}"],
                populator_interval_s=0.2,
                ws_max_message_rate_per_s=RATE,
            )
            peer.on(RemovePeer, self._on_lost)
            self.peers.append(peer)
            peer.start()
        self._target = f"127.0.0.1:{port}"

    def _on_lost(self, event: Any) -> None:
        if event.peer_id == self._target:
            with self._lock:
                self.lost += 1

    def are_connected(self) -> bool:
        """Whether every one has its connection."""
        return all(any(p.peer_id == self._target for p in one.get_connected_peers()) for one in self.peers)

    def __enter__(self) -> Partners:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for one in self.peers:
            one.stop()


def random_moment(rng: random.Random, limit_s: float = 0.3) -> None:
    """Let some time pass: a kill must be able to come at any moment."""
    threading.Event().wait(rng.uniform(0, limit_s))


__all__ = ["Node", "Partners", "alive", "kill", "name_of", "os", "random_moment", "signal", "wait_until"]
