"""What the kernel says about processes and sockets, read from /proc."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable

from actors.bases.hygiene import descendants_of

LISTEN = "0A"
PATIENCE_S = 20.0


def tree(root: int) -> list[int]:
    """A process and all its descendants; empty if it has gone."""
    return [root, *descendants_of(root)] if alive([root]) else []


def alive(pids: Iterable[int]) -> list[int]:
    """Those that exist and are no zombies."""
    return [pid for pid in pids if _state(pid) not in ("", "Z", "X")]


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def name_of(pid: int) -> str:
    """What a process calls itself; "" if it has gone, as the one between a nursery and what it forks has soon."""
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""


def listening(pids: Iterable[int]) -> dict[tuple[str, int], int]:
    """Where these processes listen for TCP connections: IP address and port -> process id."""
    inodes = {}
    for pid in pids:
        try:
            for name in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{name}")
                if target.startswith("socket:["):
                    inodes[target[8:-1]] = pid
        except OSError:
            continue  # it has just ended
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as file:
            for line in list(file)[1:]:
                fields = line.split()
                if fields[3] == LISTEN and fields[9] in inodes:
                    address, port = fields[1].split(":")
                    octets = [str(byte) for byte in reversed(bytes.fromhex(address))]
                    ip = ".".join(octets) if len(octets) == 4 else address
                    found[(ip, int(port, 16))] = inodes[fields[9]]
    return found


def abstract_names(part: str) -> list[str]:
    """Names of Unix sockets that contain this text."""
    with open("/proc/net/unix") as file:
        return [line.split()[-1] for line in file if part in line]


def kill(pid: int) -> None:
    """SIGKILL."""
    os.kill(pid, signal.SIGKILL)


def wait_until(condition: Callable[[], object], what: str, limit_s: float = PATIENCE_S) -> float:
    """Poll until the condition holds; seconds it took. Fails after the limit."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > limit_s:
            raise AssertionError(f"{what}: not within {limit_s:g} s")
        time.sleep(0.005)
    return time.monotonic() - started
