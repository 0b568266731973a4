"""Several generations of lisk-p2p at once: what an opener says before it knows to whom it speaks.

The query names our network in every generation that we speak; a listener reads the names of its own and ignores the
rest. It then sends its node info before anything else that matters, and from that first packet the opener knows what
is spoken: a JSON object comes from lisk-p2p 0.5, and a record tells by its first field, whose *value* is our chain id
or our network identifier. (Its shape tells nothing: a record of either generation is one of the other.) Until then
nothing is said that depends on the generation, for a payload in the wrong form can crash a real node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec

from core.wire import codec_lenient, payloads
from core.wire.base64text import decode_lenient
from core.wire.codec import CodecError
from core.wire.dialect import Dialect
from core.wire.lisk05 import packets as json_packets
from core.wire.lisk10 import Lisk10
from core.wire.packets import ErrorResponse, Message, PacketFault, Response
from core.wire.payloads import NodeInfo
from core.wire.schema import DataType, Field, Schema

NODE_INFO_EVENT = "postNodeInfo"

_FIRST_FIELD = Schema((Field(1, "network", DataType.BYTES),))
_OBJECT, _TEXT = b"{"[0], b'"'[0]

_decode_text = msgspec.json.Decoder(str).decode


class AnyGeneration(Lisk10):
    """An opener's dialect until the listener's first packet tells: see the module.

    ``generations`` are those that the node speaks, newest first: 0.10 always, 0.7 and 0.5 where their networks are
    named.
    """

    name = "auto"

    def __init__(
        self,
        generations: Sequence[Dialect],
        custom_schema: Schema | None = None,
        *,
        max_node_info_bytes: int = payloads.MAX_NODE_INFO_BYTES,
    ) -> None:
        super().__init__(custom_schema, max_node_info_bytes=max_node_info_bytes)
        self._generations = tuple(generations)
        self._by_name = {dialect.name: dialect for dialect in generations}

    def request_target(self, info: NodeInfo, port: int) -> str:
        """Return a target with the parameters of all generations, each once."""
        pairs: dict[str, str] = {}
        for dialect in self._generations:
            for pair in dialect.request_target(info, port).partition("?")[2].split("&"):
                pairs.setdefault(pair.partition("=")[0], pair)
        return f"{self.path}?{'&'.join(pairs.values())}"

    def settle(self, payload: bytes, own: NodeInfo) -> Dialect:  # type: ignore[override]
        """Return the listener's dialect if ``payload`` tells it, or this one.

        A listener that acknowledges without having said who it is (no real one does) is taken for the newest.
        """
        try:
            packet = json_packets.decode_packet(payload)  # reads what all of them write
        except PacketFault:
            return self
        if isinstance(packet, Response | ErrorResponse):
            return self._generations[0]
        if not isinstance(packet, Message) or packet.event != NODE_INFO_EVENT or not packet.data:
            return self
        if packet.data[0] == _OBJECT:
            return self._by_name.get("lisk-0.5", self)
        return self._of_record(packet.data, own) if packet.data[0] == _TEXT else self

    def _of_record(self, text: bytes, own: NodeInfo) -> Dialect:
        newest = self._generations[0]
        try:
            record = decode_lenient(_decode_text(text))
            network = cast(bytes, codec_lenient.decode(_FIRST_FIELD, record)["network"])
        except (CodecError, msgspec.DecodeError):
            return newest
        if network != own.chain_id and network.decode("utf-8", "replace") == own.network_identifier:
            return self._by_name.get("lisk-0.7", newest)
        return newest
