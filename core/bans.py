"""Bans: addresses that are refused for a time, and those that are refused for ever (LIP 0004, "Penalties and bans").

A ban is for an IP address. Expiry is in Unix time, so that a ban can outlive the process. A further offence does not
prolong it. Addresses of fixed, whitelisted and seed peers are never banned: what happens on another port of a trusted
address (or in its name, behind the same NAT) must not cost us the trusted peer.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from core.config import NodeConfig
from core.empty import NO_NAMES
from core.ids import Endpoint
from core.messages import (
    Ban,
)
from core.static_lists import Blacklist, static_lists

MAX_BANS = 65_536
"""Somebody with a /64 of IPv6 addresses could be banned under each of them: beyond this the next to end goes."""

SPARE_ENDS = 64
"""Times in the queue of ends that may belong to no ban any more, before they are thrown out."""

MAX_DURATION_S = 10 * 365 * 86400.0
MAX_REASON_CHARACTERS = 1000


class Bans:
    """The bans in force, and the blacklist of the configuration."""

    def __init__(self, config: NodeConfig, listening_port: int | None = None) -> None:
        """``listening_port``: the port bound, None if the node does not listen."""
        self.total = 0
        self._duration_s = config.peer_ban_time_s
        self._trusted = trusted_ips(config, listening_port)
        self._named_seeds = NO_NAMES
        self._blacklist = Blacklist(config.blacklisted_ips)
        self._bans: dict[str, Ban] = {}
        self._ends: list[tuple[float, str]] = []
        self._displaced: list[str] = []  # ended before their time

    def __len__(self) -> int:
        return len(self._bans)

    def all(self) -> tuple[Ban, ...]:
        """The bans in force, in the order they were made."""
        return tuple(self._bans.values())

    def is_refused(self, ip: str) -> bool:
        """Banned or blacklisted."""
        return ip in self._bans or ip in self._blacklist

    def ban(self, ip: str, reason: str, wall_now: float, duration_s: float | None = None) -> Ban | None:
        """Ban an address; None if it is banned already.

        Raises ValueError if it is trusted or no address, or if ``duration_s`` is not from 0 to ten years.
        """
        ban = self.would_ban(ip, reason, wall_now, duration_s)
        if ban is None:
            return None
        if len(self._bans) >= MAX_BANS:
            self._end_one()
        self._put(ban)
        self.total += 1
        return ban

    def would_ban(self, ip: str, reason: str, wall_now: float, duration_s: float | None = None) -> Ban | None:
        """The ban that :meth:`ban` would make, which is not made. Raises ValueError as that one."""
        ip = canonical_ip(ip)
        lasts_s = self._duration_s if duration_s is None else duration_s
        if not 0 < lasts_s <= MAX_DURATION_S:
            raise ValueError(f"expected a ban of more than 0 and at most {MAX_DURATION_S:.0f} s, got {lasts_s}")
        if self._is_trusted(ip):
            raise ValueError(f"{ip} is the address of a fixed, whitelisted or seed peer, which is never banned")
        if ip in self._bans:
            return None
        return Ban(ip, wall_now + lasts_s, reason[:MAX_REASON_CHARACTERS])

    def restore(self, bans: Iterable[Ban], wall_now: float) -> None:
        """Put stored bans back, with the time they have left, beside those there are. They do not count in ``total``.

        Left out are those that have ended meanwhile, and of peers that configuration trusts by now. If the clock was
        set back, no ban lasts longer than any ban may.
        """
        for ban in sorted(bans, key=lambda ban: ban.until):
            if ban.until <= wall_now or ban.ip in self._bans or self._is_trusted(ban.ip) or len(self) >= MAX_BANS:
                continue
            self._put(Ban(ban.ip, min(ban.until, wall_now + MAX_DURATION_S), ban.reason[:MAX_REASON_CHARACTERS]))

    def unban(self, ip: str) -> str | None:
        """End a ban and return the address in canonical form; None if there is none. Raises ValueError: no address."""
        ip = canonical_ip(ip)
        return ip if self._bans.pop(ip, None) is not None else None

    def trust_named_seeds(self, ips: Iterable[str]) -> list[str]:
        """The seeds that are given by name stand for these addresses now: no others are trusted on their account.

        Returns the addresses among them that were banned, and are no longer.
        """
        self._named_seeds = frozenset(ips) or NO_NAMES
        return [ip for ip in sorted(self._named_seeds) if self._bans.pop(ip, None) is not None]

    def next_end(self) -> float | None:
        """Unix time at which :meth:`take_ended` may have something to tell."""
        if self._displaced:
            return 0.0
        return self._ends[0][0] if self._ends else None

    def take_ended(self, wall_now: float) -> list[str]:
        """End every ban whose time has come and return the addresses."""
        ended = [ip for ip in self._displaced if ip not in self._bans]
        self._displaced = []
        while self._ends and self._ends[0][0] <= wall_now:
            ip = self._pop_end()
            if ip is not None:
                ended.append(ip)
        return ended

    def _is_trusted(self, ip: str) -> bool:
        return ip in self._trusted or ip in self._named_seeds

    def _put(self, ban: Ban) -> None:
        self._bans[ban.ip] = ban
        if len(self._ends) > 2 * len(self._bans) + SPARE_ENDS:
            # Of bans ended by hand, whose time may be years away: a program that bans and unbans must not fill us up.
            self._ends = [(kept.until, kept.ip) for kept in self._bans.values()]
            heapq.heapify(self._ends)
        else:
            heapq.heappush(self._ends, (ban.until, ban.ip))

    def _pop_end(self) -> str | None:
        until, ip = heapq.heappop(self._ends)
        ban = self._bans.get(ip)
        if ban is None or ban.until != until:
            return None  # of a ban that was ended by hand
        del self._bans[ip]
        return ip

    def _end_one(self) -> None:
        ip = None
        while ip is None:
            ip = self._pop_end()
        self._displaced.append(ip)


def canonical_ip(text: str) -> str:
    """A literal address as connections have it (IPv4-mapped IPv6 becomes IPv4). Raises ValueError if it is none."""
    return Endpoint.checked(text, 1).ip


def trusted_ips(config: NodeConfig, listening_port: int | None = None) -> frozenset[str]:
    """Addresses of the configuration's fixed, whitelisted and seed peers, as far as it gives them by address."""
    return static_lists(config, listening_port).trusted_ips()
