"""``ban_mode: dry-run`` with whole nodes: reports, and nothing else. What the program bans is banned."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.events import BanPeer, FailedToAddInboundPeer, PenaltyApplied, UnbanPeer
from core.ids import Endpoint, PeerId
from core.messages import (
    ApplyPenalty,
    BanAddress,
    Done,
    GetBans,
    GetNetworkStats,
    UnbanAddress,
)
from tests.actors.nodes import TestNode
from tests.actors.raw_wire import QUERY, RawOpener
from tests.actors.transport.fakes import PING, PONG, frame
from tests.actors.world import World

HERE = Endpoint("10.1.0.1", 5001)
GUEST = PeerId("10.9.0.1:7000")


class Scene:
    """A node in a dry run, and openers of 10.9.0.1."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self.node = TestNode(world, HERE.ip, **{"ban_mode": "dry-run", **options}).start()
        self.openers: list[RawOpener] = []

    def opener(self, port: int = 7000) -> RawOpener:
        query = QUERY.replace("7000", str(port)).replace("bb&", f"{port:04}&")
        self.openers.append(RawOpener(self.world, HERE, ip="10.9.0.1", query=query))
        return self.openers[-1]

    def guest(self, port: int = 7000) -> RawOpener:
        guest = self.opener(port).shake_hands()
        assert len(guest.texts) == 2
        return guest

    def send(self, opener: RawOpener, *packets: object) -> None:
        opener.send(b"".join(map(opener.text, packets)))
        opener.run()

    def reports(self) -> list[tuple[str, str, bool]]:
        return [(event.peer_id, event.reason, event.dry_run) for event in self.node.events(BanPeer)]

    def is_free(self) -> bool:
        """Nobody is banned, nobody is refused, and statistics say so."""
        stats = self.node.ask(GetNetworkStats)
        assert self.node.ask(GetBans).bans == ()
        assert (stats.bans_total, stats.banned_addresses) == (0, 0)
        return self.opener(7999).status.endswith("101 Switching Protocols")


@pytest.fixture
def make(world: World) -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make_one(**options: Any) -> Scene:
        scenes.append(Scene(world, **options))
        return scenes[-1]

    yield make_one
    for scene in scenes:
        for opener in scene.openers:
            opener.close()


@pytest.fixture
def scene(make: Callable[..., Scene]) -> Scene:
    return make()


def test_faults_are_reported_and_nothing_happens(scene: Scene) -> None:
    guest = scene.guest()
    scene.send(guest, "junk", "more junk", {"event": "#subscribe", "data": {}})
    guest.send(frame(PONG))
    guest.run()
    assert scene.reports() == [(GUEST, "not_json", True)], "once for a connection"
    assert [(event.reason, event.dry_run) for event in scene.node.events(PenaltyApplied)] == [
        ("not_json", True),
        ("not_json", True),
        ("reserved_event", True),
        ("control_frame", True),
    ]
    assert not guest.ended
    assert [peer.reputation for peer in scene.node.peers()] == [0]
    assert scene.is_free()


def test_the_report_says_until_when_it_would_have_been(scene: Scene) -> None:
    scene.send(scene.guest(), "junk")
    (event,) = scene.node.events(BanPeer)
    now = scene.world.environment.wall_now()
    assert event.ip_address == "10.9.0.1"
    assert event.until == pytest.approx(now + 86_400.0, abs=1.0)
    scene.world.run(event.until - now + 1)
    assert scene.node.events(UnbanPeer) == [], "what was not made does not end"


def test_each_connection_is_reported(scene: Scene) -> None:
    for port in (7000, 7001):
        scene.send(scene.guest(port), "junk", "junk")
    assert [peer_id for peer_id, _, _ in scene.reports()] == ["10.9.0.1:7000", "10.9.0.1:7001"]
    assert len(scene.node.peers()) == 2


def test_the_peer_book_keeps_what_it_knows(scene: Scene) -> None:
    scene.send(scene.guest(), "junk")
    assert [entry.endpoint.peer_id for entry in scene.node.book.book.all()] == [GUEST]


def test_penalties_of_the_program_are_reported_too(scene: Scene) -> None:
    guest = scene.guest()
    assert isinstance(scene.node.ask(ApplyPenalty, GUEST, 100, "spam"), Done)
    guest.run(1.0)
    assert scene.reports() == [(GUEST, "spam", True)]
    assert not guest.ended
    assert scene.is_free()


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_a_control_frame_before_the_handshake_is_reported_and_the_opener_let_in(scene: Scene, opcode: int) -> None:
    opener = scene.opener()
    for _ in range(3):
        opener.send(frame(opcode))
        opener.run()
    assert scene.reports() == [(GUEST, "control_frame", True)]
    assert len(scene.node.events(PenaltyApplied)) == 3
    opener.shake_hands()
    assert [json.loads(text).get("rid") for text in opener.texts] == [None, 1]
    assert scene.is_free()


def test_a_first_packet_at_fault_is_no_handshake_and_leads_to_no_ban(scene: Scene) -> None:
    opener = scene.opener().shake_hands("junk")
    assert opener.close_code == 4009
    assert scene.reports() == [(GUEST, "not_json", True)]
    assert [event.code for event in scene.node.events(FailedToAddInboundPeer)] == [4009]
    assert scene.is_free()


def test_leaving_again_and_again_is_reported(make: Callable[..., Scene]) -> None:
    scene = make(max_inbound_per_ip=100)
    guests = [scene.guest(7000 + number) for number in range(12)]
    for guest in guests:
        guest.send(guest.text({"event": "#disconnect", "data": {"code": 1000}}))
        guest.run()
        guest.close()
    guests[-1].world.run(0.1)
    assert [(reason, dry_run) for _, reason, dry_run in scene.reports()] == [("disconnect_rate", True)]
    assert scene.is_free()


def test_leaving_again_and_again_is_banned_otherwise(make: Callable[..., Scene]) -> None:
    scene = make(max_inbound_per_ip=100, ban_mode="enforce")
    guests = [scene.guest(7000 + number) for number in range(12)]
    for guest in guests[:11]:
        guest.send(guest.text({"event": "#disconnect", "data": {"code": 1000}}))
        guest.run()
        guest.close()
    scene.world.run(0.1)
    assert [(reason, dry_run) for _, reason, dry_run in scene.reports()] == [("disconnect_rate", False)]
    guests[11].run()
    assert guests[11].close_code == 1000, "the one that stayed goes with its address"
    assert scene.opener().status.endswith("401 Unauthorized")


def test_what_the_program_bans_is_banned(scene: Scene) -> None:
    guest = scene.guest()
    assert isinstance(scene.node.ask(BanAddress, "10.9.0.1", GUEST, "by hand"), Done)
    guest.run(1.0)
    assert guest.close_code == 1000
    assert scene.reports() == [(GUEST, "by hand", False)]
    assert scene.opener().status.endswith("401 Unauthorized")
    assert isinstance(scene.node.ask(UnbanAddress, "10.9.0.1"), Done)
    assert scene.opener(7001).status.endswith("101 Switching Protocols")


@pytest.mark.parametrize("option", ["fixed_peers", "whitelisted_peers", "seed_peers"])
def test_no_report_for_an_address_that_would_not_be_banned(make: Callable[..., Scene], option: str) -> None:
    scene = make(**{option: ["10.9.0.1:6000"]})
    scene.send(scene.guest(), "junk")
    assert scene.reports() == []
    assert len(scene.node.events(PenaltyApplied)) == 1


def test_enforce_is_the_default(world: World, make: Callable[..., Scene]) -> None:
    scene = make(ban_mode="enforce")
    guest = scene.guest()
    scene.send(guest, "junk")
    assert guest.ended
    assert scene.reports() == [(GUEST, "not_json", False)]
    assert [event.dry_run for event in scene.node.events(PenaltyApplied)] == [False]
    assert TestNode(world, "10.2.0.1").start().node.charter.config.ban_mode == "enforce"  # type: ignore[union-attr]
