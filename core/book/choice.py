"""Whom to dial: LIP 0004, "Selection", for a new outbound connection.

With few tried addresses the draw is uniform over all known ones. Otherwise x = tried/(tried+new), r = max(x, 0.5), and
the address comes from `tried` with probability r, else from `new`, uniform inside. A draw that may not be dialled is
repeated. Repetition ends after a bounded number of draws; then the eligible addresses are listed, and the choice is
made among them with the probabilities that endless repetition would have given.

Two options go beyond it: how much a net group may count for (:mod:`core.book.weights`), in x as well as inside each
table, and another least value of r than 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from random import Random
from typing import NamedTuple

from core.book import rules
from core.book.config import BookConfig
from core.book.entry import EntryView, Table
from core.book.rows import EXEMPT
from core.book.table import BucketTable
from core.decisions import Decision, DecisionKind, Decisions, Rule, decide
from core.empty import NO_ENTRIES
from core.ids import Endpoint
from core.netgroup import NetGroup, address_info, is_exempt

MAX_DRAWS = 32
"""Draws for one address before the eligible ones are listed. With a tenth of all addresses eligible, 1 choice in 29
gets that far."""
DEFAULT_GROUP_LIMIT = 3
"""LIP 0004: outbound connections for each net group."""


class Constraints(NamedTuple):
    """What an outbound choice has to respect.

    ``endpoints``: never chosen (connected in either direction, being dialled). ``ips``: no port of these addresses is
    chosen; addresses exempt from grouping are exempt from this too. ``forbidden``: gives the rule that forbids an
    endpoint (a ban, a blacklist), or None. ``group_counts``: outbound connections for each net group now;
    ``group_limit``: how many there may be.
    """

    endpoints: AbstractSet[Endpoint] = frozenset()
    ips: AbstractSet[str] = frozenset()
    forbidden: Callable[[Endpoint], Rule | None] | None = None
    group_counts: Mapping[NetGroup, int] = NO_ENTRIES
    group_limit: int = DEFAULT_GROUP_LIMIT

    def allow(self, entry: EntryView, private_too: bool) -> bool:
        """Whether one known address may be chosen, all by itself; for rules of an application.

        ``private_too``: private addresses are exempt from limits, as loopback is.
        """
        endpoint = entry.endpoint
        if endpoint in self.endpoints or (self.forbidden is not None and self.forbidden(endpoint) is not None):
            return False
        if is_exempt(endpoint.ip, private_too):
            return True
        return endpoint.ip not in self.ips and self.group_counts.get(entry.group, 0) < self.group_limit


class Choice(NamedTuple):
    """The endpoints to dial, in the order drawn, and the decisions taken on the way (chosen, passed over)."""

    endpoints: tuple[Endpoint, ...]
    decisions: Decisions


class OutboundDraw:
    """One call of ``choose``: the addresses drawn so far count against the limits of those to come."""

    __slots__ = (
        "_drawn",
        "_eligible",
        "_endpoints",
        "_flags",
        "_group_counts",
        "_ips",
        "_known",
        "_limits",
        "_new",
        "_passed_over",
        "_rng",
        "_tried",
        "_tried_share",
        "_weights_new",
        "_weights_tried",
    )

    def __init__(
        self,
        new: BucketTable,
        tried: BucketTable,
        config: BookConfig,
        rng: Random,
        constraints: Constraints,
        only: Table | None = None,
    ) -> None:
        """``only``: draw from this table alone."""
        self._new = new
        self._tried = tried
        self._known = new.rows.endpoints
        self._flags = new.rows.flags
        self._rng = rng
        self._limits = constraints
        self._weights_new = of_new = new.weights()
        self._weights_tried = of_tried = tried.weights()
        if only is None:
            self._tried_share = tried_share(of_new.total, of_tried.total, of_tried.count, config)
        else:
            self._tried_share = 1.0 if only is Table.TRIED else 0.0
        self._group_counts = dict(constraints.group_counts)
        self._endpoints: set[Endpoint] = set()
        self._ips: set[str] = set()
        self._passed_over: dict[Endpoint, Decision] = {}
        self._eligible: tuple[list[int], list[int]] | None = None
        self._drawn = 0

    def run(self, count: int, now: float) -> Choice:
        """Draw up to ``count`` addresses; fewer if no more may be dialled."""
        chosen: list[Endpoint] = []
        decisions: list[Decision] = []
        while len(chosen) < count:
            row = self._next(now)
            if row is None:
                break
            self._take(row)
            chosen.append(self._known[row])
            decisions.append(self._record(row, now))
        return Choice(tuple(chosen), (*self._passed_over.values(), *decisions))

    def _next(self, now: float) -> int | None:
        if self._eligible is None:
            for _ in range(MAX_DRAWS):
                row = self._draw()
                if row is None:
                    return None
                self._drawn += 1
                rule = self._obstacle(row)
                if rule is None:
                    return row
                self._pass_over(row, rule, now)
        return self._draw_exactly()

    def _draw(self) -> int | None:
        rng = self._rng
        return (self._weights_tried if rng.random() < self._tried_share else self._weights_new).draw(rng)

    def _draw_exactly(self) -> int | None:
        before = (self._tried.extent, self._new.extent) if self._eligible is None else self._eligible
        tried, new = ([row for row in some if self._obstacle(row) is None] for some in before)
        self._eligible = (tried, new)
        of_tried, of_new = self._weights_tried, self._weights_new
        weight_tried = self._tried_share * of_tried.sum_of(tried) / max(1.0, of_tried.total)
        weight_new = (1 - self._tried_share) * of_new.sum_of(new) / max(1.0, of_new.total)
        total = weight_tried + weight_new
        if not total:
            return None
        if self._rng.random() * total < weight_tried:
            return of_tried.draw_from(tried, self._rng)
        return of_new.draw_from(new, self._rng)

    def _obstacle(self, row: int) -> Rule | None:
        """The rule that forbids dialling this entry now, or None."""
        endpoint, limits = self._known[row], self._limits
        if endpoint in self._endpoints or endpoint in limits.endpoints:
            return rules.NOT_NOW
        if limits.forbidden is not None:
            rule = limits.forbidden(endpoint)
            if rule is not None:
                return rule
        if self._flags[row] & EXEMPT:
            return None
        if endpoint.ip in self._ips or endpoint.ip in limits.ips:
            return rules.IP_CONNECTED
        if self._group_counts.get(address_info(endpoint.ip).group, 0) >= limits.group_limit:
            return rules.GROUP_FULL
        return None

    def _take(self, row: int) -> None:
        endpoint = self._known[row]
        self._endpoints.add(endpoint)
        if not self._flags[row] & EXEMPT:
            self._ips.add(endpoint.ip)
            group = address_info(endpoint.ip).group
            self._group_counts[group] = self._group_counts.get(group, 0) + 1

    def _pass_over(self, row: int, rule: Rule, now: float) -> None:
        endpoint = self._known[row]
        # The addresses of this very call were chosen, not passed over; and one record for each address is enough.
        if endpoint in self._endpoints or endpoint in self._passed_over:
            return
        numbers: tuple[tuple[str, float], ...] = ()
        if rule is rules.GROUP_FULL:
            count = self._group_counts.get(address_info(endpoint.ip).group, 0)
            numbers = (("outbound_in_group", count), ("limit", self._limits.group_limit))
        record = decide(endpoint.peer_id, DecisionKind.PASSED_OVER, rule, now, *numbers)
        self._passed_over[endpoint] = record

    def _record(self, row: int, now: float) -> Decision:
        is_tried = row < self._weights_tried.count
        return decide(
            self._known[row].peer_id,
            DecisionKind.CHOSEN,
            rules.CHOSEN,
            now,
            ("tried", self._weights_tried.count),
            ("new", self._weights_new.count),
            ("tried_share", self._tried_share),
            ("from_tried", is_tried),
            ("weight", (self._weights_tried if is_tried else self._weights_new).of(row)),
            ("draws", self._drawn),
        )


def tried_share(new: float, tried: float, tried_count: int, config: BookConfig) -> float:
    """Probability that an outbound choice comes from `tried` (LIP 0004, "Selection").

    ``new``, ``tried``: what the addresses of each table weigh, one each under the LIP's rule; ``tried_count``: how many
    are in `tried`.
    """
    total = new + tried
    if not total or not new:
        return 1.0
    if tried_count >= config.min_tried_to_weigh:
        return max(tried / total, config.least_tried_share)
    if config.coin_flip_when_few:
        return 0.5 if tried_count else 0.0
    # Uniform over all known: each table by its share of the addresses.
    return tried / total
