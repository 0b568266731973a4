"""Bans: addresses that are refused for a time, and those that are refused for ever (LIP 0004, "Penalties and bans").

A ban is for an IP address. Expiry is in Unix time, so that a ban can outlive the process. A further offence does not
prolong it. Addresses of fixed, whitelisted and seed peers are never banned: what happens on another port of a trusted
address (or in its name, behind the same NAT) must not cost us the trusted peer.
"""

from __future__ import annotations

import heapq
import ipaddress

from core.config import NodeConfig
from core.messages import Ban


class Bans:
    """The bans in force, and the blacklist of the configuration."""

    def __init__(self, config: NodeConfig) -> None:
        self.total = 0
        self._duration_s = config.peer_ban_time_s
        self._trusted = trusted_ips(config)
        self._blacklist = tuple(ipaddress.ip_network(text, strict=False) for text in config.blacklisted_ips)
        self._bans: dict[str, Ban] = {}
        self._ends: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._bans)

    def all(self) -> tuple[Ban, ...]:
        """The bans in force, in the order they were made."""
        return tuple(self._bans.values())

    def is_blacklisted(self, ip: str) -> bool:
        """Whether the configuration refuses this literal address for ever."""
        address = ipaddress.ip_address(ip)
        return any(address in network for network in self._blacklist)

    def is_refused(self, ip: str) -> bool:
        """Banned or blacklisted."""
        return ip in self._bans or self.is_blacklisted(ip)

    def ban(self, ip: str, reason: str, wall_now: float, duration_s: float | None = None) -> Ban | None:
        """Ban an address; None if it is banned already. Raises ValueError if it is trusted or no address."""
        ip = str(ipaddress.ip_address(ip))
        if ip in self._trusted:
            raise ValueError(f"{ip} is the address of a fixed, whitelisted or seed peer, which is never banned")
        if ip in self._bans:
            return None
        ban = Ban(ip, wall_now + (self._duration_s if duration_s is None else duration_s), reason[:1000])
        self._bans[ip] = ban
        heapq.heappush(self._ends, (ban.until, ip))
        self.total += 1
        return ban

    def unban(self, ip: str) -> bool:
        """End a ban; False if there is none."""
        return self._bans.pop(ip, None) is not None

    def next_end(self) -> float | None:
        """Unix time at which the next ban may end."""
        return self._ends[0][0] if self._ends else None

    def take_ended(self, wall_now: float) -> list[str]:
        """End every ban whose time has come and return the addresses."""
        ended = []
        while self._ends and self._ends[0][0] <= wall_now:
            until, ip = heapq.heappop(self._ends)
            ban = self._bans.get(ip)
            if ban is not None and ban.until == until:
                del self._bans[ip]
                ended.append(ip)
        return ended


def trusted_ips(config: NodeConfig) -> frozenset[str]:
    """Addresses of the configuration's fixed, whitelisted and seed peers."""
    return frozenset(peer.ip for peer in (*config.fixed_peers, *config.whitelisted_peers, *config.seed_peers))
