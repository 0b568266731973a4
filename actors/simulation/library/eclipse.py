"""Eclipse of a whole node: attackers of several kinds want all of its connections; with a score.

The victim has known 2,500 honest addresses for long, in 600 net groups as uneven as real ones, of which six in ten
still answer; its tried table is nearly full. All of an attacker's addresses answer. They

* connect to the victim, one every 5 s until all have been there, then one a minute, and stay: each is in `new` now,
* give nothing but each other to whoever asks them for peers,
* end every connection that the victim opens after a second, so that it draws again, and the address is a tried one.

After half a day they keep what they get, and the victim restarts: all outbound connections but the anchors are chosen
anew. From the state that it had stored it is restarted several times, for one restart is one throw of dice. Attackers
differ (:data:`ATTACKERS`) in their addresses, in patience, and in what they know.

Each counter-measure is switched off by itself (``no-...``), and left on alone (``only-...``); ``python -m
actors.simulation.library.scores`` prints tables.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from actors.simulation.attackers_conduct import Observer, Trap
from actors.simulation.attackers_host import ScriptedHost
from actors.simulation.library.experiment import Experiment, Samples, between, register
from actors.simulation.library.siege import HOSTILE_OCTETS, Siege, endpoints, spread_out
from core.book.entry import Table
from core.ids import Direction

ALIVE = 0.6
INBOUND = 40
ATTACK_S = 12 * 3600.0
RESTARTS = 6
SETTLE_S = 300.0


@dataclass(frozen=True)
class Attacker:
    """Who attacks, and whom. ``each`` addresses in each of ``groups`` /16; ``stays``: he keeps what he gets from the
    beginning; ``asks_from``: so many of his addresses ask the victim for its peers, and whoever they hear of is kept
    from answering (flooded, say) while the victim restarts."""

    groups: int = 37
    each: int = 64
    honest: int = 2500
    honest_groups: int = 600
    stays: bool = False
    asks_from: int = 0


ATTACKERS: dict[str, Attacker] = {
    "networks": Attacker(),
    "patient": Attacker(stays=True),
    "young-victim": Attacker(honest=600, honest_groups=200),
    "botnet": Attacker(groups=1184, each=2),
    "provider": Attacker(groups=3, each=200, honest=150, honest_groups=60, stays=True),
    "spy": Attacker(asks_from=12),
}
"""37 /16 reach nine tenths of `tried`, 1,184 all of it; three are what a small hosting company has, which are many to a
victim that knows 150 addresses in 60."""

OFF: dict[str, dict[str, Any]] = {
    "group-weights": {"draw_weight_per_netgroup": 0},
    "tried-first": {"tried_draws_ratio": 0.5},
    "test-before-evict": {"test_before_evict": False},
    "feelers": {"feeler_interval_s": 0.0},
    "anchors": {"anchor_connections": 0},
    "intake-limit": {"address_intake_per_s": 0.0},
    "kept-answers": {"keep_getpeers_answer": False},
    "group-limit": {"max_outbound_per_netgroup": 20},
    "largest-group-victim": {"inbound_victim": "random"},
}
"""What switches each counter-measure off."""

_ALL_OFF = {name: value for options in OFF.values() for name, value in options.items()}
VARIANTS: dict[str, dict[str, Any]] = {"all-on": {}}
VARIANTS |= {f"no-{name}": options for name, options in OFF.items()}
VARIANTS |= {
    f"only-{name}": {option: value for option, value in _ALL_OFF.items() if option not in options}
    for name, options in OFF.items()
}
VARIANTS["lip-draws"] = {"draw_weight_per_netgroup": 0, "tried_draws_ratio": 0.5, "anchor_connections": 2}
"""LIP 0004's draws and Bitcoin Core's two anchors, and all else on."""
VARIANTS["all-off"] = _ALL_OFF

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
    attacker: Attacker = ATTACKERS["networks"],
    *,
    attack_s: float = ATTACK_S,
    restarts: int = RESTARTS,
    timeline: list[tuple[float, float, float]] | None = None,
) -> Score:
    """One siege. Shares are of table entries (``tried``, ``new``), of the draws that find somebody (``drawn``), and of
    connections: ``inbound``, outbound ``before`` the restarts, ``outbound`` after each of them; ``eclipsed``: restarts
    after which all outbound connections are the attacker's. ``timeline`` gets (seconds, outbound share, inbound
    share), every half hour."""
    siege = Siege(
        f"eclipse {seed}",
        honest=attacker.honest,
        alive=ALIVE,
        honest_groups=attacker.honest_groups,
        max_inbound_connections=INBOUND,
        **options,
    )
    with siege:
        sim = siege.sim
        siege.start_knowing(siege.honest)
        siege.fill_inbound(INBOUND, every_s=10.0)
        sim.run_for(200.0)
        ips = spread_out(HOSTILE_OCTETS, attacker.groups, attacker.each)
        trap = Trap(endpoints(ips), close_after_s=None if attacker.stays else 1.0)
        host = ScriptedHost(sim, "attacker", ips, trap)
        Announcer(siege, host).go_on()
        siege.watch(sim.now + attack_s, 1800.0)
        _spy(siege, attacker.asks_from)
        found: Score = {
            "tried": [siege.book_share(Table.TRIED)],
            "new": [siege.book_share(Table.NEW)],
            "inbound": [siege.inbound_share()],
            "drawn": [siege.drawn_share()],
            "before": [siege.outbound_share()],
            "outbound": [],
            "eclipsed": [],
        }
        trap.close_after_s = None
        _restart(siege, restarts, found)
        if timeline is not None:
            timeline += siege.timeline
    return found


def _restart(siege: Siege, restarts: int, found: Score) -> None:
    """Restart the victim from what it has stored now, so many times, and note what the attacker gets each time."""
    sim, victim = siege.sim, siege.victim
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


def _spy(siege: Siege, asks_from: int) -> None:
    """Ask the victim for its peers from so many addresses, and silence whoever of the honest ones it names."""
    if not asks_from:
        return
    observer = Observer()
    spies = spread_out(range(HOSTILE_OCTETS.stop - 1, HOSTILE_OCTETS.stop), asks_from)
    host = ScriptedHost(siege.sim, "spies", spies, observer)
    for ip in spies:
        host.dial(ip, siege.victim.endpoint)
        siege.sim.run_for(30.0)
    siege.silence(observer.learned)


SCORED = {
    "networks": ("all-on", "all-off"),
    "patient": ("all-on", "all-off"),
    "botnet": ("all-on", "no-tried-first"),
    "provider": ("only-group-limit", "all-off"),
    "spy": ("all-on", "no-kept-answers"),
}
"""What the experiment measures of each attacker."""


def _besieged(seed: int) -> Samples:
    found = {}
    for name, variants in SCORED.items():
        for variant in variants:
            for key, values in score(seed, VARIANTS[variant], ATTACKERS[name]).items():
                found[f"eclipse-{name}-{variant}-{key}"] = values
    return found


MEASURED = "docs/validation.md: this attack measured before"

register(
    Experiment(
        "eclipse",
        "eclipse of a whole node by five attackers for half a day, then restarts: the attacker's shares",
        "nodes",
        _besieged,
        (
            between("eclipse-networks-all-on-tried", 0.0, 0.06, "occupants that answer are not evicted"),
            between("eclipse-networks-all-on-drawn", 0.0, 0.2, MEASURED),
            between("eclipse-networks-all-on-inbound", 0.0, 0.3, "the youngest of the largest group goes"),
            between("eclipse-networks-all-on-outbound", 0.0, 0.2, MEASURED),
            between("eclipse-networks-all-on-eclipsed", 0.0, 0.0, "p^20"),
            between("eclipse-networks-all-off-outbound", 0.3, 0.8, MEASURED),
            between("eclipse-networks-all-off-inbound", 0.4, 1.0, "uniform victims"),
            between("eclipse-patient-all-on-before", 0.0, 0.45, MEASURED),
            between("eclipse-patient-all-off-before", 0.5, 1.0, MEASURED),
            between("eclipse-botnet-all-on-outbound", 0.0, 0.25, MEASURED),
            between("eclipse-botnet-no-tried-first-outbound", 0.15, 0.5, MEASURED),
            between("eclipse-provider-only-group-limit-outbound", 0.2, 0.46, "3 of each of 3 groups, of 20"),
            between("eclipse-provider-all-off-outbound", 0.5, 1.0, MEASURED),
            between("eclipse-spy-all-on-outbound", 0.0, 0.17, MEASURED),
            between("eclipse-spy-no-kept-answers-outbound", 0.08, 0.5, MEASURED),
        ),
        runs=1,
        quick_runs=0,
    )
)
