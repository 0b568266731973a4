"""Where a configuration comes from: defaults, then a YAML file, then ``ENSEMBLE_`` variables, then arguments.

A later source wins. Every value keeps its origin, and every complaint names the place: file, line and column, or the
variable, or the argument. :mod:`core.config` knows what the options mean; this module only reads.
"""

from __future__ import annotations

import difflib
import stat
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from actors.yaml_tree import YamlProblem, build, entries, parse, scalar_text
from core.config import NodeConfig, OptionDoc, Problem, check, dotted, flatten, options, relations, sections, suggestion
from core.errors import ConfigError

MAX_FILE_BYTES = 1 << 20
"""A configuration file of more than 1 MiB is something else that was named by mistake."""

ENV_PREFIX = "ENSEMBLE_"

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: ``kind`` is default, file, environment or argument; ``place`` is for people.

    ``place`` is ``node.yaml:12:7``, the name of a variable, the name of an argument; empty for a default.
    """

    kind: str
    place: str = ""

    def __str__(self) -> str:
        return self.place or self.kind


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration and the origin of every option by its dotted name."""

    config: NodeConfig
    origins: dict[str, Origin]


@dataclass(slots=True)
class _Layer:
    """What one source gave: a value and an origin for every option it names, and where parts of values are."""

    given: dict[str, object]
    origins: dict[str, Origin]
    places: dict[str, str]
    problems: list[str]


_OPTIONS: dict[str, OptionDoc] = {document.name: document for document in options()}
_SECTIONS: dict[str, type[msgspec.Struct]] = {"": NodeConfig} | sections(NodeConfig)


def load_config(
    file: Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> LoadedConfig:
    """Read a configuration from its sources.

    ``env`` is the whole environment; only ``ENSEMBLE_`` variables count. ``overrides`` are values by option name,
    nested or dotted; a value of :class:`Text` is read as a command line gives it. Raises ConfigError with every
    problem of every source, also of a value that a later source replaces.
    """
    layers = [_read_file(file)] if file is not None else []
    layers += [_read_environment(env or {}), _read_overrides(overrides or {})]
    problems = [problem for layer in layers for problem in layer.problems + _check_layer(layer)]
    if problems:
        raise ConfigError(problems)

    origins = dict.fromkeys(_OPTIONS, Origin(DEFAULT))
    merged: dict[str, object] = {}
    for layer in layers:
        merged |= layer.given
        origins |= layer.origins
    effective = {name: document.default for name, document in _OPTIONS.items()}
    effective |= {name: _OPTIONS[name].convert(value) for name, value in merged.items()}
    broken = [_placed(problem, origins[dotted(problem.path)].place) for problem in relations(effective)]
    if broken:
        raise ConfigError(broken)
    return LoadedConfig(NodeConfig.from_mapping(_nested(merged)), origins)


def _placed(problem: Problem, place: str) -> str:
    return f"{place}: {problem}" if place else str(problem)


# ---- the three sources -------------------------------------------------------------------------------------------


def _read_file(path: Path) -> _Layer:
    text = read_text(path)
    layer = _Layer({}, {}, {}, [])
    marks: dict[str, tuple[int, int]] = {}
    try:
        root = parse(text)
        for name, key, node in _leaves(root):
            known = name in _OPTIONS
            mark = node.start_mark if known and isinstance(node, yaml.ScalarNode) else key.start_mark
            place = f"{path}:{mark.line + 1}:{mark.column + 1}"
            if not known:
                layer.problems.append(f"{place}: {_unknown(name)}")
                continue
            layer.given[name] = build(node, _wants_text(name), name, marks)
            layer.origins[name] = Origin("file", place)
    except YamlProblem as error:
        raise ConfigError([*layer.problems, f"{path}:{error.line}:{error.column}: {error.message}"]) from None
    layer.places.update({name: f"{path}:{line}:{column}" for name, (line, column) in marks.items()})
    return layer


def _leaves(root: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (dotted name, key node, value node) for every option in the tree, known or not."""
    for key, node in entries(root):
        name = prefix + scalar_text(key)
        if name in _SECTIONS:
            yield from _leaves(node, f"{name}.")
        else:
            yield name, key, node


def read_text(path: Path) -> str:
    """Read a regular file of limited size as UTF-8. Raises ConfigError that says what is wrong with it."""
    if "\0" in str(path):
        raise ConfigError([f"{str(path)!r}: is not the name of a file"])
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):  # reading a pipe or a device might never end
            what = "a directory" if stat.S_ISDIR(kind) else "not a regular file"
            raise ConfigError([f"{path}: is {what}, expected a YAML file"])
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError([f"{path}: there is no such file"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError([f"{path}: is larger than {MAX_FILE_BYTES} bytes, expected a configuration file"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: expected UTF-8 text, got byte 0x{content[error.start]:02x}"]) from None


def _read_environment(env: Mapping[str, str]) -> _Layer:
    layer = _Layer({}, {}, {}, [])
    for variable in sorted(name for name in env if name.startswith(ENV_PREFIX)):
        name = variable.removeprefix(ENV_PREFIX).lower().replace("__", ".")
        if name not in _OPTIONS:
            meant = difflib.get_close_matches(variable, map(env_variable, _OPTIONS), n=1, cutoff=0.8)
            hint = f"; did you mean {meant[0]}?" if meant else ""
            layer.problems.append(f"{variable[:80]}: no option has this name{hint}")
            continue
        _add_text(layer, name, env[variable], Origin("environment", variable))
    return layer


def env_variable(name: str) -> str:
    """Return the environment variable of an option: ``node_info.chain_id`` is ``ENSEMBLE_NODE_INFO__CHAIN_ID``."""
    return ENV_PREFIX + name.upper().replace(".", "__")


class Text(str):
    """A value given as text, on a command line: read as YAML, by the type of its option."""


def _read_overrides(overrides: Mapping[str, object]) -> _Layer:
    layer = _Layer({}, {}, {}, [])
    for name, value in _flat_overrides(overrides):
        if name not in _OPTIONS:
            layer.problems.append(_unknown(name))
        elif isinstance(value, Text):
            _add_text(layer, name, value, Origin("argument", f"--set {name}"))
        else:
            layer.given[name] = value
            layer.origins[name] = Origin("argument")
    return layer


def _flat_overrides(given: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in given.items():
        name = f"{prefix}{key}"
        if name in _SECTIONS and isinstance(value, Mapping):
            yield from _flat_overrides(value, f"{name}.")
        elif name in _SECTIONS and isinstance(value, msgspec.Struct):
            yield from flatten(value, f"{name}.").items()
        else:
            yield name, value


def _add_text(layer: _Layer, name: str, text: str, origin: Origin) -> None:
    """Read the text of a variable or an argument as the YAML value of an option."""
    layer.origins[name] = origin
    if _wants_text(name) and not _is_list(name) and text not in {"null", "~"}:
        layer.given[name] = text
        return
    try:
        layer.given[name] = build(parse(text[:MAX_FILE_BYTES]), _wants_text(name), name, {})
    except YamlProblem as error:
        layer.problems.append(f"{origin.place}: {name}: cannot be read as a YAML value: {error.message}")


# ---- checking ----------------------------------------------------------------------------------------------------


def _wants_text(name: str) -> bool:
    """Tell whether plain scalars of this option are text, whatever YAML takes them for.

    ``chain_id: 00000001`` is the number 1 to YAML, ``network_version: 1.10`` is 1.1: neither is what was written.
    """
    kinds = getattr(_OPTIONS[name].type, "__args__", (_OPTIONS[name].type,))
    return str in kinds or any(isinstance(kind, str) for kind in kinds)


def _is_list(name: str) -> bool:
    return typing.get_origin(_OPTIONS[name].type) is tuple


def _check_layer(layer: _Layer) -> list[str]:
    """Return the problems of single values, with their places."""
    found = []
    for name, value in layer.given.items():
        for problem in check(NodeConfig, _nested({name: value}))[1]:
            place = layer.places.get(dotted(problem.path)) or layer.origins[name].place
            found.append(_placed(problem, place))
    return found


def _nested(flat: Mapping[str, object]) -> dict[str, Any]:
    """Return dotted names as nested mappings."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        section, _, option = name.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[option] = value
    return nested


def _unknown(name: str) -> str:
    meant = _suggest(name)
    return str(Problem((name[:80],), "unknown option" + (f"; did you mean {meant}?" if meant else "")))


def _suggest(name: str) -> str:
    """The dotted name of the option most like ``name``, looked for in its section first and then everywhere."""
    section, _, last = name.rpartition(".")
    for place in sorted(_SECTIONS, key=lambda other: other != section):
        meant = suggestion(last, _SECTIONS[place], (place,) if place else ())
        if meant:
            return meant
    return ""
