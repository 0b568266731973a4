"""From foreign values (a file's lists and mappings) to typed structures, with every problem and its place.

A structure declares its keys where it declares its fields::

    class Ramp(Section, frozen=True, kw_only=True):
        over_s: Annotated[float, Key(duration(), "time in which all of them start")]
        order: Annotated[str, Key(one_of("as-named", "random"), "who first")] = "as-named"

    ramp = section(Ramp)({"over": "30s"}, ())

The key of a field is its name without ``_s``, ``_bytes``, ``_per_s`` (a file writes units into values, not into keys)
and without a trailing ``_``. A field without a default is required. Unknown keys are problems, with the nearest key.
"""

from __future__ import annotations

import difflib
import functools
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from core.config.checking import Problem, shown
from core.scenario import units

Path = tuple[str | int, ...]
"""Where a value is: keys and list indices from the root of the file."""

Parser = Callable[[object, Path], Any]
"""Gives the value to keep for a foreign value at a path, or raises :class:`Faults`."""

MAX_ITEMS: Final = 10_000
"""Entries of a list in a file."""

_UNIT_SUFFIXES: Final = ("_bytes_per_s", "_per_s", "_bytes", "_s")


class Faults(ValueError):
    """What was given cannot be used: ``problems`` has an entry for each thing that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


def fault(path: Path, text: str) -> Faults:
    """The exception for one problem at ``path``."""
    return Faults([Problem(path, text)])


def expected(path: Path, what: str, given: object) -> Faults:
    """The exception for a value that is not what was expected."""
    return fault(path, f"expected {what}, got {shown(given)}")


def nearest(name: object, known: typing.Iterable[str]) -> str:
    """``; did you mean X?`` for the most similar of the known names, or an empty text."""
    close = difflib.get_close_matches(str(name)[:80].lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section: how to read it, what it means, and its name if it does not follow from the field's."""

    parser: Parser
    meaning: str = ""
    name: str = ""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the structures that are read from files."""


@functools.cache
def keys_of(cls: type[Section]) -> dict[str, tuple[str, Key, bool]]:
    """(field, key, is required) by the key's name, in order of declaration."""
    hints = typing.get_type_hints(cls, include_extras=True)
    found: dict[str, tuple[str, Key, bool]] = {}
    for field in msgspec.structs.fields(cls):
        keys = [extra for extra in getattr(hints[field.name], "__metadata__", ()) if isinstance(extra, Key)]
        if keys:
            found[keys[0].name or key_name(field.name)] = (field.name, keys[0], field.required)
    return found


def key_name(field: str) -> str:
    """``close_after_s`` is written ``close_after``, ``from_`` is ``from``."""
    for suffix in _UNIT_SUFFIXES:
        if field.endswith(suffix):
            return field.removesuffix(suffix)
    return field.removesuffix("_")


def section(cls: type[Section], *, without: frozenset[str] = frozenset()) -> Parser:
    """The parser of a mapping into ``cls``. Keys in ``without`` are somebody else's and passed over."""

    def parse(value: object, path: Path) -> Any:
        known = keys_of(cls)
        if value is None and not any(required for _, _, required in known.values()):
            value = {}
        if not isinstance(value, Mapping):
            raise expected(path, f"a mapping with {_listed(known)}", value)
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, item in value.items():
            if name in without:
                continue
            if not isinstance(name, str) or name not in known:
                hint = nearest(name, known) or f"; known here: {', '.join(known)}"
                problems.append(Problem((*path, str(name)[:80]), f"unknown key{hint}"))
                continue
            field, key, _ = known[name]
            try:
                values[field] = key.parser(item, (*path, name))
            except Faults as faults:
                problems += faults.problems
        missing = [name for name, (_, _, required) in known.items() if required and name not in value]
        problems += [Problem(path, f"{name} is missing: {known[name][1].meaning}".rstrip(": ")) for name in missing]
        if problems:
            raise Faults(problems)
        try:
            return cls(**values)
        except Faults as faults:  # of a __post_init__ that knows nothing of the path
            raise Faults([Problem((*path, *problem.path), problem.message) for problem in faults.problems]) from None

    return parse


def _listed(known: Mapping[str, tuple[str, Key, bool]]) -> str:
    required = [name for name, (_, _, is_required) in known.items() if is_required]
    return ", ".join(required) if required else f"keys of: {', '.join(known)}"


# ---- parsers of single values ------------------------------------------------------------------------------------


def _by(reader: Callable[[object], Any], check: Callable[[Any], bool] | None = None, bounds: str = "") -> Parser:
    def parse(value: object, path: Path) -> Any:
        try:
            found = reader(value)
        except ValueError as error:
            raise expected(path, f"{error}{bounds}", value) from None
        if check is not None and not check(found):
            raise expected(path, f"a value{bounds}", value)
        return found

    return parse


def duration(*, above: float | None = None, at_least: float = 0.0) -> Parser:
    """A duration in seconds. ``above``: what it must exceed."""
    if above is not None:
        return _by(units.duration_s, lambda found: found > above, f" of more than {units.shown_duration(above)}")
    return _by(units.duration_s, lambda found: found >= at_least, "")


def size(*, at_most: int = 16 * 1024 * 1024) -> Parser:
    """A size in bytes."""
    return _by(units.size_bytes, lambda found: found <= at_most, f" of at most {at_most:,} bytes")


def bandwidth() -> Parser:
    """Bytes per second."""
    return _by(units.bandwidth_bytes_per_s)


def rate() -> Parser:
    """Times per second."""
    return _by(units.rate_per_s)


def share() -> Parser:
    """A number from 0 to 1."""
    return _by(units.share)


def quantity() -> Parser:
    """A number, with or without a unit."""
    return _by(units.quantity)


def integer(at_least: int, at_most: int) -> Parser:
    """A whole number in a range."""

    def parse(value: object, path: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= at_most:
            raise expected(path, f"a whole number from {at_least:,} to {at_most:,}", value)
        return value

    return parse


def number(at_least: float = -math.inf, at_most: float = math.inf) -> Parser:
    """A plain number in a range, without a unit."""
    bounds = f" from {at_least:g} to {at_most:g}" if math.isfinite(at_least) and math.isfinite(at_most) else ""

    def parse(value: object, path: Path) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not at_least <= value <= at_most:  # type: ignore[arg-type, operator]
            raise expected(path, f"a number{bounds}", value)
        return float(value)  # type: ignore[arg-type]

    return parse


def text(at_most: int = 200) -> Parser:
    """Any text; a plain number is taken as it is written."""

    def parse(value: object, path: Path) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not 0 < len(value) <= at_most:
            raise expected(path, f"a text of 1 to {at_most} characters", value)
        return value

    return parse


def name() -> Parser:
    """A name: letters, digits, ``_``, ``-`` and ``.``, beginning with a letter."""

    def parse(value: object, path: Path) -> str:
        if not isinstance(value, str) or not is_name(value):
            raise expected(path, "a name (a letter, then letters, digits, '_', '-'; at most 40)", value)
        return value

    return parse


def is_name(value: str) -> bool:
    """Whether a text can name a group, a node, a message, an event of the timeline."""
    plain = value.replace("-", "").replace("_", "").replace(".", "")
    return 0 < len(value) <= 40 and value.isascii() and value[0].isalpha() and plain.isalnum()


def boolean() -> Parser:
    """true or false."""

    def parse(value: object, path: Path) -> bool:
        if not isinstance(value, bool):
            raise expected(path, "true or false", value)
        return value

    return parse


def one_of(*choices: str) -> Parser:
    """One of these words."""

    def parse(value: object, path: Path) -> str:
        # YAML reads the words on, off, yes, no as truth values.
        word = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
        if not isinstance(word, str) or word not in choices:
            raise fault(path, f"expected one of {', '.join(choices)}, got {shown(value)}{nearest(value, choices)}")
        return word

    parse.__doc__ = ", ".join(f"`{choice}`" for choice in choices)  # for the reference
    return parse


def list_of(parser: Parser, *, at_least: int = 0, at_most: int = MAX_ITEMS) -> Parser:
    """A list, as a tuple; all problems of all items."""

    def parse(value: object, path: Path) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not at_least <= len(value) <= at_most:
            amount = f"{at_least} to {at_most:,}" if at_least else f"at most {at_most:,}"
            raise expected(path, f"a list of {amount} entries", value)
        items: list[Any] = []
        problems: list[Problem] = []
        for index, item in enumerate(value):
            try:
                items.append(parser(item, (*path, index)))
            except Faults as faults:
                problems += faults.problems
        if problems:
            raise Faults(problems)
        return tuple(items)

    return parse


def one_or_many(parser: Parser) -> Parser:
    """A list, or one entry of it by itself."""
    many = list_of(parser)

    def parse(value: object, path: Path) -> tuple[Any, ...]:
        return many(value, path) if isinstance(value, list | tuple) else (parser(value, path),)

    return parse


def pair_of(parser: Parser) -> Parser:
    """A list of exactly two."""

    def parse(value: object, path: Path) -> tuple[Any, Any]:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise expected(path, "a list of two entries", value)
        return parser(value[0], (*path, 0)), parser(value[1], (*path, 1))

    return parse


def mapping_of(parser: Parser, *, at_most: int = MAX_ITEMS) -> Parser:
    """Names to values, as a dict; all problems of all entries."""

    def parse(value: object, path: Path) -> dict[str, Any]:
        if not isinstance(value, Mapping) or len(value) > at_most:
            raise expected(path, "a mapping (name: value)", value)
        found: dict[str, Any] = {}
        problems: list[Problem] = []
        for key, item in value.items():
            try:
                found[str(key)] = parser(item, (*path, str(key)))
            except Faults as faults:
                problems += faults.problems
        if problems:
            raise Faults(problems)
        return found

    return parse


def anything() -> Parser:
    """Whatever is given: somebody else reads it."""
    return lambda value, path: value


def only_key(value: object, path: Path, choices: tuple[str, ...], what: str) -> str:
    """Which one of ``choices`` is a key of the mapping. Raises Faults for none or several."""
    if not isinstance(value, Mapping):
        raise expected(path, f"a mapping with one of {', '.join(choices)}", value)
    found = [choice for choice in choices if choice in value]
    if len(found) == 1:
        return found[0]
    if found:
        raise fault(path, f"expected one {what}, got {' and '.join(found)}")
    close = [hint for hint in (nearest(key, choices) for key in value) if hint]
    raise fault(path, f"expected one of {', '.join(choices)}{close[0] if close else ''}")
