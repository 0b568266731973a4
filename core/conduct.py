"""Conduct: how a remote behaves on one connection, counted and judged.

Keeps the reputation and every counter that LIP 0004's penalty table needs. It judges; the link acts.
"""

from __future__ import annotations

import math

from core.ids import Direction
from core.link_settings import LinkSettings
from core.penalties import REPUTATION_AT_START, Punishment, punishment
from core.rate import PacketRate, WindowCounter

PROTOCOL_WINDOW_S = 10.0
"""LIP 0004: the counters of protocol messages are cleared every 10 s."""


class Conduct:
    """Counters and reputation for the remote of one connection; ``direction`` INBOUND: it opened the connection."""

    __slots__ = (
        "_direction",
        "_get_peers",
        "_node_info_asked",
        "_node_infos",
        "_settings",
        "packet_rate",
        "reputation",
    )

    def __init__(self, direction: Direction, settings: LinkSettings) -> None:
        self._direction = direction
        self._settings = settings
        self.reputation = REPUTATION_AT_START
        self.packet_rate = PacketRate(
            settings.max_packet_rate, settings.packet_rate_penalty, settings.packet_rate_window_s
        )
        """Counts packets of every sort; what it returns is the penalty that became due for an earlier window."""
        self._node_infos: WindowCounter | None = None  # while a window lasts
        self._get_peers: WindowCounter | None = None
        self._node_info_asked = 0

    @property
    def is_spent(self) -> bool:
        """The reputation is used up: the peer is to be banned."""
        return self.reputation <= 0

    def punish(self, penalty: int) -> None:
        """Subtract a penalty (points, at least 0). The reputation of a peer that is never banned stays at 0."""
        self.reputation = max(0, self.reputation - penalty)

    def punishment(self, rule: str) -> Punishment | None:
        """What breaking ``rule`` costs this remote; None if it is ignored."""
        return punishment(rule, self._direction)

    def node_info_pushed(self, now: float) -> bool:
        """Count a postNodeInfo; True if it is one too many (LIP 0004: more than 4 within 10 s)."""
        if self._node_infos is None:
            self._node_infos = WindowCounter(PROTOCOL_WINDOW_S)
        return self._node_infos.add(now) > self._settings.node_info_rate

    def node_info_asked(self) -> bool:
        """Count a getNodeInfo; True if it is one too many (LIP 0004: once per connection)."""
        self._node_info_asked += 1
        return self._node_info_asked > 1

    def peers_asked(self, now: float) -> bool:
        """Count a getPeers; True if it is one too many.

        LIP 0004 allows one after connecting; lisk-p2p clears its counter every 10 s, because its nodes ask again when
        they lack peers. Counting per connection would ban such a node after a while (lisk-sdk#5804), so that is an
        option.
        """
        if self._get_peers is None:
            self._get_peers = WindowCounter(math.inf if self._settings.peers_asked_once else PROTOCOL_WINDOW_S)
        return self._get_peers.add(now) > 1

    def rest(self, now: float) -> None:
        """Give up counters whose window is over."""
        if self._node_infos is not None and self._node_infos.is_over(now):
            self._node_infos = None
        if self._get_peers is not None and self._get_peers.is_over(now):
            self._get_peers = None
