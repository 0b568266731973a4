"""Who runs the loop: own thread, caller, asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from thespian.actors import Actor, ActorAddress, ActorSystem, ActorSystemRequestTimeout, WakeupMessage

from actors.bases.asyncio_driver import LOOK_S
from actors.bases.environment import SystemEnvironment
from actors.bases.inproc import InProcessBase
from actors.bases.watch import Watch, WatchReady
from core.lookout import Lookout

from .conftest import WAIT_S, Puppet, Rig, one_instant, open_descriptors

PROJECT = Path(__file__).resolve().parents[3]


class Echo(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, str | int):
            self.send(sender, message)


# asyncio.


def in_asyncio(program: Callable[[InProcessBase, ActorSystem], Awaitable[None]]) -> None:
    """Run ``program(base, system)`` in asyncio.run with a base on that loop; nothing may be left afterwards."""
    descriptors = open_descriptors()

    async def main() -> None:
        base = InProcessBase(logDefs=False, drive="asyncio")
        system = ActorSystem(systemBase=base, transientUnique=True)
        try:
            await asyncio.wait_for(program(base, system), WAIT_S)
        finally:
            system.shutdown()

    asyncio.run(main())
    assert open_descriptors() <= descriptors


def answers(base: InProcessBase) -> tuple[Any, asyncio.Queue[Any]]:
    """Open an endpoint whose messages go into an asyncio queue."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    return base.open_endpoint(lambda message, sender: queue.put_nowait(message)), queue


def test_asyncio_tells_and_hears_without_a_thread() -> None:
    async def program(base: InProcessBase, system: ActorSystem) -> None:
        threads = threading.active_count()
        endpoint, queue = answers(base)
        echo = system.createActor(Echo)
        for number in range(100):
            endpoint.tell(echo, number)
        assert [await queue.get() for _ in range(100)] == list(range(100))
        assert threading.active_count() == threads

    in_asyncio(program)


def test_asyncio_watches_one_descriptor_and_arms_one_timer() -> None:
    async def program(base: InProcessBase, system: ActorSystem) -> None:
        loop: Any = asyncio.get_running_loop()
        endpoint, queue = answers(base)
        actors = [system.createActor(Puppet) for _ in range(10)]
        with contextlib.ExitStack() as stack:
            ends = []
            for address in actors:
                mine, theirs = (stack.enter_context(end) for end in socket.socketpair())
                ends.append(theirs)

                def setup(actor: Puppet, sender: Any, mine: socket.socket = mine) -> Any:
                    actor.reaction = lambda me, message, _: (
                        me.send(endpoint.address, mine.recv(10)) if isinstance(message, WatchReady) else None
                    )
                    actor.wakeupAfter(3600)
                    actor.send(sender, "ready")
                    return Watch((mine.fileno(),))

                endpoint.tell(address, setup)
                assert await queue.get() == "ready"
            # The loop's own self-pipe is the other registered descriptor.
            readers = [key.fd for key in loop._selector.get_map().values() if key.fd != loop._ssock.fileno()]
            assert readers == [base.selector.fileno()]
            assert len([handle for handle in loop._scheduled if not handle.cancelled()]) == 2  # ours and wait_for's
            for theirs in ends:
                theirs.send(b"x")
            assert [await queue.get() for _ in ends] == [b"x"] * len(ends)

    in_asyncio(program)


def test_asyncio_timers_fire() -> None:
    async def program(base: InProcessBase, system: ActorSystem) -> None:
        endpoint, queue = answers(base)
        actor = system.createActor(Puppet)

        def setup(me: Puppet, sender: Any) -> None:
            me.reaction = lambda me, message, _: me.send(endpoint.address, message.payload)
            with one_instant(me):
                for delay in (0.02, 0.0, 0.01):
                    me.wakeupAfter(delay, delay)

        endpoint.tell(actor, setup)
        assert [await queue.get() for _ in range(3)] == [0.0, 0.01, 0.02]

    in_asyncio(program)


class SteppedTime(SystemEnvironment):
    """A clock that moves by so much at each look."""

    def __init__(self, step_s: float) -> None:
        self.time = 0.0
        self._step_s = step_s

    def now(self) -> float:
        self.time += self._step_s
        return self.time


class Eager(Lookout):
    """Looks whenever something is expected, and keeps what became of it."""

    def __init__(self, longest_s: float) -> None:
        super().__init__(longest_s)
        self.seen: list[str] = []

    def rest(self, now: float) -> float:
        self._expected = None
        self.seen.append("rest")
        return now + self._longest_s

    def woken(self, now: float) -> None:
        self.seen.append("woken")

    def missed(self, now: float) -> None:
        self.seen.append("missed")


async def turns_until_rest() -> int:
    """How often the loop turns without sleeping. Nothing else is on this loop: what is ready is the driver's."""
    loop: Any = asyncio.get_running_loop()
    turns = 0
    while loop._ready:
        turns += 1
        await asyncio.sleep(0)
    return turns


def test_asyncio_looks_for_what_is_expected_before_it_sleeps() -> None:
    async def program() -> None:
        base = InProcessBase(logDefs=False, drive="asyncio", environment=SteppedTime(LOOK_S / 10))
        base.lookout = lookout = Eager(5 * LOOK_S)
        system = ActorSystem(systemBase=base, transientUnique=True)
        try:
            endpoint, queue = answers(base)
            echo = system.createActor(Echo)
            endpoint.tell(echo, "hello")
            assert await queue.get() == "hello"
            assert await turns_until_rest() <= 2
            assert "rest" not in lookout.seen
            endpoint.tell(echo, "again")
            lookout.expect("an answer")
            assert await queue.get() == "again"
            assert 4 <= await turns_until_rest() <= 8
            assert lookout.seen[-2:] == ["rest", "missed"]
            reader, writer = os.pipe()
            lookout.seen.clear()
            try:
                endpoint.tell(system.createActor(Puppet), lambda me, sender: watch_once(me, reader, sender))
                lookout.expect("what comes through the pipe")
                os.write(writer, b"x")
                assert await queue.get() == "readable"
                assert lookout.seen[:2] == ["rest", "woken"]
            finally:
                os.close(reader)
                os.close(writer)
        finally:
            system.shutdown()

    asyncio.run(program())


def watch_once(actor: Puppet, reader: int, sender: Any) -> Watch:
    def report(me: Puppet, message: Any, _: Any) -> None:
        if isinstance(message, WatchReady):
            me.send(sender, "readable")

    actor.reaction = report
    return Watch([reader])


def test_asyncio_can_be_told_and_asked_from_another_thread() -> None:
    async def program(base: InProcessBase, system: ActorSystem) -> None:
        endpoint, queue = answers(base)

        def other_thread() -> list[Any]:
            echo = system.createActor(Echo)
            endpoint.tell(echo, "told")
            return [system.ask(echo, number, WAIT_S) for number in range(20)]

        assert await asyncio.to_thread(other_thread) == list(range(20))
        assert await queue.get() == "told"

    in_asyncio(program)


def test_asyncio_refuses_to_wait_for_itself() -> None:
    async def program(base: InProcessBase, system: ActorSystem) -> None:
        echo = system.createActor(Echo)
        with pytest.raises(RuntimeError, match="open_endpoint"):
            system.ask(echo, 1, 1)
        with pytest.raises(RuntimeError, match="open_endpoint"):
            system.listen(0)

    in_asyncio(program)


def test_asyncio_tasks_get_their_share_of_a_busy_loop() -> None:
    async def program(base: InProcessBase, system: ActorSystem) -> None:
        endpoint, queue = answers(base)
        actor = system.createActor(Puppet)

        def run_for_ever(me: Puppet, sender: Any) -> None:
            me.reaction = lambda me, message, _: me.send(me.myAddress, message) if message == "again" else None
            me.send(me.myAddress, "again")

        endpoint.tell(actor, run_for_ever)
        for _ in range(20):
            await asyncio.sleep(0)
        endpoint.tell(actor, lambda me, sender: (setattr(me, "reaction", None), me.send(sender, len(me.seen))))
        assert await queue.get() > 0

    in_asyncio(program)


def test_the_program_is_called_when_the_turn_is_over_and_what_it_sends_goes_out_in_the_same_callback() -> None:
    async def program(base: InProcessBase, system: ActorSystem) -> None:
        actor = system.createActor(Puppet)
        log: list[str] = []

        def on_message(message: Any, sender: Any) -> None:
            log.append(f"{message}, turning {base.turning}")
            if message == "first":
                base.after_turn(answer)

        def answer() -> None:
            log.append(f"answer, turning {base.turning}")
            asyncio.get_running_loop().call_soon(log.append, "the loop goes on")
            endpoint.tell(actor, lambda me, sender: me.send(sender, "second"))

        endpoint = base.open_endpoint(on_message)
        endpoint.tell(actor, lambda me, sender: me.send(sender, "first"))
        while "the loop goes on" not in log:
            await asyncio.sleep(0)
        assert log == ["first, turning True", "answer, turning False", "second, turning True", "the loop goes on"]
        base.after_turn(lambda: log.append("without a turn"))
        while "without a turn" not in log:
            await asyncio.sleep(0)

    in_asyncio(program)


def test_who_is_in_a_hurry_gets_a_turn_once_until_the_sockets_were_looked_at() -> None:
    async def program(base: InProcessBase, system: ActorSystem) -> None:
        actor = system.createActor(Puppet)
        answers: list[Any] = []
        endpoint = base.open_endpoint(lambda message, sender: answers.append(message))

        def ask(number: int, *, again: bool = False) -> bool:
            return base.hurry(lambda: endpoint.deliver(actor, lambda me, sender: me.send(sender, number)), again)

        assert ask(1)
        assert answers == [1]
        assert not ask(2)
        assert ask(5, again=True)
        base.waker.wake()  # something is readable
        while not ask(3):
            await asyncio.sleep(0)
        assert answers == [1, 5, 3]
        tried: list[bool] = []
        endpoint.tell(actor, lambda me, sender: tried.append(ask(4, again=True)))
        while not tried:
            await asyncio.sleep(0)
        assert tried == [False]  # within a turn

    in_asyncio(program)


def test_only_asyncio_hurries_and_calls_back(rigs: Callable[..., Rig]) -> None:
    base = rigs("thread").base
    assert not base.hurry(lambda: None, True)
    with pytest.raises(RuntimeError, match="asyncio"):
        base.after_turn(lambda: None)


def test_asyncio_idles() -> None:
    async def program(base: InProcessBase, system: ActorSystem) -> None:
        endpoint, queue = answers(base)
        actor = system.createActor(Puppet)

        def setup(me: Puppet, sender: Any) -> None:
            me.reaction = lambda me, message, _: me.send(endpoint.address, "woken")
            me.wakeupAfter(0.2)

        endpoint.tell(actor, setup)
        turns = base.loop_turns
        assert await queue.get() == "woken"
        assert base.loop_turns - turns <= 4

    in_asyncio(program)


def test_asyncio_needs_a_running_loop() -> None:
    descriptors = open_descriptors()
    with pytest.raises(RuntimeError, match="running asyncio loop"):
        InProcessBase(logDefs=False, drive="asyncio")
    assert open_descriptors() <= descriptors


def test_asyncio_needs_a_selector_with_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(InProcessBase, "_make_selector", lambda base: selectors.PollSelector())
        with pytest.raises(RuntimeError, match="PollSelector cannot"):
            InProcessBase(logDefs=False, drive="asyncio")

    asyncio.run(main())


def test_a_thread_can_do_with_any_selector(monkeypatch: pytest.MonkeyPatch, rigs: Callable[..., Rig]) -> None:
    monkeypatch.setattr(InProcessBase, "_make_selector", lambda base: selectors.SelectSelector())
    rig = rigs("thread")
    assert rig.ask(rig.create(Echo), "hello") == "hello"


@pytest.mark.parametrize("other_thread", [False, True])
def test_shutdown_works_after_the_asyncio_loop_has_ended(other_thread: bool) -> None:
    descriptors = open_descriptors()

    async def main() -> ActorSystem:
        system = ActorSystem(systemBase=InProcessBase(logDefs=False, drive="asyncio"), transientUnique=True)
        system.createActor(Echo)
        return system

    system = asyncio.run(main())
    base = system._systemBase
    if other_thread:
        thread = threading.Thread(target=system.shutdown)
        thread.start()
        thread.join(WAIT_S)
    else:
        system.shutdown()
    assert base.closed
    assert open_descriptors() <= descriptors


# The caller.


def test_nothing_happens_between_calls(caller: Rig) -> None:
    actor = caller.create()
    caller.do(actor, lambda me: me.wakeupAfter(0))
    instance = caller.base.cells[actor.actorAddressString].instance
    seen, turns = len(instance.seen), caller.base.loop_turns
    assert caller.base.busy or caller.base.next_due() is not None
    assert (len(instance.seen), caller.base.loop_turns) == (seen, turns)
    caller.base.poll()
    assert [type(m) for m, _ in instance.seen[seen:]] == [WakeupMessage]


def test_run_until_stops_at_the_condition_or_the_time_out(caller: Rig) -> None:
    actor = caller.create()
    caller.do(actor, lambda me: me.wakeupAfter(0.01))
    instance = caller.base.cells[actor.actorAddressString].instance
    assert caller.base.run_until(lambda: bool(instance.seen), WAIT_S)
    assert not caller.base.run_until(lambda: False, 0.01)
    assert caller.base.run_until(lambda: True, None)
    before = caller.base.now()
    caller.base.run_for(0.02)
    assert caller.base.now() - before >= 0.02


def test_only_a_caller_driven_base_is_run_by_hand(rigs: Callable[..., Rig]) -> None:
    with pytest.raises(RuntimeError, match='drive="caller"'):
        rigs("thread").base.run_for(0)


def test_the_loop_is_not_run_from_within(caller: Rig) -> None:
    def attempt(actor: Puppet) -> str:
        with pytest.raises(RuntimeError, match="already"):
            caller.base.poll()
        return "refused"

    assert caller.do(caller.create(), attempt) == "refused"


def test_a_tell_returns_although_actors_never_fall_silent(caller: Rig) -> None:
    actor = caller.create()
    caller.react(actor, lambda me, message, sender: me.send(me.myAddress, message))
    caller.tell(actor, "for ever")
    assert caller.base.busy


def test_a_waiting_thread_takes_over_when_the_one_that_ran_the_loop_leaves(caller: Rig) -> None:
    echo, heard = caller.create(Echo), []
    one, two = caller.base.open_endpoint(), caller.base.open_endpoint()
    leading = threading.Event()

    def listen_for_two() -> None:
        leading.wait(WAIT_S)
        heard.append(two.listen(WAIT_S))

    follower = threading.Thread(target=listen_for_two)
    follower.start()
    caller.tell(echo, lambda: None)
    leading.set()
    assert one.listen(0.05) is None  # leads, then leaves the loop to the follower
    two.tell(echo, "for the follower")
    follower.join(WAIT_S)
    assert heard == ["for the follower"]


# The thread.


def test_a_blocked_loop_is_reported(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig = rigs("thread")
    blocked, release = threading.Event(), threading.Event()
    actor = rig.create()
    rig.tell(actor, lambda me, sender: (blocked.set(), release.wait(WAIT_S)))
    assert blocked.wait(WAIT_S)
    monkeypatch.setattr("actors.bases.inproc.CALL_LIMIT_S", 0.01)
    monkeypatch.setattr("actors.bases.inproc.SHUTDOWN_LIMIT_S", 0.01)
    monkeypatch.setattr("actors.bases.drivers.JOIN_LIMIT_S", 0.01)
    with pytest.raises(ActorSystemRequestTimeout, match="blocked"):
        rig.create()
    rig.base.shutdown()
    assert not rig.base.closed
    assert "a handler blocks" in caplog.text
    assert "left behind" in caplog.text
    monkeypatch.undo()
    release.set()


def test_what_is_posted_after_the_end_is_refused_or_dropped(rigs: Callable[..., Rig]) -> None:
    rig = rigs("thread")
    echo, endpoint = rig.create(Echo), rig.base.open_endpoint()
    rig.base.shutdown()
    for _ in range(3):
        endpoint.tell(echo, "too late")
    assert endpoint.ask(echo, "too late", WAIT_S) is None
    assert not rig.base.incoming


PROGRAM = """
from thespian.actors import Actor, ActorSystem
from actors.bases.inproc import InProcessBase

class Farewell(Actor):
    def receiveMessage(self, message, sender):
        print(type(message).__name__, flush=True)

system = ActorSystem(systemBase=InProcessBase(logDefs=False), transientUnique=True)
system.createActor(Farewell)
"""


def test_a_program_that_forgets_to_shut_down_ends_all_the_same() -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, env=environment, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "ActorExitRequest", "")


def test_addresses_of_endpoints_are_addresses(rig: Rig) -> None:
    assert isinstance(rig.base.open_endpoint().address, ActorAddress)
