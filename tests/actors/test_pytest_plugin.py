"""The pytest plugin, as the tests of other people's programs use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
from core.events import MessageReceived


def test_good(sim_network):
    network = sim_network(n=2)
    network[0].procedure("ping", lambda request: "pong")
    assert network[1].request("ping").json() == "pong"


def test_that_fails(sim_network):
    assert sim_network(n=2, seed=7).now > 100.0


def test_with_a_handler_that_raises(sim_network):
    network = sim_network(n=2)
    network[0].on(MessageReceived, lambda message: 1 / 0)
    network[1].broadcast("bang")
    network.run_for(1.0)


def test_that_expects_an_error(sim_network):
    network = sim_network(n=2)
    network[0].on(MessageReceived, lambda message: 1 / 0)
    network[1].broadcast("bang")
    network.run_for(1.0)
    assert network.errors.pop().startswith("handler ")
"""


def run_pytest(directory: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50.0,
    )
    return done.stdout + done.stderr


def test_the_fixture_in_a_project_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_app.py").write_text(TESTS, encoding="utf-8")
    told = run_pytest(tmp_path, "test_app.py")
    assert "PASSED test_app.py::test_good" in told
    assert "PASSED test_app.py::test_that_expects_an_error" in told
    assert "2 nodes, seed 7" in told
    assert "replay: pytest 'test_app.py::test_that_fails' --sim-seed=7" in told
    assert "ERROR test_app.py::test_with_a_handler_that_raises" in told
    assert "ZeroDivisionError" in told
    assert "2 nodes, seed 12" in run_pytest(tmp_path, "test_app.py::test_that_fails", "--sim-seed=12")


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    program = "import sys, actors.pytest_plugin; print([n for n in sys.modules if n.split('.')[0] in HEAVY])"
    heavy = "('core', 'thespian', 'websockets', 'asyncio', 'msgspec')"
    done = subprocess.run(
        [sys.executable, "-c", program.replace("HEAVY", heavy)],
        capture_output=True,
        text=True,
        timeout=50.0,
        check=True,
    )
    assert done.stdout.strip() == "[]"
