"""What must hold at every moment of a simulation, and the story of the run in which it did not.

    sim.monitor()                                  # the defaults
    sim.monitor(Rules(every_s=0.1, honest_bans=False))

A monitor looks between events: it takes no part in the simulation, and a run has the same digest with and without it.
When something does not hold the run stops at once with :class:`InvariantBroken`, which tells what the node has decided
about the peer in question, the last lines of the trace, and how to run it again.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from actors.bases.sim_cell import Identity, SimActorCell
from actors.peer_book import PeerBook
from actors.peer_pool import PeerPool
from core.bans import trusted_ips
from core.errors import EnsembleError
from core.ids import Direction, PeerKind
from core.messages import SendRequest
from core.slots import GUESTS, Slot

if TYPE_CHECKING:
    from actors.bases.sim_node import Pending, SimNode
    from actors.bases.sim_nodes import Simulation

STORY_DECISIONS = 40
STORY_LINES = 40

SLACK_S = 0.1
"""An answer needs a moment from the peer's actor to the program, with reordering more than one."""

OTHER_ANSWERS_S = 10.0
"""Queries that no remote takes part in are answered within this time; stopping takes 3 s at most."""


class InvariantBroken(EnsembleError):
    """Something does not hold. ``node`` and ``subject`` (a peer id or an address) are empty if it concerns nobody."""

    def __init__(self, what: str, node: str, subject: str, at_s: float, story: str) -> None:
        super().__init__(f"{what}\n{story}")
        self.what = what
        self.node = node
        self.subject = subject
        self.at_s = at_s


@dataclasses.dataclass(frozen=True, slots=True)
class Broken:
    """One finding of a rule: what does not hold, at which node, about whom."""

    what: str
    node: str = ""
    subject: str = ""


ExtraRule = Callable[["Simulation"], Iterator[Broken]]


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """Which invariants, and how often (virtual seconds). ``books_every_s``: checking a whole book takes longer.

    ``extra`` are rules of a scenario: called with the simulation, they yield what does not hold.
    """

    every_s: float = 1.0
    books_every_s: float = 30.0
    limits: bool = True
    disjoint: bool = True
    trusted_bans: bool = True
    honest_bans: bool = True
    answers: bool = True
    silence_after_stop: bool = True
    extra: tuple[ExtraRule, ...] = ()

    def __post_init__(self) -> None:
        for name in ("every_s", "books_every_s"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"expected {name} above 0, got {getattr(self, name)!r}")


class Monitor:
    """Looks at a simulation while it runs; made by :meth:`~actors.bases.sim_nodes.Simulation.monitor`."""

    def __init__(self, sim: Simulation, rules: Rules) -> None:
        self.rules = rules
        self.looks = 0
        """How often it has looked so far."""
        self._sim = sim
        self._books_at = sim.now
        self._trusted: dict[str, frozenset[str]] = {}
        sim.base.inspect = self._inspect
        sim.base.inspect_at = sim.now

    def stop(self) -> None:
        """Look no more."""
        base = self._sim.base
        if base.inspect == self._inspect:
            base.inspect, base.inspect_at = None, math.inf

    def look(self) -> None:
        """Look now, at everything. Raises InvariantBroken."""
        self.looks += 1
        for broken in self._all(books=True):
            raise self._tell(broken)

    def _inspect(self) -> None:
        sim = self._sim
        self.looks += 1
        books = sim.now >= self._books_at
        if books:
            self._books_at = sim.now + self.rules.books_every_s
        sim.base.inspect_at = sim.now + self.rules.every_s
        for broken in self._all(books=books):
            raise self._tell(broken)

    def _tell(self, broken: Broken) -> InvariantBroken:
        sim = self._sim
        lines = [f"at {sim.now:g} s, {broken.node}: {broken.what}"]
        node = sim.nodes.get(broken.node)
        if node is not None and broken.subject:
            try:
                decisions = node.story(broken.subject)
            except ValueError:
                decisions = ()
            lines.append(f"what {broken.node} decided about {broken.subject}:")
            lines += [f"  {decision.text}" for decision in decisions[-STORY_DECISIONS:]] or ["  nothing"]
        lines.append("what happened last:")
        lines += [f"  {line}" for line in sim.base.recent(STORY_LINES)]
        lines.append(sim.how_to_replay())
        return InvariantBroken(broken.what, broken.node, broken.subject, sim.now, "\n".join(lines))

    # ---- the rules

    def _all(self, *, books: bool) -> Iterator[Broken]:
        sim, rules = self._sim, self.rules
        honest = {node.endpoint.ip for node in sim.nodes.values() if node.is_honest}
        resting = []
        for node in sim.nodes.values():
            if not node.is_running:
                resting.append(node)
                continue
            yield from self._slots(node)
            yield from self._bans(node, honest)
            if books:
                yield from self._book(node)
            if rules.answers and not node.is_frozen:
                yield from self._answers(node)
        if rules.silence_after_stop and resting:
            yield from self._silence(resting)
        for rule in rules.extra:
            yield from rule(sim)

    def _slots(self, node: SimNode) -> Iterator[Broken]:
        try:
            pool = node.child(PeerPool).pool
        except (LookupError, RuntimeError):  # crashed and not replaced yet, or not begun
            return
        outbound, inbound = pool.slots_of(Direction.OUTBOUND), pool.slots_of(Direction.INBOUND)
        if self.rules.limits:
            config = node.config
            dialled = [slot for slot in outbound if slot.kind not in GUESTS]
            fixed = sum(slot.kind is PeerKind.FIXED for slot in dialled)
            yield from _too_many(node, "outbound", dialled, max(config.max_outbound_connections, fixed))
            yield from _too_many(node, "inbound", inbound, config.max_inbound_connections)
        if self.rules.disjoint:
            connected = {slot.endpoint for slot in outbound if slot.info is not None}
            for slot in inbound:
                if slot.info is not None and slot.endpoint in connected:
                    peer_id = slot.endpoint.peer_id
                    yield Broken(f"{peer_id} is connected in both directions", node.name, peer_id)

    def _bans(self, node: SimNode, honest: set[str]) -> Iterator[Broken]:
        try:
            bans = node.child(PeerBook).bans.all()
        except (LookupError, RuntimeError):
            return
        if not bans:
            return
        trusted = self._trusted.get(node.name)
        if trusted is None:
            trusted = self._trusted[node.name] = trusted_ips(node.config, node.config.port)
        for ban in bans:
            if self.rules.trusted_bans and ban.ip in trusted:
                yield Broken(f"the trusted peer {ban.ip} is banned: {ban.reason}", node.name, ban.ip)
            if self.rules.honest_bans and ban.ip in honest:
                yield Broken(f"the honest node {ban.ip} is banned: {ban.reason}", node.name, ban.ip)

    def _book(self, node: SimNode) -> Iterator[Broken]:
        try:
            problems = node.child(PeerBook).book.check()
        except (LookupError, RuntimeError):
            return
        if problems:
            yield Broken(f"its peer book is not consistent: {'; '.join(problems[:5])}", node.name)

    def _answers(self, node: SimNode) -> Iterator[Broken]:
        now = self._sim.now
        for pending in node.unanswered():
            if now > pending.asked_at + _answer_limit_s(node, pending) + SLACK_S:
                name = type(pending.query).__name__
                yield Broken(f"a {name} of {pending.asked_at:g} s has neither an answer nor a time-out", node.name)

    def _silence(self, resting: list[SimNode]) -> Iterator[Broken]:
        sim = self._sim
        living: dict[Identity, str] = {}
        for cell in sim.base.cells.values():
            if isinstance(cell, SimActorCell):
                living.setdefault(cell.identity, cell.full_name)
        for node in resting:
            left = living.get(node.identity)
            if left is not None:
                yield Broken(f"it does not run, and its actor {left} lives", node.name)
            for what in sim.internet.open_at(node.name):
                yield Broken(f"it does not run, and holds {what}", node.name)


def _answer_limit_s(node: SimNode, pending: Pending) -> float:
    query = pending.query
    if not isinstance(query, SendRequest):
        return OTHER_ANSWERS_S
    if query.timeout_s is not None:
        return query.timeout_s
    return max(node.config.ack_timeout_s, node.config.inbound_request_timeout_s)


def _too_many(node: SimNode, what: str, slots: list[Slot], limit: int) -> Iterator[Broken]:
    if len(slots) > limit:
        last = slots[-1].endpoint.peer_id
        yield Broken(f"it has {len(slots)} {what} connections, the limit is {limit}", node.name, last)
