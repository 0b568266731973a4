"""The monitor: what it notices, what it tells, and that it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.bases.sim_monitor import Broken, InvariantBroken, Rules
from actors.bases.sim_nodes import SimNode, Simulation
from actors.peer_book import PeerBook
from actors.peer_pool import PeerPool
from core import messages as m
from core.events import PeerInfo
from core.ids import Direction, Endpoint, PeerKind
from core.slots import Slot
from tests.sim.conftest import MakeSimulation, one_seed_network

Pair = tuple[Simulation, SimNode, SimNode]
STRANGER = Endpoint("9.9.9.9", 5001)


def slot(direction: Direction, endpoint: Endpoint = STRANGER, *, connected: bool = False) -> Slot:
    info = PeerInfo(peer_id=endpoint.peer_id, ip_address=endpoint.ip, port=endpoint.port) if connected else None
    return Slot(endpoint, direction, PeerKind.NONE, info)


def slots_of(node: SimNode) -> object:
    return node.child(PeerPool).pool._slots


def test_a_healthy_network_passes(simulate: MakeSimulation) -> None:
    sim = simulate(monitor=False)
    monitor = sim.monitor(Rules(every_s=0.5, books_every_s=5.0))
    one_seed_network(sim, 6)
    sim.start_all()
    sim.run_for(60.0)
    monitor.look()
    assert monitor.looks >= 10


def test_watching_changes_nothing(simulate: MakeSimulation) -> None:
    digests = set()
    for watched in (True, False):
        sim = simulate(4, monitor=watched)
        one_seed_network(sim, 4)
        sim.start_all()
        sim.run_for(20.0)
        digests.add(sim.digest())
    assert len(digests) == 1


def test_an_honest_node_that_is_banned_stops_the_run_with_the_story(pair: Pair) -> None:
    sim, alice, bob = pair
    alice.tell(m.ApplyPenalty(0, bob.peer_id, 100, "a grudge"))
    with pytest.raises(InvariantBroken) as caught:
        sim.run_for(5.0)
    error = caught.value
    assert (error.node, error.subject) == ("alice", bob.endpoint.ip)
    story = str(error)
    assert "penalised by application" in story
    assert "banned by reputation_spent" in story
    assert f"PeerBook.2 > {'alice/Node.1'}" in story, "the last lines of the trace"
    assert "replay: python -m pytest" in story


def test_a_dishonest_one_may_be_banned(pair: Pair) -> None:
    sim, alice, bob = pair
    bob.is_honest = False
    alice.tell(m.ApplyPenalty(0, bob.peer_id, 100, "deserved"))
    sim.run_for(5.0)
    assert not alice.connected()


def test_a_trusted_peer_must_not_be_banned(simulate: MakeSimulation) -> None:
    sim = simulate()
    node = sim.add_node("node", whitelisted_peers=[STRANGER.peer_id])
    node.start()
    node.child(PeerBook).bans._put(m.Ban(STRANGER.ip, sim.base.wall_start + 100.0, "a bug"))
    with pytest.raises(InvariantBroken, match=r"trusted peer 9\.9\.9\.9 is banned: a bug"):
        sim.run_for(2.0)


@pytest.mark.parametrize("direction", Direction)
def test_limits(pair: Pair, direction: Direction) -> None:
    sim, alice, _ = pair
    for number in range(getattr(alice.config, f"max_{direction.value}_connections") + 1):
        slots_of(alice).add(slot(direction, Endpoint(f"30.{number}.0.1", 5001)))  # type: ignore[attr-defined]
    with pytest.raises(InvariantBroken, match=f"{direction.value} connections, the limit is"):
        sim.run_for(2.0)


def test_both_directions_at_once(pair: Pair) -> None:
    sim, alice, bob = pair
    slots_of(alice).add(slot(Direction.OUTBOUND, bob.endpoint, connected=True))  # type: ignore[attr-defined]
    with pytest.raises(InvariantBroken, match=r"20\.1\.0\.1:5001 is connected in both directions"):
        sim.run_for(2.0)


def test_a_book_that_is_not_consistent(pair: Pair) -> None:
    sim, alice, _ = pair
    alice.child(PeerBook).book._shelves.rows.index.clear()
    with pytest.raises(InvariantBroken, match="peer book is not consistent"):
        sim.run_for(61.0)


def test_a_request_without_an_answer(pair: Pair) -> None:
    sim, alice, _ = pair
    alice.later(m.SendRequest(0, "echo", b"", 3.0, None))
    sim.run_for(2.0)
    alice.tell = lambda message: None  # type: ignore[method-assign]
    alice.later(m.SendRequest(0, "echo", b"", 3.0, None))
    with pytest.raises(InvariantBroken, match=r"SendRequest of .* has neither an answer nor a time-out"):
        sim.run_for(5.0)


def test_life_after_the_end(pair: Pair) -> None:
    sim, _, bob = pair
    bob._address = None
    with pytest.raises(InvariantBroken, match="it does not run, and"):
        sim.run_for(2.0)


def test_rules_of_a_scenario(simulate: MakeSimulation) -> None:
    def nobody_is_called_mallory(sim: Simulation) -> Iterator[Broken]:
        for name in sim.nodes:
            if name == "mallory":
                yield Broken("mallory is here", name)

    sim = simulate(rules=Rules(extra=(nobody_is_called_mallory,)))
    sim.run_for(2.0)
    sim.add_node("mallory")
    with pytest.raises(InvariantBroken, match="mallory is here"):
        sim.run_for(2.0)


def test_a_monitor_that_was_stopped_says_nothing(pair: Pair) -> None:
    sim, alice, bob = pair
    sim.monitor().stop()
    alice.ask(m.ApplyPenalty(0, bob.peer_id, 100, "a grudge"))
    sim.run_for(5.0)


def test_intervals_are_checked() -> None:
    with pytest.raises(ValueError, match="every_s"):
        Rules(every_s=0.0)


def test_an_error_tells_how_to_run_it_again() -> None:
    with pytest.raises(RuntimeError, match="something") as caught, Simulation("a seed", replay="do it --again"):
        raise RuntimeError("something")
    (note,) = caught.value.__notes__
    assert "seed 'a seed'" in note
    assert note.endswith("replay: do it --again")
