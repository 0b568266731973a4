"""The peer book's tables under addresses, against closed forms: the node's own book, fed directly.

How many places an attacker with so many net groups and addresses gets, in an empty and in a full table, and what one
source can fill of `new` (LIP 0004, "Peer directory"). Test before evict is off here: the closed forms are the LIP's.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from actors.bases.sim_environment import derive_rng
from actors.simulation.library.experiment import Experiment, Samples, about, exactly, register
from actors.simulation.library.siege import HOSTILE_OCTETS, is_hostile
from core.book.book import Book
from core.book.config import BookConfig
from core.book.entry import Table
from core.ids import Endpoint
from core.measures.shares import places
from core.theory import buckets

TRIED_PLACES = 64 * 32
NEW_PLACES = 128 * 32
HONEST = 6000
"""Honest addresses in net groups of their own, of which 2,048 fill the tried table."""
PORT = 5001


def fresh_book(*names: int | str) -> Book:
    """An empty book with a secret of its own, by LIP 0004."""
    rng = derive_rng(*names)
    return Book(BookConfig(), rng.randbytes(32), rng)


def in_groups(rng: Random, groups: int, each: int, first: int = 1) -> list[str]:
    """Addresses in ``groups`` random net groups that no honest one is in, ``each`` of each, groups in turns."""
    taken = rng.sample(range(len(HOSTILE_OCTETS) * 256), groups)
    names = [f"{HOSTILE_OCTETS[group // 256]}.{group % 256}" for group in taken]
    return [f"{name}.{host // 250}.{host % 250 + 1}" for host in range(first, first + each) for name in names]


def honest_addresses(rng: Random, count: int) -> Iterator[str]:
    """Addresses in random net groups."""
    for _ in range(count):
        yield f"{rng.randrange(20, 100)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"


def stored(book: Book, table: Table) -> int:
    """How many entries one table has."""
    counts = book.counts()
    return counts.tried if table is Table.TRIED else counts.new


# ---- tried, empty ------------------------------------------------------------------------------------------------

_AMOUNTS = {32: 1.2, 64: 1.2, 96: 5.0, 128: 9.2, 160: 9.9, 192: 9.9, 512: 9.9}
"""Standard deviation of a run, by the number of addresses."""


def _one_group(seed: int) -> Samples:
    book = fresh_book("one group", seed)
    found = {}
    for number, ip in enumerate(in_groups(derive_rng("group", seed), 1, max(_AMOUNTS)), 1):
        book.connected(Endpoint(ip, PORT), float(number))
        if number in _AMOUNTS:
            found[f"tried-one-group-{number}"] = [float(stored(book, Table.TRIED))]
    found["tried-one-group-over-128"] = [float(stored(book, Table.TRIED) > 128)]
    return found


register(
    Experiment(
        "tried-one-group",
        "places of tried that so many addresses of one /16 get in an empty table",
        "mind",
        _one_group,
        (
            *(
                about(f"tried-one-group-{amount}", buckets.one_group_stored(amount), sd, "closed form", slack=1e-6)
                for amount, sd in _AMOUNTS.items()
            ),
            exactly("tried-one-group-over-128", 0.0, "LIP 0004: 4 buckets of 32 for a net group"),
        ),
        runs=200,
        quick_runs=20,
    )
)

# ---- tried, full -------------------------------------------------------------------------------------------------

_TAKEN_OVER = {(1, 128): 0.0026, (4, 128): 0.0082, (12, 256): 0.02, (37, 512): 0.0316}
"""Groups and addresses of each; the standard deviation of a run."""


def take_over(seed: int, groups: int, each: int, *, per_group: int | None = None) -> float:
    """The share of a full tried table that an attacker owns after all his addresses were connected once.

    ``per_group``: another number of buckets for a net group than the LIP's four, to see the rule fail.
    """
    book = fresh_book("full", seed, groups, each)
    rng = derive_rng("full", seed)
    for number, ip in enumerate(honest_addresses(rng, HONEST)):
        book.connected(Endpoint(ip, PORT), float(number))
    addresses = in_groups(rng, groups, each)
    rng.shuffle(addresses)
    for number, ip in enumerate(addresses):
        book.connected(Endpoint(ip, PORT), float(HONEST + number))
    return places(book.tried(), Table.TRIED, TRIED_PLACES, is_hostile).owned


def _taken_over(seed: int) -> Samples:
    return {f"tried-full-s{s}-t{t}": [take_over(seed, s, t)] for s, t in _TAKEN_OVER}


register(
    Experiment(
        "tried-full",
        "share of a full tried table that s net groups with t addresses each take over, every address connected once",
        "mind",
        _taken_over,
        tuple(
            about(f"tried-full-s{s}-t{t}", buckets.owned_of_full(s, t), sd, "closed form", slack=0.0005)
            for (s, t), sd in _TAKEN_OVER.items()
        ),
        runs=40,
        quick_runs=1,
    )
)

_MANY_GROUPS = {1: 0.0054, 12: 0.040, 37: 0.034}


def _coverage(seed: int) -> Samples:
    found = {}
    for groups in _MANY_GROUPS:
        book = fresh_book("coverage", seed, groups)
        rng = derive_rng("coverage", seed)
        for number, ip in enumerate(in_groups(rng, groups, 300)):
            book.connected(Endpoint(ip, PORT), float(number))
        found[f"tried-groups-{groups}"] = [stored(book, Table.TRIED) / TRIED_PLACES]
    return found


register(
    Experiment(
        "tried-groups",
        "share of tried that s net groups can fill, with 300 addresses each: 12 have half, 37 nine tenths",
        "mind",
        _coverage,
        tuple(
            about(f"tried-groups-{groups}", buckets.tried_coverage(groups), sd, "1 - (63/64)^(4s)", slack=0.0005)
            for groups, sd in _MANY_GROUPS.items()
        ),
        runs=60,
        quick_runs=3,
    )
)

# ---- new ---------------------------------------------------------------------------------------------------------

_ADVERTISED = {1: 0.0, 2: 9.0, 4: 16.5, 16: 41.3, 64: 29.9}


def _one_source(seed: int) -> Samples:
    found = {}
    for groups in _ADVERTISED:
        book = fresh_book("one source", seed, groups)
        addresses = in_groups(derive_rng("advertised", seed), groups, 96 if groups > 4 else 128)
        book.add_many((Endpoint(ip, PORT) for ip in addresses), "99.1.0.1", 0.0)
        found[f"new-one-source-g{groups}"] = [float(stored(book, Table.NEW))]
        found.setdefault("new-one-source-over-512", []).append(float(stored(book, Table.NEW) > 512))
    return found


register(
    Experiment(
        "new-one-source",
        "places of new that one source can fill with addresses of g net groups",
        "mind",
        _one_source,
        (
            *(
                about(f"new-one-source-g{groups}", buckets.new_from_one_source(groups), sd, "closed form", slack=0.1)
                for groups, sd in _ADVERTISED.items()
            ),
            exactly("new-one-source-over-512", 0.0, "LIP 0004: 16 buckets of 32 for a source group"),
        ),
        runs=150,
        quick_runs=8,
    )
)


def _sources(seed: int) -> Samples:
    found = {}
    for sources in (6, 19):
        book = fresh_book("sources", seed, sources)
        rng = derive_rng("sources", seed)
        addresses = [Endpoint(ip, PORT) for ip in in_groups(rng, 400, 3)]
        for number, source in enumerate(rng.sample(range(256), sources)):
            mine = [
                Endpoint(f"{it.ip.rpartition('.')[0]}.{number * 4 + k}", PORT) for it in addresses for k in range(3)
            ]
            book.add_many(mine, f"98.{source}.0.1", 0.0)
        found[f"new-sources-{sources}"] = [stored(book, Table.NEW) / NEW_PLACES]
    return found


register(
    Experiment(
        "new-sources",
        "share of new that so many source groups fill with addresses without limit: 6 have half, 19 nine tenths",
        "mind",
        _sources,
        tuple(
            about(f"new-sources-{sources}", buckets.new_coverage(sources), 0.022, "1 - (127/128)^(16s)", slack=0.002)
            for sources in (6, 19)
        ),
        runs=30,
        quick_runs=1,
    )
)
