"""Churn: nodes that come and go, for as long as the distributions of their sessions and absences say."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from actors.transport.sim_distributions import Distribution

if TYPE_CHECKING:
    from actors.bases.sim_node import SimNode
    from actors.bases.sim_nodes import Simulation


class Leave(enum.Enum):
    """How a node goes."""

    STOP = "stop"
    """In order: it closes its connections and writes what it knows."""
    CRASH = "crash"
    """The program dies; its connections are reset."""
    POWER_CUT = "power cut"
    """Nobody is told."""


class Churn:
    """Drives some nodes: a session, an absence, a session ... Each node draws from a stream of its own.

    Nodes that run when it begins are in a session, the others in an absence. With ``keep_storage`` False a node comes
    back without what it had written (the book, if it has a ``data_dir``). Ends with :meth:`stop`.
    """

    def __init__(
        self,
        sim: Simulation,
        nodes: Iterable[SimNode],
        *,
        session: Distribution,
        absence: Distribution,
        leave: Leave = Leave.STOP,
        keep_storage: bool = True,
    ) -> None:
        self.arrivals = 0
        self.departures = 0
        self._sim = sim
        self._session = session
        self._absence = absence
        self._leave = leave
        self._keep_storage = keep_storage
        self._is_on = True
        self._streams = {node.name: sim.rng("churn", node.name) for node in nodes}
        for name in self._streams:
            self._plan(sim.nodes[name])

    def stop(self) -> None:
        """Leave every node as it is from now on."""
        self._is_on = False

    def _plan(self, node: SimNode) -> None:
        running = node.is_running
        lasts_s = (self._session if running else self._absence).draw(self._streams[node.name])
        base = self._sim.base
        base.timers.call_at(base.now() + lasts_s, self._go if running else self._come, node)

    def _go(self, node: SimNode, _: Any) -> None:
        if not self._is_on:
            return
        if node.is_running:
            self.departures += 1
            if self._leave is Leave.STOP:
                node.shut_down()
            else:
                node.crash(silent=self._leave is Leave.POWER_CUT)
        base = self._sim.base
        base.timers.call_at(base.now() + self._absence.draw(self._streams[node.name]), self._come, node)

    def _come(self, node: SimNode, _: Any) -> None:
        if not self._is_on:
            return
        if node.is_stopping:  # a short absence: it has to be gone first
            self._sim.base.timers.call_at(self._sim.now + 1.0, self._come, node)
            return
        if not node.is_running:
            self.arrivals += 1
            if not self._keep_storage:
                node.lose_storage()
            node.launch()
        self._plan(node)
