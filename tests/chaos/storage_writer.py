"""A process that makes other processes, which write snapshots until they are killed.

``python -m tests.chaos.storage_writer``; every line ``DIRECTORY FIRST`` on its standard input forks one writer, which
opens the directory and hands over snapshots FIRST, FIRST + 1, ... On standard output, one line each: ``P pid`` for a
new writer; ``O`` directory opened; ``B n`` snapshot n is about to be handed over; ``D n`` it is on disk; ``X status``
the writer ended. Forking costs a millisecond where a new interpreter costs half a second.
"""

from __future__ import annotations

import os
import sys
import threading

from actors.storage_sqlite import SqliteDisk
from core.stored import Snapshot
from tests.actors.storage_tools import NOW_S, SECRET, ban, record

ENTRIES = 400
BANS = 20
MAX_SNAPSHOTS = 5000
"""So many are never reached; a writer that nobody kills ends by itself."""


def content(number: int) -> Snapshot:
    """Snapshot ``number``: a part of it is as in the one before, a part is not, some entries come and go."""
    entries = tuple(
        record(index, placed_at=NOW_S + (number if index % 3 == 0 else 0))
        for index in range(ENTRIES)
        if (index + number) % 7
    )
    return Snapshot(entries, tuple(ban(number + index) for index in range(BANS)))


def say(*words: object) -> None:
    """One line, in one write: it is in the pipe whole, or not at all."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def write(directory: str, first: int) -> None:
    """Write snapshots for ever, that is until the end of this process."""
    storage, _ = SqliteDisk().open(directory, fresh_secret=SECRET, wall_now=NOW_S)
    say("O")
    pause = threading.Event()
    for number in range(first, first + MAX_SNAPSHOTS):
        snapshot = content(number)
        say("B", number)
        storage.save(snapshot)
        while not storage.is_settled:
            pause.wait(0.0005)
        problem = storage.take_problem()
        if problem is not None:
            say("E", problem)
            return
        say("D", number)


def main() -> None:
    """Fork writers until the input ends."""
    for line in sys.stdin:
        directory, _, first = line.rstrip("\n").rpartition(" ")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                write(directory, int(first))
                code = 0
            finally:
                os._exit(code)
        say("P", pid)
        _, status = os.waitpid(pid, 0)
        say("X", status)


if __name__ == "__main__":
    main()
