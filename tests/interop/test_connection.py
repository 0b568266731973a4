"""Two nodes of different make connect: what each knows of the other, updates of it, and the application ping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.events import (
    BanPeer,
    CloseInbound,
    ConnectAbortOutbound,
    ConnectOutbound,
    NetworkReady,
    UpdatedPeerInfo,
)
from core.ids import Direction
from tests.interop.ensemble_node import EnsembleNode, repeat_until
from tests.interop.links import LISK_OPTIONS, OUR_OPTIONS, SCHEMA, Link
from tests.interop.lisk_node import LiskNode

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nobody_complains")]

MakeLisk = Callable[..., LiskNode]
MakeOurs = Callable[..., EnsembleNode]


def known_to_lisk(link: Link) -> dict[str, Any]:
    """What the lisk-p2p node tells about our connected node."""
    (peer,) = [peer for peer in link.lisk.get_connected_peers() if peer["peerId"] == link.ours.peer_id]
    return peer


def test_both_know_each_other_with_node_info_and_options(link: Link) -> None:
    ours, lisk = link.ours, link.lisk
    lisk.wait_for(lambda: "options" in known_to_lisk(link))
    peer = known_to_lisk(link)
    assert (peer["ipAddress"], peer["port"]) == ("127.0.0.1", ours.port)
    assert (peer["chainID"], peer["networkVersion"], peer["nonce"]) == (b"\x00\x00\x00\x01", "1.1", ours.nonce)
    assert peer["options"] == OUR_OPTIONS
    known = ours.peer(lisk)
    assert (known.peer_id, known.ip_address, known.port) == (lisk.peer_id, "127.0.0.1", lisk.port)
    assert (known.chain_id, known.network_version, known.nonce) == (b"\x00\x00\x00\x01", "1.1", lisk.nonce)
    assert dict(known.options) == LISK_OPTIONS
    assert known.direction is link.direction
    assert known.reputation == 100


def test_the_opener_announces_that_it_is_ready(link_we_dial: Link, link_lisk_dials: Link) -> None:
    # On both sides it comes right after the connection's own event, not with it.
    link_we_dial.ours.wait_for(lambda: bool(link_we_dial.ours.events(NetworkReady)))
    link_lisk_dials.lisk.wait_for(lambda: bool(link_lisk_dials.lisk.events("EVENT_NETWORK_READY")))
    assert len(link_we_dial.ours.events(NetworkReady)) == 1
    assert [event.peer.peer_id for event in link_we_dial.ours.events(ConnectOutbound)] == [link_we_dial.lisk.peer_id]
    assert link_lisk_dials.ours.events(NetworkReady) == []
    assert len(link_lisk_dials.lisk.events("EVENT_NETWORK_READY")) == 1


def test_an_address_that_is_not_to_be_advertised_is_known_as_such(lisk_node: MakeLisk, ensemble_node: MakeOurs) -> None:
    ours = ensemble_node(node_info={"advertise_address": False})
    lisk = lisk_node(advertise_address=False, seedPeers=[ours])
    lisk.wait_event("EVENT_CONNECT_OUTBOUND")
    ours.wait_connected(lisk)
    assert ours.peer(lisk).advertise_address is False
    found = lisk.pool_peer(ours.peer_id)
    assert found is not None
    assert found["sharedState"]["advertiseAddress"] is False


def test_a_changed_node_info_of_ours_reaches_the_lisk_node(link: Link) -> None:
    ours, lisk = link.ours, link.lisk
    changed = {"height": 2**32 - 1, "label": "größer"}
    try:
        assert ours.p2p.apply_node_info(changed).options == changed
        update = lisk.wait_event(
            "EVENT_MESSAGE_RECEIVED",
            lambda message: message["event"] == "postNodeInfo" and message["data"]["options"] == changed,
        )
        assert update["data"]["nonce"] == ours.nonce
        assert known_to_lisk(link)["options"] == changed
    finally:
        ours.p2p.apply_node_info(OUR_OPTIONS)


def test_many_changes_do_not_break_the_rate_limit_of_a_lisk_node(lisk_node: MakeLisk, ensemble_node: MakeOurs) -> None:
    # LIP 0004 and lisk-p2p: more than 4 postNodeInfo within 10 s are punished. We send 3 and keep the last for later.
    lisk = lisk_node(customNodeInfoSchema=SCHEMA, options=LISK_OPTIONS)
    ours = ensemble_node(custom_node_info_schema=SCHEMA, node_info={"options": OUR_OPTIONS}, seed_peers=[lisk])
    ours.wait_event(ConnectOutbound)
    for height in range(10):
        ours.p2p.apply_node_info({"height": height, "label": "often"})
    ours.p2p.send_to_peer(lisk.peer_id, "after them")
    lisk.wait_event("EVENT_MESSAGE_RECEIVED", lambda message: message["event"] == "after them")
    messages = [message["event"] for message in lisk.events("EVENT_MESSAGE_RECEIVED")]
    assert messages == ["postNodeInfo"] * 3 + ["after them"]
    peer = lisk.pool_peer(ours.peer_id)
    assert peer is not None
    assert peer["internalState"]["reputation"] == 100


def test_a_changed_node_info_of_the_lisk_node_reaches_us(link: Link) -> None:
    ours, lisk = link.ours, link.lisk
    changed = {"height": 0, "label": ""}
    try:
        lisk.apply_node_info(options=changed)
        update = ours.wait_event(UpdatedPeerInfo, lambda event: dict(event.peer.options) == changed)
        assert update.peer.nonce == lisk.nonce
        assert dict(ours.peer(lisk).options) == changed
    finally:
        lisk.apply_node_info(options=LISK_OPTIONS)


def test_we_answer_the_ping_of_a_lisk_listener(link_we_dial: Link) -> None:
    ping = link_we_dial.lisk.wait_event("DRIVER_PING")
    assert ping.payload == {"peerId": link_we_dial.ours.peer_id, "answer": b'"pong"'}


def test_a_lisk_opener_answers_our_ping(link_lisk_dials: Link) -> None:
    ours, lisk = link_lisk_dials.ours, link_lisk_dials.lisk

    def latency_ms() -> float | None:
        return ours.peer(lisk).latency_ms

    latency = repeat_until(latency_ms, lisk.is_active)
    assert 0 < latency < 10_000


@pytest.mark.parametrize("schema_is_ours", [True, False], ids=["our schema", "lisk's schema"])
@pytest.mark.parametrize("direction", Direction, ids=["lisk dials", "we dial"])
def test_a_schema_on_one_side_only_ends_the_connection(
    lisk_node: MakeLisk, ensemble_node: MakeOurs, schema_is_ours: bool, direction: Direction
) -> None:
    our_side: dict[str, Any] = {"custom_node_info_schema": SCHEMA, "node_info": {"options": OUR_OPTIONS}}
    lisk_side: dict[str, Any] = {"customNodeInfoSchema": SCHEMA, "options": LISK_OPTIONS}
    our_options = our_side if schema_is_ours else {}
    lisk_options = {} if schema_is_ours else lisk_side
    # The listener's postNodeInfo comes first: it is the opener who cannot read it, and bans (as lisk-p2p does).
    if direction is Direction.OUTBOUND:
        lisk = lisk_node(**lisk_options)
        ours = ensemble_node(previous_peers=[lisk], **our_options)
        assert ours.wait_event(BanPeer).reason == "invalid_node_info"
        assert ours.wait_event(ConnectAbortOutbound).peer_id == lisk.peer_id
        lisk.wait_event("EVENT_CLOSE_INBOUND")
    else:
        ours = ensemble_node(**our_options)
        lisk = lisk_node(seedPeers=[ours], **lisk_options)
        assert lisk.wait_event("EVENT_BAN_PEER").payload == ours.peer_id
        assert ours.wait_event(CloseInbound).peer.peer_id == lisk.peer_id
    assert ours.p2p.is_active
    assert lisk.is_active()
