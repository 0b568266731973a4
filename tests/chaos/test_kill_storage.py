"""A node that is killed at any moment finds the last snapshot, or the one before; never a broken file."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.stored import Snapshot
from tests.actors.storage_tools import SECRET, database, opened, same
from tests.chaos.storage_writer import content

pytestmark = [pytest.mark.slow, pytest.mark.chaos]

ROOT = Path(__file__).parents[2]
KILLS = 200
MAX_LIFE_S = 0.09
"""A writer lives up to so long: opening takes about a third of it, a snapshot about a tenth."""

ROUNDS_PER_DIRECTORY = 8
"""Then a new one is made, to be killed while making it, too."""


@dataclass
class Life:
    """What one writer said until it was killed."""

    status: int = 0
    opened: bool = False
    handed_over: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


class Nursery:
    """The process that forks the writers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout

    def live(self, directory: Path, first: int, life_s: float) -> Life:
        """Start a writer, kill it after ``life_s`` seconds, return what it said."""
        print(directory, first, file=self._in, flush=True)
        life = Life()
        killer: threading.Timer | None = None
        try:
            for line in self._out:
                word, _, rest = line.strip().partition(" ")
                if word == "P":
                    # The nursery waits for it, so until the nursery says X the number is this writer's.
                    killer = threading.Timer(life_s, os.kill, (int(rest), signal.SIGKILL))
                    killer.start()
                elif word == "X":
                    life.status = int(rest)
                    return life
                elif word == "O":
                    life.opened = True
                elif word == "B":
                    life.handed_over.append(int(rest))
                elif word == "D":
                    life.written.append(int(rest))
                else:
                    life.complaints.append(line)
        finally:
            if killer is not None:
                killer.join()
        raise AssertionError("the nursery died")


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.storage_writer"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def possible(life: Life, before: Snapshot | None) -> list[Snapshot | None]:
    """What may be stored now: the last snapshot known to be written, or one handed over after it."""
    last_written = content(life.written[-1]) if life.written else before
    return [last_written, *(content(number) for number in life.handed_over[len(life.written) :])]


@pytest.mark.timeout(180)
def test_200_kills_at_random_moments(nursery: Nursery, tmp_path: Path) -> None:
    rng = random.Random(20_240_401)
    moments: Counter[str] = Counter()
    next_number = 0
    before: Snapshot | None = None
    directory = tmp_path
    for kill in range(KILLS):
        if kill % ROUNDS_PER_DIRECTORY == 0:
            directory, before = tmp_path / f"node-{kill}", None
        life = nursery.live(directory, next_number, rng.uniform(0.0, MAX_LIFE_S))
        assert os.WIFSIGNALED(life.status)
        assert os.WTERMSIG(life.status) == signal.SIGKILL
        assert life.complaints == []
        # Never more than one snapshot on its way: this is what "at most one interval" means.
        assert len(life.handed_over) - len(life.written) in (0, 1)
        had_journal = (directory / "ensemble.db-journal").exists()
        with opened(directory) as (_, stored):
            assert stored.notices == ()
            assert stored.secret == SECRET
            allowed = [Snapshot() if one is None else one for one in possible(life, before)]
            assert any(same(stored.snapshot, one) for one in allowed), f"kill {kill}: {life}"
        with database(directory) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert not list(directory.glob("*damaged*"))
        before = stored.snapshot
        next_number = max([next_number, *life.handed_over]) + 1
        moments["opening" if not life.opened else "writing" if len(allowed) > 1 else "between"] += 1
        moments["with a journal to roll back"] += had_journal
    # The kills hit every moment there is; if not, the times above have to be changed.
    print(dict(moments))
    assert min(moments["opening"], moments["writing"], moments["with a journal to roll back"]) >= 5, moments
