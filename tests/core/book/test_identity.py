"""What counts as one peer, and what a second port of a known address may do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.book import Identity, Table
from core.decisions import DecisionKind
from core.ids import Endpoint
from tests.core.book.tools import NOW_S, at, kinds, make_book, named, numbers, table_of, view

FIRST, SECOND = at("1.2.3.4", 5001), at("1.2.3.4", 5002)
SOURCE = "9.8.7.6"


def test_lip_one_entry_for_each_ip() -> None:
    book = make_book()
    book.add(FIRST, SOURCE, NOW_S)
    (decision,) = book.add(SECOND, SOURCE, NOW_S)
    assert (decision.decision, decision.rule) == (DecisionKind.REFUSED, "port_kept")
    assert numbers(decision) == {"known_port": 5001, "port": 5002}
    assert [entry.endpoint for entry in book.find_ip("1.2.3.4")] == [FIRST]


def test_gossip_never_changes_the_port_of_a_tried_address() -> None:
    book = make_book()
    book.connected(FIRST, NOW_S)
    book.add(SECOND, SOURCE, NOW_S)
    book.add_many([SECOND] * 5, "8.8.8.8", NOW_S)
    assert table_of(book, FIRST) is Table.TRIED
    assert not book.has(SECOND)


def test_a_nat_neighbour_cannot_redirect_a_tried_address() -> None:
    book = make_book()
    book.connected(FIRST, NOW_S)
    (decision,) = book.inbound_seen(SECOND, NOW_S, advertise=False)
    assert (decision.decision, decision.rule) == (DecisionKind.REFUSED, "port_kept")
    assert table_of(book, FIRST) is Table.TRIED
    assert view(book, FIRST).advertise, "nor hide it"


def test_the_host_itself_corrects_the_port_while_its_address_is_new() -> None:
    book = make_book()
    book.add(FIRST, SOURCE, NOW_S)
    (decision,) = book.inbound_seen(SECOND, NOW_S + 1)
    assert (decision.decision, decision.rule) == (DecisionKind.UPDATED, "port_announced")
    assert not book.has(FIRST)
    assert table_of(book, SECOND) is Table.NEW
    assert view(book, SECOND).last_seen == NOW_S + 1


def test_a_wrong_port_told_first_costs_one_failed_dial() -> None:
    book = make_book()
    book.add(FIRST, SOURCE, NOW_S)
    book.dial_failed(FIRST, NOW_S)
    assert kinds(book.add(SECOND, SOURCE, NOW_S)) == [DecisionKind.ADDED]


def test_our_own_handshake_changes_the_port() -> None:
    book = make_book()
    book.connected(FIRST, NOW_S)
    assert named(book.connected(SECOND, NOW_S)) == [("1.2.3.4:5002", "updated", "port_verified")]
    assert table_of(book, SECOND) is Table.TRIED
    assert not book.has(FIRST)
    book.add(at("5.6.7.8", 1), SOURCE, NOW_S)
    decisions = book.connected(at("5.6.7.8", 2), NOW_S)
    assert kinds(decisions) == [DecisionKind.UPDATED, DecisionKind.MOVED_TO_TRIED]


def test_a_failure_on_another_port_is_not_counted() -> None:
    book = make_book()
    book.connected(FIRST, NOW_S)
    for _ in range(5):
        assert book.dial_failed(SECOND, NOW_S) == ()
    assert view(book, FIRST).failures == 0
    assert book.remove(SECOND, NOW_S) == ()
    assert book.has(FIRST)


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_loopback_is_told_apart_by_port(ip: str) -> None:
    """Networks on one machine: 300 nodes on one address are 300 peers, and are not lost in one bucket."""
    book = make_book()
    nodes = [at(ip, 5000 + n) for n in range(300)]
    for node in nodes:
        book.add(node, ip, NOW_S)
    assert book.counts().new > 250
    for node in nodes:
        book.connected(node, NOW_S)
    assert book.counts().tried == 300
    book.remove(nodes[7], NOW_S)
    assert len(book.find_ip(ip)) == 299
    book.remove_ip(ip, NOW_S)
    assert len(book) == 0


def test_private_networks_are_exempt_by_option_only() -> None:
    strict, exempt = make_book(), make_book(private_networks_exempt=True)
    nodes = [at("10.0.0.5", 5000 + n) for n in range(3)]
    for book in (strict, exempt):
        book.add_many(nodes, "10.0.0.1", NOW_S)
    assert len(strict) == 1
    assert len(exempt) == 3


def test_lisk_option_one_entry_for_each_endpoint() -> None:
    book = make_book(identity=Identity.ENDPOINT)
    book.add_many([FIRST, SECOND], SOURCE, NOW_S)
    assert len(book) == 2
    book.connected(FIRST, NOW_S)
    assert (table_of(book, FIRST), table_of(book, SECOND)) == (Table.TRIED, Table.NEW)
    assert len(book.remove_ip("1.2.3.4", NOW_S)) == 2
    assert len(book) == 0


@pytest.mark.parametrize(
    "endpoint",
    [
        at("0.0.0.0"),
        at("224.0.0.1"),
        at("255.255.255.255"),
        at("::"),
        at("2002:7f00:1::1"),
        at("01.2.3.4"),
        at("2A01::1"),
        at("::ffff:1.2.3.4"),
        at("localhost"),
        at(""),
        at("x" * 100_000),
        at("1.2.3.4", 0),
        at("1.2.3.4", 65_536),
        at("1.2.3.4", -1),
    ],
    ids=lambda endpoint: f"{endpoint.ip[:20]}-{endpoint.port}",
)
def test_an_address_that_cannot_be_dialled_is_refused_everywhere(endpoint: Endpoint) -> None:
    book = make_book()
    for operation in (
        lambda: book.add(endpoint, None, NOW_S),
        lambda: book.connected(endpoint, NOW_S),
        lambda: book.whitelist(endpoint, NOW_S),
    ):
        (decision,) = operation()
        assert (decision.decision, decision.rule) == (DecisionKind.REFUSED, "address_unusable")
        assert len(decision.subject) < 80
    assert len(book) == 0


def test_an_unusable_port_does_not_replace_a_known_one() -> None:
    book = make_book()
    book.add(FIRST, SOURCE, NOW_S)
    for operation in (book.inbound_seen, book.connected):
        (decision,) = operation(at("1.2.3.4", 70_000), NOW_S)
        assert decision.rule == "address_unusable"
    assert book.has(FIRST)


@pytest.mark.parametrize(
    ("address", "source", "accepted"),
    [
        ("127.0.0.1", "8.8.8.8", False),
        ("127.0.0.1", "192.168.1.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("192.168.1.9", "8.8.8.8", False),
        ("192.168.1.9", "10.0.0.1", True),
        ("192.168.1.9", "127.0.0.1", True),
        ("1.2.3.4", "192.168.1.1", True),
        ("1.2.3.4", "127.0.0.1", True),
        ("127.0.0.1", None, True),
        ("::1", "2a01:4f8::1", False),
    ],
)
def test_nobody_makes_us_dial_our_own_machine_or_lan_from_outside(
    address: str, source: str | None, accepted: bool
) -> None:
    book = make_book()
    decisions = book.add(at(address), source, NOW_S)
    assert book.has(at(address)) is accepted
    if not accepted:
        assert [made.rule for made in decisions] == ["narrower_reach_than_source"]
    lax = make_book(refuse_narrower_reach=False)
    lax.add(at(address), source, NOW_S)
    assert lax.has(at(address))


def test_a_source_that_is_no_address_is_a_mistake_of_the_caller() -> None:
    book = make_book()
    with pytest.raises(ValueError, match="expected an IP address"):
        book.add(FIRST, "nonsense", NOW_S)
    assert len(book) == 0


SOME = st.builds(at, st.sampled_from(["20.1.1.1", "20.1.1.2", "127.0.0.1", "2a01:4f8::1"]), st.integers(1, 3))


@given(st.lists(SOME, max_size=6), st.lists(SOME, max_size=4), st.sampled_from(Identity))
def test_unknown_is_who_is_not_known_at_exactly_this_port(
    known: list[Endpoint], asked: list[Endpoint], identity: Identity
) -> None:
    book = make_book(identity=identity)
    for endpoint in known:
        book.add(endpoint, None, NOW_S)
    assert book.unknown(asked) == [endpoint for endpoint in asked if not book.has(endpoint)]
    everybody = [view.endpoint for view in book.all()]
    assert book.unknown(everybody) == []
    assert book.unknown([*everybody, *asked]) == book.unknown(asked)
