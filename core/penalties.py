"""What misbehaviour costs, by rule: the table of LIP 0004 ("Penalties and bans") and what lisk-p2p 0.10 adds.

A peer starts with a reputation of 100; penalties are subtracted; at 0 or below the connection is closed and the
address is banned. Faults of the packet format are punished when the *opener* of the connection commits them and
ignored when the listener does, as real nodes of 0.10 do: punishing a listener would cut a node off from whatever
newer version it dials.
"""

from __future__ import annotations

import msgspec

from core.ids import Direction

REPUTATION_AT_START = 100
FATAL = 100

DRY_RUN = "dry-run"
"""The ``ban_mode`` that only reports."""


class Punishment(msgspec.Struct, frozen=True):
    """``penalty`` points. ``raw``: the ban destroys the TCP connection without ``#disconnect`` or close frame."""

    penalty: int
    raw: bool = False


RULES: dict[str, Punishment] = {
    # LIP 0004: postNodeInfo, getNodeInfo, getPeers malformed or with invalid values.
    "invalid_node_info": Punishment(FATAL),
    "invalid_peer_list": Punishment(FATAL),
    "protocol_request_with_data": Punishment(FATAL),
    # LIP 0004: more than 4 postNodeInfo in 10 s, getNodeInfo or getPeers more than once.
    "node_info_rate": Punishment(10),
    "get_node_info_repeated": Punishment(10),
    "get_peers_repeated": Punishment(10),
    # WebSocket PING and PONG are not part of the protocol; a flood of them once kept servers busy (lisk-sdk#4713).
    "control_frame": Punishment(FATAL, raw=True),
}

PACKET_FAULT = Punishment(FATAL, raw=True)
"""Every rule of :class:`core.wire.packets.PacketFault` when the opener of the connection commits it."""


def punishment(rule: str, remote_direction: Direction) -> Punishment | None:
    """The punishment for ``rule``, or None if it is to be ignored.

    ``remote_direction`` is INBOUND when the remote opened the connection.
    """
    known = RULES.get(rule)
    if known is not None:
        return known
    return PACKET_FAULT if remote_direction is Direction.INBOUND else None
