"""Public addresses for simulated hosts: how many /16 somebody has addresses in is what net groups are about.

Every owner's /16 come from a stream of its own, so that one group more or less moves nobody else (unless two streams
hit the same /16, of which there are 50,000).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

FIRST_OCTETS: Final = tuple(octet for octet in range(1, 224) if octet not in {10, 100, 127, 169, 172, 192, 198, 203})
"""First octets of which every address is public (IANA's special ranges lie in the others)."""

HOSTS_PER_GROUP: Final = 65_000


def spread(count: int, groups: int, shape: str) -> list[int]:
    """How many of ``count`` addresses lie in each of ``groups``: alike, or by Zipf's law (the k-th: 1/k of the first).

    Every group gets one at least, as long as there are enough.
    """
    groups = min(groups, count)
    if shape == "even":
        return [count // groups + (index < count % groups) for index in range(groups)]
    weights = [1.0 / (index + 1) for index in range(groups)]
    rest = count - groups
    total = sum(weights)
    sizes = [1 + int(rest * weight / total) for weight in weights]
    for index in range(count - sum(sizes)):
        sizes[index % groups] += 1
    return sizes


class AddressBook:
    """Gives out addresses, each once. ``rng(owner)`` is the stream of an owner."""

    def __init__(self, rng: Callable[[str], Random]) -> None:
        self._rng = rng
        self._streams: dict[str, Random] = {}
        self._taken: set[int] = set()
        self.owners: dict[str, str] = {}
        """Who each address was given to."""

    def take(self, owner: str, count: int, *, slash16: int | None = None, shape: str = "even") -> list[str]:
        """``count`` addresses in ``slash16`` net groups of the owner's own (None: a net group for each).

        They go round the groups. Raises ValueError if they do not fit.
        """
        if count < 1:
            return []
        sizes = spread(count, count if slash16 is None else slash16, shape)
        if max(sizes) > HOSTS_PER_GROUP:
            raise ValueError(f"{count} addresses do not fit into {slash16} net groups")
        prefixes = [self._new_prefix(owner) for _ in sizes]
        rounds = (
            self._host(prefix, number)
            for number in range(max(sizes))
            for prefix, size in zip(prefixes, sizes, strict=True)
            if number < size
        )
        ips = list(rounds)
        self.owners.update(dict.fromkeys(ips, owner))
        return ips

    def _new_prefix(self, owner: str) -> int:
        rng = self._streams.get(owner)
        if rng is None:
            rng = self._streams[owner] = self._rng(owner)
        if len(self._taken) >= len(FIRST_OCTETS) * 200:
            raise ValueError("there are no net groups left")
        while True:
            prefix = (rng.choice(FIRST_OCTETS) << 8) | rng.randrange(256)
            if prefix not in self._taken:
                self._taken.add(prefix)
                return prefix

    @staticmethod
    def _host(prefix: int, number: int) -> str:
        # 257 is odd: the multiples are all different modulo 65,536, and spread over the /24 of the group.
        return str(ipaddress.IPv4Address((prefix << 16) | (((number + 1) * 257) % 65_536)))


def net_groups(ips: Sequence[str]) -> int:
    """In how many /16 these IPv4 addresses lie."""
    return len({ip.rsplit(".", 2)[0] for ip in ips})
