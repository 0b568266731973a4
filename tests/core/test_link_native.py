"""A link in the native dialect: what is not the same as in lisk-0.10. Everything that is the same is tested in both."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

from core.effects import SendPacket
from core.events import InvalidMessageReceived, InvalidRequestReceived, MessageReceived, PenaltyApplied
from core.house_messages import PeerClosed, PeerConnected, PeerMisbehaved, PeersAdvertised
from core.ids import Direction, Endpoint
from core.link_base import Stage
from core.messages import Failed
from core.wire.lisk10 import Lisk10
from core.wire.native import Native
from core.wire.native_packets import encode_message, join
from core.wire.packets import ErrorCode
from tests.core.link_rig import (
    SESSION_ID,
    THEIRS,
    Fixed,
    Rig,
    ack_packet,
    inbound,
    info_bytes,
    message_packet,
    outbound,
)
from tests.spoken import LISK, NATIVE, Spoken

BOTH = pytest.mark.parametrize("connected", [inbound, outbound], ids=["inbound", "outbound"])


@pytest.fixture(autouse=True)
def speak_native() -> Iterator[None]:
    Spoken.name = NATIVE
    yield
    Spoken.name = LISK


def joined(*values: object) -> bytes:
    """One message of packets, given value by value."""
    packed: bytes = msgpack.packb(list(values))
    return packed


# ---- several packets in a message


def test_the_packets_of_a_message_are_handled_in_order() -> None:
    rig = inbound()
    rig.receive(join([encode_message(name, name.encode()) for name in "abc"]))
    assert [(event.event, event.data) for event in rig.of(MessageReceived)] == [("a", b"a"), ("b", b"b"), ("c", b"c")]
    assert rig.link.traffic.messages_received == 3


@pytest.mark.parametrize(("count", "points"), [(90, 0), (100, 0), (101, 10), (150, 10), (350, 30), (999, 90)])
@pytest.mark.parametrize("per_message", [1, 7, 1000])
def test_the_limit_of_rate_counts_packets_not_messages(count: int, points: int, per_message: int) -> None:
    rig = inbound()
    packets = [encode_message("x", None)] * count
    for at in range(0, count, per_message):
        rig.receive(join(packets[at : at + per_message]))
    assert rig.link.reputation == 100, "a window is priced at its end"
    rig.advance(1.0)
    assert rig.link.reputation == 100 - points


def test_a_flood_in_few_messages_is_banned() -> None:
    rig = inbound()
    rig.receive(join([encode_message("x", None)] * 1000))
    rig.receive(join([encode_message("x", None)] * 100))
    rig.advance(1.0)
    assert [type(message) for _, message in rig.told].count(PeerMisbehaved) == 1
    assert rig.ends == [1000]


def test_what_follows_a_fatal_packet_in_its_message_is_not_acted_upon() -> None:
    rig = inbound()
    rig.receive(joined(2, 5, "getPeers", b"data", 5, 0, "late", None))
    assert [event.reason for event in rig.of(PenaltyApplied)] == ["protocol_request_with_data"]
    assert rig.of(MessageReceived) == []


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        (joined(5, 0, "good", None, 5, 0, "bad", "text"), "wrong_type"),
        (joined(5, 0, "good", None, 5, 0, "bad"), "not_packets"),
        (joined(5, 0, "good", None, 5, 0, "bad", [1]), "value_limit"),
        (joined(5, 0, "good", None)[:-1], "not_msgpack"),
        (b"", "not_msgpack"),
        (b'{"event":"#disconnect"}', "value_limit"),
    ],
)
def test_a_message_with_one_fault_counts_for_nothing_and_bans_an_opener(message: bytes, rule: str) -> None:
    rig = inbound()
    rig.receive(message)
    assert rig.of(MessageReceived) == []
    assert [event.rule for event in rig.of(InvalidMessageReceived)] == [rule]
    assert rig.ends == ["abort"]
    (misbehaved,) = rig.tells(PeerMisbehaved)
    assert misbehaved.reason == rule


def test_the_same_fault_of_a_listener_is_reported_and_ignored() -> None:
    rig = outbound()
    rig.receive(joined(5, 0, "good", None, 5, 0, "bad", "text"))
    rig.message("next")
    assert [event.event for event in rig.of(MessageReceived)] == ["next"]
    assert len(rig.of(InvalidMessageReceived)) == 1
    assert rig.link.is_connected


def test_text_is_a_fault() -> None:
    rig = inbound()
    rig.do(rig.link.on_packets([(b"#2", False)], rig.now))
    assert [event.rule for event in rig.of(InvalidMessageReceived)] == ["not_binary"]
    assert rig.ends == ["abort"]


# ---- malformed, and later


@BOTH
def test_a_request_of_too_long_a_name_is_answered_with_an_error_and_costs_nothing(connected: Any) -> None:
    rig = connected()
    rig.receive(joined(2, 5, "x" * 129, None))
    assert rig.take_sent() == [{"rid": 5, "error": {"message": "RPC request format is invalid."}}]
    assert len(rig.of(InvalidRequestReceived)) == 1
    assert rig.link.reputation == 100


@BOTH
@pytest.mark.parametrize(
    "harmless",
    [joined(5, 0, "x" * 129, None), joined(200, 1, "later", b"x"), joined(0, 3, "", None), joined(3, 99, "", b"x")],
    ids=["long name", "later kind", "second handshake", "answer nobody asked for"],
)
def test_what_is_harmless_is_ignored(connected: Any, harmless: bytes) -> None:
    rig = connected()
    rig.receive(harmless)
    assert (rig.sent, rig.events, rig.told) == ([], [], [])


def test_an_odd_close_code_counts_as_1000() -> None:
    rig = inbound()
    rig.receive(joined(6, 999, "bye", None))
    assert rig.ends == [1000]


# ---- errors have a type


def sent_error_code(rig: Rig) -> object:
    (packet,) = rig.sent
    assert isinstance(packet, bytes)
    *_, data = msgpack.unpackb(join([packet]))
    return msgpack.unpackb(data)


def test_error_answers_say_what_sort_they_are() -> None:
    rig = inbound(max_open_calls=1)
    rig.call("a", cid=1)
    rig.do(rig.link.refuse(1, "it failed"))
    assert sent_error_code(rig) == ErrorCode.PROGRAM
    rig.forget()
    rig.call("b", cid=2)
    rig.call("c", cid=3)
    assert sent_error_code(rig) == ErrorCode.OVERLOADED
    rig.forget()
    rig.receive(joined(2, 4, "x" * 129, None))
    assert sent_error_code(rig) == ErrorCode.MALFORMED


@pytest.mark.parametrize(("data", "code"), [(b"\x03", 3), (None, None), (b"\xc0", None)])
def test_the_sort_of_an_error_reaches_who_asked(data: bytes | None, code: int | None) -> None:
    rig = inbound()
    rig.request("x")
    rig.receive(joined(4, 1, "no", data))
    ((_, failed),) = rig.replies
    assert isinstance(failed, Failed)
    assert (str(failed.error), getattr(failed.error, "code", "none")) == ("no", code)


# ---- the introduction


def test_an_opener_is_acknowledged_with_the_time_of_silence() -> None:
    rig = Rig(Direction.INBOUND)
    rig.do(rig.link.start_inbound(THEIRS, 1, SESSION_ID, rig.now))
    push, ack = rig.take_sent()
    assert push == message_packet("postNodeInfo", info_bytes(rig.link._own))
    assert ack == ack_packet(1, 140_000)
    assert rig.link.info().dialect == "native"
    assert rig.tells(PeerConnected)[0].peer.dialect == "native"


def test_an_acknowledgement_without_a_time_is_none() -> None:
    rig = outbound(Stage.HANDSHAKE)
    rig.receive(joined(3, 1, "", None))
    assert rig.ends == [4003]


def test_peers_may_have_ipv6_addresses() -> None:
    rig = outbound(Stage.PEERS)
    peers = [Endpoint("1.2.3.4", 5), Endpoint("2001:db8::1", 6)]
    rig.reply(3, Native(Lisk10()).encode_peers(peers))
    (advertised,) = rig.tells(PeersAdvertised)
    assert list(advertised.endpoints) == peers
    rig.call("getPeers", cid=7)
    rig.do(rig.link.on_sample(7, peers))
    (answer,) = rig.take_sent()[-1:]
    assert answer["rid"] == 7
    assert Endpoint("2001:db8::1", 6) in Native(Lisk10()).decode_peers(base64.b64decode(answer["data"]["data"]))


# ---- keep-alive


def pings(rig: Rig) -> list[int]:
    """The call ids of the pings that were sent since the last time."""
    return [packet["cid"] for packet in rig.take_sent() if packet.get("data", {}).get("procedure") == "ping"]


@pytest.mark.parametrize(("share", "first_s", "later_s"), [(0.0, 20.0, 60.0), (0.5, 40.0, 90.0), (1.0, 60.0, 120.0)])
def test_a_listener_pings_and_sends_nothing_else(share: float, first_s: float, later_s: float) -> None:
    rig = inbound(rng=Fixed(share))
    for cid, pause_s in ((1, first_s), (2, later_s), (3, later_s)):
        rig.advance(pause_s - 0.01)
        assert rig.sent == []
        rig.advance(0.01)
        assert pings(rig) == [cid]
        rig.advance(0.05)
        rig.reply(cid, b'"pong"')
    assert rig.link.info().latency_ms == pytest.approx(50.0)


def patient_opener() -> Rig:
    """A connected opener that was promised to hear something every 140 s."""
    rig = outbound(Stage.HANDSHAKE)
    rig.receive(ack_packet(1, 140_000))
    rig.reply(2, info_bytes())
    rig.reply(3, Native(Lisk10()).encode_peers([]))
    assert rig.link.is_connected
    rig.forget()
    return rig


def test_an_opener_only_answers() -> None:
    rig = patient_opener()
    for cid in range(1, 6):
        rig.advance(100.0)
        rig.call("ping", None, cid)
    assert [packet["rid"] for packet in rig.take_sent()] == [1, 2, 3, 4, 5]


def test_a_ping_that_is_not_answered_in_10_s_ends_the_connection() -> None:
    rig = inbound()
    rig.advance(29.99)
    assert rig.ends == []
    rig.advance(0.01)
    assert rig.ends == [4001]
    rig.closed(4001)
    assert rig.tells(PeerClosed)[0].reason == "ping was not answered"


def test_any_packet_within_the_time_of_the_acknowledgement_is_a_sign_of_life() -> None:
    rig = patient_opener()
    for _ in range(5):
        rig.advance(139.9)
        rig.message("x")
    assert rig.link.is_connected
    rig.advance(139.9)
    assert rig.ends == []
    rig.forget()
    rig.advance(0.1)
    assert (rig.ends, rig.sent) == ([4000], [])


def test_a_connection_at_rest_costs_two_packets_a_ping() -> None:
    rig = inbound(rng=Fixed(0.5))
    packets = 0
    end = rig.now + 600.0
    while (rig.link.next_deadline() or end) < end:
        rig.wait_for_deadline()
        for cid in pings(rig):
            packets += 2
            rig.reply(cid, b'"pong"')
    assert packets <= 2 * (1 + 600 // 90)


@pytest.mark.parametrize("count", [1, 2, 50])
def test_what_is_sent_in_one_call_leaves_packet_by_packet(count: int) -> None:
    """Joining is the channel's: it knows what is waiting."""
    rig = inbound()
    effects = [effect for _ in range(count) for effect in rig.link.send("x", None, rig.now)]
    assert effects == [SendPacket(encode_message("x", None))] * count
