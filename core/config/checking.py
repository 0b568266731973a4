"""Checks a mapping against the schema and reports every problem at once, each with its option's dotted name.

The schema itself is :mod:`core.config.schema`: msgspec structures whose annotations say type, range, unit and meaning.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import reprlib
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from core.config.values import Rejected
from core.errors import ConfigError

Path = tuple[str | int, ...]
"""Where an option is: section and option names, then positions inside a list."""


class _ShortRepr(reprlib.Repr):
    """Values in messages: short, and never failing, whatever was given."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 80
        self.maxlist = self.maxtuple = self.maxdict = 4
        self.maxlevel = 3

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to print integers of more than 4,300 digits.
        return f"<integer of {x.bit_length()} bits>" if x.bit_length() > 256 else str(x)


_REPR = _ShortRepr()


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, and a sentence that says what was expected and what was given."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.message}" if self.path else self.message


@dataclasses.dataclass(frozen=True, slots=True)
class OptionDoc:
    """Everything there is to know about one option.

    ``name`` is dotted (``node_info.chain_id``), ``lisk_name`` is lisk-p2p 0.10's (empty: Ensemble's own), ``unit`` is
    empty for plain numbers and text, ``expected`` says type and range in words.
    """

    name: str
    lisk_name: str
    default: Any
    unit: str
    expected: str
    description: str
    group: str
    type: Any
    convert: Callable[[object], Any]


def option(
    group: str,
    description: str,
    *,
    lisk: str = "",
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
    convert: Callable[[object], Any] | None = None,
    expected: str = "",
) -> msgspec.Meta:
    """Describe an option: goes into ``Annotated[type, option(...)]``.

    ``lisk`` is lisk-p2p's name. ``convert`` and ``expected`` (for the reference) replace msgspec's own check.
    """
    extra = {"group": group, "lisk": lisk, "unit": unit, "convert": convert, "expected": expected}
    return msgspec.Meta(description=description, ge=ge, le=le, extra=extra)


def seconds(group: str, description: str, *, lisk: str = "", le: float) -> msgspec.Meta:
    """Describe a duration. The least is 10 ms: shorter ones would turn a timer into a busy loop."""
    return option(group, description, lisk=lisk, unit="s", ge=0.01, le=le)


def count(group: str, description: str, *, lisk: str = "", unit: str = "", ge: int = 1, le: int) -> msgspec.Meta:
    """Describe a number of things."""
    return option(group, description, lisk=lisk, unit=unit, ge=ge, le=le)


def dotted(path: Path) -> str:
    """``("seed_peers", 2)`` as ``seed_peers[2]``, ``("node_info", "nonce")`` as ``node_info.nonce``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def shown(value: object) -> str:
    """A value in an error message: one short line, whatever it is."""
    return _REPR.repr(value)


def explain(path: Path, expected: str, given: object) -> Problem:
    """The problem of a value that is not what was expected."""
    return Problem(path, f"expected {expected}, got {shown(given)}")


@functools.cache
def fields(section: type[msgspec.Struct]) -> dict[str, OptionDoc | type[msgspec.Struct]]:
    """The options and sections of a section by their names, in order of declaration."""
    hints = typing.get_type_hints(section, include_extras=True)
    found: dict[str, OptionDoc | type[msgspec.Struct]] = {}
    for field in msgspec.structs.fields(section):
        hint = hints[field.name]
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            found[field.name] = hint
        else:
            default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            found[field.name] = _document(field.name, hint, default)
    return found


def _document(name: str, hint: Any, default: object) -> OptionDoc:
    bare, meta = hint.__origin__, hint.__metadata__[0]
    extra = meta.extra
    expected = extra["expected"] or _in_words(bare, meta, extra["unit"])
    return OptionDoc(
        name=name,
        lisk_name=extra["lisk"],
        default=default,
        unit=extra["unit"],
        expected=expected,
        description=meta.description,
        group=extra["group"],
        type=bare,
        convert=extra["convert"] or functools.partial(_convert_plain, hint, expected),
    )


def _in_words(bare: Any, meta: msgspec.Meta, unit: str) -> str:
    if typing.get_origin(bare) is typing.Literal:
        return f"one of {', '.join(repr(choice) for choice in typing.get_args(bare))}"
    if bare is bool:
        return "true or false"
    kind = "an integer" if bare is int else "a number"
    measured = f"{kind} ({unit})" if unit else kind
    return f"{measured} from {plain_number(meta.ge)} to {plain_number(meta.le)}"


def plain_number(number: Any) -> str:
    """A bound as people write it: ``20`` and not ``20.0``."""
    return format(number, "g") if isinstance(number, float) and number < 1e6 else str(int(number))


def _convert_plain(hint: Any, expected: str, value: object) -> Any:
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError:
        raise Rejected([((), expected, value)]) from None


def documents(section: type[msgspec.Struct], prefix: str = "") -> Iterator[OptionDoc]:
    """All options of a section and of those inside it, with dotted names."""
    for name, field in fields(section).items():
        if isinstance(field, OptionDoc):
            yield dataclasses.replace(field, name=prefix + name)
        else:
            yield from documents(field, f"{prefix}{name}.")


def sections(section: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """Return the structures inside a structure by their names."""
    return {name: field for name, field in fields(section).items() if not isinstance(field, OptionDoc)}


def check(
    section: type[msgspec.Struct], given: Mapping[Any, object], path: Path = ()
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the values to build ``section`` from, and everything that is wrong with what was given.

    The values hold only what was given and is right. Relations between options are not checked here.
    """
    known = fields(section)
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        field = known.get(name) if isinstance(name, str) else None
        if field is None:
            named = name[:80] if isinstance(name, str) else shown(name)
            problems.append(Problem((*path, named), unknown(name, section, path)))
        elif isinstance(field, OptionDoc):
            try:
                values[name] = field.convert(value)
            except Rejected as error:
                problems += [explain((*path, name, *below), expected, item) for below, expected, item in error.faults]
        elif isinstance(value, field):
            values[name] = value
        elif isinstance(value, Mapping):
            inner, wrong = check(field, value, (*path, name))
            problems += wrong
            if not wrong:
                values[name] = field(**inner)
        else:
            problems.append(explain((*path, name), "a mapping of options", value))
    return values, problems


def settle(section: msgspec.Struct) -> None:
    """Put every value of a new structure into its canonical form: the plain constructor is a way in like any other.

    Raises ConfigError with all that is wrong.
    """
    given = {name: getattr(section, name) for name in section.__struct_fields__}
    values, problems = check(type(section), given)
    if problems:
        raise ConfigError([str(problem) for problem in problems])
    for name, value in values.items():
        if not isinstance(value, str) or value != given[name]:  # a default's text is one object for all nodes
            msgspec.structs.force_setattr(section, name, value)


def unknown(name: object, section: type[msgspec.Struct], path: Path) -> str:
    """The message for a name that is no option, with the option that was probably meant."""
    meant = suggestion(name, section, path)
    return "unknown option" + (f"; did you mean {meant}?" if meant else "")


def suggestion(name: object, section: type[msgspec.Struct], path: Path = ()) -> str:
    """The dotted name of the option most like ``name``, or an empty text. lisk-p2p's names are understood."""
    if not isinstance(name, str) or len(name) > 80:
        return ""
    known = fields(section)
    for option_name, field in known.items():
        if isinstance(field, OptionDoc) and field.lisk_name.rpartition(".")[2] == name:
            return dotted((*path, option_name))
    close = difflib.get_close_matches(name.lower().replace("-", "_"), list(known), n=1, cutoff=0.7)
    return dotted((*path, close[0])) if close else ""
