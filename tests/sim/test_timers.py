"""A peer's timer is armed for the earliest of its deadlines, although most messages do not make it look."""

from __future__ import annotations

import pytest

from actors.peer_actor import PeerActor
from core import messages as m
from tests.sim.conftest import MakeSimulation, one_seed_network


@pytest.mark.parametrize("native", [True, False])
def test_no_deadline_of_a_peer_is_missed(
    simulate: MakeSimulation, monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    late: list[str] = []
    looks = 0
    receive = PeerActor.receiveMessage

    def receive_and_look(self: PeerActor, message: object, sender: object) -> object:
        nonlocal looks
        result = receive(self, message, sender)
        deadline = self.deadline()
        looks += 1
        if deadline is not None and not self.has_ended and not self._wakes_at <= deadline + 0.01:
            late.append(f"after {type(message).__name__}: due at {deadline}, armed {self._wakes_at}")
        return result

    monkeypatch.setattr(PeerActor, "receiveMessage", receive_and_look)
    sim = simulate(3)
    options = {"network": {"native": native}, "outbound_shuffle_interval_s": 40.0, "ping_interval_min_s": 5.0}
    options["traffic_report_interval_s"] = 600.0  # else that timer would come in time for the others
    hub, *others = one_seed_network(sim, 5, **options)
    hub.answerers["echo"] = lambda request: request.data
    sim.start_all()
    sim.run_for(20.0)
    for node in others:
        node.later(m.SendRequest(0, "echo", b"x", 5.0, hub.peer_id))
        node.later(m.SendRequest(0, "silence", b"x", 5.0, hub.peer_id))
        for _ in range(150):
            node.broadcast("many", b"")
    others[0].later(m.ApplyNodeInfo(0, {}))
    sim.run_for(30.0)
    others[1].crash(silent=True)
    others[2].freeze(for_s=30.0)
    sim.run_for(200.0)
    assert looks > 2000
    assert not late, late[:5]
