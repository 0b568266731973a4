"""How many addresses one host may tell us: a token bucket for each source.

Bitcoin Core, PR #22387 (`src/net_processing.cpp`: 0.1 addresses a second, 1,000 more after our own question). Against
whoever pours made-up addresses into the book until the honest ones have been evicted from `new`: the bucket hash bounds
*where* one source group's addresses can land, this bounds how fast, so that a source group of many hosts needs days.

Lists are asked for here, never pushed, so the first ones fit the allowance: five full answers. After that the refill
counts: an address that is known costs nothing, and honest peers rarely have more than a few news in half a minute.
"""

from __future__ import annotations

MAX_SOURCES = 4096
"""Hosts remembered; whoever has told least recently is forgotten first. Only connected peers can tell anything, so an
attacker has to hold thousands of connections of ours, one after the other, to be forgotten and begin anew."""


class Intake:
    """Tokens of every source. ``rate_per_s`` 0: no limit. Times are monotonic seconds."""

    __slots__ = ("_allowance", "_rate_per_s", "_tokens")

    def __init__(self, rate_per_s: float, allowance: int) -> None:
        self._rate_per_s = rate_per_s
        self._allowance = float(allowance)
        self._tokens: dict[bytes, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def take(self, source: bytes, wanted: int, now: float) -> int:
        """How many of ``wanted`` unknown addresses may be taken from this source; they count as told."""
        if not self._rate_per_s or not wanted:
            return wanted
        tokens, at = self._tokens.pop(source, (self._allowance, now))
        tokens = min(self._allowance, tokens + max(0.0, now - at) * self._rate_per_s)
        granted = min(wanted, int(tokens))
        self._tokens[source] = (tokens - granted, now)
        if len(self._tokens) > MAX_SOURCES:
            del self._tokens[next(iter(self._tokens))]
        return granted
