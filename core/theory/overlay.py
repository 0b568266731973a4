"""The overlay as a random graph: everybody opens ``outbound`` connections to others, drawn alike from all."""

from __future__ import annotations

import math


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
