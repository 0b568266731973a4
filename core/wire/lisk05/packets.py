"""SocketCluster packets with JSON values as payloads; everything else is :mod:`core.wire.socketcluster`'s.

Three things differ from later generations: ``data`` within a packet is any JSON value, an answer may be a bare value,
and a listener's ping is an event of its own, ``{"event":"ping","cid":1}``, answered with ``{"rid":1,"data":"pong"}``.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, UnsetType

from core.wire.lisk05.values import from_payload, to_payload
from core.wire.packets import MalformedMessage, MalformedRequest, Message, Packet, PlainEvent, Request, Response
from core.wire.socketcluster import (
    MAX_NAME_CHARACTERS,
    MESSAGE_EVENT,
    REQUEST_EVENT,
    Bodies,
    Integer,
    decode_carefully,
    with_ping_timeout,
)
from core.wire.socketcluster_writer import well_formed

PING = "ping"

_OBJECT = b"{"[0]


class _Inner(msgspec.Struct, gc=False):
    event: str | UnsetType = UNSET
    procedure: str | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    pingTimeout: Raw | UnsetType = UNSET  # noqa: N815


class _Regular(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The shape of nearly all packets."""

    event: str | UnsetType = UNSET
    data: _Inner | UnsetType = UNSET
    cid: Integer | UnsetType = UNSET
    rid: Integer | UnsetType = UNSET


class _MessageBody(msgspec.Struct, gc=False):
    event: str
    data: Raw | UnsetType = UNSET


class _MessagePacket(msgspec.Struct, gc=False):
    event: str
    data: _MessageBody


class _RequestBody(msgspec.Struct, gc=False):
    procedure: str
    data: Raw | UnsetType = UNSET


class _RequestPacket(msgspec.Struct, gc=False):
    event: str
    data: _RequestBody
    cid: int | UnsetType


class _ResponseBody(msgspec.Struct, gc=False):
    data: Raw | UnsetType
    peerId: str  # noqa: N815


class _ResponsePacket(msgspec.Struct, gc=False):
    rid: int
    data: _ResponseBody


_encode = msgspec.json.Encoder().encode
_decode_inner = msgspec.json.Decoder(_Inner).decode
_decode_regular = msgspec.json.Decoder(_Regular).decode


# Reading.


def decode_packet(text: str | bytes, *, binary: bool = False) -> Packet:
    """Return the packet in one WebSocket message, as :func:`core.wire.socketcluster.decode_packet` does.

    As there, packets in the shape that correct peers send take a shorter way by the same rules.
    """
    try:
        if not isinstance(text, str):
            text = str(text, "utf-8")  # values are handed on unread, and must be text in any case
        regular = _decode_regular(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        regular = _Regular()
    inner = regular.data
    if inner is not UNSET:
        if regular.event == MESSAGE_EVENT and inner.event is not UNSET and len(inner.event) <= MAX_NAME_CHARACTERS:
            return Message(inner.event, _payload(inner.data))
        if regular.event is regular.cid is inner.pingTimeout is UNSET and regular.rid is not UNSET:
            return Response(regular.rid, _payload(inner.data))
    return _as_request(decode_carefully(text, binary, _VALUES))


def _as_request(packet: Packet) -> Packet:
    """Return a ping, an event of its own here, as the call that it is in later generations."""
    if type(packet) is PlainEvent and packet.event == PING:
        return Request(PING, None, packet.cid)
    return packet


def decode_packets(payload: bytes, *, binary: bool) -> tuple[Packet]:
    """Return the one packet that every WebSocket message of this protocol holds. Raises PacketFault."""
    return (decode_packet(payload, binary=binary),)


def _read_request(data: Raw | UnsetType, cid: int | None) -> Packet:
    inner = _read_inner(data)
    if inner is None or inner.procedure is UNSET or len(inner.procedure) > MAX_NAME_CHARACTERS:
        return MalformedRequest(cid)
    return Request(inner.procedure, _payload(inner.data), cid)


def _read_message(data: Raw | UnsetType) -> Packet:
    inner = _read_inner(data)
    if inner is None or inner.event is UNSET or len(inner.event) > MAX_NAME_CHARACTERS:
        return MalformedMessage()
    return Message(inner.event, _payload(inner.data))


def _read_response(rid: int, data: Raw | UnsetType) -> Response:
    if data is UNSET:
        return Response(rid, None, bare=True)
    inner = _read_inner(data) if memoryview(data)[0] == _OBJECT else None
    if inner is None:  # the answer to a ping, and good for nothing else
        return Response(rid, None, malformed=True)
    return with_ping_timeout(Response(rid, _payload(inner.data)), inner.pingTimeout)


_VALUES = Bodies(_read_request, _read_message, _read_response, plain_answers=True)


def _read_inner(data: Raw | UnsetType) -> _Inner | None:
    try:
        return None if data is UNSET else _decode_inner(data)
    except msgspec.ValidationError:
        return None


def _payload(raw: Raw | UnsetType) -> bytes | None:
    return None if raw is UNSET else to_payload(raw)


# Writing.


def encode_message(event: str, data: bytes | None) -> str:
    """Return the text of a one-way message; ``data`` None sends none."""
    return _encode(_MessagePacket(MESSAGE_EVENT, _MessageBody(well_formed(event), _value(data)))).decode()


def encode_request(procedure: str, data: bytes | None, cid: int | None) -> str:
    """Return the text of a call; ``cid`` None asks for no answer."""
    body = _RequestBody(well_formed(procedure), _value(data))
    return _encode(_RequestPacket(REQUEST_EVENT, body, UNSET if cid is None else cid)).decode()


def encode_response(rid: int, data: bytes | None, peer_id: str) -> str:
    """Return the text of the answer to call ``rid``; ``peer_id`` is the asking side's id as we know it."""
    return _encode(_ResponsePacket(rid, _ResponseBody(_value(data), peer_id))).decode()


def encode_ping(cid: int) -> str:
    """Return the event by which a listener hears whether, and how fast, an opener answers."""
    return f'{{"event":"{PING}","cid":{cid}}}'


def encode_pong(rid: int, peer_id: str) -> str:
    """Return the answer to it, in which no peer is named."""
    return f'{{"rid":{rid},"data":"pong"}}'


def _value(data: bytes | None) -> Raw | UnsetType:
    return UNSET if data is None else from_payload(data)
