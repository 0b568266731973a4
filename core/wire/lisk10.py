"""The dialect ``lisk-0.10``: lisk-p2p 0.9 and 0.10 (Lisk SDK 6).

SocketCluster JSON text frames on ``/rpc/``, payloads as base64 text, node infos and peer lists as strict lisk-codec
records, networks told apart by ``chainID``.
"""

from __future__ import annotations

import re
from typing import cast

from core.ids import CloseCode
from core.wire import codec, payloads, peerlist, query
from core.wire.lisk import Base64Payloads
from core.wire.packets import PacketFault
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery, Refusal
from core.wire.schema import DataType, Field, Schema

_NODE_INFO_FIELDS = (
    Field(1, "chainID", DataType.BYTES),
    Field(2, "networkVersion", DataType.STRING),
    Field(3, "nonce", DataType.STRING),
    Field(4, "advertiseAddress", DataType.BOOLEAN),
)
_OPTIONS_FIELD_NUMBER = 5

_NETWORK = "chainID"
_PARAMETERS = frozenset({"networkVersion", _NETWORK, "nonce", "advertiseAddress", "port"})
_CHAIN_ID = re.compile(r"(?:[0-9A-Fa-f]{2})*")


class Lisk10(Base64Payloads):
    """:class:`core.wire.dialect.Dialect` for lisk-p2p 0.9 and 0.10.

    ``custom_schema`` describes ``options`` of the node info. Both ends must have the same one, or none: each refuses
    the other's node info otherwise. It belongs to this object alone, so that several nodes with different schemas can
    live in one process (in lisk-p2p they spoil each other's). ``max_node_info_bytes`` caps node infos both ways.
    """

    name = "lisk-0.10"

    decode_peers = staticmethod(peerlist.decode_peers)

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
            f"{self.path}?networkVersion={version}&chainID={info.chain_id.hex()}&nonce={nonce}"
            f"&advertiseAddress={advertise}&port={port}"
        )

    def parse_query(self, target: str, *, source_ip: str, own_nonce: str) -> PeerQuery | Refusal:
        """Return what an opener said about itself in its request target, or why it is refused. See
        :mod:`core.wire.query`.

        A chain id that is not whole bytes in hexadecimal can equal nobody's, and is refused like another network's
        (4104); lisk-p2p takes ``00000001zz`` for chain 00000001.
        """
        only = query.read_parameters(target, _PARAMETERS, own_nonce=own_nonce, required=("networkVersion", _NETWORK))
        if isinstance(only, Refusal):
            return only
        port = query.read_port(only.get("port", ""), source_ip)
        if isinstance(port, Refusal):
            return port
        chain_id, version, nonce = only[_NETWORK], only["networkVersion"], only.get("nonce", "")
        if len(chain_id) > 2 * payloads.MAX_CHAIN_ID_BYTES or query.too_large(version, nonce):
            return Refusal(CloseCode.INVALID_PEER_INFO, query.REASON_INFO_TOO_LARGE)
        if not _CHAIN_ID.fullmatch(chain_id):
            return query.other_network(_NETWORK)
        return PeerQuery(port, bytes.fromhex(chain_id), version, nonce, only.get("advertiseAddress") != "false")

    def check_compatibility(self, theirs: PeerQuery | NodeInfo, own: NodeInfo) -> Refusal | None:
        """Return why a node that is ``own`` cannot be the peer of ``theirs``, or None if it can.

        Both must belong to the same chain and have the same major network version, which is at least 1; and they must
        not be the same process.
        """
        if refusal := query.check_nonce(theirs, own):
            return refusal
        if theirs.chain_id != own.chain_id:
            return query.other_network(_NETWORK)
        return query.check_version(theirs.network_version, own.network_version)

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
