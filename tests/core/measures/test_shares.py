"""What of slots and places is an attacker's."""

from __future__ import annotations

from random import Random

import pytest

from core.book.book import Book
from core.book.config import BookConfig
from core.book.entry import Table
from core.events import PeerInfo
from core.ids import Direction, Endpoint
from core.measures import shares


def is_attacker(ip: str) -> bool:
    return ip.startswith("66.")


def peer(ip: str, direction: Direction) -> PeerInfo:
    return PeerInfo(peer_id=Endpoint(ip, 1).peer_id, ip_address=ip, port=1, direction=direction)


def test_slots() -> None:
    out, into = Direction.OUTBOUND, Direction.INBOUND
    peers = [peer("66.1.0.1", out), peer("7.1.0.1", out), peer("66.2.0.1", into)]
    assert shares.held(peers, out, is_attacker) == (1, 2)
    assert shares.held(peers, into, is_attacker).share == 1.0
    assert shares.held([], into, is_attacker).share == 0.0


def test_places() -> None:
    book = Book(BookConfig(), b"secret 1", Random(1))
    for ip in ("66.1.0.1", "66.1.0.2", "7.1.0.1"):
        book.add(Endpoint(ip, 5001), "8.8.0.1", 0.0)
    book.connected(Endpoint("66.1.0.1", 5001), 1.0)
    found = shares.places(book.all(), Table.NEW, 4096, is_attacker)
    assert found == (1, 2, 4096)
    assert found.share == 0.5
    assert found.owned == 1 / 4096
    assert sum(shares.bucket_heights(book.all(), Table.NEW, 128)) == 2
    with pytest.raises(ValueError, match="capacity"):
        shares.places((), Table.NEW, 0, is_attacker)
