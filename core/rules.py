"""The rules by which connections are made, judged and ended, each by a stable name and with its source.

Those of the peer book are in :mod:`core.book.rules`. Names are for programs and logs; they never hold a remote's text.
"""

from __future__ import annotations

from typing import Final

from core.decisions import Rule
from core.ids import CloseCode
from core.penalties import RULES

_CONNECTIONS = "LIP 0004, Connections"
_SELECTION = "LIP 0004, Selection"
_DISCOVERY = "LIP 0004, Start-up and discovery"
_STATIC = "LIP 0004, Static lists"
_EVICTION = "LIP 0004, Inbound eviction"
_BANS = "LIP 0004, Penalties and bans"
_CODES = "docs/protocol.md, Close codes"
_HANDSHAKE = "docs/protocol.md, Checks of the listener"
_OURS = "Ensemble, threat model"

# Whom we dial, and whom not

SLOT_FREE: Final = Rule("outbound_slot_free", _SELECTION)
FIXED_PEER: Final = Rule("fixed_peer", _STATIC)
SEED_ASKED: Final = Rule("seed_asked", _DISCOVERY)
RESTING: Final = Rule("rests_after_close", _OURS)
OWN_ADDRESS: Final = Rule("own_address", _HANDSHAKE)
BANNED: Final = Rule("banned_address", _BANS)
BLACKLISTED: Final = Rule("blacklisted", _STATIC)
ALREADY_CONNECTED: Final = Rule("already_connected", _SELECTION)
GROUP_FULL: Final = Rule("outbound_group_full", _SELECTION)
BACK_OFF: Final = Rule("redial_back_off", _STATIC)
FEELER: Final = Rule("feeler", "Bitcoin Core, PR #8282; Heilman et al. 2015, countermeasure 4")
TESTED: Final = Rule("test_before_evict", "Bitcoin Core addrman; Heilman et al. 2015, countermeasure 3")
ANCHOR: Final = Rule("anchor", "Bitcoin Core, PR #17428; Heilman et al. 2015, countermeasure 5")

# Whom we let in

ADMITTED: Final = Rule("admitted", _CONNECTIONS)
OPENED: Final = Rule("handshake_done", _CONNECTIONS)
DUPLICATE: Final = Rule("duplicate_connection", _CODES)
STOPPING: Final = Rule("node_is_stopping", _CONNECTIONS)
HOST_FULL: Final = Rule("inbound_host_full", _OURS)
NOBODY_TO_EVICT: Final = Rule("nobody_to_evict", _EVICTION)
MUTE: Final = Rule("no_upgrade_in_time", _OURS)
PENDING_FULL: Final = Rule("too_many_unfinished_handshakes", _OURS)
WRONG_PATH: Final = Rule("wrong_path", _HANDSHAKE)
POOL_SILENT: Final = Rule("node_too_busy", _OURS)

# Who has to go, and who need not

YOUNGEST_OF_LARGEST_GROUP: Final = Rule("youngest_of_largest_group", "Bitcoin Core, inbound eviction")
RANDOM_VICTIM: Final = Rule("random_victim", _EVICTION)
PROTECTED_STATIC: Final = Rule("never_evicted", _STATIC)
PROTECTED_NET_GROUP: Final = Rule("protected_by_net_group", _EVICTION)
PROTECTED_LATENCY: Final = Rule("protected_by_latency", _EVICTION)
PROTECTED_PRODUCTIVITY: Final = Rule("protected_by_response_rate", _EVICTION)
PROTECTED_LONGEVITY: Final = Rule("protected_by_longevity", _EVICTION)
EVICTED: Final = Rule("inbound_evicted", _EVICTION)
SHUFFLED: Final = Rule("outbound_shuffling", _CONNECTIONS)
SEED_RELEASED: Final = Rule("seed_released", _DISCOVERY)

# How it behaved

APPLICATION: Final = Rule("application_penalty", "the application")
NEVER_BANNED: Final = Rule("trusted_peer_never_banned", _STATIC)
DRY_RUN: Final = Rule("ban_mode_dry_run", _OURS)
REPUTATION_SPENT: Final = Rule("reputation_spent", _BANS)
BY_HAND: Final = Rule("by_hand", "the application")
BAN_STORED: Final = Rule("ban_still_in_force", _BANS)
BAN_ENDED: Final = Rule("ban_ended", _BANS)
SEED_TRUSTED: Final = Rule("address_of_a_named_seed", _STATIC)

# How a connection ended

CLOSED_BY_US: Final = Rule("closed_by_us", _CODES)
CLOSED_BY_PEER: Final = Rule("closed_by_peer", _CODES)
CONNECTION_LOST: Final = Rule("connection_lost", _CODES)
DIAL_FAILED: Final = Rule("dial_failed", _CONNECTIONS)
REFUSED_BY_PEER: Final = Rule("refused_by_peer", _CODES)

REFUSALS: Final[dict[int, Rule]] = {
    CloseCode.OWN_NONCE: OWN_ADDRESS,
    CloseCode.INCOMPATIBLE: Rule("incompatible_peer", _HANDSHAKE),
    CloseCode.INVALID_PEER_INFO: Rule("invalid_peer_info", _HANDSHAKE),
    CloseCode.INVALID_QUERY: Rule("invalid_query", _HANDSHAKE),
    CloseCode.INVALID_ADDRESS: Rule("invalid_address", _HANDSHAKE),
    CloseCode.NOT_HANDSHAKE: Rule("no_handshake_first", _HANDSHAKE),
    CloseCode.HANDSHAKE_TIMEOUT: Rule("no_handshake_in_time", _HANDSHAKE),
    CloseCode.FORBIDDEN: BANNED,
}
"""Why the server refuses an opener, by the close code that it sends."""

_OTHER_REFUSAL = Rule("handshake_refused", _HANDSHAKE)
_LIP_RULES = {name: Rule(name, _BANS) for name in RULES} | {"packet_rate": Rule("packet_rate", _BANS)}
_PACKET_SOURCE = "docs/protocol.md, Misbehaviour"


def refusal(code: int) -> Rule:
    """The rule behind a close code of the handshake checks; an application's check may use any code."""
    return REFUSALS.get(code, _OTHER_REFUSAL)


def misconduct(name: str) -> Rule:
    """The rule that a penalty is for, by its name: one of LIP 0004, or a packet fault (:mod:`core.wire.packets`)."""
    return _LIP_RULES.get(name) or Rule(name, _PACKET_SOURCE)


def ending(code: int, *, by_us: bool, was_connected: bool) -> Rule:
    """Why a connection ended, as far as its close code tells."""
    if code == CloseCode.OWN_NONCE:
        return OWN_ADDRESS
    if by_us:
        return CLOSED_BY_US if was_connected else DIAL_FAILED
    if code == CloseCode.ABNORMAL:
        return CONNECTION_LOST if was_connected else DIAL_FAILED
    return CLOSED_BY_PEER if was_connected else REFUSED_BY_PEER
