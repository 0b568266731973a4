"""Sending and asking through the pool: who gets it, and that every query is answered exactly once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from core.effects import ForwardToPeer, Reply
from core.errors import NotActive, PeerNotFound
from core.events import PeerInfo
from core.ids import Endpoint, PeerId
from core.messages import (
    ApplyPenalty,
    Done,
    Failed,
    SendMessage,
    SendRequest,
)
from core.select import Selection
from tests.core.pool_tools import IN, OUT, Driven, at

NOBODY = PeerId("9.9.9.9:9")


def crowded(outbound: int = 20, inbound: int = 100, fixed: tuple[Endpoint, ...] = (), **more: Any) -> Driven:
    """A pool with many peers; fixed ones are connected outbound, on top."""
    driven = Driven(max_outbound_connections=outbound + len(fixed), fixed_peers=fixed, **more).start()
    for endpoint in fixed:
        driven.connected(endpoint)
    if outbound:
        driven.fill_outbound(outbound)
    for number in range(outbound, outbound + inbound):
        driven.let_in(at(number))
    return driven


def directions(sent: Iterable[tuple[Endpoint, Any]]) -> list[str]:
    return [direction.value for _, direction in sent]


def error_of(answer: object) -> Exception:
    assert isinstance(answer, Reply)
    assert isinstance(answer.message, Failed)
    return answer.message.error


def test_a_send_goes_to_16_peers_at_least_half_of_them_outbound() -> None:
    """LIP 0004, "Selection"."""
    driven = crowded()
    for number in range(30):
        answer = driven.send(f"event {number}")
        assert isinstance(answer, Reply)
        assert isinstance(answer.message, Done)
        sent = driven.log.sent_to(f"event {number}")
        assert len(set(sent)) == len(sent) == 16
        assert directions(sent).count("outbound") >= 8


def test_fixed_peers_get_every_message() -> None:
    fixed = (at(200), at(201))
    driven = crowded(fixed=fixed)
    for number in range(30):
        driven.send(f"event {number}")
        sent = driven.log.sent_to(f"event {number}")
        assert {(endpoint, OUT) for endpoint in fixed} <= set(sent)
        assert len(sent) == 16


def test_a_broadcast_goes_to_everybody() -> None:
    driven = crowded()
    driven.broadcast("all")
    assert len(set(driven.log.sent_to("all"))) == 120


def test_a_message_for_one_peer_goes_to_it_and_is_answered_by_it() -> None:
    driven = crowded(2, 2)
    answer = driven.send("one", at(3).peer_id)
    assert isinstance(answer, ForwardToPeer)
    assert (answer.endpoint, answer.direction) == (at(3), IN)
    assert isinstance(answer.message, SendMessage)


def test_requests_go_to_outbound_peers_first() -> None:
    driven = crowded(3, 50)
    asked = {driven.request("p").endpoint for _ in range(60)}  # type: ignore[union-attr]
    assert asked == {at(0), at(1), at(2)}


def test_requests_go_to_inbound_peers_when_there_are_no_others() -> None:
    driven = crowded(0, 5)
    asked = {driven.request("p").endpoint for _ in range(60)}  # type: ignore[union-attr]
    assert asked == {at(number) for number in range(5)}


def test_unknown_and_leaving_peers_are_not_found() -> None:
    driven = crowded(2, 1)
    driven.ban(at(0).ip)
    for peer_id in (NOBODY, at(0).peer_id, PeerId("x" * 10_000)):
        for answer in (driven.send("e", peer_id), driven.request("p", peer_id)):
            error = error_of(answer)
            assert isinstance(error, PeerNotFound)
            assert len(str(error)) < 200  # nobody's text is repeated at full length


def test_a_request_without_any_peer_fails() -> None:
    assert isinstance(error_of(Driven().start().request("p")), PeerNotFound)


def test_sending_without_any_peer_is_done() -> None:
    answer = Driven().start().send("e")
    assert isinstance(answer, Reply)
    assert isinstance(answer.message, Done)


def test_a_penalty_is_the_peers_to_apply() -> None:
    driven = crowded(1, 0)
    ask_id = driven.ask()
    driven.apply(driven.pool.penalise(ApplyPenalty(ask_id, at(0).peer_id, 10, "slow"), ask_id))
    assert isinstance(driven.answer(ask_id), ForwardToPeer)


def test_a_stopping_pool_refuses() -> None:
    driven = crowded(2, 2)
    driven.stop()
    assert isinstance(error_of(driven.send("e")), NotActive)
    assert isinstance(error_of(driven.broadcast("e")), NotActive)
    assert isinstance(error_of(driven.request("p")), PeerNotFound)


def test_what_nobody_waits_for_is_not_answered() -> None:
    driven = crowded(2, 0)
    driven.apply(driven.pool.send(SendMessage(0, "quiet", None), 0))
    assert len(driven.log.sent_to("quiet")) == 2
    driven.apply(driven.pool.send(SendMessage(0, "quiet", None, NOBODY), 0))
    # A request that nobody waits for would be taken for one of the connection's own.
    assert driven.pool.request(SendRequest(0, "ping", None, None, at(0).peer_id), 0) == []


# ---- rules of the application ----


def test_the_applications_rule_chooses_whom_to_send_to() -> None:
    seen: list[tuple[int, int, str]] = []

    def rule(peers: tuple[PeerInfo, ...], limit: int, message: SendMessage) -> list[PeerInfo]:
        seen.append((len(peers), limit, message.event))
        return [peer for peer in peers if peer.direction is IN][:3]

    driven = crowded(5, 5, selection=Selection(send_rule=rule), send_peer_limit=7)
    driven.send("mine")
    assert directions(driven.log.sent_to("mine")) == ["inbound"] * 3
    assert seen == [(10, 7, "mine")]


def stranger() -> PeerInfo:
    return PeerInfo(peer_id=NOBODY, ip_address="9.9.9.9", port=9)


@pytest.mark.parametrize(
    ("returned", "count"),
    [
        (None, 4),  # the node's own rule
        ((), 0),
        ((stranger(), stranger()), 0),
        ((1, None, object(), [], {}, stranger()), 0),
        ((at(0).peer_id, at(0).peer_id), 1),
        ("no peers at all", 0),
    ],
)
def test_what_the_rule_for_sending_returns_counts_as_far_as_it_names_connected_peers(returned: Any, count: int) -> None:
    driven = crowded(4, 0, selection=Selection(send_rule=lambda *_: returned))
    driven.send("e")
    assert len(driven.log.sent_to("e")) == count


def test_the_applications_rule_chooses_whom_to_ask() -> None:
    driven = crowded(3, 3, selection=Selection(request_rule=lambda peers, request: peers[-1]))
    assert {driven.request("p").endpoint for _ in range(5)} == {at(5)}  # type: ignore[union-attr]


@pytest.mark.parametrize("returned", [None, stranger(), 7, object(), [], "not a peer"])
def test_nonsense_of_the_rule_for_requests_leaves_the_choice_to_the_node(returned: Any) -> None:
    driven = crowded(3, 0, selection=Selection(request_rule=lambda peers, request: returned))
    assert isinstance(driven.request("p"), ForwardToPeer)
