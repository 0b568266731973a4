"""Peer-book tables under attack: what an attacker with so many groups and addresses can own (LIP 0004's figures; the
same formulas with others give those of Heilman et al. 2015)."""

from __future__ import annotations

import math

TRIED_BUCKETS, TRIED_PER_GROUP = 64, 4
NEW_BUCKETS, NEW_PER_SOURCE = 128, 16
BUCKET_SIZE = 32


def tried_coverage(groups: int, buckets: int = TRIED_BUCKETS, per_group: int = TRIED_PER_GROUP) -> float:
    """The share of buckets that ``groups`` net groups reach, each in ``per_group`` buckets drawn at random."""
    return 1.0 - (1.0 - 1.0 / buckets) ** (per_group * groups)


def owned_of_full(groups: int, addresses: int) -> float:
    """The share of a tried table, full of honest entries, that an attacker owns who has ``addresses`` in each of
    ``groups`` net groups connected once, in random order: each address takes a random place of its bucket."""
    buckets, per_group, size = TRIED_BUCKETS, TRIED_PER_GROUP, BUCKET_SIZE
    kept = 0.0
    for hits in range(per_group + 1):
        chance = math.comb(per_group, hits) * (1 / buckets) ** hits * (1 - 1 / buckets) ** (per_group - hits)
        kept += chance * (1.0 - hits / (per_group * size)) ** addresses
    return 1.0 - kept**groups


def distinct(draws: int, of: int) -> list[float]:
    """The law of the number of different values in so many draws from ``of``: index k, probability of k values."""
    law = [1.0] + [0.0] * min(draws, of)
    for _ in range(draws):
        following = [0.0] * len(law)
        for k, probability in enumerate(law):
            following[k] += probability * k / of
            if k + 1 < len(law):
                following[k + 1] += probability * (of - k) / of
        law = following
    return law


def one_group_capacity() -> float:
    """The mean number of tried places that one net group reaches: 32 for each different bucket of its four."""
    return BUCKET_SIZE * math.fsum(k * p for k, p in enumerate(distinct(TRIED_PER_GROUP, TRIED_BUCKETS)))


def one_group_stored(addresses: int) -> float:
    """The mean number stored of so many addresses of one net group, in an empty tried table.

    An address goes to one of four bucket numbers alike; these may fall together into one bucket.
    """
    total = 0.0
    for sizes, chance in _coincidences():
        for size in sizes:
            total += chance * _mean_capped(addresses, size / TRIED_PER_GROUP)
    return total


def _coincidences() -> list[tuple[tuple[int, ...], float]]:
    """How four bucket numbers, drawn from 64, fall together: sizes of the classes, probability."""
    b = TRIED_BUCKETS
    all_ways = b**4
    distinct_4 = b * (b - 1) * (b - 2) * (b - 3)
    pair = 6 * b * (b - 1) * (b - 2)
    two_pairs = 3 * b * (b - 1)
    triple = 4 * b * (b - 1)
    return [
        ((1, 1, 1, 1), distinct_4 / all_ways),
        ((2, 1, 1), pair / all_ways),
        ((2, 2), two_pairs / all_ways),
        ((3, 1), triple / all_ways),
        ((4,), b / all_ways),
    ]


def _mean_capped(trials: int, chance: float, cap: int = BUCKET_SIZE) -> float:
    """The mean of min(cap, Binomial(trials, chance))."""
    if chance >= 1.0:
        return float(min(cap, trials))
    missing = 0.0
    for k in range(min(cap, trials + 1)):
        p = math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(k + 1)
            - math.lgamma(trials - k + 1)
            + k * math.log(chance)
            + (trials - k) * math.log1p(-chance)
        )
        missing += p * (cap - k)
    return cap - missing


def new_from_one_source(groups: int) -> float:
    """The mean number of new places that one source group can fill with addresses of ``groups`` net groups.

    The groups fall into 16 numbers k; the different k fall into 128 buckets.
    """
    total = 0.0
    for k, chance in enumerate(distinct(groups, NEW_PER_SOURCE)):
        total += chance * NEW_BUCKETS * (1.0 - (1.0 - 1.0 / NEW_BUCKETS) ** k)
    return BUCKET_SIZE * total


def new_coverage(source_groups: int) -> float:
    """The share of the new table that so many source groups reach, with addresses without limit."""
    return 1.0 - (1.0 - 1.0 / NEW_BUCKETS) ** (NEW_PER_SOURCE * source_groups)


def eclipse(share: float, outbound: int) -> float:
    """The probability that all outbound connections are the attacker's, each drawn alike from entries of which
    ``share`` are."""
    return share**outbound


def offered_share(tried: float, new: float, tried_share: float, new_share: float) -> float:
    """The probability that one outbound draw gives an attacker's address (LIP 0004, "Selection"): from tried with
    r = max(1/2, tried/(tried + new)), where ``tried_share`` of the entries are his, else from new."""
    if not tried + new:
        return 0.0
    r = max(0.5, tried / (tried + new))
    return r * tried_share + (1.0 - r) * new_share


def living_share(share: float, honest_alive: float) -> float:
    """What a share of all entries is of those that answer, if his all do and ``honest_alive`` of the honest ones."""
    return share / (share + (1.0 - share) * honest_alive)
