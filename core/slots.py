"""Slots: who is connected or on the way, in either direction, and how many more there may be.

Keyed by endpoint and direction. Inbound and outbound sets are disjoint by policy (LIP 0004), not by this table: for the
moment in which two nodes dial each other both exist, and the pool ends one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from core.by_direction import ByDirection
from core.decisions import Rule
from core.events import PeerInfo
from core.ids import Direction, Endpoint, PeerKind, shared_peer_id
from core.netgroup import host_key, is_exempt, net_group


class Farewell(NamedTuple):
    """The close of a connection was ordered: why, and whether it may take its time."""

    why: Rule
    in_peace: bool


class Slot(msgspec.Struct, gc=False):
    """One connection. ``info`` is None until it is connected, ``farewell`` until its close was ordered. Of one that
    :class:`Slots` has, those are set through it.

    ``asked_at``: when it was last asked for its peers (monotonic seconds).
    """

    endpoint: Endpoint
    direction: Direction
    kind: PeerKind
    info: PeerInfo | None = None
    farewell: Farewell | None = None
    asked_at: float = 0.0

    @property
    def leaving(self) -> bool:
        """Its close was ordered."""
        return self.farewell is not None


class Roles(NamedTuple):
    """Connected peers by what a message's selection asks of them; the fixed ones are in no other."""

    fixed: tuple[PeerInfo, ...]
    outbound: tuple[PeerInfo, ...]
    inbound: tuple[PeerInfo, ...]


def roles_of(peers: Sequence[PeerInfo]) -> Roles:
    """Sort them."""
    fixed_kind, outward = PeerKind.FIXED, Direction.OUTBOUND
    fixed: list[PeerInfo] = []
    outbound: list[PeerInfo] = []
    inbound: list[PeerInfo] = []
    for peer in peers:
        if peer.kind is fixed_kind:
            fixed.append(peer)
        elif peer.direction is outward:
            outbound.append(peer)
        else:
            inbound.append(peer)
    return Roles(tuple(fixed), tuple(outbound), tuple(inbound))


GUESTS = frozenset((PeerKind.SEED, PeerKind.FEELER))
"""Whoever is dialled as one takes no slot from a peer of the network."""


class OutboundUse(NamedTuple):
    """What the outbound slots that are not leaving are used for."""

    filled: int
    """By others than guests, connected or on the way."""
    connected: int
    seeds: tuple[Slot, ...]
    """Those of the connected ones."""


class Slots:
    """All connections of a node, by direction and endpoint."""

    def __init__(self) -> None:
        self._table: ByDirection[Slot] = ByDirection()
        self._roles: Roles | None = None  # of the connected peers, until something of them changes
        self._outbound: OutboundUse | None = None  # the same

    def __iter__(self) -> Iterator[Slot]:
        yield from self._table.of(Direction.OUTBOUND).values()
        yield from self._table.of(Direction.INBOUND).values()

    def __len__(self) -> int:
        return len(self._table)

    def add(self, slot: Slot) -> None:
        """Take a slot; there must be none for this endpoint and direction."""
        table = self._table.of(slot.direction)
        if slot.endpoint in table:
            raise ValueError(f"{slot.endpoint.peer_id} has an {slot.direction.value} slot already")
        table[slot.endpoint] = slot
        self._roles = self._outbound = None

    def get(self, endpoint: Endpoint, direction: Direction) -> Slot | None:
        """The slot, if there is one."""
        return self._table.of(direction).get(endpoint)

    def pop(self, endpoint: Endpoint, direction: Direction) -> Slot | None:
        """Free the slot and return it, if there is one."""
        self._roles = self._outbound = None
        return self._table.of(direction).pop(endpoint, None)

    def connect(self, slot: Slot, info: PeerInfo) -> None:
        """It is connected."""
        slot.info = info
        self._roles = self._outbound = None

    def update(self, slot: Slot, info: PeerInfo) -> None:
        """Something of its peer has changed."""
        slot.info = info
        self._roles = None

    def leave(self, slot: Slot, why: Rule, *, in_peace: bool) -> None:
        """Its close was ordered."""
        slot.farewell = Farewell(why, in_peace)
        self._roles = self._outbound = None

    def is_busy(self, endpoint: Endpoint) -> bool:
        """Whether there is a connection, or one on its way, in either direction."""
        return endpoint in self._table.of(Direction.OUTBOUND) or endpoint in self._table.of(Direction.INBOUND)

    def of(self, direction: Direction) -> list[Slot]:
        """All slots of one direction that are not leaving, in the order they were taken."""
        return [slot for slot in self._table.of(direction).values() if slot.farewell is None]

    def connected(self) -> list[PeerInfo]:
        """Every connected peer that is not leaving, outbound first."""
        return self.connected_of(Direction.OUTBOUND) + self.connected_of(Direction.INBOUND)

    def roles(self) -> Roles:
        """The same, sorted. Kept: a network's messages come more often than its connections change, and a look at 40
        peers are as many places in memory."""
        roles = self._roles
        if roles is None:
            roles = self._roles = roles_of(self.connected())
        return roles

    def outbound_use(self) -> OutboundUse:
        """Kept as :meth:`roles` are: every populator's interval asks, and nearly always nothing has changed."""
        use = self._outbound
        if use is None:
            slots = self.of(Direction.OUTBOUND)
            connected = [slot for slot in slots if slot.info is not None]
            seeds = tuple([slot for slot in connected if slot.kind is PeerKind.SEED])
            filled = sum([slot.kind not in GUESTS for slot in slots])
            use = self._outbound = OutboundUse(filled, len(connected), seeds)
        return use

    def connected_of(self, direction: Direction) -> list[PeerInfo]:
        """Those of one direction."""
        slots = self._table.of(direction).values()
        return [slot.info for slot in slots if slot.info is not None and slot.farewell is None]

    def connected_by_id(self, peer_id: str) -> Slot | None:
        """The connected slot of this peer, outbound first."""
        try:
            endpoint = Endpoint.parse(peer_id)
        except ValueError:
            return None
        if shared_peer_id(endpoint) != peer_id:
            return None  # another spelling of an id is none
        for direction in (Direction.OUTBOUND, Direction.INBOUND):
            slot = self._table.of(direction).get(endpoint)
            if slot is not None and slot.info is not None and slot.farewell is None:
                return slot
        return None

    def endpoints(self) -> set[Endpoint]:
        """Every endpoint in use."""
        return {*self._table.of(Direction.INBOUND), *self._table.of(Direction.OUTBOUND)}

    def ips(self) -> set[str]:
        """Every address in use, in either direction."""
        return {endpoint.ip for endpoint in self.endpoints()}

    def outbound_groups(self, private_too: bool = False) -> Counter[bytes]:
        """How many outbound connections each net group has, without those of addresses exempt from group limits.

        ``private_too``: private addresses are exempt as loopback is.
        """
        outbound = self._table.of(Direction.OUTBOUND)
        return Counter(net_group(endpoint.ip) for endpoint in outbound if not is_exempt(endpoint.ip, private_too))

    def inbound_of_host(self, ip: str) -> int:
        """How many inbound connections that are not leaving come from this address (IPv6: from its /64)."""
        host = host_key(ip)
        return sum(host_key(slot.endpoint.ip) == host for slot in self.of(Direction.INBOUND))
