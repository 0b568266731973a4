"""Feelers and anchors in virtual time: the pool's mind, with the twin that checks it after every call."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from core.config import NodeConfig
from core.effects import Room
from core.events import RemovePeer
from core.house_messages import (
    ChooseFeeler,
    FeelerChosen,
    KeepAnchors,
    OutboundFailed,
    OutboundSucceeded,
    PoolCounts,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.pool_guarded import ANCHOR_AGE_S
from core.pool_settings import PoolSettings
from core.slots import Slots
from tests.core.pool_tools import Driven, at, info

OUT, IN = Direction.OUTBOUND, Direction.INBOUND
MEAN_S = 120.0


class Guarded(Driven):
    """A driven pool, with what the book is asked and answers about feelers and anchors."""

    def __init__(self, *, seed: int = 1, **settings: Any) -> None:
        quiet = {"shuffle_interval_s": 1e9, "seed_interval_s": 1e9, "max_outbound_connections": 4}
        super().__init__(seed=seed, **{**quiet, **settings})

    def questions(self) -> list[ChooseFeeler]:
        return self.log.to(Room.BOOK, ChooseFeeler)

    def until_asked(self, count: int = 1) -> ChooseFeeler:
        """Let time pass until the book has been asked so many times for a feeler."""
        for _ in range(1000):
            if len(self.questions()) >= count:
                return self.questions()[-1]
            due = self.pool.next_deadline()
            assert due is not None
            self.advance(due - self.now)
        raise AssertionError("the book is not asked")

    def feel(self, endpoint: Endpoint | None, *, is_test: bool = False) -> None:
        """Answer the last question for a feeler."""
        number = self.questions()[-1].request_id
        self.apply(self.pool.on_feeler_chosen(FeelerChosen(number, endpoint, is_test), self.now))

    def anchors(self, *endpoints: Endpoint) -> None:
        self.apply(self.pool.on_anchors(endpoints, self.now))

    def kept(self) -> list[tuple[Endpoint, ...]]:
        return [message.anchors for message in self.log.to(Room.BOOK, KeepAnchors)]


def full(**settings: Any) -> Guarded:
    """All four outbound slots are taken, feelers are on."""
    driven = Guarded(feeler_interval_s=MEAN_S, **settings)
    driven.start()
    driven.fill_outbound(4)
    return driven


def test_an_appointment_looks_at_no_connection_while_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    driven = Guarded(anchor_connections=2).start()
    driven.fill_outbound(4)
    driven.advance(ANCHOR_AGE_S + 20.0)
    assert len(driven.kept()) == 1

    def look(*_: object) -> object:
        raise AssertionError("a connection was looked at")

    for method in ("__iter__", "get", "of", "connected_slots", "endpoints", "ips"):
        monkeypatch.setattr(Slots, method, look)
    before = driven.pool.next_deadline()
    assert before is not None
    for _ in range(100):
        driven.now = driven.pool.next_deadline() or 0.0
        assert driven.pool.on_time(driven.now) == []
    assert driven.now > before


# ---- feelers ----


def test_a_feeler_is_left_as_soon_as_it_answers_and_its_address_is_proven() -> None:
    driven = full()
    driven.until_asked()
    driven.feel(at(50))
    assert driven.log.dials[-1] == (driven.now, at(50), PeerKind.FEELER)
    driven.connected(at(50))
    assert driven.log.to(Room.BOOK, OutboundSucceeded)[-1] == OutboundSucceeded(at(50), True)
    said = driven.log.closes()[at(50)]
    assert (said.code, said.reason) == (CloseCode.NORMAL, "")
    driven.closed(at(50), code=CloseCode.NORMAL)
    assert len(driven.pool.connected_peers()) == 4, "it took nobody's place"


def test_a_feeler_is_no_connection_of_the_program_s() -> None:
    driven = full()
    before = msgspec.structs.replace(
        driven.log.to(Room.NODE, PoolCounts)[-1], changed=None, direction=None, stands=False
    )
    driven.until_asked()
    driven.feel(at(50))
    driven.connected(at(50))
    driven.connected(at(50))
    assert len([said for said in driven.log.to(Room.BOOK, OutboundSucceeded) if said.endpoint == at(50)]) == 1
    driven.closed(at(50), code=CloseCode.NORMAL)
    assert driven.log.to(Room.NODE, PoolCounts)[-1] == before
    assert not [event for event in driven.log.events if isinstance(event, RemovePeer)]
    assert driven.log.to(Room.BOOK, OutboundFailed) == []


def test_a_feeler_that_nobody_answers_is_a_failed_dial() -> None:
    driven = full()
    driven.until_asked()
    driven.feel(at(50))
    driven.closed(at(50))
    assert driven.log.to(Room.BOOK, OutboundFailed) == [OutboundFailed(at(50))]


def test_feelers_come_at_random_moments_every_two_minutes_on_average() -> None:
    driven = full()
    moments = []
    for count in range(1, 301):
        driven.until_asked(count)
        moments.append(driven.now)
        driven.feel(None)
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    mean = sum(pauses) / len(pauses)
    assert mean == pytest.approx(MEAN_S, rel=0.25)
    deviation = (sum((pause - mean) ** 2 for pause in pauses) / len(pauses)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.3), "exponential: the deviation is the mean"


def test_while_a_slot_is_free_there_are_no_feelers() -> None:
    driven = Guarded(feeler_interval_s=MEAN_S)
    driven.start()
    driven.fill_outbound(3)
    driven.advance(50 * MEAN_S)
    assert driven.questions() == []


def test_a_slot_that_became_free_meanwhile_comes_first() -> None:
    driven = full()
    driven.until_asked()
    driven.closed(at(0))
    driven.feel(at(50))
    assert at(50) not in driven.dialled()


def test_one_feeler_at_a_time() -> None:
    driven = full()
    driven.until_asked()
    driven.feel(at(50))
    driven.advance(20 * MEAN_S)
    assert len(driven.questions()) == 1
    driven.closed(at(50))
    driven.until_asked(2)


def test_the_question_says_who_is_connected_and_whom_not_to_dial() -> None:
    fixed, white = at(70), at(71)
    driven = full(fixed_peers=(fixed,), whitelisted_peers=(white,), max_outbound_connections=5)
    driven.connected(fixed)
    driven.let_in(at(60))
    question = driven.until_asked()
    assert {at(n) for n in range(4)} | {fixed, white, at(60)} <= question.excluded
    assert question.connected == {at(n) for n in range(4)} | {fixed, at(60)}
    assert {at(0).ip, at(60).ip, fixed.ip} <= question.ips


def test_old_late_and_repeated_answers_are_not_used() -> None:
    driven = full()
    first = driven.until_asked().request_id
    driven.advance(MEAN_S * 20)
    assert len(driven.questions()) > 1
    driven.apply(driven.pool.on_feeler_chosen(FeelerChosen(first, at(50)), driven.now))
    driven.until_asked(len(driven.questions()) + 1)
    driven.feel(at(51))
    driven.closed(at(51))
    driven.feel(at(52))
    assert driven.dialled()[4:] == [at(51)]


def test_a_feeler_does_not_dial_the_banned_ourselves_or_the_connected() -> None:
    driven = full()
    driven.ban(at(50).ip)
    driven.let_in(at(51))
    for count, endpoint in enumerate([at(50), at(51), at(0)], 1):
        driven.until_asked(count)
        driven.feel(endpoint)
    assert len(driven.dialled()) == 4


def test_a_feeler_whose_address_is_banned_meanwhile_is_closed() -> None:
    driven = full()
    driven.until_asked()
    driven.feel(at(50))
    driven.ban(at(50).ip)
    assert at(50) in driven.log.closes()


def test_a_peer_may_connect_to_us_while_we_feel_it() -> None:
    driven = full()
    driven.until_asked()
    driven.feel(at(50))
    driven.let_in(at(50))
    driven.connected(at(50), OUT)
    driven.closed(at(50), OUT, CloseCode.NORMAL)
    assert driven.count(IN) == 1, "it stays"


@pytest.mark.parametrize(
    "settings", [{"fixed_only": True}, {"max_outbound_connections": 0}, {"feeler_interval_s": 0.0}]
)
def test_who_wants_no_feelers_has_none(settings: dict[str, Any]) -> None:
    driven = Guarded(**{"feeler_interval_s": MEAN_S, **settings})
    driven.start()
    driven.advance(50 * MEAN_S)
    assert driven.questions() == []


def test_after_the_stop_no_feeler_is_dialled() -> None:
    driven = full()
    driven.until_asked()
    driven.stop()
    driven.feel(at(50))
    assert at(50) not in driven.dialled()


def test_the_records_tell_why() -> None:
    driven = full()
    driven.until_asked()
    driven.feel(at(50))
    driven.connected(at(50))
    driven.closed(at(50), code=CloseCode.NORMAL)
    driven.until_asked(2)
    driven.feel(at(51), is_test=True)
    story = [line for line in driven.log.decisions if line.startswith((at(50).peer_id, at(51).peer_id))]
    assert [line.split(" ")[1:4] for line in story] == [
        ["dialled", "by", "feeler"],
        ["connected", "by", "feeler"],
        ["disconnected", "by", "feeler"],
        ["dialled", "by", "test_before_evict"],
    ]


# ---- anchors ----


def test_the_two_that_have_stayed_longest_become_anchors_after_a_while() -> None:
    driven = Guarded(anchor_connections=2)
    driven.start()
    driven.answer_book(*(at(n) for n in range(4)))
    for number in (2, 0, 3, 1):
        driven.connected(at(number))
        driven.advance(1.0)
    driven.advance(ANCHOR_AGE_S - 20.0)
    assert driven.kept() == [], "one that makes us crash at once is not written down"
    driven.advance(40.0)
    assert driven.kept()[-1] == (at(2), at(0))
    count = len(driven.kept())
    driven.advance(1000.0)
    assert len(driven.kept()) == count, "nothing new, nothing written"


def test_an_anchor_that_leaves_is_replaced_by_the_next() -> None:
    driven = Guarded(anchor_connections=2)
    driven.start()
    peers = driven.fill_outbound(4)
    driven.advance(ANCHOR_AGE_S + 20.0)
    driven.closed(peers[0])
    driven.advance(20.0)
    assert driven.kept() == [(peers[0], peers[1]), (peers[1], peers[2])]


def test_a_stop_writes_down_whoever_is_connected_before_anything_is_closed() -> None:
    driven = Guarded(anchor_connections=2)
    driven.start()
    peers = driven.fill_outbound(4)
    driven.stop()
    assert driven.kept() == [(peers[0], peers[1])]


def test_an_outage_does_not_make_us_forget_the_anchors() -> None:
    driven = Guarded(anchor_connections=2)
    driven.start()
    peers = driven.fill_outbound(2)
    driven.advance(ANCHOR_AGE_S + 20.0)
    for peer in peers:
        driven.closed(peer)
    driven.advance(20.0)
    driven.stop()
    assert driven.kept() == [(peers[0], peers[1])]


def test_inbound_fixed_and_seed_peers_are_no_anchors() -> None:
    """Whoever connects to us chose us; the others are dialled anyway."""
    fixed, seed = at(70), at(71)
    driven = Guarded(anchor_connections=2, fixed_peers=(fixed,), seed_peers=(seed,))
    driven.start()
    driven.answer_book(at(0), tried=0)
    driven.let_in(at(60))
    for endpoint in (fixed, seed, at(0)):
        driven.connected(endpoint)
    driven.stop()
    assert driven.kept() == [(at(0),)]


def test_anchors_are_dialled_first_and_within_the_slots() -> None:
    driven = Guarded(anchor_connections=2, max_outbound_connections=3)
    driven.start()
    driven.anchors(at(90), at(91), at(92))
    assert driven.dialled() == [at(90), at(91)]
    driven.answer_book(at(0), at(1), at(2))
    assert driven.dialled() == [at(90), at(91), at(0)]
    assert driven.log.decisions[0].startswith(f"{at(90).peer_id} dialled by anchor")


@pytest.mark.parametrize(
    ("settings", "dialled"),
    [
        ({"anchor_connections": 0}, []),
        ({"anchor_connections": 1}, [at(90)]),
        ({"fixed_only": True}, []),
        ({"max_outbound_connections": 0}, []),
        ({"max_outbound_connections": 1}, [at(90)]),
    ],
)
def test_anchors_keep_to_the_configuration(settings: dict[str, Any], dialled: list[Endpoint]) -> None:
    driven = Guarded(**{"anchor_connections": 2, **settings})
    driven.start()
    driven.anchors(at(90), at(91))
    assert driven.dialled() == dialled


def test_a_banned_anchor_is_passed_over() -> None:
    driven = Guarded(anchor_connections=2)
    driven.start()
    driven.ban(at(90).ip)
    driven.anchors(at(90), at(91))
    assert driven.dialled() == [at(91)]
    assert any(line.startswith(f"{at(90).peer_id} passed_over by banned") for line in driven.log.decisions)


def test_a_new_book_is_told_the_anchors_again() -> None:
    """A book that crashed is replaced by one that has taken them out of storage when it began."""
    driven = Guarded(anchor_connections=2)
    driven.start()
    peers = driven.fill_outbound(4)
    driven.advance(ANCHOR_AGE_S + 20.0)
    driven.apply(driven.pool.on_book_replaced(driven.now))
    driven.anchors(peers[0], peers[1])
    assert driven.kept() == [(peers[0], peers[1])] * 2


def test_both_are_on_by_default_in_a_node() -> None:
    settings = PoolSettings.from_config(NodeConfig())
    assert (settings.feeler_interval_s, settings.anchor_connections) == (120.0, 10)


def test_what_a_feeler_reports_later_changes_nothing() -> None:
    driven = full()
    driven.until_asked()
    driven.feel(at(50))
    driven.pool.on_updated(info(at(50)))
    assert len(driven.pool.connected_peers()) == 4
