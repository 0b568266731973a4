"""Counters and reputation of one connection."""

from __future__ import annotations

from core.conduct import Conduct
from core.ids import Direction
from core.link_settings import LinkSettings


def conduct(direction: Direction = Direction.INBOUND, **settings: float) -> Conduct:
    return Conduct(direction, LinkSettings(**settings))  # type: ignore[arg-type]


def test_reputation_falls_to_zero_and_no_further() -> None:
    judged = conduct()
    judged.punish(99)
    assert (judged.reputation, judged.is_spent) == (1, False)
    judged.punish(100)
    assert (judged.reputation, judged.is_spent) == (0, True)


def test_the_direction_decides_what_a_packet_fault_costs() -> None:
    assert conduct(Direction.INBOUND).punishment("not_json") is not None
    assert conduct(Direction.OUTBOUND).punishment("not_json") is None


def test_packets_are_priced_with_the_configured_rate_penalty_and_window() -> None:
    judged = conduct(max_packet_rate=10, packet_rate_penalty=7, packet_rate_window_s=2.0)
    assert judged.packet_rate.add(20, 0.0) == 0
    assert judged.packet_rate.due_at() is None
    judged.packet_rate.add(1, 1.0)
    assert judged.packet_rate.due_at() == 2.0
    assert judged.packet_rate.settle(2.0) == 7


def test_lip_0004_a_peer_may_push_its_node_info_4_times_in_10_s() -> None:
    judged = conduct()
    assert [judged.node_info_pushed(0.0) for _ in range(6)] == [False] * 4 + [True] * 2
    assert not judged.node_info_pushed(10.0)


def test_the_limit_of_node_infos_is_configurable() -> None:
    judged = conduct(node_info_rate=1)
    assert [judged.node_info_pushed(0.0) for _ in range(2)] == [False, True]


def test_lip_0004_a_peer_may_ask_for_our_node_info_once_per_connection() -> None:
    judged = conduct()
    assert [judged.node_info_asked() for _ in range(3)] == [False, True, True]


def test_a_peer_may_ask_for_peers_once_in_10_s() -> None:
    judged = conduct()
    assert [judged.peers_asked(now) for now in (0.0, 9.9, 10.0, 10.1)] == [False, True, False, True]


def test_lip_0004_a_peer_may_ask_for_peers_once_per_connection_if_so_configured() -> None:
    judged = conduct(peers_asked_once=True)
    assert [judged.peers_asked(now) for now in (0.0, 9.9, 10.0, 1e6)] == [False, True, True, True]
