"""Addresses: compared, pickled, unknown, of another system."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    DeadEnvelope,
)

from actors.bases.cell import AddressOfNobody
from core.empty import NO_ITEMS

from .conftest import Rig


class Echo(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:
        if not isinstance(message, ActorExitRequest):
            self.send(sender, message)


def test_addresses_compare_by_value_and_survive_pickling(rig: Rig) -> None:
    one, two = rig.create(), rig.create(Echo)
    assert one != two
    assert one != "text"
    copy = pickle.loads(pickle.dumps(two))
    assert copy == two
    assert not copy != two  # noqa: SIM202  # both are asked
    assert one != ActorAddress("text")
    assert two == ActorAddress(two.actorAddressString)
    assert not two != ActorAddress(two.actorAddressString)  # noqa: SIM202
    assert not two != AddressOfNobody(two.actorAddressString)  # noqa: SIM202
    assert rig.ask(copy, "through the copy") == "through the copy"
    with pytest.raises(TypeError):
        hash(one)


def test_the_address_of_nobody_makes_dead_letters(rig: Rig) -> None:
    box, actor, gone = rig.create(), rig.create(), rig.create()
    pickled = pickle.dumps(gone)
    rig.do(box, lambda me: me.handleDeadLetters())
    rig.exit(gone)
    rig.do(box, lambda me: None)
    rig.do(actor, lambda me: me.send(pickle.loads(pickled), "from an actor"))
    rig.tell(ActorAddress("made up"), "from outside")
    rig.wait_until(lambda: len(rig.seen(box, DeadEnvelope)) == 2)
    envelopes = {envelope.deadMessage: envelope.deadAddress for envelope in rig.seen(box, DeadEnvelope)}
    assert envelopes == {"from an actor": gone, "from outside": ActorAddress("made up")}


@pytest.mark.parametrize("pickled", [False, True])
def test_a_parent_that_hears_of_an_exit_has_one_child_less(rig: Rig, pickled: bool) -> None:
    parent = rig.create()
    children = [rig.do(parent, lambda me: me.createActor(Echo)) for _ in range(3)]
    cell = parent.cell
    assert [child.address for child in cell.children] == children
    gone, stranger = children[1], rig.create()
    # As it is after a journey, when there was still somebody, and when there was nobody any more.
    cell.disown(pickle.loads(pickle.dumps(gone)) if pickled else gone)
    cell.disown(stranger)
    cell.disown(ActorAddress("made up"))
    assert [child.address for child in cell.children] == [children[0], children[2]]
    for child in (children[0], children[2]):
        cell.disown(ActorAddress(child.actorAddressString))
    assert cell.children is NO_ITEMS


def test_two_systems_in_one_process_can_talk(rigs: Any, drive: str) -> None:
    here, there = rigs(drive), rigs("thread")
    echo = there.create(Echo)
    forwarder = here.create()
    here.ask(forwarder, lambda actor, sender: (actor.send(echo, "across"), actor.send(sender, None)))
    here.wait_until(lambda: "across" in here.seen(forwarder, str))
