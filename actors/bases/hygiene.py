"""What a process of ours does about its parents, children and inheritance. Linux only.

Every process of a system dies with its parent (``PR_SET_PDEATHSIG``), so no part of a system outlives its root. The
root's process, the warden, is the *subreaper*: whoever loses its parent all the same becomes the warden's child, and
the warden ends it. A forked process keeps what it was given on purpose, and closes everything else it inherited: a
connection that somebody else holds open would not be seen closed by its other side.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import time
from collections.abc import Iterable

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

STANDARD_STREAMS = frozenset({0, 1, 2})

ADOPTION_LIMIT_S = 2.0

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` dies, or end it now if that has happened already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def die_with_adopter(adopter: int) -> None:
    """The same for a process whose parent is about to exit and leave it to ``adopter``."""
    deadline = time.monotonic() + ADOPTION_LIMIT_S
    while os.getppid() != adopter:
        if time.monotonic() > deadline:
            os._exit(1)
        time.sleep(0.001)
    die_with_parent(adopter)


def become_subreaper() -> None:
    """Be the one to whom orphans among the own descendants go."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def name_process(name: str) -> None:
    """Show as ``name`` in ps and top, as far as the kernel keeps it: 15 bytes."""
    with open("/proc/self/comm", "wb") as file:
        file.write(name.encode(errors="replace")[:15])


def drop_inheritance(keep: Iterable[int]) -> None:
    """Right after a fork: close inherited descriptors, save the standard streams and ``keep``.

    What the parent had in memory stays there untouched: frozen, so that the collector neither closes a number that
    means something else by now, nor copies pages that could be shared.
    """
    gc.freeze()
    kept = STANDARD_STREAMS | set(keep)
    for fd in open_descriptors():
        if fd not in kept:
            try:
                os.close(fd)
            except OSError:
                continue  # the one through which the directory was read


def open_descriptors() -> list[int]:
    """The descriptors of this process."""
    return [int(name) for name in os.listdir("/proc/self/fd")]


def raise_descriptor_limit() -> None:
    """Use as many descriptors as this user may: Thespian's processes die when they run out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def children_of(parent: int) -> list[int]:
    """Process ids of the living children, zombies left out."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields is not None and fields[0] != "Z" and int(fields[1]) == parent:
                found.append(int(name))
    return found


def descendants_of(parent: int) -> list[int]:
    """Process ids of living children, their children, and so on; parents before children."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields is not None and fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(name))
    found = list(parents.get(parent, ()))
    for one in found:
        found += parents.get(one, ())
    return found


def _stat(pid: int) -> list[str] | None:
    """State, parent and the rest of /proc/<pid>/stat; None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def kill_descendants(limit_s: float = 5.0) -> bool:
    """Kill and reap all descendants of this process, a subreaper. Whether none is left."""
    deadline = time.monotonic() + limit_s
    while True:
        for pid in descendants_of(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if not reap():
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)


def reap() -> bool:
    """Take notice of all children that have ended. Whether some live."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
