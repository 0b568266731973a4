"""Tables of connections: by direction and endpoint."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TypeVar

from core.ids import Direction, Endpoint

Key = tuple[Direction, Endpoint]

V = TypeVar("V")


class ByDirection(MutableMapping[Key, V]):
    """A mapping of (direction, endpoint), outbound ones first.

    Keeps a dictionary for each direction, by endpoints that exist anyway: a pair for each key would be 64 bytes more.
    """

    __slots__ = ("_inbound", "_outbound")

    def __init__(self) -> None:
        self._outbound: dict[Endpoint, V] = {}
        self._inbound: dict[Endpoint, V] = {}

    def of(self, direction: Direction) -> dict[Endpoint, V]:
        """Those of one direction, by endpoint, in the order in which they came."""
        return self._outbound if direction is Direction.OUTBOUND else self._inbound

    def __getitem__(self, key: Key) -> V:
        return self.of(key[0])[key[1]]

    def __setitem__(self, key: Key, value: V) -> None:
        self.of(key[0])[key[1]] = value

    def __delitem__(self, key: Key) -> None:
        del self.of(key[0])[key[1]]

    def __iter__(self) -> Iterator[Key]:
        for direction in (Direction.OUTBOUND, Direction.INBOUND):
            for endpoint in self.of(direction):
                yield direction, endpoint

    def __len__(self) -> int:
        return len(self._outbound) + len(self._inbound)
