"""The dialect ``lisk-0.7``: lisk-p2p 0.6.1 to 0.8.0 (Lisk SDK 4 and 5).

As ``lisk-0.10``, but networks are told apart by ``networkIdentifier``, a text, and records are read leniently
(:mod:`core.wire.codec_lenient`).
"""

from __future__ import annotations

from typing import cast

from core.ids import CloseCode, Endpoint
from core.wire import codec, codec_lenient, payloads, peerlist, query
from core.wire.codec import CodecLimit
from core.wire.lisk import Base64Payloads
from core.wire.packets import PacketFault
from core.wire.payloads import MAX_PEERS, NodeInfo, checked_peer
from core.wire.query import PeerQuery, Refusal
from core.wire.schema import DataType, Field, Schema

NETWORK = "networkIdentifier"

_NODE_INFO_FIELDS = (
    Field(1, NETWORK, DataType.STRING),
    Field(2, "networkVersion", DataType.STRING),
    Field(3, "nonce", DataType.STRING),
    Field(4, "advertiseAddress", DataType.BOOLEAN),
)
_OPTIONS_FIELD_NUMBER = 5

_PARAMETERS = frozenset({"networkVersion", NETWORK, "nonce", "advertiseAddress", "port"})


class Lisk07(Base64Payloads):
    """:class:`core.wire.dialect.Dialect` for lisk-p2p 0.6.1 to 0.8.0.

    ``custom_schema`` describes ``options`` of the node info. A node with one refuses the node info of a node without;
    the other way round the options are ignored. ``max_node_info_bytes`` caps node infos both ways.
    """

    name = "lisk-0.7"

    def __init__(
        self, custom_schema: Schema | None = None, *, max_node_info_bytes: int = payloads.MAX_NODE_INFO_BYTES
    ) -> None:
        self._has_options = custom_schema is not None
        options = () if custom_schema is None else (Field(_OPTIONS_FIELD_NUMBER, "options", custom_schema),)
        self._node_info = Schema(_NODE_INFO_FIELDS + options)
        self._max_node_info_bytes = max_node_info_bytes

    def request_target(self, info: NodeInfo, port: int) -> str:
        """Return the target of the upgrade request of an opener that is ``info`` and listens on ``port``."""
        version, nonce = query.escape(info.network_version), query.escape(info.nonce)
        advertise = "true" if info.advertise_address else "false"
        return (
            f"{self.path}?networkVersion={version}&{NETWORK}={query.escape(info.network_identifier)}&nonce={nonce}"
            f"&advertiseAddress={advertise}&port={port}"
        )

    def parse_query(self, target: str, *, source_ip: str, own_nonce: str) -> PeerQuery | Refusal:
        """Return what an opener said about itself in its request target, or why it is refused. See
        :mod:`core.wire.query`."""
        only = query.read_parameters(target, _PARAMETERS, own_nonce=own_nonce, required=("networkVersion", NETWORK))
        if isinstance(only, Refusal):
            return only
        port = query.read_port(only.get("port", ""), source_ip)
        if isinstance(port, Refusal):
            return port
        network, version, nonce = only[NETWORK], only["networkVersion"], only.get("nonce", "")
        if len(network) > payloads.MAX_NETWORK_NAME_CHARACTERS or query.too_large(version, nonce):
            return Refusal(CloseCode.INVALID_PEER_INFO, query.REASON_INFO_TOO_LARGE)
        advertise = only.get("advertiseAddress") != "false"
        return PeerQuery(port, b"", version, nonce, advertise, network_identifier=network)

    def check_compatibility(self, theirs: PeerQuery | NodeInfo, own: NodeInfo) -> Refusal | None:
        """Return why a node that is ``own`` cannot be the peer of ``theirs``, or None if it can: as for
        ``lisk-0.10``, with ``networkIdentifier``, which must not be empty, in place of the chain id."""
        if refusal := query.check_nonce(theirs, own):
            return refusal
        if not theirs.network_identifier or theirs.network_identifier != own.network_identifier:
            return query.other_network(NETWORK)
        return query.check_version(theirs.network_version, own.network_version)

    def encode_node_info(self, info: NodeInfo) -> bytes:
        """Return the node info record.

        Raises CodecError if ``options`` do not fit the custom schema (without one, there can be none), or if the
        record is larger than ``max_node_info_bytes``, for which peers ban.
        """
        value: dict[str, object] = {
            NETWORK: info.network_identifier,
            "networkVersion": info.network_version,
            "nonce": info.nonce,
            "advertiseAddress": info.advertise_address,
        }
        if self._has_options or info.options:
            value["options"] = info.options
        record = codec.encode(self._node_info, value, normalise=False)
        if len(record) > self._max_node_info_bytes:
            raise CodecLimit("", f"expected at most {self._max_node_info_bytes} bytes, got {len(record)}")
        return record

    def decode_node_info(self, data: bytes) -> NodeInfo:
        """Return the node info in ``data``.

        Raises CodecError if it is no record of this schema or too large, PacketFault (``node_info_limit``) if a value
        exceeds the limits of :mod:`core.wire.payloads`.
        """
        record = codec_lenient.decode(self._node_info, data, max_bytes=self._max_node_info_bytes)
        try:
            return NodeInfo(
                b"",
                cast(str, record["networkVersion"]),
                cast(str, record["nonce"]),
                cast(bool, record["advertiseAddress"]),
                cast("dict[str, object]", record.get("options", {})),
                network_identifier=cast(str, record[NETWORK]),
            )
        except ValueError as error:
            raise PacketFault("node_info_limit", str(error)) from error

    def decode_peers(self, data: bytes, max_peers: int = MAX_PEERS) -> tuple[Endpoint, ...]:
        """Return the entries of a list record, at most ``max_peers``; no bytes are an empty list.

        Raises CodecError if ``data`` is no list of peer records, PacketFault (``too_many_peers``, ``peer_not_ipv4``,
        ``peer_bad_port``) for what lisk-p2p bans for.
        """
        regular = peerlist.decode_regular(data, max_peers)
        if regular is not None:
            return tuple(regular)
        try:
            entries = cast("list[bytes]", codec_lenient.decode(peerlist.PEERS, data, max_items=max_peers)["peers"])
        except CodecLimit as error:
            raise PacketFault("too_many_peers", str(error)) from error
        peers = []
        for entry in entries:
            peer = codec_lenient.decode(peerlist.PEER, entry)
            peers.append(checked_peer(cast(str, peer["ipAddress"]), cast(int, peer["port"])))
        return tuple(peers)
