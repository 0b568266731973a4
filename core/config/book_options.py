"""Options of the peer book, and of what it counts as one place in the network.

The defaults are LIP 0004's rules. Where lisk-p2p 0.10 keeps others, its rule is the other choice, so that a node, or a
simulation, can file and choose addresses as lisk-p2p does.
"""

from __future__ import annotations

from typing import Annotated, Literal

from core.config.allowance import ChoiceOptions
from core.config.behaviour import MAX_DURATION_S
from core.config.checking import option, seconds

BOOK = "Peer book"


class BookOptions(ChoiceOptions, frozen=True, kw_only=True):
    """How addresses are filed and weighed."""

    peer_book_hashing: Annotated[
        Literal["lip", "lisk"],
        option(
            BOOK,
            "How an address finds its bucket. lip: LIP 0004, IPv6 included, keyed with 256 bits. lisk: number for "
            "number as lisk-p2p does, IPv4 only, keyed with 32 bits; for comparisons, not for a node with enemies.",
        ),
    ] = "lip"

    peer_book_identity: Annotated[
        Literal["ip", "endpoint"],
        option(
            BOOK,
            "What counts as one peer. ip: one entry for each IP address (LIP 0004). endpoint: one for each ip:port, as "
            "in lisk-p2p; ports cost nothing, so one host can then fill as many entries as its buckets hold.",
        ),
    ] = "ip"

    peer_book_new_max_age_s: Annotated[
        float,
        seconds(
            BOOK,
            "When a bucket of new addresses is full, one older than this goes first (LIP 0004: 30 days; lisk-p2p: 1 "
            "day).",
            le=MAX_DURATION_S,
        ),
    ] = 30 * 86400.0

    peer_book_few_tried_choice: Annotated[
        Literal["uniform", "coin-flip"],
        option(
            BOOK,
            "Whom to dial while fewer than 100 tried addresses are known. uniform: any known address alike (LIP 0004). "
            "coin-flip: first tried or new with even chances, as in lisk-p2p.",
        ),
    ] = "uniform"

    refuse_narrower_reach: Annotated[
        bool,
        option(
            BOOK,
            "Refuse addresses that reach less far than the peer who tells them: a public peer cannot make the node "
            "dial its own machine or LAN. False where public nodes rightly pass on private addresses.",
        ),
    ] = True

    private_networks_exempt: Annotated[
        bool,
        option(
            BOOK,
            "Treat private addresses (10.0.0.0/8, 192.168.0.0/16, fc00::/7, ...) as loopback is treated: no limit per "
            "network group or address, and an entry for each ip:port. For networks on one LAN.",
        ),
    ] = False
