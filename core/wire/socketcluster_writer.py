"""Writing SocketCluster packets: byte for byte the JSON text that lisk-p2p 0.9 and 0.10 write.

The structs below fix the order of the members. msgspec writes strings with the escapes of ``JSON.stringify``, bytes as
canonical base64 text, no spaces, and leaves out members that are ``UNSET``: an absent payload is an absent member,
which peers tell apart from empty bytes (``"data":""``).

Names and texts that are no valid Unicode (unpaired surrogates) are sent with U+FFFD in their place.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from core.wire.socketcluster import DISCONNECT_EVENT, HANDSHAKE_EVENT, MESSAGE_EVENT, REQUEST_EVENT


class _MessageBody(msgspec.Struct, gc=False):
    event: str
    data: bytes | UnsetType


class _MessagePacket(msgspec.Struct, gc=False):
    event: str
    data: _MessageBody


class _RequestBody(msgspec.Struct, gc=False):
    procedure: str
    data: bytes | UnsetType


class _RequestPacket(msgspec.Struct, gc=False):
    event: str
    data: _RequestBody
    cid: int | UnsetType


class _ResponseBody(msgspec.Struct, gc=False):
    data: bytes | UnsetType
    peerId: str  # noqa: N815


class _ResponsePacket(msgspec.Struct, gc=False):
    rid: int
    data: _ResponseBody


class _ErrorBody(msgspec.Struct, gc=False):
    message: str
    code: int | UnsetType


class _ErrorPacket(msgspec.Struct, gc=False):
    rid: int
    error: _ErrorBody


class _DisconnectBody(msgspec.Struct, gc=False):
    code: int
    data: str | UnsetType


class _DisconnectPacket(msgspec.Struct, gc=False):
    event: str
    data: _DisconnectBody


class _AckBody(msgspec.Struct, gc=False):
    id: str
    pingTimeout: int  # noqa: N815
    isAuthenticated: bool  # noqa: N815


class _AckPacket(msgspec.Struct, gc=False):
    rid: int
    data: _AckBody


_encode = msgspec.json.Encoder().encode


def encode_message(event: str, data: bytes | None) -> str:
    """Return the text of a one-way message; ``data`` None sends none."""
    try:
        body = _MessageBody(event, UNSET if data is None else data)
        return _encode(_MessagePacket(MESSAGE_EVENT, body)).decode()
    except UnicodeEncodeError:
        return encode_message(well_formed(event), data)


def encode_request(procedure: str, data: bytes | None, cid: int | None) -> str:
    """Return the text of a call; ``cid`` None asks for no answer."""
    try:
        body = _RequestBody(procedure, UNSET if data is None else data)
        return _encode(_RequestPacket(REQUEST_EVENT, body, UNSET if cid is None else cid)).decode()
    except UnicodeEncodeError:
        return encode_request(well_formed(procedure), data, cid)


def encode_response(rid: int, data: bytes | None, peer_id: str) -> str:
    """Return the text of the answer to call ``rid``; ``peer_id`` is the asking side's id as we know it."""
    return _encode(_ResponsePacket(rid, _ResponseBody(UNSET if data is None else data, peer_id))).decode()


def encode_error(rid: int, message: str, code: int | None = None) -> str:
    """Return the text of an error answer to call ``rid``."""
    body = _ErrorBody(well_formed(message), UNSET if code is None else code)
    return _encode(_ErrorPacket(rid, body)).decode()


def encode_disconnect(code: int, reason: str | None) -> str:
    """Return the text that announces a close; no or an empty ``reason`` is left out."""
    body = _DisconnectBody(code, well_formed(reason) if reason else UNSET)
    return _encode(_DisconnectPacket(DISCONNECT_EVENT, body)).decode()


def encode_handshake(cid: int) -> str:
    """Return the opener's first packet."""
    return f'{{"event":"{HANDSHAKE_EVENT}","data":{{"authToken":null}},"cid":{cid}}}'


def encode_ack(rid: int, session_id: str, ping_timeout_ms: int) -> str:
    """Return the listener's acknowledgement of ``#handshake``."""
    return _encode(_AckPacket(rid, _AckBody(session_id, ping_timeout_ms, False))).decode()


def well_formed(text: str) -> str:
    """Return ``text`` as valid Unicode: surrogates that form a pair joined, others replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
