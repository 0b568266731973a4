"""What the tests of the peer book share: a book that checks itself after every call, and addresses to feed it."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from core.book import Book, BookConfig, EntryView, Table
from core.decisions import Decision, DecisionKind
from core.ids import Endpoint

NOW_S = 1_700_000_000.0
DAY_S = 86_400.0
SECRET = bytes(range(32))
PORT = 5001


class CheckedBook(Book):
    """A book that verifies all its invariants after every public call."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name.startswith("_") or name in ("check", "config", "changes") or not callable(value):
            return value

        def checked(*arguments: Any, **options: Any) -> Any:
            result = value(*arguments, **options)
            found = self.check()
            assert not found, (name, arguments, found[:5])
            return result

        return checked


def make_book(seed: int = 1, secret: bytes = SECRET, **options: Any) -> CheckedBook:
    return CheckedBook(BookConfig(**options), secret, Random(seed))


def one_bucket_book(seed: int = 1, size: int = 32, **options: Any) -> CheckedBook:
    """A book whose tables have one bucket each: everything collides."""
    return make_book(seed, new_bucket_count=1, tried_bucket_count=1, bucket_size=size, **options)


def unchecked_book(seed: int = 1, **options: Any) -> Book:
    """For thousands of calls: the test calls ``check()`` at the end itself."""
    return Book(BookConfig(**options), SECRET, Random(seed))


def at(ip: str, port: int = PORT) -> Endpoint:
    return Endpoint(ip, port)


def spread(count: int, first: int = 0) -> list[Endpoint]:
    """``count`` public endpoints, each in a /16 of its own (up to number 25,000)."""
    return [at(f"{20 + n // 250}.{n % 250}.7.9") for n in range(first, first + count)]


def in_group(count: int, group: str = "77.66") -> list[Endpoint]:
    """``count`` public endpoints of one /16."""
    return [at(f"{group}.{n // 250}.{1 + n % 250}") for n in range(count)]


def view(book: Book, endpoint: Endpoint) -> EntryView:
    found = book.get(endpoint)
    assert found is not None, f"{endpoint} is not known"
    return found


def table_of(book: Book, endpoint: Endpoint) -> Table | None:
    found = book.get(endpoint)
    return found.table if found is not None else None


def kinds(decisions: Iterable[Decision]) -> list[DecisionKind]:
    return [made.decision for made in decisions]


def named(decisions: Iterable[Decision]) -> list[tuple[str, str, str]]:
    """Decisions as (subject, decision, rule)."""
    return [(made.subject, made.decision.value, made.rule) for made in decisions]


def numbers(decision: Decision) -> dict[str, float]:
    return dict(decision.numbers)


def chi_square(observed: list[int], expected: list[float]) -> float:
    return sum((seen - wanted) ** 2 / wanted for seen, wanted in zip(observed, expected, strict=True))


def chi_square_bound(cells: int) -> float:
    """A value that chi-square with ``cells`` - 1 degrees of freedom exceeds about once in a million runs.

    Wilson and Hilferty's approximation; 4.75 is the normal quantile of 1 - 1e-6.
    """
    freedom = cells - 1
    return float(freedom * (1 - 2 / (9 * freedom) + 4.75 * (2 / (9 * freedom)) ** 0.5) ** 3)
