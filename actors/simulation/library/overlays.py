"""The overlay that whole nodes make, and gossip over it: 100 real nodes that all know each other from the start.

The references are random graphs with 20 outbound connections each. Whole nodes differ from them in one thing: two that
dial each other in the same moment end one of the connections and look for another.
"""

from __future__ import annotations

from typing import Any

from actors.bases.sim_node import SimNode
from actors.bases.sim_nodes import DEFAULT_PORT, Simulation, default_ip
from actors.simulation.library.experiment import Experiment, Samples, about, exactly, register
from actors.simulation.library.gossip import constant_links
from core.events import Event, MessageReceived
from core.ids import Direction, Endpoint
from core.measures import graph
from core.theory.gossip import push_law

NODES = 100
FANOUT = 4
MESSAGES = 30
STILL: dict[str, Any] = {
    "feeler_interval_s": 0.0,
    "outbound_shuffle_interval_s": 1e6,
    "keepalive_interval_s": 600.0,
    "keepalive_timeout_s": 1800.0,
    "ping_interval_min_s": 600.0,
    "ping_interval_max_s": 1800.0,
    "decisions_kept": 0,
}
"""Nothing but what is measured."""


class Relaying:
    """Programs that pass on what they hear for the first time, to as many peers as the node's ``send`` chooses."""

    def __init__(self, nodes: list[SimNode]) -> None:
        self.reached: dict[bytes, set[str]] = {}
        for node in nodes:
            node.listeners.append(self._on_event)

    def publish(self, node: SimNode, name: bytes) -> None:
        """A node has a message."""
        self.reached[name] = {node.name}
        node.send("block", name)

    def _on_event(self, node: SimNode, event: Event) -> None:
        if isinstance(event, MessageReceived) and event.data is not None:
            heard = self.reached[event.data]
            if node.name not in heard:
                heard.add(node.name)
                node.send("block", event.data)


def acquaintances(sim: Simulation, count: int, *also_hear: str, **options: Any) -> list[SimNode]:
    """So many nodes, not started, that all know each other. They hear messages, and the events named ``also_hear``."""
    everybody = [Endpoint(default_ip(number), DEFAULT_PORT) for number in range(count)]
    return [
        sim.add_node(
            collect=(),
            listen_to=[MessageReceived.NAME, *also_hear],
            previous_peers=[it for it in everybody if it != own],
            **options,
        )
        for own in everybody
    ]


def edges_of(nodes: list[SimNode]) -> list[graph.Edge]:
    """Who has opened a connection to whom, as the openers count."""
    numbers = {node.endpoint: number for number, node in enumerate(nodes)}
    return [
        (number, numbers[peer.endpoint])
        for number, node in enumerate(nodes)
        for peer in node.connected()
        if peer.direction is Direction.OUTBOUND
    ]


def _run(seed: int) -> Samples:
    with Simulation(f"overlay {seed}", links=constant_links()) as sim:
        nodes = acquaintances(sim, NODES, send_peer_limit=FANOUT, **STILL)
        relaying = Relaying(nodes)
        sim.start_all()
        sim.run_for(45.0)
        edges = edges_of(nodes)
        for number in range(MESSAGES):
            relaying.publish(nodes[number % NODES], b"message %d" % number)
            sim.run_for(5.0)
    masks = graph.masks_of(NODES, edges)
    found = graph.distances(masks)
    return {
        "overlay-outbound-min": [float(min(sum(source == n for source, _ in edges) for n in range(NODES)))],
        "overlay-edges": [float(len(edges))],
        "overlay-components": [float(len(graph.components(masks)))],
        "overlay-diameter": [float(found.diameter)],
        "overlay-mean-path": [found.mean],
        "overlay-clustering": [graph.clustering(masks)],
        "overlay-in-degree-sd": [graph.deviation(graph.in_degrees(NODES, edges))],
        "overlay-reach-f4": [len(heard) / NODES for heard in relaying.reached.values()],
    }


INDEPENDENT = "independent simulation, networkx"
_LAW = push_law(NODES, FANOUT)

register(
    Experiment(
        "overlay-whole-nodes",
        "100 whole nodes that know each other: degrees, paths, clustering, and reach of their relaying to 4 peers",
        "nodes",
        _run,
        (
            exactly("overlay-outbound-min", 20.0, "LIP 0004: 20 outbound connections"),
            exactly("overlay-edges", 2000.0, "LIP 0004: 20 outbound connections"),
            exactly("overlay-components", 1.0, "random graph"),
            exactly("overlay-diameter", 2.0, INDEPENDENT),
            about("overlay-mean-path", 2.0 - 40 / 99, 0.0, "2 - p, exact where the diameter is 2", slack=1e-9),
            about("overlay-clustering", 0.39995, 0.0021, INDEPENDENT),
            about("overlay-in-degree-sd", 3.9115, 0.276, INDEPENDENT, slack=0.05),
            about("overlay-reach-f4", _LAW.mean_reach, _LAW.sd_reach, "exact law for uniform targets", slack=0.002),
        ),
        runs=3,
        quick_runs=0,
    )
)
