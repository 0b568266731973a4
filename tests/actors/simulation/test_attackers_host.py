"""Scripted hosts: peers like every other to a node, and no back door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.bases.sim_node import SimNode
from actors.bases.sim_nodes import Simulation
from actors.simulation.attackers_conduct import Flooder, Poisoner, Trap
from actors.simulation.attackers_host import DIALECT, PORT, Conduct, ScriptedHost
from core.events import BanPeer
from core.ids import Direction, Endpoint

IPS = [f"60.{number}.0.1" for number in range(30)]
ENDPOINTS = [Endpoint(ip, PORT) for ip in IPS]


@pytest.fixture
def sim() -> Iterator[Simulation]:
    with Simulation("scripted") as made:
        yield made


def node_of(sim: Simulation, **options: object) -> SimNode:
    node = sim.add_node("node", ip="20.0.0.1", **options)
    node.start()
    return node


def test_a_node_finds_and_keeps_scripted_peers(sim: Simulation) -> None:
    ScriptedHost(sim, "crowd", IPS, Conduct(ENDPOINTS))
    node = node_of(sim, seed_peers=[ENDPOINTS[0].peer_id])
    sim.run_for(1800.0)
    assert set(node.known()) == set(ENDPOINTS)
    peers = [peer for peer in node.connected() if peer.direction is Direction.OUTBOUND]
    assert len(peers) == 20
    assert {peer.reputation for peer in peers} == {100}


def test_it_can_open_connections_from_each_of_its_addresses(sim: Simulation) -> None:
    host = ScriptedHost(sim, "crowd", IPS, Flooder(slower_s=0.5))
    node = node_of(sim, max_outbound_connections=0)
    lines = [host.dial(ip, node.endpoint) for ip in IPS[:5]]
    sim.run_for(120.0)
    assert {peer.endpoint for peer in node.connected()} == set(ENDPOINTS[:5])
    assert all(line.is_ready and not line.is_over for line in lines)
    assert all((peer.latency_ms or 0.0) > 500.0 for peer in node.connected()), "it answered pings late"
    lines[0].close()
    lines[1].hang_up()
    sim.run_for(1.0)
    assert len(node.connected()) == 3
    node.stop()
    sim.run_for(1.0)
    assert not host.lines
    assert host.conduct.over == 5  # type: ignore[attr-defined]


def test_poison_is_filed_as_what_it_is_hearsay(sim: Simulation) -> None:
    poison = [Endpoint(f"130.{number}.0.1", PORT) for number in range(250)]
    conduct = Poisoner(poison)
    host = ScriptedHost(sim, "poisoner", IPS[:1], conduct)
    node = node_of(sim, seed_peers=[ENDPOINTS[0].peer_id])
    sim.run_for(5.0)
    assert conduct.told >= 200
    assert set(node.known()) <= {*poison, ENDPOINTS[0]}
    assert len(node.known()) > 30
    host.leave()
    assert not host.lines


def test_a_trap_closes_what_is_opened(sim: Simulation) -> None:
    trap = Trap(ENDPOINTS, close_after_s=1.0)
    ScriptedHost(sim, "trap", IPS, trap)
    node = node_of(sim, seed_peers=[ENDPOINTS[0].peer_id])
    sim.run_for(600.0)
    assert trap.caught > 100
    trap.close_after_s = None
    sim.run_for(60.0)
    assert len([peer for peer in node.connected() if peer.direction is Direction.OUTBOUND]) == 20


def test_a_fault_on_the_wire_is_punished_as_everybodys(sim: Simulation) -> None:
    host = ScriptedHost(sim, "crowd", IPS, Conduct(ENDPOINTS))
    node = node_of(sim, max_outbound_connections=0)
    line = host.dial(IPS[3], node.endpoint)
    sim.run_for(1.0)
    line.send(DIALECT.encode_request("getPeers", b"with data", 7))
    sim.run_for(1.0)
    assert line.is_over
    assert [event.ip_address for event in node.told(BanPeer)] == [IPS[3]]
    line.send("nothing happens any more")
    line.close()


def test_whoever_is_not_taken_waits_for_the_upgrade(sim: Simulation) -> None:
    class Mute(Conduct):
        def takes(self, line: object) -> bool:
            return False

    ScriptedHost(sim, "mute", IPS[:1], Mute())
    node = node_of(sim, fixed_peers=[ENDPOINTS[0].peer_id])
    sim.run_for(20.0)
    assert not node.connected()


def test_a_run_can_be_repeated() -> None:
    def digest() -> str:
        with Simulation("again") as sim:
            host = ScriptedHost(sim, "crowd", IPS, Trap(ENDPOINTS, 2.0))
            node = node_of(sim, seed_peers=[ENDPOINTS[0].peer_id])
            for ip in IPS:
                host.dial(ip, node.endpoint)
            sim.run_for(60.0)
            return sim.digest()

    assert digest() == digest()
