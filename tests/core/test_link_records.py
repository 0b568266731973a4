"""Why a remote lost points: rule, source, points, and what is left of its reputation."""

from __future__ import annotations

import pytest

from core.house_messages import (
    PeerMisbehaved,
)
from core.ids import PeerKind
from tests.core.link_rig import REMOTE, inbound, outbound
from tests.spoken import BOTH_DIALECTS

pytestmark = BOTH_DIALECTS

BANS, WIRE = "LIP 0004, Penalties and bans", "docs/protocol.md, Misbehaviour"
PEER = REMOTE.peer_id


def test_a_broken_rule_of_the_lip_is_recorded_with_what_is_left() -> None:
    rig = inbound()
    for _ in range(3):
        rig.call("getNodeInfo")
    assert rig.decisions == [
        f"{PEER} penalised by get_node_info_repeated (points 10, reputation 90; {BANS})",
        f"{PEER} penalised by get_node_info_repeated (points 10, reputation 80; {BANS})",
    ]


def test_too_many_packets_cost_points_by_rate() -> None:
    rig = inbound()
    rig.receive(*["#2"] * 350)
    rig.advance(1.0)
    assert rig.decisions == [f"{PEER} penalised by packet_rate (points 30, reputation 70; {BANS})"]


@pytest.mark.lisk_form
def test_a_packet_fault_of_an_opener_is_recorded_before_the_node_is_told() -> None:
    rig = inbound()
    rig.receive("garbage")
    assert rig.decisions == [f"{PEER} penalised by not_json (points 100, reputation 0; {WIRE})"]
    assert rig.tells(PeerMisbehaved)


def test_a_packet_fault_of_a_listener_is_not_punished_and_not_recorded() -> None:
    rig = outbound()
    rig.receive("garbage")
    assert rig.decisions == []


def test_the_applications_penalty_is_told_as_its_own() -> None:
    """Its reason is free text, perhaps a remote's: it is in the event, and never in a rule's name."""
    rig = inbound()
    rig.do(rig.link.apply_penalty(25, "not_json\n1.2.3.4 banned", rig.now))
    assert rig.decisions == [f"{PEER} penalised by application_penalty (points 25, reputation 75; the application)"]


@pytest.mark.parametrize("kind", [PeerKind.FIXED, PeerKind.WHITELISTED, PeerKind.SEED])
def test_a_trusted_peer_is_kept_and_that_is_told_once(kind: PeerKind) -> None:
    rig = inbound(kind=kind)
    for _ in range(3):
        rig.do(rig.link.apply_penalty(100, "x", rig.now))
    assert rig.decisions == [
        f"{PEER} penalised by application_penalty (points 100, reputation 0; the application)",
        f"{PEER} kept by trusted_peer_never_banned (reputation 0; LIP 0004, Static lists)",
    ]


def test_a_dry_run_says_that_it_was_one() -> None:
    rig = inbound(dry_run=True)
    rig.do(rig.link.apply_penalty(100, "x", rig.now))
    assert rig.decisions[1:] == [f"{PEER} kept by ban_mode_dry_run (reputation 0; Ensemble, threat model)"]
    assert rig.link.is_connected
