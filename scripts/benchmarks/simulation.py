"""A whole network in virtual time: what minutes of it cost, in CPU time and memory, and how that grows with its size.

Each size runs in a process of its own. The workload: every node has 20 outbound connections (its own defaults) and
knows the addresses of :data:`KNOWN` others from the start (``previous_peers``); latencies are SimBlock's of 2019. After
the network has formed, a message of 100 bytes is published every 10 s by a random node; each node relays a message to
the peers that the selection rule picks (16) when it first sees it. Pings, shuffling, feelers and getPeers go on as in
any node. Decisions are not kept and traffic is reported every 5 minutes (``decisions_kept: 0``,
``traffic_report_interval_s: 300``); all else is default. Nobody collects events but EVENT_MESSAGE_RECEIVED.

    python -m scripts.benchmarks.simulation 1000        one size, as JSON
    scripts/bench simulation                            100, 300 and 1,000 nodes
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from actors.bases.sim_nodes import SimNode, Simulation, default_ip
from actors.transport.sim_links import SIMBLOCK_2019, Links
from core.events import Event, MessageReceived

SIZES = (100, 300, 1000)
MINUTES = 10.0
QUICK_SIZES = (15,)
QUICK_MINUTES = 0.5
KNOWN = 500
FORMING_S = 30.0
PUBLISH_EVERY_S = 10.0
MESSAGE_BYTES = 100
EVENT = "news"

Progress = Callable[[str], None]


class Relay:
    """The program of every node: passes a message on when it first sees it."""

    def __init__(self, sim: Simulation, nodes: list[SimNode]) -> None:
        self.published = 0
        self.relayed = 0
        self._sim = sim
        self._nodes = nodes
        self._rng = sim.rng("publishers")
        self._seen: dict[str, set[bytes]] = {node.name: set() for node in nodes}
        for node in nodes:
            node.listeners.append(self._on_event)

    def start(self) -> None:
        """Publish from now on, for the first time after half an interval, so that the last one has time to spread."""
        self._sim.at(self._sim.now + PUBLISH_EVERY_S / 2, self._publish)

    def reach(self) -> float:
        """The mean share of nodes that a message has reached."""
        return sum(map(len, self._seen.values())) / max(1, self.published * len(self._nodes))

    def _publish(self) -> None:
        node = self._nodes[int(self._rng.random() * len(self._nodes))]
        self.published += 1
        self._pass_on(node, self.published.to_bytes(8, "big") + bytes(MESSAGE_BYTES - 8))
        self._sim.at(self._sim.now + PUBLISH_EVERY_S, self._publish)

    def _on_event(self, node: SimNode, event: Event) -> None:
        if type(event) is MessageReceived and event.data is not None:
            self._pass_on(node, event.data)

    def _pass_on(self, node: SimNode, data: bytes) -> None:
        seen = self._seen[node.name]
        if data[:8] not in seen:
            seen.add(data[:8])
            self.relayed += 1
            node.send(EVENT, data)


def build(count: int, known: int, seed: int, **options: Any) -> tuple[Simulation, list[SimNode]]:
    """A network of ``count`` nodes, not started, each of which knows ``known`` of the others."""
    sim = Simulation(seed, links=Links(SIMBLOCK_2019))
    rng = sim.rng("known")
    peer_ids = [f"{default_ip(number)}:5001" for number in range(count)]
    nodes = []
    for number in range(count):
        others = rng.sample(range(count), min(known + 1, count))
        previous = [peer_ids[other] for other in others if other != number][:known]
        settings = {"decisions_kept": 0, "traffic_report_interval_s": 300.0} | options
        nodes.append(sim.add_node(collect=(), listen_to=[MessageReceived.NAME], previous_peers=previous, **settings))
    return sim, nodes


def run(
    count: int,
    minutes: float = MINUTES,
    known: int = KNOWN,
    seed: int = 1,
    say: Progress = lambda text: None,
) -> dict[str, Any]:
    """Measure one size in this process."""
    started = time.process_time()
    base_kib = _resident_kib()
    sim, nodes = build(count, known, seed)
    relay = Relay(sim, nodes)
    built = time.process_time()
    sim.start_all()
    sim.run_for(FORMING_S)
    formed = time.process_time()
    figures: dict[str, Any] = {
        "nodes": count,
        "build_cpu_s": built - started,
        "forming_cpu_s": formed - built,
        "outbound_mean": _outbound(nodes),
    }
    events, messages, packets = sim.base.timers.happened, sim.base.delivered, sim.internet.packets
    relay.start()
    say(
        f"{count} nodes: built {built - started:.0f} s, formed {formed - built:.0f} s, {_resident_kib() / 1024:.0f} MiB"
    )
    left_s = minutes * 60.0
    while left_s > 0.0:
        sim.run_for(min(left_s, 60.0))
        left_s -= 60.0
        say(f"{sim.now:.0f} virtual s: {time.process_time() - formed:.0f} s of CPU, {_resident_kib() / 1024:.0f} MiB")
    spent = time.process_time() - formed
    gc.collect()
    figures |= {
        "virtual_s": minutes * 60.0,
        "cpu_s": spent,
        "events": sim.base.timers.happened - events,
        "actor_messages": sim.base.delivered - messages,
        "packets": sim.internet.packets - packets,
        "events_per_cpu_s": (sim.base.timers.happened - events) / spent,
        "actor_messages_per_cpu_s": (sim.base.delivered - messages) / spent,
        "published": relay.published,
        "reach": relay.reach(),
        "outbound_mean_at_end": _outbound(nodes),
        "known_mean": sum(len(node.known()) for node in nodes) / count,
        "kib_per_node": (_resident_kib() - base_kib) / count,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "digest": sim.digest(),
    }
    return figures


def _outbound(nodes: list[SimNode]) -> float:
    return sum(sum(peer.direction.value == "outbound" for peer in node.connected()) for node in nodes) / len(nodes)


def _resident_kib() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def run_all(progress: Progress, *, quick: bool = False) -> list[dict[str, Any]]:
    """Measure several sizes, each in a process of its own."""
    results = []
    for size in QUICK_SIZES if quick else SIZES:
        minutes = QUICK_MINUTES if quick else MINUTES
        progress(f"simulation of {size} nodes, {minutes:g} virtual minutes")
        command = [sys.executable, "-m", "scripts.benchmarks.simulation", str(size), "--minutes", str(minutes)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout))
    return results


def table(results: list[dict[str, Any]]) -> str:
    """What was measured, for people."""
    rows = [
        f"{'nodes':>6} {'forming':>9} {'10 min':>9} {'events/s':>9} {'messages/s':>10} {'KiB/node':>9} {'reach':>6}"
    ]
    rows += [
        f"{it['nodes']:>6} {it['forming_cpu_s']:>8.1f}s {it['cpu_s']:>8.1f}s {it['events_per_cpu_s']:>9,.0f} "
        f"{it['actor_messages_per_cpu_s']:>10,.0f} {it['kib_per_node']:>9.0f} {it['reach']:>6.3f}"
        for it in results
    ]
    return "\n".join(rows)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure one size and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nodes", type=int)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--known", type=int, default=KNOWN)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", metavar="FILE", help="write what cProfile finds, for python -m pstats")
    options = parser.parse_args()
    arguments = (options.nodes, options.minutes, options.known, options.seed, _say)
    if options.profile:
        profile = cProfile.Profile(time.process_time)
        figures = profile.runcall(run, *arguments)
        profile.dump_stats(options.profile)
    else:
        figures = run(*arguments)
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
