"""Who may come in: duplicates, limit, eviction, trust, bans, and what happens when two nodes dial each other."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.effects import CreateInbound, Reply, Room
from core.evict import NO_PROTECTION, ProtectionRatios
from core.house_messages import (
    ClosePeer,
    InboundRefused,
    InboundSeen,
    OutboundFailed,
)
from core.ids import CloseCode, Endpoint, PeerKind
from core.messages import Ban
from core.pool import Pool
from core.pool_settings import PoolSettings
from tests.core.pool_tools import IN, OUT, OWN_NONCE, Driven, at

WHITE, FIXED = at(100), at(101)


def refusal(answer: object) -> InboundRefused:
    """The refusal in an answer."""
    assert isinstance(answer, Reply)
    assert isinstance(answer.message, InboundRefused)
    return answer.message


def test_an_opener_is_let_in_and_the_book_hears_of_it() -> None:
    driven = Driven().start()
    assert isinstance(driven.admit(at(1)), CreateInbound)
    assert driven.pool.connected_peers() == ()  # not before its connection is handed over
    driven.connected(at(1), IN, advertise_address=False)
    assert [peer.endpoint for peer in driven.pool.connected_peers()] == [at(1)]
    assert driven.log.to(Room.BOOK, InboundSeen) == [InboundSeen(at(1), False)]


@pytest.mark.parametrize("through", [False, True])
def test_a_second_inbound_connection_of_a_peer_is_refused(through: bool) -> None:
    driven = Driven().start()
    driven.admit(at(1))
    if through:
        driven.connected(at(1), IN)
    assert refusal(driven.admit(at(1))) == InboundRefused(0, CloseCode.DUPLICATE, "Peer has a duplicate connection")


def test_an_opener_whom_we_are_connected_to_is_refused() -> None:
    driven = Driven().start()
    driven.answer_book(at(1))
    driven.connected(at(1))
    assert refusal(driven.admit(at(1))).code == CloseCode.DUPLICATE


def test_another_port_of_a_connected_address_is_another_peer() -> None:
    driven = Driven().start()
    driven.let_in(at(1, 5001))
    driven.let_in(at(1, 5002))
    assert driven.count(IN) == 2


def test_a_banned_address_is_refused() -> None:
    driven = Driven().start()
    driven.ban(at(1).ip)
    assert refusal(driven.admit(at(1))).code == CloseCode.FORBIDDEN
    driven.unban(at(1).ip)
    assert isinstance(driven.admit(at(1)), CreateInbound)


def test_at_the_limit_one_is_evicted_for_the_newcomer() -> None:
    """WIRE (j): evict somebody else with 4418, accept the newcomer."""
    driven = Driven(max_inbound_connections=20).start()
    for number in range(20):
        driven.now += 1
        driven.let_in(at(number))
    driven.let_in(at(50))
    ((victim, said),) = driven.log.closes().items()
    assert (said.code, said.reason) == (CloseCode.EVICTED, f"Evicted inbound peer {victim.peer_id}")
    assert victim != at(50)
    assert driven.count(IN) == 20


def test_the_newcomer_is_refused_when_nobody_may_be_evicted() -> None:
    driven = Driven(max_inbound_connections=2, whitelisted_peers=(WHITE,), fixed_peers=(FIXED,)).start()
    driven.closed(FIXED)
    driven.let_in(WHITE)
    driven.let_in(FIXED)
    assert refusal(driven.admit(at(1))).code == CloseCode.TRY_AGAIN_LATER
    assert driven.log.closes() == {}


def test_openers_that_are_not_handed_over_yet_are_no_candidates() -> None:
    driven = Driven(max_inbound_connections=2).start()
    driven.admit(at(1))
    driven.admit(at(2))
    assert refusal(driven.admit(at(3))).code == CloseCode.TRY_AGAIN_LATER


@pytest.mark.parametrize("trusted", [WHITE, FIXED])
def test_a_trusted_peer_is_let_in_while_there_is_an_ordinary_one(trusted: Endpoint) -> None:
    """LIP 0004, "Static lists": at the inbound limit a whitelisted peer is let in and an ordinary one evicted."""
    everybody = ProtectionRatios(1.0, 1.0, 1.0, 1.0)
    driven = Driven(
        max_inbound_connections=2, whitelisted_peers=(WHITE,), fixed_peers=(FIXED,), protection=everybody
    ).start()
    driven.closed(FIXED)
    driven.let_in(at(1))
    driven.let_in(at(2))
    assert refusal(driven.admit(at(3))).code == CloseCode.TRY_AGAIN_LATER  # all are protected
    driven.let_in(trusted)
    assert len(driven.log.closes()) == 1
    other = FIXED if trusted == WHITE else WHITE
    driven.let_in(other)
    assert refusal(driven.admit(at(4))).code == CloseCode.TRY_AGAIN_LATER
    assert {slot.kind for slot in driven.slots.values() if not slot.leaving} == {PeerKind.FIXED, PeerKind.WHITELISTED}


def test_an_inbound_peer_that_is_lost_is_not_a_failed_dial() -> None:
    driven = Driven().start()
    driven.let_in(at(1))
    driven.closed(at(1), IN)
    assert driven.log.to(Room.BOOK, OutboundFailed) == []
    assert driven.count(IN) == 0


# ---- both dial at once (defect 27) ----


def test_a_dial_under_way_does_not_refuse_the_other_sides_dial() -> None:
    driven = Driven().start()
    driven.answer_book(at(1))
    assert isinstance(driven.admit(at(1)), CreateInbound)


class Side:
    """One of two nodes that dial each other."""

    def __init__(self, nonce: str, other: Endpoint) -> None:
        self.driven = Driven()
        self.driven.pool = Pool(PoolSettings(), own_nonce=nonce, secret=b"s" * 32, rng=Random(1))
        self.driven.start()
        self.other = other
        self.driven.answer_book(other)
        self.refused = False

    def on_dialled(self) -> None:
        """The other side's dial arrives."""
        self.refused = isinstance(self.driven.admit(self.other), Reply)

    def ended(self) -> set[str]:
        """Directions of the connections this side has told to close."""
        return {direction.value for (_, direction), slot in self.driven.slots.items() if slot.leaving}


NONCES = st.text("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=20)


@given(nonces=st.lists(NONCES, min_size=2, max_size=2, unique=True), order=st.permutations(range(6)))
def test_when_two_nodes_dial_each_other_both_end_the_same_connection(nonces: list[str], order: list[int]) -> None:
    """Defect 27 of lisk-p2p: both connections can be refused with 4404. Whatever the order, one stays here."""
    first, second = Side(nonces[0], at(2)), Side(nonces[1], at(1))
    sides, nonce_of = (first, second), dict(zip((first, second), reversed(nonces), strict=True))
    arrived: set[Side] = set()  # whose dial has arrived at the other side

    def dial_arrives(opener: Side, listener: Side) -> None:
        if opener not in arrived:
            arrived.add(opener)
            listener.on_dialled()
            if listener.refused:
                opener.driven.closed(opener.other, OUT, CloseCode.DUPLICATE)

    def opener_is_through(opener: Side, listener: Side) -> None:
        dial_arrives(opener, listener)
        if not listener.refused:
            opener.driven.connected(opener.other, OUT, nonce_of[opener])

    def listener_is_through(opener: Side, listener: Side) -> None:
        dial_arrives(opener, listener)
        if not listener.refused:
            listener.driven.connected(listener.other, IN, nonce_of[listener])

    steps = [
        (step, *pair)
        for pair in ((first, second), (second, first))
        for step in (dial_arrives, opener_is_through, listener_is_through)
    ]
    for number in order:
        step, opener, listener = steps[number]
        step(opener, listener)
    # A connection is the outbound one of its opener and the inbound one of its listener.
    alive = []
    for opener, listener in ((first, second), (second, first)):
        here, there = (opener.driven.slots.get((opener.other, OUT)), listener.driven.slots.get((listener.other, IN)))
        assert (here is None) == (there is None)
        if here is not None and there is not None:
            assert here.leaving == there.leaving, "one side ends what the other keeps"
            alive.append(not here.leaving)
    assert alive.count(True) == 1
    assert all(len(side.ended()) <= 1 for side in sides)


@pytest.mark.parametrize("theirs", ["aaa", "zzz"])
def test_a_connection_that_ends_anyway_does_not_end_the_other(theirs: str) -> None:
    driven = Driven(max_inbound_connections=1, protection=NO_PROTECTION).start()
    driven.answer_book(at(1))
    driven.let_in(at(1), nonce=theirs)
    driven.let_in(at(2))  # evicts it
    driven.connected(at(1), OUT, nonce=theirs)
    assert [(endpoint, direction) for endpoint, direction, _ in driven.log.peers_told] == [(at(1), IN)]


def test_the_smaller_nonce_keeps_the_connection_it_opened() -> None:
    for theirs, ended in (("a", OUT), ("z", IN)):
        driven = Driven().start()
        driven.answer_book(at(1))
        driven.admit(at(1))
        driven.connected(at(1), IN, nonce=theirs)
        driven.connected(at(1), OUT, nonce=theirs)
        assert (theirs > OWN_NONCE) is (ended is IN)
        ((endpoint, direction, said),) = driven.log.peers_told
        assert (endpoint, direction, said.code) == (at(1), ended, CloseCode.DUPLICATE)  # type: ignore[attr-defined]
        assert [peer.direction for peer in driven.pool.connected_peers()] == [IN if ended is OUT else OUT]


def test_the_other_one_may_take_its_time_unless_there_is_a_reason_to_end_it() -> None:
    for reason in ("stop", "ban"):
        driven = Driven().start()
        driven.answer_book(at(1))
        driven.admit(at(1))
        driven.connected(at(1), IN, nonce="a")
        driven.connected(at(1), OUT, nonce="a")
        if reason == "stop":
            driven.stop()
        else:
            driven.apply(driven.pool.on_banned(Ban(at(1).ip, driven.now + 60.0, "")))
        orders = [(direction, said.code, said.when_answered) for _, direction, said in driven.log.peers_told
                  if isinstance(said, ClosePeer)]  # fmt: skip
        assert orders[0] == (OUT, CloseCode.DUPLICATE, True)
        assert sorted(orders[1:], key=str) == [(IN, CloseCode.NORMAL, False), (OUT, CloseCode.NORMAL, False)]


def test_infos_of_openers_carry_the_trust_of_their_endpoint() -> None:
    driven = Driven(whitelisted_peers=(WHITE,)).start()
    created = driven.admit(WHITE)
    assert isinstance(created, CreateInbound)
    assert created.kind is PeerKind.WHITELISTED
    other_port = driven.admit(WHITE._replace(port=7))
    assert isinstance(other_port, CreateInbound)
    assert other_port.kind is PeerKind.NONE
