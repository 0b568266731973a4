"""The shape of an overlay: degrees, distances, clustering, components.

Nodes are the numbers from 0; neighbourhoods are sets of bits (bit v of ``masks[u]``: u and v are connected), with which
a breadth-first search over a thousand nodes takes milliseconds in plain Python.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

Edge = tuple[int, int]
"""From the node that opened the connection to the one that took it."""


class Distances(NamedTuple):
    """Over all ordered pairs of different nodes. ``shares[d - 1]``: the share of pairs at distance d."""

    mean: float
    diameter: int
    shares: tuple[float, ...]
    unreachable: float


def masks_of(count: int, edges: Iterable[Edge]) -> list[int]:
    """Undirected neighbourhoods of ``count`` nodes. Loops are left out. Raises ValueError for an unknown node."""
    masks = [0] * count
    for one, other in edges:
        if not (0 <= one < count and 0 <= other < count):
            raise ValueError(f"expected nodes from 0 to {count - 1}, got {(one, other)}")
        if one != other:
            masks[one] |= 1 << other
            masks[other] |= 1 << one
    return masks


def degrees(masks: Sequence[int]) -> list[int]:
    """The number of neighbours of each node."""
    return [mask.bit_count() for mask in masks]


def in_degrees(count: int, edges: Iterable[Edge]) -> list[int]:
    """How many connections each node took."""
    found = [0] * count
    for _, target in edges:
        found[target] += 1
    return found


def deviation(values: Collection[float]) -> float:
    """The standard deviation of a whole population (not of a sample from it). Raises ValueError for no values."""
    if not values:
        raise ValueError("there is nothing to measure")
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def layers(masks: Sequence[int], source: int) -> Iterator[int]:
    """The nodes at distance 1, 2, ... from ``source``, each as a set of bits."""
    seen = frontier = 1 << source
    while frontier:
        reached = 0
        for node in bits(frontier):
            reached |= masks[node]
        frontier = reached & ~seen
        seen |= frontier
        if frontier:
            yield frontier


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, in ascending order."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def distances(masks: Sequence[int]) -> Distances:
    """Shortest paths between all pairs. Raises ValueError for fewer than two nodes."""
    if len(masks) < 2:
        raise ValueError("expected two nodes or more")
    counts: list[int] = []
    for source in range(len(masks)):
        for index, layer in enumerate(layers(masks, source)):
            if index == len(counts):
                counts.append(0)
            counts[index] += layer.bit_count()
    pairs = len(masks) * (len(masks) - 1)
    reached = sum(counts)
    mean = sum(count * (index + 1) for index, count in enumerate(counts)) / reached if reached else math.inf
    return Distances(mean, len(counts), tuple(count / pairs for count in counts), 1.0 - reached / pairs)


def clustering(masks: Sequence[int]) -> float:
    """The mean over all nodes of the share of pairs of neighbours that are neighbours of each other (Watts and
    Strogatz 1998). A node with fewer than two neighbours counts as 0."""
    total = 0.0
    for mask in masks:
        degree = mask.bit_count()
        if degree >= 2:
            links = sum((masks[node] & mask).bit_count() for node in bits(mask))
            total += links / (degree * (degree - 1))
    return total / len(masks) if masks else 0.0


def components(masks: Sequence[int], among: Iterable[int] | None = None) -> list[int]:
    """The sizes of the connected components, largest first; ``among``: only these nodes and the edges between them."""
    allowed = (1 << len(masks)) - 1 if among is None else sum(1 << node for node in set(among))
    left, sizes = allowed, []
    while left:
        seen = frontier = left & -left
        while frontier:
            reached = 0
            for node in bits(frontier):
                reached |= masks[node]
            frontier = reached & allowed & ~seen
            seen |= frontier
        sizes.append(seen.bit_count())
        left &= ~seen
    return sorted(sizes, reverse=True)


def edge_list(text: str) -> tuple[int, list[Edge]]:
    """Nodes and edges of a text with one edge a line, two whole numbers (SimBlock's and everybody's edge lists).

    Numbers need not be consecutive. Lines that begin with ``#`` and empty ones are passed over. Raises ValueError with
    the number of a line that is something else.
    """
    names: dict[int, int] = {}
    edges: list[Edge] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 2 or not (words[0].isdecimal() and words[1].isdecimal()):
            raise ValueError(f"line {number}: expected two whole numbers, got {line[:80]!r}")
        one, other = (names.setdefault(int(word), len(names)) for word in words[:2])
        edges.append((one, other))
    return len(names), edges
