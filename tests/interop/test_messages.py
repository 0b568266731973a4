"""One-way messages between an Ensemble and a lisk-p2p node, byte for byte."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from core.errors import PeerNotFound
from core.events import MessageReceived
from tests.interop.links import Link
from tests.interop.lisk_node import ABSENT

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nobody_complains")]

JSON_VALUE: Any = {
    "text": 'zażółć 🦀 "\\/\u0000\u2028',
    "numbers": [0, -1, 1.5, 1e21, 1e-7, 2**53],
    "nothing": None,
    "deep": {"a": [[], {}, [True, False]]},
}
JSON_TEXT = (
    '{"text":"zażółć 🦀 \\"\\\\/\\u0000\u2028","numbers":[0,-1,1.5,1e+21,1e-7,9007199254740992],'
    '"nothing":null,"deep":{"a":[[],{},[true,false]]}}'
)
MEGABYTE = Random(1).randbytes(1_000_000)

BYTES = {
    "empty": (b"", b""),
    "1 byte": (b"\x00", b"\x00"),
    "all byte values": (bytes(range(256)), bytes(range(256))),
    "1 MB": (MEGABYTE, MEGABYTE),
}
JSON = {
    "JSON object": (JSON_VALUE, JSON_TEXT.encode()),
    "JSON text": ("żółw", '"żółw"'.encode()),
    "zero": (0, b"0"),
    "empty text": ("", b'""'),
    "false": (False, b"false"),
    "empty list": ([], b"[]"),
}
OURS_TO_LISK = {**BYTES, **JSON, "none": (None, None)}
LISK_TO_OURS = {**BYTES, **JSON, "absent": (ABSENT, None), "null": (None, b"null")}


def test_the_expected_json_is_json() -> None:
    assert json.loads(JSON_TEXT) == JSON_VALUE


@pytest.mark.parametrize(("data", "arriving"), OURS_TO_LISK.values(), ids=OURS_TO_LISK.keys())
def test_a_message_of_ours_arrives(link: Link, data: object, arriving: bytes | None) -> None:
    link.ours.p2p.send_to_peer(link.lisk.peer_id, "to lisk", data)
    message = link.lisk.wait_event("EVENT_MESSAGE_RECEIVED", lambda packet: packet["event"] == "to lisk")
    assert message.payload.get("data") == arriving
    assert message["peerId"] == link.ours.peer_id


@pytest.mark.parametrize(("data", "arriving"), LISK_TO_OURS.values(), ids=LISK_TO_OURS.keys())
def test_a_message_of_the_lisk_node_arrives(link: Link, data: object, arriving: bytes | None) -> None:
    link.lisk.send_to_peer("to us", data, link.ours.peer_id)
    message = link.ours.wait_event(MessageReceived, lambda event: event.event == "to us")
    assert message.data == arriving
    assert message.peer_id == link.lisk.peer_id


def test_send_and_broadcast_arrive(link: Link) -> None:
    ours, lisk = link.ours, link.lisk
    ours.p2p.send("sent", {"by": "us"}, wait=True)
    ours.p2p.broadcast("broadcast", {"by": "us"}, wait=True)
    lisk.send("sent", {"by": "lisk"})
    lisk.broadcast("broadcast", {"by": "lisk"})
    names = ("sent", "broadcast")
    for expected in names:
        at_lisk = lisk.wait_event("EVENT_MESSAGE_RECEIVED", lambda packet: packet["event"] in names)
        assert (at_lisk["event"], at_lisk["data"]) == (expected, b'{"by":"us"}')
        at_ours = ours.wait_event(MessageReceived, lambda event: event.event in names)
        assert (at_ours.event, at_ours.data) == (expected, b'{"by":"lisk"}')


def test_messages_keep_their_order(link: Link) -> None:
    ours, lisk = link.ours, link.lisk
    for number in range(200):
        ours.p2p.send_to_peer(lisk.peer_id, "numbered", number, wait=False)
        lisk.send_to_peer("numbered", number, ours.peer_id)
    for number in range(200):
        at_lisk = lisk.wait_event("EVENT_MESSAGE_RECEIVED", lambda packet: packet["event"] == "numbered")
        at_ours = ours.wait_event(MessageReceived, lambda event: event.event == "numbered")
        assert (at_lisk["data"], at_ours.data) == (b"%d" % number, b"%d" % number)


def test_a_message_for_nobody_is_an_error(link: Link) -> None:
    with pytest.raises(PeerNotFound, match=r"127\.0\.0\.1:1"):
        link.ours.p2p.send_to_peer("127.0.0.1:1", "to nobody", b"")
