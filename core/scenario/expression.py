"""Expressions over measures: ``reach(m1) >= 0.98``, ``propagation.p90 < 300ms``, ``outbound(full).min == 20 and ...``.

A measure gives a number or many (*samples*); a statistic picks one number of many: ``.mean .min .max .sd .sum .count
.median`` and ``.p1`` to ``.p99``. Truth is 1 and 0. Nothing is evaluated but this grammar: no attribute of an object,
no function of Python can be reached.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from core.scenario import units
from core.scenario.judging import percentile

MAX_LENGTH: Final = 500
MAX_DEPTH: Final = 30

Value = float | Sequence[float]
Resolve = Callable[[str, tuple[float | str, ...], dict[str, float | str]], Value]
"""Gives the value of a measure for its arguments."""

STATISTICS: Final[dict[str, Callable[[list[float]], float]]] = {
    "mean": lambda values: math.fsum(values) / len(values) if values else math.nan,
    "min": lambda values: min(values, default=math.nan),
    "max": lambda values: max(values, default=math.nan),
    "sum": math.fsum,
    "count": lambda values: float(len(values)),
    "median": lambda values: percentile(values, 0.5),
    "sd": lambda values: _deviation(values),
}

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[a-zA-Z]+|%)?)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<op><=|>=|==|!=|[-+*/<>().,])|(?P<bad>\S))"
)
_ARGUMENTS: Final = re.compile(r"((?:[^()'\"]|'[^']*'|\"[^\"]*\")*)\)")
_ARGUMENT: Final = re.compile(r"\s*(?:([A-Za-z_]\w*)\s*=)?\s*('[^']*'|\"[^\"]*\"|[^,'\"]+?)\s*(?:,|$)")


class BadExpression(ValueError):
    """The text is no expression, or one that cannot have a value."""


class Call(msgspec.Struct, frozen=True):
    """A measure with its arguments."""

    name: str
    arguments: tuple[float | str, ...]
    named: tuple[tuple[str, float | str], ...] = ()


Tree = tuple[Any, ...]
"""("number", x), ("call", Call), ("statistic", tree, name), ("not", tree), ("minus", tree), (operator, tree, tree)."""


class Expression(msgspec.Struct, frozen=True):
    """A parsed expression."""

    text: str
    tree: Tree

    def calls(self) -> list[Call]:
        """Every measure in it, from left to right."""
        return list(_calls(self.tree))

    def value(self, resolve: Resolve) -> float:
        """Its value: a number. Raises BadExpression where many numbers stand for one."""
        return _number(_evaluate(self.tree, resolve), self.text)

    def samples(self, resolve: Resolve) -> tuple[float, ...]:
        """All the numbers of an expression that gives many; one that gives one gives a tuple of one."""
        found = _evaluate(self.tree, resolve)
        return (float(found),) if isinstance(found, int | float) else tuple(found)


def parse(text: str) -> Expression:
    """Parse an expression. Raises BadExpression that says where it is wrong."""
    if not 0 < len(text) <= MAX_LENGTH:
        raise BadExpression(f"expected an expression of 1 to {MAX_LENGTH} characters")
    parser = _Parser(text)
    tree = parser.either()
    if parser.kind != "end":
        raise parser.wrong("an operator")
    return Expression(text, tree)


class _Parser:
    """Recursive descent; ``kind`` and ``token`` are what comes next."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0
        self.kind = self.token = ""
        self.advance()

    def advance(self) -> None:
        found = _TOKEN.match(self.text, self.position)
        if found is None:
            self.kind, self.token = "end", ""
            return
        self.kind, self.token = str(found.lastgroup), found[str(found.lastgroup)]
        self.position = found.end()
        if self.kind == "bad":
            raise self.wrong("a number, a measure or an operator")

    def wrong(self, what: str) -> BadExpression:
        at = "the end" if self.kind == "end" else repr(self.token)
        return BadExpression(f"expected {what} at {at} (character {self.position}) of {self.text!r}")

    def take(self, *tokens: str) -> str:
        """The next token if it is one of these, else an empty text."""
        if self.kind in {"op", "name"} and self.token in tokens:
            token = self.token
            self.advance()
            return token
        return ""

    def either(self) -> Tree:
        tree = self.both()
        while self.take("or"):
            tree = ("or", tree, self.both())
        return tree

    def both(self) -> Tree:
        tree = self.negated()
        while self.take("and"):
            tree = ("and", tree, self.negated())
        return tree

    def negated(self) -> Tree:
        if self.take("not"):
            return ("not", self.deeper(self.negated))
        return self.comparison()

    def deeper(self, rule: Callable[[], Tree]) -> Tree:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise BadExpression(f"more than {MAX_DEPTH} levels in {self.text!r}")
        tree = rule()
        self.depth -= 1
        return tree

    def comparison(self) -> Tree:
        tree = self.sum()
        if operator := self.take("<=", ">=", "==", "!=", "<", ">"):
            tree = (operator, tree, self.sum())
        return tree

    def sum(self) -> Tree:
        tree = self.product()
        while operator := self.take("+", "-"):
            tree = (operator, tree, self.product())
        return tree

    def product(self) -> Tree:
        tree = self.signed()
        while operator := self.take("*", "/"):
            tree = (operator, tree, self.signed())
        return tree

    def signed(self) -> Tree:
        if self.take("-"):
            return ("minus", self.deeper(self.signed))
        return self.picked()

    def picked(self) -> Tree:
        tree = self.single()
        while self.take("."):
            if self.kind != "name" or not is_statistic(self.token):
                raise self.wrong(f"a statistic ({', '.join(STATISTICS)}, p1 to p99)")
            tree = ("statistic", tree, self.token)
            self.advance()
        return tree

    def single(self) -> Tree:
        if self.take("("):
            tree = self.deeper(self.either)
            if not self.take(")"):
                raise self.wrong("')'")
            return tree
        if self.kind == "number":
            try:
                tree = ("number", units.quantity(self.token if not _is_plain(self.token) else float(self.token)))
            except ValueError:
                raise self.wrong("a number with a known unit") from None
            self.advance()
            return tree
        if self.kind != "name" or self.token in {"and", "or", "not"}:
            raise self.wrong("a number or a measure")
        return self.call()

    def call(self) -> Tree:
        name = self.token
        after = self.text[self.position :]
        if not after.lstrip().startswith("("):
            self.advance()
            return ("call", Call(name, ()))
        start = self.position + after.index("(") + 1
        found = _ARGUMENTS.match(self.text, start)
        if found is None:
            raise BadExpression(f"the '(' after {name} is not closed in {self.text!r}")
        self.position = found.end()
        self.advance()
        return ("call", _call(name, found[1], self.text))


def _call(name: str, inside: str, text: str) -> Call:
    plain: list[float | str] = []
    named: list[tuple[str, float | str]] = []
    position = 0
    while inside[position:].strip():
        found = _ARGUMENT.match(inside, position)
        if found is None:
            raise BadExpression(f"expected arguments parted by commas in {name}({inside}) of {text!r}")
        value = _argument(found[2])
        if found[1] is not None:
            named.append((found[1], value))
        else:
            plain.append(value)
        position = found.end()
    return Call(name, tuple(plain), tuple(named))


def _argument(text: str) -> float | str:
    if text[0] in "'\"":
        return text[1:-1]
    try:
        return units.quantity(float(text) if _is_plain(text) else text)
    except ValueError:
        return text


def _is_plain(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text[0].isdigit() or text[0] in "-."


def is_statistic(name: str) -> bool:
    """Whether ``name`` picks a number of many."""
    return name in STATISTICS or (name[:1] == "p" and name[1:].isdigit() and 0 < int(name[1:]) < 100)


def statistic(name: str, values: Sequence[float]) -> float:
    """One number of many. Raises BadExpression for an unknown name."""
    if not is_statistic(name):
        raise BadExpression(f"there is no statistic called {name!r}")
    ordered = sorted(values)
    if name in STATISTICS:
        return STATISTICS[name](ordered)
    return percentile(ordered, int(name[1:]) / 100.0)


def _deviation(values: list[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _calls(tree: Tree) -> Iterator[Call]:
    for part in tree[1:]:
        if isinstance(part, Call):
            yield part
        elif isinstance(part, tuple):
            yield from _calls(part)


_OPERATORS: Final[dict[str, Callable[[float, float], float]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else math.nan,
    "<": lambda a, b: float(a < b),
    ">": lambda a, b: float(a > b),
    "<=": lambda a, b: float(a <= b),
    ">=": lambda a, b: float(a >= b),
    "==": lambda a, b: float(math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)),
    "!=": lambda a, b: float(not math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)),
}


def _evaluate(tree: Tree, resolve: Resolve) -> Value:
    kind = tree[0]
    if kind == "number":
        return float(tree[1])
    if kind == "call":
        call: Call = tree[1]
        return resolve(call.name, call.arguments, dict(call.named))
    if kind == "statistic":
        inner = _evaluate(tree[1], resolve)
        return statistic(tree[2], (inner,) if isinstance(inner, int | float) else inner)
    first = _number(_evaluate(tree[1], resolve), kind)
    if kind == "not":
        return float(not first)
    if kind == "minus":
        return -first
    if kind == "and":
        return float(bool(first) and bool(_number(_evaluate(tree[2], resolve), kind)))
    if kind == "or":
        return float(bool(first) or bool(_number(_evaluate(tree[2], resolve), kind)))
    return _OPERATORS[kind](first, _number(_evaluate(tree[2], resolve), kind))


def _number(value: Value, where: str) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise BadExpression(f"{where}: there are {len(value)} numbers here; say which, as .mean, .min or .p90")
