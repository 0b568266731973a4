"""The numbers and lists by which the pool decides, taken from the node's configuration."""

from __future__ import annotations

import msgspec

from core.bans import Blacklist
from core.config import NodeConfig
from core.evict import ProtectionRatios
from core.ids import Endpoint, PeerKind


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds. ``min_tried_for_no_seeds``: with this many tried peers the seeds are left alone (LIP 0004)."""

    max_outbound_connections: int = 20
    max_inbound_connections: int = 100
    populator_interval_s: float = 10.0
    seed_interval_s: float = 30.0
    shuffle_interval_s: float = 300.0
    send_peer_limit: int = 16
    min_tried_for_no_seeds: int = 100
    protection: ProtectionRatios = ProtectionRatios()
    seed_peers: tuple[Endpoint, ...] = ()
    fixed_peers: tuple[Endpoint, ...] = ()
    whitelisted_peers: tuple[Endpoint, ...] = ()

    @classmethod
    def from_config(cls, config: NodeConfig) -> PoolSettings:
        """The pool's part of a node's configuration. Blacklisted goes before every other list (LIP 0004)."""
        blacklist = Blacklist(config.blacklisted_ips)

        def allowed(peers: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
            return tuple(peer for peer in peers if peer.ip not in blacklist)

        return cls(
            max_outbound_connections=config.max_outbound_connections,
            max_inbound_connections=config.max_inbound_connections,
            populator_interval_s=config.populator_interval_s,
            seed_interval_s=config.fallback_seed_peer_discovery_interval_s,
            shuffle_interval_s=config.outbound_shuffle_interval_s,
            send_peer_limit=config.send_peer_limit,
            protection=ProtectionRatios(
                net_group=config.netgroup_protection_ratio,
                latency=config.latency_protection_ratio,
                productivity=config.productivity_protection_ratio,
                longevity=config.longevity_protection_ratio,
            ),
            seed_peers=allowed(config.seed_peers),
            fixed_peers=allowed(config.fixed_peers),
            whitelisted_peers=allowed(config.whitelisted_peers),
        )

    def kinds(self) -> dict[Endpoint, PeerKind]:
        """Trust by endpoint; LIP 0004's precedence: fixed before whitelisted before seed."""
        kinds = dict.fromkeys(self.seed_peers, PeerKind.SEED)
        kinds.update(dict.fromkeys(self.whitelisted_peers, PeerKind.WHITELISTED))
        kinds.update(dict.fromkeys(self.fixed_peers, PeerKind.FIXED))
        return kinds
