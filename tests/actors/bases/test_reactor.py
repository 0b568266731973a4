"""The loop itself: fairness, idleness, errors of our own, and what a simulation may replace."""

from __future__ import annotations

import random
import resource
import selectors
import time
from typing import Any

import pytest
from thespian.actors import Actor, ActorSystem, WakeupMessage

from actors.bases.cell import Cell
from actors.bases.inproc import InProcessBase
from actors.bases.reactor import ERRORS_IN_A_ROW, MESSAGES_PER_VISIT, Events
from actors.bases.waker import Waker
from actors.bases.watch import Watch

from .conftest import Puppet, Rig
from .test_watch import pairs, poke, read_and_keep, watch

__all__ = ["pairs"]  # a fixture


def talk_forever(actor: Puppet, message: Any, sender: Any) -> None:
    actor.send(sender, message)


def wake_forever(actor: Puppet, message: Any, sender: Any) -> None:
    actor.wakeupAfter(0)


def start_noise(rig: Rig, kind: str) -> None:
    """Start actors that never fall silent."""
    one, two = rig.create(), rig.create()
    if kind == "chatty pair":
        for actor in (one, two):
            rig.react(actor, talk_forever)
        rig.tell(one, lambda actor, sender: actor.send(two, "and so on"))
    elif kind == "self-send":
        rig.react(one, talk_forever)
        rig.tell(one, lambda actor, sender: actor.send(actor.myAddress, "and so on"))
    else:
        rig.react(one, wake_forever)
        rig.tell(one, lambda actor, sender: actor.wakeupAfter(0))


@pytest.mark.parametrize("noise", ["chatty pair", "self-send", "zero-delay wakeup"])
def test_noise_starves_neither_sockets_nor_timers_nor_the_outside(rig: Rig, pairs: Any, noise: str) -> None:
    mine, theirs = pairs()
    reader, sleeper = rig.create(), rig.create()
    rig.react(reader, read_and_keep(mine))
    watch(rig, reader, Watch((mine.fileno(),)))
    start_noise(rig, noise)
    theirs.send(b"heard")
    poke(rig, reader, [b"heard"])
    rig.do(sleeper, lambda actor: actor.wakeupAfter(0.005, "woken"))
    rig.wait_until(lambda: [m.payload for m in rig.seen(sleeper, WakeupMessage)] == ["woken"])


def test_a_full_mailbox_does_not_keep_others_waiting(caller: Rig) -> None:
    order: list[str] = []
    busy, quick, source = caller.create(), caller.create(), caller.create()
    for actor, name in ((busy, "busy"), (quick, "quick")):
        caller.react(actor, lambda me, message, sender, name=name: order.append(name))

    def fill(actor: Puppet) -> None:
        for _ in range(10 * MESSAGES_PER_VISIT):
            actor.send(busy, "work")
        actor.send(quick, "a word")

    caller.do(source, fill)
    caller.base.poll()
    assert order.index("quick") == MESSAGES_PER_VISIT
    assert order.count("busy") == 10 * MESSAGES_PER_VISIT


def test_waiting_costs_no_cpu(rig: Rig) -> None:
    actor, endpoint = rig.create(), rig.base.open_endpoint()
    rig.react(actor, lambda me, message, sender: me.send(endpoint.address, "woken"))
    rig.do(actor, lambda me: [me.wakeupAfter(0.3), me.wakeupAfter(3600)])
    before, turns = resource.getrusage(resource.RUSAGE_SELF), rig.base.loop_turns
    assert endpoint.listen(20) == "woken"
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.1
    assert rig.base.loop_turns - turns <= 6


def test_idle_turns_are_not_run(rig: Rig) -> None:
    rig.do(rig.create(), lambda actor: None)
    turns = rig.base.loop_turns
    assert rig.listen(0.05) is None
    assert rig.base.loop_turns - turns <= 2


def test_many_timers_fire_once_each(rig: Rig) -> None:
    actor, count = rig.create(), 2000
    rig.do(actor, lambda me: [me.wakeupAfter(number % 50 / 1000, number) for number in range(count)])
    rig.wait_until(lambda: rig.do(actor, lambda me: len(me.seen)) == count)
    assert sorted(wakeup.payload for wakeup in rig.seen(actor, WakeupMessage)) == list(range(count))


def test_a_wakeup_without_delay_waits_for_the_next_turn(caller: Rig) -> None:
    turns: list[int] = []

    def note_turn(actor: Puppet, message: Any, sender: Any) -> None:
        turns.append(caller.base.loop_turns)
        if len(turns) < 5:
            actor.wakeupAfter(0)

    actor = caller.create()
    caller.react(actor, note_turn)
    caller.tell(actor, "start")
    assert caller.base.run_until(lambda: len(turns) == 5, 10)
    assert len(set(turns)) == 5


# Errors in the loop.


def test_an_error_of_the_loop_is_logged_and_the_loop_goes_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    actor, take = rig.create(), rig.base._take_incoming
    failed: list[int] = []

    def fail_once() -> None:
        if not failed:
            failed.append(1)
            raise OSError("a bug of ours")
        take()

    rig.do(actor, lambda me: me.wakeupAfter(3600))
    monkeypatch.setattr(rig.base, "_take_incoming", fail_once)
    assert rig.do(actor, lambda me: "goes on") == "goes on"
    assert failed == [1]
    assert "a bug of ours" in caplog.text


def test_a_loop_that_cannot_go_on_stops_the_system(caller: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(timeout_s: float | None) -> Events:
        raise OSError("the selector is broken")

    monkeypatch.setattr(caller.base, "_poll", fail)
    monkeypatch.setattr(caller.base, "_now", lambda: time.monotonic() + 1000)
    for _ in range(ERRORS_IN_A_ROW):
        caller.base.turn(1)
    assert caller.base.stopping
    monkeypatch.undo()


# What a subclass may replace.


class Lottery:
    """A ready queue that draws the next mailbox by lot."""

    def __init__(self, seed: int) -> None:
        self._cells: list[Cell] = []
        self._random = random.Random(seed)

    def append(self, cell: Cell) -> None:
        self._cells.append(cell)

    def popleft(self) -> Cell:
        return self._cells.pop(self._random.randrange(len(self._cells)))

    def __len__(self) -> int:
        return len(self._cells)


class VirtualBase(InProcessBase):
    """Time passes only by waiting, at once; ready mailboxes run in a seeded order."""

    def __init__(self, seed: int) -> None:
        self._clock_s = 0.0
        self._seed = seed
        super().__init__(logDefs=False, drive="caller")

    def _now(self) -> float:
        return self._clock_s

    def _poll(self, timeout_s: float | None) -> Events:
        assert timeout_s is not None, "nothing will ever happen"
        self._clock_s += timeout_s
        return ()

    def _make_ready_queue(self) -> Lottery:
        return Lottery(self._seed)


class Ticker(Actor):
    """Wakes every virtual minute until told often enough, then says how late it is."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, WakeupMessage):
            self.left -= 1
            if self.left:
                self.wakeupAfter(60)
            else:
                self.send(self.client, "done")
        elif isinstance(message, int):
            self.left, self.client = message, sender
            self.wakeupAfter(60)


def virtual_order(seed: int) -> list[int]:
    base = VirtualBase(seed)
    system = ActorSystem(systemBase=base, transientUnique=True)
    try:
        order: list[int] = []
        actors = [system.createActor(Puppet) for _ in range(20)]
        for number, address in enumerate(actors):
            system.tell(address, lambda me, _, n=number: setattr(me, "reaction", lambda *_: order.append(n)))
        source = system.createActor(Puppet)
        system.tell(source, lambda me, _: [me.send(address, "go") for address in actors])
        return list(order)
    finally:
        system.shutdown()


def test_a_subclass_can_bring_its_own_clock() -> None:
    base = VirtualBase(1)
    system = ActorSystem(systemBase=base, transientUnique=True)
    try:
        assert system.ask(system.createActor(Ticker), 10_000, 86_400 * 365) == "done"
        assert base.now() == 600_000.0
        assert system.ask(system.createActor(Puppet), "silence", 3600) is None
        assert base.now() == 603_600.0
    finally:
        system.shutdown()


def test_timers_fire_in_order_of_expiry_then_of_request() -> None:
    base = VirtualBase(1)
    system = ActorSystem(systemBase=base, transientUnique=True)
    delays = [number * 7 % 50 for number in range(2000)]
    fired: list[int] = []

    def reaction(actor: Puppet, message: Any, sender: Any) -> None:
        if isinstance(message, WakeupMessage):
            fired.append(message.payload)

    def request(actor: Puppet, sender: Any) -> None:
        actor.reaction = reaction
        for number, delay in enumerate(delays):
            actor.wakeupAfter(delay, number)

    try:
        system.tell(system.createActor(Puppet), request)
        base.run_for(50)
        assert fired == sorted(range(2000), key=lambda number: delays[number])  # a stable sort
    finally:
        system.shutdown()


def test_a_subclass_can_bring_its_own_order() -> None:
    assert virtual_order(1) == virtual_order(1)
    assert virtual_order(1) != virtual_order(2)
    assert sorted(virtual_order(1)) == list(range(20))


# The waker.


@pytest.mark.parametrize("eventfd", [True, False])
def test_a_waker_is_readable_until_cleared(eventfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not eventfd:
        monkeypatch.delattr("os.eventfd")
    waker = Waker()
    with selectors.DefaultSelector() as selector:
        selector.register(waker, selectors.EVENT_READ)

        def readable() -> bool:
            return bool(selector.select(0))

        assert not readable()
        for _ in range(3):
            waker.wake()
        assert readable()
        waker.clear()
        assert not readable()
        waker.clear()
        selector.unregister(waker)
    waker.close()
    waker.wake()
    assert not waker.raised
    waker.close()


def test_a_full_socket_pair_still_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.eventfd")
    waker = Waker()
    for _ in range(100_000):
        waker.wake()
    assert waker.raised
    waker.close()
