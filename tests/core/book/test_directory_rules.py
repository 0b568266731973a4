"""LIP 0004, "Peer directory": one test for every row, named for its rule."""

from __future__ import annotations

import pytest

from core.book import BookConfig, Table
from core.decisions import DecisionKind
from core.netgroup import net_group
from tests.core.book.tools import (
    DAY_S,
    NOW_S,
    at,
    in_group,
    kinds,
    make_book,
    named,
    numbers,
    one_bucket_book,
    spread,
    table_of,
    view,
)

PEER = at("1.2.3.4")
SOURCE = "9.8.7.6"


def test_sizes_are_those_of_the_lip() -> None:
    config = BookConfig()
    assert (config.tried_bucket_count, config.new_bucket_count, config.bucket_size) == (64, 128, 32)
    assert config.new_max_age_s == 30 * DAY_S
    assert config.max_failures == 3


def test_lip_an_address_is_in_at_most_one_of_the_two_collections() -> None:
    book = make_book()
    book.add(PEER, SOURCE, NOW_S)
    assert book.counts() == (1, 0)
    book.connected(PEER, NOW_S)
    assert book.counts() == (0, 1)
    book.add(PEER, SOURCE, NOW_S)
    assert book.counts() == (0, 1)


def test_lip_an_advertised_address_goes_into_new() -> None:
    book = make_book()
    decisions = book.add(PEER, SOURCE, NOW_S)
    assert named(decisions) == [("1.2.3.4:5001", "added", "advertised")]
    assert decisions[0].source == "LIP 0004, Peer directory"
    assert decisions[0].at == NOW_S
    assert table_of(book, PEER) is Table.NEW


def test_lip_an_advertised_address_that_is_in_tried_stays_there() -> None:
    book = make_book()
    book.connected(PEER, NOW_S)
    assert book.add(PEER, SOURCE, NOW_S) == ()
    assert book.inbound_seen(PEER, NOW_S) == ()
    assert table_of(book, PEER) is Table.TRIED


def test_lip_an_inbound_connection_puts_its_address_into_new() -> None:
    book = make_book()
    decisions = book.inbound_seen(PEER, NOW_S)
    assert named(decisions) == [("1.2.3.4:5001", "added", "inbound_connection")]
    assert table_of(book, PEER) is Table.NEW
    assert view(book, PEER).source_group == net_group(PEER.ip)
    assert view(book, PEER).last_seen == NOW_S
    assert view(book, PEER).last_connected is None


def test_lip_an_outbound_handshake_moves_the_address_from_new_to_tried() -> None:
    book = make_book()
    book.add(PEER, SOURCE, NOW_S)
    decisions = book.connected(PEER, NOW_S + 5)
    assert named(decisions) == [("1.2.3.4:5001", "moved_to_tried", "outbound_success")]
    assert table_of(book, PEER) is Table.TRIED
    assert view(book, PEER).last_connected == NOW_S + 5


def test_lip_an_outbound_handshake_with_an_unknown_address_puts_it_into_tried() -> None:
    book = make_book()
    assert kinds(book.connected(PEER, NOW_S)) == [DecisionKind.MOVED_TO_TRIED]
    assert table_of(book, PEER) is Table.TRIED


def test_lip_an_outbound_handshake_sets_the_failure_count_to_0() -> None:
    book = make_book()
    book.connected(PEER, NOW_S)
    book.dial_failed(PEER, NOW_S)
    book.dial_failed(PEER, NOW_S)
    assert view(book, PEER).failures == 2
    assert book.connected(PEER, NOW_S) == ()
    assert view(book, PEER).failures == 0


def test_lip_tried_bucket_full_an_occupant_is_evicted_and_moved_to_new() -> None:
    book = one_bucket_book()
    peers = spread(33)
    for peer in peers[:32]:
        book.connected(peer, NOW_S)
    decisions = book.connected(peers[32], NOW_S)
    assert [made[1:] for made in named(decisions)] == [
        ("moved_to_new", "tried_bucket_full"),
        ("moved_to_tried", "outbound_success"),
    ]
    evicted = [peer for peer in peers if table_of(book, peer) is Table.NEW]
    assert [peer.peer_id for peer in evicted] == [decisions[0].subject]
    assert book.counts() == (1, 32)
    assert table_of(book, peers[32]) is Table.TRIED


def test_lip_an_evicted_tried_address_that_finds_its_new_bucket_full_evicts_there() -> None:
    book = one_bucket_book(size=2)
    old, young = spread(2, first=10)
    book.add(old, SOURCE, NOW_S - 40 * DAY_S)
    book.add(young, SOURCE, NOW_S)
    peers = spread(3)
    decisions = [book.connected(peer, NOW_S) for peer in peers][-1]
    assert [made[1:] for made in named(decisions)] == [
        ("moved_to_new", "tried_bucket_full"),
        ("evicted", "new_bucket_full_oldest"),
        ("moved_to_tried", "outbound_success"),
    ]
    assert decisions[1].subject == old.peer_id
    assert len(book) == 4


def test_lip_new_bucket_full_an_occupant_older_than_30_days_is_evicted_first() -> None:
    for seed in range(10):
        book = one_bucket_book(seed)
        peers = spread(33)
        book.add(peers[17], SOURCE, NOW_S - 30 * DAY_S - 1)
        for peer in peers[:32]:
            book.add(peer, SOURCE, NOW_S - 29 * DAY_S)
        decisions = book.add(peers[32], SOURCE, NOW_S)
        assert named(decisions) == [
            (peers[17].peer_id, "evicted", "new_bucket_full_oldest"),
            (peers[32].peer_id, "added", "advertised"),
        ]


def test_lip_new_bucket_full_the_oldest_goes_once_it_is_older_than_30_days() -> None:
    book = one_bucket_book()
    peers = spread(34)
    for n, peer in enumerate(peers[:32]):
        book.add(peer, SOURCE, NOW_S + n)
    first = book.add(peers[32], SOURCE, NOW_S + 30 * DAY_S + 0.5)
    assert named(first)[0] == (peers[0].peer_id, "evicted", "new_bucket_full_oldest")
    assert numbers(first[0])["age_s"] == 30 * DAY_S + 0.5
    assert numbers(first[0])["max_age_s"] == 30 * DAY_S
    second = book.add(peers[33], SOURCE, NOW_S + 30 * DAY_S + 1)
    assert named(second)[0][2] == "new_bucket_full_random", "exactly 30 days is not older than 30 days"


def test_lip_new_bucket_full_of_young_addresses_one_is_evicted_at_random() -> None:
    victims = set()
    for seed in range(40):
        book = one_bucket_book(seed)
        peers = spread(33)
        for peer in peers[:32]:
            book.add(peer, SOURCE, NOW_S)
        evicted, added = book.add(peers[32], SOURCE, NOW_S)
        assert (evicted.decision, evicted.rule) == (DecisionKind.EVICTED, "new_bucket_full_random")
        assert added.subject == peers[32].peer_id
        assert len(book) == 32
        victims.add(evicted.subject)
    assert len(victims) > 15


def test_lisk_option_an_occupant_of_new_is_old_after_1_day() -> None:
    book = one_bucket_book(new_max_age_s=DAY_S)
    peers = spread(33)
    for n, peer in enumerate(peers[:32]):
        book.add(peer, SOURCE, NOW_S + n)
    decisions = book.add(peers[32], SOURCE, NOW_S + DAY_S + 0.5)
    assert named(decisions)[0] == (peers[0].peer_id, "evicted", "new_bucket_full_oldest")


def test_lip_a_failed_dial_removes_an_address_of_new_at_once() -> None:
    book = make_book()
    book.add(PEER, SOURCE, NOW_S)
    decisions = book.dial_failed(PEER, NOW_S)
    assert named(decisions) == [("1.2.3.4:5001", "forgotten", "first_failure_in_new")]
    assert len(book) == 0
    assert kinds(book.add(PEER, SOURCE, NOW_S)) == [DecisionKind.ADDED], "it can be learned again"


def test_lip_the_third_consecutive_failure_moves_a_tried_address_to_new() -> None:
    book = make_book()
    book.connected(PEER, NOW_S)
    assert book.dial_failed(PEER, NOW_S) == ()
    assert book.dial_failed(PEER, NOW_S) == ()
    (decision,) = book.dial_failed(PEER, NOW_S)
    assert named([decision]) == [("1.2.3.4:5001", "moved_to_new", "consecutive_failures")]
    assert numbers(decision) == {"failures": 3, "limit": 3}
    assert table_of(book, PEER) is Table.NEW
    assert kinds(book.dial_failed(PEER, NOW_S)) == [DecisionKind.FORGOTTEN], "in new the next failure is the last"


def test_lip_failures_that_are_not_consecutive_do_not_demote() -> None:
    book = make_book()
    for _ in range(10):
        book.connected(PEER, NOW_S)
        book.dial_failed(PEER, NOW_S)
        book.dial_failed(PEER, NOW_S)
    assert table_of(book, PEER) is Table.TRIED


def test_lip_a_failed_dial_to_an_unknown_address_changes_nothing() -> None:
    book = make_book()
    assert book.dial_failed(PEER, NOW_S) == ()
    assert len(book) == 0


def test_lip_the_advertise_flag_is_remembered_and_the_address_never_given_to_anybody() -> None:
    book = make_book()
    book.inbound_seen(PEER, NOW_S, advertise=False)
    assert book.sample_for_getpeers() == ()
    book.connected(PEER, NOW_S)
    assert book.sample_for_getpeers() == ()
    assert view(book, PEER).advertise is False
    assert book.hidden() == 1


def test_lip_gossip_does_not_undo_the_wish_not_to_be_advertised() -> None:
    book = make_book()
    book.inbound_seen(PEER, NOW_S, advertise=False)
    book.add(PEER, SOURCE, NOW_S, advertise=True)
    assert book.sample_for_getpeers() == ()
    assert book.set_advertise(PEER, True)
    assert book.sample_for_getpeers() == (PEER,)
    assert book.set_advertise(at("5.5.5.5"), False) is False


def test_lip_the_advertise_flag_survives_eviction_from_tried() -> None:
    book = one_bucket_book(size=1)
    first, second = spread(2)
    book.inbound_seen(first, NOW_S, advertise=False)
    book.connected(first, NOW_S)
    book.connected(second, NOW_S)
    assert table_of(book, first) is Table.NEW
    assert book.sample_for_getpeers() == (second,)


def test_lip_the_source_group_is_kept_when_the_address_moves_between_the_collections() -> None:
    book = make_book()
    book.add(PEER, SOURCE, NOW_S)
    bucket = view(book, PEER).bucket
    book.connected(PEER, NOW_S)
    assert view(book, PEER).source_group == net_group(SOURCE)
    for _ in range(3):
        book.dial_failed(PEER, NOW_S)
    assert view(book, PEER).table is Table.NEW
    assert view(book, PEER).source_group == net_group(SOURCE)
    assert view(book, PEER).bucket == bucket, "back in the bucket of its source"


def test_lip_the_first_source_stays_the_source() -> None:
    """Or an attacker could drag addresses that others told us into buckets of his choice."""
    book = make_book()
    book.add(PEER, SOURCE, NOW_S)
    book.add(PEER, "66.77.88.99", NOW_S)
    book.inbound_seen(PEER, NOW_S)
    assert view(book, PEER).source_group == net_group(SOURCE)


def test_lip_buckets_do_not_depend_on_the_order_of_events() -> None:
    forwards, backwards = make_book(), make_book()
    peers = in_group(40)
    for peer in peers:
        forwards.add(peer, SOURCE, NOW_S)
    for peer in reversed(peers):
        backwards.add(peer, SOURCE, NOW_S)
    both = [peer for peer in peers if forwards.has(peer) and backwards.has(peer)]
    assert both
    assert all(view(forwards, peer).bucket == view(backwards, peer).bucket for peer in both)


def test_lip_a_banned_peer_is_removed_from_both_collections() -> None:
    book = make_book()
    book.add(PEER, SOURCE, NOW_S)
    book.connected(at("2.3.4.5"), NOW_S)
    assert named(book.remove_ip(PEER.ip, NOW_S)) == [("1.2.3.4:5001", "forgotten", "removed_on_ban")]
    assert kinds(book.remove(at("2.3.4.5"), NOW_S)) == [DecisionKind.FORGOTTEN]
    assert book.remove_ip(PEER.ip, NOW_S) == ()
    assert book.remove(PEER, NOW_S) == ()
    assert len(book) == 0


def test_lip_secret_the_same_secret_gives_the_same_buckets_after_a_restart() -> None:
    peers = spread(50)
    books = [make_book(seed) for seed in (1, 2)]
    for book in books:
        for peer in peers:
            book.add(peer, SOURCE, NOW_S)
    assert {e.endpoint: e.bucket for e in books[0].all()} == {e.endpoint: e.bucket for e in books[1].all()}
    other = make_book(secret=b"another secret of many bytes")
    other.add_many(peers, SOURCE, NOW_S)
    assert {e.endpoint: e.bucket for e in books[0].all()} != {e.endpoint: e.bucket for e in other.all()}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("new_bucket_count", 0),
        ("tried_bucket_count", 70_000),
        ("bucket_size", -1),
        ("max_failures", 0),
        ("new_max_age_s", 0.0),
        ("new_max_age_s", float("nan")),
        ("min_tried_to_weigh", -1),
    ],
)
def test_a_setting_that_cannot_work_says_so(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=option):
        make_book(**{option: value})
