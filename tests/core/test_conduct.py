"""Counters and reputation of one connection."""

from __future__ import annotations

import pytest

from core.conduct import Conduct
from core.ids import Direction
from core.link_settings import LinkSettings
from tests.core.link_rig import Fixed


def conduct(direction: Direction = Direction.INBOUND, **settings: float) -> Conduct:
    return Conduct(direction, LinkSettings(**settings), Fixed(0.5))  # type: ignore[arg-type]


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
    assert judged.count_packets(20, 0.0) == 0
    assert judged.packets_due_at() is None
    judged.count_packets(1, 1.0)
    assert judged.packets_due_at() == 2.0
    assert judged.settle_packets(2.0) == 7


@pytest.mark.parametrize(
    ("packets", "penalty"), [(90, 0), (100, 0), (101, 10), (150, 10), (199, 10), (200, 20), (350, 30), (1100, 110)]
)
def test_a_window_is_priced_by_whole_multiples_of_the_limit_as_by_lisk_p2p(packets: int, penalty: int) -> None:
    judged = conduct(max_packet_rate=100.0, packet_rate_penalty=10, packet_rate_window_s=1.0)
    assert judged.count_packets(packets, 5.0) == 0
    assert judged.packets_due_at() == (6.0 if penalty else None)
    assert judged.settle_packets(5.999) == 0
    assert judged.settle_packets(6.0) == penalty
    assert judged.packets_due_at() is None
    assert judged.settle_packets(7.0) == 0


def test_packets_after_the_window_settle_it() -> None:
    judged = conduct(max_packet_rate=100.0, packet_rate_penalty=10, packet_rate_window_s=1.0)
    judged.count_packets(60, 0.0)
    judged.count_packets(60, 0.9)
    assert judged.count_packets(1, 3.0) == 10
    assert judged.count_packets(1, 3.5) == 0


def test_the_limit_is_a_rate_whatever_the_window() -> None:
    judged = conduct(max_packet_rate=100.0, packet_rate_penalty=10, packet_rate_window_s=5.0)
    judged.count_packets(500, 0.0)
    assert judged.packets_due_at() is None
    judged.count_packets(1, 0.0)
    assert judged.settle_packets(5.0) == 10


def test_a_window_that_costs_nothing_is_not_replaced_by_an_empty_one() -> None:
    judged = conduct(max_packet_rate=100.0, packet_rate_penalty=10, packet_rate_window_s=1.0)
    judged.count_packets(60, 0.0)
    assert judged.settle_packets(2.0) == 0
    judged.count_packets(60, 2.5)
    judged.count_packets(60, 3.2)
    assert judged.packets_due_at() == 3.5, "it begins with its first packet"


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


def test_counters_are_given_up_when_their_windows_are_over() -> None:
    judged = conduct()
    judged.node_info_pushed(0.0)
    judged.peers_asked(5.0)
    judged.rest_conduct(10.0)
    assert judged.peers_asked(10.0), "its window lasts until 15"
    judged.rest_conduct(15.0)
    assert judged._windows is conduct()._windows
    assert not judged.peers_asked(15.0)
    assert not judged.node_info_asked()
    judged.rest_conduct(30.0)
    assert judged.node_info_asked(), "that is remembered for good"
    assert not conduct().node_info_asked(), "and of this one only"
