"""The native dialect: what two Ensemble nodes speak with each other, and how they find out that both can.

An opener offers it by a header of its HTTP upgrade, with the versions it knows: ``Ensemble-Native: 1``. A listener that
knows one of them answers with that header and the version; both then speak it from the first packet on. A node that
does not know the header ignores it, as HTTP prescribes (RFC 9110, section 5.1), and nothing has changed. It is no
WebSocket subprotocol, because lisk-p2p's listener accepts whatever subprotocol it is offered.

Everything else is that of a generation of lisk-p2p, the node's main dialect: the query of the upgrade, the checks, the
network's name, what node infos may hold. A listener that means another than 0.10 says so behind the version
(``1;lisk-0.7``), for openers that speak several.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.wire import native_packets, native_payloads
from core.wire.dialect import Dialect
from core.wire.once import EncodeOnce
from core.wire.packets import PacketFault, Response
from core.wire.payloads import MAX_NODE_INFO_BYTES, PING_ANSWER, NodeInfo
from core.wire.query import PeerQuery, Refusal

NAME = "native"
HEADER = "Ensemble-Native"
VERSION = "1"
NEWEST = "lisk-0.10"
"""The generation that an answer need not name."""

MAX_HEADER_CHARACTERS = 256
"""An offer that is longer is none."""

REMEMBERED_NODE_INFOS = 4096
SMALL_NODE_INFO_BYTES = 512
"""Node infos are told twice on each connection. Remembered are so many that are not larger, which is 4 MB at most."""

MIN_MESSAGE_BYTES = 65_536
"""What every node that speaks it must accept: packets are joined up to this size."""


def is_offered(headers: Mapping[str, str]) -> bool:
    """Tell whether the header of an upgrade request names a version we know; ``headers`` have lower-case names."""
    offer = headers.get(HEADER.lower(), "")
    return len(offer) <= MAX_HEADER_CHARACTERS and VERSION in (one.strip() for one in offer.split(","))


def accepted(headers: Mapping[str, str]) -> str | None:
    """Return the generation of lisk-p2p over which the response to our offer takes it up; None if it does not.

    Any version that was not offered counts as no answer.
    """
    version, _, generation = headers.get(HEADER.lower(), "").partition(";")
    return (generation.strip() or NEWEST) if version.strip() == VERSION else None


class Native:
    """:class:`core.wire.dialect.Dialect` in MessagePack, for a node whose main dialect is ``main``.

    ``max_node_info_bytes`` caps node infos both ways.
    """

    keep_alive_ping = None
    """Nothing: a listener's pings tell, and there is no hurry to notice a dead peer at rest."""
    keep_alive_pong = None
    limits_node_infos = True

    join = staticmethod(native_packets.join)
    decode_packets = staticmethod(native_packets.decode_packets)
    encode_handshake = staticmethod(native_packets.encode_handshake)
    encode_ack = staticmethod(native_packets.encode_ack)
    encode_request = staticmethod(native_packets.encode_request)
    encode_response = staticmethod(native_packets.encode_response)
    encode_error = staticmethod(native_packets.encode_error)
    encode_message = staticmethod(EncodeOnce(native_packets.encode_message))
    encode_disconnect = staticmethod(native_packets.encode_disconnect)
    encode_peers = staticmethod(native_payloads.encode_peers)
    decode_peers = staticmethod(native_payloads.decode_peers)

    def __init__(self, main: Dialect, *, max_node_info_bytes: int = MAX_NODE_INFO_BYTES) -> None:
        self._main = main
        self.generation = main.name
        self.name = NAME if main.name == NEWEST else f"{NAME} {main.name}"
        self.acceptance = VERSION if main.name == NEWEST else f"{VERSION};{main.name}"
        """What a listener answers in the header."""
        self._max_node_info_bytes = max_node_info_bytes
        self._encoded: dict[int, tuple[NodeInfo, bytes]] = {}  # by identity: ours, and in a simulation everybody's
        self._decoded: dict[bytes, NodeInfo] = {}

    @property
    def path(self) -> str:
        """The main dialect's."""
        return self._main.path

    def matches_path(self, target: str) -> bool:
        """See the main dialect's."""
        return self._main.matches_path(target)

    def request_target(self, info: NodeInfo, port: int) -> str:
        """See the main dialect's."""
        return self._main.request_target(info, port)

    def parse_query(self, target: str, *, source_ip: str, own_nonce: str) -> PeerQuery | Refusal:
        """See the main dialect's."""
        return self._main.parse_query(target, source_ip=source_ip, own_nonce=own_nonce)

    def check_compatibility(self, theirs: PeerQuery | NodeInfo, own: NodeInfo) -> Refusal | None:
        """See the main dialect's."""
        return self._main.check_compatibility(theirs, own)

    def settle(self, payload: bytes, own: NodeInfo) -> Native:
        """Nothing is left to find out."""
        return self

    def accept_ack(self, packet: Response) -> int:
        """Return the ping time-out in ms. Raises PacketFault (``bad_ack``) if there is none: it is part of the form."""
        if packet.ping_timeout_ms is None:
            raise PacketFault("bad_ack", "expected an acknowledgement with 1 to 2147483647 milliseconds")
        return packet.ping_timeout_ms

    def encode_node_info(self, info: NodeInfo) -> bytes:
        """Return the node info payload.

        Raises CodecError if it does not fit: options follow the same schema as in the main dialect, so that a network
        cannot come to hold node infos that only some of its nodes can pass on.
        """
        known = self._encoded.get(id(info))
        if known is not None:  # it lives, so that no other object can have its identity
            return known[1]
        as_others_see_it = self._main.decode_node_info(self._main.encode_node_info(info))
        encoded = native_payloads.encode_node_info(as_others_see_it, self._max_node_info_bytes)
        if len(self._encoded) >= REMEMBERED_NODE_INFOS or len(encoded) > SMALL_NODE_INFO_BYTES:
            self._encoded.clear()
        self._encoded[id(info)] = (info, encoded)
        return encoded

    def decode_node_info(self, data: bytes) -> NodeInfo:
        """Return the node info in ``data``. Raises CodecError, also for one that the main dialect could not express;
        PacketFault (``node_info_limit``) for values beyond the limits."""
        decoded = self._decoded
        info = decoded.get(data)
        if info is None:
            info = native_payloads.decode_node_info(data, self._max_node_info_bytes)
            self._main.encode_node_info(info)
            if len(data) <= SMALL_NODE_INFO_BYTES:
                if len(decoded) >= REMEMBERED_NODE_INFOS:
                    decoded.clear()
                decoded[data] = info
        return info

    def app_payload(self, value: object) -> bytes | None:
        """See the main dialect's: a program's peers see the same bytes, whoever carries them."""
        return self._main.app_payload(value)

    def encode_ping(self, cid: int) -> bytes:
        """Return the call by which a listener hears whether, and how fast, an opener answers."""
        return native_packets.encode_request("ping", None, cid)

    def encode_pong(self, rid: int, peer_id: str) -> bytes:
        """Return the answer to it."""
        return native_packets.encode_response(rid, PING_ANSWER, peer_id)
