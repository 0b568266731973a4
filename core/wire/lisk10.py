"""The dialect ``lisk-0.10``: lisk-p2p 0.9 and 0.10 (Lisk SDK 6).

SocketCluster JSON text frames on ``/rpc/``, payloads as base64 text, node infos and peer lists as strict lisk-codec
records, networks told apart by ``chainID``.
"""

from __future__ import annotations

import re

from core.ids import CloseCode
from core.wire import codec, payloads, peerlist, query
from core.wire.lisk_records import LiskRecords
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery, Refusal
from core.wire.schema import DataType, Field

_NETWORK = "chainID"
_PARAMETERS = frozenset({"networkVersion", _NETWORK, "nonce", "advertiseAddress", "port"})
MAX_REMEMBERED_CHARACTERS = 256
REMEMBERED_QUERIES = 1024
"""Good ones, short as real ones are: whoever comes again, or to another node of this process, says the same again."""

_good_queries: dict[str, PeerQuery] = {}
_CHAIN_ID = re.compile(r"(?:[0-9A-Fa-f]{2})*")


class Lisk10(LiskRecords):
    """:class:`core.wire.dialect.Dialect` for lisk-p2p 0.9 and 0.10.

    Both ends must have the same schema of ``options``, or none: each refuses the other's node info otherwise.
    """

    name = "lisk-0.10"

    decode_peers = staticmethod(peerlist.decode_peers)

    network = Field(1, _NETWORK, DataType.BYTES)
    normalises = True

    def network_of(self, info: NodeInfo) -> bytes:
        """The chain id."""
        return info.chain_id

    def read_node_info(self, data: bytes, max_bytes: int) -> dict[str, codec.Value]:
        """The fields of a record, strictly. Raises CodecError."""
        return codec.decode(self._node_info, data, max_bytes=max_bytes)

    def parse_query(self, target: str, *, source_ip: str, own_nonce: str) -> PeerQuery | Refusal:
        """Return what an opener said about itself in its request target, or why it is refused. See
        :mod:`core.wire.query`.

        A chain id that is not whole bytes in hexadecimal can equal nobody's, and is refused like another network's
        (4104); lisk-p2p takes ``00000001zz`` for chain 00000001.
        """
        known = _good_queries.get(target)
        if known is not None and known.nonce != own_nonce:
            return known
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
        good = PeerQuery(port, bytes.fromhex(chain_id), version, nonce, only.get("advertiseAddress") != "false")
        if len(target) <= MAX_REMEMBERED_CHARACTERS:
            if len(_good_queries) >= REMEMBERED_QUERIES:
                _good_queries.clear()
            _good_queries[target] = good
        return good

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
