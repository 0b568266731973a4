"""What a page calls by name exists: options with values they take, methods, classes, modules, parts of lisk-p2p."""

from __future__ import annotations

import functools
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.config_sources import load_config
from core.config import NodeConfig, options
from core.errors import ConfigError
from tests.docs.pages import ROOT, Block, all_blocks, pages, prose_of
from tests.docs.test_commands import INLINE

SNAKE = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")
CLASS = re.compile(r"^[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+$")
DOTTED = re.compile(r"^(?:core|actors|examples)(?:\.\w+)+$")
SETTING = re.compile(r"^([a-z][a-z0-9_.]*): (\S.*)$")
KEYWORD = re.compile(r"^([a-z][a-z0-9]*_[a-z0-9_]*)=([^=].*)$")

OTHERS = frozenset({"PyYAML", "WebSocket", "P2PPeerInfo", "my_rules"})
"""Names of other people's programs, and of the reader's, that look like ours."""

OPTIONS = {document.name: document for document in options()}


@functools.cache
def known_words() -> frozenset[str]:
    """Every identifier in the project's sources, and every word in its texts: what a page may speak of."""
    words: set[str] = set()
    for place in ("core", "actors", "scripts", "examples", "tests", "configs"):
        for path in (ROOT / place).rglob("*"):
            if path.suffix in (".py", ".yaml", ".js") and "node_modules" not in path.parts:
                words.update(re.findall(r"[A-Za-z_]\w*", path.read_text(encoding="utf-8")))
    words.update(path.stem for place in ("core", "actors", "scripts", "tests") for path in (ROOT / place).rglob("*.py"))
    # Tables name the tests of one file without what all of them begin with.
    words.update(word.removeprefix("test_row_").removeprefix("test_lip_") for word in tuple(words))
    for path in (ROOT / "tests" / "fixtures").rglob("*.json"):
        words.add(path.stem)
        text = path.read_text(encoding="utf-8")
        words.update(re.findall(r"\w+", text) if path.stem == "version_tables" else SNAKE.findall(text))
    return frozenset(words)


@functools.cache
def thespian_words() -> frozenset[str]:
    """What a page may say of Thespian."""
    import thespian.actors

    return frozenset(dir(thespian.actors))


def spans(page: Path) -> list[tuple[str, str]]:
    """Every text between backticks with its place."""
    text = prose_of(page)
    return [
        (f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}", match[1])
        for match in INLINE.finditer(text)
    ]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_name_between_backticks_exists(page: Path) -> None:
    unknown = []
    for place, code in spans(page):
        names = set(SNAKE.findall(code)) | ({code} if CLASS.match(code) else set())
        unknown += [f"{place}: {name}" for name in names - known_words() - thespian_words() - OTHERS]
        if DOTTED.match(code) and not _importable(code):
            unknown.append(f"{place}: {code}")
    assert not unknown, "nothing in the project is called so:\n" + "\n".join(unknown)


def _importable(name: str) -> bool:
    """Whether a dotted name leads to a module, or to something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None) or getattr(found, "__annotations__", {}).get(part)
            if found is None:
                return False
        return True
    return False


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_option_between_backticks_takes_the_value_shown(page: Path) -> None:
    """``ban_mode: dry-run`` and ``max_inbound_connections=0``; ``...`` stands for any value."""
    for place, code in spans(page):
        setting = SETTING.match(code) or KEYWORD.match(code)
        if setting is None or setting[1] not in OPTIONS or "..." in setting[2]:
            continue
        name, value = setting[1], yaml.safe_load(setting[2].replace("'", '"'))
        for part in reversed(name.split(".")):
            value = {part: value}
        try:
            NodeConfig.from_mapping(value)
        except ConfigError as error:
            pytest.fail(f"{place}: {error}")


CONFIGURATIONS = [block for block in all_blocks() if block.language in ("yaml", "json") and block.runs]


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=lambda block: f"{block.page.name}:{block.line}")
def test_every_configuration_is_one(block: Block, tmp_path: Path) -> None:
    """YAML with an option of a node in it is a whole configuration; what else there is must at least be YAML."""
    if block.language == "json":
        json.loads(block.code)
        return
    found = yaml.safe_load(block.code)
    assert isinstance(found, dict | list), f"{block.place}: expected a mapping or a list"
    if isinstance(found, dict) and set(found) & set(NodeConfig.__struct_fields__):
        file = tmp_path / "node.yaml"
        file.write_text(block.code, encoding="utf-8")
        try:
            assert load_config(file).origins
        except ConfigError as error:
            pytest.fail(f"{block.place}: {error}")


def test_the_search_for_names_finds_what_is_not_there() -> None:
    assert {"max_outbound_connections", "receiveMsg_Query", "PeerPool"} <= known_words()
    assert _importable("core.config.NodeConfig")
    assert _importable("actors.api.P2P.stop")
    assert not _importable("core.config.NoSuchThing")
    assert not _importable("core.nowhere")
