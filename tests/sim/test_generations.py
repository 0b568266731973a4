"""Whole nodes of ours that speak older generations of lisk-p2p, or several, in virtual time."""

from __future__ import annotations

import pytest

from core.events import CloseInbound, CloseOutbound, MessageReceived
from tests.sim.conftest import MakeSimulation

NAMES = {"network_identifier": "1111", "network_id": "123xyz"}
PROTOCOLS = ("lisk-0.10", "lisk-0.7", "lisk-0.5", "auto")


@pytest.mark.parametrize(
    ("dials", "listens"),
    [*((protocol, protocol) for protocol in PROTOCOLS), *(("auto", protocol) for protocol in PROTOCOLS[:3]),
     *((protocol, "auto") for protocol in PROTOCOLS[:3])],
)  # fmt: skip
@pytest.mark.parametrize("native", [False, True], ids=["as lisk-p2p", "native"])
def test_nodes_of_one_generation_meet_and_auto_meets_them_all(
    simulate: MakeSimulation, dials: str, listens: str, native: bool
) -> None:
    sim = simulate()
    alice = sim.add_node("alice", network={"protocol": listens, "native": native}, node_info=NAMES)
    bob = sim.add_node(
        "bob", network={"protocol": dials, "native": native}, node_info=NAMES, seed_peers=[alice.peer_id]
    )
    alice.answerers["echo"] = lambda request: request.data
    sim.start_all()
    assert sim.run_until(lambda: bob.is_connected_to(alice) and alice.is_connected_to(bob), 30.0)
    spoken = {peer.dialect.removeprefix("native ") for node in (alice, bob) for peer in node.connected()}
    both = {dials, listens} - {"auto"} or {"lisk-0.10"}
    assert spoken == ({"native"} if native and both == {"lisk-0.10"} else both)
    bob.send("json", b'{"a":[1,null]}', alice.peer_id)
    bob.send("bytes", b"\xff\x00", alice.peer_id)
    alice.broadcast("nothing", None)
    sim.run_for(1.0)
    assert [event.data for event in alice.told(MessageReceived)] == [b'{"a":[1,null]}', b"\xff\x00"]
    assert [event.data for event in bob.told(MessageReceived)] == [None]
    assert bob.request("echo", b'"text"').data == b'"text"'
    sim.run_for(300.0)  # keep-alives, pings, questions for peers
    assert bob.is_connected_to(alice)
    assert not bob.told(CloseOutbound)
    assert not alice.told(CloseInbound)
