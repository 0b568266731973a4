"""Inbound eviction: who is protected by what, and who goes (LIP 0004, "Inbound eviction"; Bitcoin Core)."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import PeerInfo
from core.evict import NO_PROTECTION, ProtectionRatios, VictimRule, select_victim
from core.ids import Endpoint, PeerId, PeerKind
from core.netgroup import net_group

SECRET = b"k" * 32
DEFAULT = ProtectionRatios()
RANDOM = VictimRule.RANDOM
Shape = tuple[str, PeerKind, float | None, float | None, float | None]


def peer(number: int, ip: str = "", **more: object) -> PeerInfo:
    """Inbound peer ``number``; a group of its own unless an address is given."""
    endpoint = Endpoint(ip or f"{1 + number // 200}.{1 + number % 200}.0.1", 5001 + number % 1000)
    values: dict[str, object] = {"connected_at": 1000.0 + number, "kind": PeerKind.NONE, **more}
    return PeerInfo(peer_id=endpoint.peer_id, ip_address=endpoint.ip, port=endpoint.port, **values)  # type: ignore[arg-type]


def victims(peers: list[PeerInfo], ratios: ProtectionRatios = DEFAULT, secret: bytes = SECRET) -> set[PeerId]:
    """Everybody who can be chosen, over many generators."""
    chosen = (select_victim(peers, ratios, secret, Random(seed)) for seed in range(60))
    return {one.peer_id for one in chosen if one is not None}


def test_nobody_to_choose_from() -> None:
    assert select_victim([], DEFAULT, SECRET, Random(1)) is None


@pytest.mark.parametrize("kind", [PeerKind.FIXED, PeerKind.WHITELISTED])
def test_fixed_and_whitelisted_peers_are_never_candidates(kind: PeerKind) -> None:
    trusted = [peer(number, kind=kind) for number in range(100)]
    assert select_victim(trusted, NO_PROTECTION, SECRET, Random(1)) is None
    ordinary = peer(200)
    assert victims([*trusted, ordinary], NO_PROTECTION) == {ordinary.peer_id}


def test_the_lowest_latencies_are_protected_and_unmeasured_counts_as_worst() -> None:
    """In lisk-p2p a newcomer's latency is 0, the best: a flood of newcomers protects itself."""
    ratios = ProtectionRatios(0, 0.1, 0, 0)
    measured = [peer(number, "1.1.0.1", latency_ms=float(number)) for number in range(3)]
    unmeasured = [peer(number, "1.1.0.1", latency_ms=None) for number in range(3, 20)]
    for seed in range(20):
        victim = select_victim(measured + unmeasured, ratios, SECRET, Random(seed))
        assert victim in unmeasured
    only_bad = [peer(number, "1.1.0.1", latency_ms=9000.0, connected_at=5.0) for number in range(2)]
    assert victims([*only_bad, *unmeasured], ratios) == {unmeasured[-1].peer_id}  # measured at all beats unmeasured


def test_the_best_response_rates_are_protected() -> None:
    ratios = ProtectionRatios(0, 0, 0.5, 0)
    useful = [peer(number, "1.1.0.1", response_rate=0.9, connected_at=9e9) for number in range(5)]
    idle = [peer(number, "1.1.0.1", response_rate=rate) for number, rate in enumerate((None, 0.0, 0.1, None, 0.2), 5)]
    assert victims(useful + idle, ratios) <= {one.peer_id for one in idle}


def test_half_of_the_rest_is_protected_by_its_time_of_connection() -> None:
    peers = [peer(number, "1.1.0.1") for number in range(10)]
    ratios = ProtectionRatios(0, 0, 0, 0.5)
    assert victims(peers, ratios) == {peers[-1].peer_id}
    reversed_ages = [peer(number, "1.1.0.1", connected_at=1000.0 - number) for number in range(10)]
    assert victims(reversed_ages, ratios) == {reversed_ages[0].peer_id}


def test_a_connection_without_a_time_counts_as_the_youngest() -> None:
    peers = [peer(1, "1.1.0.1", connected_at=0.0), peer(2, "1.1.0.1"), peer(3, "1.1.0.1", connected_at=None)]
    assert victims(peers, NO_PROTECTION) == {peers[2].peer_id}
    assert peers[0].peer_id not in victims(peers, ProtectionRatios(0, 0, 0, 0.3))


def test_groups_are_protected_by_a_key_that_the_attacker_does_not_know() -> None:
    peers = [peer(number, connected_at=1.0) for number in range(40)]
    ratios = ProtectionRatios(0.25, 0, 0, 0)
    ids = {one.peer_id for one in peers}
    safe = ids - victims(peers, ratios)
    safe_by_another_key = ids - victims(peers, ratios, b"another key")
    assert len(safe) >= 10
    assert safe != safe_by_another_key


def test_the_youngest_of_the_largest_group_goes() -> None:
    """Simulated: a uniform choice loses 41 of 100 honest peers to a flood, this rule 1 to 5."""
    honest = [peer(number) for number in range(30)]
    flood = [peer(number, f"66.66.0.{number}") for number in range(50, 60)]
    assert victims(honest + flood, NO_PROTECTION) == {flood[-1].peer_id}


@pytest.mark.parametrize(("rule", "least", "most"), [(VictimRule.YOUNGEST_OF_LARGEST_GROUP, 0, 5), (RANDOM, 35, 50)])
def test_what_a_flood_from_one_group_costs_honest_peers(rule: VictimRule, least: int, most: int) -> None:
    """Simulated figures: 1 to 5 of 100 by Bitcoin Core's rule, 41 by lisk-p2p's uniform choice."""
    rng = Random(5)
    table = [peer(number, latency_ms=rng.uniform(10, 300), connected_at=float(number)) for number in range(100)]
    lost = 0
    for number in range(1000):
        victim = select_victim(table, DEFAULT, SECRET, rng, rule)
        assert victim is not None
        lost += victim.connected_at is not None and victim.connected_at < 1000
        table.remove(victim)
        table.append(peer(number, f"66.66.{number % 250}.{number // 250}", connected_at=1000.0 + number))
    assert least <= lost <= most


def test_without_any_protection_somebody_always_goes() -> None:
    for count in range(1, 10):
        assert select_victim([peer(number) for number in range(count)], NO_PROTECTION, SECRET, Random(1)) is not None


@given(
    shapes=st.lists(
        st.tuples(
            st.sampled_from(["1.1.0.1", "1.1.0.2", "2.2.0.1", "3.3.0.1", "2001:db8::1"]),
            st.sampled_from([PeerKind.NONE, PeerKind.FIXED, PeerKind.WHITELISTED, PeerKind.SEED]),
            st.none() | st.floats(0, 1e4),
            st.none() | st.floats(0, 1),
            st.none() | st.floats(0, 1e10),
        ),
        max_size=40,
    ),
    ratio=st.floats(0, 1),
    seed=st.integers(0, 100),
)
def test_properties(
    shapes: list[tuple[str, PeerKind, float | None, float | None, float | None]], ratio: float, seed: int
) -> None:
    peers = [
        peer(number, ip, kind=kind, latency_ms=latency, response_rate=rate, connected_at=since)
        for number, (ip, kind, latency, rate, since) in enumerate(shapes)
    ]
    ratios = ProtectionRatios(ratio, ratio, ratio, ratio)
    before = list(peers)
    victim = select_victim(peers, ratios, SECRET, Random(seed))
    assert peers == before
    assert victim == select_victim(peers, ratios, SECRET, Random(seed))  # a pure function
    candidates = [one for one in peers if one.kind in (PeerKind.NONE, PeerKind.SEED)]
    assert victim is None or victim in candidates
    protected_at_most = 3 * math.ceil(len(candidates) * ratio)
    left = len(candidates) - protected_at_most
    if left > 0 and left - math.ceil(left * ratio) > 0:
        assert victim is not None
    if victim is not None and ratio == 0:
        groups = [net_group(one.ip_address) for one in candidates]
        assert groups.count(net_group(victim.ip_address)) == max(map(groups.count, groups))


def drawn(peers: list[PeerInfo], ratios: ProtectionRatios, rule: VictimRule, times: int) -> set[PeerId | None]:
    """Who is chosen in so many draws; None for nobody."""
    chosen = (select_victim(peers, ratios, SECRET, Random(seed), rule) for seed in range(times))
    return {None if one is None else one.peer_id for one in chosen}


# ---- small tables ----


@pytest.mark.parametrize("count", range(1, 40))
def test_with_the_default_ratios_somebody_can_always_be_evicted(count: int) -> None:
    """Rounding up alone would protect everybody in a table of less than ten: no newcomer would ever get in."""
    peers = [peer(number, latency_ms=float(number), response_rate=0.5) for number in range(count)]
    assert None not in drawn(peers, DEFAULT, VictimRule.YOUNGEST_OF_LARGEST_GROUP, 50)


@pytest.mark.parametrize("count", [36, 60, 100, 117])
def test_in_large_tables_the_shares_are_rounded_up_as_in_lisk_p2p(count: int) -> None:
    """Each quality protects ceil(n * ratio), and longevity ceil(rest / 2): what is left can be evicted."""
    peers = [peer(number, latency_ms=float(number), response_rate=number / count) for number in range(count)]
    protected = math.ceil(count * 0.034) + 2 * math.ceil(count * 0.068)
    left = count - protected - math.ceil((count - protected) / 2)
    assert len(drawn(peers, DEFAULT, RANDOM, 3000)) == left


def test_half_of_the_candidates_can_be_evicted_unless_the_ratios_ask_for_more() -> None:
    peers = [peer(number, latency_ms=1.0 + number, response_rate=1.0 - number / 9) for number in range(3)]
    assert len(drawn(peers, ProtectionRatios(0.01, 0.01, 0.01, 0), RANDOM, 300)) == 2, "each of three would protect one"
    peers = [peer(number, latency_ms=1.0 + number, response_rate=1.0 - number / 9) for number in range(6)]
    assert len(drawn(peers, ProtectionRatios(0.3, 0.3, 0.3, 0), RANDOM, 300)) == 1, "0.9 of six, rounded down"
    assert select_victim(peers, ProtectionRatios(1.0, 0, 0, 0), SECRET, Random(1)) is None
    assert select_victim(peers, ProtectionRatios(0, 0, 0, 1.0), SECRET, Random(1)) is None


# ---- the option inbound_victim ----


def test_the_random_victim_is_drawn_alike_even_where_equals_were_protected() -> None:
    """Twenty measured peers, all as near as each other, and twenty not measured: 10 of the equals are protected, by
    lot, and the victim is one of the 30 others with the same chance."""
    equals = [peer(number, latency_ms=100.0) for number in range(20)]
    others = [peer(number) for number in range(20, 40)]
    ratios = ProtectionRatios(net_group=0.0, latency=0.25, productivity=0.0, longevity=0.0)
    chosen = Counter(
        select_victim([*equals, *others], ratios, SECRET, Random(seed), RANDOM) in others for seed in range(3000)
    )
    assert chosen[True] / 3000 == pytest.approx(20 / 30, abs=4 * math.sqrt(2 / 9 / 3000))


def test_by_option_the_victim_is_drawn_at_random_among_the_unprotected() -> None:
    honest = [peer(number) for number in range(5)]
    flood = [peer(number, f"66.66.0.{number}") for number in range(50, 55)]
    seen = Counter(
        chosen.peer_id
        for seed in range(2000)
        if (chosen := select_victim(honest + flood, NO_PROTECTION, SECRET, Random(seed), RANDOM)) is not None
    )
    assert set(seen) == {one.peer_id for one in honest + flood}
    assert max(seen.values()) < 2 * min(seen.values())


# ---- in the manner of Bitcoin Core: set qualities, name the protected and the others, shuffle the input ----


@dataclasses.dataclass
class Case:
    """``better`` makes candidate number n (0 is the best) better than the others; ``safe``: who must not go."""

    name: str
    better: Callable[[int], dict[str, Any]]
    safe: range
    ratios: ProtectionRatios = DEFAULT


CASES = [
    Case("longest connected", lambda n: {"connected_at": 100.0 + n}, range(48)),
    Case("lowest latency", lambda n: {"latency_ms": 10.0 + n, "connected_at": 1000.0 - n}, range(7)),
    Case("best response rate", lambda n: {"response_rate": 1 - n / 200, "connected_at": 1000.0 - n}, range(7)),
    Case(
        "two qualities at once",
        lambda n: {"latency_ms": 10.0 + n, "response_rate": 1 - n / 200, "connected_at": 1000.0 - n},
        range(14),
    ),
    Case("no latency protection", lambda n: {"latency_ms": 10.0 + n}, range(0), NO_PROTECTION),
    Case("nobody measured", lambda n: {"latency_ms": None}, range(0), ProtectionRatios(0, 1, 0, 0)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_protected_and_unprotected(case: Case) -> None:
    everybody = [peer(number, **case.better(number)) for number in range(100)]
    safe = {everybody[number].peer_id for number in case.safe}
    gone: set[PeerId] = set()
    for seed in range(400):
        rng = Random(seed)
        shuffled = rng.sample(everybody, len(everybody))
        victim = select_victim(shuffled, case.ratios, secret=bytes([seed % 256]) * 8, rng=rng, rule=RANDOM)
        assert victim is not None
        gone.add(victim.peer_id)
    assert not gone & safe
    if not safe:
        assert len(gone) > 50, "nobody is protected, so nearly everybody goes at some time"
