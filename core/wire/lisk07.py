"""The dialect ``lisk-0.7``: lisk-p2p 0.6.1 to 0.8.0 (Lisk SDK 4 and 5).

As ``lisk-0.10``, but networks are told apart by ``networkIdentifier``, a text, and records are read leniently
(:mod:`core.wire.codec_lenient`).
"""

from __future__ import annotations

from typing import cast

from core.ids import CloseCode, Endpoint
from core.wire import codec, codec_lenient, payloads, peerlist, query
from core.wire.codec import CodecLimit
from core.wire.lisk_records import LiskRecords
from core.wire.packets import PacketFault
from core.wire.payloads import MAX_PEERS, NodeInfo, checked_peer
from core.wire.query import PeerQuery, Refusal
from core.wire.schema import DataType, Field

NETWORK = "networkIdentifier"

_PARAMETERS = frozenset({"networkVersion", NETWORK, "nonce", "advertiseAddress", "port"})


class Lisk07(LiskRecords):
    """:class:`core.wire.dialect.Dialect` for lisk-p2p 0.6.1 to 0.8.0.

    A node with a schema of ``options`` refuses the node info of a node without; the other way round the options are
    ignored.
    """

    name = "lisk-0.7"

    network = Field(1, NETWORK, DataType.STRING)
    normalises = False

    def network_of(self, info: NodeInfo) -> str:
        """The network identifier."""
        return info.network_identifier

    def read_node_info(self, data: bytes, max_bytes: int) -> dict[str, codec.Value]:
        """The fields of a record, leniently. Raises CodecError."""
        return codec_lenient.decode(self._node_info, data, max_bytes=max_bytes)

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
