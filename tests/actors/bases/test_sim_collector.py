"""The collector of cycles rests while a simulation runs, and what actors leave behind is collected all the same."""

from __future__ import annotations

import gc
import weakref
from typing import Any, ClassVar

import pytest
from thespian.actors import Actor, ActorExitRequest

from actors.bases import sim_collector
from actors.bases.sim_cell import Identity
from actors.bases.simulation import SimulationBase


def test_it_rests_during_a_run_and_is_as_before_afterwards() -> None:
    base = SimulationBase()
    seen: list[bool] = []
    base.timers.call_at(1.0, lambda *_: seen.append(gc.isenabled()))
    for is_enabled in (True, False):
        (gc.enable if is_enabled else gc.disable)()
        try:
            base.run_for(2.0)
            assert gc.isenabled() is is_enabled
        finally:
            gc.enable()
    assert seen == [False]
    base.shutdown()


class Child(Actor):  # type: ignore[misc]
    """Points to itself, and ends when it hears anything."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        self.cycle = self
        if not isinstance(message, ActorExitRequest):
            self.send(self.myAddress, ActorExitRequest())


class Parent(Actor):  # type: ignore[misc]
    """Has one child after the other."""

    alive: ClassVar[weakref.WeakSet[Actor]] = weakref.WeakSet()

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, str) or type(message).__name__ == "WakeupMessage":
            child = self.createActor(Child)
            self.alive.add(child.cell.instance)
            self.send(child, "go")
            self.wakeupAfter(0.01)


def test_actors_that_are_gone_are_collected_during_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim_collector, "BIRTHS_PER_LOOK", 50)
    base = SimulationBase()
    base._births_left = 50
    parent = base.create_on(Identity("node", base.make_environment("node")), Parent)
    base.tell(parent, "begin")
    base.run_for(10.0)
    assert base.delivered > 3000
    assert len(Parent.alive) < 150
    base.shutdown()


def test_what_a_long_run_leaves_is_old_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim_collector, "MANY_YOUNG", 2_000)
    gc.collect()
    before = gc.get_freeze_count()
    for size, is_old in ((100, False), (5_000, True)):
        with sim_collector.QuietCollector():
            kept = [[number] for number in range(size)]
        assert gc.isenabled()
        assert any(one is kept[0] for one in gc.get_objects(generation=2)) is is_old
        assert gc.get_freeze_count() == before
        del kept
        gc.collect()
