"""Inbound eviction under flood: how many honest connections are left."""

from __future__ import annotations

import math
from collections.abc import Sequence

SLOTS = 100
PROTECTED = (4, 7, 7)
"""By network group, latency, response rate: the default ratios of 100 peers, rounded up."""


def candidates(slots: int = SLOTS, protected: Sequence[int] = PROTECTED) -> int:
    """Peers that nothing protects: each quality protects so many of those that the ones before it left, and being
    there for long half of the rest."""
    left = slots - sum(protected)
    return left - math.ceil(left / 2)


def honest_left_uniform(attempts: int, unprotected: float, slots: int = SLOTS) -> float:
    """The honest ones left after ``attempts`` of an attacker who is protected by nothing, if the victim is drawn alike
    from the unprotected: 100 - C + C (1 - 1/C)^k."""
    return slots - unprotected + unprotected * (1.0 - 1.0 / unprotected) ** attempts


def blocked(offered: float, places: int) -> float:
    """Erlang's formula B: the share of arrivals that find all ``places`` taken, where ``offered`` is the rate of
    arrivals times the mean time that each stays. It holds for stays of any law, so for time-outs too."""
    share = 1.0
    for taken in range(1, places + 1):
        share = offered * share / (taken + offered * share)
    return share
