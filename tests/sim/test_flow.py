"""What goes to many is made once; what is made by many is not kept for one that cannot keep up."""

from __future__ import annotations

import pytest

from core.events import MessageReceived
from core.wire.lisk10 import Lisk10
from core.wire.native import Native
from tests.sim.conftest import MakeSimulation, all_connected, one_seed_network


@pytest.mark.parametrize(("native", "dialect"), [(True, Native), (False, Lisk10)])
@pytest.mark.parametrize("at_once", [1, 40])
def test_a_broadcast_is_encoded_once_however_many_peers(
    simulate: MakeSimulation, monkeypatch: pytest.MonkeyPatch, native: bool, dialect: type, at_once: int
) -> None:
    sim = simulate()
    nodes = one_seed_network(sim, 12, network={"native": native})
    sim.start_all()
    assert sim.run_until(lambda: all_connected(nodes), 60.0)
    sim.run_for(10.0)
    encoded: list[str] = []
    once = dialect.encode_message  # type: ignore[attr-defined]
    encode = once.encode

    def count(event: str, data: bytes | None) -> str | bytes:
        encoded.append(event)
        made: str | bytes = encode(event, data)
        return made

    monkeypatch.setattr(once, "encode", count)
    for number in range(at_once):
        nodes[0].broadcast(f"block {number}", bytes(100))
    sim.run_for(1.0)
    heard = [event.event for node in nodes[1:] for event in node.told(MessageReceived)]
    assert len(heard) == 11 * at_once
    assert encoded == [f"block {number}" for number in range(at_once)]
