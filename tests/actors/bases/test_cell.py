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


def test_two_systems_in_one_process_can_talk(rigs: Any, drive: str) -> None:
    here, there = rigs(drive), rigs("thread")
    echo = there.create(Echo)
    forwarder = here.create()
    here.ask(forwarder, lambda actor, sender: (actor.send(echo, "across"), actor.send(sender, None)))
    here.wait_until(lambda: "across" in here.seen(forwarder, str))
