"""Test before evict (option): Heilman et al. 2015, countermeasure 3; figures as in Bitcoin Core."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from core.book import Book, BookConfig, Table
from core.book.trial import MAX_TRIALS, RECENT_S, TRIAL_TIME_S
from core.decisions import DecisionKind
from core.ids import Endpoint
from tests.core.book.tools import NOW_S, SECRET, CheckedBook, kinds, make_book, named, one_bucket_book, spread, table_of

LATER_S = NOW_S + RECENT_S + 1


def full_bucket(size: int = 4, seed: int = 1) -> tuple[CheckedBook, list[Endpoint], Endpoint]:
    """A tried bucket of peers that we connected to some hours ago, and a newcomer."""
    book = one_bucket_book(seed, size=size, test_before_evict=True)
    *occupants, newcomer = spread(size + 1)
    for occupant in occupants:
        book.connected(occupant, NOW_S)
    return book, occupants, newcomer


def test_the_newcomer_waits_in_new_while_an_occupant_is_tested() -> None:
    book, occupants, newcomer = full_bucket()
    decisions = book.connected(newcomer, LATER_S)
    assert named(decisions) == [(newcomer.peer_id, "deferred", "test_before_evict")]
    assert table_of(book, newcomer) is Table.NEW
    (tested,) = book.pending_tests()
    assert tested in occupants
    assert book.counts().tried == 4


def test_an_occupant_that_answers_stays() -> None:
    book, _, newcomer = full_bucket()
    book.connected(newcomer, LATER_S)
    (tested,) = book.pending_tests()
    assert named(book.connected(tested, LATER_S + 5)) == [(tested.peer_id, "kept", "test_passed")]
    assert table_of(book, tested) is Table.TRIED
    assert table_of(book, newcomer) is Table.NEW
    assert book.pending_tests() == ()


def test_an_occupant_that_does_not_answer_makes_room() -> None:
    book, _, newcomer = full_bucket()
    book.connected(newcomer, LATER_S)
    (tested,) = book.pending_tests()
    decisions = book.dial_failed(tested, LATER_S + 5)
    assert named(decisions) == [
        (newcomer.peer_id, "moved_to_tried", "outbound_success"),
        (tested.peer_id, "moved_to_new", "test_failed"),
    ]
    assert table_of(book, newcomer) is Table.TRIED
    assert table_of(book, tested) is Table.NEW
    assert book.pending_tests() == ()


def test_a_test_without_result_ends_after_40_minutes_in_favour_of_the_newcomer() -> None:
    book, _, newcomer = full_bucket()
    book.connected(newcomer, LATER_S)
    (tested,) = book.pending_tests()
    assert book.expire_tests(LATER_S + TRIAL_TIME_S - 1) == ()
    decisions = book.expire_tests(LATER_S + TRIAL_TIME_S)
    assert named(decisions)[-1] == (tested.peer_id, "moved_to_new", "test_expired")
    assert table_of(book, newcomer) is Table.TRIED
    assert book.expire_tests(LATER_S + 9 * TRIAL_TIME_S) == ()


def test_an_occupant_connected_within_4_hours_needs_no_test() -> None:
    book, _, newcomer = full_bucket()
    decisions = book.connected(newcomer, NOW_S + RECENT_S - 1)
    assert named(decisions) == [(newcomer.peer_id, "refused", "occupant_recently_connected")]
    assert book.pending_tests() == ()
    assert table_of(book, newcomer) is Table.NEW


def test_a_flood_does_not_switch_the_protection_off() -> None:
    """600 attackers, all alive, against 32 occupants that answer: nobody leaves."""
    book = one_bucket_book(test_before_evict=True)
    honest = spread(32)
    for peer in honest:
        book.connected(peer, NOW_S)
    for n, attacker in enumerate(spread(600, first=100)):
        now_s = LATER_S + n * 30.0
        book.connected(attacker, now_s)
        assert len(book.pending_tests()) <= MAX_TRIALS
        for occupant in book.pending_tests():
            book.connected(occupant, now_s + 1)
    assert all(table_of(book, peer) is Table.TRIED for peer in honest)


def test_without_the_option_the_same_flood_takes_the_bucket() -> None:
    book = one_bucket_book()
    honest = spread(32)
    for peer in [*honest, *spread(500, first=100)]:
        book.connected(peer, NOW_S)
    assert sum(table_of(book, peer) is Table.TRIED for peer in honest) < 3
    assert book.pending_tests() == ()
    assert book.expire_tests(NOW_S) == ()


def test_no_more_tests_at_once_than_allowed() -> None:
    book, _, _ = full_bucket(size=32)
    refused = []
    for newcomer in spread(30, first=100):
        refused += [made for made in book.connected(newcomer, LATER_S) if made.decision is DecisionKind.REFUSED]
    assert len(book.pending_tests()) == MAX_TRIALS
    assert {made.rule for made in refused} == {"tests_busy"}
    assert len(refused) == 20


def test_a_test_is_dropped_when_either_side_is_gone() -> None:
    for gone in ("occupant", "newcomer", "trusted"):
        book, _, newcomer = full_bucket()
        book.connected(newcomer, LATER_S)
        (tested,) = book.pending_tests()
        if gone == "occupant":
            book.remove_ip(tested.ip, LATER_S)
        elif gone == "newcomer":
            book.dial_failed(newcomer, LATER_S)
        else:
            book.whitelist(tested, LATER_S)
        assert book.pending_tests() == ()
        assert book.expire_tests(LATER_S + TRIAL_TIME_S) == ()


def test_a_newcomer_that_was_forgotten_and_told_anew_has_no_claim() -> None:
    book, occupants, newcomer = full_bucket()
    book.connected(newcomer, LATER_S)
    book.dial_failed(newcomer, LATER_S + 1)
    book.add(newcomer, "66.1.1.1", LATER_S + 2)
    assert book.expire_tests(LATER_S + TRIAL_TIME_S) == ()
    assert table_of(book, newcomer) is Table.NEW
    assert all(table_of(book, occupant) is Table.TRIED for occupant in occupants)


def test_an_occupant_passes_on_another_port_too() -> None:
    book, _, newcomer = full_bucket()
    book.connected(newcomer, LATER_S)
    (tested,) = book.pending_tests()
    moved = Endpoint(tested.ip, 6001)
    assert [rule for _, _, rule in named(book.connected(moved, LATER_S + 5))] == ["port_verified", "test_passed"]
    assert book.pending_tests() == ()


def test_tests_that_expire_together_do_not_trip_over_each_other() -> None:
    """The occupant that makes room for one newcomer may push another newcomer out of `new`."""
    pushed_out = 0
    for first in range(0, 1_000, 10):
        book = make_book(first, new_bucket_count=2, tried_bucket_count=1, bucket_size=2, test_before_evict=True)
        *occupants, one, two, three, four = spread(6, first)
        for occupant in occupants:
            book.connected(occupant, NOW_S)
        for newcomer in (one, two):
            book.connected(newcomer, LATER_S)
        for bystander in (three, four):
            book.add(bystander, bystander.ip, LATER_S)
        if len(book.pending_tests()) == 2:
            book.expire_tests(LATER_S + TRIAL_TIME_S)
            pushed_out += not (book.has(one) and book.has(two))
    assert pushed_out


def test_a_bucket_with_room_needs_no_test() -> None:
    book = make_book(test_before_evict=True)
    (peer,) = spread(1)
    assert kinds(book.connected(peer, NOW_S)) == [DecisionKind.MOVED_TO_TRIED]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "connected", "dial_failed", "remove", "whitelist", "answer", "silence", "expire"]),
            st.integers(0, 11),
            st.sampled_from([0.0, 60.0, 3_000.0, 20_000.0]),
        ),
        max_size=60,
    )
)
def test_any_history_keeps_the_invariants(history: list[tuple[str, int, float]]) -> None:
    config = BookConfig(new_bucket_count=2, tried_bucket_count=1, bucket_size=2, test_before_evict=True)
    book: Book = CheckedBook(config, SECRET, Random(1))
    peers, now_s = spread(12), NOW_S
    for name, index, seconds in history:
        now_s += seconds
        peer = peers[index]
        if name == "add":
            book.add(peer, "66.1.1.1", now_s)
        elif name == "expire":
            book.expire_tests(now_s)
        elif name in ("answer", "silence"):
            for occupant in book.pending_tests()[:1]:
                assert table_of(book, occupant) is Table.TRIED
                (book.connected if name == "answer" else book.dial_failed)(occupant, now_s)
                assert table_of(book, occupant) is (Table.TRIED if name == "answer" else Table.NEW)
        else:
            getattr(book, name)(peer, now_s)
        assert len(book.pending_tests()) <= MAX_TRIALS
