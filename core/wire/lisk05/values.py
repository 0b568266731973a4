"""JSON values as payloads: nodes of lisk-p2p 0.4 and 0.5 send values, ours hand bytes to their program.

Later generations write a program's value as JSON text and send its bytes. So JSON text stands for its value here: a
program that sends ``{"height": 7}``, and reads what it receives as JSON, need not know to which generation a peer
belongs. Bytes that are no JSON text travel as that generation writes its buffers, ``{"base64":true,"data":"AQI="}``.
Bytes that happen to be JSON text (``b"5"``) arrive as the value; a node of ours at the other end gives back the same
bytes, lisk-p2p makes of them what JavaScript does.

The threat: what is put into a packet unquoted must be JSON to its last byte, or it would forge the packet's own
members. What a peer sends is handed on as text, never built in memory.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from core.wire.base64text import decode_lenient
from core.wire.socketcluster import replace_lone_surrogates

_BUFFER_START = b'{"base64":true,"data":"'
_NULL = b"null"


class _Buffer(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    base64: bool
    data: str


_decode_any = msgspec.json.Decoder().decode
_decode_buffer = msgspec.json.Decoder(_Buffer).decode
_encode = msgspec.json.Encoder().encode


def to_payload(raw: Raw) -> bytes | None:
    """Return the value of a packet as a program's payload; JSON's null is none."""
    text = bytes(raw)
    if text == _NULL:
        return None
    if text.startswith(_BUFFER_START):
        try:
            return decode_lenient(_decode_buffer(text).data)
        except msgspec.DecodeError:  # an object that only begins like one
            return text
    return text


def from_payload(data: bytes) -> Raw:
    """Return a program's payload as a JSON value."""
    if _is_json(data):
        return Raw(data)
    if b"\\u" in data:  # JavaScript's strings may hold unpaired surrogates, and its JSON writes them as escapes
        repaired = replace_lone_surrogates(data.decode("utf-8", "replace")).encode()
        if _is_json(repaired):
            return Raw(repaired)
    return buffer(data)


def buffer(data: bytes) -> Raw:
    """Return bytes as SocketCluster's formatter writes them."""
    return Raw(_encode({"base64": True, "data": data}))


def _is_json(data: bytes) -> bool:
    try:
        _decode_any(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True
