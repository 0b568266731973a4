"""Options that say how the node behaves: whom it connects to, and how long it waits.

Each class is one group of the reference, and adds it to the one before: :class:`core.config.schema.NodeConfig` inherits
them all, so that the options stay flat, as in lisk-p2p's ``P2PConfig``. (A chain, because structures have one base.)
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from core.config.checking import count, option, seconds

MAX_DURATION_S = 10 * 365 * 86400.0
"""Ten years: the longest time that any option takes."""

MAX_TIMEOUT_S = 3600.0

MAX_KEEPALIVE_S = 86400.0
"""The time-out travels to the opener in milliseconds and must stay below 2^31 there."""

MAX_COUNT = 100_000

OUT, TIME = "Outbound connections", "Time-outs"


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

    busy_poll_s: Annotated[
        float,
        option(
            TIME,
            "With system inproc: how long the node goes on looking at its sockets, at most, before it sleeps, where an "
            "answer or the next question of a peer is likely to come within that time. It finds out by itself where "
            "that is, looks nowhere else, and never while it has nothing to expect; what it looks for in vain is below "
            "1 % of one processor. Halves the time of requests that are made one after the other. 0: never.",
            unit="s",
            ge=0.0,
            le=0.01,
        ),
    ] = 0.0002
