"""A mapping of direction and endpoint behaves as a dictionary of pairs would."""

from __future__ import annotations

import pytest

from core.by_direction import ByDirection
from core.ids import Direction, Endpoint

IN, OUT = Direction.INBOUND, Direction.OUTBOUND
ONE, OTHER = Endpoint("1.2.3.4", 1), Endpoint("1.2.3.4", 2)


def test_it_is_a_mapping_of_pairs_outbound_first() -> None:
    table: ByDirection[str] = ByDirection()
    table[IN, ONE] = "in"
    table[OUT, ONE] = "out"
    table[OUT, OTHER] = "other"
    assert list(table.items()) == [((OUT, ONE), "out"), ((OUT, OTHER), "other"), ((IN, ONE), "in")]
    assert len(table) == 3
    assert table.of(OUT) == {ONE: "out", OTHER: "other"}
    assert table.get((IN, OTHER)) is None
    assert (IN, ONE) in table
    assert (IN, OTHER) not in table
    assert table.pop((OUT, ONE)) == "out"
    del table[IN, ONE]
    with pytest.raises(KeyError):
        del table[IN, ONE]
    assert dict(table) == {(OUT, OTHER): "other"}
