"""What is special about P2P for threads. All that both forms do is in test_forms.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from actors import P2P
from core.errors import NotActive, StartFailed, StopFailed
from core.events import MessageReceived, RemovePeer
from tests.actors.fake_node import PEER, FakeNode, SilentNode, StubbornNode
from tests.actors.forms import PATIENCE_S, Form, Seen

ROOT = Path(__file__).parents[2]


def test_the_context_manager_starts_and_stops() -> None:
    with P2P(node_class=FakeNode, port=0) as p2p:
        assert p2p.is_active
        assert "active, listening on ('127.0.0.1'" in repr(p2p)
    assert not p2p.is_active
    assert "not active" in repr(p2p)


def test_the_context_manager_stops_when_its_body_raises() -> None:
    p2p = P2P(node_class=FakeNode, port=0)
    with pytest.raises(ZeroDivisionError), p2p:
        raise ZeroDivisionError
    assert not p2p.is_active


def test_calls_from_many_threads_get_their_own_answers() -> None:
    wrong: list[object] = []
    with P2P(node_class=FakeNode, port=0) as p2p:

        def ask(first: int) -> None:
            wrong.extend(number for number in range(first, first + 200) if p2p.request("echo", number).json() != number)

        threads = [threading.Thread(target=ask, args=(1000 * index,)) for index in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert p2p.request("echo", 1).json() == 1
    assert wrong == []


def test_handlers_run_one_at_a_time_in_one_thread() -> None:
    threads: list[threading.Thread] = []
    seen = Seen(lambda message: threads.append(threading.current_thread()))
    form = Form(port=0)
    form.start()
    form.on(MessageReceived, seen)
    for event in "abc":
        form.emit(MessageReceived(peer_id=PEER, event=event, data=None))
        assert seen.next().event == event
    form.close()
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()


def test_a_handler_that_never_returns_makes_stop_say_so() -> None:
    entered, release = threading.Event(), threading.Event()

    def stuck(event: RemovePeer) -> None:
        entered.set()
        release.wait(PATIENCE_S)

    form = Form(port=0)
    form.start()
    form.on(RemovePeer, stuck)
    form.emit(RemovePeer(peer_id=PEER, reason=""))
    assert entered.wait(PATIENCE_S)
    with pytest.raises(StopFailed, match=r"a handler of EVENT_REMOVE_PEER did not return: .*stuck"):
        form.stop(0.1)
    assert not form.is_active
    release.set()
    for thread in threading.enumerate():
        if thread.name == "ensemble-handlers":
            thread.join(PATIENCE_S)


def test_messages_that_wait_when_stop_is_called_are_discarded_and_other_events_are_not() -> None:
    entered, release = threading.Event(), threading.Event()
    messages, removals = Seen(), Seen()

    def first(message: MessageReceived) -> None:
        entered.set()
        release.wait(PATIENCE_S)

    form = Form(port=0)
    form.start()
    form.once(MessageReceived, first)
    form.on(MessageReceived, messages)
    form.on(RemovePeer, removals)
    removal = RemovePeer(peer_id=PEER, reason="")
    message = MessageReceived(peer_id=PEER, event="e", data=None)
    form.emit(message, message, removal, message)
    assert entered.wait(PATIENCE_S)
    stopper = threading.Thread(target=form.stop)
    stopper.start()
    while form.p2p._run is not None and form.p2p._run.client.is_open:
        stopper.join(0.001)
    release.set()
    stopper.join(PATIENCE_S)
    assert removals.next() == removal
    messages.next()  # the second handler of the message that was being handled
    assert messages.is_empty
    assert form.client_counters.events_dropped_total == 2


def test_stop_from_several_threads_at_once() -> None:
    form = Form(port=0)
    form.start()
    threads = [threading.Thread(target=form.stop) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    with pytest.raises(NotActive):
        form.bans()


@pytest.mark.parametrize(("node_class", "error"), [(SilentNode, StartFailed), (StubbornNode, StopFailed)])
def test_stop_in_a_signal_handler_on_top_of_start_or_stop(node_class: type[FakeNode], error: type[Exception]) -> None:
    """Ctrl-C at the worst moment: the main thread is inside start() or stop(), and the signal handler calls stop()."""
    form = Form(node_class=node_class, port=0)
    if node_class is StubbornNode:
        form.start()
    handled = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        form.stop()
        handled.set()

    def interrupt() -> None:
        while not handled.wait(0.01):
            if form.p2p._holder == threading.main_thread().ident:
                os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, on_signal)
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        with pytest.raises(error):
            form.start() if node_class is SilentNode else form.stop(0.2)
    finally:
        handled.set()
        interrupter.join(PATIENCE_S)
        signal.signal(signal.SIGUSR1, before)
    assert not form.is_active


def test_two_nodes_in_one_program() -> None:
    with P2P(node_class=FakeNode, port=0) as one, P2P(node_class=FakeNode, port=0) as two:
        one.broadcast("only here", wait=True)
        assert "BroadcastMessage only here None" in one.request("fake/log").json()
        assert "BroadcastMessage only here None" not in two.request("fake/log").json()


PROGRAM = """
import sys
from actors import P2P
from tests.actors.fake_node import FakeNode

class Node(FakeNode):
    def receiveMsg_StopNode(self, message, sender):
        print("stopped in order", flush=True)
        super().receiveMsg_StopNode(message, sender)

other = P2P(node_class=Node, port=0)
other.start()
other.stop()
p2p = P2P(node_class=Node, port=0)
p2p.start()
p2p.on("EVENT_MESSAGE_RECEIVED", print)
{end}
"""


@pytest.mark.parametrize(("end", "code"), [("", 0), ("sys.exit(3)", 3), ("raise ZeroDivisionError", 1)])
def test_a_program_that_forgets_to_stop_ends_and_its_node_is_stopped_in_order(end: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.stdout == "stopped in order\nstopped in order\n"
    assert done.returncode == code
