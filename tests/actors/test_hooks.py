"""Rules of the application: found at the start, fenced in while they run."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from actors.hooks import MAX_CHOSEN, UNKNOWN_REASON, HandshakeCheck, chosen, guarded, load_rule
from core.errors import StartFailed
from core.events import PeerInfo
from core.ids import CloseCode, Direction, Endpoint
from core.wire.lisk10 import Lisk10
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery, Refusal
from tests.actors.world import Complaints

LOG = logging.getLogger("ensemble.test")
OWN = NodeInfo(b"\1", "1.1", "own")
HERE = Endpoint("1.2.3.4", 5001)


def a_rule(*arguments: Any) -> str:
    """For ``module:function``."""
    return f"{len(arguments)} arguments"


class Rules:
    """For ``module:class.function``."""

    @staticmethod
    def inside() -> None:
        """Nothing."""


def broken_rule(*arguments: Any) -> None:
    raise RuntimeError("as told")


def test_a_rule_is_a_callable_or_named_or_missing() -> None:
    assert load_rule("o", None) is None
    assert load_rule("o", a_rule) is a_rule
    found = load_rule("o", "tests.actors.test_hooks:a_rule")
    assert found is not None
    assert found(1, 2) == "2 arguments"
    assert load_rule("o", "tests.actors.test_hooks:Rules.inside") is Rules.inside


@pytest.mark.parametrize(
    "name", ["nowhere:rule", "tests.actors.test_hooks:nothing", "tests.actors.test_hooks:OWN", "", ":"]
)
def test_a_rule_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(StartFailed, match="the_option"):
        load_rule("the_option", name)


def test_a_module_that_cannot_be_imported_is_a_failed_start(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ensemble_broken_rules.py").write_text("raise RuntimeError('broken module')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StartFailed, match="broken module"):
        load_rule("the_option", "ensemble_broken_rules:rule")


def test_a_rule_that_raises_or_returns_nonsense_is_mute_and_logged(complaints: Complaints) -> None:
    rule = guarded("the_option", broken_rule, LOG)
    assert rule is not None
    assert rule(1) is None
    complaints.expect("the_option raised")
    rule = guarded("the_option", lambda: 7, LOG, chosen)
    assert rule is not None
    assert rule() is None
    complaints.expect("the_option raised")
    assert guarded("the_option", None, LOG) is None


def test_what_a_rule_returns_is_brought_into_shape() -> None:
    rule = guarded("o", lambda: [1, 2], LOG, chosen)
    assert rule is not None
    assert rule() == (1, 2)
    rule = guarded("o", lambda: None, LOG, chosen)
    assert rule is not None
    assert rule() is None


def test_a_generator_that_never_ends_ends() -> None:
    def endless() -> Iterator[int]:
        return itertools.count()

    assert len(chosen(endless())) == MAX_CHOSEN


# ---- the handshake ----


def judged(check: HandshakeCheck, theirs: PeerQuery | NodeInfo) -> Refusal | None:
    """What becomes of a node: the dialect's verdict, reviewed."""
    verdict = Lisk10().check_compatibility(theirs, OWN)
    if isinstance(theirs, PeerQuery):
        opener = check.of_opener("1.2.3.4")
        return opener(theirs, OWN, verdict) if opener is not None else verdict
    remote = check.of(HERE, Direction.OUTBOUND)
    return remote(theirs, OWN, verdict) if remote is not None else verdict


def query(**more: Any) -> PeerQuery:
    values = {"chain_id": b"\2", "network_version": "9.9", "nonce": "theirs", "advertise_address": False, **more}
    return PeerQuery(5001, **values)


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (None, None),
        (True, None),
        (False, UNKNOWN_REASON),
        ("too old", "too old"),
        ("", UNKNOWN_REASON),
        ("x" * 999, "x" * 200),
    ],
)
def test_the_check_decides_in_place_of_chain_and_version(returned: object, reason: str | None) -> None:
    check = HandshakeCheck(lambda peer, own: returned, LOG)
    expected = None if reason is None else Refusal(CloseCode.INCOMPATIBLE, reason)
    assert judged(check, query()) == expected
    info = NodeInfo(b"\2", "9.9", "theirs")
    assert judged(check, info) == expected


def test_the_check_is_told_what_is_known_of_the_peer() -> None:
    seen: list[tuple[PeerInfo, NodeInfo]] = []
    check = HandshakeCheck(lambda peer, own: seen.append((peer, own)), LOG)
    judged(check, query())
    judged(check, NodeInfo(b"\2", "9.9", "theirs", False, {"height": 7}))
    inbound, outbound = seen[0][0], seen[1][0]
    assert (inbound.peer_id, inbound.chain_id, inbound.network_version) == ("1.2.3.4:5001", b"\2", "9.9")
    assert (inbound.nonce, inbound.advertise_address, inbound.direction) == ("theirs", False, Direction.INBOUND)
    assert (outbound.options, outbound.direction) == ({"height": 7}, Direction.OUTBOUND)
    assert seen[0][1] is OWN


@pytest.mark.parametrize("rule", [broken_rule, lambda peer, own: 7, lambda peer: True, lambda *_: b"text"])
def test_a_broken_check_leaves_it_to_chain_and_version(rule: Any, complaints: Complaints) -> None:
    check = HandshakeCheck(rule, LOG)
    assert judged(check, query(chain_id=b"\1", network_version="1.9")) is None
    refusal = judged(check, query())
    assert refusal is not None
    assert refusal.code == CloseCode.INCOMPATIBLE
    complaints.expect("peer_handshake_check failed")


def test_no_check_lets_the_node_connect_to_itself() -> None:
    check = HandshakeCheck(lambda peer, own: True, LOG)
    refusal = judged(check, query(nonce="own"))
    assert refusal is not None
    assert refusal.code == CloseCode.OWN_NONCE


def test_without_a_check_chain_and_version_decide() -> None:
    check = HandshakeCheck(None, LOG)
    assert check.of_opener("1.2.3.4") is None
    assert check.of(HERE, Direction.OUTBOUND) is None
