"""Which addresses to give away: LIP 0004, "Selection", answering `getPeers`."""

from __future__ import annotations

import math
from random import Random

from core.draw import draw
from core.ids import Endpoint

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


def sample_peers(told: list[Endpoint], cap: int, rng: Random, least: int = MIN_ANSWER) -> tuple[Endpoint, ...]:
    """Some of ``told``, which is taken apart, in random order.

    "Known" counts the addresses that may be told: whoever asked not to be advertised is not in the list, so that
    neither the answer nor its length tells of him.
    """
    return tuple(draw(told, answer_size(len(told), cap, rng, least), rng))
