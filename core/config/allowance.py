"""Options that say what the node allows its peers, and whom it prefers.

They go on with the chain of :mod:`core.config.behaviour`, which says why it is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from core.config import values
from core.config.behaviour import MAX_COUNT, MAX_DURATION_S, MAX_TIMEOUT_S, TimeoutOptions
from core.config.checking import count, option, seconds

LIMIT, CHOICE = "Limits and penalties", "Choosing peers"


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
