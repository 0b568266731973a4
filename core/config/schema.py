"""The options of a node: one frozen structure, from which files, environment, command line and reference are derived.

Names are lisk-p2p 0.10's ``P2PConfig`` in Python's spelling with units; defaults are its as well (its milliseconds are
seconds here), or LIP 0004's. Every option does something: one that nothing reads does not belong here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from core.config import values
from core.config.behaviour import MAX_COUNT, MAX_DURATION_S
from core.config.book_options import BOOK
from core.config.checking import OptionDoc, Problem, check, count, documents, explain, fields, option, seconds, settle
from core.config.frozen import FrozenDict
from core.config.identity import GROUP as IDENTITY
from core.config.identity import NetworkConfig, NodeInfoConfig
from core.config.protections import ECLIPSE, ProtectionOptions
from core.config.travel import packed, unpacked
from core.errors import ConfigError
from core.ids import Endpoint
from core.seeds import SeedName

MAX_STORAGE_INTERVAL_S = 86400.0
MAX_DECISIONS_KEPT = 1_000_000
MAX_REPORT_INTERVAL_S = 3600.0

LISTEN, KNOWN, RUN = "Listening", "Known peers", "Running"

GROUPS = (
    LISTEN,
    IDENTITY,
    KNOWN,
    "Outbound connections",
    "Time-outs",
    "Limits and penalties",
    "Choosing peers",
    BOOK,
    ECLIPSE,
    RUN,
)
"""The groups of the reference, in order."""


def _endpoints(description: str, lisk: str) -> msgspec.Meta:
    return option(KNOWN, description, lisk=lisk, convert=values.endpoints, expected="a list of ip:port")


class NodeConfig(ProtectionOptions, frozen=True, kw_only=True, weakref=True):
    """The configuration of a node.

    Build it from keyword arguments, or from a mapping with :meth:`from_mapping`. Values are converted to their
    canonical form (``"1.2.3.4:5001"`` to an endpoint, lists to tuples). Raises :class:`core.errors.ConfigError` with
    every problem found. Immutable and hashable; picklable, as long as its callables are.
    """

    host_ip: Annotated[
        str,
        option(
            LISTEN,
            "The local address to listen on; 0.0.0.0 is every IPv4 address of the machine.",
            lisk="hostIp",
            convert=values.host_ip,
            expected="a literal IP address",
        ),
    ] = "0.0.0.0"

    port: Annotated[
        int,
        count(LISTEN, "The TCP port to listen on, also told to peers. 0: any free port.", lisk="port", ge=0, le=65535),
    ] = 5001

    max_inbound_connections: Annotated[
        int,
        count(
            LISTEN,
            "Inbound peers at most (LIP 0004). 0: do not listen at all.",
            lisk="maxInboundConnections",
            ge=0,
            le=MAX_COUNT,
        ),
    ] = 100

    max_inbound_per_ip: Annotated[
        int,
        count(
            LISTEN,
            "Inbound peers from one IP address (IPv6: one /64) at most; a further one is refused with close code 1013. "
            "Announced ports cost nothing, so without a limit one host takes every slot; 8 leaves room for several "
            "nodes behind one NAT, and is go-libp2p's figure. Loopback, fixed and whitelisted peers are exempt.",
            le=MAX_COUNT,
        ),
    ] = 8

    max_pending_handshakes: Annotated[
        int,
        count(
            LISTEN,
            "Accepted connections that have not finished their handshake, at most; a further one is closed at once. "
            "Stops a flood of mute connections (lisk-p2p has no limit).",
            le=MAX_COUNT,
        ),
    ] = 128

    max_pending_handshakes_per_ip: Annotated[
        int, count(LISTEN, "The same for one source address, so that no single host takes all places.", le=MAX_COUNT)
    ] = 32

    node_info: NodeInfoConfig = msgspec.field(default_factory=functools.cache(NodeInfoConfig))

    network: NetworkConfig = msgspec.field(default_factory=functools.cache(NetworkConfig))

    custom_node_info_schema: Annotated[
        FrozenDict | None,
        option(
            IDENTITY,
            "Schema of node_info.options, in lisk-codec's form. All nodes of a network must use the same one.",
            lisk="customNodeInfoSchema",
            convert=values.optional_mapping,
            expected="a mapping, or null",
        ),
    ] = None

    seed_peers: Annotated[
        tuple[Endpoint | SeedName, ...],
        option(
            KNOWN,
            "Peers to ask for other peers while few are known. Never banned. A DNS name stands for its addresses (at "
            "most 16); it is looked up at the start, whenever the seeds are asked, and once an hour.",
            lisk="seedPeers",
            convert=values.seeds,
            expected="a list of ip:port or host.name:port",
        ),
    ] = ()

    fixed_peers: Annotated[
        tuple[Endpoint, ...],
        _endpoints(
            "Peers to stay connected to: redialled for ever, never banned, evicted or shuffled out.", "fixedPeers"
        ),
    ] = ()

    fixed_peers_only: Annotated[
        bool,
        option(
            KNOWN,
            "Connect to the fixed peers and to nobody else: no seeds, no other outbound peers, no shuffling (LIP "
            "0004). Others may still connect to the node; max_inbound_connections: 0 prevents that too.",
        ),
    ] = False

    whitelisted_peers: Annotated[
        tuple[Endpoint, ...],
        _endpoints("Trusted peers: never banned, their inbound connections never evicted.", "whitelistedPeers"),
    ] = ()

    previous_peers: Annotated[
        tuple[Endpoint, ...],
        _endpoints("Peers known from an earlier run: tried peers from the start.", "previousPeers"),
    ] = ()

    blacklisted_ips: Annotated[
        tuple[str, ...],
        option(
            KNOWN,
            "Addresses and prefixes never to connect to, in either direction.",
            lisk="blacklistedIPs",
            convert=values.addresses_and_prefixes,
            expected="a list of IP addresses or prefixes",
        ),
    ] = ()

    secret: Annotated[
        int | None,
        option(
            KNOWN,
            "Key of the peer book's bucket hashing; whoever knows it can aim addresses at buckets. Null: random, made "
            "once and kept in data_dir if there is one.",
            lisk="secret",
            convert=values.secret,
            expected="an integer from 0 to 4294967295, or null",
        ),
    ] = None

    data_dir: Annotated[
        str | None,
        option(
            RUN,
            "Directory for what outlives a restart: known peers, bans, the secret. Made if it is not there; one node "
            "at a time can use it. A relative path is relative to the current directory, ~ is the home directory. "
            "Null: nothing is kept.",
            convert=values.directory,
            expected="the path of a directory, or null",
        ),
    ] = None

    storage_interval_s: Annotated[
        float,
        option(
            RUN,
            "How often known peers are written to data_dir if they changed; what a crash or a power failure loses at "
            "most (LIP 0004: regular intervals). Bans are written within a second.",
            unit="s",
            ge=1.0,
            le=MAX_STORAGE_INTERVAL_S,
        ),
    ] = 60.0

    max_restarts: Annotated[
        int,
        count(
            RUN,
            "Crashes of one of the node's own actors (peer book, pool, server) within restart_window_s that are "
            "forgiven; after one more the node ends, with the reason. Each restart waits longer, up to 1.5 s.",
            ge=0,
            le=MAX_COUNT,
        ),
    ] = 5

    restart_window_s: Annotated[
        float, seconds(RUN, "The time in which max_restarts are counted.", le=MAX_DURATION_S)
    ] = 60.0

    decisions_kept: Annotated[
        int,
        count(
            RUN,
            "Decisions about peers that are kept for explain(), the latest ones; 10,000 take up to 4 MB. 0: none are "
            "kept or logged, and they are recorded only while a program listens for EVENT_DECISION_TAKEN.",
            ge=0,
            le=MAX_DECISIONS_KEPT,
        ),
    ] = 10_000

    traffic_report_interval_s: Annotated[
        float,
        option(
            RUN,
            "How soon what went over a connection shows in the network statistics. A node with very many peers saves "
            "work by a longer time.",
            unit="s",
            ge=0.1,
            le=MAX_REPORT_INTERVAL_S,
        ),
    ] = 1.0

    log_level: Annotated[
        Literal["error", "warning", "info", "debug"],
        option(RUN, "The least severe messages that `ensemble run` writes to its log on stderr."),
    ] = "warning"

    def __post_init__(self) -> None:
        settle(self)
        problems = list(relations(flatten(self)))
        if problems:
            raise ConfigError([str(problem) for problem in problems])

    def __reduce__(self) -> tuple[Callable[[bytes], NodeConfig], tuple[bytes]]:
        return unpacked, (packed(super().__reduce__()),)

    @property
    def seed_endpoints(self) -> tuple[Endpoint, ...]:
        """The seeds that are given by address."""
        return tuple(seed for seed in self.seed_peers if isinstance(seed, Endpoint))

    @property
    def seed_names(self) -> tuple[SeedName, ...]:
        """The seeds that are given by DNS name."""
        return tuple(seed for seed in self.seed_peers if isinstance(seed, SeedName))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> NodeConfig:
        """Build from nested mappings, as a YAML file gives them. Raises ConfigError naming every problem."""
        given, problems = check(cls, mapping)
        if problems:
            raise ConfigError([str(problem) for problem in problems])
        return cls(**given)


def relations(values_by_name: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong between options whose single values are right; takes what :func:`flatten` returns."""
    pairs = (
        ("ping_interval_min_s", "ping_interval_max_s"),
        ("native_ping_interval_min_s", "native_ping_interval_max_s"),
        ("keepalive_interval_s", "keepalive_timeout_s"),
        ("minimum_peer_discovery_threshold", "max_peer_discovery_response_length"),
        ("ws_max_payload_bytes", "max_send_queue_bytes"),
        ("max_peer_info_bytes", "ws_max_payload_bytes"),
        ("max_pending_handshakes_per_ip", "max_pending_handshakes"),
    )
    for lower, upper in pairs:
        low, high = values_by_name[lower], values_by_name[upper]
        if low > high:
            yield explain((lower,), f"at most {upper} ({high})", low)
    yield from _generation(values_by_name)
    if values_by_name["fixed_peers_only"] and not values_by_name["fixed_peers"]:
        yield Problem(("fixed_peers_only",), "needs fixed_peers, and none is given")


_NAMES = {"lisk-0.7": "network_identifier", "lisk-0.5": "network_id"}


def _generation(values_by_name: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what the generation of ``network.protocol`` does not have, or has to have."""
    protocol, schema = values_by_name["network.protocol"], values_by_name["custom_node_info_schema"]
    name = _NAMES.get(protocol)
    if name is not None and values_by_name[f"node_info.{name}"] is None:
        yield Problem(("node_info", name), f"network.protocol {protocol} needs it, and it is not given")
    if protocol == "lisk-0.5":
        if schema is not None:
            yield Problem(
                ("custom_node_info_schema",), "network.protocol lisk-0.5 has none: node_info.options are free"
            )
    elif values_by_name["node_info.options"] and schema is None:
        yield Problem(("node_info", "options"), "custom_node_info_schema is needed to send them, and is not given")


def options() -> list[OptionDoc]:
    """Return every option, by group, for the reference, the command line and the file reader."""
    return sorted(documents(NodeConfig), key=lambda document: GROUPS.index(document.group))


def flatten(section: msgspec.Struct, prefix: str = "") -> dict[str, Any]:
    """Return the values of a configuration by dotted name."""
    flat: dict[str, Any] = {}
    for name, field in fields(type(section)).items():
        value = getattr(section, name)
        flat.update({prefix + name: value} if isinstance(field, OptionDoc) else flatten(value, f"{prefix}{name}."))
    return flat
