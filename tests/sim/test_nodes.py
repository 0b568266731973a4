"""Whole nodes in virtual time: connecting, talking, keeping alive, banning."""

from __future__ import annotations

import pytest

from actors.bases.sim_nodes import SimNode, Simulation
from actors.transport.sim_links import Constant, Links
from core import messages as m
from core.errors import EnsembleError, PeerNotFound, StartFailed
from core.events import BanPeer, CloseInbound, CloseOutbound, MessageReceived, UnbanPeer
from core.ids import Direction
from tests.sim.conftest import MakeSimulation, all_connected, connected_pair, one_seed_network

DAY_S = 86_400.0
Pair = tuple[Simulation, SimNode, SimNode]


def test_two_nodes_exchange_messages(pair: Pair) -> None:
    sim, alice, bob = pair
    bob.send("greeting", b"hello", alice.peer_id)
    alice.broadcast("news", None)
    sim.run_for(1.0)
    assert [(e.peer_id, e.event, e.data) for e in alice.told(MessageReceived)] == [(bob.peer_id, "greeting", b"hello")]
    assert [(e.peer_id, e.event, e.data) for e in bob.told(MessageReceived)] == [(alice.peer_id, "news", None)]


def test_requests_take_a_round_trip_of_virtual_time(simulate: MakeSimulation) -> None:
    sim, alice, bob = connected_pair(simulate(links=Links(Constant(0.25))))
    alice.answerers["echo"] = lambda request: request.data
    began = sim.now
    assert bob.request("echo", b"ping").data == b"ping"
    assert sim.now - began == pytest.approx(0.5, abs=1e-5)


def test_an_unknown_procedure_is_refused(pair: Pair) -> None:
    _, _, bob = pair
    with pytest.raises(EnsembleError, match="nothing handles the procedure 'nonsense'"):
        bob.request("nonsense", None)


def test_latency_is_measured(simulate: MakeSimulation) -> None:
    sim, alice, bob = connected_pair(simulate(links=Links(Constant(0.08))))
    sim.run_for(120.0)
    (seen,) = alice.connected()
    assert seen.direction is Direction.INBOUND
    assert seen.latency_ms == pytest.approx(160.0, abs=0.01)
    (seen,) = bob.connected()
    assert seen.latency_ms == pytest.approx(160.0, abs=0.01)


def test_ten_nodes_find_each_other_from_one_seed(simulate: MakeSimulation) -> None:
    sim = simulate()
    nodes = one_seed_network(sim, 10)
    sim.start_all()
    assert sim.run_until(lambda: all_connected(nodes), 60.0)
    sim.run_for(60.0)
    assert all_connected(nodes)
    for node in nodes:
        peers = [peer.endpoint for peer in node.connected()]
        assert len(set(peers)) == 9, "inbound and outbound sets are disjoint"


def test_a_seed_may_be_given_by_name(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice = sim.add_node("alice")
    bob = sim.add_node("bob", seed_peers=[f"seed.example:{alice.endpoint.port}"])
    sim.internet.names["seed.example"] = [alice.endpoint.ip]
    sim.start_all()
    assert sim.run_until(lambda: bob.is_connected_to(alice), 30.0)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("native", "beats", "pings"), [(False, DAY_S / 8.0, DAY_S / 40.0), (True, 0.0, DAY_S / 90.0)])
def test_a_connection_lives_through_a_day(simulate: MakeSimulation, native: bool, beats: float, pings: float) -> None:
    """24 hours of keep-alives (every 8 s), pings (20 to 60 s), and questions for other peers (30 s: bob lacks 19).

    In the native dialect of pings (60 to 120 s) and questions.
    """
    sim, alice, bob = connected_pair(simulate(), network={"native": native})
    (before,) = alice.connected()
    packets = sim.internet.packets
    sim.run_for(DAY_S)
    (after,) = alice.connected()
    assert after.connected_at == before.connected_at
    assert after.reputation == 100
    assert not alice.told(CloseInbound)
    assert not bob.told(CloseOutbound)
    questions = DAY_S / 30.0
    assert sim.internet.packets - packets == pytest.approx(2.0 * (beats + pings + questions), rel=0.02)


@pytest.mark.timeout(240)
def test_a_ban_ends_after_exactly_24_hours(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice = sim.add_node("alice")
    bob = sim.add_node("bob", fixed_peers=[alice.peer_id], is_honest=False)
    sim.start_all()
    assert sim.run_until(lambda: alice.is_connected_to(bob), 10.0)
    alice.ask(m.ApplyPenalty(0, bob.peer_id, 100, "flooding"))
    sim.run_for(1.0)
    ((banned_at, ban),) = [(at, event) for at, event in alice.events if isinstance(event, BanPeer)]
    assert ban.ip_address == bob.endpoint.ip
    assert ban.until == sim.base.wall_start + banned_at + DAY_S
    assert not alice.connected()

    sim.run_for(DAY_S - (sim.now - banned_at) - 1e-6)
    assert not alice.told(UnbanPeer), "bob goes on dialling and is refused all day"
    sim.run_for(2e-6)
    ((unbanned_at, _),) = [(at, event) for at, event in alice.events if isinstance(event, UnbanPeer)]
    assert unbanned_at - banned_at == DAY_S
    assert sim.run_until(lambda: alice.is_connected_to(bob), 61.0), "bob's longest pause is a minute"


def test_clocks_may_be_wrong_and_everything_else_goes_on(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice = sim.add_node("alice")
    bob = sim.add_node("bob", seed_peers=[alice.peer_id], clock_offset_s=-1e8)
    sim.start_all()
    assert sim.run_until(lambda: alice.is_connected_to(bob) and bob.is_connected_to(alice), 10.0)
    stats = bob.ask(m.GetNetworkStats(0))
    assert stats.started_at == sim.base.wall_start - 1e8


def test_stopping_says_goodbye(pair: Pair) -> None:
    sim, alice, bob = pair
    alice.stop()
    sim.run_for(1.0)
    assert not bob.connected()
    (closed,) = bob.told(CloseOutbound)
    assert closed.code == 1000
    assert not alice.is_running
    assert {cell.text.split("/")[1] for cell in sim.base.cells.values()} == {"Node.2"}, "nothing of alice is left"


def test_a_stopped_node_starts_again_as_somebody_new(pair: Pair) -> None:
    sim, alice, bob = pair
    first = alice.ask(m.GetNodeInfo(0)).node_info.nonce
    alice.stop()
    alice.start()
    assert alice.ask(m.GetNodeInfo(0)).node_info.nonce != first
    assert sim.run_until(lambda: bob.is_connected_to(alice), 61.0)


def test_a_port_that_is_taken_fails_the_start(simulate: MakeSimulation) -> None:
    """Who starts it is told; that is no error in the log of a node."""
    sim = simulate()
    alice = sim.add_node("alice")
    alice.identity.network.listen("0.0.0.0", alice.endpoint.port, 1)
    with pytest.raises(StartFailed, match="the port is taken"):
        alice.start()


def test_calls_to_strangers_fail(pair: Pair) -> None:
    _, _, bob = pair
    with pytest.raises(PeerNotFound):
        bob.request("echo", None, "1.2.3.4:5")  # type: ignore[arg-type]


def test_actions_happen_on_time(pair: Pair) -> None:
    sim, alice, bob = pair
    sim.at(100.0, lambda: bob.send("late", b"", alice.peer_id))
    sim.run_for(99.0 - sim.now)
    assert not alice.told(MessageReceived)
    sim.run_for(2.0)
    ((arrived_at, _),) = [(at, e) for at, e in alice.events if isinstance(e, MessageReceived)]
    assert arrived_at == pytest.approx(100.05, abs=1e-5)


def test_a_node_may_be_started_by_an_action(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice = sim.add_node("alice")
    bob = sim.add_node("bob", seed_peers=[alice.peer_id])
    alice.start()
    sim.at(30.0, bob.launch)
    assert not sim.run_until(lambda: bool(alice.connected()), 29.0)
    assert sim.run_until(lambda: bool(alice.connected()), 5.0)
    assert sim.now > 30.0


def test_waiting_inside_the_simulation_is_refused(pair: Pair) -> None:
    sim, alice, _ = pair
    refusals: list[str] = []

    def wait() -> None:
        try:
            alice.ask(m.GetNodeInfo(0))
        except RuntimeError as error:
            refusals.append(str(error))

    sim.at(sim.now + 1.0, wait)
    sim.run_for(2.0)
    assert refusals == ["actors and scheduled calls cannot wait: they send, and handle the answer as a message"]


def test_a_strict_network_sends_only_what_can_be_pickled(simulate: MakeSimulation) -> None:
    sim = simulate(strict=True)
    nodes = one_seed_network(sim, 4)
    sim.start_all()
    assert sim.run_until(lambda: all_connected(nodes), 60.0)


def test_a_stop_that_leaves_something_is_found(pair: Pair) -> None:
    _, alice, _ = pair
    alice.identity.network.listen("127.0.0.1", 7777, 1)
    with pytest.raises(EnsembleError, match=r"alice has been stopped and leaves a listener at 127.0.0.1:7777"):
        alice.stop()
