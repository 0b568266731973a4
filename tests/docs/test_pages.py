"""Pages can be read, and what they point at is there: links, anchors, tests, scripts, configuration files."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.docs.pages import README, ROOT, BadPage, blocks_of, pages, prose_of
from tests.docs.shapes import missing_lines, shape

LINK = re.compile(r"(!?)\[(?:[^\]`]|`[^`]*`)*\]\(([^)\s]+)\)")
HTML_TARGET = re.compile(r"""(?:src|srcset|href)="([^"]+)\"""")
NODE_ID = re.compile(r"tests/[\w/]+\.py::[\w:]+")
PATH = re.compile(r"(?<![\w./-])((?:scripts|configs|examples|core|actors|tests|docs|\.ci)/[\w./-]*\w)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)

PAGES = pages()


def page_name(value: object) -> str:
    return value.name if isinstance(value, Path) else ""


def at(page: Path, position: int, text: str) -> str:
    """``docs/page.md:12``, for a place in the text of a page."""
    return f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, position) + 1}"


def slug(heading: str) -> str:
    """The anchor that a heading gets where Markdown is usually read."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@functools.cache
def anchors(page: Path) -> frozenset[str]:
    """All anchors of a page; the second heading of a name gets ``-1``."""
    found: list[str] = []
    for heading in HEADING.findall(prose_of(page)):
        name = slug(heading)
        number = sum(1 for other in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", other))
        found.append(f"{name}-{number}" if name in found else name)
    return frozenset(found)


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


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_page_can_be_read(page: Path) -> None:
    assert blocks_of(page) is not None
    assert prose_of(page).lstrip().startswith(("# ", "<")), f"{page.name}: expected a heading first"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_into_the_project_leads_somewhere(page: Path) -> None:
    text = prose_of(page)
    found = [(match.start(), match[2]) for match in LINK.finditer(text)]
    found += [(match.start(), match[1]) for match in HTML_TARGET.finditer(text)]
    for position, target in found:
        if re.match(r"[a-z]+:", target):
            continue  # other people's places
        place = at(page, position, text)
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{place}: there is no {target}"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{place}: {there.name} has no heading for #{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_file_and_test_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for match in NODE_ID.finditer(text):
        file, _, test = match[0].partition("::")
        place = at(page, match.start(), text)
        assert (ROOT / file).is_file(), f"{place}: there is no {file}"
        assert test in names_of_tests(ROOT / file), f"{place}: there is no test {match[0]}"
    for match in PATH.finditer(text):
        name = match[1]
        # A module may be named with what is in it, as core/errors.EnsembleError is not; and without its ending.
        known = (ROOT / name).exists() or (ROOT / f"{name}.py").is_file()
        assert known, f"{at(page, match.start(), text)}: there is no {name}"


def test_every_defect_has_its_row_and_its_test() -> None:
    text = (ROOT / "docs" / "defects.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 32))
    for number, row in rows:
        assert NODE_ID.search(row), f"defect {number} names no test"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, ahead = set(), [README]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        for match in LINK.finditer(prose_of(page)):
            there = (page.parent / match[2].partition("#")[0]).resolve()
            if there.suffix == ".md" and there.is_file():
                ahead.append(there)
    assert {page.name for page in PAGES if page not in reached} == set()


# ---- the harness itself -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```\nx\n```\n", "page.md:1: expected the block's language"),
        ("a\n\n```perl\nx\n```\n", "page.md:3: expected the block's language after the fence"),
        ("```python\nx\n", "page.md:1: this block does not end"),
        ("<!-- skip -->\n```python\nx\n```\n", "page.md:2: expected one of not run, "),
        ("<!-- not run -->\n```python\nx\n```\n", "page.md:2: 'not run' needs a text"),
        ("<!-- not run: slow -->\n```python\nx\n```\n", "page.md:2: expected a reason"),
        ("<!-- continues: x -->\n```python\nx\n```\n", "page.md:2: 'continues' takes no text"),
        ("<!-- output -->\n```text\nx\n```\n", "page.md:2: there is no block before this one"),
    ],
)
def test_a_page_that_cannot_be_checked_is_refused_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(BadPage) as caught:
        blocks_of(page)
    assert complaint in str(caught.value)


def test_blocks_carry_their_line_language_and_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# T\n\n<!-- file: a.yaml -->\n```yaml\nport: 1\n```\n\n"
        "* item\n\n  ```python\n  if True:\n      pass\n  ```\n\n"
        "<!-- until: done -->\n<!-- continues -->\n\n```python\n1\n```\n",
        encoding="utf-8",
    )
    first, second, third = blocks_of(page)
    assert (first.line, first.language, first.code, first.marks) == (4, "yaml", "port: 1\n", {"file": "a.yaml"})
    assert (second.line, second.code, second.marks) == (10, "if True:\n    pass\n", {})
    assert (third.line, third.marks) == (18, {"until": "done", "continues": ""})
    assert "port" not in prose_of(page)
    assert prose_of(page).count("\n") == page.read_text(encoding="utf-8").count("\n")


@pytest.mark.parametrize(
    ("sample", "output", "missing"),
    [
        ("listening on 0.0.0.0:5001  up 0:01\n", "listening on 127.0.0.1:40001  up 12:59:01", []),
        ("a 1\nb 2\n", "b 7\na 3\n", ["b 2"]),
        ("a\n...\nc", "a\nb\nc", []),
        ("id 00ff00ff00\n", "id abcdef0123456789", []),
        ("total 1,234.5", "total 9", []),
        ("2026-11-22 09:14:01Z x", "2027-01-01 00:00:00Z x", []),
        ("peer says ...", "peer says hello", []),
        ("peer says hi", "peer says hello", ["peer says hi"]),
    ],
)
def test_samples_are_compared_by_shape(sample: str, output: str, missing: list[str]) -> None:
    assert missing_lines(sample, output) == missing


def test_samples_in_any_order_use_each_line_once() -> None:
    assert missing_lines("b\na", "a\nb", in_any_order=True) == []
    assert missing_lines("a\na", "a\nb", in_any_order=True) == ["a"]
    assert shape("  x\t y ") == "x y"


def test_the_figures_of_the_readme_are_those_of_the_page_about_them() -> None:
    rows = re.findall(r"^\| ([^|]+) \| (\d+\.\d+) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 4
    measured = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for what, ratio in rows:
        assert f"**{ratio}**" in measured, f"README.md: {what}: docs/performance.md has no ratio {ratio}"
