"""The port between one connection and the language it speaks: what :mod:`core.link` asks of every dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

from core.ids import Endpoint
from core.wire.packets import Packet, Response
from core.wire.payloads import MAX_PEERS, NodeInfo
from core.wire.query import PeerQuery, Refusal

Outgoing: TypeAlias = str | bytes
"""One encoded packet: text goes as a text message of its own, bytes go in binary messages."""


class Dialect(Protocol):
    """How packets and payloads look on the wire. Stateless: one object serves any number of connections.

    Encoders assume valid arguments (names of at most ``MAX_NAME_CHARACTERS``); what a program passes in is checked
    where it comes in.
    """

    @property
    def name(self) -> str:
        """The dialect's name in configuration, statistics and logs."""

    @property
    def path(self) -> str:
        """The path of the HTTP upgrade."""

    @property
    def keep_alive_ping(self) -> Outgoing | None:
        """What a listener sends at short intervals to hear whether the opener is alive; None: nothing."""

    @property
    def keep_alive_pong(self) -> Outgoing | None:
        """The opener's answer to it."""

    @property
    def join(self) -> Callable[[Sequence[bytes]], bytes] | None:
        """What makes one binary message of 1 to ``MAX_PACKETS`` packets; None: packets are texts, one a message."""

    @property
    def limits_node_infos(self) -> bool:
        """Whether who pushes its node info too often is punished: nodes of some generations push as they like."""

    def matches_path(self, target: str) -> bool:
        """Tell whether a request target has the dialect's path; any other gets HTTP 400."""

    def request_target(self, info: NodeInfo, port: int) -> str:
        """Return the target of the upgrade request of an opener that is ``info`` and listens on ``port``."""

    def parse_query(self, target: str, *, source_ip: str, own_nonce: str) -> PeerQuery | Refusal:
        """Return what an opener said about itself in its request target, or why it is refused."""

    def check_compatibility(self, theirs: PeerQuery | NodeInfo, own: NodeInfo) -> Refusal | None:
        """Return why a node that is ``own`` cannot be the peer of ``theirs``, or None if it can."""

    def settle(self, payload: bytes, own: NodeInfo) -> Dialect:
        """Return what an opener that is ``own`` speaks from here on, the message ``payload`` included.

        Asked for each message that comes before the opener is acknowledged. Every dialect but one that has to listen
        before it knows returns itself.
        """

    def decode_packets(self, payload: bytes, *, binary: bool) -> Sequence[Packet]:
        """Return the packets in one WebSocket message, in order; ``binary`` tells the kind of frame.

        Raises PacketFault if there is anything in it that no correct peer sends: then nothing of it counts.
        """

    def accept_ack(self, packet: Response) -> int:
        """Return the ping time-out in ms from the answer to ``#handshake``. Raises PacketFault if it is none."""

    def encode_handshake(self, cid: int) -> Outgoing:
        """Return the opener's first packet."""

    def encode_ack(self, rid: int, session_id: str, ping_timeout_ms: int) -> Outgoing:
        """Return the listener's acknowledgement of it."""

    def encode_request(self, procedure: str, data: bytes | None, cid: int | None) -> Outgoing:
        """Return a call; ``cid`` None asks for no answer."""

    def encode_response(self, rid: int, data: bytes | None, peer_id: str) -> Outgoing:
        """Return the answer to call ``rid``; ``peer_id`` names the asking side."""

    def encode_error(self, rid: int, message: str, code: int | None = None) -> Outgoing:
        """Return the error answer to call ``rid``."""

    def encode_message(self, event: str, data: bytes | None) -> Outgoing:
        """Return a one-way message."""

    def encode_disconnect(self, code: int, reason: str | None) -> Outgoing:
        """Return the announcement of a close."""

    def encode_node_info(self, info: NodeInfo) -> bytes:
        """Return the payload that tells others about this node. Raises CodecError if it cannot be encoded."""

    def decode_node_info(self, data: bytes) -> NodeInfo:
        """Return a node info. Raises CodecError for undecodable bytes, PacketFault for values beyond the limits."""

    def encode_peers(self, peers: Iterable[Endpoint]) -> bytes:
        """Return a peer list of those that the dialect can name, at most as many as it allows."""

    def decode_peers(self, data: bytes, max_peers: int = MAX_PEERS) -> tuple[Endpoint, ...]:
        """Return a peer list of at most ``max_peers`` entries.

        Raises CodecError for undecodable bytes, PacketFault for more entries, or for some that no peer may send.
        """

    def app_payload(self, value: object) -> bytes | None:
        """Return what an application sends as bytes. Raises Misuse."""

    def encode_ping(self, cid: int) -> Outgoing:
        """Return the call ``cid`` by which a listener hears whether, and how fast, an opener answers."""

    def encode_pong(self, rid: int, peer_id: str) -> Outgoing:
        """Return the answer to it; ``peer_id`` names the asking side."""
