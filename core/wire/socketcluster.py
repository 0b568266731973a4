"""Reading SocketCluster packets (protocol version 1): JSON text in the form of lisk-p2p 0.9 and 0.10.

:mod:`core.wire.socketcluster_writer` is the other direction.

One WebSocket message holds one JSON object: an event (``event``, ``data``, ``cid`` if it wants an answer) or an answer
(``rid``, ``data`` or ``error``). Two events carry everything: ``rpc-request`` and ``remote-message``, whose ``data`` is
an object of its own with the payload as base64 text. Keep-alive is the two bare texts ``#1`` and ``#2``.

The threat: whoever can open a TCP connection chooses every byte of a packet. lisk-p2p validates a packet *after* it has
acted on it, and some packets crash it; here a packet is validated completely before anything of it is used, values are
never converted from a wrong type, and parts that nobody needs are skipped without being built in memory.

Decoding takes one of two ways. Packets in the shape that correct peers send go through one typed decoding in C.
Whatever does not fit that shape is looked at carefully, member by member, to tell what is harmless (an unknown event,
an odd number such as ``5.0``) from what is a fault. Both ways apply the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

from core.wire.base64text import decode_lenient
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

KEEP_ALIVE_PING = "#1"
KEEP_ALIVE_PONG = "#2"

HANDSHAKE_EVENT = "#handshake"
DISCONNECT_EVENT = "#disconnect"
REQUEST_EVENT = "rpc-request"
MESSAGE_EVENT = "remote-message"
RESERVED_EVENTS = frozenset({"#authenticate", "#removeAuthToken", "#subscribe", "#unsubscribe", "#publish"})
"""Events that a SocketCluster server would act upon; a lisk-p2p listener bans their sender."""

MAX_NAME_CHARACTERS = 128
"""Longest event or procedure name (lisk-p2p's limit for event names). Names become keys of statistics: unbounded names
let a stranger fill the memory with them, as in lisk-p2p 0.10, which limits only the outer event name."""

MAX_TEXT_CHARACTERS = 1000
"""Error messages and close reasons of a peer are cut to this length."""

MAX_INTEGER = 2**53 - 1
"""Largest ``cid`` and ``rid``: JavaScript's largest exact integer. A larger one could not be echoed as it was sent."""

MAX_PING_TIMEOUT_MS = 2**31 - 1
"""Largest timer value of JavaScript; a real opener gives up on an acknowledgement with more."""

_MAX_ESCAPES = 1024
_MAX_DETAIL_CHARACTERS = 200
_MAX_NUMBER_CHARACTERS = 40

_OBJECT, _TEXT = b"{"[0], b'"'[0]
_PING, _PONG = KeepAlivePing(), KeepAlivePong()
_MALFORMED_MESSAGE = MalformedMessage()

Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
"""A ``cid`` or ``rid`` as correct peers write it."""


class _Inner(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    event: str | UnsetType = UNSET
    procedure: str | UnsetType = UNSET
    data: bytes | UnsetType = UNSET
    peerId: str | UnsetType = UNSET  # noqa: N815


class _Regular(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The shape of nearly all packets."""

    event: str | UnsetType = UNSET
    data: _Inner | UnsetType = UNSET
    cid: Integer | UnsetType = UNSET
    rid: Integer | UnsetType = UNSET


class _Envelope(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Any packet, its members still unread."""

    event: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    cid: Raw | UnsetType = UNSET
    rid: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


class _InnerRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    procedure: str
    data: str | UnsetType = UNSET


class _InnerMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    event: str
    data: str | UnsetType = UNSET


class _InnerResponse(msgspec.Struct, gc=False):
    data: Raw | UnsetType = UNSET
    pingTimeout: Raw | UnsetType = UNSET  # noqa: N815


class _InnerError(msgspec.Struct, gc=False):
    message: Raw | UnsetType = UNSET
    code: Raw | UnsetType = UNSET


class _InnerDisconnect(msgspec.Struct, gc=False):
    code: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET


_decode_regular = msgspec.json.Decoder(_Regular).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_inner_request = msgspec.json.Decoder(_InnerRequest).decode
_decode_inner_message = msgspec.json.Decoder(_InnerMessage).decode
_decode_inner_response = msgspec.json.Decoder(_InnerResponse).decode
_decode_inner_error = msgspec.json.Decoder(_InnerError).decode
_decode_inner_disconnect = msgspec.json.Decoder(_InnerDisconnect).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_number = msgspec.json.Decoder(int | float).decode


def decode_packet(text: str | bytes, *, binary: bool = False) -> Packet:
    """Return the packet in one WebSocket message.

    ``text`` is the whole message, as text or as its UTF-8 bytes; ``binary`` tells that it came in binary frames. JSON
    is understood there too, as by a lisk-p2p listener, but a keep-alive is not. Raises :class:`PacketFault` for
    everything that a correct peer never sends, and nothing else.
    """
    try:
        packet = _decode_regular(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return decode_carefully(text, binary, _BASE64)
    inner = packet.data
    if inner is not UNSET:
        data = None if inner.data is UNSET else inner.data
        if packet.event == MESSAGE_EVENT:
            name = inner.event
            if name is not UNSET and inner.procedure is inner.peerId is UNSET and len(name) <= MAX_NAME_CHARACTERS:
                return Message(name, data)
        elif packet.event == REQUEST_EVENT:
            name = inner.procedure
            if name is not UNSET and inner.event is inner.peerId is UNSET and len(name) <= MAX_NAME_CHARACTERS:
                return Request(name, data, None if packet.cid is UNSET else packet.cid)
        elif packet.event is UNSET and packet.rid is not UNSET:
            return Response(packet.rid, data)
    return decode_carefully(text, binary, _BASE64)


def decode_packets(payload: bytes, *, binary: bool) -> tuple[Packet]:
    """Return the one packet that every WebSocket message of this protocol holds. Raises PacketFault."""
    return (decode_packet(payload, binary=binary),)


def sendable_close_code(code: int) -> bool:
    """Tell whether a close frame may carry ``code`` (RFC 6455 section 7.4)."""
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, 1005, 1006))


# The careful way.


class Bodies(NamedTuple):
    """How the inner parts of a packet are read: what differs between generations.

    ``request`` is given the member ``data`` and the call's id, ``message`` the member alone, ``response`` the id of the
    call and the member. ``plain_answers``: an answer may hold any value, not only an object.
    """

    request: Callable[[Raw | UnsetType, int | None], Packet]
    message: Callable[[Raw | UnsetType], Packet]
    response: Callable[[int, Raw | UnsetType], Response]
    plain_answers: bool = False


def decode_carefully(text: str | bytes, binary: bool, bodies: Bodies) -> Packet:
    """Return the packet in a message of any shape. Raises PacketFault."""
    try:
        if not isinstance(text, str):
            text = str(text, "utf-8")
        if not binary and text == KEEP_ALIVE_PONG:
            return _PONG
        if not binary and text == KEEP_ALIVE_PING:
            return _PING
        return _understand(_open_envelope(text), bodies)
    except UnicodeError as error:
        raise PacketFault("not_json", "the text is not valid Unicode") from error
    except RecursionError as error:
        raise PacketFault("too_deep", "arrays or objects are nested too deeply") from error


def _open_envelope(text: str) -> _Envelope:
    try:
        return _decode_envelope(text)
    except msgspec.ValidationError as error:
        # An object fails here only by a member that no packet has.
        rule = "unknown_member" if text.lstrip(" \t\r\n").startswith("{") else "not_object"
        raise PacketFault(rule, str(error)[:_MAX_DETAIL_CHARACTERS]) from error
    except msgspec.DecodeError as error:
        repaired = replace_lone_surrogates(text)
        if repaired != text:
            return _open_envelope(repaired)
        raise PacketFault("not_json", str(error)[:_MAX_DETAIL_CHARACTERS]) from error


_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: one character
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|.)"  # any other escape, so that the second half of an escaped backslash is not mistaken for a first
)


def replace_lone_surrogates(text: str) -> str:
    """Return ``text`` with the escapes of unpaired surrogates replaced by that of U+FFFD.

    JavaScript's strings may hold them and its JSON writes them as escapes; they are no Unicode text, so a name that
    contains one could be neither encoded again nor logged. Names are short: the rest of a text full of escapes stays.
    """
    return _ESCAPE.sub(lambda match: "\\ufffd" if match["lone"] else match[0], text, count=_MAX_ESCAPES)


def _understand(packet: _Envelope, bodies: Bodies) -> Packet:
    """Validate every member, then read the packet."""
    event = None if packet.event is UNSET else _event_name(packet.event)
    free = event == DISCONNECT_EVENT or (bodies.plain_answers and event is None)
    if packet.data is not UNSET and not free and _kind(packet.data) != _OBJECT:
        raise PacketFault("data_not_object", "expected the member data to be an object")
    cid = None if packet.cid is UNSET else _required_integer(packet.cid, "cid")
    rid = None if packet.rid is UNSET else _required_integer(packet.rid, "rid")
    if packet.error is not UNSET and _kind(packet.error) != _OBJECT:
        raise PacketFault("error_not_object", "expected the member error to be an object")
    if event is not None:
        return _read_event(event, packet.data, cid, bodies)
    if rid is None:
        return PlainEvent("", cid)
    if packet.error is not UNSET:
        return _read_error(rid, packet.error, packet.data)
    return bodies.response(rid, packet.data)


def _event_name(raw: Raw) -> str:
    if _kind(raw) != _TEXT:
        raise PacketFault("event_not_text", "expected the member event to be a text")
    event = _decode_text(raw)
    if len(event) > MAX_NAME_CHARACTERS:
        raise PacketFault("event_too_long", f"expected at most {MAX_NAME_CHARACTERS} characters, got {len(event)}")
    if event in RESERVED_EVENTS:
        raise PacketFault("reserved_event", f"the event {event} is not part of the protocol")
    return event


def _read_event(event: str, data: Raw | UnsetType, cid: int | None, bodies: Bodies) -> Packet:
    if event == MESSAGE_EVENT:
        return bodies.message(data)
    if event == REQUEST_EVENT:
        return bodies.request(data, cid)
    if event == HANDSHAKE_EVENT:
        return Handshake(cid)
    if event == DISCONNECT_EVENT:
        return _read_disconnect(data)
    return PlainEvent(event, cid)


def _read_message(data: Raw | UnsetType) -> Message | MalformedMessage:
    if data is UNSET:
        return _MALFORMED_MESSAGE
    try:
        inner = _decode_inner_message(data)
    except msgspec.ValidationError:
        return _MALFORMED_MESSAGE
    if len(inner.event) > MAX_NAME_CHARACTERS:
        return _MALFORMED_MESSAGE
    return Message(inner.event, None if inner.data is UNSET else decode_lenient(inner.data))


def _read_request(data: Raw | UnsetType, cid: int | None) -> Request | MalformedRequest:
    if data is UNSET:
        return MalformedRequest(cid)
    try:
        inner = _decode_inner_request(data)
    except msgspec.ValidationError:
        return MalformedRequest(cid)
    if len(inner.procedure) > MAX_NAME_CHARACTERS:
        return MalformedRequest(cid)
    return Request(inner.procedure, None if inner.data is UNSET else decode_lenient(inner.data), cid)


def _read_response(rid: int, data: Raw | UnsetType) -> Response:
    """Read a success answer: of a call (``data``, ``peerId``) or of ``#handshake`` (``pingTimeout`` and others).

    Unknown members of the inner object are ignored, as by lisk-p2p; what is used must have its type.
    """
    if data is UNSET:
        return Response(rid, None, bare=True)
    inner = _decode_inner_response(data)
    payload: bytes | None = None
    if inner.data is not UNSET:
        if _kind(inner.data) != _TEXT:
            return Response(rid, None, malformed=True)
        payload = decode_lenient(_decode_text(inner.data))
    return with_ping_timeout(Response(rid, payload), inner.pingTimeout)


_BASE64 = Bodies(_read_request, _read_message, _read_response)


def with_ping_timeout(response: Response, raw: Raw | UnsetType) -> Response:
    """Return an answer with the member ``pingTimeout`` added to it, malformed if that is no usable number."""
    if raw is UNSET:
        return response
    timeout_ms = _number(raw)
    if timeout_ms is None or not 1 <= timeout_ms <= MAX_PING_TIMEOUT_MS:
        return Response(response.rid, response.data, malformed=True)
    return Response(response.rid, response.data, ping_timeout_ms=int(timeout_ms))


def _read_error(rid: int, error: Raw, data: Raw | UnsetType) -> ErrorResponse:
    """Read an error answer. The code that a refusal of ``#handshake`` gives in ``data`` wins over the error's own."""
    inner = _decode_inner_error(error)
    code = None if data is UNSET else _optional_integer(_decode_inner_disconnect(data).code)
    if code is None:
        code = _optional_integer(inner.code)
    return ErrorResponse(rid, _optional_text(inner.message), code)


def _read_disconnect(data: Raw | UnsetType) -> Disconnect:
    """Read a goodbye, whatever its shape: the other side is leaving anyhow (odd ones crash lisk-p2p openers)."""
    if data is UNSET or _kind(data) != _OBJECT:
        return Disconnect(None, "")
    inner = _decode_inner_disconnect(data)
    code = _optional_integer(inner.code)
    return Disconnect(code if code is not None and sendable_close_code(code) else None, _optional_text(inner.data))


# Single values of unknown kind.


def _kind(raw: Raw) -> int:
    """Return the first byte of a JSON value, which tells its kind."""
    return memoryview(raw)[0]


def _number(raw: Raw) -> int | float | None:
    """Return the value if it is a number of sensible length, else None."""
    if len(memoryview(raw)) > _MAX_NUMBER_CHARACTERS:
        return None
    try:
        value: int | float = _decode_number(raw)
    except msgspec.ValidationError:
        return None
    return value


def _optional_integer(raw: Raw | UnsetType) -> int | None:
    """Return the value if it is an integer in JavaScript's sense (``5.0`` is one) and exact there, else None."""
    value = None if raw is UNSET else _number(raw)
    if value is None or not -MAX_INTEGER <= value <= MAX_INTEGER or value != int(value):
        return None
    return int(value)


def _required_integer(raw: Raw, member: str) -> int:
    value = _optional_integer(raw)
    if value is None:
        raise PacketFault(f"{member}_not_integer", f"expected the member {member} to be an integer of at most 53 bits")
    return value


def _optional_text(raw: Raw | UnsetType) -> str:
    if raw is UNSET or _kind(raw) != _TEXT:
        return ""
    return _decode_text(raw)[:MAX_TEXT_CHARACTERS]
