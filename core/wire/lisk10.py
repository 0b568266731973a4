"""The dialect ``lisk-0.10``: lisk-p2p 0.9 and 0.10 (Lisk SDK 6).

SocketCluster JSON text frames on ``/rpc/``, payloads as base64 text, node infos and peer lists as strict lisk-codec
records, networks told apart by ``chainID``.
"""

from __future__ import annotations

from typing import cast

from core.wire import codec, payloads, peerlist, query, socketcluster, socketcluster_writer
from core.wire.packets import PacketFault, Response
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery, Refusal
from core.wire.schema import DataType, Field, Schema

DEFAULT_PING_TIMEOUT_MS = 20_000
"""Silence after which an opener gives up when the acknowledgement names no other (lisk-p2p's value)."""

_NODE_INFO_FIELDS = (
    Field(1, "chainID", DataType.BYTES),
    Field(2, "networkVersion", DataType.STRING),
    Field(3, "nonce", DataType.STRING),
    Field(4, "advertiseAddress", DataType.BOOLEAN),
)
_OPTIONS_FIELD_NUMBER = 5


class Lisk10:
    """:class:`core.wire.dialect.Dialect` for lisk-p2p 0.9 and 0.10.

    ``custom_schema`` describes ``options`` of the node info. Both ends must have the same one, or none: each refuses
    the other's node info otherwise. It belongs to this object alone, so that several nodes with different schemas can
    live in one process (in lisk-p2p they spoil each other's). ``max_node_info_bytes`` caps node infos both ways.
    """

    name = "lisk-0.10"
    path = "/rpc/"
    keep_alive_ping = socketcluster.KEEP_ALIVE_PING
    keep_alive_pong = socketcluster.KEEP_ALIVE_PONG

    decode_packet = staticmethod(socketcluster.decode_packet)
    decode_packets = staticmethod(socketcluster.decode_packets)
    encode_handshake = staticmethod(socketcluster_writer.encode_handshake)
    encode_ack = staticmethod(socketcluster_writer.encode_ack)
    encode_request = staticmethod(socketcluster_writer.encode_request)
    encode_response = staticmethod(socketcluster_writer.encode_response)
    encode_error = staticmethod(socketcluster_writer.encode_error)
    encode_message = staticmethod(socketcluster_writer.encode_message)
    encode_disconnect = staticmethod(socketcluster_writer.encode_disconnect)
    encode_peers = staticmethod(peerlist.encode_peers)
    decode_peers = staticmethod(peerlist.decode_peers)
    app_payload = staticmethod(payloads.app_payload)

    def __init__(
        self, custom_schema: Schema | None = None, *, max_node_info_bytes: int = payloads.MAX_NODE_INFO_BYTES
    ) -> None:
        self._has_options = custom_schema is not None
        options = () if custom_schema is None else (Field(_OPTIONS_FIELD_NUMBER, "options", custom_schema),)
        self._node_info = Schema(_NODE_INFO_FIELDS + options)
        self._max_node_info_bytes = max_node_info_bytes

    def matches_path(self, target: str) -> bool:
        """Tell whether a request target has exactly the path ``/rpc/``."""
        return target.partition("?")[0] == self.path

    def request_target(self, info: NodeInfo, port: int) -> str:
        """Return the target of the upgrade request of an opener that is ``info`` and listens on ``port``."""
        return query.build_target(self.path, info, port)

    def parse_query(self, target: str, *, source_ip: str, own_nonce: str) -> PeerQuery | Refusal:
        """See :func:`core.wire.query.parse_query`."""
        return query.parse_query(target, source_ip=source_ip, own_nonce=own_nonce)

    def settle(self, payload: bytes, own: NodeInfo) -> Lisk10:
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

    def encode_node_info(self, info: NodeInfo) -> bytes:
        """Return the node info record.

        Raises CodecError if ``options`` do not fit the custom schema (without one, there can be none: lisk-p2p drops
        them silently), or if the record is larger than ``max_node_info_bytes``, for which peers ban.
        """
        value: dict[str, object] = {
            "chainID": info.chain_id,
            "networkVersion": info.network_version,
            "nonce": info.nonce,
            "advertiseAddress": info.advertise_address,
        }
        if self._has_options or info.options:
            value["options"] = info.options
        record = codec.encode(self._node_info, value)
        if len(record) > self._max_node_info_bytes:
            raise codec.CodecLimit("", f"expected at most {self._max_node_info_bytes} bytes, got {len(record)}")
        return record

    def decode_node_info(self, data: bytes) -> NodeInfo:
        """Return the node info in ``data``.

        Raises CodecError if it is no record of this schema or too large, PacketFault (``node_info_limit``) if a value
        exceeds the limits of :mod:`core.wire.payloads`.
        """
        record = codec.decode(self._node_info, data, max_bytes=self._max_node_info_bytes)
        try:
            return NodeInfo(
                cast(bytes, record["chainID"]),
                cast(str, record["networkVersion"]),
                cast(str, record["nonce"]),
                cast(bool, record["advertiseAddress"]),
                cast("dict[str, object]", record.get("options", {})),
            )
        except ValueError as error:
            raise PacketFault("node_info_limit", str(error)) from error

    def ping_answer(self) -> bytes:
        """Return the payload that answers the procedure ``ping``."""
        return payloads.PING_ANSWER
