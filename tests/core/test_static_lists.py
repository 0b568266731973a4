"""The lists of the configuration (LIP 0004, "Static lists"): precedence, warnings, our own address."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from core.bans import trusted_ips
from core.config import NodeConfig
from core.ids import Endpoint, PeerKind
from core.seeds import SeedName
from core.static_lists import MAX_WARNINGS, Blacklist, static_lists

A, B, C, D = (f"{number}.0.0.1:5001" for number in range(1, 5))


def lists(port: int | None = None, **options: Any) -> Any:
    return static_lists(NodeConfig(**options), port)


def at(text: str) -> Endpoint:
    return Endpoint.parse(text)


NAMES = ("blacklisted_ips", "fixed_peers", "whitelisted_peers", "seed_peers")
KINDS = {"fixed_peers": PeerKind.FIXED, "whitelisted_peers": PeerKind.WHITELISTED, "seed_peers": PeerKind.SEED}


@pytest.mark.parametrize(
    "named", [names for count in range(1, 5) for names in itertools.combinations(NAMES, count)], ids="+".join
)
def test_precedence_is_blacklisted_fixed_whitelisted_seed(named: tuple[str, ...]) -> None:
    """LIP 0004, "Static lists": blacklisted > fixed > whitelisted; more than one list for a peer: warn."""
    found = lists(**{name: ["1.0.0.1"] if name == "blacklisted_ips" else [A] for name in named})
    expected = {} if "blacklisted_ips" in named else {at(A): KINDS[named[0]]}
    assert found.kinds() == expected
    assert found.trusted_ips() == {endpoint.ip for endpoint in expected}
    if len(named) > 1:
        (warning,) = found.warnings
        assert warning == f"{A} is in {' and in '.join(named)}: it is treated as one of {named[0]}"
    else:
        assert found.warnings == ()


def test_blacklisted_by_prefix_wins_in_every_list() -> None:
    found = lists(
        blacklisted_ips=["1.0.0.0/8"], fixed_peers=[A], whitelisted_peers=[A], seed_peers=[A], previous_peers=[A, B]
    )
    assert (found.fixed, found.whitelisted, found.seeds, found.previous) == ((), (), (), (at(B),))


def test_a_whitelisted_seed_is_still_asked_for_peers() -> None:
    found = lists(whitelisted_peers=[A], seed_peers=[A, B])
    assert found.seeds == (at(A), at(B))
    assert found.kinds() == {at(A): PeerKind.WHITELISTED, at(B): PeerKind.SEED}


@pytest.mark.parametrize(("count", "warned"), [(4, False), (5, True)])
def test_more_than_4_fixed_peers_warn(count: int, warned: bool) -> None:
    """LIP 0004, "Static lists": fixed. More than 4: warn."""
    found = lists(fixed_peers=[f"1.2.3.{number}:1" for number in range(1, count + 1)])
    assert [f"names {count} peers" in text for text in found.warnings] == [True] * warned


def test_trust_is_for_the_whole_address() -> None:
    """What happens on another port of a trusted address must not ban the trusted peer."""
    assert trusted_ips(NodeConfig(fixed_peers=(A,), whitelisted_peers=(B,), seed_peers=(C, "x.example:1"))) == {  # type: ignore[arg-type]
        "1.0.0.1", "2.0.0.1", "3.0.0.1",
    }  # fmt: skip


def test_names_are_kept_apart() -> None:
    found = lists(seed_peers=[A, "seed.example:7"])
    assert (found.seeds, found.names) == ((at(A),), (SeedName("seed.example", 7),))
    assert found.kinds() == {at(A): PeerKind.SEED}


@pytest.mark.parametrize(
    ("host_ip", "peer", "own"),
    [
        ("1.2.3.4", "1.2.3.4:5001", True),
        ("1.2.3.4", "1.2.3.4:5002", False),
        ("1.2.3.4", "127.0.0.1:5001", False),
        ("127.0.0.1", "127.0.0.1:5001", True),
        ("127.0.0.1", "127.0.0.2:5001", False),
        ("0.0.0.0", "127.0.0.1:5001", True),
        ("0.0.0.0", "127.8.8.8:5001", True),
        ("0.0.0.0", "127.0.0.1:5002", False),
        ("0.0.0.0", "1.2.3.4:5001", False),
        ("0.0.0.0", "[::1]:5001", False),
        ("::", "[::1]:5001", True),
        ("::", "127.0.0.1:5001", True),
        ("::1", "[::1]:5001", True),
    ],
)
@pytest.mark.parametrize("name", ["fixed_peers", "whitelisted_peers", "seed_peers"])
def test_defect_28_only_the_very_address_we_listen_at_is_dropped_with_a_warning(
    name: str, host_ip: str, peer: str, own: bool
) -> None:
    found = lists(5001, host_ip=host_ip, **{name: [peer]})
    assert (found.kinds() == {}) == own
    assert found.warnings == ((f"{name}: {peer} is this node's own address and is left out",) if own else ())


def test_a_node_that_does_not_listen_has_no_own_address() -> None:
    found = lists(None, host_ip="1.2.3.4", fixed_peers=["1.2.3.4:5001"])
    assert found.fixed == (at("1.2.3.4:5001"),)


def test_an_own_address_in_two_lists_is_only_called_own() -> None:
    found = lists(5001, host_ip="1.2.3.4", fixed_peers=["1.2.3.4:5001"], seed_peers=["1.2.3.4:5001"])
    assert [text.partition(":")[0] for text in found.warnings] == ["fixed_peers", "seed_peers"]


def test_seeds_beside_fixed_peers_only_are_told_to_be_useless() -> None:
    assert lists(fixed_peers=[A], fixed_peers_only=True).warnings == ()
    (warning,) = lists(fixed_peers=[A], seed_peers=[B], fixed_peers_only=True).warnings
    assert "seed_peers are not used" in warning


def test_thousands_of_warnings_are_counted_not_shown() -> None:
    peers = [f"1.{number // 250}.{number % 250}.1:5" for number in range(3000)]
    found = lists(whitelisted_peers=peers, seed_peers=peers)
    assert len(found.warnings) == MAX_WARNINGS + 1
    assert "and 2980 more" in found.warnings[-1]


def test_blacklist_of_addresses_and_prefixes() -> None:
    blacklist = Blacklist(["1.2.3.4", "10.0.0.0/8", "2001:db8::/32"])
    assert [ip in blacklist for ip in ("1.2.3.4", "1.2.3.5", "10.9.9.9", "2001:db8::7", "2001:db9::7")] == [
        True, False, True, True, False,
    ]  # fmt: skip
    assert "1.2.3.4" not in Blacklist([])
