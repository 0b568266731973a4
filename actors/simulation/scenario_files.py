"""Scenario files: YAML with places, parameters, sweeps and values drawn by the seed; every complaint with its place.

The file and the seed are the whole input. What a run uses is the *plan*: the file with its parameters filled in, what
the command line sets, and what the seed draws.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from actors.bases.sim_environment import derive_rng
from actors.config_sources import read_text
from actors.simulation.checking import problems_of
from actors.yaml_tree import YamlProblem, build, entries, parse, scalar_text
from core.config import Problem, dotted
from core.errors import ConfigError
from core.scenario import fields as f
from core.scenario.draws import duration_draw, number_draw
from core.scenario.fields import Faults, Path
from core.scenario.plan import Scenario

MAX_POINTS = 10_000
"""Combinations of a sweep."""

FILE_KEYS = ("parameters", "sweep", "draw")
"""What belongs to the file and not to the plan."""

_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][\w-]*)\}|([A-Za-z_][\w-]*))")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_NAMING = ("group", "name", "id")
"""Keys by which an entry of a list can be named in a dotted path: ``nodes.full.count``."""


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of a sweep: what it sets, as (dotted name, value)."""

    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def label(self) -> str:
        """``fanout=4, links.latency=80ms``; empty for the only point there is."""
        return ", ".join(f"{name}={_shown(value)}" for name, value in self.settings)

    def as_arguments(self) -> list[str]:
        """The arguments of the command line that set it."""
        return [part for name, value in self.settings for part in ("--set", f"{name}={_shown(value)}")]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(slots=True)
class ScenarioFile:
    """A file, read and not yet filled in. ``origin`` names it in complaints."""

    origin: str
    tree: dict[str, Any]
    places: dict[Path, str]
    assignments: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters and their values in the file."""
        given = self.tree.get("parameters") or {}
        if not isinstance(given, dict) or not all(f.is_name(str(name)) for name in given):
            raise self.failure([Problem(("parameters",), "expected a mapping of names to values")])
        return given

    def points(self) -> list[Point]:
        """All combinations of the sweep; one without settings if there is no sweep. Raises ConfigError."""
        sweep = self.tree.get("sweep") or {}
        if not isinstance(sweep, dict):
            raise self.failure([Problem(("sweep",), "expected a mapping of names to lists of values")])
        choices: list[list[tuple[str, Any]]] = []
        fixed = {name for name, _ in self.assignments}
        for name, values in sweep.items():
            if not isinstance(values, list) or not values:
                raise self.failure([Problem(("sweep", name), "expected a list of values")])
            if name not in fixed:
                choices.append([(name, value) for value in values])
        total = 1
        for choice in choices:
            total *= len(choice)
        if total > MAX_POINTS:
            raise self.failure([Problem(("sweep",), f"expected at most {MAX_POINTS:,} combinations, got {total:,}")])
        return [Point(tuple(settings)) for settings in itertools.product(*choices)]

    def plan(self, seed: int | None = None, point: Point | None = None) -> Scenario:
        """The scenario of one run. Raises ConfigError with all that is wrong and where.

        ``seed`` None: that of the file.
        """
        if point is None:
            point = self.points()[0]
        tree = {key: value for key, value in self.tree.items() if key not in FILE_KEYS}
        places = dict(self.places)
        parameters = dict(self.parameters)
        settings = [*point.settings, *self.assignments]
        for name, value in settings:
            if name in parameters:
                parameters[name] = value
        number = seed if seed is not None else tree.get("seed", 1)
        parameters |= self._drawn(number, frozenset(name for name, _ in settings))
        problems: list[Problem] = []
        tree = _filled(tree, parameters, (), problems)
        for name, value in settings:
            if name not in parameters:
                problem = assign(tree, name, value, places)
                problems += [problem] if problem else []
        if problems:
            raise self.failure(problems)
        if seed is not None:
            tree["seed"] = seed
        try:
            scenario: Scenario = f.section(Scenario)(tree, ())
        except Faults as faults:
            raise self.failure(faults.problems, places) from None
        found = list(problems_of(scenario))
        if found:
            raise self.failure(found, places)
        return scenario

    def _drawn(self, seed: object, fixed: frozenset[str]) -> dict[str, Any]:
        """Values of ``draw:``, by the seed, each from a stream of its own."""
        given = self.tree.get("draw") or {}
        if not isinstance(given, dict):
            raise self.failure([Problem(("draw",), "expected a mapping of names to distributions or lists")])
        values: dict[str, Any] = {}
        for name, what in given.items():
            if name in fixed:
                continue
            rng = derive_rng(str(seed), "draw", name)
            if isinstance(what, list) and what:
                values[name] = rng.choice(what)
                continue
            try:
                values[name] = f"{duration_draw()(what, ()).draw(rng):.6f}s"
            except Faults:
                try:
                    values[name] = number_draw()(what, ("draw", name)).draw(rng)
                except Faults as faults:
                    raise self.failure(faults.problems) from None
        return values

    def failure(self, problems: list[Problem], places: Mapping[Path, str] | None = None) -> ConfigError:
        """The error for these problems, each with the place of its key."""
        known = self.places if places is None else places
        return ConfigError([self._placed(problem, known) for problem in problems])

    def _placed(self, problem: Problem, places: Mapping[Path, str]) -> str:
        path = problem.path
        while path and path not in places:
            path = path[:-1]
        place = places.get(path, self.origin)
        return f"{place}: {problem}"

    def config_hash(self) -> str:
        """SHA-256 (hex) of what the file and the command line say, whatever the file's layout."""
        canonical = json.dumps([self.tree, self.assignments], sort_keys=True, default=str)
        return hashlib.sha256(canonical.encode()).hexdigest()


def read_scenario(file: FilePath, assignments: list[tuple[str, Any]] | None = None) -> ScenarioFile:
    """Read a file. Raises ConfigError if it is not there, no YAML, or no mapping."""
    return scenario_of_text(read_text(file), str(file), assignments)


def scenario_of_text(text: str, origin: str, assignments: list[tuple[str, Any]] | None = None) -> ScenarioFile:
    """Read a scenario from its text."""
    places: dict[Path, str] = {}
    try:
        root = parse(text)
        tree = _tree(root, (), origin, places)
    except YamlProblem as error:
        raise ConfigError([f"{origin}:{error.line}:{error.column}: {error.message}"]) from None
    if not isinstance(tree, dict) or "scenario" not in tree:
        what = "expected a scenario: a mapping with the keys scenario, duration, nodes and more"
        raise ConfigError([f"{origin}:1:1: {what}"])
    return ScenarioFile(origin, tree, places, list(assignments or []))


def scenario_of_mapping(tree: Mapping[str, Any], origin: str = "scenario") -> ScenarioFile:
    """A scenario that a program holds, in the form that YAML would give."""
    return ScenarioFile(origin, dict(tree), {})


def assignment(text: str) -> tuple[str, Any]:
    """``links.latency=80ms`` as a name and the YAML value. Raises ValueError."""
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise ValueError(f"expected NAME=VALUE, got {text[:80]!r}")
    try:
        return name.strip(), build(parse(value), False, name, {})
    except YamlProblem as error:
        raise ValueError(f"{name}: cannot be read as a YAML value: {error.message}") from None


def _tree(node: Any, path: Path, origin: str, places: dict[Path, str]) -> Any:
    """The plain value of a node; notes the place of every key and every entry."""
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in entries(node):
            name = scalar_text(key)
            places[(*path, name)] = f"{origin}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
            found[name] = _tree(value, (*path, name), origin, places)
        return found
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            places[(*path, index)] = f"{origin}:{item.start_mark.line + 1}:{item.start_mark.column + 1}"
            items.append(_tree(item, (*path, index), origin, places))
        return items
    return build(node, False, dotted(path), {})


def _filled(value: Any, parameters: Mapping[str, Any], path: Path, problems: list[Problem]) -> Any:
    """The tree with ``$name`` and ``${name}`` replaced. A text that is nothing else takes the value's type."""
    if isinstance(value, dict):
        return {key: _filled(item, parameters, (*path, key), problems) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, parameters, (*path, index), problems) for index, item in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    for braced, bare in _REFERENCE.findall(value):
        name = braced or bare
        if name not in parameters:
            hint = f.nearest(name, parameters) or f"; there are {', '.join(parameters) or 'none'}"
            problems.append(Problem(path, f"there is no parameter called {name!r}{hint}"))
            return value
    whole = _REFERENCE.fullmatch(value)
    if whole is not None:
        return parameters[whole[1] or whole[2]]
    return _REFERENCE.sub(lambda found: _shown(parameters[found[1] or found[2]]), value)


def assign(tree: dict[str, Any], name: str, value: Any, places: dict[Path, str]) -> Problem | None:
    """Set a value by its dotted name (``nodes.full.count``, ``links.latency``, ``expect[0].min``)."""
    steps = [found[1] if found[1] is not None else int(found[2]) for found in _STEP.finditer(name)]
    here: Any = tree
    path: list[str | int] = []
    for index, step in enumerate(steps):
        is_last = index == len(steps) - 1
        if isinstance(here, list):
            place = _place_in(here, step)
            if place is None:
                return Problem((f"--set {name}",), f"{dotted(tuple(path))} has no entry {step!r}")
            step = place
        elif not isinstance(here, dict) or isinstance(step, int):
            return Problem((f"--set {name}",), f"{dotted(tuple(path)) or 'the file'} holds no {step!r}")
        elif not is_last and step not in here:
            here[step] = {}
        path.append(step)
        if is_last:
            here[step] = value
        else:
            here = here[step]
    if len(steps) == 1 and steps[0] not in f.keys_of(Scenario):
        close = difflib.get_close_matches(str(steps[0]), [*f.keys_of(Scenario)], n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return Problem((f"--set {name}",), f"neither a parameter nor a key of the file{hint}")
    places[tuple(path)] = f"--set {name}"
    return None


def _place_in(entries_: list[Any], step: str | int) -> int | None:
    if isinstance(step, int):
        return step if step < len(entries_) else None
    for index, entry in enumerate(entries_):
        if isinstance(entry, dict) and any(entry.get(key) == step for key in _NAMING):
            return index
    return None


def seeds_of(text: str) -> list[int]:
    """Seeds of ``1..50`` or ``3,5,8..10``. Raises ValueError."""
    found: list[int] = []
    for part in text.split(","):
        first, dots, last = part.strip().partition("..")
        if not first.isdigit() or (dots and not last.isdigit()) or len(first) > 15 or len(last) > 15:
            raise ValueError(f"expected seeds as 1..50 or 3,5,8, got {text[:40]!r}")
        low, high = int(first), int(last) if dots else int(first)
        if not low <= high < low + 100_000:
            raise ValueError(f"expected at most 100,000 seeds, the first not above the last, got {text[:40]!r}")
        found += range(low, high + 1)
    return list(dict.fromkeys(found))
