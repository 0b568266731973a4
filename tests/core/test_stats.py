"""Adding up counters."""

from __future__ import annotations

from core.house_messages import (
    BookCounts,
    PeerTraffic,
    PoolCounts,
)
from core.messages import (
    NetworkStats,
)
from core.stats import Stats


def test_traffic_adds_up_and_counts_are_the_latest() -> None:
    stats = Stats(12.5)
    report = PeerTraffic(
        messages_received=1,
        messages_sent=2,
        messages_dropped=3,
        requests_received=4,
        requests_sent=5,
        bytes_received=6,
        bytes_sent=7,
        errors=8,
    )
    stats.add_traffic(report)
    stats.add_traffic(report)
    stats.set_pool(PoolCounts(9, 9, 9, 9, 9, 9, 9))
    stats.set_pool(PoolCounts(1, 2, 3, 4, 5, 6, 7))
    stats.set_book(BookCounts(10, 20, 30, 40, 50))
    assert stats.snapshot(77) == NetworkStats(
        request_id=77,
        started_at=12.5,
        inbound_connected=1,
        outbound_connected=2,
        inbound_connects_total=3,
        outbound_connects_total=4,
        inbound_disconnects_total=5,
        outbound_disconnects_total=6,
        outbound_dials_failed_total=7,
        banned_addresses=30,
        bans_total=40,
        errors_total=16,
        peers_discovered_total=50,
        peers_removed_total=11,
        messages_received_total=2,
        messages_sent_total=4,
        messages_dropped_total=6,
        requests_received_total=8,
        requests_sent_total=10,
        bytes_received_total=12,
        bytes_sent_total=14,
        known_new_peers=10,
        known_tried_peers=20,
    )


def test_every_counter_of_a_peer_is_added() -> None:
    """A counter that is new in PeerTraffic must not get lost."""
    for name in PeerTraffic.__struct_fields__:
        before, stats = Stats(0.0).snapshot(1), Stats(0.0)
        stats.add_traffic(PeerTraffic(**{name: 5}))
        assert stats.snapshot(1) != before, name


def test_what_a_crashed_pool_counted_is_not_lost_and_its_connections_are() -> None:
    stats = Stats(0.0)
    stats.set_pool(PoolCounts(2, 3, 10, 20, 8, 17, 5))
    stats.on_pool_lost()
    now = stats.snapshot(1)
    assert (now.inbound_connected, now.outbound_connected) == (0, 0)
    assert (now.inbound_disconnects_total, now.outbound_disconnects_total) == (10, 20)
    stats.set_pool(PoolCounts(1, 0, 1, 0, 0, 0, 1))
    now = stats.snapshot(2)
    assert (now.inbound_connected, now.inbound_connects_total, now.outbound_connects_total) == (1, 11, 20)
    assert (now.outbound_dials_failed_total, now.peers_removed_total) == (6, 30)
