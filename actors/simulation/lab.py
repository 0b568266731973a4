"""A laboratory: the network of a scenario, built on a simulation, and everything that is done to it.

    with Simulation(seed, links=links_of(scenario)) as sim:
        lab = Laboratory(sim, scenario)
        lab.run()

Randomness comes from streams named by the run's seed and a path: adding a group or an action disturbs no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import Any

from actors.bases.sim_environment import derive_rng
from actors.bases.sim_nodes import DEFAULT_PORT, SimNode, Simulation
from actors.simulation import roles
from actors.simulation.checking import group_options
from actors.simulation.recorder import NOTED, Recorder
from actors.simulation.roles import HONEST
from actors.simulation.traffic import Traffic
from actors.transport.sim_links import NO_JITTER, SIMBLOCK_2019, Links, Regions
from actors.transport.sim_regions import simblock_spread
from core.events import MessageReceived, RequestReceived
from core.ids import Endpoint
from core.scenario.addresses import AddressBook
from core.scenario.draws import constant
from core.scenario.fields import section
from core.scenario.plan import Group, LinkPlan, Scenario
from core.scenario.regions import RegionMap, drawn_region
from core.scenario.selectors import Selector, choose, parse_selector

EVENTS = frozenset(event.NAME for event in (*NOTED, MessageReceived, RequestReceived))

KNOWN_MAPS: dict[str, Regions] = {"simblock-2019": SIMBLOCK_2019}

STORAGE = "/data"
"""The data directory of nodes with storage, on the disk in memory that each has."""


class Laboratory:
    """One run of a scenario. See :class:`actors.simulation.roles.Lab` for what attackers and measures use."""

    def __init__(self, sim: Simulation, scenario: Scenario) -> None:
        self.sim = sim
        self.scenario = scenario
        self.duration_s = scenario.duration_s
        self.recorder = Recorder(lambda: sim.now)
        self.addresses = AddressBook(lambda owner: self.rng("addresses", owner))
        self.traffic = Traffic(self)
        self.groups: dict[str, list[SimNode]] = {}
        self.events: dict[str, float] = {}
        """When an entry of the timeline with an id happened; ``id.end`` when it was undone."""
        self.attackers: dict[str, roles.Attacker] = {}
        self._owners: dict[str, str] = {}
        self._honest: list[SimNode] = []
        self._by_peer: dict[str, str] = {}
        self._build()

    # ---- what attackers and measures use

    @property
    def now(self) -> float:
        return self.sim.now

    def rng(self, *names: str) -> Random:
        return derive_rng(self.sim.seed, "lab", *names)

    def node(self, name: str) -> SimNode:
        try:
            return self.sim.nodes[name]
        except KeyError:
            raise LookupError(f"there is no node called {name!r}") from None

    def honest(self) -> list[SimNode]:
        return self._honest

    def select(self, selector: object, *stream: str) -> list[SimNode]:
        wanted = selector if isinstance(selector, Selector) else parse_selector(selector, ())
        return choose(wanted, self.groups, self.sim.nodes, lambda: self.rng("select", *stream))

    def add_node(self, name: str, ip: str, *, owner: str, **options: Any) -> SimNode:
        self.own(ip, owner)
        node = self.sim.add_node(name, ip=ip, collect=(), is_honest=False, **options)
        self._by_peer[node.peer_id] = name
        return node

    def own(self, ip: str, owner: str) -> None:
        self._owners[ip] = owner

    def owner_of(self, address: str) -> str:
        ip = address if address in self._owners else _ip_of(address)
        owner = self._owners.get(ip) or self.addresses.owners.get(ip, HONEST)
        return HONEST if owner in self.groups else owner

    def owners(self) -> dict[str, str]:
        """Every address of an attacker, and whose it is."""
        given = {ip: owner for ip, owner in self.addresses.owners.items() if owner not in self.groups}
        return given | self._owners

    def regions(self) -> dict[str, str]:
        """Where each node is; nothing if the links have no regions."""
        table = self.sim.internet.links
        found = {node.name: table.region_of(node.name) for node in self._honest}
        return {name: region for name, region in found.items() if region is not None}

    def names_by_peer(self) -> dict[str, str]:
        """Every node's name by its peer id."""
        return dict(self._by_peer)

    def name_of(self, peer_id: str) -> str:
        """The name of the node with this peer id; the peer id itself if it is no node of ours."""
        return self._by_peer.get(peer_id, peer_id)

    def at(self, when_s: float, action: Callable[[], object]) -> None:
        self.sim.at(when_s, action)

    def every(self, interval_s: float, action: Callable[[], object], *, until_s: float | None = None) -> None:
        end = self.duration_s if until_s is None else until_s

        self.repeat(self.now + interval_s, interval_s, end, partial(_and_go_on, action))

    def repeat(self, start_s: float, interval_s: float, end_s: float, action: Callable[[], object]) -> None:
        """Have ``action()`` called from ``start_s`` to ``end_s``, at intervals, until it says True."""
        count = 0

        def again() -> None:
            nonlocal count
            if self.now > end_s or action() is True:
                return
            count += 1  # not "from now on": instants are rounded up to ticks, and that would add up
            self.at(round(start_s + count * interval_s, 9), again)

        self.at(start_s, again)

    def note(self, text: str) -> None:
        self.recorder.note(text)
        self.sim.base.trace.note(f"lab {text}")

    def count(self, name: str, amount: float = 1.0) -> None:
        self.recorder.count(name, amount)

    # ---- building

    def _build(self) -> None:
        plans = self.scenario.nodes
        ips = {plan.group: self._addresses(plan) for plan in plans}
        endpoints: dict[str, Endpoint] = {}
        placed: dict[str, list[_Place]] = {}
        for plan in plans:
            port = int(plan.config.get("port", DEFAULT_PORT))
            names = plan.names()
            endpoints |= {name: Endpoint(ip, port) for name, ip in zip(names, ips[plan.group], strict=True)}
            placed[plan.group] = [_Place(name) for name in names]
        by_name = {place.name: place for group in placed.values() for place in group}

        def peers(own: str, selector: Selector, purpose: str) -> list[str]:
            chosen = choose(selector, placed, by_name, lambda: self.rng(purpose, own))
            return [endpoints[place.name].peer_id for place in chosen if place.name != own]

        for plan in plans:
            self.groups[plan.group] = [
                self._make(plan, name, endpoints[name], partial(peers, name)) for name in plan.names()
            ]
        self._honest = [node for group in self.groups.values() for node in group]
        self._by_peer |= {node.peer_id: node.name for node in self._honest}

    def _addresses(self, plan: Group) -> list[str]:
        return self.addresses.take(
            plan.group, plan.count, slash16=plan.addresses.slash16, shape=plan.addresses.per_group
        )

    def _make(self, plan: Group, name: str, endpoint: Endpoint, peers: Callable[[Selector, str], list[str]]) -> SimNode:
        options = group_options(plan)
        relay = plan.relay or self.scenario.relay
        if relay.targets == "selection":
            options.setdefault("send_peer_limit", relay.fanout)
        options.setdefault(
            "decisions_kept", 0
        )  # nobody asks; 10,000 records a node are what a big network cannot afford
        for option, selector in (
            ("seed_peers", plan.seeds),
            ("previous_peers", plan.knows),
            ("fixed_peers", plan.fixed),
            ("whitelisted_peers", plan.trusts),
        ):
            if selector is not None:
                options[option] = peers(selector, option)
        if plan.storage:
            options["data_dir"] = STORAGE
        node = self.sim.add_node(
            name,
            ip=endpoint.ip,
            region=self._region(plan, name),
            clock_offset_s=plan.clock.draw(self.rng("clock", name)) if plan.clock is not None else 0.0,
            uplink_bytes_per_s=plan.uplink_bytes_per_s,
            collect=(),
            listen_to=EVENTS,
            **options,
        )
        node.listeners.append(self.recorder.on_event)
        delay = None
        if plan.processing is not None:
            delay = partial(plan.processing.draw, self.rng("processing", name))
        self.traffic.serve(node, relay, delay)
        return node

    def _region(self, plan: Group, name: str) -> str | None:
        regions = self.scenario.links.regions
        if regions is None or not plan.region:
            return None
        return regions.canonical(drawn_region(plan.region, self.rng("region", name)))

    def add_attackers(self) -> None:
        """Make every attacker, and plan when it begins and ceases."""
        for plan in self.scenario.attackers:
            kind = roles.attacker_kind(plan.kind)
            options = section(kind.options)(plan.options, plan.path)
            self.attackers[plan.name] = kind.make(plan.name, options, self)
            if plan.start_s <= self.duration_s:
                self.at(plan.start_s, partial(self.begin, plan.name))
            if plan.stop_s is not None:
                self.at(plan.stop_s, partial(self.cease, plan.name))

    def victims(self) -> list[SimNode]:
        """The nodes that attackers are to attack, each once."""
        found: dict[str, SimNode] = {}
        for plan in self.scenario.attackers:
            options = section(roles.attacker_kind(plan.kind).options)(plan.options, plan.path)
            wanted = getattr(options, "victim", None)
            if isinstance(wanted, Selector):
                found |= {node.name: node for node in self.select(wanted, plan.name)}
        return list(found.values())

    def begin(self, name: str) -> None:
        """Let an attacker begin."""
        self.note(f"{name} begins")
        self.attackers[name].start()

    def cease(self, name: str) -> None:
        """Let an attacker cease."""
        self.note(f"{name} ceases")
        self.attackers[name].stop()

    # ---- nodes

    def launch(self, node: SimNode) -> None:
        """Start a node that does not run, without waiting. A start that fails is part of the story."""
        if node.is_running:
            return
        pending = node.launch()
        pending.then = lambda answer: self._started(node, answer)

    def _started(self, node: SimNode, answer: Any) -> None:
        error = getattr(answer, "error", None)
        if error is not None:
            self.recorder.fail(f"{node.name} could not start: {error}")

    def crash(self, node: SimNode, *, silent: bool) -> None:
        """Crash a node if it runs."""
        if node.is_running:
            node.crash(silent=silent)

    def stop(self, node: SimNode) -> None:
        """Stop a node in order, if it runs, without waiting."""
        if node.is_running and not node.is_stopping:
            node.shut_down()


def _and_go_on(action: Callable[[], object]) -> None:
    action()


class _Place:
    """A node that is not made yet, for selectors."""

    is_running = False

    def __init__(self, name: str) -> None:
        self.name = name


def _ip_of(address: str) -> str:
    return address[1:].partition("]")[0] if address.startswith("[") else address.rpartition(":")[0] or address


def links_of(plan: LinkPlan) -> Links:
    """The links that a scenario describes."""
    return Links(
        latency=plan.latency if plan.regions is None else regions_of(plan.regions),
        jitter=NO_JITTER if plan.jitter is None else plan.jitter,
        bandwidth_bytes_per_s=plan.bandwidth_bytes_per_s,
        uplink_bytes_per_s=plan.uplink_bytes_per_s,
        lost_per_s=plan.lost_per_s,
        buffer_bytes=plan.buffer_bytes,
    )


def regions_of(plan: RegionMap) -> Regions:
    """The regions that a scenario names or spells out."""
    if plan.known:
        return KNOWN_MAPS[plan.known]
    shares = plan.shares or (1.0,) * len(plan.names)
    return Regions(plan.names, plan.latency, shares, simblock_spread if plan.spread == "simblock" else constant)


def running(nodes: Iterable[SimNode]) -> list[SimNode]:
    """Those that run."""
    return [node for node in nodes if node.is_running]


def names(nodes: Sequence[SimNode]) -> str:
    """Some nodes, for people: by name up to five, else how many."""
    if len(nodes) <= 5:
        return ", ".join(node.name for node in nodes) or "nobody"
    return f"{len(nodes)} nodes ({nodes[0].name} ... {nodes[-1].name})"
