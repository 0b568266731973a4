"""What the dialects of lisk-p2p from 0.6.1 on say about a node, as a record of lisk-codec and as a request target.

They differ in the field that names the network, and in how strictly they read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

from core.wire import codec, payloads, query
from core.wire.lisk import Base64Payloads
from core.wire.packets import PacketFault
from core.wire.payloads import NodeInfo
from core.wire.schema import DataType, Field, Schema


class LiskRecords(Base64Payloads):
    """The part of :class:`core.wire.dialect.Dialect` that is about node infos.

    ``custom_schema`` describes ``options`` of the node info. It belongs to this object alone, so that several nodes
    with different schemas can live in one process (in lisk-p2p they spoil each other's). ``max_node_info_bytes`` caps
    node infos both ways.
    """

    network: ClassVar[Field]
    """Field 1 of the record, which names the network; the parameter of the request target has the same name."""

    normalises: ClassVar[bool]
    """Whether texts are encoded in Unicode's form NFC."""

    def __init__(
        self, custom_schema: Schema | None = None, *, max_node_info_bytes: int = payloads.MAX_NODE_INFO_BYTES
    ) -> None:
        self._has_options = custom_schema is not None
        options = () if custom_schema is None else (Field(5, "options", custom_schema),)
        self._node_info = Schema(
            (
                self.network,
                Field(2, "networkVersion", DataType.STRING),
                Field(3, "nonce", DataType.STRING),
                Field(4, "advertiseAddress", DataType.BOOLEAN),
                *options,
            )
        )
        self._max_node_info_bytes = max_node_info_bytes

    def network_of(self, info: NodeInfo) -> bytes | str:
        """The name of a node's network, as the record has it."""
        raise NotImplementedError

    def read_node_info(self, data: bytes, max_bytes: int) -> Mapping[str, object]:
        """The fields of a node info record. Raises CodecError."""
        raise NotImplementedError

    def request_target(self, info: NodeInfo, port: int) -> str:
        """Return the target of the upgrade request of an opener that is ``info`` and listens on ``port``."""
        version, nonce = query.escape(info.network_version), query.escape(info.nonce)
        network = self.network_of(info)
        name = network.hex() if isinstance(network, bytes) else query.escape(network)
        advertise = "true" if info.advertise_address else "false"
        return (
            f"{self.path}?networkVersion={version}&{self.network.name}={name}&nonce={nonce}"
            f"&advertiseAddress={advertise}&port={port}"
        )

    def encode_node_info(self, info: NodeInfo) -> bytes:
        """Return the node info record.

        Raises CodecError if ``options`` do not fit the custom schema (without one, there can be none: lisk-p2p drops
        them silently), or if the record is larger than ``max_node_info_bytes``, for which peers ban.
        """
        value: dict[str, object] = {
            self.network.name: self.network_of(info),
            "networkVersion": info.network_version,
            "nonce": info.nonce,
            "advertiseAddress": info.advertise_address,
        }
        if self._has_options or info.options:
            value["options"] = info.options
        record = codec.encode(self._node_info, value, normalise=self.normalises)
        if len(record) > self._max_node_info_bytes:
            raise codec.CodecLimit("", f"expected at most {self._max_node_info_bytes} bytes, got {len(record)}")
        return record

    def decode_node_info(self, data: bytes) -> NodeInfo:
        """Return the node info in ``data``.

        Raises CodecError if it is no record of this schema or too large, PacketFault (``node_info_limit``) if a value
        exceeds the limits of :mod:`core.wire.payloads`.
        """
        record = self.read_node_info(data, self._max_node_info_bytes)
        network = record[self.network.name]
        try:
            return NodeInfo(
                network if isinstance(network, bytes) else b"",
                cast(str, record["networkVersion"]),
                cast(str, record["nonce"]),
                cast(bool, record["advertiseAddress"]),
                cast("dict[str, object]", record.get("options", {})),
                network_identifier=network if isinstance(network, str) else "",
            )
        except ValueError as error:
            raise PacketFault("node_info_limit", str(error)) from error
