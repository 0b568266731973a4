"""Every option of the configuration does something: it is read somewhere outside ``core/config``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import NodeConfig, options, sections

ROOT = Path(__file__).resolve().parents[2]


def attributes_read(tree: ast.AST) -> Iterator[str]:
    """Names that are read as attributes, or named as text for ``getattr``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def read() -> set[str]:
    """All such names in ``core`` and ``actors``, ``core/config`` aside."""
    files = [path for package in ("core", "actors") for path in (ROOT / package).rglob("*.py")]
    outside = [path for path in files if ROOT / "core" / "config" not in path.parents]
    assert len(outside) > 50
    return {name for path in outside for name in attributes_read(ast.parse(path.read_text(encoding="utf-8")))}


@pytest.mark.parametrize("name", [option.name for option in options()])
def test_every_option_is_read(name: str, read: set[str]) -> None:
    assert name.rpartition(".")[2] in read, f"nothing reads {name}"


def test_the_list_of_options_is_complete() -> None:
    names = {option.name.partition(".")[0] for option in options()}
    assert names == set(NodeConfig.__struct_fields__)
    assert set(sections(NodeConfig)) <= names


def test_a_name_that_nobody_reads_would_be_found(read: set[str]) -> None:
    assert "no_such_option_anywhere" not in read
