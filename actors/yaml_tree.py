"""YAML as a tree of nodes with their places: parsed with limits, without tags that build objects, aliases, or repeated
keys.

PyYAML's composer gives nodes with line and column; values are built here, by what the option wants, because YAML 1.1
reads ``00000001`` as the number 1 and ``1.10`` as 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

MAX_DEPTH = 32
"""Levels of nesting. The composer recurses: a file of a million brackets must not exhaust the stack."""

MAX_NODES = 50_000
"""Values in a file; a full list of previous peers has some 6,000."""

_FLOAT_LIKE = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+")

_TAG = "tag:yaml.org,2002:"


class YamlProblem(Exception):
    """The text cannot be used; ``line`` and ``column`` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column

    @classmethod
    def at(cls, mark: Any, message: str) -> YamlProblem:
        """The problem at one of PyYAML's marks (None: unknown, the start)."""
        return cls(message, mark.line + 1, mark.column + 1) if mark else cls(message, 1, 1)


class _Loader(yaml.SafeLoader):
    """The safe loader's scanner and composer, with aliases refused and depth and size capped."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose one node. Raises YamlProblem beyond the caps, and for an alias (they make small files huge)."""
        if self.check_event(yaml.AliasEvent):
            raise YamlProblem.at(self._here(), "aliases (*name) are not supported")
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            limit = f"at most {MAX_DEPTH} levels and {MAX_NODES} values are allowed"
            raise YamlProblem.at(self._here(), limit)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _here(self) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        return event.start_mark


def parse(text: str) -> Any:
    """Return the root node of the single document in ``text``, None if it is empty. Raises YamlProblem."""
    try:
        return _Loader(text).get_single_node()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise YamlProblem(f"character U+{int(error.character):04X} is not allowed in YAML", line, column) from None
    except yaml.MarkedYAMLError as error:
        message = error.problem or str(error)
        if "'\\t'" in message:
            message = "a tab is not allowed here; YAML is indented with spaces"
        context = f" ({error.context})" if error.context else ""
        raise YamlProblem.at(error.problem_mark or error.context_mark, f"not valid YAML: {message}{context}") from None


def entries(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (key node, value node) of a mapping; nothing for an empty document or section.

    Raises YamlProblem if it is no mapping, a key is no text, or a key is repeated (one of the two would be ignored).
    """
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}null"):
        return
    if not isinstance(node, yaml.MappingNode):
        raise YamlProblem.at(node.start_mark, f"expected a mapping (name: value), got {_kind(node)}")
    seen: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise YamlProblem.at(key.start_mark, f"expected a name, got {_kind(key)}")
        if key.tag == f"{_TAG}merge":
            raise YamlProblem.at(key.start_mark, "merge keys (<<) are not supported")
        if key.value in seen:
            raise YamlProblem.at(key.start_mark, f"{key.value[:80]} is given twice, first in line {seen[key.value]}")
        seen[key.value] = key.start_mark.line + 1
        yield key, value


def scalar_text(node: Any) -> str:
    """The text of a key, cut to what can be a name."""
    return str(node.value)[:200]


def build(node: Any, plain_is_text: bool, name: str, places: dict[str, tuple[int, int]]) -> Any:
    """Return the Python value of a node; notes line and column of every list item in ``places`` by its dotted name.

    ``plain_is_text``: a plain scalar is the text that was written, whatever type YAML sees in it (null stays None).
    Raises YamlProblem for tags that are not plain data, for numbers that cannot be, and as :func:`entries`.
    """
    if node is None:
        return None
    if isinstance(node, yaml.MappingNode):
        return {scalar_text(key): build(item, False, f"{name}.{key.value}", places) for key, item in entries(node)}
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            places[f"{name}[{index}]"] = (item.start_mark.line + 1, item.start_mark.column + 1)
            items.append(build(item, plain_is_text, f"{name}[{index}]", places))
        return items
    return _scalar(node, plain_is_text)


def _scalar(node: Any, plain_is_text: bool) -> Any:
    kind = node.tag.removeprefix(_TAG)
    if kind == "null":
        return None
    if kind in {"str", "timestamp"} or (plain_is_text and node.style is None and kind in {"int", "float", "bool"}):
        # YAML 1.1 wants a point in 1e3; people do not.
        is_number = node.style is None and not plain_is_text and _FLOAT_LIKE.fullmatch(node.value)
        return float(node.value) if is_number else node.value
    reader = {
        "int": yaml.SafeLoader.construct_yaml_int,
        "float": yaml.SafeLoader.construct_yaml_float,
        "bool": yaml.SafeLoader.construct_yaml_bool,
        "binary": yaml.SafeLoader.construct_yaml_binary,
    }.get(kind)
    if reader is None:
        raise YamlProblem.at(node.start_mark, f"tag {node.tag[:80]} is not supported")
    try:
        return reader(yaml.SafeLoader(""), node)
    except (ValueError, KeyError, yaml.YAMLError):
        raise YamlProblem.at(node.start_mark, f"{node.value[:40]!r} is not a valid {kind}") from None


def _kind(node: Any) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value[:40])
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
