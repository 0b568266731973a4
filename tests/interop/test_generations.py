"""Nodes of ours among real ones of lisk-p2p 0.5.0, 0.7.3, 0.8.0, 0.9.0 and 0.10.0, all at the same time.

What is tested of 0.10.0 in more depth stands in the other modules here; these tests ask of every generation, in both
directions: is it understood, and does it understand us?
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from core.errors import RequestRefused
from core.events import (
    BanPeer,
    CloseInbound,
    CloseOutbound,
    ConnectAbortOutbound,
    ConnectOutbound,
    DiscoveredPeer,
    FailedToAddInboundPeer,
    FailedToFetchPeers,
    MessageReceived,
    NewInboundPeer,
    UpdatedPeerInfo,
)
from core.ids import Direction
from tests.interop.ensemble_node import EnsembleNode, repeat_until
from tests.interop.generations import (
    ADDRESS_TOLD,
    HUB_OPTIONS,
    LISTENER_OPTIONS,
    NETWORKS,
    Meeting,
    World,
    address_known_to,
    auto,
)
from tests.interop.links import LISK_OPTIONS, SCHEMA
from tests.interop.lisk_node import (
    ABSENT,
    NETWORK_ID,
    NETWORK_IDENTIFIER,
    VERSIONS,
    LiskCallFailed,
    LiskNode,
    dialect_of,
)
from tests.interop.raw_peer import RawOpener

pytestmark = [
    pytest.mark.interop,
    pytest.mark.usefixtures("nobody_complains"),
    pytest.mark.xdist_group("generations"),  # one worker, so that one set of nodes serves all
]

MakeLisk = Callable[..., LiskNode]
MakeOurs = Callable[..., EnsembleNode]

OLD_VERSIONS = ("0.5.0", "0.7.3")
"""One of each older generation, for tests that need nodes of their own."""

JSON_VALUE: Any = {"text": 'ż 🦀 "\\', "numbers": [0, -1, 1.5], "nothing": None, "deep": [[], {}]}
JSON_TEXT = '{"text":"ż 🦀 \\"\\\\","numbers":[0,-1,1.5],"nothing":null,"deep":[[],{}]}'.encode()
DISCONNECTS = {"we dial": Direction.OUTBOUND, "lisk dials": Direction.INBOUND}


@pytest.fixture(params=Direction, ids=[name for name, _ in sorted(DISCONNECTS.items(), key=lambda pair: pair[1].value)])
def direction(request: pytest.FixtureRequest) -> Direction:
    found: Direction = request.param
    return found


@pytest.fixture(params=VERSIONS)
def meeting(generations: World, direction: Direction, request: pytest.FixtureRequest) -> Meeting:
    """Each version in each direction."""
    return generations.meeting(request.param, direction)


def as_lisk_sees(node: LiskNode, value: Any) -> Any:
    """What the real node's application gets when ours sends `value`: JSON values before 0.6, bytes since."""
    is_bytes = isinstance(value, bytes)
    if node.dialect == "lisk-0.5":
        return {"base64": True, "data": base64.b64encode(value).decode()} if is_bytes else value
    return value if is_bytes else JSON_TEXT


def known_to_lisk(meeting: Meeting) -> dict[str, Any]:
    """What the real node tells about ours."""
    (peer,) = [peer for peer in meeting.lisk.get_connected_peers() if peer["peerId"] == meeting.ours.peer_id]
    return peer


def options_known_to_lisk(meeting: Meeting) -> dict[str, Any]:
    known = known_to_lisk(meeting)
    return (
        {name: known.get(name) for name in SCHEMA["properties"]}
        if meeting.lisk.dialect == "lisk-0.5"
        else known["options"]
    )


# ---- all at once


def test_one_node_holds_connections_to_all_generations_at_once(generations: World) -> None:
    for ours in (generations.hub, generations.listener):
        spoken = {peer.peer_id: peer.dialect for peer in ours.p2p.get_connected_peers()}
        assert spoken == {node.peer_id: node.dialect for node in generations.nodes.values()}
    assert {node.dialect for node in generations.nodes.values()} == {"lisk-0.5", "lisk-0.7", "lisk-0.10"}


def test_one_broadcast_reaches_all_generations(generations: World) -> None:
    generations.hub.p2p.broadcast("to everybody", JSON_VALUE, wait=True)
    for node in generations.nodes.values():
        message = node.wait_event("EVENT_MESSAGE_RECEIVED", lambda packet: packet["event"] == "to everybody")
        assert message["data"] == as_lisk_sees(node, JSON_VALUE)


# ---- node info


def test_both_know_each_other_with_node_info_and_options(meeting: Meeting) -> None:
    ours, lisk = meeting.ours, meeting.lisk
    known = ours.peer(lisk)
    assert (known.dialect, known.direction, known.network_version) == (lisk.dialect, meeting.direction, "1.1")
    assert {name: known.options[name] for name in LISK_OPTIONS} == LISK_OPTIONS
    assert known.nonce == lisk.nonce
    names = (known.chain_id, known.network_identifier, known.network_id)
    assert (
        names
        == {
            "lisk-0.10": (b"\0\0\0\1", "", ""),
            "lisk-0.7": (b"", NETWORK_IDENTIFIER, ""),
            "lisk-0.5": (b"", "", NETWORK_ID),
        }[lisk.dialect]
    )
    expected = HUB_OPTIONS if meeting.direction is Direction.OUTBOUND else LISTENER_OPTIONS
    repeat_until(lambda: True if options_known_to_lisk(meeting) == expected else None)
    peer = known_to_lisk(meeting)
    assert peer["nonce"] == ours.nonce
    version, port = ("protocolVersion", "wsPort") if lisk.dialect == "lisk-0.5" else ("networkVersion", "port")
    assert (peer[version], peer[port]) == ("1.1", ours.port)


def test_our_changed_node_info_reaches_all_of_them(generations: World, direction: Direction) -> None:
    ours = generations.hub if direction is Direction.OUTBOUND else generations.listener
    before = dict(ours.p2p.get_node_info().options)
    changed = {"height": 2**32 - 1, "label": "größer"}
    try:
        ours.p2p.apply_node_info(changed)
        for version, lisk in generations.nodes.items():
            lisk.wait_event("EVENT_UPDATED_PEER_INFO", lambda peer: "größer" in str(peer["sharedState"]))
            assert options_known_to_lisk(generations.meeting(version, direction)) == changed
    finally:
        ours.p2p.apply_node_info(before)


def test_their_changed_node_info_reaches_us(meeting: Meeting) -> None:
    ours, lisk = meeting.ours, meeting.lisk
    theirs = {"height": 0, "label": meeting.direction.value}
    lisk.apply_node_info(**(theirs if lisk.dialect == "lisk-0.5" else {"options": theirs}))
    try:
        ours.wait_event(
            UpdatedPeerInfo,
            lambda event: event.peer.peer_id == lisk.peer_id and event.peer.options["label"] == theirs["label"],
        )
        assert ours.peer(lisk).options["height"] == 0
    finally:
        lisk.apply_node_info(**(LISK_OPTIONS if lisk.dialect == "lisk-0.5" else {"options": LISK_OPTIONS}))


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_schema_and_with_the_protocol_named(
    lisk_node: MakeLisk, ensemble_node: MakeOurs, version: str, direction: Direction
) -> None:
    """A node that speaks one generation only. Before 0.6 there are no schemas, and options are free."""
    free = {"os": "plan9", "nested": {"list": [1, None]}} if version == "0.5.0" else {}
    config = {"network": {"protocol": dialect_of(version)}, "node_info": {**NETWORKS, "options": free}}
    if direction is Direction.OUTBOUND:
        lisk = lisk_node(version=version)
        ours = ensemble_node(**config, seed_peers=[lisk])
        ours.wait_event(ConnectOutbound)
    else:
        ours = ensemble_node(**config)
        lisk = lisk_node(version=version, seedPeers=[ours])
        ours.wait_event(NewInboundPeer)
        lisk.wait_event("EVENT_CONNECT_OUTBOUND")
    lisk.wait_connected(ours)
    assert ours.peer(lisk).dialect == lisk.dialect
    (known,) = lisk.get_connected_peers()
    assert {name: known.get(name) for name in free} == free


# ---- peers


def test_our_peers_are_understood(generations: World) -> None:
    """Each of them asked our listener when it connected."""
    for node in generations.nodes.values():
        node.wait_event("EVENT_DISCOVERED_PEER", lambda peer: peer["peerId"] == ADDRESS_TOLD)


def test_their_peers_are_understood(generations: World) -> None:
    """Our hub asked each of them when it connected."""
    for version in VERSIONS:
        address = address_known_to(version)
        found = generations.hub.wait_event(DiscoveredPeer, lambda event, told=address: event.endpoint.peer_id == told)
        assert found.source == generations.nodes[version].peer_id
    assert generations.hub.events(FailedToFetchPeers) == []


# ---- messages, requests, pings


@pytest.mark.parametrize("value", [JSON_VALUE, bytes(range(256)), b""], ids=["JSON", "bytes", "no bytes"])
def test_messages_arrive(meeting: Meeting, value: Any) -> None:
    ours, lisk = meeting.ours, meeting.lisk
    ours.p2p.send_to_peer(lisk.peer_id, "to lisk", value)
    message = lisk.wait_event("EVENT_MESSAGE_RECEIVED", lambda packet: packet["event"] == "to lisk")
    assert message["data"] == as_lisk_sees(lisk, value)
    assert message["peerId"] == ours.peer_id
    lisk.send_to_peer("to us", value, ours.peer_id)
    arrived = ours.wait_event(MessageReceived, lambda event: event.event == "to us")
    assert (arrived.data, arrived.peer_id) == (JSON_TEXT if value is JSON_VALUE else value, lisk.peer_id)


@pytest.mark.parametrize("value", [JSON_VALUE, b"\xff\x00"], ids=["JSON", "bytes"])
def test_requests_are_answered(meeting: Meeting, value: Any) -> None:
    ours, lisk = meeting.ours, meeting.lisk
    answer = ours.p2p.request_from_peer(lisk.peer_id, "echo", value)
    assert answer.data == (JSON_TEXT if value is JSON_VALUE else value)
    ours.p2p.procedure("mirror", lambda request: request.data)
    try:
        assert lisk.request_from_peer("mirror", value, ours.peer_id)["data"] == as_lisk_sees(lisk, value)
    finally:
        ours.p2p.off_procedure("mirror")


def test_no_data_is_no_data(meeting: Meeting) -> None:
    ours, lisk = meeting.ours, meeting.lisk
    assert ours.p2p.request_from_peer(lisk.peer_id, "echo").data is None
    ours.p2p.procedure("mirror", lambda request: request.data)
    try:
        assert "data" not in lisk.request_from_peer("mirror", ABSENT, ours.peer_id)
    finally:
        ours.p2p.off_procedure("mirror")


def test_errors_arrive_as_errors(meeting: Meeting) -> None:
    ours, lisk = meeting.ours, meeting.lisk
    with pytest.raises(RequestRefused, match="refused by the test"):
        ours.p2p.request_from_peer(lisk.peer_id, "fail", b"?")
    with pytest.raises(LiskCallFailed, match="nothing handles the procedure 'unheard-of'"):
        lisk.request_from_peer("unheard-of", ABSENT, ours.peer_id)


def test_pings_are_answered_both_ways(generations: World) -> None:
    """Listeners ping: real ones our hub, our listener the real ones. Each measures how long the answer took."""
    hub, listener = generations.hub, generations.listener
    for lisk in generations.nodes.values():
        latency = repeat_until(lambda node=lisk: listener.peer(node).latency_ms, lisk.is_active)
        assert 0 < latency < 10_000

        def measured(node: LiskNode = lisk) -> int | None:
            peer = node.pool_peer(hub.peer_id)
            return peer["internalState"]["latency"] or None if peer is not None else None

        assert repeat_until(measured) > 0
        assert lisk.pool_peer(hub.peer_id)["internalState"]["reputation"] == 100  # type: ignore[index]


# ---- refusals and bans


@pytest.mark.parametrize("version", VERSIONS)
def test_a_real_listener_refuses_a_stranger_and_we_say_why(
    generations: World, ensemble_node: MakeOurs, version: str
) -> None:
    lisk = generations.nodes[version]
    other = auto(chain_id="00000002", network_identifier="other", network_id="other")
    ours = ensemble_node(**other, previous_peers=[lisk])
    end = ours.wait_event(ConnectAbortOutbound)
    name = {"lisk-0.10": "chainID", "lisk-0.7": "networkIdentifier", "lisk-0.5": "networkId"}[lisk.dialect]
    assert (end.peer_id, end.code, end.reason) == (lisk.peer_id, 4104, f"Peer {name} did not match our own")
    assert ours.events(BanPeer) == []


@pytest.mark.parametrize("version", OLD_VERSIONS)
@pytest.mark.parametrize(
    ("differs", "reason"),
    [
        ({"network": "other"}, "Peer {} did not match our own"),
        ({"network_version": "2.0"}, "Peer has incompatible protocol version"),
    ],
    ids=["network", "version"],
)
def test_we_refuse_a_real_stranger(
    generations: World, lisk_node: MakeLisk, version: str, differs: dict[str, Any], reason: str
) -> None:
    lisk = lisk_node(version=version, seedPeers=[generations.listener], **differs)
    name = "networkId" if version == "0.5.0" else "networkIdentifier"
    refusal = generations.listener.wait_event(FailedToAddInboundPeer)
    assert (refusal.code, refusal.reason) == (4104, reason.format(name))
    lisk.wait_event("EVENT_CLOSE_OUTBOUND", lambda close: close["code"] in (4003, 4104))


@pytest.mark.parametrize(
    "query",
    [
        "networkVersion=1.1&networkIdentifier=other&port=6001",
        f"networkVersion=1.1&networkIdentifier={NETWORK_IDENTIFIER}&port=0",
        f"networkIdentifier={NETWORK_IDENTIFIER}&port=6001",
        f"version=1&protocolVersion=2.0&networkId={NETWORK_ID}&wsPort=6001",
        f"version=1&networkId={NETWORK_ID}&wsPort=6001",
        f"protocolVersion=1.1&networkId={NETWORK_ID}&wsPort=6001",
        f"version=1&protocolVersion=1.1&networkId={NETWORK_ID}&wsPort=6001&options=x",
    ],
)
def test_we_and_a_real_listener_refuse_an_old_opener_alike(generations: World, query: str) -> None:
    version = "0.5.0" if "networkId=" in query else "0.8.0"
    theirs = RawOpener.attempt(generations.nodes[version].peer_id, query=query)
    ours = RawOpener.attempt(generations.listener.peer_id, query=query)
    assert theirs.code in (4104, 4105, 4502)
    assert ours.code == theirs.code
    if ours.code != 4105:  # older generations put an error object there instead of a text
        assert ours == theirs


@pytest.mark.parametrize("version", VERSIONS)
def test_we_and_a_real_listener_refuse_their_own_nonce_and_a_double(generations: World, version: str) -> None:
    """As an opener of that generation; the double is a connection from where somebody is connected already."""
    lisk, listener = generations.nodes[version], generations.listener
    queries = {
        "lisk-0.10": "networkVersion=1.1&chainID=00000001&nonce={nonce}&port={port}",
        "lisk-0.7": f"networkVersion=1.1&networkIdentifier={NETWORK_IDENTIFIER}&nonce={{nonce}}&port={{port}}",
        "lisk-0.5": f"version=1&protocolVersion=1.1&networkId={NETWORK_ID}&nonce={{nonce}}&wsPort={{port}}",
    }
    query = queries[lisk.dialect]
    for node, connected in ((lisk, generations.hub), (listener, lisk)):
        own = RawOpener.attempt(node.peer_id, query=query.format(nonce=node.nonce, port=6001))
        assert (own.code, own.announced["data"]) == (4101, "Peer cannot connect to itself")
        double = RawOpener.attempt(node.peer_id, query=query.format(nonce="n", port=connected.port))
        assert (double.code, double.announced["data"]) == (4404, "Peer has a duplicate connection")


@pytest.mark.parametrize("version", VERSIONS)
def test_bans_are_felt_on_either_side(lisk_node: MakeLisk, ensemble_node: MakeOurs, version: str) -> None:
    lisk = lisk_node(version=version)
    ours = ensemble_node(**auto(), fixed_peers=[lisk])
    ours.wait_event(ConnectOutbound)
    lisk.wait_connected(ours)
    lisk.apply_penalty(ours.peer_id, 100)
    assert ours.wait_event(CloseOutbound).code == 1000
    again = ours.wait_event(ConnectAbortOutbound, lambda event: event.peer_id == lisk.peer_id)
    assert again.code == 401


@pytest.mark.parametrize("version", VERSIONS)
def test_we_ban_a_real_node(lisk_node: MakeLisk, ensemble_node: MakeOurs, version: str) -> None:
    ours = ensemble_node(**auto())
    lisk = lisk_node(version=version, fixedPeers=[ours])
    peer = ours.wait_event(NewInboundPeer).peer
    ours.p2p.apply_penalty(peer.peer_id, 100, "by the test")
    assert ours.wait_event(BanPeer).ip_address == "127.0.0.1"
    assert ours.wait_event(CloseInbound).code == 1000
    lisk.wait_event("EVENT_CLOSE_OUTBOUND")
    assert ours.wait_event(FailedToAddInboundPeer).code == 401
