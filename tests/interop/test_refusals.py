"""Every way in which one side refuses the other, with its close code, in both directions.

What real nodes can be made to do is done by real nodes; for the rest an opener by hand plays the same to a lisk-p2p
listener and to ours, and must be told the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.events import (
    CloseInbound,
    CloseOutbound,
    ConnectAbortOutbound,
    FailedToAddInboundPeer,
    FailedToFetchPeerInfo,
    NewInboundPeer,
)
from tests.interop.ensemble_node import EnsembleNode
from tests.interop.links import Link
from tests.interop.lisk_node import LiskNode, free_port
from tests.interop.raw_peer import RawOpener, Refused

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nobody_complains")]

MakeLisk = Callable[..., LiskNode]
MakeOurs = Callable[..., EnsembleNode]

OTHER_CHAIN = "Peer chainID did not match our own"
OTHER_VERSION = "Peer has incompatible protocol version"
OWN_NONCE = "Peer cannot connect to itself"
DUPLICATE = "Peer has a duplicate connection"
BAD_QUERY = "Peer did not provide valid query parameters as part of the WebSocket connection"
BAD_ADDRESS = "Invalid peer ipAddress or port for peer with ip: 127.0.0.1 and port {}"
NO_PROTECTION = {
    "netgroupProtectionRatio": 0,
    "latencyProtectionRatio": 0,
    "productivityProtectionRatio": 0,
    "longevityProtectionRatio": 0,
}
OUR_NO_PROTECTION = {
    "netgroup_protection_ratio": 0,
    "latency_protection_ratio": 0,
    "productivity_protection_ratio": 0,
    "longevity_protection_ratio": 0,
}


def refused(code: int, reason: str) -> Refused:
    """A refusal after the upgrade: announced with its reason, then closed with the same code."""
    return Refused(announced={"code": code, "data": reason}, code=code)


QUERIES: dict[str, tuple[dict[str, Any], Refused]] = {
    "other chain": ({"chainID": "00000002"}, refused(4104, OTHER_CHAIN)),
    "no chain": ({"chainID": ""}, refused(4104, OTHER_CHAIN)),
    "prefix of the chain": ({"chainID": "000000"}, refused(4104, OTHER_CHAIN)),
    "other version": ({"networkVersion": "2.0"}, refused(4104, OTHER_VERSION)),
    "version zero": ({"networkVersion": "0.9"}, refused(4104, OTHER_VERSION)),
    "version is a word": ({"networkVersion": "abc"}, refused(4104, OTHER_VERSION)),
    "version is missing": ({"networkVersion": None}, refused(4502, BAD_QUERY)),
    "chain is missing": ({"chainID": None}, refused(4502, BAD_QUERY)),
    "no query": ({"query": ""}, refused(4502, BAD_QUERY)),
    "version twice": (
        {"query": "networkVersion=1.1&networkVersion=1.1&chainID=00000001&port=6001"},
        refused(4502, BAD_QUERY),
    ),
    "chain twice": (
        {"query": "networkVersion=1.1&chainID=00000001&chainID=00000001&port=6001"},
        refused(4502, BAD_QUERY),
    ),
    "port is missing": ({"query": "networkVersion=1.1&chainID=00000001"}, refused(4105, BAD_ADDRESS.format("NaN"))),
    "port is a word": ({"port": "abc"}, refused(4105, BAD_ADDRESS.format("NaN"))),
    "port zero": ({"port": "0"}, refused(4105, BAD_ADDRESS.format("0"))),
    "port is negative": ({"port": "-1"}, refused(4105, BAD_ADDRESS.format("-1"))),
    "port is too large": ({"port": "65536"}, refused(4105, BAD_ADDRESS.format("65536"))),
    "bad address comes before other chain": (
        {"port": "0", "chainID": "00000002"},
        refused(4105, BAD_ADDRESS.format("0")),
    ),
    "other chain comes before other version": (
        {"chainID": "00000002", "networkVersion": "2.0"},
        refused(4104, OTHER_CHAIN),
    ),
    "wrong path": ({"path": "/"}, Refused(400, "Bad Request")),
    "no final slash": ({"path": "/rpc"}, Refused(400, "Bad Request")),
    "path of another generation": ({"path": "/socketcluster/"}, Refused(400, "Bad Request")),
    "first packet is another": ({"first": {"event": "rpc-request", "data": {"procedure": "x"}}}, Refused(code=4009)),
}


@pytest.mark.parametrize(("opening", "expected"), QUERIES.values(), ids=QUERIES.keys())
def test_we_and_a_lisk_listener_refuse_an_opener_alike(
    link_we_dial: Link, opening: dict[str, Any], expected: Refused
) -> None:
    assert RawOpener.attempt(link_we_dial.lisk.peer_id, **opening) == expected
    assert RawOpener.attempt(link_we_dial.ours.peer_id, **opening) == expected


def test_we_and_a_lisk_listener_refuse_their_own_nonce_and_a_double(link_we_dial: Link) -> None:
    for node, other in ((link_we_dial.lisk, link_we_dial.ours), (link_we_dial.ours, link_we_dial.lisk)):
        assert RawOpener.attempt(node.peer_id, nonce=node.nonce) == refused(4101, OWN_NONCE)
        assert RawOpener.attempt(node.peer_id, port=other.port) == refused(4404, DUPLICATE)


def test_an_opener_that_never_shakes_hands_is_closed(ensemble_node: MakeOurs) -> None:
    # lisk-p2p does the same after 10 s, which nothing can change.
    node = ensemble_node(handshake_timeout_s=0.05)
    with RawOpener(node.peer_id) as opener:
        assert opener.wait_refused() == Refused(announced={"code": 4005}, code=4005)
    assert node.wait_event(FailedToAddInboundPeer).code == 4005


@pytest.mark.parametrize(
    ("theirs", "ours_differs", "reason"),
    [
        ({"chain_id": "00000002"}, {"chain_id": "00000001"}, OTHER_CHAIN),
        ({"network_version": "2.0"}, {"network_version": "1.1"}, OTHER_VERSION),
    ],
    ids=["other chain", "other version"],
)
def test_strangers_refuse_each_other(
    lisk_node: MakeLisk, ensemble_node: MakeOurs, theirs: dict[str, str], ours_differs: dict[str, str], reason: str
) -> None:
    listener = ensemble_node(node_info=ours_differs)
    lisk = lisk_node(fixedPeers=[listener], **theirs)
    close = lisk.wait_event("EVENT_CLOSE_OUTBOUND", lambda close: close["peerInfo"]["peerId"] == listener.peer_id)
    assert (close["code"], close["reason"]) == (4104, reason)
    failure = listener.wait_event(FailedToAddInboundPeer)
    assert (failure.ip_address, failure.code, failure.reason) == ("127.0.0.1", 4104, reason)

    opener = ensemble_node(node_info=ours_differs, fixed_peers=[lisk])
    aborted = opener.wait_event(ConnectAbortOutbound)
    assert (aborted.peer_id, aborted.code, aborted.reason) == (lisk.peer_id, 4104, reason)
    found = lisk.wait_event("EVENT_FAILED_TO_ADD_INBOUND_PEER")
    assert (found["error"]["statusCode"], found["error"]["message"]) == (4104, reason)
    assert not opener.connected_ids() | listener.connected_ids()


def test_nodes_with_one_nonce_take_each_other_for_themselves(lisk_node: MakeLisk, ensemble_node: MakeOurs) -> None:
    port = free_port()
    lisk = lisk_node(fixedPeers=[f"127.0.0.1:{port}"])
    ours = ensemble_node(port=port, node_info={"nonce": lisk.nonce}, previous_peers=[lisk])
    aborted = ours.wait_event(ConnectAbortOutbound)
    assert (aborted.peer_id, aborted.code, aborted.reason) == (lisk.peer_id, 4101, OWN_NONCE)
    close = lisk.wait_event("EVENT_CLOSE_OUTBOUND", lambda close: close["code"] == 4101)
    assert (close["peerInfo"]["peerId"], close["reason"]) == (ours.peer_id, OWN_NONCE)
    assert ours.wait_event(FailedToAddInboundPeer).code == 4101
    # Whoever it is, it is not dialled again.
    assert ours.p2p.get_disconnected_peers() == ()


def test_a_double_of_our_node_is_refused_by_a_lisk_listener(link_we_dial: Link, ensemble_node: MakeOurs) -> None:
    ours, lisk = link_we_dial.ours, link_we_dial.lisk
    double = ensemble_node(port=ours.port, max_inbound_connections=0, seed_peers=[lisk])
    aborted = double.wait_event(ConnectAbortOutbound)
    assert (aborted.peer_id, aborted.code, aborted.reason) == (lisk.peer_id, 4404, DUPLICATE)
    assert lisk.connected_ids() == {ours.peer_id}


def test_a_double_of_a_lisk_node_is_refused_by_us(link_lisk_dials: Link, lisk_node: MakeLisk) -> None:
    ours, lisk = link_lisk_dials.ours, link_lisk_dials.lisk
    double = lisk_node(port=lisk.port, maxInboundConnections=0, seedPeers=[ours])
    close = double.wait_event("EVENT_CLOSE_OUTBOUND")
    assert (close["peerInfo"]["peerId"], close["code"], close["reason"]) == (ours.peer_id, 4404, DUPLICATE)
    assert ours.peer(lisk).nonce == lisk.nonce
    assert ours.wait_event(FailedToAddInboundPeer).code == 4404


def test_a_full_listener_evicts_somebody_for_a_newcomer(lisk_node: MakeLisk, ensemble_node: MakeOurs) -> None:
    full = ensemble_node(max_inbound_connections=1, max_outbound_connections=0, **OUR_NO_PROTECTION)
    lisk = lisk_node(seedPeers=[full], maxInboundConnections=1, **NO_PROTECTION)
    lisk.wait_event("EVENT_CONNECT_OUTBOUND")
    newcomer = ensemble_node(seed_peers=[full], max_outbound_connections=1)
    close = lisk.wait_event("EVENT_CLOSE_OUTBOUND", lambda close: close["peerInfo"]["peerId"] == full.peer_id)
    assert (close["code"], close["reason"]) == (4418, f"Evicted inbound peer {lisk.peer_id}")
    full.wait_event(CloseInbound, lambda event: event.peer.peer_id == lisk.peer_id and event.code == 4418)
    full.wait_event(NewInboundPeer, lambda event: event.peer.peer_id == newcomer.peer_id)
    newcomer.stop()
    full.stop()

    first = ensemble_node(seed_peers=[lisk], max_outbound_connections=1)
    lisk.wait_connected(first)
    first.wait_connected(lisk)  # evicted before that, it would be an aborted dial and no closed connection
    second = ensemble_node(seed_peers=[lisk], max_outbound_connections=1)
    evicted = first.wait_event(CloseOutbound)
    assert (evicted.code, evicted.reason) == (4418, f"Evicted inbound peer {first.peer_id}")
    lisk.wait_connected(second)


def test_a_banned_address_gets_http_401(lisk_node: MakeLisk, ensemble_node: MakeOurs) -> None:
    ours = ensemble_node(max_outbound_connections=0)
    lisk = lisk_node(previousPeers=[ours], peerBanTime=60_000)
    lisk.wait_event("EVENT_CONNECT_OUTBOUND", lambda peer: peer["peerId"] == ours.peer_id)
    ours.wait_connected(lisk)
    ours.p2p.apply_penalty(lisk.peer_id, 100, "as a test")
    close = lisk.wait_event("EVENT_CLOSE_OUTBOUND", lambda close: close["peerInfo"]["peerId"] == ours.peer_id)
    assert close["code"] == 1000
    assert ours.wait_event(CloseInbound).reason == "banned: as a test"
    # The populator of the lisk-p2p node tries again and never becomes a WebSocket.
    refusal = ours.wait_event(FailedToAddInboundPeer)
    assert (refusal.ip_address, refusal.code, refusal.reason) == ("127.0.0.1", 401, "Peer is not allowed to connect")
    close = lisk.wait_event("EVENT_CLOSE_OUTBOUND", lambda close: close["peerInfo"]["peerId"] == ours.peer_id)
    assert close["code"] == 1006
    assert RawOpener.attempt(ours.peer_id) == Refused(401, "Peer is not allowed to connect")

    ours.p2p.unban("127.0.0.1")
    lisk.wait_event("EVENT_CONNECT_OUTBOUND", lambda peer: peer["peerId"] == ours.peer_id)
    lisk.apply_penalty(ours.peer_id, 100)
    assert lisk.wait_event("EVENT_BAN_PEER").payload == ours.peer_id
    closed = ours.wait_event(CloseInbound)
    assert (closed.code, closed.reason) == (1000, "")
    opener = ensemble_node(seed_peers=[lisk])
    aborted = opener.wait_event(ConnectAbortOutbound)
    assert (aborted.code, aborted.reason) == (401, "HTTP 401: Peer is not allowed to connect")
    assert RawOpener.attempt(lisk.peer_id) == Refused(401, "Peer is not allowed to connect")


def test_an_incompatible_listener_loses_its_slot(lisk_node: MakeLisk, ensemble_node: MakeOurs) -> None:
    # Defect 22 of lisk-p2p 0.10: its openers keep such a connection, and the slot, for ever.
    lisk = lisk_node(chain_id="00000002", acceptEveryPeer=True)
    ours = ensemble_node(previous_peers=[lisk], max_outbound_connections=1)
    assert ours.wait_event(FailedToFetchPeerInfo).reason == OTHER_CHAIN
    aborted = ours.wait_event(ConnectAbortOutbound)
    assert (aborted.peer_id, aborted.code, aborted.reason) == (lisk.peer_id, 4104, OTHER_CHAIN)
    close = lisk.wait_event("EVENT_CLOSE_INBOUND")
    assert (close["code"], close["reason"]) == (4104, OTHER_CHAIN)
    other = ensemble_node(seed_peers=[ours])
    ours.wait_connected(other)
    assert ours.connected_ids() == {other.peer_id}
