"""Every program of the documentation runs: in virtual time if it makes a simulation, else with real sockets."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import P2P
from core.events import NewInboundPeer
from tests.docs.pages import README, ROOT, Block, all_blocks, blocks_of
from tests.docs.shapes import missing_lines
from tests.sim.conftest import simulate

__all__ = ["simulate"]  # programs that are tests in virtual time ask for this fixture

TIMEOUT_S = 100.0
"""A program that takes this long has failed; usually they take a second."""

pytestmark = pytest.mark.timeout(2 * TIMEOUT_S)

ON_LOOPBACK = """\
import runpy, sys
from tests.docs.runner import listen_anywhere
listen_anywhere()
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a file as it is, except that its node is reached from this machine only."""


class Program:
    """A block of Python with what it continues, and the sample of its output."""

    def __init__(self, block: Block, code: str, output: Block | None) -> None:
        self.block, self.code, self.output = block, code, output

    @property
    def is_simulated(self) -> bool:
        """Whether it needs no socket."""
        return any(sign in self.code for sign in ("Simulation(", "simulate", "sim_network", "SimulatedNetwork"))

    @property
    def name(self) -> str:
        return f"{self.block.page.name}:{self.block.line}"

    def check_output(self, printed: str) -> None:
        if self.output is not None:
            anyhow = "output, in any order" in self.output.marks
            missing = missing_lines(self.output.code, printed, in_any_order=anyhow)
            assert not missing, f"{self.output.place}: the program does not print {missing}; it prints:\n{printed}"


def programs() -> Iterator[Program]:
    """Every block of Python that runs. One that is continued runs as a part of what continues it."""
    code = ""
    blocks = all_blocks()
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        if block.language != "python" or not block.runs:
            continue
        code = f"{code}\n{block.code}" if "continues" in block.marks else block.code
        is_sample = after is not None and after.page == block.page and after.is_output
        yield Program(block, code, after if is_sample else None)


PROGRAMS = list(programs())
SIMULATED = [pytest.param(program, id=program.name) for program in PROGRAMS if program.is_simulated]
REAL = [pytest.param(program, id=program.name) for program in PROGRAMS if not program.is_simulated]


@pytest.mark.parametrize("program", SIMULATED)
def test_a_program_in_virtual_time_runs(program: Program, request: pytest.FixtureRequest) -> None:
    names: dict[str, object] = {"__name__": "__docs__"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program.code, program.block.place, "exec"), names)
        for name, function in list(names.items()):
            if name.startswith("test_") and callable(function):
                code = function.__code__  # type: ignore[attr-defined]
                fixtures = code.co_varnames[: code.co_argcount]
                function(**{fixture: request.getfixturevalue(fixture) for fixture in fixtures})
    program.check_output(printed.getvalue())


@pytest.fixture(scope="module")
def stage() -> Iterator[str]:
    """A peer for the programs: it greets whoever connects, and answers every procedure. Yields its address.

    It dials nobody: two that dial each other at the same moment give up one of their connections, and with it what a
    program has just asked on it.
    """
    with P2P(host_ip="127.0.0.1", port=0, max_outbound_connections=0) as peer:

        def greet(event: NewInboundPeer) -> None:
            peer.send_to_peer(event.peer.peer_id, "hello", {"from": "the peer"}, wait=False)

        def answer(request: object) -> object:
            request.end({"procedure": request.procedure, "you": request.peer_id})  # type: ignore[attr-defined]
            return None

        peer.on(NewInboundPeer, greet)
        peer.on("EVENT_REQUEST_RECEIVED", answer)
        assert peer.listen_address is not None
        yield f"127.0.0.1:{peer.listen_address[1]}"


def write_files(page: Path, directory: Path, peer: str) -> None:
    """The files that a page shows, with the peer's real address and ports that are free."""
    for block in blocks_of(page):
        if (name := block.marks.get("file")) is not None:
            text = block.code.replace("127.0.0.1:5002", peer).replace("port: 5001", "port: 0")
            (directory / name).write_text(text, encoding="utf-8")


def environment() -> dict[str, str]:
    """Ours, without options of a node in it, and with the project to import."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENSEMBLE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@pytest.mark.sockets
@pytest.mark.parametrize("program", REAL)
def test_a_program_on_the_real_network_runs(program: Program, stage: str, tmp_path: Path) -> None:
    write_files(program.block.page, tmp_path, stage)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.docs.runner", stage],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = program.block.marks.get("until")
    watchdog = threading.Timer(TIMEOUT_S, process.kill)
    watchdog.start()
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(program.code)
        process.stdin.close()
        printed = ""
        for line in process.stdout:
            printed += line
            if until is not None and until in line:
                process.send_signal(signal.SIGINT)
                break
        printed += process.stdout.read()
        process.wait(TIMEOUT_S)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    assert process.stderr is not None
    complaint = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    place = program.block.place
    assert until is None or until in printed, f"{place}: it was to print {until!r}, it printed:\n{printed}{complaint}"
    allowed = (0,) if until is None else (0, 130, -signal.SIGINT)
    assert process.returncode in allowed, f"{place}: exit code {process.returncode}\n{printed}{complaint}"
    assert not complaint, f"{place}: {complaint}"
    program.check_output(printed)


def test_a_block_that_is_not_run_is_a_program_nevertheless() -> None:
    for block in all_blocks():
        if block.language == "python" and not block.marks.get("not run", "").startswith("a signature"):
            try:
                compile(block.code, block.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            except SyntaxError as error:
                pytest.fail(f"{block.place}: {error}")


def test_the_program_of_the_readme_is_about_twenty_lines() -> None:
    (first, *_) = [block for block in blocks_of(README) if block.language == "python"]
    assert len(first.code.splitlines()) <= 25


@pytest.mark.sockets
def test_the_program_of_the_readme_meets_itself(tmp_path: Path) -> None:
    """Run twice, as the page says, on ports that are free."""
    (code, *_) = [block.code for block in blocks_of(README) if block.language == "python"]
    (tmp_path / "hello.py").write_text(code, encoding="utf-8")

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", ON_LOOPBACK, "hello.py", *arguments],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    running = [start("0")]
    try:
        assert running[0].stdout is not None
        listening = re.match(r"listening on \('[\d.]+', (\d+)\)", running[0].stdout.readline())
        assert listening is not None
        running.append(start("0", f"127.0.0.1:{listening[1]}"))
        for process in running:
            printed, complaint = process.communicate(timeout=TIMEOUT_S)
            assert (process.returncode, complaint) == (0, "")
            assert "asked_by" in printed
            assert "says hello {'from': 'Python'}" in printed
            assert "connected by" in printed
    finally:
        for process in running:
            process.kill()
            process.communicate()
