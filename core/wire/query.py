"""The query of the HTTP upgrade: how an opener introduces itself, and what a listener makes of it (docs/protocol.md).

What all generations have in common; each dialect adds the parameters that name its network. The threat: the query is
the first thing a stranger sends, so it is capped, and read strictly where lisk-p2p is lax. That takes ``7114abc`` for
port 7114 and the first of two ports; here

* a parameter of ours that appears twice is refused as an invalid query (4502), as is a query that is too long, has too
  many parameters or cannot be percent-decoded;
* a port that is not the plain decimal number of a port is refused as invalid (4105).

No real node ever sends any of these. The order of the checks is that of a lisk-p2p listener.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote

from core.ids import MAX_PORT, CloseCode
from core.wire.payloads import MAX_NETWORK_VERSION_CHARACTERS, MAX_NONCE_CHARACTERS, NodeInfo

MAX_TARGET_CHARACTERS = 8192
"""Longest request target that is looked at. Real ones have about 110 characters."""

MAX_PARAMETERS = 64
"""Most query parameters. A real query has 5; those of older generations, with all their node info, about 20."""

REASON_OWN_NONCE = "Peer cannot connect to itself"
REASON_INVALID_QUERY = "Peer did not provide valid query parameters as part of the WebSocket connection"
REASON_OTHER_VERSION = "Peer has incompatible protocol version"
REASON_INFO_TOO_LARGE = "Peer info is too large"

_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")
_MAJOR = re.compile(r"[0-9]{1,9}")
_UNESCAPED = "!'()*-._~"
"""What ``encodeURIComponent`` leaves alone besides letters and digits."""
_NOTHING_TO_ESCAPE = re.compile(r"[A-Za-z0-9!'()*\-._~]*")
_ENCODED = re.compile(r"[%+]")


@dataclass(frozen=True, slots=True)
class PeerQuery:
    """What an opener said about itself. ``port`` is where it listens; ``nonce`` is empty if it gave none.

    Of ``chain_id``, ``network_identifier`` and ``network_id`` the one that the dialect has is filled, as in
    :class:`core.wire.payloads.NodeInfo`. ``options`` are empty where the query of the dialect has none.
    """

    port: int
    chain_id: bytes
    network_version: str
    nonce: str
    advertise_address: bool
    network_identifier: str = ""
    network_id: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    _info: NodeInfo | None = field(default=None, init=False, repr=False, compare=False)

    def node_info(self) -> NodeInfo:
        """The same without the port, one object each time. Raises ValueError for values beyond the limits of a node
        info."""
        info = self._info
        if info is None:
            info = NodeInfo(
                self.chain_id,
                self.network_version,
                self.nonce,
                self.advertise_address,
                self.options,
                network_identifier=self.network_identifier,
                network_id=self.network_id,
            )
            object.__setattr__(self, "_info", info)
        return info


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a peer may not connect: the close code and the text for its ``#disconnect``."""

    code: CloseCode
    reason: str


def escape(text: str) -> str:
    """Return a value as it stands in a query, percent-encoded as by JavaScript's ``encodeURIComponent``."""
    return text if _NOTHING_TO_ESCAPE.fullmatch(text) else quote(text, safe=_UNESCAPED)


def read_parameters(
    target: str,
    known: frozenset[str],
    *,
    own_nonce: str,
    required: tuple[str, ...],
    max_characters: int = MAX_TARGET_CHARACTERS,
) -> dict[str, str] | Refusal:
    """Return the values of the ``known`` parameters in a request target, or why its sender is refused.

    ``own_nonce`` is the listener's, which is checked before anything else as lisk-p2p does.
    """
    values = _parameters(target, known, max_characters)
    if values is None:
        return Refusal(CloseCode.INVALID_QUERY, REASON_INVALID_QUERY)
    if own_nonce in values.get("nonce", ()):
        return Refusal(CloseCode.OWN_NONCE, REASON_OWN_NONCE)
    if any(len(given) > 1 for given in values.values()) or any(name not in values for name in required):
        return Refusal(CloseCode.INVALID_QUERY, REASON_INVALID_QUERY)
    return {name: given[0] for name, given in values.items()}


def read_port(port: str, source_ip: str) -> int | Refusal:
    """Return the port that a parameter announces; ``source_ip`` only serves the text of a refusal."""
    if not _PORT.fullmatch(port) or int(port) > MAX_PORT:
        return Refusal(CloseCode.INVALID_PEER_INFO, _invalid_address(source_ip, port))
    return int(port)


def too_large(version: str, nonce: str) -> bool:
    """Tell whether a version or a nonce exceeds the limits of a node info."""
    return len(version) > MAX_NETWORK_VERSION_CHARACTERS or len(nonce) > MAX_NONCE_CHARACTERS


def other_network(parameter: str) -> Refusal:
    """Return the refusal of a node of another network, which ``parameter`` names."""
    return Refusal(CloseCode.INCOMPATIBLE, f"Peer {parameter} did not match our own")


def check_nonce(theirs: PeerQuery | NodeInfo, own: NodeInfo) -> Refusal | None:
    """Return the refusal if both are the same process."""
    if theirs.nonce and theirs.nonce == own.nonce:
        return Refusal(CloseCode.OWN_NONCE, REASON_OWN_NONCE)
    return None


def check_version(theirs: str, own: str) -> Refusal | None:
    """Return the refusal if the major number of the two versions is not the same, or is not at least 1."""
    major = _major(theirs)
    if major < 1 or major != _major(own):
        return Refusal(CloseCode.INCOMPATIBLE, REASON_OTHER_VERSION)
    return None


def _parameters(target: str, known: frozenset[str], max_characters: int) -> dict[str, list[str]] | None:
    """Return the values of the known parameters by name, or None if the query cannot be read."""
    query = target.partition("?")[2]
    if len(target) > max_characters or _BAD_PERCENT.search(query):
        return None
    try:
        pairs = _pairs(query)
    except ValueError:  # too many, or percent-encoded bytes that are not UTF-8
        return None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in known:
            values.setdefault(name, []).append(value)
    return values


def _pairs(query: str) -> list[tuple[str, str]]:
    """Take a query apart as ``parse_qsl`` does, in a quarter of the time where nothing is encoded: nearly always."""
    if _ENCODED.search(query):
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    parts = query.split("&")
    if len(parts) > MAX_PARAMETERS:
        raise ValueError("too many parameters")
    halves = [part.partition("=") for part in parts if part]
    return [(name, value) for name, _, value in halves]


def _invalid_address(source_ip: str, port: str) -> str:
    """Return lisk-p2p's text, in which a port that is no number is JavaScript's NaN."""
    shown = str(int(port)) if _INTEGER.fullmatch(port) else "NaN"
    return f"Invalid peer ipAddress or port for peer with ip: {source_ip} and port {shown}"


def _major(version: str) -> int:
    """Return the integer before the first dot, 0 if there is none: only that decides."""
    digits = version.partition(".")[0]
    return int(digits) if _MAJOR.fullmatch(digits) else 0
