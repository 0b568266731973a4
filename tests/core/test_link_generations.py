"""Where a connection behaves by its generation, beyond the form of its packets."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.events import InvalidMessageReceived, UpdatedPeerInfo
from core.ids import Direction
from core.wire.dialect import Dialect
from core.wire.generations import AnyGeneration
from core.wire.lisk05 import Lisk05
from core.wire.lisk07 import Lisk07
from core.wire.lisk10 import Lisk10
from core.wire.payloads import NodeInfo
from tests.core.link_rig import SESSION_ID, Rig

OLD, MIDDLE, NEW = Lisk05(), Lisk07(), Lisk10()
GENERATIONS: tuple[Dialect, ...] = (NEW, MIDDLE, OLD)
NAMES = {"network_identifier": "1111", "network_id": "123xyz", "version": "1.0"}
OURS = NodeInfo(b"\0\0\0\1", "1.1", "ours", port=5001, **NAMES)
THEIRS = replace(OURS, nonce="theirs")


def inbound(dialect: Dialect) -> Rig:
    """A link with an opener of this generation that has passed the checks."""
    rig = Rig(Direction.INBOUND, dialect=dialect, own=OURS)
    rig.do(rig.link.start_inbound(THEIRS, 1, SESSION_ID, rig.now))
    rig.take_sent()
    return rig


def outbound(dialect: Dialect) -> Rig:
    """A link that has just shaken hands with a listener of whatever generation."""
    rig = Rig(Direction.OUTBOUND, dialect=dialect, own=OURS)
    rig.do(rig.link.start_outbound(rig.now))
    rig.do(rig.link.on_connected(rig.now))
    rig.do(rig.link.on_opened(rig.now))
    return rig


def push(dialect: Dialect, info: NodeInfo = THEIRS) -> str:
    text = dialect.encode_message("postNodeInfo", dialect.encode_node_info(info))
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(("dialect", "reputation"), [(OLD, 100), (MIDDLE, 70), (NEW, 70)], ids=["old", "middle", "new"])
def test_only_the_oldest_generation_may_push_its_node_info_as_often_as_it_likes(
    dialect: Dialect, reputation: int
) -> None:
    rig = inbound(dialect)
    for _ in range(7):
        rig.receive(push(dialect))
    assert rig.link.reputation == reputation
    assert len(rig.of(UpdatedPeerInfo)) == 7


@pytest.mark.parametrize("dialect", GENERATIONS, ids=lambda dialect: dialect.name)
def test_a_ping_and_its_answer_in_each_generation(dialect: Dialect) -> None:
    rig = inbound(dialect)
    rig.advance(15.0)
    rig.receive("#2")
    rig.advance(6.0)
    asked = [packet for packet in rig.take_sent() if "ping" in json.dumps(packet)]
    cid = asked[0]["cid"]
    rig.receive(dialect.encode_pong(cid, "1.2.3.4:5"))
    assert rig.link.info().latency_ms is not None
    assert rig.of(InvalidMessageReceived) == []
    rig.receive(dialect.encode_ping(9))
    assert rig.take_sent()[-1]["rid"] == 9


@pytest.mark.parametrize("dialect", GENERATIONS, ids=lambda dialect: dialect.name)
def test_an_opener_of_all_generations_speaks_the_listeners_from_its_first_packet_on(dialect: Dialect) -> None:
    rig = outbound(AnyGeneration(GENERATIONS))
    assert rig.link.info().dialect == "auto"
    rig.take_sent()
    rig.receive(push(dialect))
    assert rig.take_sent() == []
    rig.receive(dialect.encode_ack(1, SESSION_ID, 20_000))
    (pushed, asked) = rig.take_sent()
    assert pushed == json.loads(push(dialect, OURS))
    assert asked["data"] == {"procedure": "getNodeInfo"}
    rig.receive(dialect.encode_response(2, dialect.encode_node_info(THEIRS), "1.2.3.4:5"))
    rig.receive(dialect.encode_response(3, dialect.encode_peers([]), "1.2.3.4:5"))
    assert rig.link.is_connected
    assert rig.link.info().dialect == dialect.name


def test_whatever_comes_before_it_tells_is_not_answered_in_the_wrong_form() -> None:
    """A listener that hurries: a call and a keep-alive before its node info."""
    rig = outbound(AnyGeneration(GENERATIONS))
    rig.take_sent()
    rig.receive("#1")
    assert rig.take_sent() == ["#2"]
    rig.receive('{"event":"#disconnect","data":{"code":4104,"data":"Peer networkId did not match our own"}}')
    assert rig.link.info().network_id == ""
