"""The overlay as a random graph: everybody opens ``outbound`` connections to others, drawn alike from all."""

from __future__ import annotations

import math
from collections.abc import Iterable


def mean_path(nodes: int, outbound: int) -> float:
    """The mean distance where hardly any pair is further apart than three: P(d <= 2) = 1 - (1 - p)(1 - p^2)^(n - 2)."""
    p = edge_probability(nodes, outbound)
    near = 1.0 - (1.0 - p) * (1.0 - p * p) ** (nodes - 2)
    return p + 2.0 * (near - p) + 3.0 * (1.0 - near)


def edge_probability(nodes: int, outbound: int) -> float:
    """The share of all pairs that are connected; also the expected clustering."""
    return 2.0 * outbound / (nodes - 1)


def in_degree_sd(nodes: int, outbound: int) -> float:
    """The standard deviation of the number of inbound connections, Binomial(n - 1, outbound / (n - 1))."""
    return math.sqrt(outbound * (1.0 - outbound / (nodes - 1)))


def expected_in_degree(joiner: int, nodes: int, outbound: int) -> float:
    """Inbound connections of the ``joiner``-th node (from 1) if each node draws among those that came before it: the
    sum over later ones, about outbound ln(n / t)."""
    return math.fsum(min(outbound, later - 1) / (later - 1) for later in range(joiner + 1, nodes + 1))


def in_degree_of_joiners(joiners: Iterable[int], nodes: int, outbound: int) -> tuple[float, float]:
    """Mean and standard deviation of the inbound connections that some of the nodes of such a network have together.

    Of the ``outbound`` earlier nodes that a newcomer draws, the number among these is hypergeometric, and the draws of
    different newcomers are independent: exact.
    """
    chosen = sorted(joiners)
    mean = variance = 0.0
    for later in range(2, nodes + 1):
        earlier = later - 1
        theirs = sum(joiner < later for joiner in chosen)
        drawn = min(outbound, earlier)
        share = theirs / earlier
        mean += drawn * share
        if earlier > 1:
            variance += drawn * share * (1.0 - share) * (earlier - drawn) / (earlier - 1)
    return mean, math.sqrt(variance)


# ---- shuffling: one of the outbound connections, drawn alike, is replaced in each interval --------------------------


def turnover_drops(outbound: int) -> float:
    """Mean number of replacements until none of the first connections is left: the coupon collector's n H(n)."""
    return outbound * math.fsum(1.0 / k for k in range(1, outbound + 1))


def turnover_sd(outbound: int) -> float:
    """The standard deviation of that number."""
    rates = (k / outbound for k in range(1, outbound + 1))
    return math.sqrt(math.fsum((1.0 - p) / (p * p) for p in rates))


def turnover_quantile(outbound: int, share: float) -> int:
    """The number of replacements within which ``share`` of all nodes have lost all their first connections."""
    left = [0.0] * outbound + [1.0]  # left[k]: the probability that k of the first ones are left
    drops = 0
    while left[0] < share:
        drops += 1
        following = [0.0] * (outbound + 1)
        for k, probability in enumerate(left):
            following[k] += probability * (outbound - k) / outbound
            if k:
                following[k - 1] += probability * k / outbound
        left = following
    return drops


def originals_left(outbound: int, drops: int) -> float:
    """Mean number of the first connections that are left."""
    return outbound * (1.0 - 1.0 / outbound) ** drops


def originals_left_sd(outbound: int, drops: int) -> float:
    """The standard deviation of that number in one node."""
    one, two = (1.0 - 1.0 / outbound) ** drops, (1.0 - 2.0 / outbound) ** drops
    variance = outbound * one + outbound * (outbound - 1) * two - (outbound * one) ** 2
    return math.sqrt(max(0.0, variance))


def half_life_drops(outbound: int) -> float:
    """Replacements after which half of the first connections are left, in the mean."""
    return math.log(0.5) / math.log(1.0 - 1.0 / outbound)


def excess_left(nodes: int, outbound: int, drops: float) -> float:
    """What is left of a node's inbound connections beyond the mean, as a share, when each node has replaced so many
    of its outbound ones. Mean field.

    A connection to it is drawn in each interval with probability 1/outbound, and a new one comes from those that are
    not connected to it, of which each draws among as many: the more it has, the fewer are left to come. In a large
    network that is exp(-drops / outbound).
    """
    free = nodes - 1 - 2 * outbound
    if free <= 0:
        raise ValueError(f"expected more than {2 * outbound + 1} nodes, got {nodes}")
    return math.exp(-drops * (1.0 / outbound + 1.0 / free))


def cross_share(side: int, outbound: int, drops: float) -> float:
    """Two sides of ``side`` nodes each, all of them connected to their own side only, see each other again: the share
    of outbound connections that cross, when each node has replaced so many of its own. Mean field.

    A replacement is drawn alike from all that a node is not connected to: of ``side`` - 1 on its own side it is
    connected to 2 ``outbound`` (1 - x), of ``side`` on the other to 2 ``outbound`` x. So outbound dx/dk =
    (side - x (2 side - 1)) / (2 side - 1 - 2 outbound); in a large network (1 - exp(-k / outbound)) / 2.
    """
    others = 2 * side - 1
    free = others - 2 * outbound
    if free <= 0:
        raise ValueError(f"expected more than {2 * outbound + 1} nodes, got {2 * side}")
    return side / others * (1.0 - math.exp(-drops * others / (outbound * free)))
