"""How far and how fast something spreads: reach, percentiles, hops."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

NodeT = TypeVar("NodeT", bound=Hashable)


def nearest_rank(values: Iterable[float], share: float, of: int | None = None) -> float:
    """The smallest value by which ``share`` of ``of`` (None: of all values) have been reached; infinity if never.

    The "nearest rank" of propagation times: half of 1,000 nodes have a block when the 500th has it. Raises ValueError
    for a share outside 0 to 1.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"expected a share from 0 to 1, got {share!r}")
    ordered = sorted(values)
    rank = max(1, math.ceil(share * (len(ordered) if of is None else of) - 1e-9))
    return ordered[rank - 1] if rank <= len(ordered) else math.inf


def hops(origin: NodeT, heard_from: Mapping[NodeT, NodeT]) -> dict[NodeT, int]:
    """The distance of everybody from the origin, along the way that a message took; who never heard is left out."""
    found: dict[NodeT, int] = {origin: 0}
    for node in heard_from:
        chain: list[NodeT] = []
        while node not in found:
            chain.append(node)
            node = heard_from[node]
        for back, item in enumerate(reversed(chain), 1):
            found[item] = found[node] + back
    return found


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; NaN of nothing."""
    return math.fsum(values) / len(values) if values else math.nan


def deviation_of_sample(values: Sequence[float]) -> float:
    """The standard deviation estimated from a sample; 0 of fewer than two values."""
    if len(values) < 2:
        return 0.0
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))
