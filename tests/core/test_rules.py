"""The rules by name: stable, told apart, and found by what the protocol says."""

from __future__ import annotations

import re

import pytest

from core import rules
from core.book import rules as book_rules
from core.decisions import Rule
from core.ids import CloseCode


def all_rules() -> list[Rule]:
    named = [value for module in (rules, book_rules) for value in vars(module).values() if isinstance(value, Rule)]
    return [*named, *rules.REFUSALS.values()]


def test_names_are_for_programs_and_sources_for_people() -> None:
    for rule in all_rules():
        assert re.fullmatch(r"[a-z0-9_]+", rule.name), rule
        assert rule.source
    assert len(all_rules()) > 60


def test_one_name_is_one_rule() -> None:
    sources: dict[str, set[str]] = {}
    for rule in all_rules():
        sources.setdefault(rule.name, set()).add(rule.source)
    assert {name: found for name, found in sources.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (CloseCode.OWN_NONCE, "own_address"),
        (4104, "incompatible_peer"),
        (CloseCode.FORBIDDEN, "banned_address"),
        (4999, "handshake_refused"),  # an application's check may use any
    ],
)
def test_a_refusal_is_known_by_its_close_code(code: int, name: str) -> None:
    assert rules.refusal(code).name == name


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("invalid_node_info", "LIP 0004, Penalties and bans"),
        ("packet_rate", "LIP 0004, Penalties and bans"),
        ("not_json", "docs/protocol.md, Misbehaviour"),
    ],
)
def test_misconduct_names_its_source(name: str, source: str) -> None:
    assert rules.misconduct(name) == Rule(name, source)


@pytest.mark.parametrize(
    ("code", "by_us", "was_connected", "name"),
    [
        (1000, True, True, "closed_by_us"),
        (1000, False, True, "closed_by_peer"),
        (1006, False, True, "connection_lost"),
        (1006, False, False, "dial_failed"),
        (1006, True, False, "dial_failed"),
        (401, False, False, "refused_by_peer"),
        (4101, False, False, "own_address"),
    ],
)
def test_an_ending_is_told_by_code_side_and_stage(code: int, by_us: bool, was_connected: bool, name: str) -> None:
    assert rules.ending(code, by_us=by_us, was_connected=was_connected).name == name
