"""The server alone: what it takes, refuses, hands over, and lets go of. Its neighbours are probes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import pytest
from thespian.actors import ActorExitRequest

from actors.peer_server import EXHAUSTED_PAUSE_S, PeerServer
from actors.transport.events import Opened
from actors.wiring import Charter, InboundAdmitted, Init, Listen, Rooms, Subscriber, TakenOver, TakeOver
from core.config import NodeConfig
from core.events import FailedToAddInboundPeer, NewInboundPeerConnection
from core.house_messages import (
    AddressBanned,
    AddressUnbanned,
    AdmitInbound,
    BansInForce,
    ClosePeer,
    InboundRefused,
    NodeInfoChanged,
    PeerMisbehaved,
    ServerFailed,
    ServerListening,
)
from core.ids import CloseCode, Direction, Endpoint
from core.messages import (
    Ban,
    EventBatch,
)
from core.wire.payloads import NodeInfo
from tests.actors.remote import Remote, node_info, opener
from tests.actors.world import Complaints, MemoryStream, Probe, World
from tests.spoken import BOTH_DIALECTS

pytestmark = BOTH_DIALECTS

HERE = Endpoint("10.1.0.1", 5001)


class Rig:
    """A server and its neighbours."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self.config = NodeConfig(**options)
        self.own = node_info("ownnonce")
        self.node, self.pool, self.book, self.peer = (world.probe() for _ in range(4))
        self.address = world.create(PeerServer, HERE.ip)
        self.node.tell(self.address, Listen("0.0.0.0", HERE.port))
        self.remotes: list[Remote] = []

    def init(self) -> Rig:
        self.node.wait(ServerListening)
        rooms = Rooms(self.node.address, self.pool.address, self.book.address, self.address)
        subscribers = (Subscriber(self.node.address, None),)
        charter = Charter(self.config, self.own, HERE.port, b"s" * 32, rooms, subscribers)
        self.node.tell(self.address, Init(charter))
        return self

    @property
    def server(self) -> PeerServer:
        found: PeerServer = self.world.instance(self.address)
        return found

    def opener(self, ip: str = "10.7.0.1", **more: Any) -> Remote:
        remote = opener(self.world, ip, HERE, **more)
        self.remotes.append(remote)
        return remote

    def asked(self, count: int = 1) -> AdmitInbound:
        """The server's question to the pool."""
        question: AdmitInbound = self.pool.wait(AdmitInbound, count)
        return question

    def events(self, kind: type) -> list[Any]:
        return [event for batch in self.node.of(EventBatch) for event in batch.events if isinstance(event, kind)]

    def pending(self) -> int:
        return len(self.server._arrivals)


@pytest.fixture
def make(world: World) -> Iterator[Any]:
    rigs: list[Rig] = []

    def make_one(**options: Any) -> Rig:
        rigs.append(Rig(world, **options).init())
        return rigs[-1]

    yield make_one
    for rig in rigs:
        for remote in rig.remotes:
            remote.hang_up()


@pytest.fixture
def rig(make: Any) -> Rig:
    made: Rig = make()
    return made


# ---- listening ----


def test_it_says_which_address_it_has_bound(world: World) -> None:
    rig = Rig(world)
    assert rig.node.wait(ServerListening) == ServerListening(HERE)


def test_a_port_that_is_taken_is_told(world: World) -> None:
    first, second = Rig(world), Rig(world)
    first.node.wait(ServerListening)
    failed = second.node.wait(ServerFailed)
    assert failed.reason == "cannot listen on 0.0.0.0:5001: the port is taken by another program"


def test_nothing_is_accepted_before_init(world: World) -> None:
    rig = Rig(world)
    rig.node.wait(ServerListening)
    remote = rig.opener(handshake=False)
    assert (remote.events, rig.pending()) == ([], 0)
    rig.init()
    remote.run(1)
    assert rig.pending() == 1
    remote.hang_up()


# ---- a good opener ----


def test_a_good_opener_is_handed_over_and_let_go_of_when_the_peer_has_it(rig: Rig) -> None:
    rig.opener(port=6001, info=node_info("theirs"))
    question = rig.asked()
    assert (question.peer.peer_id, question.peer.nonce) == ("10.7.0.1:6001", "theirs")
    assert question.peer.direction is Direction.INBOUND
    assert [event.peer.peer_id for event in rig.events(NewInboundPeerConnection)] == ["10.7.0.1:6001"]
    rig.pool.tell(rig.address, InboundAdmitted(question.request_id, rig.peer.address))
    taken = rig.peer.wait(TakeOver)
    assert (taken.announced.nonce, taken.cid) == ("theirs", 1)
    assert (taken.hand_over.remote_ip, taken.hand_over.remote_port > 0) == ("10.7.0.1", True)
    copy = os.dup(taken.hand_over.fd)  # what the peer does
    rig.peer.tell(rig.address, TakenOver(taken.hand_over.token))
    rig.world.run(1)
    assert rig.pending() == 0
    os.write(copy, b"\x82\x01x")  # the connection stands
    remote = rig.remotes[0]
    remote.run(0.2)
    assert remote.events[-1].payload == b"x"  # type: ignore[union-attr]
    os.close(copy)


def test_an_answer_for_which_the_socket_has_no_room_is_sent_once_it_has(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = MemoryStream.send
    refused: list[str] = []

    def send_at_the_fifth_try(stream: MemoryStream, data: bytes | memoryview, /) -> int:
        if stream.remote_ip == "10.7.0.1" and len(refused) < 4:
            refused.append("no room")
            raise BlockingIOError(errno.EAGAIN, "no room")
        return send(stream, data)

    monkeypatch.setattr(MemoryStream, "send", send_at_the_fifth_try)
    remote = rig.opener(handshake=False)
    remote.run()
    assert len(refused) == 4
    assert [type(event) for event in remote.events] == [Opened]


def test_a_peer_that_dies_before_taking_over_leaves_no_socket_behind(rig: Rig) -> None:
    remote = rig.opener()
    rig.pool.tell(rig.address, InboundAdmitted(rig.asked().request_id, rig.peer.address))
    rig.peer.wait(TakeOver)
    rig.world.run(30)
    assert rig.pending() == 0
    remote.run(0.1)
    assert remote.closed is not None


def test_an_answer_for_a_connection_that_is_gone_sends_its_peer_home(rig: Rig) -> None:
    remote = rig.opener()
    question = rig.asked()
    remote.hang_up()
    rig.world.run(10)
    rig.pool.tell(rig.address, InboundAdmitted(question.request_id, rig.peer.address))
    assert rig.peer.wait(ClosePeer).code == CloseCode.NORMAL
    assert rig.peer.of(TakeOver) == []


def test_a_pool_that_does_not_answer_costs_one_opener(rig: Rig) -> None:
    remote = rig.opener()
    rig.asked()
    remote.run(20)
    assert remote.disconnect_code() == CloseCode.TRY_AGAIN_LATER
    assert rig.pending() == 0


# ---- refusals ----


def test_the_pools_refusal_is_passed_on(rig: Rig) -> None:
    remote = rig.opener()
    rig.pool.tell(rig.address, InboundRefused(rig.asked().request_id, 4404, "Peer has a duplicate connection"))
    remote.run(1)
    assert remote.disconnect_code() == CloseCode.DUPLICATE
    assert remote.closed is not None
    assert remote.closed.code == CloseCode.DUPLICATE
    assert [(event.code, event.ip_address) for event in rig.events(FailedToAddInboundPeer)] == [(4404, "10.7.0.1")]


@pytest.mark.parametrize(
    ("info", "code"),
    [
        (node_info("ownnonce"), CloseCode.OWN_NONCE),
        (node_info(chain_id=b"\xff"), CloseCode.INCOMPATIBLE),
        (node_info(network_version="2.0"), CloseCode.INCOMPATIBLE),
    ],
)
def test_incompatible_openers_never_reach_the_pool(rig: Rig, info: NodeInfo, code: CloseCode) -> None:
    remote = rig.opener(info=info)
    remote.run(1)
    assert remote.disconnect_code() == code
    assert rig.pool.got == []


def refuse_old(peer: Any, own: NodeInfo) -> str | None:
    """A handshake check."""
    return None if peer.network_version == "7.0" else "too old"


def test_the_applications_check_replaces_chain_and_version(make: Any) -> None:
    rig = make(peer_handshake_check=refuse_old)
    remote = rig.opener(info=node_info(chain_id=b"\xff", network_version="6.0"))
    remote.run(1)
    assert remote.disconnect_code() == CloseCode.INCOMPATIBLE
    assert "too old" in "".join(remote.texts)
    rig.opener("10.7.0.2", info=node_info(chain_id=b"\xff", network_version="7.0"))
    assert rig.asked().peer.ip_address == "10.7.0.2"


def test_bans_are_refused_at_the_door(rig: Rig) -> None:
    ban = Ban("10.7.0.1", 9e9, "")
    rig.book.tell(rig.address, AddressBanned(ban))
    remote = rig.opener()
    assert "401" in str(remote.events)
    rig.book.tell(rig.address, AddressUnbanned("10.7.0.1"))
    rig.opener()
    assert rig.asked().peer.ip_address == "10.7.0.1"
    rig.book.tell(rig.address, BansInForce((Ban("10.7.0.3", 9e9, ""),)))
    assert "401" in str(rig.opener("10.7.0.3").events)


def test_bans_told_before_init_count(world: World) -> None:
    rig = Rig(world)
    rig.book.tell(rig.address, BansInForce((Ban("10.7.0.1", 9e9, ""),)))
    rig.init()
    assert "401" in str(rig.opener().events)


def test_blacklisted_addresses_and_prefixes_are_refused(make: Any) -> None:
    rig = make(blacklisted_ips=["10.7.0.0/16", "10.8.0.1"])
    for ip in ("10.7.255.1", "10.8.0.1"):
        assert "401" in str(rig.opener(ip).events)
    rig.opener("10.8.0.2")
    assert rig.asked().peer.ip_address == "10.8.0.2"


def test_a_packet_that_breaks_the_rules_is_told_to_the_node_and_not_acted_upon(rig: Rig) -> None:
    remote = rig.opener(handshake=False)
    remote.send('{"event":"#handshake"')  # no JSON
    remote.run(1)
    assert remote.closed is not None
    (told,) = rig.node.of(PeerMisbehaved)
    assert told.ip == "10.7.0.1"
    assert rig.pool.got == []


def test_a_changed_node_info_counts_for_the_next_opener(rig: Rig) -> None:
    rig.node.tell(rig.address, NodeInfoChanged(node_info("ownnonce", chain_id=b"\xff")))
    remote = rig.opener()
    remote.run(1)
    assert remote.disconnect_code() == CloseCode.INCOMPATIBLE


# ---- floods ----


def test_mute_connections_are_capped_for_the_node(make: Any) -> None:
    """Defect 8 of lisk-p2p: sockets before #handshake are unlimited."""
    rig = make(max_pending_handshakes=5, max_pending_handshakes_per_ip=5)
    for number in range(5):
        rig.opener(f"10.7.{number}.1", handshake=False)
    late = rig.opener("10.8.0.1", handshake=False)
    assert late.closed is not None
    assert rig.pending() == 5
    assert rig.events(FailedToAddInboundPeer)[-1].reason == "too many unfinished handshakes"
    late.run(30)  # the mute ones have had their time
    assert rig.pending() == 0
    rig.opener("10.8.0.1")
    assert rig.asked().peer.ip_address == "10.8.0.1"


def test_mute_connections_are_capped_for_each_address(make: Any) -> None:
    rig = make(max_pending_handshakes=50, max_pending_handshakes_per_ip=3)
    remotes = [rig.opener(handshake=False) for _ in range(5)]
    assert [remote.closed is not None for remote in remotes] == [False, False, False, True, True]
    rig.opener("10.8.0.1", handshake=False)
    assert rig.pending() == 4
    remotes[0].hang_up()
    rig.world.run(0.1)
    assert rig.opener(handshake=False).closed is None  # a place is free again


def test_loopback_is_exempt_from_the_cap_of_an_address(make: Any) -> None:
    rig = make(max_pending_handshakes=50, max_pending_handshakes_per_ip=3)
    for _ in range(10):
        rig.opener("127.0.0.1", handshake=False)
    assert rig.pending() == 10


def test_a_mute_opener_is_closed_after_its_time(rig: Rig) -> None:
    remote = rig.opener(handshake=False)
    remote.run(9)
    assert remote.closed is None
    remote.run(3)
    assert remote.disconnect_code() == CloseCode.HANDSHAKE_TIMEOUT
    assert rig.pending() == 0


def test_out_of_descriptors_it_looks_away_for_a_moment(rig: Rig, complaints: Complaints) -> None:
    rig.world.net.exhausted = True
    remote = rig.opener(handshake=False)
    turns = rig.world.base.loop_turns
    remote.run(EXHAUSTED_PAUSE_S * 4)
    assert rig.world.base.loop_turns - turns < 200  # it does not spin on the socket that stays readable
    assert rig.pending() == 0
    complaints.expect("out of file descriptors")
    rig.world.net.exhausted = False
    remote.run(EXHAUSTED_PAUSE_S * 2)
    assert rig.pending() == 1


# ---- the end ----


def test_the_end_closes_the_port_and_every_connection_that_is_not_handed_over(rig: Rig) -> None:
    mute, waiting, handed = rig.opener("10.7.0.1", handshake=False), rig.opener("10.7.0.2"), rig.opener("10.7.0.3")
    numbers = {question.peer.ip_address: question.request_id for question in rig.pool.of(AdmitInbound)}
    rig.pool.tell(rig.address, InboundAdmitted(numbers["10.7.0.3"], rig.peer.address))
    copy = os.dup(rig.peer.wait(TakeOver).hand_over.fd)
    rig.node.tell(rig.address, ActorExitRequest())
    for remote in (mute, waiting, handed):
        remote.run(0.2)
    assert mute.closed is not None
    assert waiting.closed is not None
    assert handed.closed is None  # that one is the peer's
    assert HERE not in rig.world.net.listeners
    os.close(copy)


def test_probes_heard_nothing_else(rig: Rig) -> None:
    rig.world.run(100)
    neighbours: list[Probe] = [rig.pool, rig.book, rig.peer]
    assert [probe.got for probe in neighbours] == [[], [], []]
