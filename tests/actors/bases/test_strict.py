"""Strict mode: messages as they would arrive in another process."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from thespian.actors import Actor, ChildActorExited, InvalidActorSpecification, PoisonMessage, WakeupMessage

from .conftest import WAIT_S, Rig


class Keeper(Actor):
    """Keeps a list, gives it away, and says what it holds."""

    def __init__(self) -> None:
        self.kept: list[Any] = [1]
        self.told: list[Any] = []

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if message == "give":
            self.send(sender, self.kept)
            self.kept.append(2)  # after sending: the receiver must not see it
        elif message == "give a lock":
            self.send(sender, threading.Lock())
        elif message == "told":
            self.send(sender, [type(m).__name__ for m in self.told])
        elif message == "sleep on a lock":
            self.wakeupAfter(0, threading.Lock())
        elif message == "create":
            self.createActor(type("Local", (Keeper,), {}))
        elif isinstance(message, tuple):
            self.send(message[0], message[1])
        else:
            self.told.append(message)


class Local(Keeper):
    pass


@pytest.fixture
def strict(rigs: Callable[..., Rig], drive: str) -> Rig:
    return rigs(drive, strict=True)


def told(rig: Rig, address: Any, expected: list[str]) -> bool:
    return bool(rig.ask(address, "told") == expected)


def test_a_message_is_a_copy_made_when_it_was_sent(strict: Rig) -> None:
    keeper = strict.create(Keeper)
    assert strict.ask(keeper, "give") == [1]
    assert strict.ask(keeper, "give") == [1, 2]


def test_without_strict_mode_the_receiver_shares_the_object(caller: Rig) -> None:
    assert caller.ask(caller.create(Keeper), "give") == [1, 2]


def test_what_the_outside_sends_is_a_copy_too(strict: Rig) -> None:
    keeper, message = strict.create(Keeper), ["from outside"]
    endpoint = strict.base.open_endpoint()
    strict.tell(keeper, (endpoint.address, message))
    answer = endpoint.listen(WAIT_S)
    assert answer == message
    assert answer is not message


def test_what_cannot_be_pickled_comes_back_as_poison_from_the_target(strict: Rig) -> None:
    keeper = strict.create(Keeper)
    assert strict.ask(keeper, "give a lock", 0.05) is None
    strict.wait_until(lambda: told(strict, keeper, ["PoisonMessage"]))


def test_the_outside_gets_the_error_of_pickle_itself(strict: Rig) -> None:
    keeper = strict.create(Keeper)
    with pytest.raises(pickle.PicklingError, match="another process"):
        strict.tell(keeper, threading.Lock())
    with pytest.raises(pickle.PicklingError, match="another process"):
        strict.ask(keeper, lambda: None, 1)
    assert strict.ask(keeper, "told") == []


def test_the_payload_of_a_wakeup_must_be_picklable(strict: Rig) -> None:
    answer = strict.ask(strict.create(Keeper), "sleep on a lock")
    assert isinstance(answer, PoisonMessage)
    assert "PicklingError" in answer.details


def test_addresses_in_messages_keep_working(strict: Rig) -> None:
    one, two = strict.create(Keeper), strict.create(Keeper)
    strict.tell(one, (two, ["forwarded"]))
    strict.wait_until(lambda: told(strict, two, ["list"]))


def test_actor_classes_must_be_importable(strict: Rig) -> None:
    class Nested(Keeper):
        pass

    with pytest.raises(InvalidActorSpecification, match="top level"):
        strict.create(Nested)
    parent = strict.create(Keeper)
    strict.tell(parent, "create")
    strict.wait_until(lambda: told(strict, parent, [ChildActorExited.__name__]))
    assert strict.ask(strict.create(Local), "give") == [1]


def test_system_messages_need_no_copy(strict: Rig) -> None:
    keeper = strict.create(Keeper)
    strict.tell(keeper, WakeupMessage(0, "as if"))
    strict.wait_until(lambda: told(strict, keeper, ["WakeupMessage"]))
