"""Why did it do that? The story of a peer, told by a node that met it: rules, numbers, events and log lines."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import actors.peer_book
from actors.api import P2P
from actors.decision_log import LOGGER
from actors.storage import MemoryDisk
from core.decisions import Decision, DecisionKind
from core.errors import Misuse, NotActive
from core.events import ConnectOutbound, DecisionTaken
from core.house_messages import (
    DecisionsTaken,
)
from core.ids import PeerId
from core.messages import (
    ApplyPenalty,
    BanAddress,
    Done,
    Explain,
    Story,
    Subscribe,
    UnbanAddress,
)
from tests.actors.nodes import TestNode, connect
from tests.actors.world import START, World, override

PATIENCE_S = 20.0


def story(node: TestNode, subject: str) -> tuple[Decision, ...]:
    answer = node.ask(Explain, subject)
    assert isinstance(answer, Story), answer
    return answer.decisions


def steps(decisions: tuple[Decision, ...]) -> list[str]:
    return [f"{one.decision.value} by {one.rule}" for one in decisions]


def told(node: TestNode) -> list[Decision]:
    return [event.decision for event in node.events(DecisionTaken)]


def meet(world: World, **options: Any) -> tuple[TestNode, TestNode]:
    """A node that heard of another from its seed, and connected to it."""
    hub = TestNode(world, "10.1.0.1").start()
    other = TestNode(world, "10.2.0.1", seed_peers=["10.1.0.1:5001"]).start()
    connect(other, hub)
    node = TestNode(world, "10.3.0.1", seed_peers=["10.1.0.1:5001"], max_outbound_connections=2, **options).start()
    connect(node, other)
    return node, other


def test_the_story_of_a_peer_from_the_first_rumour_to_the_end_of_its_ban(world: World) -> None:
    node, other = meet(world)
    world.run(30)
    penalised_at = world.time
    for points in (40, 60):
        assert isinstance(node.ask(ApplyPenalty, other.endpoint.peer_id, points, "slow"), Done)
    world.run(60)
    assert isinstance(node.ask(UnbanAddress, "10.2.0.1"), Done)
    known = [one for one in story(node, "10.2.0.1:5001") if one.decision is not DecisionKind.PASSED_OVER]
    assert steps(tuple(known))[:13] == [
        "added by advertised",
        "chosen by outbound_choice",
        "dialled by outbound_slot_free",
        "connected by handshake_done",
        "moved_to_tried by outbound_success",
        "penalised by application_penalty",
        "penalised by application_penalty",
        "banned by reputation_spent",
        "forgotten by removed_on_ban",
        "disconnected by banned_address",
        "refused by banned_address",  # it dialled back
        "refused by banned_address",
        "unbanned by by_hand",
    ]
    assert [one.at for one in known] == sorted(one.at for one in known)
    first, last = known[5:7]
    assert first.numbers == (("points", 40), ("reputation", 60))
    assert last.numbers == (("points", 60), ("reputation", 0))
    assert first.at == pytest.approx(START + penalised_at, abs=0.1), "Unix time"
    ban = known[7]
    assert (ban.subject, ban.source) == ("10.2.0.1", "LIP 0004, Penalties and bans")
    assert ban.numbers == (("until", ban.at + 86400.0), ("duration_s", 86400.0))


def test_both_sides_of_a_connection_have_a_story_of_it(world: World) -> None:
    node, other = meet(world)
    assert steps(story(node, "10.1.0.1:5001"))[:2] == ["dialled by seed_asked", "connected by handshake_done"]
    assert steps(story(other, "10.3.0.1:5001"))[:2] == ["connected by admitted", "added by inbound_connection"]


def test_a_ban_by_hand_is_told_as_one_and_ends_by_itself(world: World) -> None:
    node = TestNode(world, "10.3.0.1").start()
    node.ask(BanAddress, "1.2.3.4", PeerId("1.2.3.4:5001"), "no reason", 60.0)
    # An application need not wait for the answer.
    node.tell(BanAddress(0, "1.2.3.5", PeerId("1.2.3.5:5001"), "no reason", 60.0))
    world.run(61)
    for ip in ("1.2.3.4", "1.2.3.5"):
        assert steps(story(node, ip)) == ["banned by by_hand", "unbanned by ban_ended"]


def test_an_address_has_the_story_of_all_its_ports(world: World) -> None:
    node, _ = meet(world)
    node.ask(BanAddress, "10.2.0.1", PeerId("10.2.0.1:1"), "x")
    world.run(5)
    whole = story(node, "10.2.0.1")
    assert {one.subject for one in whole} == {"10.2.0.1", "10.2.0.1:5001"}
    assert story(node, "::ffff:10.2.0.1") == whole
    assert steps(story(node, "10.2.0.1:9"))[0] == "banned by by_hand"
    assert story(node, "9.9.9.9:9") == ()


@pytest.mark.parametrize("subject", ["", "nobody", "1.2.3.4:", "1.2.3.4:70000", "x" * 100_000])
def test_what_is_neither_peer_nor_address_has_no_story(world: World, subject: str) -> None:
    node = TestNode(world, "10.3.0.1").start()
    assert isinstance(node.fails(Explain, subject), Misuse)


def test_a_node_that_does_not_run_explains_nothing(world: World) -> None:
    node = TestNode(world, "10.3.0.1")
    assert isinstance(node.fails(Explain, "1.2.3.4"), NotActive)
    node.start().stop()
    assert isinstance(node.fails(Explain, "1.2.3.4"), NotActive)


def test_a_new_run_begins_a_new_story(world: World) -> None:
    node = TestNode(world, "10.3.0.1").start()
    node.ask(BanAddress, "1.2.3.4", PeerId("1.2.3.4:1"), "x")
    node.stop()
    node.start()
    assert story(node, "1.2.3.4") == ()


def test_bans_that_outlive_a_restart_are_explained_after_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = MemoryDisk()
    monkeypatch.setattr(actors.peer_book, "storage_of", lambda actor: disk)
    node = TestNode(world, "10.3.0.1", data_dir="data").start()
    node.ask(BanAddress, "1.2.3.4", PeerId("1.2.3.4:1"), "x", 500.0)
    (made,) = story(node, "1.2.3.4")
    node.stop()
    node.start()
    (kept,) = story(node, "1.2.3.4")
    assert steps((kept,)) == ["banned by ban_still_in_force"]
    assert kept.numbers == made.numbers[:1]


# ---- how much ----


def test_only_the_latest_are_kept_as_many_as_configured(world: World) -> None:
    node = TestNode(world, "10.3.0.1", decisions_kept=4).start()
    for number in range(6):
        node.ask(BanAddress, f"1.2.3.{number}", PeerId("1.2.3.4:1"), "x")
    kept = [number for number in range(6) if story(node, f"1.2.3.{number}")]
    assert kept == [2, 3, 4, 5]


def test_nothing_is_sent_to_the_node_that_nobody_wants(world: World) -> None:
    node = TestNode(world, "10.3.0.1", decisions_kept=0)
    node.ask(Subscribe, frozenset({ConnectOutbound.NAME}))
    got: list[DecisionsTaken] = []
    override(node.node, "receiveMsg_DecisionsTaken", lambda message, sender: got.append(message))
    node.start()
    node.ask(BanAddress, "1.2.3.4", PeerId("1.2.3.4:1"), "x")
    world.run(1)
    assert (got, story(node, "1.2.3.4")) == ([], ())
    node.ask(Subscribe, frozenset({DecisionTaken.NAME}))
    node.ask(UnbanAddress, "1.2.3.4")
    world.run(1)
    assert [one.decision for message in got for one in message.decisions] == [DecisionKind.UNBANNED]


# ---- events and lines ----


def test_every_decision_is_an_event_for_who_wants_it(world: World) -> None:
    node, other = meet(world)
    world.run(30)
    subjects = {one.subject for one in told(node)}
    assert {"10.1.0.1:5001", "10.2.0.1:5001"} <= subjects
    for subject in subjects:
        assert [one for one in sorted(told(node), key=lambda one: one.at) if one.subject == subject] == [
            one for one in story(node, subject) if one.subject == subject
        ]
    assert all(one.at >= START for one in told(node)), "a record without a time"
    other.ask(Subscribe, frozenset({ConnectOutbound.NAME}))
    before = len(told(other))
    other.ask(BanAddress, "1.2.3.4", PeerId("1.2.3.4:1"), "x")
    world.run(1)
    assert len(told(other)) == before


def test_every_decision_is_a_line_of_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, LOGGER):
        node = TestNode(world, "10.3.0.1").start()
        node.ask(BanAddress, "1.2.3.4", PeerId("1.2.3.4:1"), "x", 60.0)
    (line,) = (record for record in caplog.records if record.name == LOGGER)
    assert line.levelno == logging.INFO
    (ban,) = story(node, "1.2.3.4")
    until = f"{ban.numbers[0][1]:.0f}"
    assert line.getMessage() == f"1.2.3.4 banned by by_hand (until {until}, duration_s 60; the application)"


# ---- the real thing ----


@pytest.mark.sockets
def test_a_program_asks_for_the_story_of_a_peer_on_loopback() -> None:
    with P2P(host_ip="127.0.0.1", port=0) as first:
        assert first.listen_address is not None
        peer_id = f"127.0.0.1:{first.listen_address[1]}"
        second = P2P(host_ip="127.0.0.1", port=0, seed_peers=[peer_id])
        with second.events(DecisionTaken) as decisions, second:  # in this order: what is decided first is told too
            while decisions.get(PATIENCE_S).decision.decision is not DecisionKind.MOVED_TO_TRIED:
                pass
            lines = [str(decision) for decision in second.explain(peer_id)]
    assert [line.split()[2:6] for line in lines[:2]] == [
        [peer_id, "dialled", "by", "seed_asked"],
        [peer_id, "connected", "by", "handshake_done"],
    ]
