"""Every command of the documentation: the harmless ones are run, the others are checked against their parsers."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from actors import cli
from actors.config_sources import env_variable
from core.config import options
from tests.docs.pages import ROOT, BadPage, Block, all_blocks, blocks_of, pages, prose_of
from tests.docs.shapes import missing_lines
from tests.docs.test_programs import environment, write_files

TIMEOUT_S = 120.0
"""For one command, on a machine that has other things to do; usually they take a second."""

PAGE_TIMEOUT_S = 400
PROMPT = "$ "
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")

ONLY_LOOKED_AT = {
    "scripts/test": "runs this very test",
    "scripts/check": "runs the fast tests, this one among them",
    "scripts/setup": "has tests of its own, in tests/test_repository.py",
    "scripts/setup_interop": "installs packages; the interop tests rest on it",
    "scripts/bench": "takes minutes; its arguments are checked by its parser",
    "git": "fetches from where the reader says",
    "cd": "changes where the reader is",
    "pip": "installs where the reader says",
}
"""Programs that a page may show and that are not run, and why. Scripts must be there, and be correct shell."""


@dataclass(frozen=True)
class Command:
    """A command line of a console block, and what the block says it prints."""

    block: Block
    line: int
    words: list[str]
    sample: str

    @property
    def place(self) -> str:
        return f"{self.block.place.rpartition(':')[0]}:{self.line}"


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a block: lines with a prompt. A backslash at the end continues a line; ``#`` begins a comment."""
    words: list[str] | None = None
    begun, sample, unfinished = 0, "", ""
    for number, line in enumerate(block.code.splitlines(), block.line + 1):
        if line.startswith(PROMPT) or unfinished:
            if words is not None and not unfinished:
                yield Command(block, begun, words, sample)
            text = unfinished + line.removeprefix(PROMPT).strip()
            begun, sample = (begun if unfinished else number), ""
            unfinished = f"{text[:-1]} " if text.endswith("\\") else ""
            words = [] if unfinished else shlex.split(text, comments=True)
        elif words is None:
            raise BadPage(f"{block.place}: expected a line with the prompt {PROMPT!r} first, got {line!r}")
        else:
            sample += f"{line}\n"
    if words is not None:
        yield Command(block, begun, words, sample)


class Shell:
    """Runs the commands of one page, one after the other, where the page's files are."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.variables: dict[str, str] = {}

    def execute(self, command: Command) -> None:
        words = list(command.words)
        variables = dict(self.variables)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        program = words.pop(0).removeprefix(".venv/bin/") if words else ""
        if program in ONLY_LOOKED_AT:
            self._look_at(command, program, words)
        elif program == "ensemble" or program == "scripts/run":
            arguments = words if program == "ensemble" else ["run", *words]
            self._parse(command, arguments)
            self._run(command, [sys.executable, "-m", "actors.cli", *self._here(arguments)], variables)
        elif program == "scripts/example":
            assert (ROOT / "examples" / words[0] / "__main__.py").is_file(), f"{command.place}: no example {words[0]}"
            if command.sample and "--local" not in words and not self._is_public(words):
                self._run(command, [sys.executable, "-m", f"examples.{words[0]}", *words[1:]], variables)
        elif program in ("python", "python3"):
            self._run(command, [sys.executable, *words], variables)
        elif program in ("cat", "ls", "mkdir", "sqlite3"):
            if shutil.which(program):
                self._run(command, [program, *words], variables)
        else:
            pytest.fail(
                f"{command.place}: the tests do not know how to check {program!r}: mark the block, or teach them"
            )

    @staticmethod
    def _is_public(words: list[str]) -> bool:
        return words[0] == "lisk_network" and (len(words) < 2 or words[1] != "devnet")

    def _look_at(self, command: Command, program: str, words: list[str]) -> None:
        if program.startswith("scripts/"):
            assert os.access(ROOT / program, os.X_OK), f"{command.place}: {program} cannot be run"
        for word in words:
            if re.match(r"(tests|docs|configs)/", word):
                assert (ROOT / word.partition("::")[0]).exists(), f"{command.place}: there is no {word}"

    def _parse(self, command: Command, arguments: list[str]) -> None:
        complaint = parser_complaint(arguments)
        assert complaint is None, f"{command.place}: {complaint}"

    def _here(self, arguments: list[str]) -> list[str]:
        """A node that is run for a test listens on a free port of loopback, and keeps its data in the test's place."""
        if arguments[:1] != ["run"]:
            return arguments
        return [*arguments, "--set", "host_ip=127.0.0.1", "--set", "port=0", "--set", "data_dir=null"]

    def _run(self, command: Command, words: list[str], variables: dict[str, str]) -> None:
        is_node = "actors.cli" in words and "run" in words
        for name in ("configs", "scripts", "examples"):
            link = self.directory / name
            if not link.exists():
                link.symlink_to(ROOT / name)
        process = subprocess.Popen(
            words,
            cwd=self.directory,
            env={**environment(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        watchdog = threading.Timer(TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            printed = ""
            for line in process.stdout:
                printed += line
                if is_node and line.startswith("listening"):
                    process.send_signal(signal.SIGINT)
                    break
            printed += process.stdout.read()
            code = process.wait(TIMEOUT_S)
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
            process.stdout.close()
        missing = missing_lines(command.sample, printed)
        assert not missing, f"{command.place}: it does not print {missing}; it prints:\n{printed}"
        # A command may be shown because it fails: then the page shows what it complains about.
        assert code == 0 or command.sample, f"{command.place}: exit code {code}\n{printed}"


def parser_complaint(arguments: list[str]) -> str | None:
    """What ``ensemble`` says to these arguments; None if it takes them."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
            cli._parser().parse_args(arguments)
    except SystemExit as end:
        return None if end.code == 0 else complaint.getvalue()
    return None


WITH_COMMANDS = sorted({block.page for block in all_blocks() if block.language == "console" and block.runs})


@pytest.mark.timeout(PAGE_TIMEOUT_S)
@pytest.mark.sockets
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_the_commands_of_a_page_work(page: Path, tmp_path: Path) -> None:
    write_files(page, tmp_path, "127.0.0.1:9")
    shell = Shell(tmp_path)
    for block in blocks_of(page):
        if block.language == "console" and block.runs:
            for command in commands_of(block):
                shell.execute(command)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_commands_and_variables_within_a_sentence_exist(page: Path) -> None:
    """``ensemble run FILE``, ``ENSEMBLE_PORT`` and the like, between backticks."""
    variables = {env_variable(document.name) for document in options()}
    text = prose_of(page)
    for match in INLINE.finditer(text):
        place = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
        code = match[1].removeprefix(".venv/bin/")
        if code.startswith("ensemble "):
            complaint = parser_complaint(shlex.split(code)[1:])
            assert complaint is None, f"{place}: {complaint}"
        for variable in re.findall(r"\bENSEMBLE_\w+", match[1]):
            assert variable in variables, f"{place}: no option has the variable {variable}"


def test_a_console_block_is_read_as_commands_with_their_output(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('```console\n$ a --b "c d"  # why\nout\n$ e \\\n    f\n```\n', encoding="utf-8")
    (block,) = blocks_of(page)
    first, second = commands_of(block)
    assert (first.words, first.sample, first.line) == (["a", "--b", "c d"], "out\n", 2)
    assert (second.words, second.sample, second.line) == (["e", "f"], "", 4)
    page.write_text("```console\nout\n```\n", encoding="utf-8")
    (block,) = blocks_of(page)
    with pytest.raises(BadPage, match="prompt"):
        list(commands_of(block))
