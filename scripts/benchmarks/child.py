"""A process of ours that takes commands as JSON lines on stdin and answers on stdout, one line each, in order."""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
ANSWER_S = 120.0
END_S = 10.0


class Child:
    """Context manager. ``core`` is the CPU that the process is bound to, None: any."""

    def __init__(self, command: Sequence[str], core: int | None = None) -> None:
        self._command = list(command)
        self._core = core
        self._next_id = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self._core is not None:
            os.sched_setaffinity(self._process.pid, {self._core})
        try:
            self.ready()
        except BaseException:
            self._end()
            raise
        return self

    def ready(self) -> None:
        """What has to be said first."""

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def begin(self, command: str, **arguments: Any) -> None:
        """Send a command without waiting."""
        assert self._process.stdin is not None
        self._next_id += 1
        line = json.dumps({"id": self._next_id, "command": command, **arguments})
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def take(self) -> dict[str, Any]:
        """The answer to the oldest open command. Raises RuntimeError if it failed, TimeoutError if there is none."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            raise TimeoutError(f"{self._command[-1]} ended" if ready else f"no answer within {ANSWER_S:g} s")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def call(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self.begin(command, **arguments)
        return self.take()

    def usage(self) -> dict[str, float]:
        """``cpu_s`` and ``rss_bytes`` of the process."""
        return self.call("usage")
