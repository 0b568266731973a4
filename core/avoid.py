"""Whom not to dial: ourselves, the banned, and those that failed a moment ago."""

from __future__ import annotations

from collections.abc import Iterable

from core.ids import Endpoint
from core.messages import (
    Ban,
)

MAX_OWN = 256
"""A remote that answers every dial with "own nonce" (4101) could make this list grow; the oldest are forgotten then."""


class Avoided:
    """Endpoints and addresses that are not to be dialled. Times are monotonic seconds."""

    __slots__ = ("_bans", "_own", "_pause_s", "_rests_until")

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._rests_until: dict[Endpoint, float] = {}
        self._own: dict[Endpoint, None] = {}
        self._bans: dict[str, Ban] = {}

    def closed(self, endpoint: Endpoint, now: float) -> None:
        """A dial failed or a connection ended: not again within the pause, or a refusing peer would be dialled on
        and on."""
        self._rests_until[endpoint] = now + self._pause_s

    def is_resting(self, endpoint: Endpoint, now: float) -> bool:
        """Whether it was given up too short a time ago."""
        return self._rests_until.get(endpoint, now) > now

    def add_own(self, endpoint: Endpoint) -> None:
        """This address turned out to be ourselves (close code 4101)."""
        self._own[endpoint] = None
        if len(self._own) > MAX_OWN:
            del self._own[next(iter(self._own))]

    def ban(self, ban: Ban) -> None:
        """An address is banned."""
        self._bans[ban.ip] = ban

    def unban(self, ip: str) -> None:
        """A ban ended."""
        self._bans.pop(ip, None)

    def set_bans(self, bans: Iterable[Ban]) -> None:
        """These are all the bans in force."""
        self._bans = {ban.ip: ban for ban in bans}

    def bans_without(self, ips: Iterable[str]) -> tuple[Ban, ...]:
        """The bans that are not of these addresses."""
        others = frozenset(ips)
        return tuple(ban for ip, ban in self._bans.items() if ip not in others)

    def is_banned(self, ip: str) -> bool:
        """Whether the address is banned."""
        return ip in self._bans

    def is_own(self, endpoint: Endpoint) -> bool:
        """Whether this is ourselves."""
        return endpoint in self._own

    def endpoints(self, now: float) -> list[Endpoint]:
        """Own and resting endpoints. (Of the banned, addresses are known, not endpoints.)"""
        self._rests_until = {endpoint: until for endpoint, until in self._rests_until.items() if until > now}
        return [*self._own, *self._rests_until]
