"""The charts of a run: what is drawn from which records."""

from __future__ import annotations

import math

import pytest

from actors.simulation.figures import (
    bans,
    binomial,
    bucket_map,
    colour_of,
    degrees,
    held_rows,
    holders,
    messages,
    time_unit,
)
from actors.simulation.recorder import BanEvent, EvictionEvent
from actors.simulation.results import Buckets, Holders, MessageRecord, RunDetail
from core.ids import PeerId


def record(name: str, *arrivals: tuple[str, float, int]) -> MessageRecord:
    return MessageRecord(
        id=name, origin="a", at_s=1.0, size_bytes=10, population=4, copies={"b": 2},
        arrivals=[("a", 0.0, "a", 0), *((node, delay, "a", hops) for node, delay, hops in arrivals)],
    )  # fmt: skip


def detail(**changes: object) -> RunDetail:
    values: dict[str, object] = {
        "messages": [], "series": {}, "edges": [], "bans": [], "evictions": [], "story": [], "holders": [],
        "buckets": [], "degrees": [], "outbound": [], "owners": {}, "names": {},
    }  # fmt: skip
    return RunDetail(**(values | changes))  # type: ignore[arg-type]


def test_one_message_and_many() -> None:
    one = messages([record("m", ("b", 0.1, 1), ("c", 0.2, 2))], {})
    assert "first arrivals of message m at 2 nodes" in "".join(one)
    assert "Propagation by region" not in "".join(one)
    many = messages([record(f"m-{index}", ("b", 0.1 * index, 1)) for index in range(1, 10)], {"b": "EU", "c": "NA"})
    assert "9 messages: the median" in many[0]
    assert messages([], {}) == []


def test_regions_are_told_apart() -> None:
    drawn = "".join(messages([record("m", ("b", 0.1, 1), ("c", 0.2, 2))], {"b": "EU", "c": "NA"}))
    assert "Propagation by region" in drawn
    assert "100 / 100" in drawn
    assert "200 / 200" in drawn


def test_a_message_that_nobody_got_is_drawn_too() -> None:
    assert "first arrivals of message m at 0 nodes" in "".join(messages([record("m")], {}))


def test_degrees_stand_beside_the_binomial_law() -> None:
    drawn = degrees(detail(degrees=[4, 4, 6, 6], outbound=[2, 2, 3, 3]))
    assert "binomial law" in drawn
    assert "4 nodes with 2.50 outbound" in drawn
    assert degrees(detail(degrees=[1, 1], outbound=[1, 0])) == ""
    assert math.fsum(binomial(10, 0.3, hits) for hits in range(11)) == pytest.approx(1.0)
    assert (binomial(5, 0.0, 0), binomial(5, 1.0, 5), binomial(5, 0.5, 6)) == (1.0, 1.0, 0.0)


def test_bans_and_evictions_are_counted_up() -> None:
    drawn = bans(
        detail(
            bans=[BanEvent(1.0, "a", "1.1.1.1", 9.0, "x"), BanEvent(2.0, "a", "1.1.1.1", 0.0, "ended")],
            evictions=[EvictionEvent(3.0, "a", PeerId("1.1.1.1:1"), "inbound")],
        ),
        10.0,
        [(1.0, "something")],
    )
    assert len(drawn) == 2
    assert "bans imposed: 1 at the end" in drawn[0]
    assert "inbound, evicted: 1 at the end" in drawn[1]
    assert bans(detail(), 1.0, []) == []


def test_attackers_have_colours_of_their_own() -> None:
    owners = ["honest", "trap", "poison"]
    assert len({colour_of(owner, owners) for owner in owners}) == 3
    records = [
        Holders(at_s=at_s, node="v", outbound={"honest": 3, "trap": n}, inbound={}, tried={}, new={"poison": n})
        for at_s, n in ((0.0, 0), (60.0, 2))
    ]
    drawn = holders(records)
    assert len(drawn) == 3, "a place where nobody is has no chart"
    assert "trap: 2 at the end" in drawn[1]


def _held(at_s: float, outbound: dict[str, int], tried: dict[str, int]) -> Holders:
    return Holders(at_s=at_s, node="v", outbound=outbound, inbound={}, tried=tried, new={"honest": 3})


def test_what_attackers_hold_is_drawn_over_time_and_summed_up() -> None:
    records = [
        _held(0.0, {}, {"honest": 4}),
        _held(60.0, {"honest": 2, "siege": 2}, {"honest": 4}),
        _held(120.0, {"honest": 1, "siege": 2, "flood": 1}, {"honest": 3, "siege": 1}),
    ]
    share, *stacks = holders(records, [(60.0, "siege begins")])
    assert "What attackers hold of v" in share
    assert "outbound slots: 0.75 at the end" in share
    assert "tried addresses: 0.25 at the end" in share
    assert "inbound slots" not in share, "there never was any"
    assert all("siege begins" in one for one in (share, *stacks))
    assert held_rows(records) == [
        ("v", "outbound slots", 3, 4, 0.625, 0.75),
        ("v", "tried addresses", 1, 4, pytest.approx(1 / 12), 0.25),
    ]


def test_without_attackers_there_is_nothing_to_tell() -> None:
    records = [_held(0.0, {"honest": 1}, {"honest": 1})]
    assert held_rows(records) == []
    assert not holders(records)[0]


def test_a_bucket_shows_who_has_most_of_it() -> None:
    drawn = bucket_map(Buckets(node="v", table="tried", bucket_size=4, buckets=[{"honest": 1, "trap": 3}, {}]))
    assert "bucket 0: honest 1, trap 3 of 4" in drawn
    assert "4 addresses in 2 buckets of 4, 3 of attackers" in drawn


@pytest.mark.parametrize(("seconds", "unit"), [(60, "seconds"), (600, "minutes"), (86_400, "hours"), (864_000, "days")])
def test_long_times_are_in_long_units(seconds: float, unit: str) -> None:
    assert time_unit(seconds)[0] == unit
