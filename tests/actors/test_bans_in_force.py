"""Bans among the actors: who is told, what is closed, what a crash loses (nothing), whom trust protects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors.peer_book import PeerBook
from actors.peer_pool import PeerPool
from actors.peer_server import PeerServer
from core.errors import Misuse
from core.events import BanPeer, FailedToAddInboundPeer, PenaltyApplied, UnbanPeer
from core.house_messages import (
    AddressBanned,
    AddressUnbanned,
    BansInForce,
)
from core.ids import Direction, Endpoint, PeerId
from core.messages import (
    ApplyPenalty,
    Ban,
    BanAddress,
    Done,
    GetBans,
    UnbanAddress,
)
from tests.actors.nodes import TestNode, connect
from tests.actors.raw_wire import QUERY, RawOpener
from tests.actors.world import Complaints, World

HERE = Endpoint("10.1.0.1", 5001)
DAY_S = 86_400.0
BAD = "10.9.0.1"


@pytest.fixture
def dial(world: World) -> Iterator[Callable[..., RawOpener]]:
    """Raw openers, closed in the end."""
    made: list[RawOpener] = []

    def one(ip: str, port: int, to: Endpoint = HERE, *, cut: int = 0) -> RawOpener:
        made.append(RawOpener(world, to, ip=ip, query=QUERY.replace("7000", str(port)), cut=cut))
        return made[-1]

    yield one
    for opener in made:
        opener.close()


@pytest.fixture
def node(world: World) -> TestNode:
    return TestNode(world, HERE.ip).start()


def poison(node: TestNode, kind: type, complaints: Complaints) -> None:
    """Make an actor of the node crash and be replaced."""
    message: dict[type, Any] = {
        PeerServer: AddressBanned(None),  # type: ignore[arg-type]
        PeerPool: AddressBanned(None),  # type: ignore[arg-type]
        PeerBook: UnbanAddress(1, None),  # type: ignore[arg-type]
    }
    node.poison(kind, message[kind])
    node.world.run(3)
    complaints.expect("failed on")
    complaints.expect("crashed and is replaced")


# ---- what a ban closes ----


def test_every_connection_of_the_address_is_closed_whoever_opened_it(
    world: World, node: TestNode, dial: Callable[..., RawOpener]
) -> None:
    """Defect 16 of lisk-p2p: it closes the offending socket only."""
    guests = [dial(BAD, port).shake_hands() for port in (7000, 7001)]
    other = dial("10.9.0.2", 7000).shake_hands()
    listening = TestNode(world, BAD).start()
    dialling = TestNode(world, "10.3.0.1", previous_peers=[listening.endpoint.peer_id]).start()
    connect(dialling, listening)
    (guest,) = [peer for peer in node.peers() if peer.endpoint == Endpoint(BAD, 7000)]
    assert isinstance(node.ask(ApplyPenalty, guest.peer_id, 100, "spam"), Done)
    assert isinstance(dialling.ask(BanAddress, BAD, listening.endpoint.peer_id, "spam"), Done)
    world.run(1)
    for one in guests:
        one.run()
        assert one.close_code == 1000
    assert [peer.ip_address for peer in node.peers() if peer.ip_address in (BAD, "10.9.0.2")] == ["10.9.0.2"]
    assert not dialling.is_connected_to(listening), "outbound connections too"
    assert not other.ended


def test_what_is_under_way_is_refused(node: TestNode, dial: Callable[..., RawOpener]) -> None:
    before_upgrade = dial(BAD, 7000, cut=2)  # of its request, the last empty line is missing
    before_handshake = dial(BAD, 7001)
    node.ask(BanAddress, BAD, PeerId(f"{BAD}:1"), "")
    before_handshake.run()
    assert before_handshake.close_code == 4403
    before_upgrade.send(b"\r\n")
    before_upgrade.run()
    assert before_upgrade.status.endswith("401 Unauthorized")
    assert [event.code for event in node.events(FailedToAddInboundPeer)] == [4403, 401]
    assert not node.server._arrivals or node.world.until(lambda: not node.server._arrivals)


# ---- ban, unban, list ----


@pytest.mark.parametrize(
    ("text", "ip"),
    [("2001:db8::9", "2001:db8::9"), ("2001:DB8:0:0::9", "2001:db8::9"), ("::ffff:10.9.0.1", "10.9.0.1")],
)
def test_ipv6_addresses_are_banned_in_any_spelling(
    world: World, dial: Callable[..., RawOpener], text: str, ip: str
) -> None:
    here = Endpoint("2001:db8::1", 5001)
    node = TestNode(world, here.ip).start()
    guest = dial(ip, 7000, here).shake_hands()
    assert [peer.endpoint for peer in node.peers()] == [Endpoint(ip, 7000)]
    assert isinstance(node.ask(BanAddress, text, Endpoint(ip, 7000).peer_id, ""), Done)
    world.run(1)
    guest.run()
    assert guest.close_code == 1000
    assert [ban.ip for ban in node.ask(GetBans).bans] == [ip]
    assert dial(ip, 7001, here).status.endswith("401 Unauthorized")
    neighbour = "2001:db8::a" if ":" in ip else "10.9.0.2"
    assert dial(neighbour, 7001, here).status.endswith("101 Switching Protocols")
    assert isinstance(node.ask(UnbanAddress, text), Done)
    assert dial(ip, 7002, here).status.endswith("101 Switching Protocols")


def test_a_ban_is_listed_until_it_is_lifted(node: TestNode) -> None:
    began = node.world.environment.wall_now()
    node.ask(BanAddress, BAD, PeerId(BAD), "by hand", 60.0)
    assert node.ask(GetBans).bans == (Ban(BAD, began + 60.0, "by hand"),)
    assert isinstance(node.ask(BanAddress, BAD, PeerId(BAD), "again"), Done), "nothing changes, nothing is wrong"
    assert node.ask(GetBans).bans == (Ban(BAD, began + 60.0, "by hand"),)
    assert len(node.events(BanPeer)) == 1
    assert isinstance(node.ask(UnbanAddress, BAD), Done)
    assert node.ask(GetBans).bans == ()
    assert [event.ip_address for event in node.events(UnbanPeer)] == [BAD]
    assert isinstance(node.fails(UnbanAddress, BAD), Misuse)


@pytest.mark.parametrize("duration_s", [0.0, -1.0, float("nan"), float("inf"), 11 * 365 * DAY_S])
def test_bans_of_impossible_length_are_refused(node: TestNode, duration_s: float) -> None:
    error = node.fails(BanAddress, BAD, PeerId(BAD), "", duration_s)
    assert isinstance(error, Misuse)
    assert "expected a ban of more than 0" in str(error)
    assert node.ask(GetBans).bans == ()


@pytest.mark.parametrize("ip", ["", "localhost", "10.9.0.1:5001", "10.9.0.0/24", "fe80::1%eth0", "x" * 10_000])
def test_what_is_no_address_is_refused_with_a_short_text(node: TestNode, ip: str) -> None:
    for kind, arguments in ((BanAddress, (ip, PeerId("x"), "")), (UnbanAddress, (ip,))):
        error = node.fails(kind, *arguments)
        assert isinstance(error, Misuse)
        assert len(str(error)) < 200


def test_a_ban_longer_than_2_to_the_31_milliseconds_lasts(node: TestNode, dial: Callable[..., RawOpener]) -> None:
    """Defect 20 of lisk-p2p: it lasts 1 ms there."""
    node.ask(BanAddress, BAD, PeerId(BAD), "", 40 * DAY_S)
    node.world.run(5)
    assert dial(BAD, 7000).status.endswith("401 Unauthorized")
    assert len(node.ask(GetBans).bans) == 1


# ---- crashes ----


@pytest.mark.parametrize("kind", [PeerServer, PeerPool, PeerBook])
def test_no_crash_sets_anybody_free(
    node: TestNode, complaints: Complaints, dial: Callable[..., RawOpener], kind: type
) -> None:
    """There is no storage here: a new book learns from the pool what was in force."""
    began = node.world.environment.wall_now()
    node.ask(BanAddress, BAD, PeerId(BAD), "spam", 3600.0)
    poison(node, kind, complaints)
    assert node.ask(GetBans).bans == (Ban(BAD, began + 3600.0, "spam"),)
    assert node.server._banned == {BAD}
    assert node.pool.pool._avoided.is_banned(BAD)
    assert dial(BAD, 7000).status.endswith("401 Unauthorized")
    node.world.run(3600.0)
    assert dial(BAD, 7001).status.endswith("101 Switching Protocols"), "and none is forgotten when it ends"
    assert not node.pool.pool._avoided.is_banned(BAD)


def test_a_ban_that_was_lifted_does_not_come_back(node: TestNode, complaints: Complaints) -> None:
    node.ask(BanAddress, BAD, PeerId(BAD), "spam")
    node.ask(UnbanAddress, BAD)
    node.world.run(1)
    poison(node, PeerBook, complaints)
    assert node.ask(GetBans).bans == ()
    assert node.server._banned == set()


def test_the_gates_keep_no_ban_that_nobody_will_lift(node: TestNode) -> None:
    """Whatever they were told before: the list counts, and who is not on it is free."""
    stray = Ban(BAD, 1e12, "of a book that is gone")
    book = node.book.myAddress
    for gate in (node.server, node.pool):
        node.program.tell(gate.myAddress, AddressBanned(stray))
    node.world.run(0.1)
    assert node.server._banned == {BAD}
    for gate in (node.server, node.pool):
        node.program.tell(gate.myAddress, BansInForce(()))
    node.world.run(0.1)
    assert node.server._banned == set()
    assert not node.pool.pool._avoided.is_banned(BAD)
    node.program.tell(node.server.myAddress, AddressUnbanned(BAD))  # of nobody: nothing happens
    node.world.run(0.1)
    assert node.book.myAddress == book


# ---- trust ----


@pytest.mark.parametrize("option", ["fixed_peers", "whitelisted_peers", "seed_peers"])
def test_a_trusted_peer_is_not_banned_by_what_happens_on_another_port_of_its_address(
    world: World, dial: Callable[..., RawOpener], option: str
) -> None:
    """Defect 17 of lisk-p2p, where raw faults go by the ephemeral port and hit everybody behind the address."""
    trusted = TestNode(world, BAD).start()
    node = TestNode(world, HERE.ip, **{option: [trusted.endpoint.peer_id]}).start()
    connect(node, trusted)
    stranger = dial(BAD, 7000).shake_hands()
    stranger.send(stranger.text("junk"))
    stranger.run()
    assert stranger.ended, "the stranger itself has gone too far"
    early = dial(BAD, 7001)
    early.shake_hands("junk")
    assert early.close_code == 4009
    world.run(10)
    assert node.is_connected_to(trusted)
    assert node.events(BanPeer) == []
    assert node.ask(GetBans).bans == ()
    assert len(node.events(PenaltyApplied)) == 2
    assert dial(BAD, 7002).status.endswith("101 Switching Protocols")


@pytest.mark.parametrize("option", ["fixed_peers", "whitelisted_peers", "seed_peers"])
@pytest.mark.parametrize("direction", Direction)
def test_no_penalty_disconnects_a_trusted_peer(world: World, option: str, direction: Direction) -> None:
    trusted = TestNode(world, BAD, **({"seed_peers": [HERE.peer_id]} if direction is Direction.INBOUND else {}))
    node = TestNode(world, HERE.ip, **{option: [trusted.endpoint.peer_id]})
    first, second = (node, trusted) if direction is Direction.INBOUND else (trusted, node)
    first.start()
    world.run(1)
    second.start()
    connect(node, trusted)
    for _ in range(3):
        assert isinstance(node.ask(ApplyPenalty, trusted.endpoint.peer_id, 100, "spam"), Done)
    world.run(10)
    assert [peer.reputation for peer in node.peers()] == [0]
    assert node.events(BanPeer) == []
    assert isinstance(node.fails(BanAddress, BAD, trusted.endpoint.peer_id, "by hand"), Misuse)
    assert node.is_connected_to(trusted)
