"""Options that say how the node behaves: whom it connects to, how long it waits, what it allows, how it chooses.

Each class is one group of the reference, and adds it to the one before: :class:`core.config.schema.NodeConfig` inherits
them all, so that the options stay flat, as in lisk-p2p's ``P2PConfig``. (A chain, because structures have one base.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from core.config import values
from core.config.checking import count, option, seconds

MAX_DURATION_S = 10 * 365 * 86400.0
"""Ten years: the longest time that any option takes."""

MAX_TIMEOUT_S = 3600.0

MAX_KEEPALIVE_S = 86400.0
"""The time-out travels to the opener in milliseconds and must stay below 2^31 there."""

MAX_COUNT = 100_000

OUT, TIME, LIMIT, CHOICE = "Outbound connections", "Time-outs", "Limits and penalties", "Choosing peers"


class OutboundOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How many peers to connect to, and how to find them."""

    max_outbound_connections: Annotated[
        int, count(OUT, "Outbound peers wanted (LIP 0004).", lisk="maxOutboundConnections", ge=0, le=MAX_COUNT)
    ] = 20

    max_outbound_per_netgroup: Annotated[
        int,
        count(
            OUT,
            "Outbound peers of one network group (the /16 of an IPv4 address, the /32 of an IPv6 one), so that the "
            "owner of one network cannot have all of them (LIP 0004: 3; lisk-p2p has no such limit). Loopback is "
            "exempt, configured peers are dialled anyway.",
            le=MAX_COUNT,
        ),
    ] = 3

    populator_interval_s: Annotated[
        float,
        seconds(
            OUT,
            "How often free outbound slots are filled; a lost connection is replaced at once anyway.",
            lisk="populatorInterval",
            le=MAX_DURATION_S,
        ),
    ] = 10.0

    fallback_seed_peer_discovery_interval_s: Annotated[
        float,
        seconds(
            OUT,
            "How often the seed peers are asked again while outbound slots stay free (LIP 0004).",
            lisk="fallbackSeedPeerDiscoveryInterval",
            le=MAX_DURATION_S,
        ),
    ] = 30.0

    outbound_shuffle_interval_s: Annotated[
        float,
        seconds(
            OUT,
            "Length of the interval in which one random outbound connection is replaced (LIP 0004).",
            lisk="outboundShuffleInterval",
            le=MAX_DURATION_S,
        ),
    ] = 300.0

    outbound_shuffle_moment: Annotated[
        Literal["random", "tick"],
        option(
            OUT,
            "When within the interval. random: at a moment that nobody can foresee (LIP 0004). tick: at its end, as in "
            "lisk-p2p.",
        ),
    ] = "random"

    minimum_peer_discovery_threshold: Annotated[
        int,
        count(
            OUT,
            "The least number of addresses in a getPeers answer, as far as that many are known (LIP 0004).",
            lisk="minimumPeerDiscoveryThreshold",
            le=1000,
        ),
    ] = 100

    max_peer_discovery_response_length: Annotated[
        int,
        count(
            OUT,
            "Most addresses in a getPeers answer, ours and theirs. lisk-p2p bans whoever sends more than 200.",
            lisk="maxPeerDiscoveryResponseLength",
            le=1000,
        ),
    ] = 200


MAX_NATIVE_PING_S = 500.0
"""An opener believes no promise of a listener to be silent for more than 600 s (``core.link_introduction``)."""


class TimeoutOptions(OutboundOptions, frozen=True, kw_only=True):
    """How long to wait for what."""

    connect_timeout_s: Annotated[
        float, seconds(TIME, "Opening the TCP connection to a peer.", lisk="connectTimeout", le=MAX_TIMEOUT_S)
    ] = 2.0

    upgrade_timeout_s: Annotated[
        float,
        seconds(
            TIME,
            "The HTTP upgrade: our wait for a listener's 101, and an opener's time to send its request.",
            le=MAX_TIMEOUT_S,
        ),
    ] = 5.0

    handshake_timeout_s: Annotated[
        float,
        seconds(
            TIME,
            "An opener's time from the upgrade to its #handshake packet; then it is closed with 4005.",
            le=MAX_TIMEOUT_S,
        ),
    ] = 10.0

    ack_timeout_s: Annotated[
        float,
        seconds(
            TIME,
            "A listener's time to acknowledge our handshake, and to answer a request over a connection we opened.",
            lisk="ackTimeout",
            le=MAX_TIMEOUT_S,
        ),
    ] = 2.0

    inbound_request_timeout_s: Annotated[
        float,
        seconds(
            TIME,
            "An opener's time to answer a request or a ping over the connection it opened (fixed in lisk-p2p).",
            le=MAX_TIMEOUT_S,
        ),
    ] = 10.0

    keepalive_interval_s: Annotated[
        float,
        seconds(TIME, "How often a listener sends the keep-alive #1 (fixed in lisk-p2p).", le=MAX_KEEPALIVE_S),
    ] = 8.0

    keepalive_timeout_s: Annotated[
        float,
        seconds(
            TIME,
            "Silence after which a connection is dropped; also told to openers (fixed in lisk-p2p).",
            le=MAX_KEEPALIVE_S,
        ),
    ] = 20.0

    ping_interval_min_s: Annotated[
        float,
        seconds(
            TIME,
            "Inbound peers are pinged at random intervals, to know that they live and how fast they answer: the "
            "shortest interval (fixed in lisk-p2p).",
            le=MAX_DURATION_S,
        ),
    ] = 20.0

    ping_interval_max_s: Annotated[
        float, seconds(TIME, "The longest interval between two pings (fixed in lisk-p2p).", le=MAX_DURATION_S)
    ] = 60.0

    native_ping_interval_min_s: Annotated[
        float,
        seconds(
            TIME,
            "In the native dialect only the first ping follows the interval above; it measures the latency. Later ones "
            "have to notice that a peer is dead, for which there is more time: the shortest interval.",
            le=MAX_NATIVE_PING_S,
        ),
    ] = 60.0

    native_ping_interval_max_s: Annotated[
        float,
        seconds(
            TIME,
            "The longest interval between two pings in the native dialect. A dead opener is noticed "
            "inbound_request_timeout_s later at most, a dead listener keepalive_timeout_s later. Bitcoin Core pings "
            "every 120 s.",
            le=MAX_NATIVE_PING_S,
        ),
    ] = 120.0


class LimitOptions(TimeoutOptions, frozen=True, kw_only=True):
    """What a peer may do, and what it costs to do more."""

    ws_max_payload_bytes: Annotated[
        int,
        count(
            LIMIT,
            "Largest WebSocket message to accept; a larger one ends the connection.",
            lisk="wsMaxPayload",
            unit="bytes",
            ge=1024,
            le=1 << 30,
        ),
    ] = 3048576

    ws_max_message_rate_per_s: Annotated[
        float,
        option(
            LIMIT,
            "Packets that a peer may send, averaged over rate_calculation_interval_s.",
            lisk="wsMaxMessageRate",
            unit="packets/s",
            ge=1,
            le=1e9,
        ),
    ] = 100.0

    ws_max_message_rate_penalty: Annotated[
        int,
        count(
            LIMIT,
            "Penalty for each interval in which a peer was faster than that; 100 points are a ban.",
            lisk="wsMaxMessageRatePenalty",
            unit="points",
            ge=0,
            le=100,
        ),
    ] = 10

    rate_calculation_interval_s: Annotated[
        float,
        seconds(
            LIMIT,
            "Length of the interval over which rates are computed.",
            lisk="rateCalculationInterval",
            le=MAX_TIMEOUT_S,
        ),
    ] = 1.0

    peer_status_message_rate_per_10s: Annotated[
        int,
        count(
            LIMIT,
            "postNodeInfo messages that a peer may send in 10 s; each further one costs 10 points (LIP 0004).",
            lisk="peerStatusMessageRate",
            unit="messages/10 s",
            le=MAX_COUNT,
        ),
    ] = 4

    get_peers_rule: Annotated[
        Literal["once-per-10s", "once-per-connection"],
        option(
            LIMIT,
            "How often a peer may ask getPeers before each further time costs 10 points. once-per-connection is LIP "
            "0004's rule; once-per-10s is lisk-p2p's, whose nodes ask again on the same connection when they lack "
            "peers: the LIP's rule bans them in time.",
        ),
    ] = "once-per-10s"

    ban_mode: Annotated[
        Literal["enforce", "dry-run"],
        option(
            LIMIT,
            "What misbehaviour leads to. enforce: penalties, and bans at 100 points (LIP 0004). dry-run: both are "
            "counted and reported as events, and nothing else happens: the connection stays, the packet at fault is "
            "dropped, nobody is banned. Bans that the program makes, and those already in force, are real either way.",
        ),
    ] = "enforce"

    peer_ban_time_s: Annotated[
        float,
        seconds(LIMIT, "How long an address stays banned (LIP 0004: 24 hours).", lisk="peerBanTime", le=MAX_DURATION_S),
    ] = 86400.0

    max_peer_info_bytes: Annotated[
        int,
        count(
            LIMIT,
            "Largest node info or peer entry to accept or send.",
            lisk="maxPeerInfoSize",
            unit="bytes",
            ge=64,
            le=1 << 24,
        ),
    ] = 20480

    max_send_queue_bytes: Annotated[
        int,
        count(
            LIMIT,
            "Bytes that may wait for a peer that reads slowly; what does not fit is dropped and counted.",
            unit="bytes",
            ge=1024,
            le=1 << 32,
        ),
    ] = 16 * 1024 * 1024

    send_stall_timeout_s: Annotated[
        float,
        seconds(
            LIMIT,
            "A peer that reads nothing for so long, while something waits for it, is dropped (lisk-p2p never does).",
            le=MAX_DURATION_S,
        ),
    ] = 30.0

    max_pending_requests_per_peer: Annotated[
        int,
        count(
            LIMIT,
            "Unanswered requests on one connection, in each direction; a further one fails at once.",
            le=MAX_COUNT,
        ),
    ] = 4096

    max_subscriber_queue_events: Annotated[
        int,
        count(
            LIMIT,
            "Events that may wait for a subscriber of the program; what does not fit is dropped and counted.",
            unit="events",
            le=100_000_000,
        ),
    ] = 100_000


def _ratio(description: str, lisk: str) -> msgspec.Meta:
    return option(CHOICE, description, lisk=lisk, unit="ratio", ge=0, le=1)


def _rule(description: str, lisk: str) -> msgspec.Meta:
    return option(
        CHOICE,
        f"{description} Null: the node's own rule.",
        lisk=lisk,
        convert=values.function,
        expected="a callable, module:function, or null",
    )


class ChoiceOptions(LimitOptions, frozen=True, kw_only=True):
    """Who is chosen, and who is spared."""

    send_peer_limit: Annotated[
        int,
        count(
            CHOICE,
            "Peers that one send goes to (LIP 0004: 16, at least half of them outbound).",
            lisk="sendPeerLimit",
            le=MAX_COUNT,
        ),
    ] = 16

    netgroup_protection_ratio: Annotated[
        float,
        _ratio("Share of the inbound peers that eviction spares for their network group.", "netgroupProtectionRatio"),
    ] = 0.034

    latency_protection_ratio: Annotated[
        float, _ratio("Share that eviction spares for the lowest latency.", "latencyProtectionRatio")
    ] = 0.068

    productivity_protection_ratio: Annotated[
        float, _ratio("Share that eviction spares for the best response rate.", "productivityProtectionRatio")
    ] = 0.068

    longevity_protection_ratio: Annotated[
        float, _ratio("Share of the rest that eviction spares for the longest connection.", "longevityProtectionRatio")
    ] = 0.5

    inbound_victim: Annotated[
        Literal["youngest-of-largest-group", "random"],
        option(
            CHOICE,
            "Who of the inbound peers that nothing spares is evicted for a newcomer. The default is Bitcoin Core's "
            "rule, to which LIP 0004 refers; random is lisk-p2p's, and loses many more honest peers to a flood.",
        ),
    ] = "youngest-of-largest-group"

    peer_selection_for_send: Annotated[
        Callable[..., Any] | str | None, _rule("Chooses the peers of a send.", "peerSelectionForSend")
    ] = None

    peer_selection_for_request: Annotated[
        Callable[..., Any] | str | None, _rule("Chooses the peer of a request.", "peerSelectionForRequest")
    ] = None

    peer_selection_for_connection: Annotated[
        Callable[..., Any] | str | None, _rule("Chooses whom to dial.", "peerSelectionForConnection")
    ] = None

    peer_handshake_check: Annotated[
        Callable[..., Any] | str | None,
        _rule("Decides whether a peer is compatible, in place of chain id and version.", "peerHandshakeCheck"),
    ] = None
