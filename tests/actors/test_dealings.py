"""What a peer has to do with programs is there while there is something of it."""

from __future__ import annotations

import pytest

from actors.dealings import NO_DEALINGS, Dealings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("settling", True),
        ("owed", [("somebody", 1)]),
        ("answers", [("somebody", "an answer")]),
        ("known_by", ["somebody"]),
        ("leaves_at", 0.0),
        ("holders", ["somebody"]),
        ("overflowed", True),
        ("is_queueing", True),
        ("watched", 3),
    ],
)
def test_whatever_there_is_is_something(name: str, value: object) -> None:
    dealings = Dealings()
    assert dealings.is_none
    setattr(dealings, name, value)
    assert not dealings.is_none
    setattr(dealings, name, getattr(NO_DEALINGS, name))
    assert dealings.is_none


def test_nobody_has_changed_what_all_share() -> None:
    assert NO_DEALINGS.is_none
