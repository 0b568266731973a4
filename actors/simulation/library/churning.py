"""Churn: 48 whole nodes of which each is there for half an hour and away for ten minutes, in the mean, for hours.

The shares of a renewal process (:mod:`core.theory.churn`); how many connections a node loses because the other side
leaves: each of them once in a mean session, for sessions have no memory; and that the overlay heals as fast as it is
torn: messages that everybody passes on to all peers reach all that are there, but for those that come this very moment.
"""

from __future__ import annotations

from actors.bases.sim_churn import Churn, Leave
from actors.bases.sim_node import SimNode
from actors.bases.sim_nodes import Simulation
from actors.simulation.library.experiment import Experiment, Samples, about, between, register
from actors.simulation.library.gossip import constant_links
from actors.simulation.library.overlays import STILL, Relaying, acquaintances
from actors.transport.sim_distributions import Exponential
from core.events import CloseOutbound, Event
from core.ids import CloseCode, Direction
from core.theory import churn

NODES = 48
OUTBOUND = 6
SESSION_S, ABSENCE_S = 1800.0, 600.0
WARM_UP_S = 1800.0
MEASURED_S = 3 * 3600.0
EVERY_S = 120.0


class Losses:
    """Outbound connections that ended because the other side went away."""

    def __init__(self, nodes: list[SimNode]) -> None:
        self.count = 0
        for node in nodes:
            node.listeners.append(self._on_event)

    def _on_event(self, node: SimNode, event: Event) -> None:
        if isinstance(event, CloseOutbound) and event.code != CloseCode.EVICTED:
            self.count += 1


def _outbound(node: SimNode) -> int:
    return sum(peer.direction is Direction.OUTBOUND for peer in node.connected())


def _run(seed: int) -> Samples:
    with Simulation(f"churning {seed}", links=constant_links()) as sim:
        nodes = acquaintances(
            sim, NODES, CloseOutbound.NAME, max_outbound_connections=OUTBOUND, data_dir="kept", **STILL
        )
        relaying, losses = Relaying(nodes), Losses(nodes)
        sim.start_all()
        lives = Churn(sim, nodes, session=Exponential(SESSION_S), absence=Exponential(ABSENCE_S), leave=Leave.CRASH)
        sim.run_for(WARM_UP_S)
        left, lost = lives.departures, losses.count
        there, slots, reach = [], [], []
        open_s = 0.0
        for number in range(round(MEASURED_S / EVERY_S)):
            running = [node for node in nodes if node.is_running]
            there.append(len(running) / NODES)
            held = sum(map(_outbound, running))
            slots.append(held / len(running))
            open_s += held * EVERY_S
            name = b"message %d" % number
            relaying.publish(running[number % len(running)], name)
            sim.run_for(EVERY_S)
            reach.append(len(relaying.reached[name]) / len(running))
    return {
        "churn-there": [sum(there) / len(there)],
        "churn-departures": [(lives.departures - left) / NODES],
        "churn-outbound": [sum(slots) / len(slots)],
        "churn-lost-per-session": [(losses.count - lost) / open_s * SESSION_S],
        "churn-reach": [sum(reach) / len(reach)],
    }


_LEFT = churn.departures(SESSION_S, ABSENCE_S, MEASURED_S) * NODES
"""Departures in all; what a node loses by one of them it loses at once."""

register(
    Experiment(
        "churn",
        "48 whole nodes, there for 30 min and away for 10 in the mean: who is there, what is lost, what is reached",
        "nodes",
        _run,
        (
            about(
                "churn-there",
                churn.availability(SESSION_S, ABSENCE_S),
                churn.availability_sd(SESSION_S, ABSENCE_S, NODES, MEASURED_S),
                "renewal theory: session / (session + absence)",
            ),
            about(
                "churn-departures",
                churn.departures(SESSION_S, ABSENCE_S, MEASURED_S),
                churn.departures_sd(SESSION_S, ABSENCE_S, NODES, MEASURED_S),
                "renewal theory: time / (session + absence)",
            ),
            between("churn-outbound", 0.97 * OUTBOUND, OUTBOUND, "a lost connection is replaced at once"),
            about(
                "churn-lost-per-session",
                1.0,
                _LEFT**-0.5,
                "sessions without memory: a connection ends once in a mean session of its peer",
                slack=0.02,
            ),
            between("churn-reach", 0.99, 1.0, "a connected graph"),
        ),
        runs=4,
        quick_runs=0,
    )
)
