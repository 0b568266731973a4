"""What a connection and an address take in a simulation, counted object by object: they may not grow unnoticed."""

from __future__ import annotations

import sys
from random import Random, random
from typing import Any, NamedTuple

import msgspec
import pytest

from core.book import Book, BookConfig
from core.ids import Endpoint
from scripts.benchmarks.footprint import Ledger, footprint, ledger_of, lines_of, size_of
from scripts.benchmarks.simulation import build

BYTES_PER_END = 1870
"""With CPython 3.11; docs/simulation.md, "Memory", says what it is made of. Other versions have other objects."""

BYTES_PER_ADDRESS = 80
"""In the peer book, if many books know the same addresses. Text and pair of an address are there once."""

BYTES_OF_ROOMS = 23_000
"""What the actors of a node take, with what they share, but without its peers and its book: tables of the 22
connections, one generator of random numbers (2.9 KB), the configuration."""

PARTS = {"end", "book", "pool", "server", "node", "host", "program", "common", "shared"}
SLACK = 1.0 if sys.version_info[:2] == (3, 11) else 1.2


class Counted(NamedTuple):
    """A small network, formed and at rest."""

    ledger: Ledger
    figures: dict[str, Any]


@pytest.fixture(scope="module")
def counted() -> Counted:
    sim, _ = build(24, known=30, seed=1)
    sim.start_all()
    sim.run_for(150.0)
    ledger = ledger_of(sim)
    return Counted(ledger, footprint(sim, ledger))


def test_a_connection_end_takes_no_more_than_is_stated(counted: Counted) -> None:
    assert counted.figures["ends_per_node"] >= 22
    assert 1000 < counted.figures["bytes_per_end"] <= BYTES_PER_END * SLACK


def test_the_rooms_of_a_node_take_no_more_than_is_stated(counted: Counted) -> None:
    parts = counted.figures["parts"]
    rooms = sum(parts[part] for part in ("pool", "server", "node", "host", "common"))
    assert 10_000 < rooms <= BYTES_OF_ROOMS * SLACK
    assert sum(line.count for line in lines_of(counted.ledger, "common") if line.kind == "Random") == 1
    for part in ("book", "pool", "server", "node", "host"):
        assert not [line for line in lines_of(counted.ledger, part) if line.kind in ("Random", "deque")]


def test_the_parts_are_all_there_and_add_up(counted: Counted) -> None:
    figures = counted.figures
    assert set(figures["parts"]) == PARTS
    assert sum(figures["parts"].values()) == pytest.approx(figures["bytes_per_node"])
    assert figures["known_per_node"] == 23
    lines = lines_of(counted.ledger, "end")
    assert sum(line.size_bytes for line in lines) == pytest.approx(figures["bytes_per_end"])
    assert {"Link", "End", "SimActorCell"} <= {line.kind for line in lines}


@pytest.mark.parametrize("kind", ["list", "dict", "set", "deque", "Random", "function", "generator"])
def test_a_connection_at_rest_has_no_container_of_its_own(counted: Counted, kind: str) -> None:
    # One in each of ten connections may just be doing something.
    assert sum(line.count for line in lines_of(counted.ledger, "end") if line.kind == kind) <= 0.1


def test_an_address_in_the_book_takes_no_more_than_is_stated() -> None:
    endpoints = [Endpoint(f"{20 + number // 250}.{number % 250}.7.9", 5001) for number in range(500)]
    books = [Book(BookConfig(max_weight_per_group=3), bytes(32), Random(number)) for number in range(3)]
    for book in books[:2]:
        for number, endpoint in enumerate(endpoints):
            book.add(endpoint, f"66.{number % 40}.1.1", 1_700_000_000.0 + number)
        for number, endpoint in enumerate(endpoints[::10]):
            book.connected(endpoint, 1_700_001_000.0 + number)
        assert len(book) == 500
        assert len(book.choose(5, 1_700_002_000.0).endpoints) == 5
    ledger = Ledger()
    for name, book in zip(("alice", "bob", "empty"), books, strict=True):
        ledger.fix((name, "book"), book)
    ledger.walk()
    sizes = ledger.by_owner()
    assert 50.0 < (sizes["alice", "book"] - sizes["empty", "book"]) / 500 <= BYTES_PER_ADDRESS * SLACK


def test_what_two_share_belongs_to_what_is_above_both() -> None:
    class Box:
        def __init__(self, *things: object) -> None:
            self.things = things

    of_both, of_one, of_all = ["both"], ["one"], ["all"]
    first, second, third = Box(of_both, of_one, of_all), Box(of_both, of_all), Box(of_all)
    ledger = Ledger()
    ledger.fix(("alice", "x/1"), first)
    ledger.fix(("alice", "x/2"), second)
    ledger.fix(("bob", "x/1"), third)
    ledger.walk()
    owners = {id(one): owner for owner, ones in ledger.objects().items() for one in ones}
    assert owners[id(of_one)] == ("alice", "x/1")
    assert owners[id(of_both)] == ("alice",)
    assert owners[id(of_all)] == ()
    assert owners[id(third)] == ("bob", "x/1")


def test_what_the_collector_is_not_told_of_counts_too() -> None:
    class Untracked(msgspec.Struct, gc=False):
        number: float
        text: str

    ledger = Ledger()
    ledger.fix(("alice", "x/1"), one := Untracked(random(), "x" * 100))
    ledger.walk()
    expected = sum(map(size_of, (one, one.number, one.text)))
    assert ledger.by_owner()["alice", "x/1"] == expected > size_of(one) + 100


def test_attributes_beside_an_object_count() -> None:
    class Plain:
        pass

    class Slotted:
        __slots__ = ("a", "b")

    plain, slotted = Plain(), Slotted()
    plain.a = plain.b = slotted.a = slotted.b = None  # type: ignore[attr-defined]
    assert size_of(slotted) == 48  # header of the collector, header of the object, two references
    assert size_of(plain) >= size_of(slotted) + 16
