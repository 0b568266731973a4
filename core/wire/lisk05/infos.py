"""Node infos and peer lists as JSON objects, with the names of lisk-p2p 0.4 and 0.5.

A node info is whatever object the program made, plus ``nonce``; the names below are the library's, all others the
program's (``os``, ``height``, ``httpPort``, ...), and are this side's ``options``.

The threat: an object can hold anything. Size, depth and the number of peers are capped; numbers that JSON's readers
disagree about are refused with the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from core.ids import Endpoint
from core.wire.codec import CodecError, CodecLimit
from core.wire.packets import PacketFault
from core.wire.payloads import NodeInfo

NETWORK = "networkId"
VERSION = "protocolVersion"
RESERVED = frozenset({NETWORK, VERSION, "version", "wsPort", "nonce", "advertiseAddress", "ipAddress"})
"""Names that ``options`` cannot use, because a node info of this generation has them for something else."""

MAX_PEERS = 1000
"""Most entries of one peer list, as this generation answers (later ones: 200)."""

MAX_DEPTH = 16
"""Objects and arrays within each other in a node info."""

_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class _Entry(msgspec.Struct, gc=False):
    ipAddress: str | None = None  # noqa: N815
    wsPort: int | str | None = None  # noqa: N815


class _PeerList(msgspec.Struct, gc=False):
    peers: list[msgspec.Raw]


_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_list = msgspec.json.Decoder(_PeerList).decode


def node_info_object(info: NodeInfo) -> dict[str, object]:
    """Return our node info under this generation's names. Raises CodecError for options that it cannot hold."""
    taken = sorted(RESERVED & info.options.keys())
    if taken:
        raise CodecError(f"options.{taken[0]}", "the name means something else in a node info of lisk-p2p 0.5")
    return {
        **{name: _as_json(value, f"options.{name}", 1) for name, value in info.options.items()},
        "version": info.version,
        VERSION: info.protocol_version or info.network_version,
        NETWORK: info.network_id,
        "wsPort": info.port,
        "advertiseAddress": info.advertise_address,
        "nonce": info.nonce,
    }


def to_json(value: Mapping[str, object], max_bytes: int) -> bytes:
    """Return an object as JSON text. Raises CodecError, CodecLimit for more than ``max_bytes``."""
    try:
        text = _encode(value)
    except (TypeError, ValueError, msgspec.EncodeError, RecursionError) as error:
        raise CodecError("options", f"expected values that JSON can hold: {error}") from error
    if len(text) > max_bytes:
        raise CodecLimit("", f"expected at most {max_bytes} bytes, got {len(text)}")
    return text


def read_node_info(data: bytes, max_bytes: int) -> NodeInfo:
    """Return the node info in a JSON text.

    Raises CodecError for what is no object of at most ``max_bytes``, or has a wrong value under one of the library's
    names; PacketFault (``node_info_limit``) for a value beyond the limits of :mod:`core.wire.payloads`.
    """
    record = read_object(data, max_bytes)
    try:
        return NodeInfo(
            b"",
            _text(record, VERSION),
            _text(record, "nonce"),
            record.get("advertiseAddress") is not False,
            own_properties(record),
            network_id=_text(record, NETWORK),
            version=_text(record, "version"),
        )
    except CodecError:
        raise
    except ValueError as error:
        raise PacketFault("node_info_limit", str(error)) from error


def read_object(data: bytes, max_bytes: int) -> dict[str, Any]:
    """Return the object in a JSON text. Raises CodecError."""
    if len(data) > max_bytes:
        raise CodecLimit("", f"expected at most {max_bytes} bytes, got {len(data)}")
    try:
        record = _decode_any(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CodecError("", f"expected a JSON object: {str(error)[:100]}") from error
    if not isinstance(record, dict):
        raise CodecError("", "expected a JSON object")
    for name, value in record.items():
        _as_json(value, name[:80], 1)  # for the depth only
    return record


def own_properties(record: Mapping[str, object]) -> dict[str, object]:
    """Return what a program added to a node info of its own."""
    return {name: value for name, value in record.items() if name not in RESERVED}


def encode_peers(peers: Iterable[Endpoint]) -> bytes:
    """Return the list of the first 1,000 IPv4 peers: real nodes fail on an address of any other kind."""
    entries: list[dict[str, object]] = []
    for ip, port in peers:
        if ":" in ip:
            continue
        if len(entries) == MAX_PEERS:
            break
        entries.append({"ipAddress": ip, "wsPort": port})
    return _encode({"success": True, "peers": entries})


def decode_peers(data: bytes, max_peers: int = MAX_PEERS) -> tuple[Endpoint, ...]:
    """Return the usable entries of a list, at most ``max_peers`` or 1,000, whichever is more.

    An entry without a literal IPv4 address or a port is left out, not punished: nodes of this generation check little
    of what they pass on, so whoever sends it need not be its author. Raises CodecError for what is no list,
    PacketFault (``too_many_peers``) for a longer one.
    """
    limit = max(max_peers, MAX_PEERS)
    try:
        entries = _decode_list(data).peers
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CodecError("peers", f"expected a list of objects: {str(error)[:100]}") from error
    if len(entries) > limit:
        raise PacketFault("too_many_peers", f"expected at most {limit} entries, got {len(entries)}")
    return tuple(endpoint for entry in entries if (endpoint := _endpoint(entry)) is not None)


def _endpoint(raw: msgspec.Raw) -> Endpoint | None:
    try:
        entry = _decode_entry(raw)
        endpoint = Endpoint.checked(entry.ipAddress or "", _port(entry.wsPort))
    except (ValueError, msgspec.DecodeError, UnicodeError):
        return None
    return None if ":" in endpoint.ip else endpoint


def _port(value: int | str | None) -> int:
    if isinstance(value, str):
        return int(value) if len(value) <= 5 and value.isascii() and value.isdigit() else 0
    return value or 0


def _text(record: Mapping[str, object], name: str) -> str:
    value = record.get(name, "")
    if not isinstance(value, str):
        raise CodecError(name, f"expected a text, got {type(value).__name__}")
    return value


def _as_json(value: object, path: str, depth: int) -> object:
    """Return a value as JSON holds it, bytes as SocketCluster writes them. Raises CodecError for deep nesting."""
    if depth > MAX_DEPTH:
        raise CodecError(path, f"expected at most {MAX_DEPTH} levels of objects and arrays")
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": True, "data": bytes(value)}
    if isinstance(value, Mapping):
        return {name: _as_json(item, path, depth + 1) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_json(item, path, depth + 1) for item in value]
    return value
