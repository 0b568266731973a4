"""What every generation of lisk-p2p from 0.4 on has in common: the upgrade's path, keep-alive, SocketCluster's packets.

The dialects build on it and add what differs: how payloads look, and how a node names its network.
"""

from __future__ import annotations

from typing import Self

from core.wire import payloads, peerlist, socketcluster, socketcluster_writer
from core.wire.once import EncodeOnce
from core.wire.packets import PacketFault, Response
from core.wire.payloads import NodeInfo

DEFAULT_PING_TIMEOUT_MS = 20_000
"""Silence after which an opener gives up when the acknowledgement names no other (lisk-p2p's value)."""


class LiskPackets:
    """The part of :class:`core.wire.dialect.Dialect` that all dialects of lisk-p2p share."""

    path = "/rpc/"
    join = None
    keep_alive_ping = socketcluster.KEEP_ALIVE_PING
    keep_alive_pong = socketcluster.KEEP_ALIVE_PONG
    limits_node_infos = True

    encode_handshake = staticmethod(socketcluster_writer.encode_handshake)
    encode_ack = staticmethod(socketcluster_writer.encode_ack)
    encode_disconnect = staticmethod(socketcluster_writer.encode_disconnect)

    @staticmethod
    def encode_error(rid: int, message: str, code: int | None = None) -> str:
        """Return the error answer to call ``rid``, without a code: lisk-p2p's have none."""
        return socketcluster_writer.encode_error(rid, message)

    def matches_path(self, target: str) -> bool:
        """Tell whether a request target has exactly the path ``/rpc/``."""
        return target.partition("?")[0] == self.path

    def settle(self, payload: bytes, own: NodeInfo) -> Self:
        """Nothing is left to find out."""
        return self

    def accept_ack(self, packet: Response) -> int:
        """Return the ping time-out in ms from the answer to ``#handshake``.

        An answer without any data will do (the time-out is then lisk-p2p's 20 s); one with data must contain a
        time-out that can be set. Raises PacketFault (``bad_ack``) otherwise: a real opener closes with 4000.
        """
        if packet.ping_timeout_ms is not None:
            return packet.ping_timeout_ms
        if packet.bare:
            return DEFAULT_PING_TIMEOUT_MS
        raise PacketFault("bad_ack", "expected pingTimeout to be a number of milliseconds from 1 to 2147483647")


class Base64Payloads(LiskPackets):
    """What lisk-p2p 0.6.1 and later add: payloads are bytes, in packets as base64 text."""

    decode_packet = staticmethod(socketcluster.decode_packet)
    decode_packets = staticmethod(socketcluster.decode_packets)
    encode_request = staticmethod(socketcluster_writer.encode_request)
    encode_response = staticmethod(socketcluster_writer.encode_response)
    encode_message = staticmethod(EncodeOnce(socketcluster_writer.encode_message))
    encode_peers = staticmethod(peerlist.encode_peers)
    app_payload = staticmethod(payloads.app_payload)

    def encode_ping(self, cid: int) -> str:
        """Return the call by which a listener hears whether, and how fast, an opener answers."""
        return socketcluster_writer.encode_request("ping", None, cid)

    def encode_pong(self, rid: int, peer_id: str) -> str:
        """Return the answer to it."""
        return socketcluster_writer.encode_response(rid, payloads.PING_ANSWER, peer_id)
