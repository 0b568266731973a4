"""Runs an example by its name, as ``scripts/example`` does; without a name it says which there are."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
INTERRUPTED = 130


def names() -> list[str]:
    """The examples that can be run."""
    return sorted(path.parent.name for path in HERE.glob("*/__main__.py"))


def about(name: str) -> str:
    """The first line of an example's text; it is not imported for that."""
    text = ast.get_docstring(ast.parse((HERE / name / "__main__.py").read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def main(arguments: list[str]) -> int:
    """Run the example; its exit code, 130 for Ctrl-C at whatever moment, 2 for a name that is not there."""
    if not arguments or arguments[0] not in names():
        print("usage: scripts/example NAME [its options]; there is:\n", file=sys.stderr)
        for name in names():
            print(f"  {name:<14} {about(name)}", file=sys.stderr)
        return 2
    name, *rest = arguments
    sys.argv = [f"examples.{name}", *rest]
    try:
        runpy.run_module(f"examples.{name}", run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
