"""How a real lisk-p2p 0.10.0 node treated openers that broke the rules, and how our link treats the same packets.

Each recorded case is a fresh node and a hand-made opener that announces port 7000; see :mod:`tests.core.opener_deeds`.
Application procedure ``echo`` answers what was sent. A whole node does the same, and all cases, in
tests/actors/test_replayed_openers.py.
"""

from __future__ import annotations

import pytest

from core.events import RequestReceived
from core.house_messages import (
    GetSample,
    PeerMisbehaved,
)
from core.ids import Endpoint
from core.wire.lisk10 import Lisk10
from core.wire.packets import PacketFault
from core.wire.payloads import NodeInfo
from tests.core.link_rig import ABORT, CHAIN, THEIRS, Rig, inbound
from tests.core.opener_deeds import (
    CASES,
    DEEDS,
    DEVIATIONS,
    OURS,
    PING_AFTER_S,
    PING_FRAME,
    RAW,
    Binary,
    Outcome,
    long_info,
    recorded,
    shortened,
)


def play(deeds: list[object], ping_after_s: float) -> Outcome:
    own = NodeInfo(CHAIN, "1.1", "a" * 16)
    rig = inbound(own=own, announced=THEIRS, endpoint=Endpoint("127.0.0.1", 7000), ping_interval_min_s=ping_after_s)
    for deed in deeds:
        for packet in deed if isinstance(deed, list) else [deed]:
            if isinstance(packet, float):
                rig.advance(packet)
            elif packet is PING_FRAME:
                rig.do(rig.link.on_control_frame(rig.now))
            elif isinstance(packet, Binary):
                rig.receive(packet.text, binary=True)
            else:
                rig.receive(packet)
            serve(rig)
    closes = [end for end in rig.ends if end != ABORT]
    reputation = None if rig.ends else rig.link.reputation
    return Outcome(shortened(rig.sent), int(closes[0]) if closes else None, bool(rig.tells(PeerMisbehaved)), reputation)


def serve(rig: Rig) -> None:
    """The application and the book."""
    for request in rig.of(RequestReceived):
        if request.procedure == "echo" and request.call_id:
            rig.do(rig.link.answer(request.call_id, request.data))
    for sample in rig.tells(GetSample):
        rig.do(rig.link.on_sample(sample.request_id, [Endpoint("127.0.0.1", 7000)]))
    rig.events.clear()
    rig.told = [(room, message) for room, message in rig.told if not isinstance(message, GetSample)]


@pytest.mark.parametrize("name", DEEDS)
def test_an_opener_is_treated_as_a_real_node_treats_it(name: str) -> None:
    assert play(DEEDS[name], PING_AFTER_S.get(name, 60.0)) == OURS.get(name, recorded(CASES[name]))


def test_every_case_is_replayed() -> None:
    assert set(DEEDS) | RAW == set(CASES)
    assert not set(DEEDS) & RAW


@pytest.mark.parametrize("name", OURS)
def test_every_deviation_is_still_one(name: str) -> None:
    assert DEVIATIONS[name]
    assert OURS[name] != recorded(CASES[name])


def test_only_the_nonce_is_wrong_with_the_long_node_info() -> None:
    assert [len(long_info(size)) for size in (20480, 20481)] == [20480, 20481]
    with pytest.raises(PacketFault, match="nonce of at most 256 characters, got 20463"):
        Lisk10().decode_node_info(long_info(20480))
