"""Identities and enumerations that every layer shares.

Sources: LIP 0004 (peer, address, net group); the close codes are those a lisk-p2p 0.10 node puts on the wire
(docs/protocol.md, "Close codes").
"""

from __future__ import annotations

import enum
import functools
import ipaddress
from typing import NamedTuple, NewType

PeerId = NewType("PeerId", str)
"""Text ``<source IP>:<announced port>``: how lisk-p2p names a remote. IPv6 addresses are bracketed: ``[::1]:5001``."""

RequestId = NewType("RequestId", int)
"""Number of a query between actors; its answer repeats it. Unique per asking actor, never reused while open."""

REMEMBERED_TEXTS = 16_384

MIN_PORT = 1
MAX_PORT = 65535


class Direction(enum.Enum):
    """Who opened the TCP connection. Values are lisk-p2p's ``ConnectionKind`` texts."""

    __hash__ = object.__hash__  # Enum's own is a function of Python: directions are keys wherever connections are kept

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class PeerKind(enum.Enum):
    """Trust that configuration gives a peer, or what a connection is for; the values are lisk-p2p's texts."""

    __hash__ = object.__hash__  # as of Direction

    NONE = "NONE"
    FIXED = "fixedPeer"
    WHITELISTED = "whitelistedPeer"
    SEED = "seedPeer"
    BLACKLISTED = "blacklistedPeer"
    FEELER = "feeler"
    """Ours: a connection that only finds out whether somebody answers (:mod:`core.feelers`)."""


class CloseCode(enum.IntEnum):
    """WebSocket close codes of the protocol (RFC 6455 section 7.4; 4000-4999 are SocketCluster's and lisk-p2p's)."""

    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    ABNORMAL = 1006
    MESSAGE_TOO_BIG = 1009
    TRY_AGAIN_LATER = 1013
    KEEPALIVE_MISSED_BY_LISTENER = 4000
    KEEPALIVE_MISSED_BY_OPENER = 4001
    HANDSHAKE_REFUSED = 4003
    HANDSHAKE_TIMEOUT = 4005
    NOT_HANDSHAKE = 4009
    OWN_NONCE = 4101
    INCOMPATIBLE = 4104
    INVALID_PEER_INFO = 4105
    FORBIDDEN = 4403
    DUPLICATE = 4404
    EVICTED = 4418
    INVALID_QUERY = 4502
    INVALID_ADDRESS = 4503


class Endpoint(NamedTuple):
    """Where a peer listens: a literal IP address in canonical text and a TCP port (1 to 65535).

    A tuple, so that it hashes and compares at C speed: the peer book looks millions of them up.
    Build one from foreign input with :meth:`parse` or :meth:`checked`; the plain constructor does not validate.
    """

    ip: str
    port: int

    @property
    def peer_id(self) -> PeerId:
        """The endpoint as a peer id, IPv6 in brackets."""
        if ":" in self.ip:
            return PeerId(f"[{self.ip}]:{self.port}")
        return PeerId(f"{self.ip}:{self.port}")

    @classmethod
    def checked(cls, ip: str, port: int) -> Endpoint:
        """Return the endpoint with its address in canonical form (IPv4-mapped IPv6 becomes IPv4).

        Raises ValueError, saying what is wrong, if ``ip`` is no literal address or ``port`` is out of range.
        """
        if len(ip) > 64:
            raise ValueError("expected an IP address, got a text of more than 64 characters")
        address = ipaddress.ip_address(ip)
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None:
                raise ValueError(f"expected an IP address without a zone, got {ip!r}")
            address = address.ipv4_mapped or address
        if not MIN_PORT <= port <= MAX_PORT:
            raise ValueError(f"expected a port from {MIN_PORT} to {MAX_PORT}, got {port}")
        return shared_endpoint(str(address), port)

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``1.2.3.4:5001`` or ``[::1]:5001``. Raises ValueError, saying what was expected.

        The same object for the same text, mostly: all nodes of a simulation are configured with the same addresses.
        """
        return _parsed(text)

    @classmethod
    def _read(cls, text: str) -> Endpoint:
        host, separator, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not separator or not (port.isascii() and port.isdigit() and len(port) <= 5):
            raise ValueError(f"expected ip:port, got {text[:80]!r}")
        if (":" in host) != bracketed:
            raise ValueError(f"expected ip:port with an IPv6 address in brackets, got {text[:80]!r}")
        return cls.checked(host[1:-1] if bracketed else host, int(port))


@functools.lru_cache(maxsize=REMEMBERED_TEXTS)
def shared_endpoint(ip: str, port: int) -> Endpoint:
    """``Endpoint(ip, port)``, mostly one object for all that know it: two tables of a node, or a thousand nodes."""
    return Endpoint(ip, port)


_parsed = functools.lru_cache(maxsize=REMEMBERED_TEXTS)(Endpoint._read)


@functools.lru_cache(maxsize=REMEMBERED_TEXTS)
def shared_peer_id(endpoint: Endpoint) -> PeerId:
    """``endpoint.peer_id``, mostly one text for all tables that know a peer by it.

    Not by ``sys.intern``: remotes choose these texts, and Python 3.12.0 to 3.12.4 never forget an interned one.
    """
    return PeerId(endpoint.peer_id)
