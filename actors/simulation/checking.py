"""What can be wrong with a scenario as a whole: names that nobody has, measures and attackers that do not exist."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from actors.simulation import roles
from core.config import NodeConfig, OptionDoc, Problem, check, options
from core.scenario import fields as f
from core.scenario import units
from core.scenario.actions import Attack
from core.scenario.expect import ExpectAnchor, ExpectEventually, Formula
from core.scenario.fields import Faults, Path
from core.scenario.plan import MAX_NODES, Group, Scenario
from core.scenario.selectors import parse_selector, unknown_names

RESERVED = frozenset({"all", "running", "stopped", "random", "end", "honest"})

LAB_OPTIONS = {
    "seed_peers": "seeds",
    "previous_peers": "knows",
    "fixed_peers": "fixed",
    "whitelisted_peers": "trusts",
    "host_ip": "addresses",
    "data_dir": "storage",
}
"""Options that the laboratory sets itself, and the key that says so."""

_DOCUMENTS: dict[str, OptionDoc] = {document.name: document for document in options()}


def problems_of(scenario: Scenario) -> Iterator[Problem]:
    """Yield everything that is wrong between the parts of a scenario whose single values are right."""
    yield from _names(scenario)
    known = [*(group.group for group in scenario.nodes), *scenario.node_names()]
    yield from unknown_names(scenario, known)
    for index, group in enumerate(scenario.nodes):
        yield from _config(group, ("nodes", index))
        yield from _regions(scenario, group, ("nodes", index))
    yield from _attackers(scenario, known)
    yield from _events(scenario)
    attackers = [plan.name for plan in scenario.attackers]
    for formula in formulas(scenario):
        yield from _measures(formula, known, attackers)
    for index, expectation in enumerate(scenario.expect):
        if isinstance(expectation, ExpectAnchor):
            try:
                roles.anchor_of(expectation.anchor)
            except LookupError as error:
                yield Problem(("expect", index, "anchor"), str(error.args[0]))


def _names(scenario: Scenario) -> Iterator[Problem]:
    if not scenario.nodes:
        yield Problem(("nodes",), "expected one group of nodes or more")
    taken: dict[str, str] = {}
    total = 0
    for index, group in enumerate(scenario.nodes):
        total += group.count
        names = {group.group, *group.names()}
        clash = names & (set(taken) | RESERVED)
        for name in sorted(clash):
            whose = f"of {taken[name]}" if name in taken else "reserved"
            yield Problem(("nodes", index, "group"), f"the name {name!r} is taken: it is {whose}")
        taken |= dict.fromkeys(names, f"group {group.group}")
    if total > MAX_NODES:
        yield Problem(("nodes",), f"expected at most {MAX_NODES:,} nodes, got {total:,}")


def group_options(group: Group, path: Path = ()) -> dict[str, Any]:
    """The options of a group's nodes, as NodeConfig wants them: durations and sizes may have units. Raises Faults."""
    given: dict[str, Any] = {}
    if not isinstance(group.config, dict):
        raise f.expected((*path, "config"), "a mapping of options", group.config)
    for name, value in group.config.items():
        document = _DOCUMENTS.get(name)
        try:
            if document is not None and document.unit == "s" and isinstance(value, str):
                value = units.duration_s(value)
            elif document is not None and document.unit == "bytes" and isinstance(value, str):
                value = units.size_bytes(value)
        except ValueError as error:
            raise f.expected((*path, "config", name), str(error), value) from None
        given[name] = value
    return given


def _config(group: Group, path: Path) -> Iterator[Problem]:
    try:
        given = group_options(group, path)
    except Faults as faults:
        yield from faults.problems
        return
    for name, key in LAB_OPTIONS.items():
        if name in given:
            yield Problem((*path, "config", name), f"the laboratory sets it; use the group's key {key!r}")
    _, wrong = check(NodeConfig, {name: value for name, value in given.items() if name not in LAB_OPTIONS})
    for problem in wrong:
        yield Problem((*path, "config", *problem.path), problem.message)


def _regions(scenario: Scenario, group: Group, path: Path) -> Iterator[Problem]:
    regions = scenario.links.regions
    for name, _ in group.region:
        if regions is None:
            yield Problem((*path, "region"), "links have no regions; say which: links: {regions: simblock-2019}")
            return
        if regions.canonical(name) is None:
            hint = f.nearest(name, [one.lower() for one in regions.names]) or f"; there are {', '.join(regions.names)}"
            yield Problem((*path, "region"), f"there is no region called {name!r}{hint}")


def _attackers(scenario: Scenario, known_nodes: Sequence[str]) -> Iterator[Problem]:
    names: list[str] = []
    for plan in scenario.attackers:
        if plan.name in {*names, *RESERVED, *scenario.node_names(), *(group.group for group in scenario.nodes)}:
            yield Problem((*plan.path, "name"), f"the name {plan.name!r} is taken")
        names.append(plan.name)
        try:
            kind = roles.attacker_kind(plan.kind)
        except LookupError as error:
            known = ", ".join(one.kind for one in roles.attackers())
            yield Problem((*plan.path, "kind"), f"{error.args[0]}; known: {known or 'none'}")
            continue
        try:
            yield from unknown_names(f.section(kind.options)(plan.options, plan.path), known_nodes)
        except Faults as faults:
            yield from faults.problems
    for index, entry in enumerate(scenario.timeline):
        if isinstance(entry.action, Attack):
            meant = entry.action.start or entry.action.stop or ""
            if meant not in names:
                yield Problem(("timeline", index, "attack"), f"there is no attacker {meant!r}{f.nearest(meant, names)}")


def _events(scenario: Scenario) -> Iterator[Problem]:
    entries = [*scenario.timeline, *scenario.workload]
    ids = [entry.when.id for entry in entries if entry.when.id]
    known = {*ids, *(f"{entry.when.id}.end" for entry in entries if entry.when.id and entry.when.for_s is not None)}
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield Problem(("timeline",), f"two entries have the id {name!r}")
    for index, expectation in enumerate(scenario.expect):
        after = expectation.after if isinstance(expectation, ExpectEventually) else 0.0
        if isinstance(after, str) and after not in known:
            text = f"no entry of the timeline has the id {after!r}{f.nearest(after, known)}"
            yield Problem(("expect", index, "after"), text)


def formulas(value: Any) -> Iterator[Formula]:
    """Every expression inside a plan."""
    if isinstance(value, Formula):
        yield value
    elif isinstance(value, f.Section):
        for name in value.__struct_fields__:
            yield from formulas(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from formulas(item)


SELECTS = frozenset({"who", "one", "other"})
"""Parameters of measures that say which nodes are meant."""


def _measures(formula: Formula, nodes: Sequence[str], attackers: Sequence[str]) -> Iterator[Problem]:
    for call in formula.expression.calls():
        try:
            measure = roles.measure_of(call.name)
        except LookupError as error:
            yield Problem(formula.path, str(error.args[0]))
            continue
        try:
            bound = inspect.signature(measure.function).bind(None, *call.arguments, **dict(call.named))
        except TypeError as error:
            yield Problem(formula.path, f"{call.name}: {error}; {measure.meaning}")
            continue
        for name, value in bound.arguments.items():
            if name in SELECTS and isinstance(value, str) and value:
                yield from _selected(value, formula.path, nodes)
            elif name == "attacker" and value and value not in attackers:
                hint = f.nearest(str(value), attackers) or f"; there are {', '.join(attackers) or 'none'}"
                yield Problem(formula.path, f"there is no attacker {value!r}{hint}")


def _selected(text: str, path: Path, nodes: Sequence[str]) -> Iterator[Problem]:
    try:
        yield from unknown_names(parse_selector(text, path), nodes)
    except Faults as faults:
        yield from faults.problems
