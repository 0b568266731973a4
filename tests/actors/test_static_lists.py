"""Whole nodes and their lists, in virtual time: seeds by name, trust, fixed peers only, limits per address.

LIP 0004, "Static lists" and "Connections".
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from actors.api import P2P
from actors.peer_book import PeerBook
from actors.peer_pool import PeerPool
from actors.peer_server import PeerServer
from actors.seed_resolver import SeedResolver
from core.errors import Misuse
from core.events import ConnectOutbound, NetworkReady, UnbanPeer
from core.house_messages import (
    HostsResolved,
    NamedSeedsChanged,
    ResolveHosts,
)
from core.ids import CloseCode, Direction, Endpoint, PeerId, PeerKind
from core.messages import (
    BanAddress,
    BanList,
    Done,
    Failed,
    GetBans,
)
from tests.actors.nodes import TestNode, connect
from tests.actors.remote import node_info, opener
from tests.actors.world import Complaints, World

SEED = "seed.example:5001"


def ban(node: TestNode, ip: str) -> object:
    return node.ask(BanAddress, ip, PeerId(f"{ip}:1"), "test")


def is_trusted(node: TestNode, ip: str) -> bool:
    answer = ban(node, ip)
    if isinstance(answer, Done):
        return False
    assert isinstance(answer, Failed)
    assert "never banned" in str(answer.error)
    return True


# ---- seeds by name ----


def test_a_node_finds_its_network_by_a_seeds_name(world: World) -> None:
    """LIP 0004, "Start-up and discovery", with a DNS name in place of an address."""
    world.net.names["seed.example"] = ["10.1.0.1"]
    seed = TestNode(world, "10.1.0.1").start()
    node = TestNode(world, "10.2.0.1", seed_peers=[SEED]).start()
    connect(node, seed)
    (event,) = node.events(ConnectOutbound)[:1]
    assert (event.peer.endpoint, event.peer.kind) == (seed.endpoint, PeerKind.SEED)


def test_names_that_do_not_resolve_at_the_start_are_tried_again(world: World, complaints: Complaints) -> None:
    seed = TestNode(world, "10.1.0.1").start()
    node = TestNode(world, "10.2.0.1", seed_peers=[SEED]).start()
    world.run(100)
    assert complaints.texts() == ["seed_peers: seed.example cannot be resolved: no such name"]
    complaints.expect("cannot be resolved")
    world.net.names["seed.example"] = ["10.1.0.1"]
    connect(node, seed)
    complaints.expect("seed.example is found again: 10.1.0.1")


def test_trust_follows_the_name(world: World) -> None:
    """LIP 0004, "Static lists": seed, never banned. As long as the name stands for the address."""
    world.net.names["seed.example"] = ["10.1.0.1", "10.1.0.2"]
    node = TestNode(world, "10.2.0.1", seed_peers=[SEED]).start()
    world.run(1)
    assert is_trusted(node, "10.1.0.1")
    world.net.names["seed.example"] = ["10.1.0.2"]
    world.run(31)
    assert is_trusted(node, "10.1.0.2")
    assert not is_trusted(node, "10.1.0.1")


def test_a_ban_ends_when_a_name_stands_for_its_address(world: World) -> None:
    world.net.names["seed.example"] = ["10.1.0.1"]
    node = TestNode(world, "10.2.0.1", seed_peers=[SEED]).start()
    world.run(1)
    assert isinstance(ban(node, "10.1.0.9"), Done)
    world.net.names["seed.example"] = ["10.1.0.9"]
    world.run(31)
    assert node.ask(GetBans) == BanList(node.program.of(BanList)[-1].request_id, ())
    assert [event.ip_address for event in node.events(UnbanPeer)] == ["10.1.0.9"]
    assert node.server._banned == set()


def test_what_a_peer_does_at_another_port_of_a_seeds_address_bans_nobody(world: World) -> None:
    """A fault before the handshake, and a fatal one after it."""
    world.net.names["seed.example"] = ["10.1.0.1"]
    node = TestNode(world, "10.2.0.1", seed_peers=[SEED]).start()
    world.run(1)
    bad = opener(world, "10.1.0.1", node.endpoint, port=7777, handshake=False)
    bad.send("{")
    bad.run()
    worse = opener(world, "10.1.0.1", node.endpoint, port=7778, info=node_info("another0000000000"))
    worse.send("{")
    worse.run()
    assert bad.closed is not None
    assert worse.closed is not None
    assert node.ask(GetBans).bans == ()
    stranger = opener(world, "10.1.0.2", node.endpoint, port=7777, handshake=False)
    stranger.send("{")
    stranger.run()
    assert [made.ip for made in node.ask(GetBans).bans] == ["10.1.0.2"], "anybody else is banned for that"


POISON: dict[type, Any] = {
    SeedResolver: ResolveHosts(5),  # type: ignore[arg-type]
    PeerServer: NamedSeedsChanged(5),  # type: ignore[arg-type]
    PeerBook: NamedSeedsChanged(5),  # type: ignore[arg-type]
    PeerPool: HostsResolved(5),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", POISON)
def test_trust_survives_crashes(world: World, complaints: Complaints, kind: type) -> None:
    world.net.names["seed.example"] = ["10.1.0.1"]
    node = TestNode(world, "10.2.0.1", seed_peers=[SEED]).start()
    world.run(1)
    before = node.child(kind)
    node.poison(kind, POISON[kind])
    world.run(31)
    complaints.expect(f"{kind.__name__} failed on")
    if kind is not SeedResolver:
        complaints.expect(f"{kind.__name__} crashed and is replaced")
    assert node.child(kind) is not before
    assert is_trusted(node, "10.1.0.1")
    bad = opener(world, "10.1.0.1", node.endpoint, handshake=False)
    bad.send("{")
    bad.run()
    assert bad.closed is not None
    assert node.ask(GetBans).bans == ()


# ---- precedence and warnings ----


def test_warnings_are_logged_once_at_the_start(world: World, complaints: Complaints) -> None:
    """LIP 0004, "Static lists": more than one list for a peer, more than 4 fixed peers: warn."""
    peers = [f"10.9.0.{number}:1" for number in range(1, 6)]
    TestNode(
        world, "10.2.0.1", fixed_peers=peers, seed_peers=[peers[0]], whitelisted_peers=["127.0.0.1:5001"],
        blacklisted_ips=["10.9.0.2"],
    ).start()  # fmt: skip
    world.run(600)
    assert complaints.texts() == [
        "whitelisted_peers: 127.0.0.1:5001 is this node's own address and is left out",
        "10.9.0.1:1 is in fixed_peers and in seed_peers: it is treated as one of fixed_peers",
        "10.9.0.2:1 is in blacklisted_ips and in fixed_peers: it is treated as one of blacklisted_ips",
        "fixed_peers names 5 peers; LIP 0004 advises at most 4, because fixed connections are never exchanged for "
        "others",
    ]
    for text in complaints.texts():
        complaints.expect(text)


def test_blacklisted_wins_in_both_directions(world: World, complaints: Complaints) -> None:
    """LIP 0004, "Static lists": never connected in either direction."""
    other = TestNode(world, "10.1.0.1", fixed_peers=["10.2.0.1:5001"]).start()
    options = {name: ["10.1.0.1:5001"] for name in ("fixed_peers", "whitelisted_peers", "seed_peers", "previous_peers")}
    node = TestNode(world, "10.2.0.1", blacklisted_ips=["10.1.0.0/16"], **options).start()
    complaints.expect("it is treated as one of blacklisted_ips")
    world.run(300)
    assert (node.peers(), other.peers()) == ([], [])
    assert node.events(ConnectOutbound) == []


def test_a_whitelisted_peer_is_in_tried_from_the_start(world: World) -> None:
    """LIP 0004, "Static lists": in tried from the start, never removed from it."""
    node = TestNode(world, "10.2.0.1", whitelisted_peers=["10.1.0.1:5001"]).start()
    world.run(600)  # it is not there: every dial fails
    assert [entry.endpoint for entry in node.book.book.tried()] == [Endpoint("10.1.0.1", 5001)]


# ---- fixed peers only ----


def test_fixed_peers_only(world: World) -> None:
    """LIP 0004, "Static lists": a node can be set to connect to fixed peers only."""
    fixed = TestNode(world, "10.1.0.1").start()
    other = TestNode(world, "10.3.0.1").start()
    node = TestNode(
        world, "10.2.0.1", fixed_peers=["10.1.0.1:5001"], previous_peers=["10.3.0.1:5001"], fixed_peers_only=True
    ).start()
    connect(node, fixed)
    world.run(3600)
    assert [peer.endpoint for peer in node.peers(Direction.OUTBOUND)] == [fixed.endpoint]
    assert other.peers(Direction.INBOUND) == []
    late = TestNode(world, "10.4.0.1", fixed_peers=["10.2.0.1:5001"]).start()
    connect(late, node)


# ---- limits ----


def test_one_host_does_not_get_all_inbound_slots(world: World) -> None:
    node = TestNode(world, "10.2.0.1", max_inbound_per_ip=3).start()
    remotes = [
        opener(world, "10.66.0.1", node.endpoint, port=port, info=node_info(f"nonce{port:011}")) for port in range(1, 6)
    ]
    for remote in remotes:
        remote.run(0.2)
    assert len(node.peers(Direction.INBOUND)) == 3
    assert [remote.disconnect_code() for remote in remotes] == [None] * 3 + [CloseCode.TRY_AGAIN_LATER] * 2
    neighbour = opener(world, "10.66.0.2", node.endpoint, info=node_info("neighbour00000000"))
    neighbour.run(0.2)
    assert len(node.peers(Direction.INBOUND)) == 4
    for remote in [*remotes, neighbour]:
        remote.hang_up()


@pytest.mark.parametrize(("options", "count"), [({}, 3), ({"max_outbound_per_netgroup": 5}, 5)])
def test_at_most_3_outbound_peers_of_one_group(world: World, options: dict[str, int], count: int) -> None:
    """LIP 0004, "Connections": outbound connections per network group, at most 3."""
    others = [TestNode(world, f"20.1.0.{number}").start() for number in range(1, 8)]
    node = TestNode(world, "10.2.0.1", previous_peers=[other.endpoint.peer_id for other in others], **options).start()
    world.run(120)
    assert len(node.peers(Direction.OUTBOUND)) == count


def test_a_rule_of_the_application_keeps_to_the_limits(world: World) -> None:
    others = [TestNode(world, f"20.1.0.{number}").start() for number in range(1, 8)]
    node = TestNode(
        world, "10.2.0.1", previous_peers=[other.endpoint.peer_id for other in others],
        peer_selection_for_connection="tests.actors.test_static_lists:everybody",
    ).start()  # fmt: skip
    world.run(120)
    assert len(node.peers(Direction.OUTBOUND)) == 3


def everybody(tried: tuple[object, ...], new: tuple[object, ...], count: int) -> tuple[object, ...]:
    """A rule that knows no limits."""
    return tried + new


# ---- options of the book ----


def test_the_books_options_reach_the_book(world: World) -> None:
    node = TestNode(
        world, "10.2.0.1", peer_book_hashing="lisk", peer_book_identity="endpoint", peer_book_new_max_age_s=86400.0,
        peer_book_few_tried_choice="coin-flip", refuse_narrower_reach=False, private_networks_exempt=True,
        previous_peers=["10.9.0.1:1", "10.9.0.1:2", "[2001:db8::1]:1"],
    ).start()  # fmt: skip
    config = node.book.book.config
    assert (config.hashing.value, config.identity.value, config.new_max_age_s) == ("lisk", "endpoint", 86400.0)
    assert (config.coin_flip_when_few, config.refuse_narrower_reach, config.private_networks_exempt) == (
        True, False, True,
    )  # fmt: skip
    assert len(node.book.book.tried()) == 2, "lisk-p2p's hashing knows no IPv6"


def test_bans_by_hand_of_trusted_addresses_say_why_not(world: World) -> None:
    node = TestNode(world, "10.2.0.1", fixed_peers=["10.1.0.1:1"]).start()
    error = node.fails(BanAddress, "10.1.0.1", PeerId("10.1.0.1:9"), "test")
    assert isinstance(error, Misuse)
    assert "never banned" in str(error)


# ---- with the machine's own resolver ----


@pytest.mark.sockets
def test_a_real_node_finds_its_network_by_name(complaints: Complaints) -> None:
    ready = threading.Event()
    with P2P(host_ip="127.0.0.1", port=0) as seed:
        assert seed.listen_address is not None
        node = P2P(host_ip="127.0.0.1", port=0, seed_peers=[f"LocalHost:{seed.listen_address[1]}"])
        node.on(NetworkReady, lambda _: ready.set())
        with node:
            assert ready.wait(20)
            (peer,) = node.get_connected_peers()
            assert (peer.ip_address, peer.kind) == ("127.0.0.1", PeerKind.SEED)
            assert all(not thread.name.startswith("ensemble-resolver") for thread in threading.enumerate())
