"""examples/echo: three nodes find one another and greet ten times."""

from __future__ import annotations

import re

import pytest

from tests.examples.conftest import RunExample

pytestmark = pytest.mark.sockets


def test_ten_greetings_are_answered_among_three_nodes_that_know_one(run_example: RunExample) -> None:
    done = run_example("echo")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    assert lines[-1] == "10 of 10 greetings were answered."
    answers = [line for line in lines if " was answered: " in line]
    assert len(answers) == 10
    assert {line.split()[0] for line in answers} == {"Ann", "Bob", "Cid"}
    heard = {(line.split()[0], line.split()[2]) for line in lines if " heard " in line}
    assert {("Bob", "Cid"), ("Cid", "Bob")} & heard, "these two learned of each other through Ann"
    joined = [line for line in lines if re.search(r"connected to|was joined by", line)]
    assert len({line.split()[0] for line in joined}) == 3


def test_an_unknown_example_is_answered_with_those_there_are(run_example: RunExample) -> None:
    done = run_example("tic_tac_toe")
    assert done.returncode == 2
    assert "echo" in done.stderr
    assert "find_city" in done.stderr
    assert "__pycache__" not in done.stderr
