"""Rumour spreading as published: Demers et al. 1987 (report CSL-89-1), tables 1 and 2, a thousand sites.

Cycles of one second; a site that has hot rumours calls one random site per cycle. Two things that the report leaves
open were found by fitting all of its rows: whether the receiver "knew" is judged at the beginning of the cycle, and
with feedback and counter a useful call sets the counter back.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.bases.sim_nodes import Simulation
from actors.simulation.library.experiment import Expected, Experiment, Samples, about, register
from actors.simulation.library.gossip import constant_links

SITES = 1000
CYCLE_S = 1.0
REPORT = "Demers et al. 1987, CSL-89-1"

TABLE_1 = {
    1: (0.18, 1.7, 16.8),
    2: (0.037, 3.3, 16.9),
    3: (0.011, 4.5, 17.4),
    4: (0.0036, 5.6, 17.5),
    5: (0.0012, 6.7, 17.7),
}
"""Feedback and counter: residue, traffic per site, cycles until the last site hears, by k."""

TABLE_2 = {
    1: (0.96, 0.04, 38.0),
    2: (0.20, 1.6, 33.0),
    3: (0.060, 2.8, 32.0),
    4: (0.021, 3.9, 32.0),
    5: (0.008, 4.9, 32.0),
}
"""Blind and coin."""


SPREADS = {
    1: {
        1: (0.0151, 0.0353, 1.29),
        2: (0.0072, 0.0377, 0.93),
        3: (0.0034, 0.0348, 1.16),
        4: (0.0018, 0.0368, 1.15),
        5: (0.0011, 0.0392, 1.19),
    },
    2: {
        1: (0.0172, 0.0172, 17.2),
        2: (0.0186, 0.0675, 4.29),
        3: (0.0089, 0.0839, 4.35),
        4: (0.0052, 0.1234, 4.49),
        5: (0.0025, 0.1426, 6.12),
    },
}
"""Standard deviations of a single run, by table and k; the report gives none, these are from 150 runs here."""


@dataclass(frozen=True)
class Rule:
    """When a site loses interest. ``counter``: after k useless calls in a row; otherwise with chance 1/k after each."""

    k: int
    counter: bool
    resets: bool = True
    """A useful call sets the counter back."""


class Rumour:
    """One rumour among the sites; see the module."""

    def __init__(self, sim: Simulation, rule: Rule, sites: int = SITES) -> None:
        self._sim = sim
        self._rule = rule
        self._sites = sites
        self._rngs = [sim.base.make_environment(f"site{number}").rng("calls") for number in range(sites)]
        self._cycle = 0
        self.learned: dict[int, int] = {0: -1}
        """In which cycle each site that knows has heard of it."""
        self._useless: dict[int, int] = {}
        self._hot = {0: None}
        self.calls = 0
        self._links = sim.internet.links

    def run(self) -> None:
        """All cycles, until nobody is interested any more."""
        self._sim.at(CYCLE_S, self._begin_cycle)
        self._sim.run_for(CYCLE_S)
        while self._hot:
            self._sim.run_for(CYCLE_S)

    def _begin_cycle(self) -> None:
        self._cycle += 1
        now, call_at = self._sim.now, self._sim.base.timers.call_at
        for site in self._hot:
            other = int(self._rngs[site].random() * (self._sites - 1))
            other += other >= site
            self.calls += 1
            call_at(self._links.arrival(f"site{site}", f"site{other}", 0, now), self._called, other, site)
        if self._hot:
            self._sim.at(now + CYCLE_S, self._begin_cycle)

    def _called(self, site: int, caller: int) -> None:
        knew = self.learned.get(site, self._cycle) < self._cycle
        if site not in self.learned:
            self.learned[site] = self._cycle
            self._hot[site] = None
        back = self._links.arrival(f"site{site}", f"site{caller}", 0, self._sim.now)
        self._sim.base.timers.call_at(back, self._answered, caller, knew)

    def _answered(self, site: int, knew: bool) -> None:
        rule = self._rule
        if not rule.counter:
            if self._rngs[site].random() * rule.k < 1.0:
                del self._hot[site]
            return
        if not knew:
            if rule.resets:
                self._useless.pop(site, None)
            return
        useless = self._useless[site] = self._useless.get(site, 0) + 1
        if useless >= rule.k:
            del self._hot[site]


def spread(seed: int, rule: Rule) -> tuple[float, float, float]:
    """(residue, traffic, cycle in which the last site heard) of one rumour."""
    with Simulation(f"rumour {rule} {seed}", links=constant_links(0.1)) as sim:
        rumour = Rumour(sim, rule)
        rumour.run()
    return 1.0 - len(rumour.learned) / SITES, rumour.calls / SITES, float(max(rumour.learned.values()))


def _experiment(
    table: int, rows: dict[int, tuple[float, float, float]], slacks: tuple[float, float, float]
) -> Experiment:
    names = ("residue", "traffic", "last")

    def run(seed: int) -> Samples:
        found: dict[str, list[float]] = {}
        for k in rows:
            for name, value in zip(names, spread(seed, Rule(k, table == 1)), strict=True):
                found[f"demers-{table}-k{k}-{name}"] = [value]
        return found

    expected: list[Expected] = []
    for k, values in rows.items():
        for name, value, sd, slack in zip(names, values, SPREADS[table][k], slacks, strict=True):
            expected.append(about(f"demers-{table}-k{k}-{name}", value, sd, f"{REPORT}, table {table}", slack=slack))
    manner = "feedback and counter" if table == 1 else "blind and coin"
    title = f"rumours, {manner}: residue, traffic, last cycle ({REPORT}, table {table})"
    return Experiment(
        f"demers-table-{table}", title, "links", run, tuple(expected), runs=100, quick_runs=5 if table == 1 else 0
    )


register(_experiment(1, TABLE_1, (0.0012, 0.06, 0.6)))
register(_experiment(2, TABLE_2, (0.006, 0.08, 1.2)))
