"""Shuffling over days: how long the first outbound connections last (LIP 0004, "Connections": one in five minutes).

Several whole nodes among 300 scripted honest peers, a slot's owner told apart by the moment at which it connected.
Which connection goes is drawn alike from 20, so that the last of the first 20 goes after 20 H(20) replacements.
"""

from __future__ import annotations

from actors.bases.sim_node import SimNode
from actors.bases.sim_nodes import Simulation
from actors.simulation.attackers_host import Conduct, ScriptedHost
from actors.simulation.library.experiment import Experiment, Samples, about, register
from actors.simulation.library.siege import HONEST_OCTETS, QUIET, endpoints, spread_out
from core.events import CloseOutbound
from core.ids import CloseCode, Direction, Endpoint
from core.theory import overlay

NODES = 3
OUTBOUND = 20
INTERVAL_S = 300.0
LIMIT_S = 40 * 3600.0
"""Nine nodes in ten thousand take longer than 200 intervals, none of thousands as long as this."""


class Turnover:
    """What one node's first connections come to."""

    def __init__(self, node: SimNode) -> None:
        self.node = node
        self.originals: set[Endpoint] = set()
        self.drops = 0
        self.left_after_12: int | None = None
        self.done_at: float | None = None
        self.began_at = 0.0
        node.listeners.append(self._on_event)

    def begin(self) -> None:
        """The connections of now are the first ones."""
        self.began_at = self.node.sim.now
        self.originals = {peer.endpoint for peer in self.node.connected() if peer.direction is Direction.OUTBOUND}

    def _on_event(self, node: SimNode, event: object) -> None:
        if not isinstance(event, CloseOutbound) or event.code != CloseCode.EVICTED or not self.began_at:
            return
        if self.done_at is not None:
            return
        self.drops += 1
        self.originals.discard(event.peer.endpoint)
        if self.drops == 12:
            self.left_after_12 = len(self.originals)
        if not self.originals:
            self.done_at = node.sim.now


def turnover(seed: int, interval_s: float = INTERVAL_S, count: int = NODES) -> list[Turnover]:
    """Run until every node has lost all of its first connections."""
    with Simulation(f"shuffling {seed}") as sim:
        ips = spread_out(HONEST_OCTETS, 300)
        ScriptedHost(sim, "crowd", ips, Conduct(endpoints(ips)))
        nodes = [
            sim.add_node(
                ip=f"20.{number}.0.1",
                collect=(),
                listen_to=[CloseOutbound.NAME],
                previous_peers=endpoints(ips),
                max_inbound_connections=0,
                feeler_interval_s=0.0,
                outbound_shuffle_interval_s=interval_s,
                **QUIET,
            )
            for number in range(1, count + 1)
        ]
        found = [Turnover(node) for node in nodes]
        sim.start_all()
        sim.run_for(60.0)
        for item in found:
            item.begin()
        sim.run_until(lambda: all(item.done_at is not None for item in found), LIMIT_S)
    return found


def _run(seed: int) -> Samples:
    found = turnover(seed)
    return {
        "shuffle-turnover": [float(item.drops) for item in found],
        "shuffle-left-after-12": [float(item.left_after_12 or 0) for item in found],
        "shuffle-per-hour": [item.drops / ((item.done_at or LIMIT_S) - item.began_at) * 3600.0 for item in found],
    }


register(
    Experiment(
        "shuffling",
        "shuffling one of 20 outbound connections in 5 min: replacements until none of the first is left",
        "nodes",
        _run,
        (
            about("shuffle-turnover", overlay.turnover_drops(20), overlay.turnover_sd(20), "20 H(20)"),
            about(
                "shuffle-left-after-12",
                overlay.originals_left(20, 12),
                overlay.originals_left_sd(20, 12),
                "20 (19/20)^12: after an hour",
            ),
            about("shuffle-per-hour", 12.0, 0.25, "one in each interval of 5 min", slack=0.15),
        ),
        runs=20,
        quick_runs=1,
    )
)
