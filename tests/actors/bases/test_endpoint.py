"""Asking, telling and listening from outside the actors, in the three drive modes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    DeadEnvelope,
)

from .conftest import WAIT_S, Puppet, Rig


class Echo(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:
        if not isinstance(message, ActorExitRequest):
            self.send(sender, message)


def test_ask_returns_the_answer_and_none_after_the_time_out(rig: Rig) -> None:
    echo = rig.create(Echo)
    assert rig.ask(echo, "hello") == "hello"
    assert rig.ask(rig.create(), "no answer to this", 0.01) is None
    assert rig.ask(rig.create(), "no answer to this", timedelta(milliseconds=10)) is None


def test_listen_returns_what_was_told_and_not_asked_for(rig: Rig) -> None:
    echo = rig.create(Echo)
    rig.tell(echo, 1)
    rig.tell(echo, 2)
    assert [rig.listen(), rig.listen(), rig.listen(0.01)] == [1, 2, None]


def test_an_answer_after_the_time_out_is_the_next_thing_heard(rig: Rig) -> None:
    slow, clients = rig.create(), []
    assert rig.ask(slow, lambda actor, sender: clients.append(sender), 0.001) is None
    rig.wait_until(lambda: clients != [] or rig.create() is None)
    with rig.system.private() as other:
        other.tell(slow, lambda actor, sender: actor.send(clients[0], "late"))
    assert rig.listen() == "late"


def test_messages_of_one_sender_arrive_in_order(rig: Rig) -> None:
    counter, source = rig.create(), rig.create()
    rig.do(source, lambda actor: [actor.send(counter, number) for number in range(1000)])
    for number in range(1000, 1100):
        rig.tell(counter, number)
    rig.wait_until(lambda: len(rig.seen(counter, int)) == 1100)
    assert [n for n in rig.seen(counter, int) if n < 1000] == list(range(1000))
    assert [n for n in rig.seen(counter, int) if n >= 1000] == list(range(1000, 1100))


def test_private_contexts_hear_their_own_answers_only(rig: Rig) -> None:
    echo = rig.create(Echo)
    with rig.system.private() as one, rig.system.private() as two:
        one.tell(echo, "for one")
        two.tell(echo, "for two")
        assert two.listen(WAIT_S) == "for two"
        assert one.listen(WAIT_S) == "for one"
        assert one.ask(one.createActor(Echo), 5, WAIT_S) == 5
    assert rig.listen(0.001) is None


def test_many_threads_ask_at_once(rig: Rig) -> None:
    echo = rig.create(Echo)

    def ask_often(number: int) -> list[int]:
        with rig.system.private() as context:
            return [context.ask(echo, number * 1000 + count, WAIT_S) for count in range(50)]

    with ThreadPoolExecutor(8) as pool:
        for number, answers in enumerate(pool.map(ask_often, range(8))):
            assert answers == [number * 1000 + count for count in range(50)]


def test_a_listener_in_one_thread_does_not_keep_another_from_asking(rig: Rig) -> None:
    echo = rig.create(Echo)
    heard: list[Any] = []
    with rig.system.private() as context:
        listener = threading.Thread(target=lambda: heard.append(context.listen(WAIT_S)))
        listener.start()
        for number in range(20):
            assert rig.ask(echo, number) == number
        context.tell(echo, "to the listener")
        listener.join(WAIT_S)
    assert heard == ["to the listener"]


def test_a_closed_endpoint_makes_dead_letters(rig: Rig) -> None:
    box, source = rig.create(), rig.create()
    rig.do(box, lambda actor: actor.handleDeadLetters())
    endpoint = rig.base.open_endpoint()
    address = endpoint.address
    endpoint.close()
    rig.do(source, lambda actor: actor.send(address, "too late"))
    rig.wait_until(lambda: [e.deadMessage for e in rig.seen(box, DeadEnvelope)] == ["too late"])


def test_an_endpoint_with_a_callback_is_called_in_the_loop(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    echo, heard, threads = rig.create(Echo), [], set()
    arrived = threading.Event()

    def on_message(message: Any, sender: ActorAddress) -> None:
        threads.add(threading.get_ident())
        heard.append((message, sender == echo))
        if message == "bad":
            raise ValueError("the callback's own fault")
        if message == "last":
            arrived.set()

    endpoint = rig.base.open_endpoint(on_message)
    for message in ("bad", "last"):
        endpoint.tell(echo, message)
    rig.ask(echo, "run")  # in caller mode somebody has to
    assert arrived.wait(WAIT_S)
    assert heard == [("bad", True), ("last", True)]
    assert len(threads) == 1
    assert "the callback's own fault" in caplog.text
    with pytest.raises(RuntimeError, match="callback"):
        endpoint.listen(0)
    endpoint.close()


def test_asking_inside_the_loop_is_refused(rig: Rig) -> None:
    echo, actor = rig.create(Echo), rig.create()

    def attempt(me: Puppet) -> str:
        with pytest.raises(RuntimeError, match="stop the loop"):
            rig.system.ask(echo, "from inside", 1)
        with pytest.raises(RuntimeError, match="stop the loop"):
            rig.system.listen(1)
        return "refused"

    assert rig.do(actor, attempt) == "refused"
    assert rig.ask(echo, "afterwards") == "afterwards"


def test_actors_can_be_created_and_told_from_inside_the_loop(rig: Rig) -> None:
    actor = rig.create()
    other = rig.do(actor, lambda me: rig.system.createActor(Echo))
    rig.do(actor, lambda me: rig.system.tell(other, "from inside"))
    assert rig.listen() == "from inside"
