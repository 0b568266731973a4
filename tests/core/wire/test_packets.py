"""Packets are plain values: equal by content and kind, and able to cross process borders."""

from __future__ import annotations

import pickle

import pytest

from core.wire.packets import (
    Disconnect,
    ErrorResponse,
    Handshake,
    KeepAlivePing,
    KeepAlivePong,
    MalformedMessage,
    MalformedRequest,
    Message,
    Packet,
    PacketFault,
    PlainEvent,
    Request,
    Response,
)

_PACKETS: list[Packet] = [
    Handshake(1),
    Request("p", b"x", 1),
    MalformedRequest(1),
    Response(1, None, 20000),
    ErrorResponse(1, "m", 4),
    Message("e", b""),
    MalformedMessage(),
    Disconnect(None, ""),
    KeepAlivePing(),
    KeepAlivePong(),
    PlainEvent("e", 1),
]


@pytest.mark.parametrize("packet", _PACKETS, ids=lambda packet: type(packet).__name__)
def test_a_packet_is_an_immutable_value(packet: Packet) -> None:
    assert pickle.loads(pickle.dumps(packet)) == packet
    assert [other for other in _PACKETS if other == packet] == [packet]
    for name in packet.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(packet, name, None)


def test_a_fault_keeps_rule_and_detail_across_processes() -> None:
    fault = PacketFault("not_json", "nothing there")
    copy = pickle.loads(pickle.dumps(fault))
    assert (copy.rule, copy.detail, str(copy)) == ("not_json", "nothing there", "not_json: nothing there")
