"""Requests between an Ensemble and a lisk-p2p node: answered, refused, timed out, many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from actors.client import IncomingRequest
from core.errors import RequestRefused, RequestTimedOut
from core.events import RequestReceived
from tests.interop.ensemble_node import EnsembleNode
from tests.interop.links import Link
from tests.interop.lisk_node import ABSENT, LiskCallFailed
from tests.interop.test_messages import BYTES, JSON_TEXT, JSON_VALUE

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nobody_complains")]

AT_ONCE = 100
PAYLOADS = {**BYTES, "JSON": (JSON_VALUE, JSON_TEXT.encode())}


@contextmanager
def procedure(node: EnsembleNode, name: str, handler: Callable[[IncomingRequest], object]) -> Iterator[None]:
    """While it lasts, our node answers requests for `name` so."""
    node.p2p.procedure(name, handler)
    try:
        yield
    finally:
        node.p2p.off_procedure(name)


@pytest.mark.parametrize(("data", "arriving"), PAYLOADS.values(), ids=PAYLOADS.keys())
def test_requests_are_answered(link: Link, data: object, arriving: bytes) -> None:
    ours, lisk = link.ours, link.lisk
    answer = ours.p2p.request_from_peer(lisk.peer_id, "echo", data)
    assert (answer.peer_id, answer.data) == (lisk.peer_id, arriving)
    assert ours.p2p.request("echo", data).data == arriving
    with procedure(ours, "echo", lambda request: request.data):
        response = lisk.request_from_peer("echo", data, ours.peer_id)
        assert response == {"data": arriving, "peerId": lisk.peer_id}
        assert lisk.request("echo", data)["data"] == arriving


@pytest.mark.parametrize(
    ("result", "arriving"),
    [(0, b"0"), ("", b'""'), (False, b"false"), ([], b"[]"), (b"", b""), (None, None)],
    ids=repr,
)
def test_our_falsy_answers_are_not_lost(link: Link, result: object, arriving: bytes | None) -> None:
    with procedure(link.ours, "falsy", lambda request: result):
        assert link.lisk.request_from_peer("falsy", ABSENT, link.ours.peer_id).get("data") == arriving


@pytest.mark.parametrize(
    ("result", "arriving"),
    [(b"", b""), (b"0", b"0"), ({}, b"{}"), (0, None), ("", None), (False, None), (None, None), (ABSENT, None)],
    ids=repr,
)
def test_falsy_answers_of_a_lisk_node_arrive_as_it_sends_them(
    link: Link, result: object, arriving: bytes | None
) -> None:
    # lisk-p2p sends 0, "" and false as "no data" (docs/protocol.md); bytes, even none at all, as they are.
    link.lisk.set_procedure("falsy", "answer", data=result)
    assert link.ours.p2p.request_from_peer(link.lisk.peer_id, "falsy").data == arriving


def test_a_request_without_data_arrives_without(link: Link) -> None:
    link.lisk.set_procedure("note", "echo")
    assert link.ours.p2p.request_from_peer(link.lisk.peer_id, "note").data is None
    seen = link.lisk.wait_event("EVENT_REQUEST_RECEIVED", lambda request: request["procedure"] == "note")
    assert seen["peerId"] == link.ours.peer_id
    assert "data" not in seen.payload
    arrived: list[bytes | None] = []
    with procedure(link.ours, "note", lambda request: arrived.append(request.data)):
        assert "data" not in link.lisk.request_from_peer("note", ABSENT, link.ours.peer_id)
    assert arrived == [None]


def test_a_lisk_node_refuses_our_request(link: Link) -> None:
    link.lisk.set_procedure("forbidden", "fail", message="kaum: ż 🦀")
    with pytest.raises(RequestRefused, match="kaum: ż 🦀") as refusal:
        link.ours.p2p.request_from_peer(link.lisk.peer_id, "forbidden", b"?")
    assert refusal.value.peer_id == link.lisk.peer_id


def test_we_refuse_the_request_of_a_lisk_node(link: Link) -> None:
    def refuse(request: IncomingRequest) -> None:
        request.error(LookupError("kein Block: ż 🦀"))

    with procedure(link.ours, "forbidden", refuse), pytest.raises(LiskCallFailed, match="kein Block: ż 🦀"):
        link.lisk.request_from_peer("forbidden", b"?", link.ours.peer_id)


def test_a_procedure_that_nobody_handles_is_refused_at_once(link: Link) -> None:
    with pytest.raises(LiskCallFailed, match="nothing handles the procedure 'unheard-of'"):
        link.lisk.request_from_peer("unheard-of", ABSENT, link.ours.peer_id)


def test_our_request_times_out(link: Link) -> None:
    with pytest.raises(RequestTimedOut, match=r"did not answer 'silent' in 0\.1 s"):
        link.ours.p2p.request_from_peer(link.lisk.peer_id, "silent", timeout_s=0.1)
    assert link.ours.p2p.request_from_peer(link.lisk.peer_id, "echo", b"still there").data == b"still there"


def test_a_late_answer_to_our_request_is_ignored(link: Link) -> None:
    ours, lisk = link.ours, link.lisk
    lisk.set_procedure("late", "hold")
    with pytest.raises(RequestTimedOut):
        ours.p2p.request_from_peer(lisk.peer_id, "late", timeout_s=0.05)
    held = lisk.wait_event("EVENT_REQUEST_RECEIVED", lambda request: request["procedure"] == "late")
    lisk.respond(held["requestId"], b"too late")
    assert ours.p2p.request_from_peer(lisk.peer_id, "echo", b"next").data == b"next"


def test_the_request_of_a_lisk_opener_times_out(link_lisk_dials: Link) -> None:
    # A lisk-p2p opener waits ackTimeout, 2 s. (A listener waits 10 s, which nothing can change.)
    ours, lisk = link_lisk_dials.ours, link_lisk_dials.lisk
    with ours.p2p.events(RequestReceived) as requests:
        asked = lisk.begin_request("slow", b"", ours.peer_id)
        request = requests.get(10)
    with pytest.raises(LiskCallFailed, match="timed out"):
        asked.result()
    request.end(b"too late")
    with procedure(ours, "echo", lambda request: request.data):
        assert lisk.request_from_peer("echo", b"next", ours.peer_id)["data"] == b"next"


def test_many_requests_of_ours_are_open_at_once(link: Link) -> None:
    ours, lisk = link.ours, link.lisk
    lisk.set_procedure("held", "hold")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = [
            pool.submit(ours.p2p.request_from_peer, lisk.peer_id, "held", bytes([number]), timeout_s=30)
            for number in range(AT_ONCE)
        ]
        seen = [
            lisk.wait_event("EVENT_REQUEST_RECEIVED", lambda request: request["procedure"] == "held")
            for _ in range(AT_ONCE)
        ]
        assert not any(future.done() for future in asked)
        for request in reversed(seen):
            lisk.respond(request["requestId"], request["data"] * 2)
        assert [future.result(10).data for future in asked] == [bytes([number] * 2) for number in range(AT_ONCE)]


def test_many_requests_of_a_lisk_node_are_open_at_once(link: Link) -> None:
    ours, lisk = link.ours, link.lisk
    with ours.p2p.events(RequestReceived) as requests:
        asked = [lisk.begin_request("held", bytes([number]), ours.peer_id) for number in range(AT_ONCE)]
        held = [requests.get(10) for _ in range(AT_ONCE)]
    assert not any(call.answered for call in asked)
    for request in reversed(held):
        request.end((request.data or b"") * 2)
    assert [call.result()["data"] for call in asked] == [bytes([number] * 2) for number in range(AT_ONCE)]
