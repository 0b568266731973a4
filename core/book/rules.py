"""The rules by which the peer book decides, each by a stable name and with its source."""

from __future__ import annotations

from typing import Final

from core.decisions import Rule

_DIRECTORY = "LIP 0004, Peer directory"
_SELECTION = "LIP 0004, Selection"
_STATIC = "LIP 0004, Static lists"
_OURS = "Ensemble, threat model"
_CORE = "Bitcoin Core addrman; Heilman et al. 2015, countermeasure 3"

ADVERTISED: Final = Rule("advertised", _DIRECTORY)
INBOUND: Final = Rule("inbound_connection", _DIRECTORY)
OUTBOUND_SUCCESS: Final = Rule("outbound_success", _DIRECTORY)
TRIED_BUCKET_FULL: Final = Rule("tried_bucket_full", _DIRECTORY)
NEW_BUCKET_FULL_AGE: Final = Rule("new_bucket_full_oldest", _DIRECTORY)
NEW_BUCKET_FULL_RANDOM: Final = Rule("new_bucket_full_random", _DIRECTORY)
FAILED_IN_NEW: Final = Rule("first_failure_in_new", _DIRECTORY)
FAILED_IN_TRIED: Final = Rule("consecutive_failures", _DIRECTORY)
REMOVED: Final = Rule("removed_on_ban", "LIP 0004, Penalties and bans")
WHITELISTED: Final = Rule("whitelisted", _STATIC)
ONLY_WHITELISTED: Final = Rule("tried_bucket_all_whitelisted", _STATIC)
PORT_KEPT: Final = Rule("port_kept", _OURS)
PORT_VERIFIED: Final = Rule("port_verified", _OURS)
PORT_ANNOUNCED: Final = Rule("port_announced", _OURS)
ADDRESS_UNUSABLE: Final = Rule("address_unusable", _OURS)
NARROWER_REACH: Final = Rule("narrower_reach_than_source", _OURS)
RESTORED: Final = Rule("restored", _DIRECTORY)
CHOSEN: Final = Rule("outbound_choice", _SELECTION)
NOT_NOW: Final = Rule("connected_or_resting", _SELECTION)
"""The pool excluded it: it is connected or being dialled, or was lost a moment ago, or has a pace of its own."""
GROUP_FULL: Final = Rule("outbound_group_full", _SELECTION)
IP_CONNECTED: Final = Rule("one_outbound_per_ip", _SELECTION)
TEST_FIRST: Final = Rule("test_before_evict", _CORE)
OCCUPANT_RECENT: Final = Rule("occupant_recently_connected", _CORE)
TESTS_BUSY: Final = Rule("tests_busy", _CORE)
TEST_PASSED: Final = Rule("test_passed", _CORE)
TEST_FAILED: Final = Rule("test_failed", _CORE)
TEST_EXPIRED: Final = Rule("test_expired", _CORE)
INTAKE_LIMIT: Final = Rule("address_intake_limit", "Bitcoin Core, PR #22387")
