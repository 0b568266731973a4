"""What an inbound eviction leaves behind: why this one went, and what spared each of the others."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

from core.decisions import DecisionKind
from core.events import PeerInfo
from core.evict import NO_PROTECTION, ProtectionRatios, VictimRule, judge, select_victim
from core.ids import Direction, Endpoint, PeerKind

SECRET = b"s" * 32
BITCOIN, LIP = "Bitcoin Core, inbound eviction", "LIP 0004, Inbound eviction"


def peer(number: int, **more: object) -> PeerInfo:
    """A peer in a net group of its own; the higher the number, the younger."""
    endpoint = Endpoint(f"{number + 1}.{number + 1}.0.1", 5001)
    fields = {"connected_at": 1000.0 + number, "direction": Direction.INBOUND, **more}
    return PeerInfo(peer_id=endpoint.peer_id, ip_address=endpoint.ip, port=endpoint.port, **fields)  # type: ignore[arg-type]


def test_the_victim_is_told_with_the_size_of_its_group() -> None:
    crowd = [
        PeerInfo(peer_id=Endpoint(f"9.9.0.{n}", 1).peer_id, ip_address=f"9.9.0.{n}", port=1, connected_at=float(n))
        for n in range(1, 5)
    ]
    verdict = judge([peer(0), *crowd], NO_PROTECTION, SECRET, Random(1))
    assert verdict.victim == crowd[-1]
    assert verdict.rule == ("youngest_of_largest_group", BITCOIN)
    assert verdict.numbers == (("group_size", 4), ("unprotected", 5))
    assert verdict.protected == ()


def test_a_random_victim_is_told_as_one() -> None:
    verdict = judge([peer(n) for n in range(5)], NO_PROTECTION, SECRET, Random(1), VictimRule.RANDOM)
    assert (verdict.rule, verdict.numbers) == (("random_victim", LIP), (("unprotected", 5),))


def test_every_spared_peer_is_told_once_with_the_quality_that_spared_it() -> None:
    peers = [peer(n, latency_ms=10.0 + n if n < 10 else None) for n in range(39)]
    peers += [peer(39, response_rate=0.5), peer(40, kind=PeerKind.WHITELISTED)]
    verdict = judge(peers, ProtectionRatios(0.05, 0.1, 0.1, 0.5), SECRET, Random(3))
    assert verdict.victim is not None
    subjects = [decision.subject for decision in verdict.protected]
    assert len(set(subjects)) == len(subjects)
    assert verdict.victim.peer_id not in subjects
    assert {decision.decision for decision in verdict.protected} == {DecisionKind.PROTECTED}
    assert len(subjects) + dict(verdict.numbers)["unprotected"] == len(peers)
    rules = Counter(decision.rule for decision in verdict.protected)
    assert rules["never_evicted"] == 1
    assert rules["protected_by_net_group"] == 2
    assert rules["protected_by_latency"] == 4
    assert rules["protected_by_response_rate"] <= 1  # nobody else has answered anything
    left = len(peers) - sum(rules[name] for name in rules if name != "protected_by_longevity")
    assert rules["protected_by_longevity"] == math.ceil(left * 0.5)


def test_the_numbers_say_how_good_and_which_place() -> None:
    peers = [peer(n, latency_ms=100.0 - n, response_rate=n / 100) for n in range(10)]
    quick = judge(peers, ProtectionRatios(0, 0.2, 0, 0), SECRET, Random(1)).protected
    assert [(one.subject, one.rule, one.numbers) for one in quick] == [
        (peers[9].peer_id, "protected_by_latency", (("latency_ms", 91.0), ("rank", 1), ("protected", 2))),
        (peers[8].peer_id, "protected_by_latency", (("latency_ms", 92.0), ("rank", 2), ("protected", 2))),
    ]
    (useful,) = judge(peers, ProtectionRatios(0, 0, 0.1, 0), SECRET, Random(1)).protected
    assert (useful.subject, useful.numbers[0]) == (peers[9].peer_id, ("response_rate", 0.09))
    (old,) = judge(peers, ProtectionRatios(0, 0, 0, 0.1), SECRET, Random(1)).protected
    assert (old.subject, old.numbers[0], old.source) == (peers[0].peer_id, ("connected_at", 1000.0), LIP)


def test_where_nobody_may_go_there_is_no_victim() -> None:
    trusted = [peer(1, kind=PeerKind.FIXED)]
    verdict = judge(trusted, NO_PROTECTION, SECRET, Random(1))
    assert verdict.victim is None
    (spared,) = verdict.protected
    assert str(spared) == "2.2.0.1:5001 protected by never_evicted (LIP 0004, Static lists)"


def test_the_short_form_chooses_the_same() -> None:
    peers = [peer(n) for n in range(30)]
    for seed in range(20):
        judged = judge(peers, ProtectionRatios(), SECRET, Random(seed)).victim
        assert judged == select_victim(peers, ProtectionRatios(), SECRET, Random(seed))
