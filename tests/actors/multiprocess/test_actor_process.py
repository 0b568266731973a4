"""What Thespian's process base does differently here; each of these is a trap of the stock one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from core.events import NodeFailed
from core.messages import EventBatch
from tests.actors.multiprocess.conftest import Rig
from tests.actors.multiprocess.kernel import alive, kill, wait_until
from tests.actors.multiprocess.parts import Answer

pytestmark = pytest.mark.sockets


def failure(rig: Rig) -> str:
    """Why the system says it has ended."""
    message = rig.next()
    assert isinstance(message, EventBatch), message
    (event,) = message.events
    assert isinstance(event, NodeFailed)
    return event.reason


def test_a_flood_arrives_in_order_and_whole(rig: Callable[..., Rig]) -> None:
    """The stock base drops what is beyond 1,050 waiting messages, silently, and blocks before."""
    system = rig()
    for number in range(5000):
        system.tell("collect", number)
    assert system.ask("collected") == tuple(range(5000))


def test_a_message_sent_at_the_very_moment_of_the_wake_up_loses_no_other(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = rig()
    system.ask("pid")
    read = os.eventfd_read

    def send_and_read(fd: int) -> int:
        monkeypatch.undo()
        system.tell("collect", "in between")
        return read(fd)

    monkeypatch.setattr(os, "eventfd_read", send_and_read)
    system.tell("collect", "first")
    assert system.ask("collected") in (("first", "in between"), ("first",))
    assert system.ask("collected") == ("first", "in between")


def test_mutual_floods_arrive_in_order(rig: Callable[..., Rig]) -> None:
    """Two processes that send to each other at once: the stock base loses the order of one message in fifty."""
    system = rig()
    for number in range(2000):
        system.tell("echo", number)
    assert [system.next() for _ in range(2000)] == [Answer("echo", number) for number in range(2000)]


def test_a_busy_receiver_keeps_nobody_else_waiting(rig: Callable[..., Rig]) -> None:
    """Stock: 20 unread messages to one actor stop every other message of their sender."""
    system = rig()
    pid = system.ask("pid")
    system.ask("breed", 1)
    system.tell("ask_child", "pid")
    child = system.next().value
    os.kill(child, signal.SIGSTOP)
    try:
        for _ in range(100):
            system.tell("ask_child", "pid")
        assert system.ask("pid") == pid
    finally:
        os.kill(child, signal.SIGCONT)
    assert [system.next().value for _ in range(100)] == [child] * 100


def test_a_killed_child_is_noticed_by_its_parent(rig: Callable[..., Rig]) -> None:
    system = rig()
    system.ask("breed", 1)
    system.tell("ask_child", "pid")
    kill(system.next().value)
    wait_until(lambda: system.ask("exits") >= 1, "nobody notices", 2.0)


def test_children_that_are_killed_one_right_after_the_other_are_all_noticed(rig: Callable[..., Rig]) -> None:
    """Stock: whoever dies while the end of another is being told is forgotten."""
    system = rig()
    system.ask("breed", 30)
    system.tell("ask_last", "pid")
    system.next()
    for pid in system.pids()[3:]:
        kill(pid)
        time.sleep(0.001)  # some of them between the end of another and the news of it
    wait_until(lambda: system.ask("exits") >= 30, "some are not noticed", 5.0)


def test_a_child_that_is_killed_before_its_first_word_is_noticed_too(rig: Callable[..., Rig]) -> None:
    """Stock: it is not, and messages to it wait for ever."""
    system = rig()
    for count in range(1, 4):
        system.ask("stillbirth")
        wait_until(lambda count=count: system.ask("exits") >= count, "nobody notices", 2.0)


def test_children_die_with_their_parent(rig: Callable[..., Rig]) -> None:
    """Stock: they live on, for ever."""
    system = rig()
    system.ask("breed", 2)
    system.tell("ask_child", "pid")
    system.next()
    pids = system.pids()
    system.tell("die")
    assert "root process has ended" in failure(system)
    wait_until(lambda: not alive(pids), "they live on", 2.0)


def test_a_root_that_leaves_ends_the_system(rig: Callable[..., Rig]) -> None:
    system = rig()
    system.ask("pid")
    system.tell("leave")
    # All its processes end with it; on a busy machine that is seen before the warden's word for it is read.
    assert "process has ended" in (why := failure(system)) or "all its processes have ended" in why


def test_a_terminated_admin_ends_the_system(rig: Callable[..., Rig]) -> None:
    system = rig()
    system.ask("pid")
    warden, admin, *_ = system.pids()
    os.kill(admin, signal.SIGTERM)
    assert "admin process has ended" in failure(system)
    wait_until(lambda: not alive([warden, admin]), "they live on", 2.0)


def test_what_cannot_be_pickled_comes_back(rig: Callable[..., Rig]) -> None:
    system = rig()
    system.tell("echo", lambda: None)
    assert "pickle" in system.next().details.lower()
    assert system.ask("echo", 1) == 1


def test_closing_twice_and_closing_what_has_ended_is_fine(rig: Callable[..., Rig]) -> None:
    system = rig()
    system.ask("pid")
    system.tell("die")
    failure(system)
    assert system.system.close()
    assert system.system.close()
    system.tell("pid")  # to nobody


def test_an_ended_system_can_be_closed_while_it_starts(rig: Callable[..., Rig]) -> None:
    system = rig()
    assert system.system.close()


def test_processes_show_what_they_are(rig: Callable[..., Rig]) -> None:
    system = rig()
    system.ask("pid")
    names = []
    for pid in system.pids():
        with open(f"/proc/{pid}/comm") as file:
            names.append(file.read().strip())
    assert names == ["warden", "admin", "Root"]


def test_log_records_come_to_the_program(rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture) -> None:
    system = rig()
    pid = system.ask("pid")
    system.tell("complain", "with %s in it")
    wait_until(lambda: "with %s in it" in caplog.text, "nothing is logged")
    (record,) = [record for record in caplog.records if "with %s" in record.getMessage()]
    assert (record.name, record.levelname, record.process) == ("ensemble.test", "WARNING", pid)
