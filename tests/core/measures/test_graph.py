"""Graph measures against graphs whose figures are known."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.measures import graph

RING = [(node, (node + 1) % 10) for node in range(10)]
COMPLETE = [(one, other) for one in range(7) for other in range(one)]


def test_a_ring() -> None:
    masks = graph.masks_of(10, RING)
    found = graph.distances(masks)
    assert graph.degrees(masks) == [2] * 10
    assert found.diameter == 5
    assert found.mean == pytest.approx((2 * (1 + 2 + 3 + 4) + 5) / 9)
    assert found.shares == pytest.approx((2 / 9, 2 / 9, 2 / 9, 2 / 9, 1 / 9))
    assert graph.clustering(masks) == 0.0


def test_a_complete_graph() -> None:
    masks = graph.masks_of(7, COMPLETE)
    assert graph.clustering(masks) == 1.0
    assert graph.distances(masks) == (1.0, 1, (1.0,), 0.0)


def test_a_triangle_with_a_tail_and_a_lone_node() -> None:
    masks = graph.masks_of(5, [(0, 1), (1, 2), (2, 0), (2, 3)])
    assert graph.clustering(masks) == pytest.approx((1 + 1 + 1 / 3 + 0 + 0) / 5)
    assert graph.components(masks) == [4, 1]
    assert graph.components(masks, among=[0, 1, 3, 4]) == [2, 1, 1]
    assert graph.distances(masks).unreachable == pytest.approx(8 / 20)


def test_directions_count_for_in_degrees_only() -> None:
    edges = [(0, 1), (2, 1), (1, 0)]
    assert graph.in_degrees(3, edges) == [1, 2, 0]
    assert graph.degrees(graph.masks_of(3, edges)) == [1, 2, 1]


def test_a_random_graph_has_the_clustering_of_its_density() -> None:
    rng = Random(1)
    edges = [(u, v) for u in range(200) for v in range(u) if rng.random() < 0.2]
    assert graph.clustering(graph.masks_of(200, edges)) == pytest.approx(0.2, abs=0.01)


def test_edge_lists_of_others_are_read() -> None:
    count, edges = graph.edge_list("# made elsewhere\n7 100\n\n100, 9\n")
    assert (count, edges) == (3, [(0, 1), (1, 2)])


@pytest.mark.parametrize("text", ["1 2\nx 3", "1 2\n5", "1 2\n-1 2"])
def test_a_bad_line_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="line 2: expected two whole numbers"):
        graph.edge_list(text)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="nodes from 0 to 1"):
        graph.masks_of(2, [(0, 2)])
    with pytest.raises(ValueError, match="two nodes"):
        graph.distances([0])
    with pytest.raises(ValueError, match="nothing to measure"):
        graph.deviation([])


@given(st.integers(2, 12).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_distances_are_those_of_floyd_and_warshall(drawn: tuple[int, set[tuple[int, int]]]) -> None:
    count, edges = drawn
    table = [[0.0 if u == v else math.inf for v in range(count)] for u in range(count)]
    for u, v in edges:
        if u != v:
            table[u][v] = table[v][u] = 1.0
    for via in range(count):
        for u in range(count):
            for v in range(count):
                table[u][v] = min(table[u][v], table[u][via] + table[via][v])
    pairs = [table[u][v] for u in range(count) for v in range(count) if u != v]
    finite = [length for length in pairs if length < math.inf]
    found = graph.distances(graph.masks_of(count, edges))
    assert found.unreachable == pytest.approx(1 - len(finite) / len(pairs))
    assert found.diameter == (max(finite) if finite else 0)
    if finite:
        assert found.mean == pytest.approx(sum(finite) / len(finite))
