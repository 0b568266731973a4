"""The dialect ``lisk-0.5`` as a whole: what a connection asks of it, and the query of the upgrade.

As ``lisk-0.10``, but payloads are JSON values, networks are told apart by ``networkId``, a text, the listening port is
called ``wsPort``, and a node info is an object to which a program adds what it likes.
"""

from __future__ import annotations

from core.ids import CloseCode, Endpoint
from core.wire import payloads, query
from core.wire.codec import CodecError
from core.wire.lisk import LiskPackets
from core.wire.lisk05 import infos, packets
from core.wire.lisk05.infos import NETWORK, VERSION
from core.wire.payloads import MAX_PEERS, NodeInfo
from core.wire.query import PeerQuery, Refusal
from core.wire.schema import Schema

MAX_TARGET_CHARACTERS = 16_384
"""Longest request target: lisk-p2p's HTTP layer takes heads of 16 KiB, and a node info may fill them."""

MAX_OPTIONS_CHARACTERS = 8_192
"""Longest node info, percent-encoded, that our query repeats. A listener is told it after the handshake anyhow."""

_PARAMETERS = frozenset({"wsPort", "version", NETWORK, VERSION, "nonce", "advertiseAddress", "options"})
_REQUIRED = ("wsPort", "version", NETWORK)


class Lisk05(LiskPackets):
    """:class:`core.wire.dialect.Dialect` for lisk-p2p 0.4 and 0.5.

    There are no schemas in this generation; ``custom_schema`` is taken so that all dialects are made alike.
    ``max_node_info_bytes`` caps node infos, as JSON text, both ways.
    """

    name = "lisk-0.5"
    limits_node_infos = False
    """Real nodes of this generation neither keep such a limit nor know one: a node that catches up pushes its height
    with every block. The limit on all packets holds for them too."""

    decode_packet = staticmethod(packets.decode_packet)
    decode_packets = staticmethod(packets.decode_packets)
    encode_request = staticmethod(packets.encode_request)
    encode_response = staticmethod(packets.encode_response)
    encode_message = staticmethod(packets.encode_message)
    encode_ping = staticmethod(packets.encode_ping)
    encode_pong = staticmethod(packets.encode_pong)
    encode_peers = staticmethod(infos.encode_peers)
    app_payload = staticmethod(payloads.app_payload)

    def __init__(
        self, custom_schema: Schema | None = None, *, max_node_info_bytes: int = payloads.MAX_NODE_INFO_BYTES
    ) -> None:
        self._max_node_info_bytes = max_node_info_bytes

    def request_target(self, info: NodeInfo, port: int) -> str:
        """Return the target of the upgrade request of an opener that is ``info`` and listens on ``port``."""
        return f"{self.path}?{'&'.join(self.parameters(info, port))}"

    def parameters(self, info: NodeInfo, port: int) -> list[str]:
        """Return the parameters of that target: every plain value of the node info, then all of it as JSON."""
        record = infos.node_info_object(info) | {"wsPort": port}
        pairs = [f"{query.escape(name)}={query.escape(text)}" for name, text in _plain_texts(record)]
        options = query.escape(infos.to_json(record, self._max_node_info_bytes).decode())
        if sum(map(len, pairs)) + len(options) > MAX_OPTIONS_CHARACTERS:
            known = {name: value for name, value in record.items() if name in infos.RESERVED}
            return [f"{query.escape(name)}={query.escape(text)}" for name, text in _plain_texts(known)]
        return [*pairs, f"options={options}"]

    def parse_query(self, target: str, *, source_ip: str, own_nonce: str) -> PeerQuery | Refusal:
        """Return what an opener said about itself in its request target, or why it is refused. See
        :mod:`core.wire.query`.

        ``options`` that are no JSON object make the query invalid (4502). An opener that leaves ``protocolVersion``
        out is refused later, as incompatible (4104), as lisk-p2p does.
        """
        only = query.read_parameters(
            target, _PARAMETERS, own_nonce=own_nonce, required=_REQUIRED, max_characters=MAX_TARGET_CHARACTERS
        )
        if isinstance(only, Refusal):
            return only
        try:
            said = only.get("options", "")
            options = infos.own_properties(infos.read_object(said.encode(), self._max_node_info_bytes)) if said else {}
        except CodecError:
            return Refusal(CloseCode.INVALID_QUERY, query.REASON_INVALID_QUERY)
        port = query.read_port(only["wsPort"], source_ip)
        if isinstance(port, Refusal):
            return port
        network, version, nonce = only[NETWORK], only.get(VERSION, ""), only.get("nonce", "")
        if len(network) > payloads.MAX_NETWORK_NAME_CHARACTERS or query.too_large(version, nonce):
            return Refusal(CloseCode.INVALID_PEER_INFO, query.REASON_INFO_TOO_LARGE)
        advertise = only.get("advertiseAddress") != "false"
        return PeerQuery(port, b"", version, nonce, advertise, network_id=network, options=options)

    def check_compatibility(self, theirs: PeerQuery | NodeInfo, own: NodeInfo) -> Refusal | None:
        """Return why a node that is ``own`` cannot be the peer of ``theirs``, or None if it can: as for
        ``lisk-0.10``, with ``networkId``, which must not be empty, in place of the chain id."""
        if refusal := query.check_nonce(theirs, own):
            return refusal
        if not theirs.network_id or theirs.network_id != own.network_id:
            return query.other_network(NETWORK)
        return query.check_version(theirs.network_version, own.protocol_version or own.network_version)

    def encode_node_info(self, info: NodeInfo) -> bytes:
        """Return the node info as JSON text.

        Raises CodecError if ``options`` use a name of the library's or hold what JSON cannot, or if the text is larger
        than ``max_node_info_bytes``, for which peers ban.
        """
        return infos.to_json(infos.node_info_object(info), self._max_node_info_bytes)

    def decode_node_info(self, data: bytes) -> NodeInfo:
        """See :func:`core.wire.lisk05.infos.read_node_info`."""
        return infos.read_node_info(data, self._max_node_info_bytes)

    def decode_peers(self, data: bytes, max_peers: int = MAX_PEERS) -> tuple[Endpoint, ...]:
        """See :func:`core.wire.lisk05.infos.decode_peers`."""
        return infos.decode_peers(data, max_peers)


def _plain_texts(record: dict[str, object]) -> list[tuple[str, str]]:
    """Return the members of a node info that are no objects or lists, as texts."""
    texts = []
    for name, value in record.items():
        if isinstance(value, bool):
            texts.append((name, "true" if value else "false"))
        elif isinstance(value, str | int | float):
            texts.append((name, str(value)))
    return texts
