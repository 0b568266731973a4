"""Reads the documentation: pages, their code blocks, and what is said about a block in a comment above it.

Every fenced block of README.md and docs/*.md is checked by what its language says. A comment directly above the fence
changes that:

    <!-- not run: REASON -->      nothing of it is executed, and why not
    <!-- continues -->            this program goes on where the block before it on the page ended
    <!-- until: TEXT -->          this program has no end: it is stopped when it has printed TEXT
    <!-- file: NAME -->           it is a file that the commands and programs of the page find under this name
    <!-- output -->               it is what the block before it prints; numbers, addresses and times may differ
    <!-- output, in any order --> the same, and so may the order of the lines

What else stands in a comment above a fence is a mistake, and so is a block without a language.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"

LANGUAGES = frozenset({"python", "console", "yaml", "json", "text", "http", "js", "ini"})
"""What blocks may be: a new language needs a decision how it is checked."""

MARKS = ("not run", "continues", "until", "file", "output", "output, in any order")
WITH_TEXT = ("not run", "until", "file")
MIN_REASON_CHARS = 12

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<info>.*)$")
_MARK = re.compile(r"^<!--\s*(?P<name>[a-z ,]+?)(?::\s*(?P<text>.*?))?\s*-->$")


class BadPage(AssertionError):
    """A page that cannot be read; the text says where and what was expected."""


@dataclass(frozen=True)
class Block:
    """A fenced block. ``line`` is that of its fence, counted from 1."""

    page: Path
    line: int
    language: str
    code: str
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it is, as editors understand it."""
        return f"{self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page.name}:{self.line}"

    @property
    def is_output(self) -> bool:
        """Whether it shows what the block before it prints."""
        return "output" in self.marks or "output, in any order" in self.marks

    @property
    def runs(self) -> bool:
        """Whether it is to be executed."""
        return "not run" not in self.marks


def pages() -> list[Path]:
    """README.md and all pages in docs."""
    return [README, *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page in order. Raises BadPage."""
    found = list(_read(page, page.read_text(encoding="utf-8")))
    for before, block in zip([None, *found], found, strict=False):
        if (block.is_output or "continues" in block.marks) and before is None:
            raise BadPage(f"{block.place}: there is no block before this one")
    return found


def all_blocks() -> list[Block]:
    """The blocks of all pages that can be read; that all can be read is a test of its own."""
    found: list[Block] = []
    for page in pages():
        with contextlib.suppress(BadPage):
            found += blocks_of(page)
    return found


def prose_of(page: Path) -> str:
    """The page without its blocks; their lines are empty, so that line numbers remain."""
    lines = page.read_text(encoding="utf-8").split("\n")
    for block in blocks_of(page):
        for number in range(block.line - 1, block.line + block.code.count("\n") + 1):
            lines[number] = ""
    return "\n".join(lines)


def _read(page: Path, text: str) -> Iterator[Block]:
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        if fence is None:
            number += 1
            continue
        opened = number
        closing = fence["indent"] + fence["ticks"]
        number += 1
        while number < len(lines) and lines[number].rstrip() != closing:
            number += 1
        place = f"{page.name}:{opened + 1}"
        if number == len(lines):
            raise BadPage(f"{place}: this block does not end")
        indent = len(fence["indent"])
        code = "".join(f"{line[indent:]}\n" for line in lines[opened + 1 : number])
        language = fence["info"].strip()
        if language not in LANGUAGES:
            known = ", ".join(sorted(LANGUAGES))
            raise BadPage(f"{place}: expected the block's language after the fence ({known}), got {language!r}")
        yield Block(page, opened + 1, language, code, _marks(lines, opened, place))
        number += 1


def _marks(lines: list[str], opened: int, place: str) -> dict[str, str]:
    """What the comments above a fence say; one empty line between is usual in Markdown."""
    marks: dict[str, str] = {}
    above = opened - 1
    if above >= 0 and not lines[above].strip():
        above -= 1
    while above >= 0 and lines[above].strip().startswith("<!--"):
        mark = _MARK.match(lines[above].strip())
        name = mark["name"] if mark else ""
        if mark is None or name not in MARKS:
            raise BadPage(f"{place}: expected one of {', '.join(MARKS)} above a block, got {lines[above].strip()}")
        text = mark["text"] or ""
        if bool(text) != (name in WITH_TEXT):
            raise BadPage(f"{place}: {name!r} {'needs a text' if name in WITH_TEXT else 'takes no text'}")
        if name == "not run" and len(text) < MIN_REASON_CHARS:
            raise BadPage(f"{place}: expected a reason why the block is not run, got {text!r}")
        marks[name] = text
        above -= 1
    return marks
