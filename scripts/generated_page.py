"""A page of the documentation that a script makes: written, or checked to be current."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def exactly(written: str, made: str) -> bool:
    """Whether a page says what it should, to the letter."""
    return written == made


def write_or_check(
    script: str, target: Path, made: str, arguments: list[str], is_current: Callable[[str, str], bool] = exactly
) -> int:
    """Do what the command line of ``scripts/{script}.py [--check]`` asks; the exit code: 1 not current, 2 misused.

    ``is_current(written, made)`` judges the page that is there. Raises OSError if the page cannot be written.
    """
    if arguments == ["--check"]:
        if target.is_file() and is_current(target.read_text(encoding="utf-8"), made):
            return 0
        print(f"{target.parent.name}/{target.name} is not current: run scripts/{script}.py", file=sys.stderr)
        return 1
    if arguments:
        print(f"usage: {script}.py [--check]", file=sys.stderr)
        return 2
    target.write_text(made, encoding="utf-8")
    return 0
