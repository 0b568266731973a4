"""docs/coming-from-lisk-p2p.md is complete: a row for every option, method, event and error of lisk-p2p 0.4 to 0.10.

``version_tables.json`` was read off the eight published packages: what each exports, with its constants.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from actors import P2P, aio
from core import errors
from core.config import options
from core.events import EVENTS
from tests.docs.pages import ROOT

TABLES: dict[str, Any] = json.loads((ROOT / "tests/fixtures/vectors/version_tables.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "coming-from-lisk-p2p.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in PAGE.splitlines() if line.startswith("| ")
]
OPTIONS = {document.lisk_name: document for document in options() if document.lisk_name}

SECTIONS = {"nodeInfo": "node_info"}
"""Options of lisk-p2p that are sections here."""

SEED_METHODS = (
    "start", "stop", "config", "isActive", "nodeInfo", "applyNodeInfo", "getConnectedPeers", "getDisconnectedPeers",
    "request", "send", "broadcast", "requestFromPeer", "sendToPeer", "getNodeInfo", "applyPenaltyOnPeer",
)  # fmt: skip
"""What the README of lisk-p2p 0.4 and 0.5 names."""


def row_with(name: str) -> list[str]:
    """The first row of a table whose first cell names this, between backticks; not those about older names."""
    for row in ROWS:
        if " is " not in row[0] and re.search(rf"`(?:new )?{re.escape(name)}\b[^`]*`", row[0]):
            return row
    raise AssertionError(f"docs/coming-from-lisk-p2p.md has no row for {name}")


@pytest.mark.parametrize("name", TABLES["config"])
def test_every_option_has_its_row_with_our_name(name: str) -> None:
    rows = [row for row in ROWS if row[0] == f"`{name}`" and len(row) == 4]
    assert len(rows) == 1, f"expected one row for the option {name} under 'One by one'"
    ours = SECTIONS.get(name) or OPTIONS[name].name
    assert rows[0][2] == f"`{ours}`"


def test_defaults_are_the_same_and_shown_as_they_are() -> None:
    compared = 0
    for row in ROWS:
        there = re.fullmatch(r"(\d+(?:\.\d+)?)( ms)?", row[1]) if len(row) == 4 else None
        if there is None or row[0].strip("`") not in OPTIONS:
            continue
        default = OPTIONS[row[0].strip("`")].default
        assert isinstance(default, int | float)
        assert default == pytest.approx(float(there[1]) / (1000 if there[2] else 1)), row
        assert row[3].split()[0] == f"{default:.12g}", row
        compared += 1
    assert compared > 15


@pytest.mark.parametrize("name", [*TABLES["methods"], *SEED_METHODS])
def test_every_method_has_its_row_with_a_method_of_ours(name: str) -> None:
    row = row_with(name)
    ours = re.findall(r"`(\w+)", row[1])
    assert ours, row
    assert all(hasattr(P2P, one) and hasattr(aio.P2P, one) for one in ours if one[0].islower()), row


@pytest.mark.parametrize("name", [name for name in TABLES["events"] if name.startswith("EVENT_")])
def test_every_event_has_its_row_with_our_class(name: str) -> None:
    row = row_with(name)
    assert f"`{EVENTS[name].__name__}`" in row[1], row


@pytest.mark.parametrize("name", [name for name in TABLES["events"] if not name.startswith("EVENT_")])
def test_every_name_of_the_wire_is_mentioned(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", TABLES["errors"])
def test_every_error_has_its_row(name: str) -> None:
    row = row_with(name)
    names = set(re.findall(r"`(\w+)`", row[1]))
    known = {one for one in names if hasattr(errors, one)} | names & {event.__name__ for event in EVENTS.values()}
    assert known or "none" in row[1] or "ends" in row[1], row


def test_every_class_and_method_of_ours_that_is_not_lisk_p2ps_is_there_too() -> None:
    for event in EVENTS.values():
        assert f"`{event.__name__}`" in PAGE, event.__name__
    methods = [name for name in dir(P2P) if not name.startswith("_")]
    missing = [name for name in methods if not re.search(rf"`[^`]*\b{name}\b", PAGE)]
    assert not missing, f"the page does not speak of {missing}"
