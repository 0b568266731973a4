"""One answer to `getPeers` for about a day, instead of a fresh sample for everybody who asks.

Bitcoin Core, PR #18991 (`src/net.cpp`, GetAddresses: one answer for 21 to 27 hours). Against the observer who connects
again and again, or from many addresses, and lays the answers side by side: fresh samples give him the whole book within
hours, and the moment at which an address appears in it, which tells who has just connected to whom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter, itemgetter
from random import Random

from core.ids import Endpoint
from core.netgroup import NetClass, address_info

KEPT_FROM_ANSWERS = 2
"""An answer is kept from the time on at which twice the longest answer may be told (400 addresses with the default).
A smaller book shows half of itself in any answer, so that keeping one hides little; and as this protocol knows no other
gossip than these answers, a node that has just started, or a small network, would tell the same few peers all day."""

_ip_of = itemgetter(0)
_class_of = attrgetter("net_class")

AskerClass = tuple[NetClass, int] | None
"""How far the asker's address reaches, and its length in bytes. Each class has its own answer: a node that is reachable
by IPv4 and by IPv6 must not be known as one and the same by its answers (PR #18991 keys them by network as well)."""


@dataclass(frozen=True, slots=True)
class _Kept:
    endpoints: tuple[Endpoint, ...]
    made_at: float
    until: float


def asker_class(requester_ip: str | None) -> AskerClass:
    """The class of whoever asks. Raises ValueError if ``requester_ip`` is no address."""
    if requester_ip is None:
        return None
    info = address_info(requester_ip)
    return info.net_class, len(info.packed)


class KeptAnswers:
    """The answers in force, one for each class of askers. Times are Unix seconds."""

    __slots__ = ("_kept", "_max_s", "_min_s", "_rng")

    def __init__(self, min_s: float, max_s: float, rng: Random) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._rng = rng
        self._kept: dict[AskerClass, _Kept] = {}

    def get(self, asker: AskerClass, now: float, fresh: Callable[[], tuple[Endpoint, ...]]) -> tuple[Endpoint, ...]:
        """The answer for this class; ``fresh`` draws the next one when there is none or its random time is over."""
        kept = self._kept.get(asker)
        # A wall clock that is set back must not make an answer last for ever.
        if kept is None or not kept.made_at <= now < kept.until:
            kept = _Kept(fresh(), now, now + self._rng.uniform(self._min_s, self._max_s))
            self._kept[asker] = kept
        return kept.endpoints

    def withdraw(self, ip: str) -> None:
        """Tell this address no more: it was banned, or is ourselves. Others that leave the book stay in the answers,
        or an answer would show whom we lost, and when."""
        for asker, kept in self._kept.items():
            if any(endpoint.ip == ip for endpoint in kept.endpoints):
                others = tuple(endpoint for endpoint in kept.endpoints if endpoint.ip != ip)
                self._kept[asker] = _Kept(others, kept.made_at, kept.until)


def fit_for(requester_ip: str | None, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """What of an answer this asker gets: not itself, nor what it could not reach anyway.

    Raises ValueError if ``requester_ip`` is no address.
    """
    return without_asker(requester_ip, within_reach(requester_ip, endpoints))


def within_reach(requester_ip: str | None, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Without the private and loopback addresses, if asked from further away: they would only draw a map of our LAN.

    The same for all askers of a class. Raises ValueError if ``requester_ip`` is no address.
    """
    if requester_ip is None:
        return endpoints
    reach = address_info(requester_ip).net_class
    classes = list(map(_class_of, map(address_info, map(_ip_of, endpoints))))
    if max(classes, default=reach) <= reach:
        return endpoints
    return tuple(compress(endpoints, (net_class <= reach for net_class in classes)))


def without_asker(requester_ip: str | None, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Without the asker itself. Raises ValueError if ``requester_ip`` is no address."""
    if requester_ip is None:
        return endpoints
    asker = address_info(requester_ip)
    # On loopback or a LAN several nodes may share an address, and which of them asks is not known here.
    if asker.net_class is not NetClass.PUBLIC:
        return endpoints
    ips = list(map(_ip_of, endpoints))
    if asker.text not in ips:
        return endpoints
    return tuple(compress(endpoints, map(asker.text.__ne__, ips)))
