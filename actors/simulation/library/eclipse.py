"""Eclipse of a whole node: an attacker with addresses in many net groups wants all of its connections; with a score.

The victim has known 2,500 honest addresses for long, of which six in ten still answer; its tried table is full. The
attacker has 64 addresses in each of 37 net groups, as many as reach nine tenths of tried. All of them answer. They

* connect to the victim, one every 5 s until all have been there, then one a minute, and stay: each is in `new` now,
* give nothing but each other to whoever asks them for peers,
* end every connection that the victim opens after a second, so that it draws again, and the address is a tried one.

After half a day they keep what they get, and the victim restarts: all outbound connections are chosen anew. From the
state that it had stored it is restarted several times, for one restart is one throw of dice.

Each counter-measure is switched off by itself, and all together. ``python -m actors.simulation.library.eclipse`` prints
the whole table.
"""

from __future__ import annotations

import copy
import sys
from typing import Any

from actors.simulation.attackers_conduct import Trap
from actors.simulation.attackers_host import ScriptedHost
from actors.simulation.library.experiment import Experiment, Samples, between, register
from actors.simulation.library.siege import HOSTILE_OCTETS, Siege, endpoints, spread_out
from core.book.entry import Table
from core.ids import Direction
from core.measures.spread import mean

GROUPS, EACH = 37, 64
HONEST, ALIVE = 2500, 0.6
INBOUND = 40
ATTACK_S = 12 * 3600.0
RESTARTS = 6
SETTLE_S = 300.0

VARIANTS: dict[str, dict[str, Any]] = {
    "all-on": {},
    "no-test-before-evict": {"test_before_evict": False},
    "no-feelers": {"feeler_interval_s": 0.0},
    "no-anchors": {"anchor_connections": 0},
    "no-intake-limit": {"address_intake_per_s": 0.0},
    "no-kept-answers": {"keep_getpeers_answer": False},
    "no-group-limit": {"max_outbound_per_netgroup": 20},
    "uniform-victim": {"inbound_victim": "random"},
}
VARIANTS["all-off"] = {name: value for options in list(VARIANTS.values()) for name, value in options.items()}

Score = dict[str, list[float]]


class Announcer:
    """Lets the attacker's addresses connect to the victim, in turns."""

    def __init__(self, siege: Siege, host: ScriptedHost) -> None:
        self._siege = siege
        self._host = host
        self._count = 0

    def go_on(self) -> None:
        """One connection now, the next one later."""
        ips = self._host.ips
        self._host.dial(ips[self._count % len(ips)], self._siege.victim.endpoint)
        self._count += 1
        self._host.later(5.0 if self._count < len(ips) else 60.0, self.go_on)


def score(
    seed: int,
    options: dict[str, Any],
    *,
    attack_s: float = ATTACK_S,
    restarts: int = RESTARTS,
    groups: int = GROUPS,
    each: int = EACH,
    timeline: list[tuple[float, float, float]] | None = None,
) -> Score:
    """One siege. Shares are of connections and of table entries; ``eclipsed``: restarts after which all outbound
    connections are the attacker's. ``timeline`` gets (seconds, outbound share, inbound share), every half hour."""
    siege = Siege(f"eclipse {seed}", honest=HONEST, alive=ALIVE, max_inbound_connections=INBOUND, **options)
    with siege:
        sim, victim = siege.sim, siege.victim
        siege.start_knowing(siege.honest)
        siege.fill_inbound(INBOUND, every_s=10.0)
        sim.run_for(200.0)
        ips = spread_out(HOSTILE_OCTETS, groups, each)
        trap = Trap(endpoints(ips), close_after_s=1.0)
        host = ScriptedHost(sim, "attacker", ips, trap)
        Announcer(siege, host).go_on()
        siege.watch(sim.now + attack_s, 1800.0)
        found: Score = {
            "tried": [siege.book_share(Table.TRIED)],
            "new": [siege.book_share(Table.NEW)],
            "inbound": [siege.inbound_share()],
            "outbound": [],
            "eclipsed": [],
        }
        trap.close_after_s = None
        victim.stop()
        memory = copy.deepcopy(victim.identity.storage)
        for _ in range(restarts):
            victim.identity.storage = copy.deepcopy(memory)
            victim.start()
            sim.run_for(SETTLE_S)
            siege.timeline.append((sim.now, siege.outbound_share(), siege.inbound_share()))
            taken = siege.outbound_share()
            found["outbound"].append(taken)
            found["eclipsed"].append(float(taken == 1.0 and bool(siege.peers(Direction.OUTBOUND))))
            victim.stop()
            sim.run_for(60.0)
        if timeline is not None:
            timeline += siege.timeline
    return found


def table(seeds: range, names: list[str]) -> str:
    """What every variant costs, as text."""
    heads = ("variant", "tried", "new", "inbound", "outbound after restart", "eclipsed")
    lines = [" ".join(f"{head:>22}" for head in heads)]
    for name in names:
        scores = [score(seed, VARIANTS[name]) for seed in seeds]
        cells = [
            mean([value for one in scores for value in one[key]])
            for key in ("tried", "new", "inbound", "outbound", "eclipsed")
        ]
        lines.append(" ".join([f"{name:>22}", *(f"{cell:22.3f}" for cell in cells)]))
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def _besieged(seed: int) -> Samples:
    found = {}
    for name in ("all-on", "no-test-before-evict", "all-off"):
        for key, values in score(seed, VARIANTS[name]).items():
            found[f"eclipse-{name}-{key}"] = values
    return found


MEASURED = "docs/validation.md: this attack measured before"

register(
    Experiment(
        "eclipse",
        "eclipse of a whole node, 2,368 addresses in 37 /16 for half a day, then restarts: the attacker's shares",
        "nodes",
        _besieged,
        (
            between("eclipse-all-on-tried", 0.0, 0.06, "occupants that answer are not evicted"),
            between("eclipse-no-test-before-evict-tried", 0.10, 0.25, MEASURED),
            between("eclipse-all-on-inbound", 0.0, 0.25, "the youngest of the largest group goes"),
            between("eclipse-all-off-inbound", 0.40, 1.0, "uniform victims"),
            between("eclipse-all-on-outbound", 0.40, 0.65, MEASURED),
            between("eclipse-all-on-eclipsed", 0.0, 0.0, "p^20"),
        ),
        runs=1,
        quick_runs=0,
    )
)


if __name__ == "__main__":
    print(table(range(1, 1 + int(sys.argv[1])), sys.argv[2:] or list(VARIANTS)))
