"""Who is connected, told from reports that may be late."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from core.house_messages import PoolCounts
from core.ids import Direction, Endpoint
from core.standing import KEPT, Standing

PEERS = [Endpoint(f"203.0.113.{number}", 5001) for number in range(5)]


def reports(steps: list[tuple[Direction, int]]) -> tuple[list[PoolCounts], Counter[str]]:
    """Each step turns one connection on or off: what the pool reports, and who is connected in the end."""
    stands: set[tuple[Direction, Endpoint]] = set()
    came = went = 0
    made = []
    for direction, which in steps:
        key = (direction, PEERS[which])
        comes = key not in stands
        stands ^= {key}
        came, went = came + comes, went + (not comes)
        made.append(PoolCounts(0, 0, came, 0, went, 0, 0, key[1], direction, comes))
    return made, Counter(endpoint.peer_id for _, endpoint in stands)


@given(st.lists(st.tuples(st.sampled_from(Direction), st.integers(0, 4)), max_size=60), st.randoms())
def test_what_counts_is_what_was_said_last_in_whatever_order_it_arrives(
    steps: list[tuple[Direction, int]], rng: object
) -> None:
    made, expected = reports(steps)
    rng.shuffle(made)  # type: ignore[attr-defined]
    standing = Standing()
    for report in made:
        standing.take(report)
    assert Counter(standing.fall()) == expected
    assert standing.fall() == []


def test_it_does_not_grow_with_those_that_went() -> None:
    standing = Standing()
    for number in range(5 * KEPT):
        peer = Endpoint("203.0.113.9", 1 + number)
        for comes in (True, False):
            standing.take(PoolCounts(0, 0, number + 1, 0, number + (not comes), 0, 0, peer, Direction.INBOUND, comes))
    assert len(standing._latest.of(Direction.INBOUND)) == KEPT
    assert standing.fall() == []


def test_a_report_of_nothing_changes_nothing() -> None:
    standing = Standing()
    standing.take(PoolCounts(1, 1, 1, 1, 0, 0, 3))
    assert standing.fall() == []
