"""What is looked at while an experiment runs: curves, watched nodes, and whether expectations come true."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from actors.bases.sim_nodes import SimNode
from actors.peer_book import PeerBook
from actors.simulation import quantities, roles
from actors.simulation.results import Buckets, Holders, Verdict
from core.book.entry import Table
from core.ids import Direction
from core.scenario import expect as e
from core.scenario.expression import Value
from core.scenario.plan import Probe

if TYPE_CHECKING:
    from actors.simulation.lab import Laboratory

SMALL = 100
"""Nodes up to which the components of the overlay are a curve; it costs a look at every connection."""


class Evaluator:
    """Gives expressions their values."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab

    def _resolve(self, name: str, arguments: tuple[float | str, ...], named: dict[str, float | str]) -> Value:
        return roles.measure_of(name).function(self._lab, *arguments, **named)

    def value(self, formula: e.Formula) -> float:
        """The value of an expression, now."""
        return formula.expression.value(self._resolve)

    def holds(self, formula: e.Formula) -> bool:
        """Whether an expression is true, now. What is no number is not."""
        value = self.value(formula)
        return bool(value) and not math.isnan(value)


class Curves:
    """Samples the usual curves and the probes of a scenario."""

    def __init__(self, lab: Laboratory, evaluator: Evaluator) -> None:
        self._lab = lab
        self._evaluator = evaluator
        every = lab.scenario.interval_s
        self.sample()
        lab.every(every, self.sample)
        for probe in lab.scenario.probes:
            self._probe(probe)
            lab.every(probe.every_s or every, partial(self._probe, probe))

    def _probe(self, probe: Probe) -> None:
        self._lab.recorder.sample(probe.name, self._evaluator.value(probe.value))

    def sample(self) -> None:
        """A point of each usual curve."""
        lab, recorder = self._lab, self._lab.recorder
        nodes = [node for node in lab.honest() if node.is_running]
        count = max(len(nodes), 1)
        out = sum(recorder.degree(node, Direction.OUTBOUND) for node in nodes)
        both = sum(recorder.degree(node) for node in nodes)
        recorder.sample("running nodes", float(len(nodes)))
        recorder.sample("outbound per node", out / count)
        recorder.sample("inbound per node", (both - out) / count)
        recorder.sample("bans in force", float(sum(len(recorder.banned_by(node)) for node in nodes)))
        recorder.sample("evictions", float(sum(one.direction == "inbound" for one in recorder.evictions)))
        if len(lab.honest()) <= SMALL:
            recorder.sample("components", float(len(quantities.parts(lab, nodes))))
            recorder.sample("known addresses per node", sum(map(_known, nodes)) / count)


def _known(node: SimNode) -> int:
    try:
        return len(node.child(PeerBook).book)
    except (LookupError, AttributeError):  # it starts, or its book has crashed this very moment
        return 0


MAX_VICTIMS = 4
"""Victims of attackers that are watched without being asked for; each has six charts of its own in a report."""


class Watch:
    """Records who holds the slots and the books of the watched nodes; of attackers' victims, if none are named."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab
        self.holders: list[Holders] = []
        watched = lab.scenario.watch
        self.nodes = lab.victims()[:MAX_VICTIMS] if watched is None else lab.select(watched, "watch")
        if self.nodes:
            self.look()
            lab.every(lab.scenario.interval_s, self.look)

    def look(self) -> None:
        """Note who holds what, now."""
        for node in self.nodes:
            tables = self._tables(node)
            self.holders.append(
                Holders(
                    at_s=self._lab.now,
                    node=node.name,
                    outbound=quantities.held_by(self._lab, node, Direction.OUTBOUND),
                    inbound=quantities.held_by(self._lab, node, Direction.INBOUND),
                    tried=_total(tables[Table.TRIED]),
                    new=_total(tables[Table.NEW]),
                )
            )

    def _tables(self, node: SimNode) -> dict[Table, list[dict[str, int]]]:
        """Owner to count for each bucket that holds something; index 0 on."""
        found: dict[Table, list[dict[str, int]]] = {Table.TRIED: [], Table.NEW: []}
        try:
            entries = node.child(PeerBook).book.all()
        except (LookupError, AttributeError):
            return found
        for entry in entries:
            buckets = found[entry.table]
            while len(buckets) <= entry.bucket:
                buckets.append({})
            owner = self._lab.owner_of(entry.endpoint.ip)
            buckets[entry.bucket][owner] = buckets[entry.bucket].get(owner, 0) + 1
        return found

    def buckets(self) -> list[Buckets]:
        """Every bucket of both tables of each watched node, as they are now."""
        found = []
        for node in self.nodes:
            tables = self._tables(node)
            try:
                config = node.child(PeerBook).book.config
            except (LookupError, AttributeError):
                continue
            for table, count in ((Table.TRIED, config.tried_bucket_count), (Table.NEW, config.new_bucket_count)):
                buckets = tables[table] + [{} for _ in range(count - len(tables[table]))]
                found.append(
                    Buckets(node=node.name, table=table.value, bucket_size=config.bucket_size, buckets=buckets)
                )
        return found


def _total(buckets: list[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for bucket in buckets:
        for owner, count in bucket.items():
            total[owner] = total.get(owner, 0) + count
    return total


class Expectations:
    """Looks at the right times whether each expectation comes true, and has the verdicts at the end."""

    def __init__(self, lab: Laboratory, evaluator: Evaluator) -> None:
        self._lab = lab
        self._evaluator = evaluator
        self._found: dict[int, Verdict] = {}
        for index, expectation in enumerate(lab.scenario.expect):
            plan = _PLANS[type(expectation)]
            plan(self, index, expectation)

    def verdicts(self) -> list[Verdict]:
        """One for each expectation, in order; called when the time is over."""
        return [
            self._found.get(index) or self._judge(expectation)
            for index, expectation in enumerate(self._lab.scenario.expect)
        ]

    def _judge(self, one: Any) -> Verdict:
        """The verdict on a value, now."""
        measured = self._evaluator.value(one.formula)
        if isinstance(one, e.ExpectValue):
            return self._verdict(one, one.bounds, measured, one.band.holds(measured))
        if isinstance(one, e.ExpectMean):
            return self._verdict(one, one.bounds, measured, None)
        if isinstance(one, e.ExpectAnchor):
            anchor = roles.anchor_of(one.anchor)
            return self._verdict(one, f"{anchor.expected:.6g}", measured, None)
        if isinstance(one, e.ExpectEventually):
            return self._verdict(one, "true in time", 0.0, False, f"not within {one.within_s:g} s after {one.after}")
        return self._verdict(one, "true", measured, self._evaluator.holds(one.formula))

    def _verdict(
        self, one: e.Expectation, bounds: str, measured: float, holds: bool | None, detail: str = ""
    ) -> Verdict:
        return Verdict(
            label=one.label, expected=bounds, measured=measured, holds=holds, at_s=self._lab.now, detail=detail
        )

    # ---- plans

    def _plan_at(self, index: int, one: Any) -> None:
        if one.at_s is not None and one.at_s < self._lab.duration_s:
            self._lab.at(one.at_s, lambda: self._found.setdefault(index, self._judge(one)))

    def _plan_always(self, index: int, one: e.ExpectAlways) -> None:
        end = self._lab.duration_s if one.until_s is None else min(one.until_s, self._lab.duration_s)

        def look() -> bool:
            if not self._evaluator.holds(one.formula):
                text = f"not at {self._lab.now:g} s"
                self._found[index] = self._verdict(one, "always true", 0.0, False, text)
                return True
            if self._lab.now + every > end:
                self._found[index] = self._verdict(one, "always true", 1.0, True)
            return False

        every = one.every_s or self._lab.scenario.interval_s
        self._lab.repeat(one.from_s, every, end, look)

    def _plan_eventually(self, index: int, one: e.ExpectEventually) -> None:
        every = one.every_s or min(self._lab.scenario.interval_s, one.within_s / 20.0)

        def begin(since: float) -> None:
            def look() -> bool:
                if not self._evaluator.holds(one.formula):
                    return False
                text = f"after {self._lab.now - since:.4g} s"
                self._found[index] = self._verdict(one, f"within {one.within_s:g} s", 1.0, True, text)
                return True

            self._lab.repeat(self._lab.now, every, since + one.within_s, look)

        if isinstance(one.after, float | int):
            self._lab.at(float(one.after), lambda: begin(self._lab.now))
        else:
            name = one.after
            self._lab.repeat(0.0, min(every, 1.0), math.inf, lambda: self._begin_after(name, begin))

    def _begin_after(self, name: str, begin: Callable[[float], None]) -> bool:
        since = self._lab.events.get(name)
        if since is None:
            return False
        begin(since)
        return True


_PLANS: dict[type[e.Expectation], Callable[[Expectations, int, Any], None]] = {
    e.ExpectValue: Expectations._plan_at,
    e.ExpectThat: Expectations._plan_at,
    e.ExpectMean: Expectations._plan_at,
    e.ExpectAnchor: Expectations._plan_at,
    e.ExpectAlways: Expectations._plan_always,
    e.ExpectEventually: Expectations._plan_eventually,
}
