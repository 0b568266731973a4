"""Options of the protections against eclipse that go beyond LIP 0004: an attacker who becomes all of a node's peers
decides what it sees.

All are local policy: nothing of them shows on the wire but ordinary connections and ordinary answers, so they are on by
default. Each names its source; docs/threat-model.md names the attack.
"""

from __future__ import annotations

from typing import Annotated

from core.config.behaviour import MAX_COUNT, MAX_DURATION_S
from core.config.book_options import BookOptions
from core.config.checking import count, option

ECLIPSE = "Protection against eclipse"

MAX_INTAKE = 1_000_000
MAX_ANCHORS = 64
"""Anchors that are stored: of more, hardly one more is needed, and all of them are dialled at once."""


class ProtectionOptions(BookOptions, frozen=True, kw_only=True):
    """What Bitcoin Core has added against eclipse since Heilman et al. 2015."""

    keep_getpeers_answer: Annotated[
        bool,
        option(
            ECLIPSE,
            "Give the same getPeers answer for a random 21 to 27 hours, once so many addresses are known that it is "
            "at most half of them: asking often then shows nothing more of the book, nor who has just come or gone "
            "(Bitcoin Core PR #18991). False: a fresh sample each time, as LIP 0004 and lisk-p2p.",
        ),
    ] = True

    address_intake_per_s: Annotated[
        float,
        option(
            ECLIPSE,
            "Unknown addresses that are taken from one host (one IPv6 /64), beyond its allowance: against whoever "
            "pours addresses into the book (Bitcoin Core PR #22387). 0: no limit.",
            ge=0,
            le=MAX_INTAKE,
        ),
    ] = 0.1

    address_intake_allowance: Annotated[
        int,
        count(
            ECLIPSE,
            "Unknown addresses that one host may tell at once; what it has used grows back at address_intake_per_s.",
            le=MAX_INTAKE,
        ),
    ] = 1000

    feeler_interval_s: Annotated[
        float,
        option(
            ECLIPSE,
            "Mean time between feelers: while all outbound slots are taken, one known but untried address is "
            "connected, and left again after its node info, so that the tried addresses are many and alive (Heilman "
            "et al. 2015, countermeasure 4; Bitcoin Core PR #8282). 0: no feelers.",
            unit="s",
            ge=0,
            le=MAX_DURATION_S,
        ),
    ] = 120.0

    test_before_evict: Annotated[
        bool,
        option(
            ECLIPSE,
            "Before a tried address makes room for a newcomer, see by a feeler whether it still answers, and keep it "
            "if so (Heilman et al. 2015, countermeasure 3; Bitcoin Core PR #9037). Needs feelers; without them, or "
            "when false, LIP 0004's random victim goes.",
        ),
    ] = True

    anchor_connections: Annotated[
        int,
        count(
            ECLIPSE,
            "After a restart, connect first to so many of the outbound peers that had stayed longest: an attacker "
            "cannot wait for a restart to get all connections (Heilman et al. 2015, countermeasure 5; Bitcoin Core "
            "PR #17428, which has 2). Needs data_dir.",
            ge=0,
            le=MAX_ANCHORS,
        ),
    ] = 10

    draw_weight_per_netgroup: Annotated[
        int,
        count(
            ECLIPSE,
            "In a draw of whom to connect to, one network group counts for at most so many of its known addresses, "
            "however many they are, so that an attacker has to pay in networks instead of addresses. 0: all addresses "
            "count alike, as in LIP 0004.",
            ge=0,
            le=MAX_COUNT,
        ),
    ] = 3

    tried_draws_ratio: Annotated[
        float,
        option(
            ECLIPSE,
            "Least share of the outbound choices that are made among tried addresses, once 100 are known: new ones are "
            "cheap for an attacker, and feelers try them out. Needs feelers; without them it is LIP 0004's half.",
            ge=0.5,
            le=1,
        ),
    ] = 0.9
