"""Children from a nursery are their owner's children like any other; nobody misses a nursery that is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.actors.multiprocess.conftest import Rig
from tests.actors.multiprocess.kernel import alive, kill, name_of, wait_until

pytestmark = [pytest.mark.sockets, pytest.mark.slow]


def named(rig: Rig, name: str) -> list[int]:
    return [pid for pid in rig.pids() if name_of(pid) == name]


def ask_last(rig: Rig, deed: str) -> object:
    """What the youngest child answers."""
    rig.tell("ask_last", deed)
    return rig.next().value


def test_children_are_forked_by_the_nursery_and_belong_to_the_actor(rig: Callable[..., Rig]) -> None:
    system = rig()
    owner = system.ask("pid")
    system.ask("breed_many", 2)
    assert ask_last(system, "parent") == owner
    assert len(named(system, "Many")) == 2
    (nursery,) = named(system, "nursery")
    assert nursery != owner
    system.ask("breed", 1)
    plain = ask_last(system, "descriptors")
    system.ask("breed_many", 1)
    assert ask_last(system, "descriptors") == plain


def test_nobody_misses_a_killed_nursery(rig: Callable[..., Rig]) -> None:
    system = rig()
    system.ask("breed_many", 1)
    first = ask_last(system, "pid")
    for _ in range(3):
        (nursery,) = named(system, "nursery")
        kill(nursery)
        wait_until(lambda nursery=nursery: not Path(f"/proc/{nursery}").exists(), "nobody takes notice of its end", 2.0)
        system.ask("breed_many", 1)
        assert ask_last(system, "pid") not in (first, nursery)
    system.tell("ask_child", "pid")
    assert system.next().value == first
    assert system.ask("exits") == 0


def test_a_nursery_that_hangs_is_replaced(rig: Callable[..., Rig]) -> None:
    system = rig()
    system.ask("breed_many", 1)
    ask_last(system, "pid")
    (nursery,) = named(system, "nursery")
    os.kill(nursery, signal.SIGSTOP)
    system.ask("breed_many", 1)
    assert ask_last(system, "pid") in named(system, "Many")
    assert not alive([nursery])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_a_child_is_noticed(rig: Callable[..., Rig], how: signal.Signals) -> None:
    system = rig()
    system.ask("breed_many", 1)
    child = ask_last(system, "pid")
    assert isinstance(child, int)
    os.kill(child, how)
    wait_until(lambda: system.ask("exits") >= 1, "nobody notices", 2.0)
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "it is left as a zombie", 2.0)


def test_they_die_with_the_actor(rig: Callable[..., Rig]) -> None:
    system = rig()
    system.ask("breed_many", 3)
    ask_last(system, "pid")
    pids = system.pids()
    system.tell("die")
    wait_until(lambda: not alive(pids), "they live on", 2.0)


def test_their_log_records_say_who_they_are(rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture) -> None:
    system = rig()
    system.ask("breed_many", 1)
    pid = ask_last(system, "pid")
    system.tell("ask_last", "complain")
    wait_until(lambda: "a complaint None" in caplog.text, "nothing is logged")
    (record,) = [record for record in caplog.records if "a complaint" in record.getMessage()]
    assert (record.name, record.process) == ("ensemble.test", pid)
