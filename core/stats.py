"""Adding up what the node's actors report, for ``get_network_stats``."""

from __future__ import annotations

from operator import add

import msgspec

from core.house_messages import (
    BookCounts,
    PeerTraffic,
    PoolCounts,
)
from core.messages import (
    NetworkStats,
)

TRAFFIC = PeerTraffic.__struct_fields__


class Stats:
    """Totals of one run. The keys are a closed set; lisk-p2p counts by names that remotes choose, without limit."""

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._pool = self._past = PoolCounts(0, 0, 0, 0, 0, 0, 0)
        self._book = BookCounts(0, 0, 0, 0, 0)
        self._traffic = [0] * len(TRAFFIC)

    def add_traffic(self, report: PeerTraffic) -> None:
        """What a peer counted since its last report."""
        self._traffic = list(map(add, self._traffic, msgspec.structs.astuple(report)))

    def set_pool(self, counts: PoolCounts) -> None:
        """The pool's figures."""
        self._pool = counts

    def on_pool_lost(self) -> None:
        """The pool has crashed, and nobody is connected: its successor counts from zero."""
        lost, past = self._pool, self._past
        self._past = PoolCounts(
            0,
            0,
            past.inbound_connects + lost.inbound_connects,
            past.outbound_connects + lost.outbound_connects,
            past.inbound_disconnects + lost.inbound_disconnects + lost.inbound_connected,
            past.outbound_disconnects + lost.outbound_disconnects + lost.outbound_connected,
            past.dials_failed + lost.dials_failed,
        )
        self._pool = PoolCounts(0, 0, 0, 0, 0, 0, 0)

    def set_book(self, counts: BookCounts) -> None:
        """The book's figures."""
        self._book = counts

    def snapshot(self, request_id: int) -> NetworkStats:
        """Everything, as the program sees it."""
        pool, past, book = self._pool, self._past, self._book
        traffic = dict(zip(TRAFFIC, self._traffic, strict=True))
        inbound_gone = past.inbound_disconnects + pool.inbound_disconnects
        outbound_gone = past.outbound_disconnects + pool.outbound_disconnects
        return NetworkStats(
            request_id=request_id,
            started_at=self._started_at,
            inbound_connected=pool.inbound_connected,
            outbound_connected=pool.outbound_connected,
            inbound_connects_total=past.inbound_connects + pool.inbound_connects,
            inbound_disconnects_total=inbound_gone,
            outbound_connects_total=past.outbound_connects + pool.outbound_connects,
            outbound_disconnects_total=outbound_gone,
            outbound_dials_failed_total=past.dials_failed + pool.dials_failed,
            banned_addresses=book.banned_addresses,
            bans_total=book.bans,
            errors_total=traffic["errors"],
            peers_discovered_total=book.discovered,
            peers_removed_total=inbound_gone + outbound_gone,
            messages_received_total=traffic["messages_received"],
            messages_sent_total=traffic["messages_sent"],
            messages_dropped_total=traffic["messages_dropped"],
            requests_received_total=traffic["requests_received"],
            requests_sent_total=traffic["requests_sent"],
            bytes_received_total=traffic["bytes_received"],
            bytes_sent_total=traffic["bytes_sent"],
            known_new_peers=book.new_peers,
            known_tried_peers=book.tried_peers,
        )
