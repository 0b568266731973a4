"""Whom to drop when the inbound limit is reached: one pure function (LIP 0004, "Inbound eviction").

As in Bitcoin Core: some peers are protected by each of several qualities that an attacker cannot have all at once,
then the victim is taken from the rest. The fractions are lisk-p2p's, and so is their rounding up, with two bounds that
matter in small tables only, where rounding up would protect everybody and so close the node to every newcomer for ever
(with fewer than about ten peers, by the default ratios): the first three qualities protect half of the candidates at
most, unless the ratios themselves add up to more, and a ratio below 1 leaves at least one of those it is applied to.
"""

from __future__ import annotations

import enum
import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, NamedTuple

import msgspec

from core import rules
from core.decisions import Decision, DecisionKind, Decisions, Rule, decided
from core.events import PeerInfo
from core.ids import PeerKind
from core.netgroup import net_group

_SPARED = DecisionKind.PROTECTED

NEVER_EVICTED = frozenset({PeerKind.FIXED, PeerKind.WHITELISTED})


class ProtectionRatios(msgspec.Struct, frozen=True):
    """Fractions of the candidates that each quality protects; longevity's is of those that remain after the others."""

    net_group: float = 0.034
    latency: float = 0.068
    productivity: float = 0.068
    longevity: float = 0.5


class VictimRule(enum.Enum):
    """Who of the unprotected goes. Values are those of the option ``inbound_victim``."""

    YOUNGEST_OF_LARGEST_GROUP = "youngest-of-largest-group"
    """Bitcoin Core's last step: a flood comes from few groups, and its newest member has done the least."""
    RANDOM = "random"
    """lisk-p2p's. Loses 41 of 100 honest peers to a plain flood where the other loses 1 to 5 (simulated)."""


NO_PROTECTION = ProtectionRatios(0.0, 0.0, 0.0, 0.0)


class Verdict(NamedTuple):
    """Who has to go (None: nobody may), and why: the rule, the numbers compared, and a record of who was spared."""

    victim: PeerInfo | None
    rule: Rule
    numbers: tuple[tuple[str, float], ...]
    protected: Decisions


def select_victim(
    peers: Sequence[PeerInfo],
    ratios: ProtectionRatios,
    secret: bytes,
    rng: Random,
    rule: VictimRule = VictimRule.YOUNGEST_OF_LARGEST_GROUP,
) -> PeerInfo | None:
    """The inbound peer to evict, or None if nobody may be (the newcomer is then refused); :func:`judge` says why."""
    return judge(peers, ratios, secret, rng, rule).victim


def judge(
    peers: Sequence[PeerInfo],
    ratios: ProtectionRatios,
    secret: bytes,
    rng: Random,
    rule: VictimRule = VictimRule.YOUNGEST_OF_LARGEST_GROUP,
) -> Verdict:
    """Choose the inbound peer to evict, and tell every other one apart that a quality of its own has spared.

    ``secret`` keys the order of net groups, so that an attacker cannot know which groups are protected.
    """
    left = [peer for peer in peers if peer.kind not in NEVER_EVICTED]
    spared = [decided(peer.peer_id, _SPARED, rules.PROTECTED_STATIC) for peer in peers if peer.kind in NEVER_EVICTED]
    rng.shuffle(left)  # ties are broken at random
    for quality, count in zip(_qualities(secret), _protected_counts(len(left), ratios), strict=True):
        left = _protect(left, count, quality, spared)
    # An attacker must have come early; counted from this connection, not from when the address was first heard of.
    left = _protect(left, _share(len(left), ratios.longevity), _LONGEVITY, spared)
    if rule is VictimRule.RANDOM:
        # Drawn anew: their order has been used up where equals were protected, of whom the first ones are gone.
        victim = rng.choice(left) if left else None
        return Verdict(victim, rules.RANDOM_VICTIM, (("unprotected", len(left)),), tuple(spared))
    victim, group_size = _youngest_of_largest_group(left)
    numbers = (("group_size", group_size), ("unprotected", len(left)))
    return Verdict(victim, rules.YOUNGEST_OF_LARGEST_GROUP, numbers, tuple(spared))


class Quality(NamedTuple):
    """How bad a peer is, whether it can be protected for this at all, and what a record says of it."""

    rule: Rule
    badness: Callable[[PeerInfo], Any]
    eligible: Callable[[PeerInfo], bool]
    figure: Callable[[PeerInfo], tuple[tuple[str, float], ...]]


def _qualities(secret: bytes) -> tuple[Quality, ...]:
    return (
        # An attacker cannot predict which groups the key favours, and must hold addresses in them.
        Quality(rules.PROTECTED_NET_GROUP, lambda peer: _keyed_group(peer, secret), _always, lambda _: ()),
        # An attacker cannot be nearer than it is. Who was not measured yet counts as worst: a flood of newcomers is
        # not protected (in lisk-p2p they start at latency 0, the best).
        Quality(
            rules.PROTECTED_LATENCY,
            lambda peer: peer.latency_ms or 0.0,
            _measured,
            lambda peer: (("latency_ms", peer.latency_ms or 0.0),),
        ),
        # An attacker must do useful work: answer what we ask.
        Quality(
            rules.PROTECTED_PRODUCTIVITY,
            lambda peer: -(peer.response_rate or 0.0),
            _answered_something,
            lambda peer: (("response_rate", peer.response_rate or 0.0),),
        ),
    )


def _protected_counts(candidates: int, ratios: ProtectionRatios) -> list[int]:
    """How many peers each of the three qualities protects; see the module for the bounds."""
    wanted = (ratios.net_group, ratios.latency, ratios.productivity)
    left = math.floor(candidates * min(1.0, max(0.5, sum(wanted))))
    counts = []
    for ratio in wanted:
        counts.append(min(math.ceil(candidates * ratio), left))
        left -= counts[-1]
    return counts


def _share(count: int, ratio: float) -> int:
    return count if ratio >= 1 else min(math.ceil(count * ratio), max(0, count - 1))


def _protect(peers: list[PeerInfo], count: int, quality: Quality, spared: list[Decision]) -> list[PeerInfo]:
    """Take the best ``count`` of the eligible peers out of the list, with a record of each; return the others."""
    ranked = sorted(filter(quality.eligible, peers), key=quality.badness)[:count]
    for rank, peer in enumerate(ranked, 1):
        numbers = (*quality.figure(peer), ("rank", rank), ("protected", count))
        spared.append(decided(peer.peer_id, _SPARED, quality.rule, *numbers))
    protected = {peer.peer_id for peer in ranked}
    return [peer for peer in peers if peer.peer_id not in protected]


def _keyed_group(peer: PeerInfo, secret: bytes) -> bytes:
    return hashlib.sha256(secret + net_group(peer.ip_address)).digest()


def _connected_at(peer: PeerInfo) -> float:
    return math.inf if peer.connected_at is None else peer.connected_at


def _always(peer: PeerInfo) -> bool:
    return True


def _measured(peer: PeerInfo) -> bool:
    return peer.latency_ms is not None


def _answered_something(peer: PeerInfo) -> bool:
    return bool(peer.response_rate)


_LONGEVITY = Quality(
    rules.PROTECTED_LONGEVITY,
    _connected_at,
    _always,
    lambda peer: () if peer.connected_at is None else (("connected_at", peer.connected_at),),
)


def _youngest_of_largest_group(peers: Iterable[PeerInfo]) -> tuple[PeerInfo | None, int]:
    """The victim, and how many of its group there are."""
    groups: dict[bytes, list[PeerInfo]] = defaultdict(list)
    for peer in peers:
        groups[net_group(peer.ip_address)].append(peer)
    if not groups:
        return None, 0
    largest = max(groups.values(), key=lambda group: (len(group), _youth(group)))
    return max(largest, key=_connected_at), len(largest)


def _youth(group: list[PeerInfo]) -> float:
    return max(map(_connected_at, group))
