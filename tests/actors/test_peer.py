"""One connection as an actor, over a real channel: dialling, taking over, back-pressure, the end. Rooms are probes."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from thespian.actors import ActorExitRequest
from websockets.protocol import Protocol, Side

from actors.peer import InboundPeer, OutboundPeer
from actors.peer_desk import LINGER_S
from actors.transport.channel import QUIET, Channel
from actors.transport.handover import HandOver
from actors.wiring import (
    Charter,
    PrepareInbound,
    Rooms,
    StartOutbound,
    Subscriber,
    SubscribersChanged,
    TakenOver,
    TakeOver,
)
from core.config import NodeConfig
from core.errors import PeerNotFound, RequestFailed, SendFailed
from core.events import ConnectOutbound, Event, FailedToSendMessage, MessageReceived, NewInboundPeer, RequestReceived
from core.house_messages import (
    ClosePeer,
    GetSample,
    NodeInfoChanged,
    PeerClosed,
    PeerConnected,
    PeerDismissed,
    PeerMisbehaved,
    PeersAdvertised,
    PeerSample,
    PeerTraffic,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.messages import (
    AnswerCall,
    Answers,
    ApplyPenalty,
    Done,
    EventBatch,
    Failed,
    FindPeer,
    HoldReading,
    PeerCommands,
    PeerFound,
    PeerGone,
    PeerReleased,
    RefuseCall,
    RequestAnswered,
    ResumeReading,
    SendMessage,
    SendRequest,
)
from core.outflow import HIGH_WATER_BYTES
from core.wire.native_packets import encode_message, join
from tests.actors.remote import DIALECT, Listener, Remote, node_info
from tests.actors.world import Complaints, MemoryStream, World
from tests.spoken import BOTH_DIALECTS, Spoken, is_native

pytestmark = BOTH_DIALECTS

THERE = Endpoint("10.9.0.1", 5001)


class Rig:
    """A peer actor and its rooms."""

    def __init__(self, world: World, kind: type, **options: Any) -> None:
        self.world = world
        self.config = NodeConfig(**options)
        self.node, self.pool, self.book, self.server, self.program = (world.probe() for _ in range(5))
        self.address = world.create(kind, "10.1.0.1")
        self.own = node_info("ownnonce")
        self.remote: Remote
        self.rubbish: list[Any] = []

    @property
    def charter(self) -> Charter:
        rooms = Rooms(self.node.address, self.pool.address, self.book.address, self.server.address)
        return Charter(self.config, self.own, 6001, b"s" * 32, rooms, (Subscriber(self.program.address, None),))

    @property
    def actor(self) -> Any:
        return self.world.instance(self.address)

    def tell(self, message: Any) -> None:
        """As the pool or a program would."""
        self.program.tell(self.address, message)
        self.world.run(0.01)

    def events(self, kind: type[Event]) -> list[Any]:
        return [event for batch in self.program.of(EventBatch) for event in batch.events if isinstance(event, kind)]

    def closed(self) -> PeerClosed:
        """The peer's last message to the pool; told to go then, as the pool does."""
        last: PeerClosed = self.pool.wait(PeerClosed)
        assert self.pool.of(PeerClosed) == [last]
        self.pool.tell(self.address, PeerDismissed())
        self.world.run(0.01)
        assert self.actor is None
        return last

    # ---- outbound ----

    def dial(self) -> Rig:
        self.pool.tell(self.address, StartOutbound(self.charter, THERE, PeerKind.NONE))
        return self

    def connected(self, peers: tuple[Endpoint, ...] = ()) -> Rig:
        """Dialled, accepted and introduced."""
        listener = Listener(self.world, THERE)
        self.rubbish.append(listener)
        self.dial()
        self.remote = listener.introduced(node_info("theirs"), peers)
        self.pool.wait(PeerConnected)
        return self

    # ---- inbound ----

    def hand_over(self, *, prepared_first: bool = True) -> Rig:
        """Give the actor one end of a connection whose other end is the test's."""
        ours, theirs = socket.socketpair()
        self.rubbish += [ours, theirs]
        remote = MemoryStream(theirs, Endpoint("10.1.0.1", 6001))
        self.remote = Remote(self.world, Channel(remote, Protocol(Side.CLIENT, logger=QUIET), max_queued_bytes=1 << 20))
        given = HandOver(token=5, fd=ours.fileno(), remote_ip=THERE.ip, remote_port=40_000)
        prepare = (self.pool, PrepareInbound(self.charter, THERE, PeerKind.NONE))
        take = (self.server, TakeOver(given, node_info("theirs"), 1, Spoken.name))
        for probe, message in (prepare, take) if prepared_first else (take, prepare):
            probe.tell(self.address, message)
        self.world.run(0.01)
        ours.close()  # the server's copy
        return self


@pytest.fixture
def make(world: World) -> Iterator[Any]:
    rigs: list[Rig] = []

    def make_one(kind: type = OutboundPeer, **options: Any) -> Rig:
        rigs.append(Rig(world, kind, **options))
        return rigs[-1]

    yield make_one
    for rig in rigs:
        for thing in rig.rubbish:
            thing.close()


@pytest.fixture
def outbound(make: Any) -> Rig:
    """A connected outbound peer."""
    rig: Rig = make().connected((Endpoint("20.1.0.1", 1),))
    return rig


@pytest.fixture
def inbound(make: Any) -> Rig:
    """A connected inbound peer."""
    rig: Rig = make(InboundPeer).hand_over()
    rig.pool.wait(PeerConnected)
    return rig


# ---- dialling ----


def test_an_outbound_peer_introduces_itself_asks_and_reports(outbound: Rig) -> None:
    (connected,) = outbound.pool.of(PeerConnected)
    assert (connected.peer.endpoint, connected.peer.nonce) == (THERE, "theirs")
    assert connected.peer.direction is Direction.OUTBOUND
    assert outbound.book.of(PeersAdvertised) == [PeersAdvertised(THERE.peer_id, THERE.ip, (Endpoint("20.1.0.1", 1),))]
    assert len(outbound.events(ConnectOutbound)) == 1
    (asked,) = [event for event in outbound.remote.events if hasattr(event, "target")]
    assert "port=6001" in asked.target
    assert "nonce=ownnonce" in asked.target


def test_a_refused_connection_is_reported(make: Any) -> None:
    rig = make().dial()
    last = rig.closed()
    assert (last.was_connected, last.code, last.endpoint) == (False, CloseCode.ABNORMAL, THERE)
    assert "refused" in last.reason


def test_a_listener_that_never_answers_costs_the_time_out(world: World, make: Any) -> None:
    listener = Listener(world, THERE)
    world.net.silent.add(THERE.ip)
    began = world.time
    rig = make(upgrade_timeout_s=3.0).dial()
    assert rig.closed().was_connected is False
    assert 2 < world.time - began < 10
    listener.close()


def test_a_network_that_raises_at_once_is_a_failed_dial(
    world: World, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(own_ip: str, remote: Endpoint) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(world.net, "connect", fail)
    assert "unreachable" in make().dial().closed().reason


def refuse_everybody(peer: Any, own: Any) -> str:
    """A handshake check."""
    return f"not {peer.peer_id}"


def test_the_applications_check_counts_for_who_we_dial_too(world: World, make: Any) -> None:
    rig = make(peer_handshake_check=refuse_everybody)
    listener = Listener(world, THERE)
    rig.rubbish.append(listener)
    rig.dial()
    remote = listener.introduced_until_node_info()
    remote.run(0.2)
    assert remote.disconnect_code() == CloseCode.INCOMPATIBLE
    assert f"not {THERE.peer_id}" in "".join(remote.texts)
    assert rig.closed().was_connected is False


def test_ourselves_is_recognised(world: World, make: Any) -> None:
    rig = make()
    listener = Listener(world, THERE)
    rig.rubbish.append(listener)
    rig.dial()
    listener.introduced_until_node_info(rig.own).run(0.2)
    assert rig.closed().code == CloseCode.OWN_NONCE


# ---- taking over ----


@pytest.mark.parametrize("prepared_first", [True, False])
def test_a_connection_is_taken_over_whichever_message_comes_first(make: Any, prepared_first: bool) -> None:
    """Server and pool are different senders: TakeOver may overtake PrepareInbound."""
    rig = make(InboundPeer).hand_over(prepared_first=prepared_first)
    assert rig.server.of(TakenOver) == [TakenOver(5)]
    rig.remote.run(0.1)
    assert rig.remote.packet("rid")["data"]["isAuthenticated"] is False  # the handshake is acknowledged
    (connected,) = rig.pool.of(PeerConnected)
    assert (connected.peer.endpoint, connected.peer.direction) == (THERE, Direction.INBOUND)
    assert len(rig.events(NewInboundPeer)) == 1


def test_a_hand_over_that_never_comes_ends_the_peer(make: Any) -> None:
    rig = make(InboundPeer)
    rig.pool.tell(rig.address, PrepareInbound(rig.charter, THERE, PeerKind.NONE))
    last = rig.closed()
    assert (last.direction, last.was_connected) == (Direction.INBOUND, False)


def test_a_hand_over_that_comes_too_late_is_declined(make: Any) -> None:
    rig = make(InboundPeer)
    rig.pool.tell(rig.address, PrepareInbound(rig.charter, THERE, PeerKind.NONE))
    rig.pool.wait(PeerClosed)
    ours, theirs = socket.socketpair()
    given = HandOver(token=6, fd=ours.fileno(), remote_ip=THERE.ip, remote_port=40_000)
    rig.server.tell(rig.address, TakeOver(given, node_info("theirs"), 1, Spoken.name))
    assert rig.server.wait(TakenOver) == TakenOver(6)
    ours.close()  # as the server does then
    assert theirs.recv(1) == b""
    theirs.close()
    assert rig.pool.of(PeerConnected) == []


def test_a_peer_told_to_close_before_the_hand_over_declines_it(make: Any) -> None:
    rig = make(InboundPeer)
    rig.pool.tell(rig.address, PrepareInbound(rig.charter, THERE, PeerKind.NONE))
    rig.pool.tell(rig.address, ClosePeer(CloseCode.NORMAL, "stop"))
    rig.hand_over()
    assert rig.pool.of(PeerConnected) == []
    assert rig.closed().was_connected is False


def test_a_connection_that_is_lost_on_the_way_is_reported(make: Any, world: World) -> None:
    rig = make(InboundPeer)
    ours, theirs = socket.socketpair()
    number = os.dup(ours.fileno())
    os.close(number)
    given = HandOver(token=5, fd=number, remote_ip=THERE.ip, remote_port=40_000)
    rig.pool.tell(rig.address, PrepareInbound(rig.charter, THERE, PeerKind.NONE))
    rig.server.tell(rig.address, TakeOver(given, node_info("theirs"), 1, Spoken.name))
    assert "lost in the hand-over" in rig.closed().reason
    assert rig.server.of(TakenOver) == [TakenOver(5)]
    ours.close()
    theirs.close()


def test_what_came_with_the_hand_over_is_read_at_once(make: Any) -> None:
    rig = make(InboundPeer)
    rig.hand_over()
    rig.remote.send(DIALECT.encode_message("early", b"bird"))
    rig.remote.run(0.1)
    assert [(event.event, event.data) for event in rig.events(MessageReceived)] == [("early", b"bird")]


# ---- messages and requests, both directions ----


@pytest.fixture(params=["outbound", "inbound"])
def rig(request: pytest.FixtureRequest) -> Rig:
    found: Rig = request.getfixturevalue(request.param)
    return found


def test_a_message_goes_out_and_is_confirmed(rig: Rig) -> None:
    rig.tell(SendMessage(1, "hello", b"world"))
    rig.tell(SendMessage(0, "quiet", None))
    rig.remote.run(0.1)
    assert rig.program.of(Done) == [Done(1)]
    assert any('"hello"' in text for text in rig.remote.texts)
    assert any('"quiet"' in text for text in rig.remote.texts)


def test_a_message_comes_in_as_an_event(rig: Rig) -> None:
    rig.remote.send(DIALECT.encode_message("news", b"\0\1"))
    rig.remote.run(0.1)
    assert [(event.peer_id, event.event, event.data) for event in rig.events(MessageReceived)] == [
        (THERE.peer_id, "news", b"\0\1")
    ]


def test_a_request_is_answered_to_who_asked(rig: Rig) -> None:
    rig.tell(SendRequest(4, "sum", b"1+1"))
    rig.remote.run(0.1)
    (asked,) = [json.loads(text) for text in rig.remote.texts if '"sum"' in text]
    rig.remote.send(DIALECT.encode_response(asked["cid"], b"2", THERE.peer_id))
    assert rig.program.wait(RequestAnswered) == RequestAnswered(4, THERE.peer_id, b"2")


def test_several_commands_at_once_are_carried_out_in_order(rig: Rig) -> None:
    rig.remote.send(DIALECT.encode_request("ask", None, 77))
    rig.remote.run(0.1)
    commands = (
        SendMessage(0, "one", None),
        SendRequest(5, "two", None),
        AnswerCall(77, b"3"),
        SendMessage(6, "4", None),
    )
    rig.tell(PeerCommands(commands))
    rig.remote.run(0.1)
    marks = ('"one"', '"two"', '"rid":77', '"4"')
    assert [mark for text in rig.remote.texts for mark in marks if mark in text] == list(marks)
    assert rig.program.of(Done) == [Done(6)]


def test_answers_of_one_read_are_one_message_for_who_sends_here_straight(rig: Rig) -> None:
    rig.program.tell(rig.address, FindPeer(9, THERE.peer_id))
    rig.tell(PeerCommands((SendRequest(1, "p", None), SendRequest(2, "p", None), SendRequest(3, "p", None))))
    rig.pool.tell(rig.address, SendRequest(7, "p", None))  # as an application's actor would
    rig.remote.run(0.1)
    cids = [json.loads(text)["cid"] for text in rig.remote.texts if '"procedure":"p"' in text]
    for cid in cids[:2] + cids[3:]:
        rig.remote.channel.send(DIALECT.encode_response(cid, b"a", THERE.peer_id))
    rig.remote.run(0.1)
    answered = tuple(RequestAnswered(number, THERE.peer_id, b"a") for number in (1, 2))
    assert rig.program.of(Answers) == [Answers(answered)]
    assert rig.pool.of(RequestAnswered) == [RequestAnswered(7, THERE.peer_id, b"a")]
    rig.remote.send(DIALECT.encode_response(cids[2], b"a", THERE.peer_id))
    assert rig.program.wait(RequestAnswered) == RequestAnswered(3, THERE.peer_id, b"a")  # one is no batch


def test_large_commands_do_not_wait_for_each_other(rig: Rig) -> None:
    rig.tell(PeerCommands(tuple(SendMessage(0, "big", bytes(40_000)) for _ in range(10))))
    rig.remote.run(0.5)
    assert sum('"big"' in text for text in rig.remote.texts) == 10


def test_who_asks_for_the_actor_is_answered_by_it_and_told_of_its_end(rig: Rig) -> None:
    rig.program.tell(rig.address, FindPeer(9, THERE.peer_id))
    assert rig.program.wait(PeerFound) == PeerFound(9, THERE.peer_id)
    rig.remote.hang_up()
    assert rig.program.wait(PeerGone) == PeerGone(THERE.peer_id)


def test_a_closed_peer_stays_until_those_who_know_it_have_let_go(rig: Rig) -> None:
    rig.program.tell(rig.address, FindPeer(9, THERE.peer_id))
    rig.program.tell(rig.address, FindPeer(10, THERE.peer_id))  # the same once more
    rig.world.run(0.01)
    rig.remote.hang_up()
    rig.pool.wait(PeerClosed)
    rig.pool.tell(rig.address, PeerDismissed())
    rig.world.run(0.01)
    on_their_way = (SendMessage(1, "a", None), SendRequest(2, "b", None), SendMessage(0, "c", None))
    rig.program.tell(rig.address, PeerCommands(on_their_way))
    rig.world.run(0.01)
    failed = {found.request_id: found.error for found in rig.program.of(Failed)}
    assert isinstance(failed[1], SendFailed)
    assert isinstance(failed[2], RequestFailed)
    assert [event.event for event in rig.events(FailedToSendMessage)] == ["a", "c"]
    assert rig.actor is not None
    rig.program.tell(rig.address, PeerReleased())
    rig.world.run(0.01)
    assert rig.actor is None


def test_a_closed_peer_does_not_wait_for_ever(rig: Rig) -> None:
    rig.program.tell(rig.address, FindPeer(9, THERE.peer_id))
    rig.world.run(0.01)
    rig.remote.hang_up()
    rig.pool.wait(PeerClosed)
    rig.pool.tell(rig.address, PeerDismissed())
    rig.world.run(LINGER_S - 0.1)
    assert rig.actor is not None
    rig.world.run(0.2)
    assert rig.actor is None


def test_a_closed_peer_is_not_found(rig: Rig) -> None:
    rig.remote.hang_up()
    rig.pool.wait(PeerClosed)
    rig.tell(FindPeer(9, THERE.peer_id))
    (failed,) = rig.program.of(Failed)
    assert (failed.request_id, type(failed.error)) == (9, PeerNotFound)


def test_a_peer_that_ends_in_disorder_says_so_too(rig: Rig) -> None:
    rig.program.tell(rig.address, FindPeer(9, THERE.peer_id))
    rig.world.run(0.01)
    rig.pool.tell(rig.address, ActorExitRequest())
    rig.world.run(0.01)
    assert rig.program.of(PeerGone) == [PeerGone(THERE.peer_id)]


@pytest.mark.parametrize(("answer", "key"), [(AnswerCall, "data"), (RefuseCall, "error")])
def test_a_remotes_request_is_answered_by_the_program(rig: Rig, answer: Any, key: str) -> None:
    rig.remote.send(DIALECT.encode_request("ask", b"me", 77))
    rig.remote.run(0.1)
    (request,) = rig.events(RequestReceived)
    assert (request.procedure, request.data) == ("ask", b"me")
    rig.tell(answer(request.call_id, b"x" if answer is AnswerCall else "no"))
    rig.tell(answer(request.call_id, b"x" if answer is AnswerCall else "no"))  # the second one is ignored
    rig.remote.run(0.1)
    replies = [json.loads(text) for text in rig.remote.texts if '"rid":77' in text]
    assert len(replies) == 1
    assert key in replies[0]


def test_a_remote_that_asks_for_peers_gets_the_books_sample(inbound: Rig) -> None:
    inbound.remote.send(DIALECT.encode_request("getPeers", None, 9))
    inbound.remote.run(0.1)
    (asked,) = inbound.book.of(GetSample)
    assert asked.requester_ip == THERE.ip
    inbound.book.tell(inbound.address, PeerSample(asked.request_id, (Endpoint("20.1.0.1", 1),)))
    inbound.remote.run(0.1)
    (reply,) = [json.loads(text) for text in inbound.remote.texts if '"rid":9' in text]
    assert reply["data"]["data"]


def test_a_changed_node_info_is_pushed(rig: Rig) -> None:
    rig.remote.run(0.1)
    before = sum("postNodeInfo" in text for text in rig.remote.texts)
    rig.tell(NodeInfoChanged(node_info("ownnonce", advertise_address=False)))
    rig.remote.run(0.1)
    assert sum("postNodeInfo" in text for text in rig.remote.texts) == before + 1


# ---- the end ----


def test_told_to_close_it_closes_in_order(rig: Rig) -> None:
    rig.tell(ClosePeer(CloseCode.EVICTED, "Evicted"))
    rig.remote.run(0.2)
    assert rig.remote.disconnect_code() == CloseCode.EVICTED
    assert rig.remote.closed is not None
    assert rig.remote.closed.code == CloseCode.EVICTED
    last = rig.closed()
    assert (last.was_connected, last.code, last.by_us) == (True, CloseCode.EVICTED, True)


def test_a_remote_that_hangs_up_is_reported_and_every_query_answered(rig: Rig) -> None:
    rig.tell(SendRequest(1, "p", None))
    rig.remote.hang_up()
    rig.world.run(0.1)
    rig.tell(SendRequest(2, "p", None))  # on its way when the peer closed
    rig.tell(SendMessage(3, "e", None))
    rig.tell(ApplyPenalty(4, THERE.peer_id, 100, "late"))
    failed = {answer.request_id: answer.error for answer in rig.program.of(Failed)}
    assert set(failed) == {1, 2, 3}
    assert isinstance(failed[2], RequestFailed)
    assert isinstance(failed[3], SendFailed)
    assert rig.program.of(Done) == [Done(4)]
    assert rig.node.of(PeerMisbehaved) == []
    last = rig.closed()
    assert (last.was_connected, last.by_us) == (True, False)


def test_a_used_up_reputation_is_told_to_the_node(rig: Rig) -> None:
    rig.tell(ApplyPenalty(1, THERE.peer_id, 100, "bad block"))
    rig.remote.run(0.2)
    (told,) = rig.node.of(PeerMisbehaved)
    assert (told.ip, told.reason) == (THERE.ip, "bad block")
    assert rig.closed().by_us is True


def test_the_actors_end_is_the_connections_end(rig: Rig) -> None:
    rig.pool.tell(rig.address, ActorExitRequest())
    rig.remote.run(0.1)
    assert rig.remote.closed is not None


def test_a_poisoned_message_ends_one_peer(rig: Rig, complaints: Complaints) -> None:
    rig.tell(ClosePeer("no code", 7))  # type: ignore[arg-type]
    rig.remote.run(0.1)
    complaints.expect("failed on ClosePeer")
    assert rig.actor is None
    assert rig.remote.closed is not None


# ---- counting and back-pressure ----


def test_traffic_is_counted_and_told_once_a_second(rig: Rig) -> None:
    rig.world.run(2)
    told = len(rig.node.of(PeerTraffic))
    for _ in range(10):
        rig.tell(SendMessage(0, "e", b"x" * 100))
        rig.remote.send(DIALECT.encode_message("e", b"y"))
        rig.remote.run(0.02)
    rig.world.run(1.5)
    reports = rig.node.of(PeerTraffic)[told:]
    assert len(reports) <= 2
    assert sum(report.messages_sent for report in reports) == 10
    assert sum(report.messages_received for report in reports) == 10
    smallest = 10 * len(join([encode_message("e", b"y")])) if is_native() else 300
    assert sum(report.bytes_sent for report in reports) > smallest
    assert sum(report.bytes_received for report in reports) > smallest


@pytest.mark.parametrize("together", [False, True])
def test_a_remote_that_does_not_read_makes_senders_wait_and_then_loses_messages(make: Any, together: bool) -> None:
    rig = make(max_send_queue_bytes=4 * HIGH_WATER_BYTES, ws_max_payload_bytes=HIGH_WATER_BYTES).connected()
    data = b"x" * (HIGH_WATER_BYTES // 2)
    messages = tuple(SendMessage(number, "big", data) for number in range(1, 20))
    for message in (PeerCommands(messages),) if together else messages:
        rig.tell(message)
    done, failed = rig.program.of(Done), rig.program.of(Failed)
    assert len(done) < 5  # the others wait
    assert failed
    assert all("full" in str(answer.error) for answer in failed)
    assert len(rig.events(FailedToSendMessage)) == len(failed)
    for _ in range(200):
        rig.remote.step()
        rig.world.run(0.001)
    assert len(rig.program.of(Done)) + len(failed) == 19
    assert sum('"big"' in text for text in rig.remote.texts) == len(rig.program.of(Done))


def test_those_who_wait_for_a_peer_that_is_lost_hear_of_it(make: Any) -> None:
    rig = make().connected()
    data = b"x" * HIGH_WATER_BYTES
    for number in range(1, 6):
        rig.tell(SendMessage(number, "big", data))
    rig.remote.hang_up()
    rig.world.run(1)
    answered = {answer.request_id for answer in (*rig.program.of(Done), *rig.program.of(Failed))}
    assert answered == {1, 2, 3, 4, 5}
    assert rig.program.of(Failed)


# ---- flow ----


def test_a_request_to_a_peer_whose_queue_is_full_fails_and_the_connection_stays(make: Any) -> None:
    rig = make(max_send_queue_bytes=4 * HIGH_WATER_BYTES, ws_max_payload_bytes=HIGH_WATER_BYTES).connected()
    data = b"x" * (HIGH_WATER_BYTES // 2)
    for number in range(1, 20):
        rig.tell(SendRequest(number, "big", data, timeout_s=60.0))
    failed = rig.program.of(Failed)
    assert failed
    assert all(type(answer.error) is RequestFailed and "queue is full" in str(answer.error) for answer in failed)
    assert rig.pool.of(PeerClosed) == []
    assert rig.actor.link.traffic.messages_dropped + sum(
        report.messages_dropped for report in rig.node.of(PeerTraffic)
    ) == len(failed)


def test_senders_that_wait_go_on_at_the_low_water_mark(make: Any) -> None:
    rig = make(ws_max_payload_bytes=HIGH_WATER_BYTES).connected()
    for number in range(1, 9):
        rig.tell(SendMessage(number, "big", b"x" * (HIGH_WATER_BYTES // 4)))
    channel = rig.actor._channel
    assert channel.queued_bytes > HIGH_WATER_BYTES
    waiting = 8 - len(rig.program.of(Done))
    assert waiting > 2
    while channel.queued_bytes > HIGH_WATER_BYTES // 4:
        assert 8 - len(rig.program.of(Done)) == waiting, "not before the low mark"
        rig.remote.channel.on_readable()
        rig.world.run(0.001)
    rig.world.run(0.01)
    assert len(rig.program.of(Done)) == 8


PATIENT = {"keepalive_timeout_s": 1000.0, "ping_interval_min_s": 900.0, "ping_interval_max_s": 900.0}


def test_a_peer_that_reads_nothing_for_30_s_is_dropped(make: Any) -> None:
    rig = make(InboundPeer, **PATIENT).hand_over()
    rig.tell(SendMessage(1, "big", b"x" * (2 * HIGH_WATER_BYTES)))
    assert rig.actor._channel.queued_bytes
    rig.world.run(29.0)
    assert rig.pool.of(PeerClosed) == []
    rig.world.run(2.0)
    last = rig.closed()
    assert (last.by_us, last.code, last.reason) == (True, CloseCode.ABNORMAL, "the peer has read nothing for 30 s")
    (failed,) = rig.program.of(Failed)
    assert "not connected any more" in str(failed.error)


def test_a_peer_that_reads_a_little_now_and_then_is_kept(make: Any) -> None:
    rig = make(InboundPeer, **PATIENT, send_stall_timeout_s=2.0).hand_over()
    for number in range(8):
        rig.tell(SendMessage(number, "big", b"x" * (HIGH_WATER_BYTES // 4)))
    for _ in range(6):
        rig.world.run(1.5)
        rig.remote.channel.on_readable()
    assert rig.pool.of(PeerClosed) == []
    rig.world.run(2.5)
    assert rig.closed().reason == "the peer has read nothing for 2 s"


def flood(rig: Rig, count: int) -> int:
    """Have the remote send messages as long as they find room; returns how many did."""
    packet = DIALECT.encode_message("flood", bytes(1000))
    sent = 0
    while sent < count and rig.remote.channel.room_bytes > 2 * len(packet):
        rig.remote.channel.send(packet)
        rig.remote.channel.flush()
        sent += 1
    return sent


def received(rig: Rig) -> int:
    return len([event for event in rig.events(MessageReceived) if event.event == "flood"])


@pytest.mark.parametrize("kind", [InboundPeer, OutboundPeer])
def test_a_subscriber_that_has_too_much_stops_the_reading(make: Any, kind: type) -> None:
    """TCP pushes back: what is not read fills the sockets and then the sender's own queue, and nothing here."""
    rig = make(kind, ws_max_message_rate_per_s=1e6)
    rig = rig.hand_over() if kind is InboundPeer else rig.connected()
    rig.tell(HoldReading())
    sent = flood(rig, 2000)
    rig.world.run(1.0)
    assert received(rig) == 0
    assert rig.remote.channel.queued_bytes > 0, "the sender is left with what does not fit"
    rig.tell(ResumeReading())
    for _ in range(100):
        rig.remote.channel.flush()
        rig.world.run(0.01)
    assert received(rig) == sent
    assert rig.pool.of(PeerClosed) == []


@pytest.mark.parametrize("kind", [InboundPeer, OutboundPeer])
def test_a_remote_that_is_not_read_is_not_blamed_for_its_silence(make: Any, kind: type) -> None:
    rig = make(kind, ws_max_message_rate_per_s=1e6)
    rig = rig.hand_over() if kind is InboundPeer else rig.connected()
    rig.tell(HoldReading())
    rig.world.run(200.0)
    assert rig.pool.of(PeerClosed) == []
    rig.tell(ResumeReading())
    rig.world.run(9.0)  # a ping may be due at once, and waits for its answer for 10 s
    assert rig.pool.of(PeerClosed) == []
    rig.world.run(50.0)
    assert len(rig.pool.of(PeerClosed)) == 1, "from then on it counts again"


def test_several_subscribers_must_all_have_room(make: Any) -> None:
    rig = make(InboundPeer, ws_max_message_rate_per_s=1e6).hand_over()
    rig.tell(HoldReading())
    rig.book.tell(rig.address, HoldReading())
    rig.book.tell(rig.address, HoldReading())
    flood(rig, 5)
    rig.tell(ResumeReading())
    rig.world.run(0.1)
    assert received(rig) == 0
    rig.book.tell(rig.address, ResumeReading())
    rig.world.run(0.1)
    assert received(rig) == 5


def test_who_is_no_subscriber_any_more_holds_nothing_up(make: Any) -> None:
    rig = make(InboundPeer, ws_max_message_rate_per_s=1e6).hand_over()
    rig.book.tell(rig.address, HoldReading())
    rig.world.run(0.01)
    flood(rig, 5)
    rig.tell(SubscribersChanged((Subscriber(rig.program.address, None),)))
    rig.world.run(0.1)
    assert received(rig) == 5


def test_a_close_is_read_although_the_reading_was_stopped(make: Any) -> None:
    rig = make(InboundPeer).hand_over()
    rig.tell(HoldReading())
    rig.tell(ClosePeer(CloseCode.NORMAL, "enough"))
    rig.world.run(3.0)
    assert rig.closed().reason == "enough"
