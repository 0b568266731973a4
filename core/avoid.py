"""Whom not to dial: ourselves, the banned, and those that failed a moment ago."""

from __future__ import annotations

from collections.abc import Iterable

from core.ids import Endpoint

MAX_OWN = 256
"""A remote that answers every dial with "own nonce" (4101) could make this list grow; the oldest are forgotten then."""


class Avoided:
    """Endpoints and addresses that are not to be dialled. Times are monotonic seconds."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._rests_until: dict[Endpoint, float] = {}
        self._own: dict[Endpoint, None] = {}
        self._banned: set[str] = set()

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

    def ban(self, ip: str) -> None:
        """An address is banned."""
        self._banned.add(ip)

    def unban(self, ip: str) -> None:
        """A ban ended."""
        self._banned.discard(ip)

    def set_bans(self, ips: Iterable[str]) -> None:
        """These are all the bans in force."""
        self._banned = set(ips)

    def is_banned(self, ip: str) -> bool:
        """Whether the address is banned."""
        return ip in self._banned

    def is_own(self, endpoint: Endpoint) -> bool:
        """Whether this is ourselves."""
        return endpoint in self._own

    def endpoints(self, now: float) -> set[Endpoint]:
        """Own and resting endpoints. (Of the banned, addresses are known, not endpoints.)"""
        self._rests_until = {endpoint: until for endpoint, until in self._rests_until.items() if until > now}
        return set(self._own) | set(self._rests_until)
