"""Conduct: how a remote behaves on one connection, counted and judged.

Keeps the reputation and every counter that LIP 0004's penalty table needs. It judges; the link acts.
"""

from __future__ import annotations

import math
from random import Random

from core.heartbeat import Heartbeat
from core.ids import Direction
from core.link_settings import LinkSettings
from core.penalties import REPUTATION_AT_START, Punishment, punishment
from core.rate import LONG_AGO, WindowCounter

PROTOCOL_WINDOW_S = 10.0
"""LIP 0004: the counters of protocol messages are cleared every 10 s."""


class _Windows:
    """Counters of protocol messages, each while its window lasts, and whether our node info was asked for."""

    __slots__ = ("get_peers", "node_info_given", "node_infos")

    def __init__(self, *, node_info_given: bool = False) -> None:
        self.node_infos: WindowCounter | None = None
        self.get_peers: WindowCounter | None = None
        self.node_info_given = node_info_given


_RESTING = {False: _Windows(), True: _Windows(node_info_given=True)}
"""For connections without a window, which are most, by whether our node info was asked for. Never to be changed."""


class Conduct(Heartbeat):
    """Counters and reputation for the remote of one connection; the layer above its heartbeat.

    The limit on packets of every sort is ``max_packet_rate`` per second; each whole multiple in a window costs
    ``packet_rate_penalty``. As measured on lisk-p2p 0.10 with its defaults (100 per second, 10): 150 packets in a
    second cost 10, 350 cost 30, 1,100 cost 110. The price of a window is due at its end, so that a burst is priced
    once, by its size.
    """

    __slots__ = ("_packets", "_window_began", "_windows", "is_over_rate", "reputation")

    def __init__(self, direction: Direction, settings: LinkSettings, rng: Random) -> None:
        super().__init__(direction, settings, rng)
        self.reputation = REPUTATION_AT_START
        """What is left of the 100 points of the start."""
        self._windows = _RESTING[False]
        self._packets = 0  # of this window
        self._window_began = LONG_AGO  # not its end: that would be one more number in each connection
        self.is_over_rate = False
        """A penalty for the current window falls due at its end."""

    @property
    def is_spent(self) -> bool:
        """The reputation is used up: the peer is to be banned."""
        return self.reputation <= 0

    def punish(self, penalty: int) -> None:
        """Subtract a penalty (points, at least 0). The reputation of a peer that is never banned stays at 0."""
        self.reputation = max(0, self.reputation - penalty)

    def punishment(self, rule: str) -> Punishment | None:
        """What breaking ``rule`` costs this remote; None if it is ignored."""
        return punishment(rule, self.direction)

    def count_packets(self, packets: int, now: float) -> int:
        """Count packets of any sort; return the penalty for the window that ended before them (mostly 0)."""
        due = 0
        settings = self._settings
        if now >= self._window_began + settings.packet_rate_window_s:
            if self.is_over_rate:
                due = self._price()
            self._packets = 0
            self._window_began = now
        self._packets += packets
        self.is_over_rate = self._packets > settings.max_packet_rate * settings.packet_rate_window_s
        return due

    def packets_due_at(self) -> float | None:
        """When a penalty for the current window falls due; None while the limit is kept."""
        return self._window_began + self._settings.packet_rate_window_s if self.is_over_rate else None

    def settle_packets(self, now: float) -> int:
        """Close a window that costs something if its time is over, and return its price."""
        is_over = self.is_over_rate and now >= self._window_began + self._settings.packet_rate_window_s
        return self.count_packets(0, now) if is_over else 0

    def _price(self) -> int:
        settings = self._settings
        rate = self._packets / settings.packet_rate_window_s
        limit = settings.max_packet_rate
        return settings.packet_rate_penalty * int(rate // limit) if rate > limit else 0

    def node_info_pushed(self, now: float) -> bool:
        """Count a postNodeInfo; True if it is one too many (LIP 0004: more than 4 within 10 s)."""
        windows = self._open_windows()
        if windows.node_infos is None:
            windows.node_infos = WindowCounter(PROTOCOL_WINDOW_S)
        return windows.node_infos.add(now) > self._settings.node_info_rate

    def node_info_asked(self) -> bool:
        """Count a getNodeInfo; True if it is one too many (LIP 0004: once per connection)."""
        windows = self._windows
        if windows.node_info_given:
            return True
        if windows is _RESTING[False]:
            self._windows = _RESTING[True]
        else:
            windows.node_info_given = True
        return False

    def peers_asked(self, now: float) -> bool:
        """Count a getPeers; True if it is one too many.

        LIP 0004 allows one after connecting; lisk-p2p clears its counter every 10 s, because its nodes ask again when
        they lack peers. Counting per connection would ban such a node after a while (lisk-sdk#5804), so that is an
        option.
        """
        windows = self._open_windows()
        if windows.get_peers is None:
            windows.get_peers = WindowCounter(math.inf if self._settings.peers_asked_once else PROTOCOL_WINDOW_S)
        return windows.get_peers.add(now) > 1

    def rest_conduct(self, now: float) -> None:
        """Give up counters whose window is over."""
        windows = self._windows
        given = windows.node_info_given
        if windows is _RESTING[given]:
            return
        if windows.node_infos is not None and windows.node_infos.is_over(now):
            windows.node_infos = None
        if windows.get_peers is not None and windows.get_peers.is_over(now):
            windows.get_peers = None
        if windows.node_infos is windows.get_peers is None:
            self._windows = _RESTING[given]

    def _open_windows(self) -> _Windows:
        given = self._windows.node_info_given
        if self._windows is _RESTING[given]:
            self._windows = _Windows(node_info_given=given)
        return self._windows
