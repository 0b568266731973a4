"""One suite, several dialects: tests of links and actors write packets in one form, this module says it in the other.

The common form is that of ``lisk-0.10``, as Python values. A module that begins with ``pytestmark = BOTH_DIALECTS`` is
run once in each dialect; what is only about JSON text and keep-alives is marked ``lisk_form``.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import msgpack
import pytest

from core.wire import native_packets as native
from core.wire.dialect import Dialect
from core.wire.lisk10 import Lisk10
from core.wire.native import Native
from core.wire.socketcluster import sendable_close_code

LISK, NATIVE = "lisk-0.10", "native"

BOTH_DIALECTS = [pytest.mark.usefixtures("spoken"), pytest.mark.parametrize("spoken", [LISK, NATIVE], indirect=True)]

LATER_KIND = 200
"""A packet of a later version: what an unknown event is in JSON."""


class Spoken:
    """What is spoken at the moment; the fixture ``spoken`` sets it."""

    name = LISK


def is_native() -> bool:
    return Spoken.name == NATIVE


def dialect(of: Lisk10 | None = None) -> Dialect:
    """The dialect to test; ``of`` is what it builds upon (a custom schema, say)."""
    main = of or Lisk10()
    return Native(main) if is_native() else main


def message_of(packet: object) -> tuple[bytes, bool]:
    """One WebSocket message, and whether it is binary. Texts and bytes are faults on purpose, and go as they are."""
    if packet == "#2" and is_native():  # a packet of which nothing follows
        return msgpack.packb([LATER_KIND, 0, "", None]), True
    if not isinstance(packet, dict):
        raw = packet.encode() if isinstance(packet, str) else packet
        if not isinstance(raw, bytes):
            raw = msgpack.packb(raw) if is_native() else json.dumps(raw).encode()
        return raw, is_native()
    if is_native():
        return msgpack.packb(_values(packet)), True
    return json.dumps(packet).encode(), False


def _payload(data: dict[str, Any]) -> bytes | None:
    return base64.b64decode(data["data"]) if "data" in data else None


def _values(packet: dict[str, Any]) -> list[object]:
    """The four values of a packet in the common form."""
    event, data = packet.get("event"), packet.get("data", {})
    if event == "#handshake":
        return [native.HANDSHAKE, packet.get("cid") or 0, "", None]
    if event == "rpc-request":
        return [native.REQUEST, packet.get("cid") or 0, data["procedure"], _payload(data)]
    if event == "remote-message":
        return [native.MESSAGE, 0, data["event"], _payload(data)]
    if event == "#disconnect":
        return [native.DISCONNECT, data.get("code", 0), data.get("data", ""), None]
    if event is not None:
        return [LATER_KIND, packet.get("cid") or 0, event, None]
    if "error" in packet:
        return [native.ERROR, packet["rid"], packet["error"]["message"], None]
    if "pingTimeout" in data:
        return [native.ACK, packet["rid"], data["id"], msgpack.packb(data["pingTimeout"])]
    return [native.ANSWER, packet["rid"], "", _payload(data)]


def packet_of(sent: str | bytes, peer_id: str) -> Any:
    """What was sent, in the common form; keep-alives stay text. ``peer_id`` is what answers name in JSON."""
    if isinstance(sent, str):
        return sent if sent.startswith("#") else json.loads(sent)
    return packets_of(native.join([sent]), peer_id)[0]


def packets_of(message: bytes, peer_id: str) -> list[Any]:
    """The packets of a native message, in the common form."""
    values = iter(msgpack.unpackb(message))
    return [_common_form(*packet, peer_id) for packet in zip(values, values, values, values, strict=True)]


def _common_form(kind: int, number: int, text: str, data: bytes | None, peer_id: str) -> Any:
    body = {} if data is None else {"data": base64.b64encode(data).decode()}
    if kind == native.HANDSHAKE:
        return {"event": "#handshake", "data": {"authToken": None}, "cid": number}
    if kind == native.REQUEST:
        return {"event": "rpc-request", "data": {"procedure": text, **body}, "cid": number}
    if kind == native.MESSAGE:
        return {"event": "remote-message", "data": {"event": text, **body}}
    if kind == native.DISCONNECT:
        assert sendable_close_code(number)
        return {"event": "#disconnect", "data": {"code": number, "data": text} if text else {"code": number}}
    if kind == native.ERROR:
        return {"rid": number, "error": {"message": text}}
    if kind == native.ACK:
        return {"rid": number, "data": {"id": text, "pingTimeout": msgpack.unpackb(data), "isAuthenticated": False}}
    assert kind == native.ANSWER
    return {"rid": number, "data": {**body, "peerId": peer_id}}
