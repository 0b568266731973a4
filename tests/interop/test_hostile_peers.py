"""Packets that end the process of a lisk-p2p 0.10 node, or cost it a slot for ever, sent to nodes of ours.

The numbers are those of docs/defects.md. No lisk-p2p node takes part: the other side is made by hand, over real
sockets; tests/test_defects.py tries the same on the state machines alone. After each attack the node must still be
whole: it serves a newcomer, and has logged no error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from core.errors import ConnectionLost, RequestFailed
from core.events import (
    CloseInbound,
    CloseOutbound,
    ConnectAbortOutbound,
    ConnectOutbound,
    FailedToFetchPeerInfo,
    MessageReceived,
    NewInboundPeer,
)
from tests.interop.ensemble_node import EnsembleNode
from tests.interop.raw_peer import (
    ANY_PEER_ID,
    Packet,
    RawConnection,
    RawListener,
    RawOpener,
    Refused,
    introduce,
    shake_hands,
)

pytestmark = [pytest.mark.sockets, pytest.mark.usefixtures("nobody_complains")]

MakeOurs = Callable[..., EnsembleNode]

AFTERWARDS: Packet = {"event": "remote-message", "data": {"event": "afterwards", "data": "IQ=="}}


def assert_whole(node: EnsembleNode) -> None:
    """The node runs, takes a newcomer in and answers it; bans of this machine, if any, are lifted for that."""
    for ban in node.p2p.bans():
        node.p2p.unban(ban.ip)
    node.p2p.procedure("alive?", lambda request: request.data)
    with EnsembleNode(seed_peers=[node], max_outbound_connections=1) as newcomer:
        newcomer.wait_connected(node)
        assert newcomer.p2p.request_from_peer(node.peer_id, "alive?", b"yes").data == b"yes"


def survives(opener: RawConnection) -> bool:
    """Whether the node still answers on this connection, or has closed it."""
    try:
        # It may have closed before we ask, which the sending then says, or while we wait.
        opener.send({"event": "rpc-request", "data": {"procedure": "getPeers"}, "cid": 99})
        opener.receive(lambda packet: packet.get("rid") == 99)
    except ConnectionClosed:
        return False
    return True


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ({"data": {"data": {"a": 1}}}, True),
        ({"data": {"data": 5}}, True),
        ({"data": {"data": True}}, True),
        ({"data": {"data": None}}, True),
        ({"data": {"data": []}}, True),
        ({"data": {"data": "!!*"}}, True),
        ({"data": {}}, True),
        ({}, True),
        ({"error": {"message": "not today"}}, True),
        ({"error": {}}, True),
        ({"data": None}, False),
        ({"data": "pong"}, False),
        ({"data": 5}, False),
        ({"error": "not today"}, False),
    ],
    ids=lambda value: str(value).replace(" ", "") if isinstance(value, dict) else "",
)
def test_defect_1_any_answer_to_our_ping(ensemble_node: MakeOurs, answer: Packet, kept: bool) -> None:
    node = ensemble_node(ping_interval_min_s=0.01, ping_interval_max_s=0.01)
    with RawOpener(node.peer_id) as opener:
        opener.shake_hands()
        ping = opener.receive_request("ping")
        opener.send({"rid": ping["cid"], **answer})
        assert survives(opener) is kept
    assert_whole(node)


def test_an_unanswered_ping_ends_the_connection(ensemble_node: MakeOurs) -> None:
    node = ensemble_node(ping_interval_min_s=0.01, ping_interval_max_s=0.01, inbound_request_timeout_s=0.05)
    with RawOpener(node.peer_id) as opener:
        opener.shake_hands()
        opener.receive_request("ping")
        opener.wait_closed()
        assert node.wait_event(CloseInbound).reason == "ping was not answered"
    assert_whole(node)


LISTENER_PACKETS: dict[str, tuple[Packet | str | bytes, bool]] = {
    "2: request without data": ({"event": "rpc-request", "cid": 7}, True),
    "2: request with null": ({"event": "rpc-request", "data": None, "cid": 7}, True),
    "2: request with a number": ({"event": "rpc-request", "data": 5, "cid": 7}, True),
    "2: request with an odd procedure": ({"event": "rpc-request", "data": {"procedure": {}}, "cid": 7}, True),
    "2: request with odd data": ({"event": "rpc-request", "data": {"procedure": "x", "data": 5}, "cid": 7}, True),
    "2: message without data": ({"event": "remote-message"}, True),
    "2: message with null": ({"event": "remote-message", "data": None}, True),
    "2: message with odd data": ({"event": "remote-message", "data": {"event": "x", "data": {}}}, True),
    "3: disconnect without data": ({"event": "#disconnect"}, False),
    "3: disconnect with null": ({"event": "#disconnect", "data": None}, False),
    "3: disconnect with a text for a code": ({"event": "#disconnect", "data": {"code": "4000"}}, False),
    "3: disconnect with 999": ({"event": "#disconnect", "data": {"code": 999}}, False),
    "3: disconnect with 1005": ({"event": "#disconnect", "data": {"code": 1005}}, False),
    "3: disconnect with 5000": ({"event": "#disconnect", "data": {"code": 5000}}, False),
    "3: disconnect with a huge code": ({"event": "#disconnect", "data": {"code": 10**30}}, False),
    "3: disconnect with an odd reason": ({"event": "#disconnect", "data": {"code": 1000, "data": {"a": 1}}}, False),
    "3: publish without data": ({"event": "#publish"}, True),
    "3: publish with null": ({"event": "#publish", "data": None}, True),
    "3: kickOut without data": ({"event": "#kickOut"}, True),
    "3: setAuthToken with a number": ({"event": "#setAuthToken", "data": {"token": 5}, "cid": 7}, True),
    "3: removeAuthToken": ({"event": "#removeAuthToken"}, True),
    "not JSON": ("{", True),
    "JSON scalar": ("5", True),
    "batch": ('[{"event":"x"},{"event":"y"}]', True),
    "answer to nothing": ({"rid": 4711, "data": {"data": 5}}, True),
    "binary": (b"\x00\xff", True),
}


@pytest.mark.parametrize(("packet", "kept"), LISTENER_PACKETS.values(), ids=LISTENER_PACKETS.keys())
def test_defects_2_and_3_packets_of_a_listener(
    ensemble_node: MakeOurs, packet: Packet | str | bytes, kept: bool
) -> None:
    def attack(peer: RawConnection) -> None:
        introduce(peer)
        peer.send(packet)
        peer.send(AFTERWARDS)

    with RawListener(attack) as listener:
        node = ensemble_node(previous_peers=[listener], populator_interval_s=3600)
        node.wait_event(ConnectOutbound)
        if kept:
            assert node.wait_event(MessageReceived).event == "afterwards"
            assert node.connected_ids() == {listener.peer_id}
        else:
            node.wait_event(CloseOutbound)
            listener.wait_ended()
        assert_whole(node)


@pytest.mark.parametrize("data", [5, None, True, {"a": 1}, [], "!", "AAAA"], ids=repr)
def test_defect_4_any_answer_to_get_node_info(ensemble_node: MakeOurs, data: Any) -> None:
    with RawListener(lambda peer: introduce(peer, {"getNodeInfo": data})) as listener:
        node = ensemble_node(previous_peers=[listener], populator_interval_s=3600)
        assert node.wait_event(ConnectAbortOutbound).peer_id == listener.peer_id
        assert_whole(node)


@pytest.mark.parametrize("data", [5, None, True, {"a": 1}, [], "!", "CA=="], ids=repr)
def test_defect_4_any_answer_to_get_peers(ensemble_node: MakeOurs, data: Any) -> None:
    with RawListener(lambda peer: introduce(peer, {"getPeers": data})) as listener:
        node = ensemble_node(previous_peers=[listener], populator_interval_s=3600)
        node.wait_for(lambda: bool(node.events(ConnectOutbound)) or bool(node.events(ConnectAbortOutbound)))
        assert_whole(node)


@pytest.mark.parametrize(
    "answer",
    [
        {"data": {"data": 5}},
        {"data": {"data": True}},
        {"data": {"data": {"a": 1}}},
        {"data": {"data": []}},
        {"data": {"data": None}},
        {"data": None},
        {"data": 5},
        {},
        {"error": None},
        {"error": "text"},
        {"error": {"message": 5}},
    ],
    ids=lambda answer: str(answer).replace(" ", ""),
)
def test_defect_4_any_answer_to_a_request_of_the_program(ensemble_node: MakeOurs, answer: Packet) -> None:
    def attack(peer: RawConnection) -> None:
        introduce(peer)
        request = peer.receive_request("question")
        peer.send({"rid": request["cid"], **answer})

    with RawListener(attack) as listener:
        node = ensemble_node(previous_peers=[listener], populator_interval_s=3600, ack_timeout_s=0.5)
        node.wait_event(ConnectOutbound)
        with pytest.raises(RequestFailed):
            node.p2p.request_from_peer(listener.peer_id, "question")
        assert_whole(node)


def test_defect_8_a_disconnect_without_a_close_is_followed_up(ensemble_node: MakeOurs) -> None:
    node = ensemble_node()
    with RawOpener(node.peer_id) as opener:
        opener.shake_hands()
        node.wait_event(NewInboundPeer)
        opener.send({"event": "#disconnect", "data": {"code": 1000, "data": "bye"}})
        assert opener.wait_closed() == 1000
        close = node.wait_event(CloseInbound)
        assert (close.code, close.reason) == (1000, "bye")
    assert_whole(node)


def mute_from_the_start(peer: RawConnection) -> None:
    """Upgrades and says nothing."""


def mute_after_the_handshake(peer: RawConnection) -> None:
    """Acknowledges and never answers."""
    shake_hands(peer)


def of_another_chain(peer: RawConnection) -> None:
    """Accepts whoever comes, and belongs to another network."""
    introduce(peer, chain_id="00000002")


def of_another_version(peer: RawConnection) -> None:
    """Accepts whoever comes, and speaks another version."""
    introduce(peer, version="2.0")


def refuses_get_node_info(peer: RawConnection) -> None:
    """Answers getNodeInfo with an error."""
    shake_hands(peer)
    request = peer.receive_request("getNodeInfo")
    peer.send({"rid": request["cid"], "error": {"message": "no"}})


@pytest.mark.parametrize(
    "script",
    [mute_from_the_start, mute_after_the_handshake, of_another_chain, of_another_version, refuses_get_node_info],
)
def test_defect_22_a_useless_listener_loses_its_slot(
    ensemble_node: MakeOurs, script: Callable[[RawConnection], None]
) -> None:
    with RawListener(script) as listener:
        node = ensemble_node(
            previous_peers=[listener], max_outbound_connections=1, ack_timeout_s=0.1, handshake_timeout_s=0.1
        )
        assert node.wait_event(ConnectAbortOutbound).peer_id == listener.peer_id
        assert bool(node.events(FailedToFetchPeerInfo)) is (script is not mute_from_the_start)
        listener.wait_ended()
        useful = ensemble_node(seed_peers=[node])
        node.wait_connected(useful)
        assert_whole(node)


def test_a_listener_that_vanishes_fails_the_open_request(ensemble_node: MakeOurs) -> None:
    def vanish(peer: RawConnection) -> None:
        introduce(peer)
        peer.receive_request("question")
        peer.connection.socket.close()

    with RawListener(vanish) as listener:
        node = ensemble_node(previous_peers=[listener], populator_interval_s=3600)
        node.wait_event(ConnectOutbound)
        with pytest.raises(ConnectionLost):
            node.p2p.request_from_peer(listener.peer_id, "question", timeout_s=30)
        assert_whole(node)


def test_an_answer_names_the_asker(ensemble_node: MakeOurs) -> None:
    node = ensemble_node()
    node.p2p.procedure("question", lambda request: 0)
    with RawOpener(node.peer_id) as opener:
        opener.shake_hands()
        opener.send({"event": "rpc-request", "data": {"procedure": "question"}, "cid": 5})
        answer = opener.receive(lambda packet: packet.get("rid") == 5)
        assert answer == {"rid": 5, "data": {"data": "MA==", "peerId": opener.peer_id}}
        assert opener.peer_id != ANY_PEER_ID


def test_nobody_listens_at_an_address(ensemble_node: MakeOurs) -> None:
    with RawListener(introduce) as listener:
        gone = listener.peer_id
    node = ensemble_node(previous_peers=[gone], populator_interval_s=3600)
    aborted = node.wait_event(ConnectAbortOutbound)
    assert (aborted.peer_id, aborted.code, aborted.reason) == (gone, 1006, "Connection refused")
    assert RawOpener.attempt(node.peer_id, chainID="00") == Refused(
        announced={"code": 4104, "data": "Peer chainID did not match our own"}, code=4104
    )
