"""What can be done to a network, and when: the entries of a timeline and of a workload."""

from __future__ import annotations

from typing import Annotated, Any, Final

from core.scenario import fields as f
from core.scenario.draws import Draw, duration_draw
from core.scenario.expect import Formula, parse_formula
from core.scenario.fields import Key, Path, Section
from core.scenario.selectors import Selector, parse_selector

MAX_TIMES: Final = 1_000_000
"""Actions of one entry."""

ANYBODY: Final = Selector(state="running", pick=1)


class Relay(Section, frozen=True, kw_only=True):
    """How a node passes a message on when it gets it for the first time.

    ``selection``: to those that its node picks (LIP 0004, Selection: half of them outbound); ``uniform``: to any of its
    peers alike; ``all``: to all; ``none``: to nobody.
    """

    targets: Annotated[str, Key(f.one_of("selection", "uniform", "all", "none"), "to whom")] = "selection"
    fanout: Annotated[int, Key(f.integer(1, 1000), "to how many")] = 16
    skip_sender: Annotated[bool, Key(f.boolean(), "not back to where it came from (uniform only)")] = False


class Action(Section, frozen=True, kw_only=True):
    """Base of all actions."""


class Publish(Action, frozen=True, kw_only=True):
    """Some nodes send a new message, which all others pass on."""

    id: Annotated[str, Key(f.name(), "what it is called; several are id-1, id-2 ...")] = "m"
    from_: Annotated[Selector, Key(parse_selector, "who sends it; each a message of its own")] = ANYBODY
    size_bytes: Annotated[int, Key(f.size(), "its size")] = 100


class Request(Action, frozen=True, kw_only=True):
    """Some nodes ask a peer, which answers."""

    from_: Annotated[Selector, Key(parse_selector, "who asks")] = ANYBODY
    to: Annotated[
        Selector | None, Key(parse_selector, "whom (one of them); a peer of the node's choice if missing")
    ] = None
    size_bytes: Annotated[int, Key(f.size(), "size of the question")] = 100
    answer_bytes: Annotated[int, Key(f.size(), "size of the answer", name="answer")] = 100
    timeout_s: Annotated[float | None, Key(f.duration(above=0.0), "how long one waits")] = None


class Partition(Action, frozen=True, kw_only=True):
    """Links between the sides are cut; nodes on no side form one more."""

    sides: Annotated[tuple[Selector, ...], Key(f.one_or_many(parse_selector), "groups that stay together")]
    reset: Annotated[bool, Key(f.boolean(), "connections over the cut end at once")] = False


class Cut(Action, frozen=True, kw_only=True):
    """What goes from one side to the other is cut off, in one direction."""

    from_: Annotated[Selector, Key(parse_selector, "from these")]
    to: Annotated[Selector, Key(parse_selector, "to these")] = Selector()
    both: Annotated[bool, Key(f.boolean(), "the other direction too")] = False


class Heal(Action, frozen=True, kw_only=True):
    """All partitions and cuts end."""


class Crash(Action, frozen=True, kw_only=True):
    """Programs die; what was written to a data directory is there at the next start."""

    select: Annotated[Selector, Key(parse_selector, "which nodes")]
    silent: Annotated[bool, Key(f.boolean(), "the machine loses power: nobody is told")] = False


class Stop(Action, frozen=True, kw_only=True):
    """Nodes are stopped in order."""

    select: Annotated[Selector, Key(parse_selector, "which nodes")]


class Restart(Action, frozen=True, kw_only=True):
    """Nodes start (those that run are stopped before)."""

    select: Annotated[Selector, Key(parse_selector, "which nodes")]
    lose: Annotated[tuple[str, ...], Key(f.one_or_many(f.one_of("storage")), "what they have lost")] = ()


class Freeze(Action, frozen=True, kw_only=True):
    """Nodes do nothing for a while, as during a long pause of their program."""

    select: Annotated[Selector, Key(parse_selector, "which nodes")]


class Slow(Action, frozen=True, kw_only=True):
    """Programs read no faster than this from each of their connections."""

    select: Annotated[Selector, Key(parse_selector, "which nodes")]
    reads_bytes_per_s: Annotated[float, Key(f.bandwidth(), "how fast they read")]


class Clock(Action, frozen=True, kw_only=True):
    """Calendars are set."""

    select: Annotated[Selector, Key(parse_selector, "which nodes")]
    step: Annotated[Draw, Key(duration_draw(), "ahead by so much more")]
    back: Annotated[bool, Key(f.boolean(), "backwards instead")] = False


class Attack(Action, frozen=True, kw_only=True):
    """An attacker begins or ceases, apart from its own times."""

    start: Annotated[str | None, Key(f.name(), "who begins")] = None
    stop: Annotated[str | None, Key(f.name(), "who ceases")] = None

    def __post_init__(self) -> None:
        if (self.start is None) == (self.stop is None):
            raise f.fault((), "expected one of start and stop")


class Ban(Action, frozen=True, kw_only=True):
    """The programs of some nodes ban the addresses of others."""

    on: Annotated[Selector, Key(parse_selector, "who bans")]
    select: Annotated[Selector, Key(parse_selector, "whom", name="nodes")]
    duration_s: Annotated[float | None, Key(f.duration(above=0.0), "how long; the configured time if missing")] = None


class Penalty(Action, frozen=True, kw_only=True):
    """The programs of some nodes punish connected peers."""

    on: Annotated[Selector, Key(parse_selector, "who punishes")]
    select: Annotated[Selector, Key(parse_selector, "whom", name="nodes")]
    points: Annotated[int, Key(f.integer(1, 100), "of the 100 that each peer has")] = 10


class Note(Action, frozen=True, kw_only=True):
    """A line in the story of the run."""

    text: Annotated[str, Key(f.text(), "what it says")]


_SELECTING: Final[dict[str, type[Action]]] = {"crash": Crash, "stop": Stop, "restart": Restart, "freeze": Freeze}
"""Those that can be written short: ``crash: full:3``."""

ACTIONS: Final[dict[str, type[Action]]] = {
    **_SELECTING,
    "publish": Publish,
    "request": Request,
    "partition": Partition,
    "cut": Cut,
    "slow": Slow,
    "heal": Heal,
    "clock": Clock,
    "attack": Attack,
    "ban": Ban,
    "penalty": Penalty,
    "note": Note,
}
"""Every action by its name in files."""


def parse_action(kind: str, value: object, path: Path) -> Action:
    """Read the value of one action. Raises Faults."""
    if kind in _SELECTING and not (isinstance(value, dict) and "select" in value):
        return _SELECTING[kind](select=parse_selector(value, path))
    if kind == "partition" and isinstance(value, list | tuple):
        value = {"sides": value}
    if kind == "heal" and not isinstance(value, dict):
        value = {}
    if kind == "note" and isinstance(value, str):
        value = {"text": value}
    found: Action = f.section(ACTIONS[kind])(value, path)
    return found


class When(Section, frozen=True, kw_only=True):
    """When something is done: ``at`` a time; ``every`` so often; at ``times`` random instants ``between`` two times;
    as soon as an expression is true (``when``). ``for``: it is undone after that time."""

    at_s: Annotated[float | None, Key(f.duration(), "once, then")] = None
    every_s: Annotated[float | None, Key(f.duration(above=0.0), "again and again")] = None
    between_s: Annotated[tuple[float, float] | None, Key(f.pair_of(f.duration()), "at random, between these")] = None
    when: Annotated[Formula | None, Key(parse_formula, "as soon as this is true")] = None
    from_s: Annotated[float | None, Key(f.duration(), "every, when: not before")] = None
    until_s: Annotated[float | None, Key(f.duration(), "every, when: not after")] = None
    times: Annotated[int | None, Key(f.integer(1, MAX_TIMES), "how often at most")] = None
    for_s: Annotated[float | None, Key(f.duration(above=0.0), "undone after this time")] = None
    id: Annotated[str, Key(f.name(), "its name, for `after` of expectations")] = ""

    def __post_init__(self) -> None:
        given = [self.at_s, self.every_s, self.between_s, self.when]
        if sum(one is not None for one in given) != 1:
            raise f.fault((), "expected one of at, every, between, when")
        if self.between_s is not None and self.between_s[0] > self.between_s[1]:
            raise f.fault(("between",), "expected the first time to be before the second")
        if self.at_s is not None and (self.from_s, self.until_s, self.times) != (None, None, None):
            raise f.fault((), "from, until and times go with every, between and when, not with at")


UNDONE: Final = ("partition", "cut", "crash", "stop", "freeze", "slow", "attack")
"""Actions that ``for`` undoes: by healing, restarting, thawing, reading at once again, ceasing."""


class Entry(Section, frozen=True, kw_only=True):
    """One line of a timeline."""

    when: When
    kind: str
    action: Action
    path: Path = ()

    @property
    def label(self) -> str:
        """What is done, for people."""
        parts = [f"{name.strip('_')}={getattr(self.action, name)}" for name in self.action.__struct_fields__]
        return f"{self.kind} {', '.join(part for part in parts if not part.endswith('=None'))}".strip()


def parse_entry(value: object, path: Path) -> Entry:
    """Read one entry. Raises Faults."""
    kind = f.only_key(value, path, tuple(ACTIONS), "action")
    when: When = f.section(When, without=frozenset({kind}))(value, path)
    given: Any = value
    if when.for_s is not None and kind not in UNDONE:
        raise f.fault((*path, "for"), f"{kind} cannot be undone; expected one of {', '.join(UNDONE)}")
    return Entry(when=when, kind=kind, action=parse_action(kind, given[kind], (*path, kind)), path=path)
