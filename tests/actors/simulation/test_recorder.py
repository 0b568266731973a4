"""The records of an experiment, fed with events by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actors.simulation.recorder import MAX_STORY, Recorder
from core.events import (
    BanPeer,
    CloseInbound,
    CloseOutbound,
    ConnectOutbound,
    NewInboundPeer,
    NodeFailed,
    PeerInfo,
    UnbanPeer,
)
from core.ids import CloseCode, Direction, PeerId


def peer(number: int) -> PeerInfo:
    return PeerInfo(peer_id=PeerId(f"20.0.0.{number}:5001"), ip_address=f"20.0.0.{number}", port=5001)


def make_node(name: str = "n0") -> Any:
    return SimpleNamespace(name=name, is_running=True, identity=SimpleNamespace(environment=SimpleNamespace(run=0)))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(lambda: 7.0)


def test_connections_are_counted_by_direction(recorder: Recorder) -> None:
    node = make_node()
    for event in (
        ConnectOutbound(peer=peer(1)),
        ConnectOutbound(peer=peer(1)),
        ConnectOutbound(peer=peer(2)),
        NewInboundPeer(peer=peer(3)),
        CloseOutbound(peer=peer(2), code=1000, reason="over"),
        CloseOutbound(peer=peer(9), code=1006, reason="was never open"),
    ):
        recorder.on_event(node, event)
    assert recorder.degree(node) == 2
    assert recorder.degree(node, Direction.OUTBOUND) == 1
    assert recorder.degree(node, Direction.INBOUND) == 1
    assert recorder.peers_of(node, Direction.INBOUND) == [peer(3).peer_id]
    assert [edge.what for edge in recorder.edges] == ["opened"] * 4 + ["closed"] * 2
    node.is_running = False
    assert recorder.degree(node) == 0


def test_a_node_that_comes_back_has_nothing_of_its_last_life(recorder: Recorder) -> None:
    node = make_node()
    recorder.on_event(node, ConnectOutbound(peer=peer(1)))
    recorder.on_event(node, BanPeer(peer_id=PeerId("1.2.3.4:5"), ip_address="1.2.3.4", until=9.0, reason="bad"))
    assert recorder.banned_by(node) == {"1.2.3.4"}
    node.identity.environment.run = 1
    assert recorder.degree(node) == 0
    recorder.on_event(node, NewInboundPeer(peer=peer(2)))
    assert recorder.peers_of(node) == [peer(2).peer_id]
    assert recorder.degree(node, Direction.OUTBOUND) == 0
    assert recorder.banned_by(node) == set()
    assert recorder.edges[-2].reason == "the node was gone"


def test_only_who_decided_an_eviction_counts_it(recorder: Recorder) -> None:
    node, other = make_node(), make_node("n1")
    recorder.on_event(node, NewInboundPeer(peer=peer(1)))
    recorder.on_event(other, ConnectOutbound(peer=peer(2)))
    reason = "Evicted inbound peer 20.0.0.1:5001"
    recorder.on_event(node, CloseInbound(peer=peer(1), code=CloseCode.EVICTED, reason=reason))
    recorder.on_event(other, CloseOutbound(peer=peer(2), code=CloseCode.EVICTED, reason=reason))
    assert [(one.node, one.direction) for one in recorder.evictions] == [("n0", "inbound")]


def test_bans_end_and_dry_runs_do_not_begin(recorder: Recorder) -> None:
    node = make_node()
    for dry_run, ip in ((False, "1.1.1.1"), (True, "2.2.2.2")):
        recorder.on_event(
            node, BanPeer(peer_id=PeerId(f"{ip}:1"), ip_address=ip, until=9.0, reason="x", dry_run=dry_run)
        )
    assert recorder.banned_by(node) == {"1.1.1.1"}
    recorder.on_event(node, UnbanPeer(ip_address="1.1.1.1"))
    assert recorder.banned_by(node) == set()
    assert [ban.until for ban in recorder.bans] == [9.0, 9.0, 0.0]


def test_failures_and_a_story_of_bounded_length(recorder: Recorder) -> None:
    recorder.on_event(make_node(), NodeFailed(reason="no disk"))
    assert recorder.failures[0].text == "n0 failed: no disk"
    for number in range(MAX_STORY + 10):
        recorder.note(f"line {number}")
    assert (len(recorder.story), recorder.story[0].text) == (MAX_STORY, "line 10")
    recorder.count("hits", 2.0)
    recorder.count("hits", 1.0)
    assert recorder.counters == {"hits": 3.0}
