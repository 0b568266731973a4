"""Compares what a page shows with what a program printed: by shape, because addresses, times and numbers differ."""

from __future__ import annotations

import re

ANY_LINES = "..."
"""A line of a sample that stands for any lines, or the end of a line for any text."""

_REPLACEMENTS = (
    (re.compile(r"\x1b\[[0-9;]*[A-Za-z]"), ""),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?Z?"), "<time>"),
    (re.compile(r"\[[0-9a-f:]+\]:\d+|\b\d{1,3}(?:\.\d{1,3}){3}:\d+"), "<address>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<ip>"),
    (re.compile(r"\b\d[\d,]*\.\d+(?:e[+-]?\d+)?"), "<n>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b"), "<hex>"),
    (re.compile(r"\b\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?::\d\d)*"), "<n>"),
    (re.compile(r"\s+"), " "),
)


def shape(line: str) -> str:
    """The line with everything that differs from run to run replaced by its kind."""
    for pattern, kind in _REPLACEMENTS:
        line = pattern.sub(kind, line)
    return line.strip()


def _fits(sample: str, line: str) -> bool:
    return line.startswith(sample[: -len(ANY_LINES)]) if sample.endswith(ANY_LINES) else line == sample


def missing_lines(sample: str, output: str, *, in_any_order: bool = False) -> list[str]:
    """The lines of a sample that the output has no line for; empty if it fits.

    In order: each line of the sample is found behind the one before it. Lines that the sample leaves out are no
    mistake: pages show what matters.
    """
    wanted = [line for line in sample.splitlines() if line.strip() and line.strip() != ANY_LINES]
    there = [shape(line) for line in output.replace("\r", "\n").splitlines() if line.strip()]
    missing = []
    position = 0
    for line in wanted:
        start = 0 if in_any_order else position
        found = next((index for index in range(start, len(there)) if _fits(shape(line), there[index])), None)
        if found is None:
            missing.append(line)
        elif in_any_order:
            del there[found]
        else:
            position = found + 1
    return missing
