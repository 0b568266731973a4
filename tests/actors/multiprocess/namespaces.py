"""Hosts that are network namespaces: each has its own addresses and one cable to a switch, which can be pulled.

Needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN) and ``ip`` of iproute2; where that is not to be had, the test is skipped
and says what was missing. Nothing outside the namespaces is touched, and they end with the test.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PREFIX = "10.77.0"
SWITCH = "switch"


def ip(*arguments: str) -> None:
    """Run iproute2's command. Raises CalledProcessError with what it complained of."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=20)


class Namespaces:
    """A switch and the hosts that are connected to it; the n-th has the address ``10.77.0.n``, and any others given."""

    def __init__(self) -> None:
        self._mark = f"ens{os.getpid()}"
        self._hosts: dict[str, str] = {}
        self.programs: list[Program] = []

    def _of(self, name: str) -> str:
        return f"{self._mark}-{name}"

    def __enter__(self) -> Namespaces:
        if shutil.which("ip") is None:
            pytest.skip("network namespaces: there is no ip command (install iproute2)")
        try:
            ip("netns", "add", self._of(SWITCH))
            ip("-n", self._of(SWITCH), "link", "add", "bridge", "type", "bridge")
            ip("-n", self._of(SWITCH), "link", "set", "bridge", "up")
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            self.__exit__()
            pytest.skip(f"network namespaces cannot be made here: {getattr(error, 'stderr', error)}".strip())
        return self

    def __exit__(self, *exc_info: object) -> None:
        for program in self.programs:
            program.end()
        for name in (*self._hosts, SWITCH):
            subprocess.run(["ip", "netns", "del", self._of(name)], check=False, capture_output=True, timeout=20)

    def add(self, name: str, *more: str) -> str:
        """A host with a cable; its address. ``more``: further addresses of its."""
        address = f"{PREFIX}.{len(self._hosts) + 1}"
        ip("netns", "add", self._of(name))
        self._hosts[name] = address
        cable = ("link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", self._of(name))
        ip("-n", self._of(SWITCH), *cable)
        ip("-n", self._of(SWITCH), "link", "set", f"to-{name}", "master", "bridge", "up")
        for one in (address, *more):
            ip("-n", self._of(name), "address", "add", f"{one}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", self._of(name), "link", "set", device, "up")
        return address

    def pull(self, name: str) -> None:
        """Cut the cable of a host: nothing comes or goes, and nobody is told."""
        ip("-n", self._of(SWITCH), "link", "set", f"to-{name}", "down")

    def plug(self, name: str) -> None:
        """Mend it."""
        ip("-n", self._of(SWITCH), "link", "set", f"to-{name}", "up")

    def run(self, name: str, *arguments: str) -> Program:
        """Start a Python module on a host."""
        made = Program(["ip", "netns", "exec", self._of(name), sys.executable, "-m", *arguments])
        self.programs.append(made)
        return made


class Program:
    """A program that says what happens in lines of JSON; other lines are left alone."""

    def __init__(self, command: list[str]) -> None:
        # Its log goes to the test's own stderr, for whoever looks for the reason of a failure.
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.said: deque[dict[str, Any]] = deque()

    @property
    def pid(self) -> int:
        """Of the program itself: ip replaces itself by it."""
        return self.process.pid

    def ask(self, limit_s: float = 20.0, **command: Any) -> Any:
        """Have it do something, and give back what came of it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        while True:
            line = self.line(limit_s)
            if "answer" in line:
                return line["answer"]
            self.said.append(line)

    def expect(self, text: str, limit_s: float) -> dict[str, Any]:
        """The next log line with this text."""
        while True:
            line = self.said.popleft() if self.said else self.line(limit_s)
            if text in line.get("log", ""):
                return line

    def line(self, limit_s: float) -> dict[str, Any]:
        """What it says next."""
        assert self.process.stdout is not None
        while True:
            assert select.select([self.process.stdout], [], [], limit_s)[0], "the program says nothing"
            text = self.process.stdout.readline()
            assert text, "the program has ended"
            if text.startswith("{"):
                found: dict[str, Any] = json.loads(text)
                return found

    def end(self) -> None:
        """In order: its standard input ends, and it gets SIGTERM; or else at once."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
