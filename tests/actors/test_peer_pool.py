"""The pool's actor over its real peers: children, forwarding, what becomes of an asker. Book and server are probes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from thespian.actors import ActorExitRequest

from actors.peer import InboundPeer, OutboundPeer
from actors.peer_pool import PeerPool
from actors.wiring import Charter, Forwarded, InboundAdmitted, Init, Rooms, SubscribersChanged
from core.config import NodeConfig
from core.effects import ForwardToPeer
from core.errors import NotActive, PeerNotFound
from core.events import PeerInfo
from core.house_messages import (
    AddressBanned,
    AddressUnbanned,
    AdmitInbound,
    AllPeersClosed,
    BansInForce,
    ChooseFeeler,
    ChoosePeers,
    ChosenPeers,
    CloseAllPeers,
    DialAnchors,
    FeelerChosen,
    InboundRefused,
    InboundSeen,
    KeepAnchors,
    NodeInfoChanged,
    OutboundFailed,
    OutboundSucceeded,
    PoolCounts,
)
from core.ids import Direction, Endpoint
from core.messages import (
    Ban,
    BroadcastMessage,
    Broadcasts,
    Done,
    Failed,
    FindPeer,
    GetConnectedPeers,
    GetDisconnectedPeers,
    ListKnownPeers,
    PeerFound,
    PeerGone,
    PeerList,
    SendMessage,
    SendRequest,
)
from tests.actors.remote import Listener, Remote, node_info
from tests.actors.world import Complaints, World, override

THERE = Endpoint("10.9.0.1", 5001)


class Rig:
    """A pool, with probes for its neighbours and listeners of the test's to dial."""

    def __init__(self, world: World, *, init: bool = True, **options: Any) -> None:
        self.world = world
        self.config = NodeConfig(**{"outbound_shuffle_interval_s": 86_400.0, **options})
        self.node, self.book, self.server, self.program = (world.probe() for _ in range(4))
        self.address = world.create(PeerPool, "10.1.0.1")
        self.own = node_info("ownnonce")
        self.listeners: list[Listener] = []
        if init:
            self.init()

    def init(self) -> None:
        rooms = Rooms(self.node.address, self.address, self.book.address, self.server.address)
        self.node.tell(self.address, Init(Charter(self.config, self.own, 5001, b"s" * 32, rooms, ())))
        self.world.run(0.01)

    @property
    def actor(self) -> PeerPool:
        found: PeerPool = self.world.instance(self.address)
        return found

    def choose(self, *endpoints: Endpoint, tried: int = 500) -> None:
        """Answer the pool's open question to the book."""
        question = self.book.wait(ChoosePeers)
        question = self.book.of(ChoosePeers)[-1]
        self.book.tell(self.address, ChosenPeers(question.request_id, endpoints, tried, tried))
        self.world.run(0.01)

    def dial(self, endpoint: Endpoint = THERE) -> Remote:
        """Let the pool dial a listener of ours and be connected."""
        listener = Listener(self.world, endpoint)
        self.listeners.append(listener)
        self.choose(endpoint)
        return listener.introduced(node_info(f"nonce{len(self.listeners)}"))

    def admit(self, number: int, endpoint: Endpoint = THERE) -> None:
        peer = PeerInfo(
            peer_id=endpoint.peer_id, ip_address=endpoint.ip, port=endpoint.port, direction=Direction.INBOUND
        )
        self.server.tell(self.address, AdmitInbound(number, peer))
        self.world.run(0.01)

    def peers(self) -> tuple[PeerInfo, ...]:
        count = len(self.program.of(PeerList))
        self.program.tell(self.address, GetConnectedPeers(1))
        listed: PeerList = self.program.wait(PeerList, count + 1)
        return listed.peers


@pytest.fixture
def rigs(world: World) -> Iterator[list[Rig]]:
    made: list[Rig] = []
    yield made
    for rig in made:
        for listener in rig.listeners:
            listener.close()


@pytest.fixture
def rig(world: World, rigs: list[Rig]) -> Rig:
    rigs.append(Rig(world))
    return rigs[-1]


def test_a_chosen_peer_is_dialled_connected_and_reported(rig: Rig) -> None:
    rig.dial()
    (peer,) = rig.peers()
    assert (peer.endpoint, peer.direction, peer.nonce) == (THERE, Direction.OUTBOUND, "nonce1")
    assert rig.book.of(OutboundSucceeded) == [OutboundSucceeded(THERE, True)]
    assert rig.node.of(PoolCounts)[-1].outbound_connected == 1
    assert len(rig.world.alive(OutboundPeer)) == 1


def test_a_peer_that_is_not_there_is_told_to_the_book_and_its_actor_goes(rig: Rig) -> None:
    rig.choose(THERE)
    rig.world.run(0.1)
    assert rig.book.of(OutboundFailed) == [OutboundFailed(THERE)]
    assert rig.world.alive(OutboundPeer) == []
    assert rig.node.of(PoolCounts)[-1].dials_failed == 1


def test_a_lost_connection_ends_its_actor(rig: Rig) -> None:
    remote = rig.dial()
    remote.hang_up()
    rig.world.run(0.1)
    assert rig.peers() == ()
    assert rig.world.alive(OutboundPeer) == []


def test_an_admitted_opener_gets_an_actor_and_loses_it_when_nothing_comes(rig: Rig) -> None:
    rig.admit(7)
    (answer,) = rig.server.of(InboundAdmitted)
    assert answer.request_id == 7
    assert len(rig.world.alive(InboundPeer)) == 1
    assert rig.peers() == ()
    rig.world.run(10)
    assert rig.world.alive(InboundPeer) == []
    rig.admit(8)  # its slot is free again
    assert [one.request_id for one in rig.server.of(InboundAdmitted)] == [7, 8]


def test_a_refusal_carries_the_servers_number(rig: Rig) -> None:
    rig.admit(1)
    rig.admit(2)
    assert [(one.request_id, one.code) for one in rig.server.of(InboundRefused)] == [(2, 4404)]


def test_a_banned_opener_is_refused_and_a_ban_closes_what_there_is(rig: Rig) -> None:
    remote = rig.dial()
    rig.book.tell(rig.address, AddressBanned(Ban(THERE.ip, 9e9, "")))
    remote.run(0.5)
    assert remote.closed is not None
    assert rig.peers() == ()
    rig.admit(1)
    assert rig.server.of(InboundRefused)[-1].code == 4403
    rig.book.tell(rig.address, AddressUnbanned(THERE.ip))
    rig.admit(2)
    assert len(rig.server.of(InboundAdmitted)) == 1


def test_the_list_of_bans_replaces_what_was_told_before(rig: Rig) -> None:
    rig.book.tell(rig.address, AddressBanned(Ban(THERE.ip, 9e9, "")))
    rig.book.tell(rig.address, BansInForce((Ban("10.8.0.1", 9e9, ""),)))
    rig.admit(1)
    rig.admit(2, Endpoint("10.8.0.1", 1))
    assert [one.request_id for one in rig.server.of(InboundAdmitted)] == [1]
    assert [one.request_id for one in rig.server.of(InboundRefused)] == [2]


def test_what_comes_before_init_waits_for_it(world: World, rigs: list[Rig]) -> None:
    rig = Rig(world, init=False)
    rigs.append(rig)
    rig.book.tell(rig.address, BansInForce((Ban("10.8.0.1", 9e9, ""),)))
    rig.admit(1, Endpoint("10.8.0.1", 1))
    assert rig.server.got == []
    rig.init()
    assert rig.server.wait(InboundRefused).request_id == 1


# ---- messages and requests ----


def forward(rig: Rig, message: Any) -> None:
    """As the node does."""
    rig.node.tell(rig.address, Forwarded(rig.program.address, message))
    rig.world.run(0.05)


def test_messages_go_out_and_are_answered_to_who_sent_them(rig: Rig) -> None:
    remote = rig.dial()
    forward(rig, SendMessage(1, "one", b"x", THERE.peer_id))
    forward(rig, SendMessage(2, "two", b"x"))
    forward(rig, BroadcastMessage(3, "three", b"x"))
    forward(rig, Broadcasts((BroadcastMessage(4, "four", b"x"), BroadcastMessage(0, "five", None))))
    remote.run(0.1)
    assert [answer.request_id for answer in rig.program.of(Done)] == [1, 2, 3, 4]
    names = ("one", "two", "three", "four", "five")
    assert [name for text in remote.texts for name in names if f'"{name}"' in text] == list(names)


def test_several_broadcasts_at_the_end_are_refused_each(rig: Rig) -> None:
    rig.dial()
    rig.node.tell(rig.address, CloseAllPeers())
    forward(rig, Broadcasts((BroadcastMessage(1, "a", None), BroadcastMessage(2, "b", None))))
    failed = rig.program.of(Failed)
    assert [answer.request_id for answer in failed] == [1, 2]
    assert all(isinstance(answer.error, NotActive) for answer in failed)


def test_queries_for_peers_that_are_not_there_fail(rig: Rig) -> None:
    forward(rig, SendMessage(1, "e", None, THERE.peer_id))
    forward(rig, SendRequest(2, "p", None, None, THERE.peer_id))
    forward(rig, SendRequest(3, "p", None))
    failed = rig.program.of(Failed)
    assert [answer.request_id for answer in failed] == [1, 2, 3]
    assert all(isinstance(answer.error, PeerNotFound) for answer in failed)


def test_a_query_for_a_peer_whose_actor_is_missing_fails(rig: Rig) -> None:
    def forward_to_nobody(message: object, sender: object) -> None:
        ask_id = rig.actor.remember_asker(sender, 9)
        rig.actor.apply([ForwardToPeer(THERE, Direction.INBOUND, SendMessage(9, "e", None), ask_id)])

    override(rig.actor, "receiveMsg_GetConnectedPeers", forward_to_nobody)
    rig.program.tell(rig.address, GetConnectedPeers(9))
    rig.world.run(0.1)
    assert [answer.request_id for answer in rig.program.of(Failed)] == [9]


def test_disconnected_peers_are_the_books_to_tell(rig: Rig) -> None:
    rig.dial()
    forward(rig, GetDisconnectedPeers(5))
    (passed_on,) = rig.book.of(Forwarded)
    assert passed_on.asker == rig.program.address
    assert passed_on.message == ListKnownPeers(5, frozenset({THERE}))


def everybody_twice(peers: tuple[PeerInfo, ...], limit: int, message: SendMessage) -> list[PeerInfo]:
    """A rule for sending."""
    return [*peers, *peers]


def broken(*arguments: Any) -> None:
    raise RuntimeError("as told")


def test_the_applications_rule_for_sending_is_used_and_fenced_in(
    world: World, rigs: list[Rig], complaints: Complaints
) -> None:
    rig = Rig(world, peer_selection_for_send=everybody_twice, peer_selection_for_request=broken)
    rigs.append(rig)
    remote = rig.dial()
    forward(rig, SendMessage(1, "once", b"x"))
    remote.run(0.1)
    assert len([text for text in remote.texts if '"once"' in text]) == 1
    forward(rig, SendRequest(2, "procedure", b"x", 1.0))
    remote.run(0.1)
    assert any("procedure" in text for text in remote.texts)  # the node's own rule chose
    complaints.expect("peer_selection_for_request raised")


# ---- neighbours and the end ----


def test_node_info_reaches_peers_that_are_connected_and_those_to_come(rig: Rig) -> None:
    remote = rig.dial()
    before = len(remote.texts)
    rig.node.tell(rig.address, NodeInfoChanged(node_info("ownnonce", advertise_address=False)))
    remote.run(0.1)
    assert any("postNodeInfo" in text for text in remote.texts[before:])
    assert rig.actor.need_charter().node_info.advertise_address is False


def test_subscribers_are_passed_on(rig: Rig) -> None:
    rig.dial()
    rig.node.tell(rig.address, SubscribersChanged(()))
    rig.world.run(0.1)
    assert rig.world.alive(OutboundPeer)[0].subscribers == ()


def test_a_new_book_hears_who_is_connected_and_is_asked(rig: Rig) -> None:
    rig.dial()
    new = rig.world.probe()
    rig.node.tell(rig.address, Rooms(rig.node.address, rig.address, new.address, rig.server.address))
    rig.world.run(0.1)
    assert new.of(OutboundSucceeded) == [OutboundSucceeded(THERE, True)]
    assert len(new.of(ChoosePeers)) == 1
    assert new.of(InboundSeen) == []
    (peer,) = rig.world.alive(OutboundPeer)
    assert peer.need_charter().rooms.book == new.address


@pytest.mark.parametrize("crashes", [False, True])
def test_a_fixed_peer_that_is_lost_is_dialled_again_after_a_second(
    world: World, rigs: list[Rig], complaints: Complaints, crashes: bool
) -> None:
    rig = Rig(world, init=False, fixed_peers=[THERE.peer_id])
    rigs.append(rig)
    listener = Listener(world, THERE)
    rig.listeners.append(listener)
    rig.init()
    remote = listener.introduced(node_info("fixed"))
    if crashes:
        override(world.alive(OutboundPeer)[0], "receiveMsg_NodeInfoChanged", broken)
        rig.node.tell(rig.address, NodeInfoChanged(rig.own))
        complaints.expect("OutboundPeer failed on NodeInfoChanged")
    else:
        remote.hang_up()
    world.run(0.9)
    assert world.alive(OutboundPeer) == []
    world.run(0.2)
    assert len(world.alive(OutboundPeer)) == 1, "it was not waited for the populator's interval"


def test_a_crashed_peer_frees_its_slot(rig: Rig, complaints: Complaints) -> None:
    remote = rig.dial()
    (peer,) = rig.world.alive(OutboundPeer)
    override(peer, "receiveMsg_NodeInfoChanged", broken)
    rig.node.tell(rig.address, NodeInfoChanged(rig.own))
    remote.run(0.1)
    complaints.expect("OutboundPeer failed on NodeInfoChanged")
    assert rig.peers() == ()
    assert remote.closed is not None
    assert rig.book.of(OutboundFailed) == []  # our failure, not the address's


def test_the_end_of_a_peer_that_has_closed_is_expected(rig: Rig) -> None:
    other = Endpoint("10.9.0.2", 5001)
    remote, _ = rig.dial(), rig.dial(other)
    expected: list[int] = []
    know = rig.actor.receiveMsg_ChildActorExited

    def hear(message: object, sender: object) -> None:
        expected.append(len(rig.actor._dismissed))
        know(message, sender)

    override(rig.actor, "receiveMsg_ChildActorExited", hear)
    remote.hang_up()
    rig.world.run(0.1)
    assert expected == [1]
    assert not rig.actor._dismissed, "nothing is kept of it"
    assert [peer.endpoint for peer in rig.peers()] == [other]


def test_who_knows_the_actor_of_a_peer_hears_of_its_crash_from_the_pool(rig: Rig, complaints: Complaints) -> None:
    rig.dial()
    for number in (7, 8):
        rig.node.tell(rig.address, FindPeer(number, THERE.peer_id))
        assert rig.node.wait(PeerFound, number - 6) == PeerFound(number, THERE.peer_id)
    (peer,) = rig.world.alive(OutboundPeer)
    peer._dealings.known_by.clear()  # as if its process had been killed: it tells nobody
    override(peer, "receiveMsg_NodeInfoChanged", broken)
    rig.node.tell(rig.address, NodeInfoChanged(rig.own))
    rig.world.run(0.1)
    complaints.expect("OutboundPeer failed on NodeInfoChanged")
    assert rig.node.of(PeerGone) == [PeerGone(THERE.peer_id, crashed=True)]
    rig.node.tell(rig.address, FindPeer(9, THERE.peer_id))
    rig.world.run(0.1)
    (failed,) = rig.node.of(Failed)
    assert (failed.request_id, type(failed.error)) == (9, PeerNotFound)


def test_the_node_is_told_when_everybody_is_gone(rig: Rig) -> None:
    remote = rig.dial()
    rig.node.tell(rig.address, CloseAllPeers())
    rig.world.run(0.1)
    assert rig.node.of(AllPeersClosed) == []
    remote.run(0.2)
    assert rig.node.of(AllPeersClosed) == [AllPeersClosed()]
    assert remote.disconnect_code() == 1000
    assert rig.world.alive(OutboundPeer) == []


def test_an_empty_pool_says_so_at_once_and_once(rig: Rig) -> None:
    rig.node.tell(rig.address, CloseAllPeers())
    rig.node.tell(rig.address, CloseAllPeers())
    rig.world.run(100)
    assert rig.node.of(AllPeersClosed) == [AllPeersClosed()]


def test_the_pools_end_is_the_end_of_its_peers(rig: Rig) -> None:
    remote = rig.dial()
    rig.node.tell(rig.address, ActorExitRequest())
    remote.run(0.2)
    assert remote.closed is not None
    assert rig.world.alive(OutboundPeer) == []


# ---- feelers and anchors ----


def test_a_feeler_leaves_when_it_has_been_answered(world: World, rigs: list[Rig]) -> None:
    rig = Rig(world, max_outbound_connections=1, feeler_interval_s=1.0)
    rigs.append(rig)
    rig.dial()
    felt = Endpoint("10.9.0.2", 5001)
    listener = Listener(world, felt)
    rig.listeners.append(listener)
    question = rig.book.wait(ChooseFeeler, seconds=15.0)
    rig.book.tell(rig.address, FeelerChosen(question.request_id, felt))
    remote = listener.introduced_until_node_info(node_info("felt"))
    remote.run(5.0)
    assert remote.disconnect_code() == 1000
    assert not any("getPeers" in text for text in remote.texts)
    assert OutboundSucceeded(felt, True) in rig.book.of(OutboundSucceeded)
    assert [peer.endpoint for peer in rig.peers()] == [THERE]
    assert len(world.alive(OutboundPeer)) == 1, "nothing of it is left"


def test_the_anchors_of_the_last_run_are_dialled_and_those_of_this_one_are_told(rig: Rig) -> None:
    listener = Listener(rig.world, THERE)
    rig.listeners.append(listener)
    rig.book.tell(rig.address, DialAnchors((THERE,)))
    rig.world.run(0.01)
    listener.introduced(node_info("anchor"))
    assert [peer.endpoint for peer in rig.peers()] == [THERE]
    assert rig.book.of(KeepAnchors) == []
    rig.node.tell(rig.address, CloseAllPeers())
    assert rig.book.wait(KeepAnchors) == KeepAnchors((THERE,))
