"""docs/penalties.md names a test for every row, and every one of them is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "penalties.md").read_text(encoding="utf-8")
OTHER_FILES = re.compile(r"`(test_\w+)` in `(tests/[\w/]+\.py)`")
SHORT = re.compile(r"`(\w+)`")


def section(heading: str) -> str:
    """The text under a heading, up to the next one of its level."""
    return PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names_in(file: str) -> set[str]:
    return set(re.findall(r"^def (test_\w+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "file"),
    [
        ("As listener: what an opener does", "tests/core/test_penalty_rows_openers.py"),
        ("As opener: what a listener does", "tests/core/test_penalty_rows_listeners.py"),
    ],
)
def test_every_row_names_a_test_that_exists(heading: str, file: str) -> None:
    table = rows(heading)
    assert len(table) > 12
    there = names_in(file)
    for what, _, _, tests in table:
        if tests == "the same" or "::" in tests:  # tests/docs/test_pages.py looks at whole ids
            continue
        elsewhere = OTHER_FILES.search(tests)
        if elsewhere is not None:
            assert elsewhere[1] in names_in(elsewhere[2]), what
            continue
        named = SHORT.findall(tests)
        assert named, what
        assert {f"test_row_{name}" for name in named} <= there, what


def test_every_difference_is_explained_and_used() -> None:
    explained = {cells[0] for cells in rows("Differences")}
    used = set(re.findall(r"\[(\d+)\]\(#differences\)", PAGE))
    assert used <= explained
    assert explained - used <= {"14", "15"}, "what is true of all rows"
