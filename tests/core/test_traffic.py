"""What went over one connection, as it is reported."""

from __future__ import annotations

from core.house_messages import (
    PeerTraffic,
)
from core.traffic import TrafficCount


def test_nothing_is_reported_when_nothing_happened() -> None:
    assert TrafficCount().take() is None


def test_each_count_is_reported_once() -> None:
    count = TrafficCount()
    count.messages_received += 2
    count.bytes_sent += 5
    assert count.take() == PeerTraffic(messages_received=2, bytes_sent=5)
    assert count.take() is None


def test_every_count_reaches_the_report() -> None:
    count = TrafficCount()
    for number, name in enumerate(PeerTraffic.__struct_fields__, start=1):
        setattr(count, name, number)
    report = count.take()
    assert report is not None
    assert [getattr(report, name) for name in report.__struct_fields__] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert count.take() is None
