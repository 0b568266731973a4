"""Options that say who the node is, and in which network."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from core.config import values
from core.config.checking import option, settle
from core.config.frozen import FrozenDict

GROUP = "Identity and network"


class NodeInfoConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the node tells its peers about itself (lisk-p2p: ``nodeInfo``)."""

    chain_id: Annotated[
        str,
        option(
            GROUP,
            "The network to join; nodes with another chain id are refused.",
            lisk="nodeInfo.chainID",
            unit="hex",
            convert=values.chain_id,
            expected="hex text of 1 to 64 bytes",
        ),
    ] = "00000001"

    network_version: Annotated[
        str,
        option(
            GROUP,
            "Version of the network's protocol; peers must have the same major number.",
            lisk="nodeInfo.networkVersion",
            convert=values.network_version,
            expected="major.minor, major 1 or more",
        ),
    ] = "1.1"

    network_identifier: Annotated[
        str | None,
        option(
            GROUP,
            "The network's name in lisk-p2p 0.6.1 to 0.8.0, a text. Needed for network.protocol lisk-0.7; with auto, "
            "null leaves that generation out.",
            lisk="nodeInfo.networkIdentifier",
            convert=values.network_name,
            expected=f"a text of 1 to {values.MAX_NETWORK_NAME_LENGTH} characters, or null",
        ),
    ] = None

    network_id: Annotated[
        str | None,
        option(
            GROUP,
            "The network's name in lisk-p2p 0.4 and 0.5. Needed for network.protocol lisk-0.5; with auto, null leaves "
            "that generation out.",
            lisk="nodeInfo.networkId",
            convert=values.network_name,
            expected=f"a text of 1 to {values.MAX_NETWORK_NAME_LENGTH} characters, or null",
        ),
    ] = None

    protocol_version: Annotated[
        str | None,
        option(
            GROUP,
            "What lisk-p2p 0.4 and 0.5 call the network version. Null: the same as network_version.",
            lisk="nodeInfo.protocolVersion",
            convert=values.optional_network_version,
            expected="major.minor, major 1 or more, or null",
        ),
    ] = None

    version: Annotated[
        str,
        option(
            GROUP,
            "Version of the application. Nodes of lisk-p2p 0.4 and 0.5 refuse who has none, whatever it is; others are "
            "not told.",
            lisk="nodeInfo.version",
            convert=values.app_version,
            expected="1 to 64 letters, digits and . + - _",
        ),
    ] = "1.0.0"

    nonce: Annotated[
        str | None,
        option(
            GROUP,
            "Text by which the node recognises a connection to itself. Null: a random one at each start, which is "
            "what nearly everybody wants.",
            lisk="nodeInfo.nonce",
            convert=values.nonce,
            expected="1 to 64 letters and digits, or null",
        ),
    ] = None

    advertise_address: Annotated[
        bool,
        option(
            GROUP,
            "Whether peers may pass our address on. False keeps the node out of their getPeers answers; it still "
            "accepts connections.",
            lisk="nodeInfo.advertiseAddress",
        ),
    ] = True

    options: Annotated[
        FrozenDict,
        option(
            GROUP,
            "The application's own properties, sent with the node info. They need custom_node_info_schema, and a "
            "value for every property in it; bytes are written as hex text.",
            lisk="nodeInfo.options",
            convert=values.mapping,
            expected="a mapping",
        ),
    ] = msgspec.field(default_factory=FrozenDict)

    def __post_init__(self) -> None:
        settle(self)

    @property
    def chain_id_bytes(self) -> bytes:
        """The chain id as it travels in node info."""
        return bytes.fromhex(self.chain_id)


class NetworkConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Which protocol is spoken."""

    protocol: Annotated[
        Literal["lisk-0.10", "lisk-0.7", "lisk-0.5", "auto"],
        option(
            GROUP,
            "The generation of lisk-p2p whose network to join. lisk-0.10: lisk-p2p 0.9 and 0.10 (Lisk SDK 6). "
            "lisk-0.7: 0.6.1 to 0.8.0 (SDK 4 and 5). lisk-0.5: 0.4 and 0.5 (SDK 3). auto: all of them in which "
            "node_info names a network, at once; each connection finds out which.",
        ),
    ] = "lisk-0.10"

    native: Annotated[
        bool,
        option(
            GROUP,
            "Speak MessagePack with other Ensemble nodes. It is offered by a header of the HTTP upgrade, which "
            "lisk-p2p ignores, and spoken only with nodes that offer it as well; with all others the protocol above. "
            "Needs ws_max_payload_bytes of 65536 or more.",
        ),
    ] = True

    def __post_init__(self) -> None:
        settle(self)
