"""Whom to send to and whom to ask, among the connected peers (LIP 0004, "Selection")."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from core.events import PeerInfo
from core.ids import Direction, PeerKind


def for_send(peers: Sequence[PeerInfo], limit: int, rng: Random) -> list[PeerInfo]:
    """Up to ``limit`` random peers, at least half of them outbound while there are enough; fixed peers always.

    An attacker can fill the inbound slots but not choose our outbound peers: the outbound half reaches honest ones.
    """
    fixed = [peer for peer in peers if peer.kind is PeerKind.FIXED]
    others = [peer for peer in peers if peer.kind is not PeerKind.FIXED]
    rng.shuffle(others)
    outbound = [peer for peer in others if peer.direction is Direction.OUTBOUND]
    inbound = [peer for peer in others if peer.direction is not Direction.OUTBOUND]
    room = max(0, limit - len(fixed))
    fixed_outbound = sum(peer.direction is Direction.OUTBOUND for peer in fixed)
    outbound_due = max(0, (limit + 1) // 2 - fixed_outbound)
    chosen = outbound[: min(outbound_due, room)]
    rest = outbound[len(chosen) :] + inbound
    rng.shuffle(rest)
    return fixed + chosen + rest[: room - len(chosen)]


def for_request(peers: Sequence[PeerInfo], rng: Random) -> PeerInfo | None:
    """A random peer, outbound ones first; None if there is no peer."""
    outbound = [peer for peer in peers if peer.direction is Direction.OUTBOUND]
    candidates = outbound or list(peers)
    return rng.choice(candidates) if candidates else None
