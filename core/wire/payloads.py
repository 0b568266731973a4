"""Typed payloads: what node infos and peer lists mean, and the limits that hold in every dialect.

A dialect turns bytes into these types and back. The limits bound what a stranger can make a node remember and gossip;
all of them leave ample room around what real nodes send.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from core.errors import Misuse
from core.ids import MAX_PORT, MIN_PORT, Endpoint, shared_endpoint
from core.wire.packets import PacketFault

MAX_NODE_INFO_BYTES = 20_480
"""Largest encoded node info unless configured otherwise (lisk-p2p's ``maxPeerInfoSize``)."""

MAX_PEERS = 200
"""Most entries of one peer list: a lisk-p2p 0.10 node bans the sender of more."""

MAX_CHAIN_ID_BYTES = 64
MAX_NETWORK_NAME_CHARACTERS = 256
"""Longest ``networkIdentifier`` and ``networkId``. Those of real networks are SHA-256 values in hex."""

MAX_NETWORK_VERSION_CHARACTERS = 64
MAX_NONCE_CHARACTERS = 256
"""Real nonces have 16 characters."""

PING_ANSWER = b'"pong"'
"""The answer to the procedure ``ping``: the text "pong" as JSON."""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What a node tells about itself.

    ``chain_id`` identifies the network, ``network_version`` the protocol (``1.1``; its major number must agree),
    ``nonce`` is new for every process, so that a node recognises itself. ``advertise_address`` False asks others not
    to gossip the address. ``options`` holds the application's properties: by its custom schema, empty without one; any
    JSON values from nodes of lisk-p2p 0.4 and 0.5.

    Older generations name their network otherwise: ``network_identifier`` in lisk-p2p 0.6 to 0.8, ``network_id`` in
    0.4 and 0.5. A remote's node info has the one that its generation knows; our own has those of all generations that
    we speak. The last three are our own and for lisk-p2p 0.4 and 0.5 only: ``protocol_version`` if that network has
    another than ``network_version``, the application's ``version``, and the ``port`` where the node listens.

    Raises ValueError for values beyond the limits of this module. Equal by value, not hashable.
    """

    chain_id: bytes
    network_version: str
    nonce: str
    advertise_address: bool = True
    options: Mapping[str, object] = field(default_factory=dict)
    network_identifier: str = ""
    network_id: str = ""
    protocol_version: str = ""
    version: str = ""
    port: int = 0

    def __post_init__(self) -> None:
        names = self.network_identifier, self.network_id
        for text in (self.network_version, self.nonce, *names, self.protocol_version, self.version):
            text.encode()  # a text that no peer could be sent raises UnicodeEncodeError, a ValueError
        if len(self.chain_id) > MAX_CHAIN_ID_BYTES:
            raise ValueError(f"expected a chain id of at most {MAX_CHAIN_ID_BYTES} bytes, got {len(self.chain_id)}")
        _check_length("network version", self.network_version, MAX_NETWORK_VERSION_CHARACTERS)
        _check_length("protocol version", self.protocol_version, MAX_NETWORK_VERSION_CHARACTERS)
        _check_length("version", self.version, MAX_NETWORK_VERSION_CHARACTERS)
        _check_length("nonce", self.nonce, MAX_NONCE_CHARACTERS)
        _check_length("network identifier", self.network_identifier, MAX_NETWORK_NAME_CHARACTERS)
        _check_length("network id", self.network_id, MAX_NETWORK_NAME_CHARACTERS)


def _check_length(what: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise ValueError(f"expected a {what} of at most {limit} characters, got {len(text)}")


def checked_peer(ip: str, port: int) -> Endpoint:
    """Return one entry of a received peer list as an endpoint.

    Raises PacketFault (``peer_not_ipv4``, ``peer_bad_port``): lisk-p2p knows only IPv4 and bans for anything else, so
    no correct peer of its dialects sends it, and what is not a literal address must never reach a resolver.
    """
    try:
        address = str(ipaddress.IPv4Address(ip))
    except ValueError as error:
        raise PacketFault("peer_not_ipv4", f"expected an IPv4 address, got {ip[:64]!r}") from error
    if not MIN_PORT <= port <= MAX_PORT:
        raise PacketFault("peer_bad_port", f"expected a port from {MIN_PORT} to {MAX_PORT}, got {port}")
    return shared_endpoint(address, port)


# Application data.

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_FLOAT_POSSIBLE = re.compile(r"\d[.e]")
_STRING_OR_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.e+-]*')
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_EXPONENT = re.compile(r"e([+-])0*")


def app_payload(value: object) -> bytes | None:
    """Return what an application sends as the bytes that travel: lisk-p2p's rule (docs/protocol.md).

    Bytes go as they are and None as no payload at all. Everything else goes as JSON text, exactly as
    ``JSON.stringify`` would write it; ``0``, ``""`` and ``False`` too, which lisk-p2p loses in answers. Raises Misuse
    for what is no JSON: NaN, infinities, circular references, unknown types.
    """
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    try:
        text = _to_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Misuse(f"data must be bytes or a value that JSON can express: {error}") from error
    if _FLOAT_POSSIBLE.search(text):
        text = _STRING_OR_NUMBER.sub(_javascript_token, text)
    try:
        return text.encode()
    except UnicodeEncodeError:
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", joined).encode()


def _javascript_token(match: re.Match[str]) -> str:
    """Return a token of JSON text, floats in JavaScript's notation (ECMA-262, Number::toString)."""
    token = match[0]
    if token.startswith('"') or not _FLOAT_POSSIBLE.search(token):
        return token
    value = abs(float(token))
    if value == 0:
        return "0"
    if 1e-6 <= value < 1e21:
        plain = format(Decimal(token), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    return _EXPONENT.sub(r"e\1", token)
