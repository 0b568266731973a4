"""The peers that configuration names, each in the one list that counts for it (LIP 0004, "Static lists").

Precedence: blacklisted, fixed, whitelisted, seed. The LIP wants a warning for a peer in more than one list, and for
more than 4 fixed peers. The node's own listening address is left out, exactly that ip:port: another port of the same
machine is another node (lisk-p2p drops every port of its ``hostIp``).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.config import NodeConfig
from core.empty import NO_NAMES
from core.ids import Endpoint, PeerKind
from core.netgroup import is_loopback
from core.seeds import SeedName

MAX_ADVISABLE_FIXED = 4
"""LIP 0004: whoever knows all of a node's lasting peers has fewer to attack."""

MAX_WARNINGS = 20
"""Lists may hold thousands of peers; further warnings are only counted."""

WILDCARDS = {"0.0.0.0": False, "::": True}
"""Addresses that mean all of the machine's, and whether IPv6 is among those."""


class Blacklist:
    """The addresses and prefixes that the configuration refuses for ever."""

    __slots__ = ("_networks",)

    def __init__(self, texts: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(text, strict=False) for text in texts)

    def __contains__(self, ip: str) -> bool:
        """Whether this literal address is refused. Raises ValueError if it is none."""
        if not self._networks:
            return False
        address = ipaddress.ip_address(ip)
        return any(address in network for network in self._networks)


@dataclass(frozen=True, slots=True)
class StaticLists:
    """What remains of the lists. ``seeds`` may hold whitelisted peers: those are asked for peers like any other seed.

    ``warnings`` are whole sentences for the operator.
    """

    fixed: tuple[Endpoint, ...] = ()
    whitelisted: tuple[Endpoint, ...] = ()
    seeds: tuple[Endpoint, ...] = ()
    names: tuple[SeedName, ...] = ()
    previous: tuple[Endpoint, ...] = ()
    warnings: tuple[str, ...] = ()

    def kinds(self) -> dict[Endpoint, PeerKind]:
        """Trust by endpoint, of seeds with a literal address only."""
        kinds = dict.fromkeys(self.seeds, PeerKind.SEED)
        kinds.update(dict.fromkeys(self.whitelisted, PeerKind.WHITELISTED))
        kinds.update(dict.fromkeys(self.fixed, PeerKind.FIXED))
        return kinds

    def trusted_ips(self) -> frozenset[str]:
        """The addresses that are never banned. Whole addresses, because a ban is for an address: what happens on
        another port of it, or behind the same NAT, must not cost us the trusted peer."""
        return frozenset(endpoint.ip for endpoint in self.kinds()) or NO_NAMES


def static_lists(config: NodeConfig, listening_port: int | None = None) -> StaticLists:
    """The lists of a configuration, judged. ``listening_port`` is the port bound, None if the node does not listen."""
    blacklist = Blacklist(config.blacklisted_ips)

    def kept(peers: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        return tuple(
            peer for peer in peers if peer.ip not in blacklist and not is_own(peer, config.host_ip, listening_port)
        )

    fixed = kept(config.fixed_peers)
    whitelisted = tuple(peer for peer in kept(config.whitelisted_peers) if peer not in frozenset(fixed))
    seeds = tuple(peer for peer in kept(config.seed_endpoints) if peer not in frozenset(fixed))
    return StaticLists(
        fixed=fixed,
        whitelisted=whitelisted,
        seeds=seeds,
        names=config.seed_names,
        previous=kept(config.previous_peers),
        warnings=_bounded(_warnings(config, listening_port)),
    )


def is_own(peer: Endpoint, host_ip: str, listening_port: int | None) -> bool:
    """Whether this is the very address at which the node listens. A node that listens on all its addresses knows only
    its loopback ones; at any other it recognises itself by its nonce."""
    if peer.port != listening_port:
        return False
    if host_ip in WILDCARDS:
        return is_loopback(peer.ip) and (":" not in peer.ip or WILDCARDS[host_ip])
    return peer.ip == host_ip


def _warnings(config: NodeConfig, listening_port: int | None) -> Iterator[str]:
    blacklist = Blacklist(config.blacklisted_ips)
    lists = {
        "fixed_peers": config.fixed_peers,
        "whitelisted_peers": config.whitelisted_peers,
        "seed_peers": config.seed_endpoints,
    }
    named: dict[Endpoint, list[str]] = {}
    for name, peers in lists.items():
        for peer in peers:
            if is_own(peer, config.host_ip, listening_port):
                yield f"{name}: {peer.peer_id} is this node's own address and is left out"
            else:
                named.setdefault(peer, []).append(name)
    for peer, names in named.items():
        found = (["blacklisted_ips"] if peer.ip in blacklist else []) + names
        if len(found) > 1:
            yield f"{peer.peer_id} is in {' and in '.join(found)}: it is treated as one of {found[0]}"
    if len(config.fixed_peers) > MAX_ADVISABLE_FIXED:
        yield (
            f"fixed_peers names {len(config.fixed_peers)} peers; LIP 0004 advises at most {MAX_ADVISABLE_FIXED}, "
            "because fixed connections are never exchanged for others"
        )
    if config.fixed_peers_only and config.seed_peers:
        yield "seed_peers are not used: fixed_peers_only is set"


def _bounded(warnings: Iterator[str]) -> tuple[str, ...]:
    every = list(warnings)
    if len(every) <= MAX_WARNINGS:
        return tuple(every)
    return (*every[:MAX_WARNINGS], f"and {len(every) - MAX_WARNINGS} more warnings like these about the lists of peers")
