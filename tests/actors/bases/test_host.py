"""How actors come to be: classes, capabilities, requirements, names, wake-ups, status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorTypeDispatcher,
    ChildActorExited,
    InvalidActorSpecification,
    NoCompatibleSystemForActor,
    PoisonMessage,
    Thespian_ActorStatus,
    Thespian_StatusReq,
    Thespian_SystemStatus,
    WakeupMessage,
    requireCapability,
)
from thespian.initmsgs import initializing_messages
from thespian.system.messages.status import formatStatus
from thespian.troupe import troupe

from .conftest import WAIT_S, Puppet, Rig, one_instant


class Echo(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:
        if not isinstance(message, ActorExitRequest):
            self.send(sender, message)


class Curious(Actor):
    """Takes both of what a base offers to ``__init__``."""

    def __init__(self, capabilities: dict[str, Any], requirements: dict[str, Any]) -> None:
        self.told = (capabilities, requirements)

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if message == "told":
            self.send(sender, self.told)


class NonStarter(Actor):
    def __init__(self) -> None:
        raise LookupError("never starts")


class Quitter(Actor):
    def __init__(self) -> None:
        raise SystemExit(3)


@requireCapability("Deep Water")
class Whale(Puppet):
    pass


class Polite(ActorTypeDispatcher):
    def receiveMsg_str(self, message: str, sender: Any) -> None:
        self.send(sender, f"text {message}")

    def receiveMsg_int(self, message: int, sender: Any) -> None:
        self.send(sender, f"number {message}")


@initializing_messages([("greeting", str), ("target", ActorAddress)], initdone="started")
class Prepared(Actor):
    def started(self) -> None:
        self.send(self.target, f"started with {self.greeting}")

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, int):
            self.send(sender, message + 1)


@troupe(max_count=3, idle_count=1)
class Crew(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, int):
            self.send(sender, (message, str(self.myAddress)))


def test_a_primary_actor_can_be_named_by_its_module(rig: Rig) -> None:
    assert rig.ask(rig.create(f"{__name__}.Echo"), 1) == 1
    with pytest.raises(InvalidActorSpecification):
        rig.create("Echo")
    with pytest.raises(ImportError):
        rig.create("no.such.module.Echo")
    with pytest.raises(InvalidActorSpecification):
        rig.create(f"{__name__}.NoSuchClass")
    with pytest.raises(InvalidActorSpecification, match="expected an actor class"):
        rig.create(dict)


@pytest.mark.parametrize("actor_class", [NonStarter, Quitter])
def test_a_primary_actor_that_fails_to_start_is_reported_to_its_creator(rig: Rig, actor_class: type) -> None:
    with pytest.raises(InvalidActorSpecification, match="in __init__"):
        rig.create(actor_class)


@pytest.mark.parametrize("actor_class", [NonStarter, Quitter, Whale, "no.such.module.Actor", "Unqualified"])
def test_a_child_that_fails_to_start_counts_as_exited(rig: Rig, actor_class: Any) -> None:
    parent = rig.create()
    child = rig.child_of(parent, actor_class)
    rig.wait_until(lambda: rig.seen(parent, ChildActorExited) != [])
    assert [notice.childAddress for notice in rig.seen(parent, ChildActorExited)] == [child]
    assert rig.ask(parent, Thespian_StatusReq()).childActors == []


def test_capabilities_and_requirements_reach_the_actor(rigs: Any, drive: str) -> None:
    rig = rigs(drive, capabilities={"Colour": "red"})
    curious = rig.create(Curious, targetActorRequirements={"size": 3})
    capabilities, requirements = rig.ask(curious, "told")
    assert capabilities["Colour"] == "red"
    assert capabilities["Thespian Watch Supported"] is True
    assert requirements == {"size": 3}


def test_an_actor_needs_its_capability_and_goes_when_it_goes(rig: Rig) -> None:
    with pytest.raises(NoCompatibleSystemForActor):
        rig.create(Whale)
    rig.system.updateCapability("Deep Water", True)
    whale, parent = rig.create(Whale), rig.create()
    child = rig.child_of(parent, Whale)
    assert rig.seen(whale) == []
    rig.do(parent, lambda actor: actor.updateCapability("Deep Water", None))
    rig.wait_until(lambda: [n.childAddress for n in rig.seen(parent, ChildActorExited)] == [child])
    assert rig.ask(whale, lambda actor, sender: actor.send(sender, "still here"), 0.01) is None


def test_a_global_name_belongs_to_one_actor_until_it_exits(rig: Rig) -> None:
    one, parent = rig.create(globalName="the one"), rig.create()
    assert rig.create(Echo, globalName="the one") == one
    assert rig.child_of(parent, "no.such.Class", globalName="the one") == one
    assert rig.do(one, lambda actor: actor.globalName) == "the one"
    assert rig.do(parent, lambda actor: actor.globalName) is None
    rig.exit(one)
    rig.wait_until(lambda: rig.create(Echo, globalName="the one") != one)


def test_a_globally_named_actor_outlives_its_creator_who_hears_of_its_exit(rig: Rig) -> None:
    creator, other = rig.create(), rig.create()
    first = rig.child_of(creator, globalName="first")
    second = rig.child_of(other, globalName="second")
    rig.exit(first)
    rig.wait_until(lambda: [n.childAddress for n in rig.seen(creator, ChildActorExited)] == [first])
    rig.exit(other)
    assert rig.do(second, lambda actor: actor.globalName) == "second"


def test_actors_made_with_thespians_decorators_work(rig: Rig) -> None:
    polite = rig.create(Polite)
    assert [rig.ask(polite, "a"), rig.ask(polite, 1)] == ["text a", "number 1"]
    prepared = rig.create(Prepared)
    rig.tell(prepared, 41)
    rig.tell(prepared, "a word")
    with rig.system.private() as context:
        target = rig.base.open_endpoint()
        context.tell(prepared, target.address)
        assert target.listen(WAIT_S) == "started with a word"
    assert rig.listen() == 42
    crew = rig.create(Crew)
    answers = [rig.ask(crew, number) for number in range(1, 6)]
    assert [number for number, _ in answers] == list(range(1, 6))


def test_status_requests_are_answered_by_the_base(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    parent = rig.create(globalName="named")
    child = rig.child_of(parent)
    rig.do(parent, lambda actor: actor.wakeupAfter(3600))
    status = rig.ask(parent, Thespian_StatusReq())
    assert isinstance(status, Thespian_ActorStatus)
    assert status.childActors == [child]
    assert len(status.pendingWakeups) == 1
    system = rig.ask(status.adminAddress, Thespian_StatusReq())
    assert isinstance(system, Thespian_SystemStatus)
    assert system.globalActors == {"named": parent}
    formatStatus(status)
    formatStatus(system)
    assert "Puppet" in capsys.readouterr().out


def test_wakeups_come_in_order_of_expiry_then_of_request(rig: Rig) -> None:
    actor = rig.create()

    def request(me: Puppet) -> None:
        with one_instant(me):
            for payload, delay in enumerate([0.03, 0.01, timedelta(milliseconds=20), 0.01, 0, -1]):
                me.wakeupAfter(delay, payload)

    rig.do(actor, request)
    rig.wait_until(lambda: len(rig.seen(actor, WakeupMessage)) == 6)
    assert [wakeup.payload for wakeup in rig.seen(actor, WakeupMessage)] == [4, 5, 1, 3, 2, 0]
    assert rig.seen(actor, WakeupMessage)[4].delayPeriod == timedelta(milliseconds=20)
    assert all(sender == actor for m, sender in rig.do(actor, lambda me: me.seen) if isinstance(m, WakeupMessage))


def test_a_delay_that_is_none_is_an_error_of_the_actor(rig: Rig) -> None:
    for nonsense in (float("nan"), "soon"):
        answer = rig.ask(rig.create(), lambda actor, sender, delay=nonsense: actor.wakeupAfter(delay))
        assert isinstance(answer, PoisonMessage)
