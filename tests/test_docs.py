"""The documentation holds what it says: links, test names, programs, configurations and commands in it are real."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from actors import P2P
from actors.config_sources import load_config
from core.config import NodeConfig
from core.events import MessageReceived

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]

ANSWER_TIMEOUT_S = 20.0
"""A test that waits for this has failed; nothing waits for it otherwise."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
NODE_ID = re.compile(r"tests/[\w/]+\.py::[\w:]+")
COMMAND = re.compile(r"(?<![\w./])((?:scripts|configs|\.ci)/[\w./-]*\w)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", text_of(page))


def blocks(language: str) -> list[tuple[Path, str]]:
    """Every fenced block of a language, with the page that it is on."""
    return [(page, code) for page in PAGES for name, code in FENCE.findall(text_of(page)) if name == language]


def page_name(value: object) -> str:
    """What a test of one page, or of a block on it, is called."""
    return value.name if isinstance(value, Path) else ""


def slug(heading: str) -> str:
    """The anchor that a heading gets where Markdown is usually read."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@functools.cache
def names_of_tests(path: Path) -> frozenset[str]:
    """``test_name`` and ``TestClass::test_name`` of every test in a file, without running it."""
    found: set[str] = set()

    def look(nodes: list[ast.stmt], prefix: str) -> None:
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{prefix}{node.name}::")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
                found.add(prefix + node.name)

    look(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return frozenset(found)


# ---- names and places --------------------------------------------------------------------------------------------


def test_every_test_that_a_page_names_exists() -> None:
    named = [(page.name, node_id) for page in PAGES for node_id in NODE_ID.findall(text_of(page))]
    assert len(named) >= 31, "docs/defects.md names one for each defect at least"
    for page, node_id in named:
        file, _, test = node_id.partition("::")
        assert (ROOT / file).is_file(), f"{page}: {node_id}"
        assert test in names_of_tests(ROOT / file), f"{page}: {node_id}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue  # other people's places
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor:
            headings = {slug(heading) for heading in re.findall(r"^#+ (.*)$", prose_of(there), re.MULTILINE)}
            assert anchor in headings, f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_command_and_file_of_the_project_exists(page: Path) -> None:
    for name in COMMAND.findall(text_of(page)):
        assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_every_defect_has_its_row_and_its_test() -> None:
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", text_of(ROOT / "docs" / "defects.md"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 32))
    for number, row in rows:
        assert NODE_ID.search(row), f"defect {number} names no test"


# ---- programs and configurations ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "code"), blocks("python"), ids=page_name)
def test_every_program_compiles(page: Path, code: str) -> None:
    # Documentation shows "await" outside of a function, too.
    compile(code, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize(("page", "code"), blocks("yaml"), ids=page_name)
def test_every_node_configuration_is_valid(page: Path, code: str, tmp_path: Path) -> None:
    names = set(yaml.safe_load(code))
    if names & set(NodeConfig.__struct_fields__):
        file = tmp_path / "node.yaml"
        file.write_text(code, encoding="utf-8")
        assert load_config(file).origins, page.name


@pytest.mark.sockets
def test_the_program_of_the_readme_runs() -> None:
    """Word for word, except for the two addresses: it meets a peer, greets it, and prints what it is answered."""
    (code,) = [code for page, code in blocks("python") if page == README]
    assert len(code.splitlines()) <= 25, "the README promises twenty lines"
    with P2P(host_ip="127.0.0.1", port=0) as peer, peer.events(MessageReceived) as messages:
        assert peer.listen_address is not None
        peer.procedure("time", lambda _request: "half past four")
        address = f"127.0.0.1:{peer.listen_address[1]}"
        program = code.replace("port=5001", 'host_ip="127.0.0.1", port=0').replace("127.0.0.1:5002", address)
        assert program.count(address) == 1, "the README's seed has another address than this test replaces"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=ANSWER_TIMEOUT_S,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "half past four" in done.stdout
        assert messages.get(ANSWER_TIMEOUT_S).event == "hello"
