"""What a timeline says, done: when, by whom, and undone again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from actors.bases.sim_churn import Churn, Leave
from actors.simulation.lab import names, running
from core import messages as m
from core.scenario import actions as a
from core.scenario.actions import Entry
from core.scenario.draws import Draw
from core.scenario.plan import Churn as ChurnPlan
from core.scenario.plan import Group, Start

if TYPE_CHECKING:
    from actors.bases.sim_nodes import SimNode
    from actors.simulation.lab import Laboratory

Undo = Callable[[], None]

CONDITION_EVERY_S = 1.0
"""How often the condition of a ``when`` is looked at, at least."""

STOP_LIMIT_S = 10.0
"""A node that is to restart is gone within this time after it was told to stop."""

_LEAVES = {"stop": Leave.STOP, "crash": Leave.CRASH, "power-cut": Leave.POWER_CUT}


class Deeds:
    """Plans and performs all that a scenario does to its network. ``holds(formula)`` says whether one is true."""

    def __init__(self, lab: Laboratory, holds: Callable[[Any], bool]) -> None:
        self._lab = lab
        self._holds = holds
        self._churns: list[Churn] = []
        self._crashed_by: dict[str, list[SimNode]] = {}

    def plan_all(self) -> None:
        """Put everything into the future of the simulation."""
        scenario = self._lab.scenario
        for group in scenario.nodes:
            self._plan_starts(group)
        for index, churn in enumerate(scenario.churn):
            self._plan_churn(churn, index)
        for section, entries in (("workload", scenario.workload), ("timeline", scenario.timeline)):
            for index, entry in enumerate(entries):
                self._plan_entry(entry, f"{section}[{index}]")

    # ---- starts and churn

    def _plan_starts(self, group: Group) -> None:
        start: Start = group.start
        nodes = self._lab.groups[group.group]
        if start.at_s > self._lab.duration_s:
            return
        when = start.at_s
        rng = self._lab.rng("start", group.group)
        for index, node in enumerate(nodes):
            if start.over_s is not None:
                when = start.at_s + start.over_s * index / max(len(nodes), 1)
            elif start.every_s is not None:
                when = start.at_s + start.every_s * index
            elif start.poisson_per_s is not None and index:
                when += Draw("exp", (1.0 / start.poisson_per_s,)).draw(rng)
            self._lab.at(when, partial(self._lab.launch, node))

    def _plan_churn(self, plan: ChurnPlan, index: int) -> None:
        def begin() -> None:
            nodes = self._lab.select(plan.select, "churn", str(index))
            self._lab.note(f"churn of {names(nodes)} begins")
            churn = Churn(
                self._lab.sim,
                nodes,
                session=plan.session,
                absence=plan.absence,
                leave=_LEAVES[plan.ends],
                keep_storage=plan.keep_storage,
            )
            self._churns.append(churn)
            if plan.until_s is not None:
                self._lab.at(plan.until_s, lambda: self._end_churn(churn))

        self._lab.at(plan.from_s, begin)

    def _end_churn(self, churn: Churn) -> None:
        churn.stop()
        self._lab.note(f"churn ends after {churn.departures} departures and {churn.arrivals} arrivals")

    @property
    def departures(self) -> int:
        """Sessions that churn has ended so far."""
        return sum(churn.departures for churn in self._churns)

    # ---- entries

    def _plan_entry(self, entry: Entry, place: str) -> None:
        when = entry.when
        several = when.at_s is None and when.times != 1
        count = 0

        def perform() -> None:
            nonlocal count
            count += 1
            self._perform(entry, place, count, several)

        if when.at_s is not None:
            self._lab.at(when.at_s, perform)
        elif when.every_s is not None:
            self._repeat(when, perform)
        elif when.between_s is not None:
            rng = self._lab.rng("between", place)
            low, high = when.between_s
            for instant in sorted(low + (high - low) * rng.random() for _ in range(when.times or 1)):
                self._lab.at(instant, perform)
        else:
            self._watch(when, when.when, perform)

    def _repeat(self, when: a.When, perform: Callable[[], None]) -> None:
        every = when.every_s or 0.0
        start = when.from_s if when.from_s is not None else every
        # What happens in the very last instant has no effect that anybody could see.
        end = self._lab.duration_s * (1.0 - 1e-9) if when.until_s is None else when.until_s
        left = when.times if when.times is not None else a.MAX_TIMES

        def again() -> bool:
            nonlocal left
            left -= 1
            perform()
            return left <= 0

        self._lab.repeat(start, every, end, again)

    def _watch(self, when: a.When, condition: Any, perform: Callable[[], None]) -> None:
        every = min(self._lab.scenario.interval_s, CONDITION_EVERY_S)
        end = when.until_s if when.until_s is not None else self._lab.duration_s
        left = when.times or 1
        was_true = False

        def look() -> bool:
            nonlocal left, was_true
            is_true = self._holds(condition)
            if is_true and not was_true:
                left -= 1
                perform()
            was_true = is_true
            return left <= 0

        self._lab.repeat(when.from_s or 0.0, every, end, look)

    def _perform(self, entry: Entry, place: str, count: int, several: bool) -> None:
        lab = self._lab
        undo = getattr(self, f"_do_{entry.kind}")(entry.action, f"{place}#{count}", several)
        if entry.when.id:
            lab.events[entry.when.id] = lab.now
        if entry.when.for_s is not None and undo is not None:
            lab.at(lab.now + entry.when.for_s, lambda: self._undo(entry, undo))

    def _undo(self, entry: Entry, undo: Undo) -> None:
        undo()
        if entry.when.id:
            self._lab.events[f"{entry.when.id}.end"] = self._lab.now

    # ---- traffic

    def _do_publish(self, action: a.Publish, place: str, several: bool) -> None:
        origins = running(self._lab.select(action.from_, place))
        self._lab.traffic.publish(action, origins, several or len(origins) > 1)

    def _do_request(self, action: a.Request, place: str, several: bool) -> None:
        nodes = running(self._lab.select(action.from_, place))
        targets = None if action.to is None else self._lab.select(action.to, place, "to")
        self._lab.traffic.ask(action, nodes, targets, self._lab.rng("request", place))

    # ---- the network

    def _do_partition(self, action: a.Partition, place: str, several: bool) -> Undo:
        lab = self._lab
        sides = [lab.select(side, place, str(index)) for index, side in enumerate(action.sides)]
        seen: set[str] = set()
        for side in sides:  # a node that two selectors mean stays on the first side
            side[:] = [node for node in side if node.name not in seen]
            seen |= {node.name for node in side}
        lab.note(f"partition: {' | '.join(names(side) for side in sides)} | all others")
        lab.sim.partition(*sides, reset=action.reset)
        return self._heal

    def _heal(self) -> None:
        self._lab.note("the network is healed")
        self._lab.sim.heal()

    def _do_cut(self, action: a.Cut, place: str, several: bool) -> Undo:
        lab = self._lab
        sources = lab.select(action.from_, place)
        chosen = {node.name for node in sources}
        targets = [node for node in lab.select(action.to, place, "to") if node.name not in chosen]
        between, to = ("between", "and") if action.both else ("from", "to")
        lab.note(f"cut {between} {names(sources)} {to} {names(targets)}")
        cut = lab.sim.cut(sources, targets, one_way=not action.both)

        def undo() -> None:
            lab.note("a cut is healed")
            lab.sim.heal(cut)

        return undo

    def _do_heal(self, action: a.Heal, place: str, several: bool) -> None:
        self._heal()

    # ---- nodes

    def _do_crash(self, action: a.Crash, place: str, several: bool) -> Undo:
        nodes = running(self._lab.select(action.select, place))
        self._lab.note(f"{names(nodes)} {'lose power' if action.silent else 'crash'}")
        for node in nodes:
            self._lab.crash(node, silent=action.silent)
        return lambda: self._start_again(nodes)

    def _do_stop(self, action: a.Stop, place: str, several: bool) -> Undo:
        nodes = running(self._lab.select(action.select, place))
        self._lab.note(f"{names(nodes)} stop")
        for node in nodes:
            self._lab.stop(node)
        return lambda: self._start_again(nodes)

    def _start_again(self, nodes: list[SimNode]) -> None:
        self._lab.note(f"{names(nodes)} start again")
        for node in nodes:
            self._start_when_gone(node)

    def _do_restart(self, action: a.Restart, place: str, several: bool) -> None:
        nodes = self._lab.select(action.select, place)
        self._lab.note(f"{names(nodes)} restart{' without storage' if action.lose else ''}")
        for node in nodes:
            self._lab.stop(node)
            self._start_when_gone(node, lose=bool(action.lose))

    def _start_when_gone(self, node: SimNode, *, lose: bool = False) -> None:
        lab = self._lab
        deadline = lab.now + STOP_LIMIT_S

        def try_it() -> None:
            if node.is_running:
                if node.is_stopping and lab.now < deadline:
                    lab.at(lab.now + 0.1, try_it)
                return
            if lose:
                node.lose_storage()
            lab.launch(node)

        try_it()

    def _do_freeze(self, action: a.Freeze, place: str, several: bool) -> Undo:
        nodes = running(self._lab.select(action.select, place))
        self._lab.note(f"{names(nodes)} freeze")
        for node in nodes:
            node.freeze()

        def undo() -> None:
            self._lab.note(f"{names(nodes)} go on")
            for node in nodes:
                node.thaw()

        return undo

    def _do_slow(self, action: a.Slow, place: str, several: bool) -> Undo:
        nodes = self._lab.select(action.select, place)
        self._lab.note(f"{names(nodes)} read {action.reads_bytes_per_s:g} bytes/s at most")
        for node in nodes:
            node.read_slowly(action.reads_bytes_per_s)

        def undo() -> None:
            self._lab.note(f"{names(nodes)} read at once again")
            for node in nodes:
                node.read_slowly(None)

        return undo

    def _do_clock(self, action: a.Clock, place: str, several: bool) -> None:
        nodes = self._lab.select(action.select, place)
        self._lab.note(f"the calendars of {names(nodes)} are set")
        for node in nodes:
            step = action.step.draw(self._lab.rng("step", place, node.name))
            node.step_clock(-step if action.back else step)

    # ---- people

    def _do_attack(self, action: a.Attack, place: str, several: bool) -> Undo | None:
        if action.start is not None:
            self._lab.begin(action.start)
            return lambda: self._lab.cease(str(action.start))
        self._lab.cease(str(action.stop))
        return None

    def _do_ban(self, action: a.Ban, place: str, several: bool) -> None:
        for node in running(self._lab.select(action.on, place)):
            for other in self._lab.select(action.select, place, "whom"):
                if other is not node:
                    node.later(
                        m.BanAddress(0, other.endpoint.ip, other.peer_id, "banned by the scenario", action.duration_s)
                    )

    def _do_penalty(self, action: a.Penalty, place: str, several: bool) -> None:
        for node in running(self._lab.select(action.on, place)):
            for other in self._lab.select(action.select, place, "whom"):
                if other is not node:
                    node.later(m.ApplyPenalty(0, other.peer_id, action.points, "punished by the scenario"))

    def _do_note(self, action: a.Note, place: str, several: bool) -> None:
        self._lab.note(action.text)
