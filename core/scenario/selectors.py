"""Which nodes are meant: ``all``, a group, a node, ``full:3`` (any three of a group), ``{of: full, fraction: 5%}``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Annotated, Any, Final, Protocol, TypeVar

from core.config.checking import Problem
from core.scenario import fields as f
from core.scenario.fields import Key, Path, Section

ALL: Final = "all"
STATES: Final = ("any", "running", "stopped")
EXPECTED: Final = (
    "nodes: all, running, stopped, the name of a group or a node, NAME:3 for any three of it, or a mapping"
)


class Selector(Section, frozen=True, kw_only=True):
    """Which nodes. ``names`` are groups and nodes, or ``all``; ``path`` is where the file says so."""

    names: tuple[str, ...] = (ALL,)
    pick: int | None = None
    fraction: float | None = None
    state: str = "any"
    except_: Selector | None = None
    path: Path = ()

    @property
    def is_random(self) -> bool:
        """Whether chance decides."""
        return self.pick is not None or self.fraction is not None

    def __str__(self) -> str:
        what = "|".join(self.names) + ("" if self.state == "any" else f" ({self.state})")
        if self.pick is not None:
            what = f"{self.pick} of {what}"
        elif self.fraction is not None:
            what = f"{self.fraction:.4g} of {what}"
        return f"{what} except {self.except_}" if self.except_ is not None else what


class _Form(Section, frozen=True, kw_only=True):
    of: Annotated[Any, Key(f.anything(), "whom to choose from")] = ALL
    pick: Annotated[int | None, Key(f.integer(1, 100_000), "so many of them, by lot")] = None
    fraction: Annotated[float | None, Key(f.share(), "this share of them, by lot")] = None
    state: Annotated[str, Key(f.one_of(*STATES), "only those that run, or do not")] = "any"
    except_: Annotated[Any, Key(f.anything(), "but not these")] = None


def parse_selector(value: object, path: Path) -> Selector:
    """Read a selector. Raises Faults."""
    if isinstance(value, str):
        return _of_text(value, path)
    if isinstance(value, list | tuple):
        parts = [parse_selector(item, (*path, index)) for index, item in enumerate(value)]
        if not parts or any(part.is_random or part.except_ or part.state != "any" for part in parts):
            raise f.expected(path, "a list of names of groups and nodes", value)
        return Selector(names=tuple(name for part in parts for name in part.names), path=path)
    if not isinstance(value, Mapping):
        raise f.expected(path, EXPECTED, value)
    form: _Form = f.section(_Form)(value, path)
    base = parse_selector(form.of, (*path, "of"))
    if base.is_random or (form.pick is not None and form.fraction is not None):
        raise f.fault(path, "expected one of pick and fraction, once")
    return Selector(
        names=base.names,
        pick=form.pick,
        fraction=form.fraction,
        state=form.state if form.state != "any" else base.state,
        except_=None if form.except_ is None else parse_selector(form.except_, (*path, "except")),
        path=path,
    )


def _of_text(text: str, path: Path) -> Selector:
    if text in {"running", "stopped"}:
        return Selector(state=text, path=path)
    if text == "random":
        return Selector(state="running", pick=1, path=path)
    name, colon, amount = text.partition(":")
    names = tuple(part.strip() for part in name.split("|"))
    if not all(f.is_name(part) for part in names) or (colon and not (amount.isdigit() and 0 < int(amount) < 100_000)):
        raise f.expected(path, EXPECTED, text)
    return Selector(names=names, pick=int(amount) if colon else None, path=path)


class Named(Protocol):
    """A node, as far as a selector looks at it."""

    @property
    def name(self) -> str: ...
    @property
    def is_running(self) -> bool: ...


NodeT = TypeVar("NodeT", bound=Named)


def choose(
    selector: Selector, groups: Mapping[str, Sequence[NodeT]], nodes: Mapping[str, NodeT], rng: Callable[[], Random]
) -> list[NodeT]:
    """The nodes meant, in their order. ``rng`` gives the stream for a choice by lot; it is asked only if one is needed.

    Raises LookupError for a name that is neither a group's nor a node's.
    """
    found: dict[str, NodeT] = {}
    for name in selector.names:
        if name == ALL:
            found.update({node.name: node for group in groups.values() for node in group})
        elif name in groups:
            found.update({node.name: node for node in groups[name]})
        elif name in nodes:
            found[name] = nodes[name]
        else:
            raise LookupError(f"there is no group or node called {name!r}{f.nearest(name, [*groups, *nodes])}")
    if selector.except_ is not None:
        for node in choose(selector.except_, groups, nodes, rng):
            found.pop(node.name, None)
    chosen = [node for node in found.values() if selector.state == "any" or _in_state(node, selector.state)]
    count = len(chosen)
    if selector.pick is not None:
        count = min(selector.pick, count)
    elif selector.fraction is not None:
        count = round(selector.fraction * count)
    if not selector.is_random:
        return chosen
    picked = set(rng().sample(range(len(chosen)), count))
    return [node for index, node in enumerate(chosen) if index in picked]


def _in_state(node: Named, state: str) -> bool:
    return node.is_running == (state == "running")


def unknown_names(value: Any, known: Iterable[str]) -> Iterator[Problem]:
    """The problems of every selector inside a plan that names what is not there. Looks into all fields."""
    names = set(known) | {ALL}
    for selector in selectors_in(value):
        for name in selector.names:
            if name not in names:
                hint = f.nearest(name, sorted(names)) or f"; there are {', '.join(sorted(names)[:12])}"
                yield Problem(selector.path, f"there is no group or node called {name!r}{hint}")


def selectors_in(value: Any) -> Iterator[Selector]:
    """Every selector inside a structure."""
    if isinstance(value, Selector):
        yield value
        if value.except_ is not None:
            yield from selectors_in(value.except_)
    elif isinstance(value, Section):
        for name in value.__struct_fields__:
            yield from selectors_in(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from selectors_in(item)
