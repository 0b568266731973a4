"""What a connection has only at times."""

from __future__ import annotations

import pytest

from core.calls import NoRequests, no_requests
from core.link_extras import AT_REST, OWN_INFO_WINDOW_S, End, Extras
from core.outflow import FREE
from tests.core.link_rig import inbound


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


def test_a_connection_at_rest_has_none_and_gets_its_own_when_something_happens() -> None:
    rig = inbound()
    assert rig.link._extras is not AT_REST
    rig.advance(OWN_INFO_WINDOW_S)
    rig.call("ping", None, 1)
    link = rig.link
    assert (link._extras, link._pending, link.outflow) == (AT_REST, no_requests(1), FREE)
    rig.call("anything", None, 2)
    rig.call("ping", None, 3)
    assert link._extras is not AT_REST, "somebody waits for an answer"
    rig.do(link.answer(2, b"x"))
    rig.call("ping", None, 4)
    assert link._extras is AT_REST
    assert AT_REST.rest(0.0)


def test_a_request_after_a_rest_has_a_number_of_its_own() -> None:
    rig = inbound()
    numbers = []
    for _ in range(3):
        rig.request()
        (number,) = rig.link._pending._by_cid
        numbers.append(number)
        rig.reply(number, b"x")
        rig.call("ping", None, 1)
        assert type(rig.link._pending) is NoRequests
    assert numbers == [1, 2, 3]


def test_a_queue_that_empties_leaves_nothing_behind() -> None:
    rig = inbound()
    link = rig.link
    link.note_outflow(0, 0, rig.now)
    assert link.outflow is FREE
    link.note_outflow(10, 0, rig.now)
    assert link.outflow.stalls_at == rig.now + 30.0
    link.note_outflow(0, 10, rig.now)
    assert link.outflow is FREE
    assert FREE.is_free
