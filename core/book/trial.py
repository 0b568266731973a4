"""Test before evict: nobody leaves a full tried bucket while he still answers.

Heilman et al. 2015, countermeasure 3; Bitcoin Core's addrman since 2018 (tried collisions). Against the attacker who
connects us, one after the other, to thousands of his addresses: under the plain rule each one pushes an honest address
out at random. With the test, the one drawn to leave is dialled first, and only the dead make room.

A newcomer to a full bucket stays in `new`, and the occupant drawn by the LIP's rule is put to the test: whoever owns
the book dials it and reports ``connected`` or ``dial_failed`` as for any dial. Alive: it stays, the newcomer has lost.
Dead: it moves to `new`, the newcomer takes its place. No result in 40 minutes: the newcomer wins, or an outage of
our own would freeze the table.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.book import rules
from core.book.entry import Entry, Table
from core.book.shelves import Shelves
from core.decisions import Decision, DecisionKind, Rule, decide
from core.ids import Endpoint

MAX_TRIALS = 10
"""Tests that may be open at once (Bitcoin Core: ADDRMAN_SET_TRIED_COLLISION_SIZE). Beyond it newcomers stay in `new`:
evicting untested then would let a flood switch the protection off."""
TRIAL_TIME_S = 40 * 60.0
"""How long an occupant has for its test (Bitcoin Core: ADDRMAN_TEST_WINDOW)."""
RECENT_S = 4 * 3600.0
"""An occupant that we connected to within this time needs no test (Bitcoin Core: ADDRMAN_REPLACEMENT)."""


@dataclass(frozen=True, slots=True)
class _Trial:
    occupant: Entry
    newcomer: Entry
    began_at: float


class Trials:
    """The open tests of one book."""

    __slots__ = ("_open", "_shelves")

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves
        self._open: list[_Trial] = []

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The occupants to be dialled, oldest test first."""
        self._prune()
        return tuple(trial.occupant.endpoint for trial in self._open)

    def defers(self, newcomer: Entry, decisions: list[Decision], now: float) -> bool:
        """Whether ``newcomer``, about to enter `tried`, has to stay in `new` because an occupant comes first."""
        shelves = self._shelves
        bucket = shelves.hash.tried_bucket(newcomer.info, newcomer.exempt_port)
        if not shelves.tried.is_full(bucket):
            return False
        occupant = shelves.tried.random_victim(bucket, shelves.rng)
        if occupant is None:
            return False
        self._prune()
        subject = newcomer.endpoint.peer_id
        if occupant.last_connected is not None and now - occupant.last_connected < RECENT_S:
            figures = (("occupant_age_s", now - occupant.last_connected), ("recent_s", RECENT_S))
            decisions.append(decide(subject, DecisionKind.REFUSED, rules.OCCUPANT_RECENT, now, *figures))
        elif len(self._open) >= MAX_TRIALS or any(occupant is t.occupant or newcomer is t.newcomer for t in self._open):
            figures = (("open_tests", len(self._open)), ("limit", MAX_TRIALS))
            decisions.append(decide(subject, DecisionKind.REFUSED, rules.TESTS_BUSY, now, *figures))
        else:
            self._open.append(_Trial(occupant, newcomer, now))
            decisions.append(decide(subject, DecisionKind.DEFERRED, rules.TEST_FIRST, now, ("bucket", bucket)))
        return True

    def passed(self, occupant: Entry, decisions: list[Decision], now: float) -> None:
        """``occupant`` has answered: if it was under test, it stays."""
        trial = self._take(occupant)
        if trial is not None:
            decisions.append(decide(occupant.endpoint.peer_id, DecisionKind.KEPT, rules.TEST_PASSED, now))

    def failed(self, occupant: Entry, decisions: list[Decision], now: float) -> bool:
        """``occupant`` did not answer: if it was under test, it makes room, and True comes back."""
        trial = self._take(occupant)
        if trial is None:
            return False
        self._replace(trial, rules.TEST_FAILED, decisions, now)
        return True

    def expire(self, decisions: list[Decision], now: float) -> None:
        """End the tests that had no result in time, in favour of the newcomers."""
        self._prune()
        late = [trial for trial in self._open if now - trial.began_at >= TRIAL_TIME_S]
        for trial in late:
            self._open.remove(trial)
            # An earlier replacement may have evicted this newcomer from `new`.
            if self._is_valid(trial):
                self._replace(trial, rules.TEST_EXPIRED, decisions, now)

    def _replace(self, trial: _Trial, rule: Rule, decisions: list[Decision], now: float) -> None:
        shelves = self._shelves
        shelves.new.take(trial.newcomer)
        shelves.tried.take(trial.occupant)
        shelves.enter_tried(trial.newcomer, decisions, now, rules.OUTBOUND_SUCCESS)
        waited = ("waited_s", now - trial.began_at)
        shelves.demote(trial.occupant, decisions, now, rule, waited, ("limit_s", TRIAL_TIME_S))

    def _take(self, occupant: Entry) -> _Trial | None:
        self._prune()
        for trial in self._open:
            if trial.occupant is occupant:
                self._open.remove(trial)
                return trial
        return None

    def _prune(self) -> None:
        """Drop the tests that other events have settled (a ban, a whitelist, a failed dial of the newcomer)."""
        if self._open:
            self._open = [trial for trial in self._open if self._is_valid(trial)]

    def _is_valid(self, trial: _Trial) -> bool:
        known = self._shelves.by_endpoint
        occupant, newcomer = trial.occupant, trial.newcomer
        if known.get(occupant.endpoint) is not occupant or known.get(newcomer.endpoint) is not newcomer:
            return False
        return occupant.table is Table.TRIED and not occupant.whitelisted and newcomer.table is Table.NEW
