"""Seeds by DNS name: what a name may look like, and which addresses it stands for at present.

Source: LIP 0004, "Static lists" (seeds are never banned); names are ours, lisk-p2p leaves resolving to its caller.
A name is the operator's word, so its addresses are trusted as seeds, but only as long as the name stands for them, and
only a bounded number of them: whoever answers for the name must not be able to lift the bans of half the internet.
Resolving itself is :mod:`actors.transport.resolver`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.empty import NO_NAMES
from core.ids import MAX_PORT, MIN_PORT, Endpoint
from core.netgroup import NetClass, address_info

MAX_NAME_CHARACTERS = 253
"""Longest host name in text (RFC 1123, section 2.1, asks for 255 octets as DNS counts them, lengths included)."""

MAX_ADDRESSES_PER_NAME = 16
"""Addresses of one name that are used. Bitcoin Core takes up to 32 of each DNS seed; those are crawlers' samples, ours
are the operator's own seeds."""

FRESH_S = 10.0
"""A name is not looked up again this soon after its last answer: a start and the first asking share one."""

STALE_S = 3600.0
"""An answer older than this is renewed even if nobody asks the seeds, so that trust follows the name."""

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


class SeedName(NamedTuple):
    """A seed as ``host.name:port``. The host is lower-case; a dot at its end (no search list) is kept."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> SeedName:
        """Read ``seed.example.org:5001``. Raises ValueError, saying what was expected."""
        host, separator, port = text.rpartition(":")
        if not separator or not _PORT.fullmatch(port):
            raise ValueError(f"expected host.name:port, got {text[:80]!r}")
        return cls.checked(host, int(port))

    @classmethod
    def checked(cls, host: str, port: int) -> SeedName:
        """Return the name in canonical form. Raises ValueError, saying what is wrong, if RFC 1123 does not allow it."""
        name = host.lower()
        labels = name.removesuffix(".").split(".")
        if not 1 <= len(name.removesuffix(".")) <= MAX_NAME_CHARACTERS:
            raise ValueError(f"expected a host name of 1 to {MAX_NAME_CHARACTERS} characters, got {len(host)}")
        if not all(_LABEL.fullmatch(label) for label in labels):
            raise ValueError(f"expected labels of 1 to 63 letters, digits and inner hyphens, got {host[:80]!r}")
        if labels[-1].isdigit():  # RFC 1123, section 2.1: only so can addresses and names be told apart
            raise ValueError(f"expected a host name, whose last label is not a number, got {host[:80]!r}")
        if not MIN_PORT <= port <= MAX_PORT:
            raise ValueError(f"expected a port from {MIN_PORT} to {MAX_PORT}, got {port}")
        return cls(name, port)


def usable_addresses(texts: Iterable[str]) -> tuple[str, ...]:
    """The addresses of an answer that can be dialled, in canonical text and its order, at most 16.

    What is no address is left out: whoever answers for the name decides what comes here.
    """
    found: dict[str, None] = {}
    for text in texts:
        try:
            info = address_info(text)
        except ValueError:
            continue  # "fe80::1%eth0", and whatever else a resolver may say
        if info.net_class is not NetClass.UNUSABLE:
            found[info.text] = None
        if len(found) == MAX_ADDRESSES_PER_NAME:
            break
    return tuple(found)


class SeedNames:
    """Which addresses the configured names stand for. Times are monotonic seconds.

    A name that cannot be resolved keeps the addresses it had: an outage of DNS must not cost the trust in the seeds.
    """

    __slots__ = ("_addresses", "_asked", "_hosts", "_names", "_resolved_at")

    def __init__(self, names: Sequence[SeedName]) -> None:
        self._names = tuple(names)
        self._hosts = tuple(dict.fromkeys(name.host for name in names))
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._resolved_at: dict[str, float] = {}
        self._asked = NO_NAMES

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints that the names stand for now, without repetitions."""
        found = (Endpoint(ip, name.port) for name in self._names for ip in self._addresses.get(name.host, ()))
        return tuple(dict.fromkeys(found))

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._asked)

    def to_resolve(self, now: float, older_than_s: float = FRESH_S) -> tuple[str, ...]:
        """The hosts to look up now; each is open until :meth:`resolved` or :meth:`failed`."""
        if not self._hosts:
            return ()
        due = tuple(
            host
            for host in self._hosts
            if host not in self._asked and now - self._resolved_at.get(host, float("-inf")) >= older_than_s
        )
        self._asked = self._asked.union(due) or NO_NAMES
        return due

    def resolved(self, host: str, addresses: Iterable[str], now: float) -> None:
        """These are its addresses from now on; none at all is a failure. A host that nobody asked for is ignored."""
        if host not in self._asked:
            return
        self._asked -= {host}
        usable = usable_addresses(addresses)
        if usable:
            self._addresses[host] = usable
            self._resolved_at[host] = now

    def failed(self, host: str) -> None:
        """It could not be looked up; it is due again whenever the seeds are asked."""
        self._asked -= {host}

    def lost(self) -> None:
        """Whoever was looking names up is gone: no answer will come."""
        self._asked = NO_NAMES
