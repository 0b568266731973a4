"""Native where both can, lisk-0.10 elsewhere: real lisk-p2p nodes never notice that more is on offer."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pytest

from core.events import ConnectOutbound, MessageReceived, NewInboundPeer
from tests.interop.ensemble_node import EnsembleNode
from tests.interop.links import Link, lisk_dials, we_dial
from tests.interop.lisk_node import LiskNode

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nobody_complains")]

MakeLisk = Callable[..., LiskNode]
MakeOurs = Callable[..., EnsembleNode]


def dialects(node: EnsembleNode) -> dict[str, str]:
    """What is spoken with whom."""
    return {peer.peer_id: peer.dialect for peer in node.p2p.get_connected_peers()}


@pytest.mark.parametrize(("connection", "event"), [(we_dial, ConnectOutbound), (lisk_dials, NewInboundPeer)])
def test_a_real_node_is_spoken_to_in_its_own_dialect(
    connection: Callable[[], AbstractContextManager[Link]], event: type
) -> None:
    with connection() as link:
        assert link.ours.events(event)
        assert dialects(link.ours) == {link.lisk.peer_id: "lisk-0.10"}
        link.ours.p2p.send_to_peer(link.lisk.peer_id, "hello", b"\x00\xff")
        seen = link.lisk.wait_event("EVENT_MESSAGE_RECEIVED", lambda message: message["event"] == "hello")
        assert seen["data"] == b"\x00\xff"


def upgrade(node: EnsembleNode, *headers: str) -> bytes:
    """The head of the answer to an upgrade request as lisk-p2p sends it, and perhaps more headers."""
    host, _, port = node.peer_id.rpartition(":")
    target = "/rpc/?networkVersion=1.1&chainID=00000001&nonce=78a1ad05a9bf1f8b&advertiseAddress=true&port=6002"
    lines = [
        f"GET {target} HTTP/1.1",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        f"Host: {node.peer_id}",
        *headers,
    ]
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            received = sock.recv(4096)
            assert received, head
            head += received
    return head.partition(b"\r\n\r\n")[0]


def test_an_opener_that_offers_nothing_gets_the_answer_it_always_got(ensemble_node: MakeOurs) -> None:
    node = ensemble_node()
    names = {line.partition(b":")[0].lower() for line in upgrade(node).split(b"\r\n")[1:]}
    assert names == {b"upgrade", b"connection", b"sec-websocket-accept"}
    offered = upgrade(node, "Ensemble-Native: 1").split(b"\r\n")
    assert b"Ensemble-Native: 1" in offered
    unknown = upgrade(node, "Ensemble-Native: 99").split(b"\r\n")
    assert not any(line.lower().startswith(b"ensemble-native") for line in unknown)


def all_meet(nodes: Sequence[EnsembleNode | LiskNode]) -> None:
    for node in nodes:
        node.wait_connected(*(other for other in nodes if other is not node), timeout_s=30)


def test_a_network_of_both_makes_speaks_native_where_it_can(lisk_node: MakeLisk, ensemble_node: MakeOurs) -> None:
    seed = ensemble_node()
    ours = [seed, ensemble_node(seed_peers=[seed]), ensemble_node(seed_peers=[seed])]
    old = ensemble_node(seed_peers=[seed], network={"native": False})
    lisk = [lisk_node(seedPeers=[seed]), lisk_node(seedPeers=[seed])]
    all_meet([*ours, old, *lisk])
    for node in ours:
        expected = {other.peer_id: "native" for other in ours if other is not node}
        expected |= {other.peer_id: "lisk-0.10" for other in (old, *lisk)}
        assert dialects(node) == expected
    assert set(dialects(old).values()) == {"lisk-0.10"}
    for sender in (*ours, old):
        sender.p2p.broadcast(sender.peer_id, b"\x00from " + sender.peer_id.encode())
        for node in (*ours, old):
            if node is not sender:
                wanted = sender.peer_id
                event = node.wait_event(MessageReceived, lambda event, wanted=wanted: event.event == wanted)
                assert event.data == b"\x00from " + sender.peer_id.encode()
        for node in lisk:
            wanted = sender.peer_id
            message = node.wait_event("EVENT_MESSAGE_RECEIVED", lambda one, wanted=wanted: one["event"] == wanted)
            assert message["data"] == b"\x00from " + sender.peer_id.encode()


def test_requests_go_both_ways_between_two_of_ours(ensemble_node: MakeOurs) -> None:
    listener = ensemble_node()
    opener = ensemble_node(seed_peers=[listener])
    all_meet([listener, opener])
    for node in (listener, opener):
        node.p2p.procedure("echo", lambda request: request.data)
    for asker, asked in ((listener, opener), (opener, listener)):
        assert dialects(asker) == {asked.peer_id: "native"}
        for data in (b"", b"\x00\xff" * 50_000):
            assert asker.p2p.request_from_peer(asked.peer_id, "echo", data).data == data
