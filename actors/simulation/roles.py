"""What a scenario can be extended by: kinds of attackers, measures, anchors, and whole validations.

A kind of attacker is a class, registered with the options that a file may give it::

    class FloodOptions(Section, frozen=True, kw_only=True):
        slash16: Annotated[int, Key(integer(1, 4096), "how many /16 it has addresses in")] = 1
        rate_per_s: Annotated[float, Key(rate(), "connections it opens")] = 2.0

    @attacker("inbound-flood", FloodOptions)
    class InboundFlood:
        def __init__(self, name: str, options: FloodOptions, lab: Lab) -> None: ...
        def start(self) -> None: ...
        def stop(self) -> None: ...

The object is made before any node starts (so it can add hosts and nodes of its own), started at the attacker's
``start`` time by a scheduled call, and stopped at its ``stop`` time, or never. It must not wait for anything.

A measure is a function of the laboratory, for expressions in probes and expectations::

    @measure("outbound_held", "share of a node's outbound connections that an attacker holds")
    def outbound_held(lab: Lab, victim: str, attacker: str = "") -> float: ...

Its arguments come from the expression ``outbound_held(victim, flood)``: numbers as floats, all else as texts. It
returns a number, or a sequence of numbers (*samples*), of which the expression takes ``.mean``, ``.p90`` and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from core.scenario.fields import Section, nearest
from core.scenario.judging import Anchor, Check

if TYPE_CHECKING:
    from actors.bases.sim_nodes import SimNode, Simulation

Value = float | Sequence[float]
"""What a measure returns."""

HONEST = "honest"
"""Who owns an address or a node that no attacker owns."""


class Addresses(Protocol):
    """Gives out public addresses, each once."""

    def take(self, owner: str, count: int, *, slash16: int | None = None) -> list[str]:
        """``count`` addresses in ``slash16`` net groups that nobody else is given (None: each in one of its own).

        They go round the groups, so that the first ``slash16`` of them are in different ones. ``owner`` names the
        stream that they are drawn from, and who :meth:`Lab.owner_of` says they belong to.
        """


class Lab(Protocol):
    """A running experiment, as attackers and measures see it."""

    @property
    def sim(self) -> Simulation:
        """The network of nodes, with its clock."""

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""

    @property
    def duration_s(self) -> float:
        """Virtual seconds that the scenario lasts."""

    @property
    def addresses(self) -> Addresses:
        """Where hosts get addresses from."""

    @property
    def recorder(self) -> Any:
        """What has happened so far (:class:`actors.simulation.recorder.Recorder`)."""

    def rng(self, *names: str) -> Random:
        """The seeded stream of this name, from its beginning. The run's seed is part of it."""

    def node(self, name: str) -> SimNode:
        """The node with this name. Raises LookupError."""

    def select(self, selector: object, *stream: str) -> list[SimNode]:
        """The nodes that a selector of a file means; ``stream`` names the randomness of ``pick`` and ``random``."""

    def honest(self) -> list[SimNode]:
        """All nodes of the scenario's groups, in order."""

    def add_node(self, name: str, ip: str, *, owner: str, **options: Any) -> SimNode:
        """Make a real node that belongs to an attacker; the attacker starts it. ``options`` as NodeConfig."""

    def own(self, ip: str, owner: str) -> None:
        """Whoever comes from this address belongs to ``owner`` (those of :attr:`addresses` are noted already)."""

    def owner_of(self, address: str) -> str:
        """The attacker who owns an IP address or a peer id; ``"honest"`` for everybody else."""

    def at(self, when_s: float, action: Callable[[], object]) -> None:
        """Have ``action()`` called at that time. It must not wait."""

    def every(self, interval_s: float, action: Callable[[], object], *, until_s: float | None = None) -> None:
        """Have ``action()`` called at intervals, first one interval from now."""

    def note(self, text: str) -> None:
        """Put a line into the story of the run: the log of events, the report, the trace."""

    def count(self, name: str, amount: float = 1.0) -> None:
        """Add to a counter of this experiment; ``counter(name)`` in expressions."""


class Attacker(Protocol):
    """One attacker of a scenario."""

    def start(self) -> None:
        """Begin. Called once, at its time."""

    def stop(self) -> None:
        """Cease, at its time, if it has one."""


Maker = Callable[[str, Any, Lab], Attacker]
MakerT = TypeVar("MakerT", bound=Callable[..., Any])
MeasureT = TypeVar("MeasureT", bound=Callable[..., Value])


@dataclass(frozen=True, slots=True)
class AttackerKind:
    """A registered kind."""

    kind: str
    options: type[Section]
    make: Maker
    meaning: str


@dataclass(frozen=True, slots=True)
class Measure:
    """A registered measure."""

    name: str
    meaning: str
    function: Callable[..., Value]


class Validation(Protocol):
    """Something of the library that checks the simulator against what is known."""

    @property
    def name(self) -> str:
        """Short and stable: ``--only NAME`` picks it."""

    @property
    def title(self) -> str:
        """One line for people."""

    def run(self, *, seeds: int | None, jobs: int, progress: Callable[[str], None]) -> Iterable[Check]:
        """Measure. ``seeds`` None: as many runs as it needs. Yields each check as soon as it is known."""


_attackers: dict[str, AttackerKind] = {}
_measures: dict[str, Measure] = {}
_validations: dict[str, Validation] = {}
_anchors: dict[str, Anchor] = {}


def attacker(kind: str, options: type[Section]) -> Callable[[MakerT], MakerT]:
    """Register a kind of attacker by a decorator. Raises ValueError if the name is taken."""

    def register(make: MakerT) -> MakerT:
        if kind in _attackers:
            raise ValueError(f"there is a kind of attacker called {kind!r} already")
        _attackers[kind] = AttackerKind(kind, options, make, _first_line(make))
        return make

    return register


def measure(name: str, meaning: str) -> Callable[[MeasureT], MeasureT]:
    """Register a measure by a decorator. Raises ValueError if the name is taken."""

    def register(function: MeasureT) -> MeasureT:
        if name in _measures:
            raise ValueError(f"there is a measure called {name!r} already")
        _measures[name] = Measure(name, meaning, function)
        return function

    return register


def validation(item: Validation) -> Validation:
    """Register a validation. Raises ValueError if the name is taken."""
    if item.name in _validations:
        raise ValueError(f"there is a validation called {item.name!r} already")
    _validations[item.name] = item
    return item


def add_anchors(anchors: Iterable[Anchor]) -> None:
    """Register anchors. Raises ValueError if a name is taken."""
    for anchor in anchors:
        if anchor.name in _anchors:
            raise ValueError(f"there is an anchor called {anchor.name!r} already")
        _anchors[anchor.name] = anchor


def attacker_kind(kind: str) -> AttackerKind:
    """Look a kind up. Raises LookupError, naming the nearest."""
    load_library()
    return _found(_attackers, kind, "kind of attacker")


def measure_of(name: str) -> Measure:
    """Look a measure up. Raises LookupError, naming the nearest."""
    load_library()
    return _found(_measures, name, "measure")


def anchor_of(name: str) -> Anchor:
    """Look an anchor up. Raises LookupError, naming the nearest."""
    load_library()
    return _found(_anchors, name, "anchor")


def anchors() -> list[Anchor]:
    """All anchors, by name."""
    load_library()
    return [_anchors[name] for name in sorted(_anchors)]


def attackers() -> list[AttackerKind]:
    """All kinds of attackers, by name."""
    load_library()
    return [_attackers[kind] for kind in sorted(_attackers)]


def measures() -> list[Measure]:
    """All measures, by name."""
    load_library()
    return [_measures[name] for name in sorted(_measures)]


def validations() -> list[Validation]:
    """All validations, in order of registration."""
    load_library()
    return list(_validations.values())


T = TypeVar("T")


def _found(table: dict[str, T], name: str, what: str) -> T:
    if name in table:
        return table[name]
    raise LookupError(f"there is no {what} called {name[:80]!r}{nearest(name, table)}")


def _first_line(described: object) -> str:
    return (getattr(described, "__doc__", None) or "").strip().partition("\n")[0]


def load_library() -> None:
    """Import every module that registers something. Cheap after the first time."""
    from actors.simulation import registered

    registered.load()
