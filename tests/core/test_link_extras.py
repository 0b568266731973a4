"""What a connection has only at times."""

from __future__ import annotations

import pytest

from core.link_extras import AT_REST, OWN_INFO_WINDOW_S, End, Extras
from tests.core.link_rig import LinkRig


def test_own_pushes_are_remembered_for_as_long_as_they_limit_another() -> None:
    extras = Extras()
    extras.own_pushes = (1.0, 5.0)
    assert not extras.rest(5.0 + OWN_INFO_WINDOW_S - 0.1)
    assert extras.own_pushes == (1.0, 5.0)
    assert extras.rest(5.0 + OWN_INFO_WINDOW_S)
    assert extras.own_pushes == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step_deadline", 0.0),
        ("push_at", 0.0),
        ("is_held", True),
        ("end", End(1000, "", by_us=True)),
        ("review", lambda theirs, own, verdict: verdict),
    ],
)
def test_what_is_not_over_is_kept(name: str, value: object) -> None:
    extras = Extras()
    setattr(extras, name, value)
    assert not extras.rest(1e9)
    setattr(extras, name, getattr(AT_REST, name))
    assert extras.rest(1e9)
