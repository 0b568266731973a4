"""Whom to send to and whom to ask, among the connected peers (LIP 0004, "Selection")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

import msgspec

from core.draw import draw
from core.events import PeerInfo
from core.ids import Direction
from core.messages import (
    SendMessage,
    SendRequest,
)
from core.slots import P, Roles, Slot, Slots

SendRule = Callable[[tuple[PeerInfo, ...], int, SendMessage], Iterable[PeerInfo] | None]
"""(connected peers, limit, message) -> the peers to send to, or None: the node's own rule decides."""

RequestRule = Callable[[tuple[PeerInfo, ...], SendRequest], PeerInfo | None]
"""(connected peers, request) -> the peer to ask, or None: the node's own rule decides."""


def for_send(roles: Roles[P], limit: int, rng: Random) -> list[P]:
    """Up to ``limit`` random peers, at least half of them outbound while there are enough; fixed peers always.

    An attacker can fill the inbound slots but not choose our outbound peers: the outbound half reaches honest ones.
    """
    fixed, outbound = list(roles.fixed), list(roles.outbound)
    room = max(0, limit - len(fixed))
    outbound_due = max(0, (limit + 1) // 2 - sum([peer.direction is Direction.OUTBOUND for peer in fixed]))
    chosen = draw(outbound, min(outbound_due, room), rng)
    outbound += roles.inbound
    return fixed + chosen + draw(outbound, room - len(chosen), rng)


def for_request(peers: Sequence[PeerInfo], rng: Random) -> PeerInfo | None:
    """A random peer, outbound ones first; None if there is no peer."""
    outbound = [peer for peer in peers if peer.direction is Direction.OUTBOUND]
    candidates = outbound or list(peers)
    return rng.choice(candidates) if candidates else None


def _named(choice: object) -> str | None:
    """The peer id in what a rule returned, whatever that was."""
    if isinstance(choice, PeerInfo):
        return choice.peer_id
    return choice if isinstance(choice, str) else None


class Selection(msgspec.Struct, frozen=True):
    """The rules in force: an application's where it has any, else those of this module.

    What a rule of the application returns is taken only as far as it names connected peers: as PeerInfo, or by id.
    """

    send_rule: SendRule | None = None
    request_rule: RequestRule | None = None

    def slots_for_send(self, slots: Slots, limit: int, message: SendMessage, rng: Random) -> list[Slot]:
        """Whom to send a message to."""
        if self.send_rule is None:
            return for_send(slots.roles(), limit, rng)
        chosen = self.send_rule(tuple(slots.connected()), limit, message)
        if chosen is None:
            return for_send(slots.roles(), limit, rng)
        wanted = {_named(peer) for peer in chosen}
        connected = slots.connected_slots()
        return [slot for slot in connected if slot.info is not None and slot.info.peer_id in wanted]

    def peer_for_request(self, peers: Sequence[PeerInfo], request: SendRequest, rng: Random) -> PeerInfo | None:
        """Whom to ask; None if nobody is connected."""
        chosen = self.request_rule(tuple(peers), request) if self.request_rule is not None else None
        wanted = _named(chosen)
        named = (peer for peer in peers if peer.peer_id == wanted)
        return next(named, None) or for_request(peers, rng)


OWN_RULES = Selection()
