"""Keep-alive and latency of one connection."""

from __future__ import annotations

from random import Random

import pytest

from core.heartbeat import Heartbeat
from core.ids import Direction
from core.link_settings import LinkSettings
from tests.core.link_rig import Fixed


def heartbeat(direction: Direction, rng: Random | None = None) -> Heartbeat:
    return Heartbeat(direction, LinkSettings(), rng or Fixed(0.5))


def test_a_listener_beats_every_8_s_and_pings() -> None:
    beating = heartbeat(Direction.INBOUND)
    beating.start_heartbeat(100.0)
    assert (beating.beat_at, beating.ping_at, beating.silent_at()) == (108.0, 140.0, 120.0)
    assert beating.next_beat() == 108.0
    beating.beaten(108.5)
    assert beating.beat_at == 116.5


def test_an_opener_only_listens() -> None:
    beating = heartbeat(Direction.OUTBOUND)
    beating.start_heartbeat(100.0, 15.0)
    assert (beating.beat_at, beating.ping_at) == (None, None)
    assert beating.next_beat() == beating.silent_at() == 115.0
    beating.heard_at = 107.0
    assert beating.silent_at() == 122.0


def test_the_earliest_of_beat_ping_and_silence_is_next() -> None:
    beating = heartbeat(Direction.INBOUND, Fixed(0.0))
    beating.start_heartbeat(0.0)
    assert beating.next_beat() == 8.0
    beating.beaten(14.0)
    beating.heard_at = 14.0
    assert beating.next_beat() == 20.0 == beating.ping_at
    beating.pinged()
    assert beating.next_beat() == 22.0
    beating.beaten(30.0)
    assert beating.next_beat() == 34.0 == beating.silent_at()


def test_pings_are_20_to_60_s_apart_at_random() -> None:
    beating = heartbeat(Direction.INBOUND, Random(1))
    beating.start_heartbeat(0.0)
    pauses = []
    for _ in range(500):
        assert beating.ping_at is not None
        asked_at = beating.ping_at
        beating.pinged()
        assert beating.ping_at is None
        beating.ponged(0.1, asked_at + 0.1)
        pauses.append(beating.ping_at - asked_at - 0.1)
    assert all(20.0 <= pause <= 60.0 for pause in pauses)
    assert min(pauses) < 22.0
    assert max(pauses) > 58.0


@pytest.mark.parametrize(("round_trips_s", "latency_ms"), [([0.05], 50), ([0.05, 0.02, 0.2], 20), ([0.2, 0.1], 100)])
def test_latency_is_the_smallest_round_trip(round_trips_s: list[float], latency_ms: float) -> None:
    beating = heartbeat(Direction.INBOUND)
    assert beating.latency_ms is None
    for round_trip_s in round_trips_s:
        beating.measured(round_trip_s)
    assert beating.latency_ms == pytest.approx(latency_ms)
