"""What a scenario is, once it is read: groups of nodes, links, workload, timeline, attackers, probes, expectations."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from core.scenario import fields as f
from core.scenario.actions import Entry, Relay, parse_entry
from core.scenario.draws import Draw, constant, duration_draw
from core.scenario.expect import Expectation, Formula, parse_expectation, parse_formula
from core.scenario.fields import Key, Path, Section
from core.scenario.regions import RegionMap, parse_map
from core.scenario.selectors import Selector, parse_selector

MAX_NODES: Final = 20_000
"""Nodes of a scenario; each takes about 150 KiB."""


class AddressPlan(Section, frozen=True, kw_only=True):
    """Where a group's addresses lie. ``slash16`` None: every node in a net group of its own."""

    slash16: Annotated[int | None, Key(f.integer(1, MAX_NODES), "how many /16 the addresses are spread over")] = None
    per_group: Annotated[
        str, Key(f.one_of("even", "zipf"), "as many in each /16, or the k-th has 1/k as many as the first")
    ] = "even"


class Start(Section, frozen=True, kw_only=True):
    """When the nodes of a group start: together at ``at``, or spread over ``over``, or one ``every``."""

    at_s: Annotated[float, Key(f.duration(), "when the first one starts")] = 0.0
    over_s: Annotated[float | None, Key(f.duration(above=0.0), "spread evenly over this time")] = None
    every_s: Annotated[float | None, Key(f.duration(above=0.0), "time from one start to the next")] = None
    poisson_per_s: Annotated[float | None, Key(f.rate(), "starts by chance, so many per unit of time")] = None

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.over_s, self.every_s, self.poisson_per_s)) > 1:
            raise f.fault((), "expected one of over, every, poisson")


NEVER: Final = Start(at_s=float("inf"))


def _parse_start(value: object, path: Path) -> Start:
    if value == "never":
        return NEVER  # by the timeline, or by an attacker
    if isinstance(value, str) or value == 0:
        return Start(at_s=f.duration()(value, path))
    start: Start = f.section(Start)(value, path)
    return start


def _parse_region(value: object, path: Path) -> tuple[tuple[str, float], ...]:
    if isinstance(value, str):
        return ((f.name()(value, path), 1.0),)
    shares: dict[str, float] = f.mapping_of(f.share(), at_most=64)(value, path)
    if not shares or sum(shares.values()) <= 0.0:
        raise f.expected(path, "a region's name, or shares of regions, as {eu: 60%, na: 40%}", value)
    return tuple(shares.items())


class Group(Section, frozen=True, kw_only=True):
    """Nodes that are alike. One node is called like its group, several are ``group-0``, ``group-1`` ..."""

    group: Annotated[str, Key(f.name(), "its name")]
    count: Annotated[int, Key(f.integer(1, MAX_NODES), "how many nodes")] = 1
    config: Annotated[dict[str, Any], Key(f.anything(), "options of the nodes, as docs/configuration.md")] = (
        msgspec.field(default_factory=dict)
    )
    seeds: Annotated[Selector | None, Key(parse_selector, "their seed peers")] = None
    knows: Annotated[Selector | None, Key(parse_selector, "peers they know from an earlier run")] = None
    fixed: Annotated[Selector | None, Key(parse_selector, "peers they always keep connected to")] = None
    trusts: Annotated[Selector | None, Key(parse_selector, "whitelisted peers")] = None
    region: Annotated[tuple[tuple[str, float], ...], Key(_parse_region, "where they are, or shares of regions")] = ()
    addresses: Annotated[AddressPlan, Key(f.section(AddressPlan), "their addresses")] = AddressPlan()
    start: Annotated[Start, Key(_parse_start, "when they start: a time, or never, or a ramp")] = Start()
    uplink_bytes_per_s: Annotated[float | None, Key(f.bandwidth(), "all that a node sends shares this")] = None
    clock: Annotated[Draw | None, Key(duration_draw(), "by how much their calendars are ahead")] = None
    relay: Annotated[Relay | None, Key(f.section(Relay), "how they pass messages on, if not as all others")] = None
    storage: Annotated[bool, Key(f.boolean(), "whether they keep a data directory that outlives a crash")] = False
    processing: Annotated[Draw | None, Key(duration_draw(), "time they take before they pass a message on")] = None

    def names(self) -> list[str]:
        """The names of its nodes."""
        return [self.group] if self.count == 1 else [f"{self.group}-{index}" for index in range(self.count)]


class LinkPlan(Section, frozen=True, kw_only=True):
    """The links between all nodes; see docs/scenarios.md."""

    latency: Annotated[Draw, Key(duration_draw(), "one way, drawn once for each pair of nodes")] = constant(0.05)
    regions: Annotated[RegionMap | None, Key(parse_map, "latencies by region, instead of latency")] = None
    jitter: Annotated[Draw | None, Key(duration_draw(), "added to each packet")] = None
    bandwidth_bytes_per_s: Annotated[float | None, Key(f.bandwidth(), "from any node to any other")] = None
    uplink_bytes_per_s: Annotated[float | None, Key(f.bandwidth(), "all that a node sends shares this")] = None
    lost_per_s: Annotated[float, Key(f.rate(), "how often a connection breaks")] = 0.0
    buffer_bytes: Annotated[int, Key(f.size(), "what a connection holds before its sender has to wait")] = 256 * 1024


class Churn(Section, frozen=True, kw_only=True):
    """Nodes that come and go: each runs for a session, is away for an absence, and so on."""

    select: Annotated[Selector, Key(parse_selector, "whom it is about", name="nodes")]
    session: Annotated[Draw, Key(duration_draw(), "how long a node runs")]
    absence: Annotated[Draw, Key(duration_draw(), "how long it is away")]
    ends: Annotated[str, Key(f.one_of("stop", "crash", "power-cut"), "how a session ends")] = "stop"
    keep_storage: Annotated[bool, Key(f.boolean(), "they come back with what they had written")] = True
    from_s: Annotated[float, Key(f.duration(), "when it begins")] = 0.0
    until_s: Annotated[float | None, Key(f.duration(), "when it ends; every node stays as it is then")] = None


def _parse_begin(value: object, path: Path) -> float:
    return float("inf") if value == "never" else float(f.duration()(value, path))


class AttackerPlan(Section, frozen=True, kw_only=True):
    """One attacker; ``options`` are read by its kind."""

    name: Annotated[str, Key(f.name(), "what it is called")]
    kind: Annotated[str, Key(f.name(), "its kind")]
    start_s: Annotated[float, Key(_parse_begin, "when it begins: a time, or never (by the timeline)")] = 0.0
    stop_s: Annotated[float | None, Key(f.duration(), "when it ceases")] = None
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    path: Path = ()


def _parse_attacker(value: object, path: Path) -> AttackerPlan:
    own = set(f.keys_of(AttackerPlan))
    rest = {key: item for key, item in value.items() if key not in own} if isinstance(value, dict) else {}
    plan: AttackerPlan = f.section(AttackerPlan, without=frozenset(map(str, rest)))(value, path)
    return msgspec.structs.replace(plan, options=rest, path=path)


class Probe(Section, frozen=True, kw_only=True):
    """A number that is noted at intervals, for plots and ``metrics.csv``."""

    name: Annotated[str, Key(f.name(), "what the curve is called")]
    value: Annotated[Formula, Key(parse_formula, "what is measured")]
    every_s: Annotated[float | None, Key(f.duration(above=0.0), "how often; as `sample`, if it is not given")] = None


_INVARIANTS: Final = ("limits", "disjoint", "trusted_bans", "honest_bans", "answers", "silence_after_stop")
"""What is watched while a scenario runs, unless it says otherwise (:mod:`actors.bases.sim_monitor`)."""


def _parse_invariants(value: object, path: Path) -> dict[str, bool]:
    if isinstance(value, bool):
        return dict.fromkeys(_INVARIANTS, value)
    given: dict[str, bool] = f.mapping_of(f.boolean())(value, path)
    for name in given:
        if name not in _INVARIANTS:
            hint = f.nearest(name, _INVARIANTS) or f"; known: {', '.join(_INVARIANTS)}"
            raise f.fault((*path, name), f"unknown invariant{hint}")
    return dict.fromkeys(_INVARIANTS, True) | given


class Scenario(Section, frozen=True, kw_only=True):
    """A whole scenario."""

    scenario: Annotated[str, Key(f.name(), "its name")]
    about: Annotated[str, Key(f.text(2000), "what it shows, for people")] = ""
    seed: Annotated[int, Key(f.integer(0, 2**53), "the seed, unless the command line gives one")] = 1
    seeds: Annotated[int, Key(f.integer(1, 100_000), "how many seeds `--seeds all` and --validate run")] = 1
    duration_s: Annotated[float, Key(f.duration(above=0.0), "how long it lasts, in virtual time")]
    sample_s: Annotated[float | None, Key(f.duration(above=0.0), "how often curves are sampled")] = None
    nodes: Annotated[tuple[Group, ...], Key(f.one_or_many(f.section(Group)), "groups of nodes")]
    links: Annotated[LinkPlan, Key(f.section(LinkPlan), "the links between all nodes")] = LinkPlan()
    relay: Annotated[Relay, Key(f.section(Relay), "how nodes pass messages on")] = Relay()
    workload: Annotated[tuple[Entry, ...], Key(f.one_or_many(parse_entry), "messages and requests")] = ()
    timeline: Annotated[tuple[Entry, ...], Key(f.one_or_many(parse_entry), "what is done, and when")] = ()
    churn: Annotated[tuple[Churn, ...], Key(f.one_or_many(f.section(Churn)), "nodes that come and go")] = ()
    attackers: Annotated[tuple[AttackerPlan, ...], Key(f.one_or_many(_parse_attacker), "who attacks")] = ()
    probes: Annotated[tuple[Probe, ...], Key(f.one_or_many(f.section(Probe)), "curves to record")] = ()
    watch: Annotated[
        Selector | None,
        Key(
            parse_selector, "nodes whose slots and buckets are recorded in detail; attackers' victims, if it is missing"
        ),
    ] = None
    invariants: Annotated[dict[str, bool], Key(_parse_invariants, "off, or which of them are: {honest_bans: off}")] = (
        msgspec.field(default_factory=lambda: dict.fromkeys(_INVARIANTS, True))
    )
    expect: Annotated[tuple[Expectation, ...], Key(f.one_or_many(parse_expectation), "what must be true")] = ()

    @property
    def interval_s(self) -> float:
        """How often curves are sampled: as told, or 200 times."""
        return self.sample_s if self.sample_s is not None else max(self.duration_s / 200.0, 0.01)

    def node_names(self) -> list[str]:
        """The names of all nodes, in order."""
        return [name for group in self.nodes for name in group.names()]
