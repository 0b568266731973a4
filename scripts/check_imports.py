"""Enforces who may import what (docs/architecture.md): ``check_imports.py [ROOT]`` prints ``file:line: rule``.

Data and requirements flow one way, scripts -> actors -> core. ``core`` is pure: it reads no clock, draws no entropy,
opens nothing. Only transports and system bases touch sockets, only system bases touch clock and entropy. Exit code 1
if a rule is broken. Reads the syntax tree only; nothing is imported or run.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

IMPURE = frozenset(
    {
        "actors",
        "asyncio",
        "concurrent",
        "http",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "pty",
        "queue",
        "sched",
        "scripts",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "socketserver",
        "sqlite3",
        "ssl",
        "subprocess",
        "tempfile",
        "tests",
        "thespian",
        "threading",
        "time",
        "urllib.request",
        "uuid",
        "_thread",
    }
)
"""What ``core`` may not import."""

CLOCK_AND_ENTROPY = frozenset({"time", "secrets", "uuid"})
ENTROPY_OF_OS = frozenset({"urandom", "getrandom"})
NETWORK = frozenset({"socket", "socketserver"})

SOCKET_ROOMS = ("actors/transport/", "actors/bases/")
CLOCK_ROOMS = ("actors/bases/",)
CLOCK_FILES = frozenset({"actors/api.py", "actors/cli_run.py", "actors/thread_run.py"})
"""The program's side of the node: deadlines of blocking calls, the status line. No actor lives here."""

Finding = tuple[int, str]


def imported(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Yield ``(module, name)`` for what ``node`` imports; ``name`` is None for a plain ``import module``.

    Calls of ``__import__`` and ``import_module`` with a literal name count as imports.
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, None
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        for alias in node.names:
            yield node.module, alias.name
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in {"__import__", "import_module"} and isinstance(node.args[0].value, str):
            yield node.args[0].value, None


def check_core(tree: ast.AST) -> Iterator[Finding]:
    """Rules of ``core``."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        for module, _ in imported(node):
            banned = {module, module.partition(".")[0]} & IMPURE
            if banned:
                yield line, f"core may not import {banned.pop()}: it is pure, and depends on nothing above it"
        if isinstance(node, ast.ImportFrom) and node.level:
            yield line, "use absolute imports"
    yield from check_random(tree, "core takes a random.Random as a parameter", may_make=False)


def check_random(tree: ast.AST, rule: str, *, may_make: bool) -> Iterator[Finding]:
    """Allow ``random`` only for the type ``Random``; with ``may_make``, also seeded instances (``Random(seed)``).

    The functions of the module share one hidden generator that the system seeds: no run could be repeated.
    """
    for node in ast.walk(tree):
        for module, name in imported(node):
            if module == "random" and name not in {None, "Random"}:
                yield getattr(node, "lineno", 0), f"random.{name}: {rule}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
            if node.attr != "Random":
                yield node.lineno, f"random.{node.attr}: {rule}"
        elif isinstance(node, ast.Call) and is_random_type(node.func):
            seeded = bool(node.args or node.keywords)
            if not (may_make and seeded):
                yield node.lineno, f"Random(...): {rule}"


def is_random_type(func: ast.expr) -> bool:
    """Tell whether a called expression is ``Random`` or ``random.Random``."""
    if isinstance(func, ast.Attribute):
        return func.attr == "Random" and isinstance(func.value, ast.Name) and func.value.id == "random"
    return isinstance(func, ast.Name) and func.id == "Random"


def check_actors(tree: ast.AST, path: str) -> Iterator[Finding]:
    """Rules of ``actors``; ``path`` is relative to the project, with forward slashes."""
    sockets_allowed = path.startswith(SOCKET_ROOMS)
    clock_allowed = path.startswith(CLOCK_ROOMS) or path in CLOCK_FILES
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        for module, name in imported(node):
            top = module.partition(".")[0]
            if top in {"tests", "scripts"}:
                yield line, f"actors may not import {top}: requirements flow scripts -> actors -> core"
            if top in NETWORK and not sockets_allowed:
                yield line, f"only {' and '.join(SOCKET_ROOMS)} may import {top}"
            if top in CLOCK_AND_ENTROPY and not clock_allowed:
                yield line, f"only {CLOCK_ROOMS[0]} may import {top}: actors get time and randomness from their base"
            if top == "os" and name in ENTROPY_OF_OS and not clock_allowed:
                yield line, f"only {CLOCK_ROOMS[0]} may use os.{name}"
        if isinstance(node, ast.Attribute) and node.attr in ENTROPY_OF_OS and not clock_allowed:
            yield line, f"only {CLOCK_ROOMS[0]} may use {node.attr}"
    if not clock_allowed:
        yield from check_random(tree, "actors get their generator from their base", may_make=True)


def check_file(path: Path, relative: str) -> list[Finding]:
    """Return the broken rules of one file, by line. A file that does not parse is a finding too."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=relative)
    except (SyntaxError, UnicodeDecodeError) as error:
        return [(getattr(error, "lineno", None) or 1, f"cannot be parsed: {error}")]
    found = check_core(tree) if relative.startswith("core/") else check_actors(tree, relative)
    return sorted(set(found))


def check_tree(root: Path) -> list[str]:
    """Return ``file:line: rule`` for every broken rule below ``root``'s ``core`` and ``actors``."""
    lines = []
    for package in ("core", "actors"):
        for path in sorted((root / package).rglob("*.py")):
            relative = path.relative_to(root).as_posix()
            lines += [f"{relative}:{line}: {rule}" for line, rule in check_file(path, relative)]
    return lines


def main(arguments: list[str]) -> int:
    """Check the tree given, or the project this script belongs to."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    if not (root / "core").is_dir():
        print(f"check_imports: {root}: expected a directory that holds core/ and actors/", file=sys.stderr)
        return 2
    found = check_tree(root)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
