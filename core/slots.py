"""Slots: who is connected or on the way, in either direction, and how many more there may be.

Keyed by endpoint and direction. Inbound and outbound sets are disjoint by policy (LIP 0004), not by this table: for the
moment in which two nodes dial each other both exist, and the pool ends one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from core.decisions import Rule
from core.events import PeerInfo
from core.ids import Direction, Endpoint, PeerKind, shared_peer_id
from core.netgroup import NetGroup, address_info, exempt_classes, host_key


class Farewell(NamedTuple):
    """The close of a connection was ordered: why, and whether it may take its time."""

    why: Rule
    in_peace: bool


class Slot(msgspec.Struct):
    """One connection. ``info`` is None until it is connected, ``farewell`` until its close was ordered. Of one that
    :class:`Slots` has, those are set through it.

    ``asked_at``: when it was last asked for its peers (monotonic seconds). ``actor``: the address of its peer's actor,
    once there is one. The pool's actor keeps it here, where every message finds it, instead of in a table of its own;
    nothing in ``core`` looks at it.
    """

    endpoint: Endpoint
    direction: Direction
    kind: PeerKind
    info: PeerInfo | None = None
    farewell: Farewell | None = None
    asked_at: float = 0.0
    actor: Any = None

    @property
    def leaving(self) -> bool:
        """Its close was ordered."""
        return self.farewell is not None


class Placed(Protocol):
    """A slot or what is known of its peer: what a message's selection asks of either."""

    @property
    def kind(self) -> PeerKind:
        """Trust."""

    @property
    def direction(self) -> Direction | None:
        """Who opened the connection."""


P = TypeVar("P", bound=Placed)


class Roles(NamedTuple, Generic[P]):
    """Connected peers by what a message's selection asks of them; the fixed ones are in no other."""

    fixed: tuple[P, ...]
    outbound: tuple[P, ...]
    inbound: tuple[P, ...]


def roles_of(peers: Sequence[P]) -> Roles[P]:
    """Sort them."""
    fixed_kind, outward = PeerKind.FIXED, Direction.OUTBOUND
    fixed: list[P] = []
    outbound: list[P] = []
    inbound: list[P] = []
    for peer in peers:
        if peer.kind is fixed_kind:
            fixed.append(peer)
        elif peer.direction is outward:
            outbound.append(peer)
        else:
            inbound.append(peer)
    return Roles(tuple(fixed), tuple(outbound), tuple(inbound))


_OUTBOUND, _SEED = Direction.OUTBOUND, PeerKind.SEED
"""A lookup in an enumeration takes longer than all else of finding a slot."""

GUESTS = frozenset((PeerKind.SEED, PeerKind.FEELER))
"""Whoever is dialled as one takes no slot from a peer of the network."""


class Tally(msgspec.Struct, gc=False):
    """How many slots of one direction there are that are not leaving. For looking only."""

    staying: int = 0
    """All of them, connected or on the way."""
    guests: int = 0
    connected: int = 0
    seeds: int = 0
    """Those of the connected ones."""


class Slots:
    """All connections of a node, by direction and endpoint.

    Counted as they come and go, not when somebody asks: the pool asks at each of its appointments, and with each
    connection, when nearly always none or one of 40 has changed, and each of those is another place in memory.
    """

    __slots__ = ("_inbound", "_outbound", "_roles", "inbound_tally", "outbound_changes", "outbound_tally")

    def __init__(self) -> None:
        self._outbound: dict[Endpoint, Slot] = {}
        self._inbound: dict[Endpoint, Slot] = {}
        self.outbound_tally = Tally()
        self.inbound_tally = Tally()
        self._roles: Roles[Slot] | None = None  # of the connected peers, until they are others
        self.outbound_changes = 0
        """How often the outbound peers that are connected and not leaving have become others."""

    def __iter__(self) -> Iterator[Slot]:
        yield from self._outbound.values()
        yield from self._inbound.values()

    def __len__(self) -> int:
        return len(self._outbound) + len(self._inbound)

    def _of(self, direction: Direction) -> dict[Endpoint, Slot]:
        return self._outbound if direction is _OUTBOUND else self._inbound

    def add(self, slot: Slot) -> None:
        """Take a slot; there must be none for this endpoint and direction."""
        table = self._of(slot.direction)
        if slot.endpoint in table:
            raise ValueError(f"{slot.endpoint.peer_id} has an {slot.direction.value} slot already")
        table[slot.endpoint] = slot
        self._count(slot, 1)

    def get(self, endpoint: Endpoint, direction: Direction) -> Slot | None:
        """The slot, if there is one."""
        # By far the most frequent question: without _of()
        return (self._outbound if direction is _OUTBOUND else self._inbound).get(endpoint)

    def pop(self, endpoint: Endpoint, direction: Direction) -> Slot | None:
        """Free the slot and return it, if there is one."""
        slot = self._of(direction).pop(endpoint, None)
        if slot is not None:
            self._count(slot, -1)
        return slot

    def connect(self, slot: Slot, info: PeerInfo) -> None:
        """It is connected."""
        self._count(slot, -1)
        slot.info = info
        self._count(slot, 1)

    def update(self, slot: Slot, info: PeerInfo) -> None:
        """Something of its peer has changed, who is connected already."""
        slot.info = info

    def leave(self, slot: Slot, why: Rule, *, in_peace: bool) -> None:
        """Its close was ordered."""
        self._count(slot, -1)
        slot.farewell = Farewell(why, in_peace)

    def set_actor(self, endpoint: Endpoint, direction: Direction, actor: Any) -> None:
        """This is the address of its peer's actor. Raises KeyError if there is no such slot."""
        self._of(direction)[endpoint].actor = actor

    def _count(self, slot: Slot, by: int) -> None:
        """It has come (1), or goes (-1), as it is now."""
        if slot.farewell is not None:
            return
        kind, is_outbound = slot.kind, slot.direction is _OUTBOUND
        tally = self.outbound_tally if is_outbound else self.inbound_tally
        tally.staying += by
        if kind in GUESTS:
            tally.guests += by
        if slot.info is not None:
            tally.connected += by
            tally.seeds += by if kind is _SEED else 0
            self.outbound_changes += is_outbound
            self._roles = None

    def is_busy(self, endpoint: Endpoint) -> bool:
        """Whether there is a connection, or one on its way, in either direction."""
        return endpoint in self._outbound or endpoint in self._inbound

    def of(self, direction: Direction) -> list[Slot]:
        """All slots of one direction that are not leaving, in the order they were taken."""
        return [slot for slot in self._of(direction).values() if slot.farewell is None]

    def connected(self) -> list[PeerInfo]:
        """Every connected peer that is not leaving, outbound first."""
        return [slot.info for slot in self.connected_slots() if slot.info is not None]

    def connected_slots(self) -> list[Slot]:
        """The slots of the same, in the same order."""
        slots = (*self._outbound.values(), *self._inbound.values())
        return [slot for slot in slots if slot.info is not None and slot.farewell is None]

    def roles(self) -> Roles[Slot]:
        """The same, sorted. Kept: a network's messages come more often than its connections change."""
        roles = self._roles
        if roles is None:
            roles = self._roles = roles_of(self.connected_slots())
        return roles

    def connected_by_id(self, peer_id: str) -> Slot | None:
        """The connected slot of this peer, outbound first."""
        try:
            endpoint = Endpoint.parse(peer_id)
        except ValueError:
            return None
        if shared_peer_id(endpoint) != peer_id:
            return None  # another spelling of an id is none
        for slot in (self._outbound.get(endpoint), self._inbound.get(endpoint)):
            if slot is not None and slot.info is not None and slot.farewell is None:
                return slot
        return None

    def endpoints(self) -> set[Endpoint]:
        """Every endpoint in use."""
        return {*self._inbound, *self._outbound}

    def ips(self) -> frozenset[str]:
        """Every address in use, in either direction."""
        return frozenset([endpoint.ip for endpoint in (*self._inbound, *self._outbound)])

    def outbound_groups(self, private_too: bool = False) -> Counter[bytes]:
        """How many outbound connections each net group has, without those of addresses exempt from group limits.

        ``private_too``: private addresses are exempt as loopback is.
        """
        exempt = exempt_classes(private_too)
        infos = [address_info(endpoint.ip) for endpoint in self._outbound]
        return Counter([info.group for info in infos if info.net_class not in exempt])

    def outbound_of_group(self, group: NetGroup) -> int:
        """How many outbound connections a net group has, exempt or not."""
        return [address_info(endpoint.ip).group for endpoint in self._outbound].count(group)

    def inbound_of_host(self, ip: str) -> int:
        """How many inbound connections that are not leaving come from this address (IPv6: from its /64)."""
        inbound = self._inbound
        if ":" in ip:
            host = host_key(ip)
            same = [endpoint for endpoint in inbound if host_key(endpoint.ip) == host]
        else:  # An IPv4 address has one spelling: no need to take apart those of a hundred peers for each newcomer.
            same = [endpoint for endpoint in inbound if endpoint.ip == ip]
        return sum([inbound[endpoint].farewell is None for endpoint in same])
