"""The query of the HTTP upgrade: how an opener introduces itself, and what a listener makes of it (docs/protocol.md).

The threat: the query is the first thing a stranger sends, so it is capped, and read strictly where lisk-p2p 0.10 is
lax. That takes ``00000001zz`` for chain 00000001, ``7114abc`` for port 7114 and the first of two ports; here

* a parameter of ours that appears twice is refused as an invalid query (4502), as is a query that is too long, has too
  many parameters or cannot be percent-decoded;
* a port that is not the plain decimal number of a port is refused as invalid (4105);
* a chain id that is not whole bytes in hexadecimal can equal nobody's, and is refused like another network's (4104).

No real node ever sends any of these. The order of the checks is that of a lisk-p2p 0.10 listener.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from core.ids import MAX_PORT, CloseCode
from core.wire.payloads import (
    MAX_CHAIN_ID_BYTES,
    MAX_NETWORK_VERSION_CHARACTERS,
    MAX_NONCE_CHARACTERS,
    NodeInfo,
)

MAX_TARGET_CHARACTERS = 8192
"""Longest request target that is looked at. Real ones have about 110 characters."""

MAX_PARAMETERS = 64
"""Most query parameters. A real query has 5; those of older generations, with all their node info, about 20."""

REASON_OWN_NONCE = "Peer cannot connect to itself"
REASON_INVALID_QUERY = "Peer did not provide valid query parameters as part of the WebSocket connection"
REASON_OTHER_CHAIN = "Peer chainID did not match our own"
REASON_OTHER_VERSION = "Peer has incompatible protocol version"
REASON_INFO_TOO_LARGE = "Peer info is too large"

_KNOWN = frozenset({"networkVersion", "chainID", "nonce", "advertiseAddress", "port"})
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CHAIN_ID = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")
_MAJOR = re.compile(r"[0-9]{1,9}")
_UNESCAPED = "!'()*-._~"
"""What ``encodeURIComponent`` leaves alone besides letters and digits."""


@dataclass(frozen=True, slots=True)
class PeerQuery:
    """What an opener said about itself. ``port`` is where it listens; ``nonce`` is empty if it gave none."""

    port: int
    chain_id: bytes
    network_version: str
    nonce: str
    advertise_address: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a peer may not connect: the close code and the text for its ``#disconnect``."""

    code: CloseCode
    reason: str


def build_target(path: str, info: NodeInfo, port: int) -> str:
    """Return the request target of an opener that is ``info`` and listens on ``port``."""
    version, nonce = quote(info.network_version, safe=_UNESCAPED), quote(info.nonce, safe=_UNESCAPED)
    advertise = "true" if info.advertise_address else "false"
    return (
        f"{path}?networkVersion={version}&chainID={info.chain_id.hex()}&nonce={nonce}"
        f"&advertiseAddress={advertise}&port={port}"
    )


def parse_query(target: str, *, source_ip: str, own_nonce: str) -> PeerQuery | Refusal:
    """Return what the request target says, or why its sender is refused. Does not look at the path.

    ``source_ip`` only serves the text of a refusal; ``own_nonce`` is the listener's, which is checked before anything
    else as lisk-p2p does. Whether the peer fits the network is for :func:`check_compatibility` to say.
    """
    values = _parameters(target)
    if values is None:
        return Refusal(CloseCode.INVALID_QUERY, REASON_INVALID_QUERY)
    if own_nonce in values.get("nonce", ()):
        return Refusal(CloseCode.OWN_NONCE, REASON_OWN_NONCE)
    if any(len(given) > 1 for given in values.values()) or "networkVersion" not in values or "chainID" not in values:
        return Refusal(CloseCode.INVALID_QUERY, REASON_INVALID_QUERY)
    only = {name: given[0] for name, given in values.items()}
    port = only.get("port", "")
    if not _PORT.fullmatch(port) or int(port) > MAX_PORT:
        return Refusal(CloseCode.INVALID_PEER_INFO, _invalid_address(source_ip, port))
    chain_id, version, nonce = only["chainID"], only["networkVersion"], only.get("nonce", "")
    if (
        len(chain_id) > 2 * MAX_CHAIN_ID_BYTES
        or len(version) > MAX_NETWORK_VERSION_CHARACTERS
        or len(nonce) > MAX_NONCE_CHARACTERS
    ):
        return Refusal(CloseCode.INVALID_PEER_INFO, REASON_INFO_TOO_LARGE)
    if not _CHAIN_ID.fullmatch(chain_id):
        return Refusal(CloseCode.INCOMPATIBLE, REASON_OTHER_CHAIN)
    return PeerQuery(int(port), bytes.fromhex(chain_id), version, nonce, only.get("advertiseAddress") != "false")


def check_compatibility(theirs: PeerQuery | NodeInfo, own: NodeInfo) -> Refusal | None:
    """Return why a node that is ``own`` cannot be the peer of ``theirs``, or None if it can.

    Both must belong to the same chain and have the same major network version, which is at least 1; and they must not
    be the same process.
    """
    if theirs.nonce and theirs.nonce == own.nonce:
        return Refusal(CloseCode.OWN_NONCE, REASON_OWN_NONCE)
    if theirs.chain_id != own.chain_id:
        return Refusal(CloseCode.INCOMPATIBLE, REASON_OTHER_CHAIN)
    major = _major(theirs.network_version)
    if major < 1 or major != _major(own.network_version):
        return Refusal(CloseCode.INCOMPATIBLE, REASON_OTHER_VERSION)
    return None


def _parameters(target: str) -> dict[str, list[str]] | None:
    """Return the values of the parameters we know by name, or None if the query cannot be read."""
    query = target.partition("?")[2]
    if len(target) > MAX_TARGET_CHARACTERS or _BAD_PERCENT.search(query):
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:  # too many, or percent-encoded bytes that are not UTF-8
        return None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in _KNOWN:
            values.setdefault(name, []).append(value)
    return values


def _invalid_address(source_ip: str, port: str) -> str:
    """Return lisk-p2p's text, in which a port that is no number is JavaScript's NaN."""
    shown = str(int(port)) if _INTEGER.fullmatch(port) else "NaN"
    return f"Invalid peer ipAddress or port for peer with ip: {source_ip} and port {shown}"


def _major(version: str) -> int:
    """Return the integer before the first dot, 0 if there is none: only that decides."""
    digits = version.partition(".")[0]
    return int(digits) if _MAJOR.fullmatch(digits) else 0
