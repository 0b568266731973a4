"""The numbers and lists by which the pool decides, taken from the node's configuration."""

from __future__ import annotations

import msgspec

from core.config import NodeConfig
from core.config.derived import one_of_equals
from core.evict import ProtectionRatios, VictimRule
from core.ids import Endpoint, PeerKind
from core.penalties import DRY_RUN
from core.seeds import SeedName
from core.static_lists import static_lists


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds. ``min_tried_for_no_seeds``: with this many tried peers the seeds are left alone (LIP 0004)."""

    max_outbound_connections: int = 20
    max_inbound_connections: int = 100
    populator_interval_s: float = 10.0
    seed_interval_s: float = 30.0
    shuffle_interval_s: float = 300.0
    send_peer_limit: int = 16
    min_tried_for_no_seeds: int = 100
    max_outbound_per_group: int = 3
    max_inbound_per_ip: int = 8
    private_networks_exempt: bool = False
    shuffle_at_tick: bool = False
    protection: ProtectionRatios = ProtectionRatios()
    victim_rule: VictimRule = VictimRule.YOUNGEST_OF_LARGEST_GROUP
    feeler_interval_s: float = 0.0
    anchor_connections: int = 0
    seed_peers: tuple[Endpoint, ...] = ()
    fixed_peers: tuple[Endpoint, ...] = ()
    whitelisted_peers: tuple[Endpoint, ...] = ()
    seed_names: tuple[SeedName, ...] = ()
    fixed_only: bool = False
    blacklisted_ips: tuple[str, ...] = ()
    dry_run: bool = False
    host_ip: str = "0.0.0.0"
    listening_port: int | None = None

    @classmethod
    def from_config(cls, config: NodeConfig, listening_port: int | None = None) -> PoolSettings:
        """The pool's part of a node's configuration. ``listening_port``: the port bound, None if it does not listen."""
        lists = static_lists(config, listening_port)
        settings = cls(
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
            max_outbound_per_group=config.max_outbound_per_netgroup,
            max_inbound_per_ip=config.max_inbound_per_ip,
            private_networks_exempt=config.private_networks_exempt,
            shuffle_at_tick=config.outbound_shuffle_moment == "tick",
            victim_rule=VictimRule(config.inbound_victim),
            feeler_interval_s=config.feeler_interval_s,
            anchor_connections=config.anchor_connections,
            seed_peers=lists.seeds,
            fixed_peers=lists.fixed,
            whitelisted_peers=lists.whitelisted,
            seed_names=lists.names,
            fixed_only=config.fixed_peers_only,
            blacklisted_ips=config.blacklisted_ips,
            dry_run=config.ban_mode == DRY_RUN,
            host_ip=config.host_ip,
            listening_port=listening_port,
        )
        return one_of_equals(settings)

    def kinds(self) -> dict[Endpoint, PeerKind]:
        """Trust by endpoint; LIP 0004's precedence: fixed before whitelisted before seed."""
        kinds = dict.fromkeys(self.seed_peers, PeerKind.SEED)
        kinds.update(dict.fromkeys(self.whitelisted_peers, PeerKind.WHITELISTED))
        kinds.update(dict.fromkeys(self.fixed_peers, PeerKind.FIXED))
        return kinds
