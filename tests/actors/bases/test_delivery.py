"""Failures: poison, crashes, exits, dead letters; the rules are in actors/bases/delivery.py."""

from __future__ import annotations

from typing import Any

import pytest
from thespian.actors import (
    ActorExitRequest,
    ChildActorExited,
    DeadEnvelope,
    PoisonMessage,
    Thespian_StatusReq,
    WakeupMessage,
)

from .conftest import WAIT_S, Puppet, Rig


class Record:
    """A message of ours that can be told from its copies."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.touched = 0


def fail(actor: Puppet, message: Any, sender: Any) -> None:
    raise LookupError("cannot handle this")


def fail_on(*kinds: type) -> Any:
    def reaction(actor: Puppet, message: Any, sender: Any) -> None:
        if isinstance(message, kinds):
            raise LookupError("cannot handle this")

    return reaction


# Poison.


def test_a_failing_message_is_tried_twice_then_returned_as_poison(rig: Rig) -> None:
    actor, record = rig.create(), Record("bad")

    def touch_and_fail(me: Puppet, message: Any, sender: Any) -> None:
        message.touched += 1
        raise LookupError("cannot handle this")

    rig.react(actor, touch_and_fail)
    answer = rig.ask(actor, record)
    assert isinstance(answer, PoisonMessage)
    assert answer.poisonMessage is record
    assert answer.details.count("LookupError: cannot handle this") == 2
    first, second = rig.seen(actor, Record)
    assert first is record
    assert second is not record
    # The second try got a copy of the message as the first one had left it.
    assert (first.touched, second.touched) == (1, 2)


def test_an_actor_lives_on_after_poison_and_may_succeed_at_the_second_try(rig: Rig) -> None:
    actor = rig.create()

    def fail_once(me: Puppet, message: Any, sender: Any) -> None:
        if len([m for m, _ in me.seen if isinstance(m, Record)]) == 1:
            raise LookupError("not yet")
        me.send(sender, "handled")

    rig.react(actor, fail_once)
    assert rig.ask(actor, Record("hard")) == "handled"


def test_a_message_that_cannot_be_copied_is_poison_at_the_first_failure(rig: Rig) -> None:
    actor = rig.create()
    rig.react(actor, fail)
    with open(__file__, "rb") as uncopyable:
        answer = rig.ask(actor, uncopyable)
    assert isinstance(answer, PoisonMessage)
    assert "LookupError: cannot handle this" in answer.details


def test_poison_goes_to_the_actor_that_sent_the_message(rig: Rig) -> None:
    victim, sender = rig.create(), rig.create()
    rig.react(victim, fail)
    rig.do(sender, lambda actor: actor.send(victim, "bad"))
    rig.wait_until(lambda: [p.poisonMessage for p in rig.seen(sender, PoisonMessage)] == ["bad"])


def test_poison_is_not_answered_with_poison(rig: Rig) -> None:
    one, two = rig.create(), rig.create()
    rig.react(one, fail)
    rig.react(two, fail)
    rig.do(one, lambda actor: actor.send(two, "bad"))
    rig.wait_until(lambda: len(rig.seen(one, PoisonMessage)) == 2)  # two tries, and no more
    assert rig.seen(two, PoisonMessage) == []


def test_a_failing_wakeup_comes_back_as_poison_from_oneself(rig: Rig) -> None:
    actor = rig.create()
    rig.react(actor, fail_on(WakeupMessage))
    rig.do(actor, lambda me: me.wakeupAfter(0, "payload"))
    rig.wait_until(lambda: [p.poisonMessage.payload for p in rig.seen(actor, PoisonMessage)] == ["payload"])


def test_a_bad_target_address_is_the_senders_failure(rig: Rig) -> None:
    answer = rig.ask(rig.create(), lambda actor, sender: actor.send("Audience", "hello"))
    assert isinstance(answer, PoisonMessage)
    assert "InvalidActorAddress" in answer.details


def test_messages_after_a_failing_one_are_handled_in_order(rig: Rig) -> None:
    actor, source = rig.create(), rig.create()
    rig.react(actor, lambda me, message, _: fail(me, message, _) if message == 3 else None)
    rig.do(source, lambda me: [me.send(actor, number) for number in range(8)])
    rig.wait_until(lambda: len(rig.seen(actor, int)) == 9)
    assert rig.seen(actor, int) == [0, 1, 2, 3, 3, 4, 5, 6, 7]


# Exits.


def test_an_exit_is_announced_to_the_parent_once(rig: Rig) -> None:
    parent = rig.create()
    child = rig.child_of(parent)
    rig.exit(child)
    rig.exit(child)
    rig.wait_until(lambda: rig.seen(parent, ChildActorExited) != [])
    assert [notice.childAddress for notice in rig.seen(parent, ChildActorExited)] == [child]
    assert [sender for m, sender in rig.do(parent, lambda me: me.seen) if isinstance(m, ChildActorExited)] == [child]


def test_an_actor_that_fails_on_its_exit_request_exits_all_the_same(rig: Rig) -> None:
    parent = rig.create()
    child = rig.child_of(parent)
    rig.react(child, fail)
    rig.exit(child)
    rig.wait_until(lambda: [n.childAddress for n in rig.seen(parent, ChildActorExited)] == [child])


def test_children_exit_first_and_their_parent_waits_for_them(rig: Rig) -> None:
    log: list[str] = []

    def keep_log(name: str) -> Any:
        def reaction(actor: Puppet, message: Any, sender: Any) -> None:
            if isinstance(message, ActorExitRequest | ChildActorExited):
                log.append(f"{name} {type(message).__name__}")

        return reaction

    top = rig.create()
    parent = rig.child_of(top)
    child = rig.child_of(parent)
    grandchild = rig.child_of(child)
    for address, name in ((top, "top"), (parent, "parent"), (child, "child"), (grandchild, "grandchild")):
        rig.react(address, keep_log(name))
    rig.exit(parent)
    rig.wait_until(lambda: rig.seen(top, ChildActorExited) != [])
    assert log == [
        "parent ActorExitRequest",
        "child ActorExitRequest",
        "grandchild ActorExitRequest",
        "child ChildActorExited",
        "parent ChildActorExited",
        "top ChildActorExited",
    ]


def test_children_survive_an_exit_that_is_not_recursive_until_the_system_ends(rig: Rig) -> None:
    farewells: list[str] = []
    parent = rig.create()
    child = rig.child_of(parent)
    rig.react(child, lambda me, m, _: farewells.append("child") if isinstance(m, ActorExitRequest) else None)
    rig.react(parent, lambda me, m, _: m.notRecursive() if isinstance(m, ActorExitRequest) else None)
    rig.exit(parent)
    rig.wait_until(lambda: rig.ask(child, Thespian_StatusReq()).parentAddress != parent)
    assert farewells == []
    rig.base.shutdown()
    assert farewells == ["child"]


def test_an_exiting_actor_creates_nobody(rig: Rig) -> None:
    started: list[Any] = []

    def create_too_late(actor: Puppet, message: Any, sender: Any) -> None:
        if isinstance(message, ChildActorExited):
            started.append(actor.createActor(Puppet))

    top = rig.create()
    parent = rig.child_of(top)
    rig.child_of(parent)
    rig.react(parent, create_too_late)
    rig.exit(parent)
    rig.wait_until(lambda: rig.seen(top, ChildActorExited) != [])
    assert len(started) == 1
    assert rig.ask(started[0], lambda actor, sender: actor.send(sender, "alive"), 0.01) is None


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit()], ids=repr)
def test_system_exit_ends_that_actor_only(rig: Rig, error: BaseException) -> None:
    def leave(actor: Puppet, message: Any, sender: Any) -> None:
        raise error

    parent, bystander = rig.create(), rig.create()
    child = rig.child_of(parent)
    grandchild = rig.child_of(child)
    rig.do(grandchild, lambda actor: None)
    rig.react(child, leave)
    rig.tell(child, Record("leave"))
    rig.wait_until(lambda: [n.childAddress for n in rig.seen(parent, ChildActorExited)] == [child])
    assert rig.do(bystander, lambda actor: "well") == "well"
    rig.wait_until(lambda: rig.ask(grandchild, lambda actor, s: actor.send(s, 1), 0.001) is None)


def test_system_exit_at_the_second_try_and_on_exit_is_a_crash_too(rig: Rig) -> None:
    def fail_then_leave(actor: Puppet, message: Any, sender: Any) -> None:
        if isinstance(message, ActorExitRequest) or len(actor.seen) > 1:
            raise SystemExit(1)
        raise LookupError("first try")

    parent = rig.create()
    one, two = rig.child_of(parent), rig.child_of(parent)
    for child in (one, two):
        rig.react(child, fail_then_leave)
    rig.tell(one, Record("leave"))
    rig.exit(two)
    rig.wait_until(lambda: len(rig.seen(parent, ChildActorExited)) == 2)
    assert [notice.childAddress for notice in rig.seen(parent, ChildActorExited)] == [one, two]


def test_keyboard_interrupt_reaches_the_caller_and_harms_nothing(caller: Rig) -> None:
    def interrupted(actor: Puppet, message: Any, sender: Any) -> None:
        if isinstance(message, Record):
            raise KeyboardInterrupt

    actor = caller.create()
    caller.react(actor, interrupted)
    with pytest.raises(KeyboardInterrupt):
        caller.ask(actor, Record("^C"))
    assert caller.do(actor, lambda me: "goes on") == "goes on"


def test_keyboard_interrupt_raised_by_a_handler_does_not_end_the_loops_thread(rigs: Any) -> None:
    def interrupt(actor: Puppet, sender: Any) -> None:
        raise KeyboardInterrupt

    rig = rigs("thread")
    actor = rig.create()
    rig.tell(actor, interrupt)
    assert rig.do(actor, lambda me: "goes on") == "goes on"


def test_timers_of_the_dead_are_forgotten(rig: Rig) -> None:
    parent = rig.create()
    for _ in range(3):
        child = rig.child_of(parent)
        rig.do(child, lambda actor: [actor.wakeupAfter(3600) for _ in range(100)])
        rig.exit(child)
    rig.wait_until(lambda: len(rig.seen(parent, ChildActorExited)) == 3)
    assert rig.do(parent, lambda actor: len(rig.base.timers)) < 200


# Dead letters.


def test_messages_for_the_dead_go_to_the_last_registered_handler(rig: Rig) -> None:
    first, last, gone = rig.create(), rig.create(), rig.create()
    rig.do(first, lambda actor: actor.handleDeadLetters())
    rig.do(last, lambda actor: actor.handleDeadLetters())
    rig.exit(gone)
    for number in range(3):
        rig.tell(gone, number)
    rig.wait_until(lambda: [e.deadMessage for e in rig.seen(last, DeadEnvelope)] == [0, 1, 2])
    assert rig.seen(last, DeadEnvelope)[0].deadAddress == gone
    rig.do(first, lambda actor: actor.handleDeadLetters(False))  # it is not the handler: no effect
    rig.tell(gone, 3)
    rig.wait_until(lambda: len(rig.seen(last, DeadEnvelope)) == 4)
    rig.do(last, lambda actor: actor.handleDeadLetters(False))
    rig.tell(gone, 4)
    rig.do(last, lambda actor: None)
    assert len(rig.seen(last, DeadEnvelope)) == 4
    assert rig.seen(first, DeadEnvelope) == []


def test_mail_that_an_actor_did_not_live_to_read_becomes_dead_letters(rig: Rig) -> None:
    box, source, gone = rig.create(), rig.create(), rig.create()
    rig.do(box, lambda actor: actor.handleDeadLetters())

    def send_all(actor: Puppet) -> None:
        actor.send(gone, ActorExitRequest())
        for number in range(40):
            actor.send(gone, number)

    rig.do(source, send_all)
    rig.wait_until(lambda: [e.deadMessage for e in rig.seen(box, DeadEnvelope)] == list(range(40)))


def test_mail_for_an_actor_that_waits_for_its_children_becomes_dead_letters(caller: Rig) -> None:
    box, parent = caller.create(), caller.create()
    child = caller.child_of(parent)
    caller.do(box, lambda actor: actor.handleDeadLetters())
    caller.react(child, lambda me, message, _: me.send(parent, "from the child") if message else None)
    caller.exit(parent)
    caller.wait_until(lambda: [e.deadMessage for e in caller.seen(box, DeadEnvelope)] == ["from the child"])


def test_a_dead_letter_handler_that_exits_is_no_longer_one(rig: Rig) -> None:
    parent = rig.create()
    box, gone = rig.child_of(parent), rig.create()
    rig.do(box, lambda actor: actor.handleDeadLetters())
    rig.exit(box)
    rig.exit(gone)
    rig.tell(gone, "lost")
    rig.wait_until(lambda: rig.seen(parent, ChildActorExited) != [])
    assert rig.base.dead_letter_box is None


def test_the_outside_can_be_asked_to_exit_and_does_not(rig: Rig) -> None:
    endpoint = rig.base.open_endpoint()
    actor = rig.create()
    rig.do(actor, lambda me: me.send(endpoint.address, ActorExitRequest()))
    rig.do(actor, lambda me: me.send(endpoint.address, "after"))
    assert endpoint.listen(WAIT_S) == "after"
