"""The table of LIP 0004, "Penalties and bans", as far as one connection knows of it."""

from __future__ import annotations

import pytest

from core.ids import Direction
from core.penalties import PACKET_FAULT, REPUTATION_AT_START, RULES, punishment


def test_a_peer_starts_with_100_points() -> None:
    assert REPUTATION_AT_START == 100


@pytest.mark.parametrize("rule", ["invalid_node_info", "invalid_peer_list", "protocol_request_with_data"])
@pytest.mark.parametrize("direction", Direction)
def test_malformed_protocol_messages_cost_100_whoever_sends_them(rule: str, direction: Direction) -> None:
    found = punishment(rule, direction)
    assert found is not None
    assert (found.penalty, found.raw) == (100, False)


@pytest.mark.parametrize("rule", ["node_info_rate", "get_node_info_repeated", "get_peers_repeated"])
def test_too_many_protocol_messages_cost_10_each(rule: str) -> None:
    found = punishment(rule, Direction.INBOUND)
    assert found is not None
    assert (found.penalty, found.raw) == (10, False)


@pytest.mark.parametrize("direction", Direction)
def test_a_control_frame_destroys_the_connection(direction: Direction) -> None:
    found = punishment("control_frame", direction)
    assert found is not None
    assert (found.penalty, found.raw) == (100, True)


def test_a_fault_of_the_packet_format_is_punished_only_when_the_opener_commits_it() -> None:
    assert punishment("not_json", Direction.INBOUND) is PACKET_FAULT
    assert (PACKET_FAULT.penalty, PACKET_FAULT.raw) == (100, True)
    assert punishment("not_json", Direction.OUTBOUND) is None
    assert "not_json" not in RULES
