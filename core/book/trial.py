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
from core.book.entry import Table
from core.book.rows import NO_BUCKET, WHITELISTED, Key
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
    """``..._at``: when that side came into its table. One that was forgotten and told anew is another."""

    occupant: Key
    occupant_at: float
    newcomer: Key
    newcomer_at: float
    began_at: float

    def involves(self, occupant: Key, newcomer: Key) -> bool:
        """Whether one of them is under test here, or waits for a test, already."""
        return occupant == self.occupant or newcomer == self.newcomer


class Trials:
    """The open tests of one book."""

    __slots__ = ("_open", "_shelves")

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves
        self._open: list[_Trial] = []

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The occupants to be dialled, oldest test first."""
        if not self._open:
            return ()
        self._prune()
        return tuple(self._endpoint(trial.occupant) for trial in self._open)

    def _endpoint(self, key: Key) -> Endpoint:
        rows = self._shelves.rows
        return rows.endpoints[rows.index[key]]

    def defers(self, newcomer: int, bucket: int, decisions: list[Decision], now: float) -> bool:
        """Whether this row of `new`, about to enter ``bucket`` of `tried`, has to stay because an occupant comes
        first."""
        shelves, rows = self._shelves, self._shelves.rows
        if not shelves.tried.is_full(bucket):
            return False
        occupant = shelves.tried.random_victim(bucket, shelves.rng)
        if occupant is None:
            return False
        self._prune()
        subject, connected_at = rows.endpoints[newcomer].peer_id, rows.connected_at[occupant]
        sides = rows.key(occupant), rows.key(newcomer)
        if now - connected_at < RECENT_S:  # never so if it was never connected: not a number
            figures = (("occupant_age_s", now - connected_at), ("recent_s", RECENT_S))
            decisions.append(decide(subject, DecisionKind.REFUSED, rules.OCCUPANT_RECENT, now, *figures))
        elif len(self._open) >= MAX_TRIALS or any(trial.involves(*sides) for trial in self._open):
            figures = (("open_tests", len(self._open)), ("limit", MAX_TRIALS))
            decisions.append(decide(subject, DecisionKind.REFUSED, rules.TESTS_BUSY, now, *figures))
        else:
            newcomer_at = rows.placed_at[newcomer] if rows.buckets[newcomer] != NO_BUCKET else now
            self._open.append(_Trial(sides[0], rows.placed_at[occupant], sides[1], newcomer_at, now))
            decisions.append(decide(subject, DecisionKind.DEFERRED, rules.TEST_FIRST, now, ("bucket", bucket)))
        return True

    def passed(self, occupant: Endpoint, decisions: list[Decision], now: float) -> None:
        """``occupant`` has answered: if it was under test, it stays."""
        trial = self._take(occupant) if self._open else None
        if trial is not None:
            decisions.append(decide(occupant.peer_id, DecisionKind.KEPT, rules.TEST_PASSED, now))

    def failed(self, occupant: Endpoint, decisions: list[Decision], now: float) -> bool:
        """``occupant`` did not answer: if it was under test, it makes room, and True comes back."""
        trial = self._take(occupant) if self._open else None
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
        shelves, index = self._shelves, self._shelves.rows.index
        newcomer = index[trial.newcomer]
        shelves.new.take(newcomer)
        shelves.tried.take(index[trial.occupant])
        shelves.enter_tried(newcomer, shelves.tried_bucket(newcomer), decisions, now, rules.OUTBOUND_SUCCESS)
        waited = ("waited_s", now - trial.began_at)
        shelves.demote(index[trial.occupant], decisions, now, rule, waited, ("limit_s", TRIAL_TIME_S))

    def _take(self, occupant: Endpoint) -> _Trial | None:
        self._prune()
        for trial in self._open:
            if self._endpoint(trial.occupant) == occupant:
                self._open.remove(trial)
                return trial
        return None

    def _prune(self) -> None:
        """Drop the tests that other events have settled (a ban, a whitelist, a failed dial of the newcomer)."""
        if self._open:
            self._open = [trial for trial in self._open if self._is_valid(trial)]

    def _is_valid(self, trial: _Trial) -> bool:
        rows = self._shelves.rows
        occupant, newcomer = rows.index.get(trial.occupant), rows.index.get(trial.newcomer)
        if occupant is None or newcomer is None or rows.has(occupant, WHITELISTED):
            return False
        if (rows.placed_at[occupant], rows.placed_at[newcomer]) != (trial.occupant_at, trial.newcomer_at):
            return False
        return rows.table(occupant) is Table.TRIED and rows.table(newcomer) is Table.NEW
