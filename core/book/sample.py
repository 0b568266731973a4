"""Which addresses to give away: LIP 0004, "Selection", answering `getPeers`."""

from __future__ import annotations

import math
from random import Random

from core.book.entry import Entry
from core.book.table import AdvertisedPool
from core.draw import draw
from core.ids import Endpoint
from core.netgroup import NetClass, address_info

WIRE_CAP = 200
"""Longest list that a lisk-p2p node takes without a penalty (LIP 0004 itself: 1000)."""
MIN_ANSWER = 100
MIN_SHARE = 0.25
MAX_SHARE = 0.5


def answer_size(known: int, cap: int, rng: Random, least: int = MIN_ANSWER) -> int:
    """How many of ``known`` addresses to give: n uniform in [min(cap, known/4), min(cap, known/2)], at least
    min(``least``, known), never more than ``cap``."""
    low = math.ceil(min(cap, known * MIN_SHARE))
    high = math.floor(min(cap, known * MAX_SHARE))
    drawn = low + int(rng.random() * (high - low + 1)) if low <= high else high
    return min(cap, max(drawn, min(least, known)))


def sample_peers(
    pools: tuple[AdvertisedPool, ...], cap: int, requester_ip: str | None, rng: Random, least: int = MIN_ANSWER
) -> tuple[Endpoint, ...]:
    """Random addresses from the pools, in random order. Raises ValueError if ``requester_ip`` is no address.

    "Known" counts the addresses that may be told: whoever asked not to be advertised is not in a pool, so that neither
    the list nor its length tells of him. A requester gets neither itself nor addresses that it could not reach anyway
    (private or loopback ones, asked from further away): they would only draw a map of our LAN.
    """
    known = sum(len(pool.entries) for pool in pools)
    size = answer_size(known, cap, rng, least)
    population: list[Entry] = [*pools[0].entries]
    for pool in pools[1:]:
        population += pool.entries
    picked = draw(population, size, rng)
    if requester_ip is None:
        return tuple([entry.endpoint for entry in picked])
    asker = address_info(requester_ip)
    # On loopback or a LAN several nodes may share an address, and which of them asks is not known here.
    own = asker.text if asker.net_class is NetClass.PUBLIC else None
    reach = asker.net_class
    return tuple([entry.endpoint for entry in picked if entry.info.net_class <= reach and entry.endpoint.ip != own])
