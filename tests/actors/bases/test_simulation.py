"""The simulation base with actors that know nothing of nodes: time, order, randomness, failures, and its own limits."""

from __future__ import annotations

import itertools
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from thespian.actors import ActorExitRequest, ActorSystem, ChildActorExited, PoisonMessage, WakeupMessage

from actors.bases.environment import environment_of
from actors.bases.sim_cell import Identity, LotQueue, Reordering
from actors.bases.sim_environment import StreamSeeds, derive_rng
from actors.bases.sim_kernel import VirtualKernel, WatchKey
from actors.bases.sim_time import TICK_S, EventHeap, VirtualClock, round_up
from actors.bases.sim_trace import Names
from actors.bases.simulation import SimulationBase, StandStill
from actors.bases.watch import Watch, WatchReady, watch_only
from tests.actors.bases.conftest import Puppet, open_descriptors

DAY_S = 86_400.0
MakeBase = Callable[..., SimulationBase]


@pytest.fixture
def make_base() -> Iterator[MakeBase]:
    made: list[SimulationBase] = []

    def make(seed: int | str = 1, **options: Any) -> SimulationBase:
        made.append(SimulationBase(seed, **options))
        return made[-1]

    yield make
    for base in made:
        base.shutdown()
        assert base.closed


@pytest.fixture
def base(make_base: MakeBase) -> SimulationBase:
    return make_base()


def puppet(base: SimulationBase, node: str = "node") -> tuple[Any, Puppet]:
    """A puppet on a node of that name: its address, and itself."""
    address = base.create_on(Identity(node, base.make_environment(node), network=f"network of {node}"), Puppet)
    return address, address.cell.instance


def on_tick(time_s: float) -> bool:
    return (time_s / TICK_S).is_integer()


# ---- time --------------------------------------------------------------------------------------------------------


def test_it_uses_no_thread_and_no_descriptor() -> None:
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    base = SimulationBase()
    puppet(base)
    base.run_for(1.0)
    assert set(threading.enumerate()) == threads
    assert open_descriptors() == descriptors
    base.shutdown()


def test_a_year_passes_at_once_and_timers_are_exact(base: SimulationBase) -> None:
    address, actor = puppet(base)
    times: list[float] = []

    def on_message(actor: Puppet, message: Any, sender: Any) -> None:
        times.append(base.now())
        actor.wakeupAfter(DAY_S)

    actor.reaction = on_message
    base.tell(address, "begin")
    base.run_for(365 * DAY_S)
    assert times == [day * DAY_S for day in range(366)]
    assert base.now() == 365 * DAY_S
    assert base.environment.wall_now() == base.wall_start + 365 * DAY_S


def test_a_timer_never_fires_early(base: SimulationBase) -> None:
    address, actor = puppet(base)
    rng = derive_rng(1, "delays")
    asked: list[float] = []
    fired: list[float] = []

    def on_message(actor: Puppet, message: Any, sender: Any) -> None:
        if isinstance(message, WakeupMessage):
            fired.append(base.now())
        asked.append(base.now() + (delay_s := rng.random()))
        actor.wakeupAfter(delay_s)

    actor.reaction = on_message
    base.tell(address, "begin")
    base.run_for(50.0)
    assert len(fired) > 80
    assert all(0.0 <= at - due < 2 * TICK_S for due, at in zip(asked, fired, strict=False))
    assert all(map(on_tick, fired))


def test_rounding_is_upwards_to_ticks() -> None:
    assert round_up(0.0) == 0.0
    assert round_up(1.0) == 1.0
    assert round_up(1e-12) == TICK_S
    assert round_up(0.1) >= 0.1
    assert on_tick(round_up(0.1) + 1_700_000_000.0)


def test_time_stands_still_between_runs_and_while_actors_work(base: SimulationBase) -> None:
    address, actor = puppet(base)
    base.run_for(5.0)
    assert base.now() == 5.0
    actor.reaction = lambda actor, message, sender: actor.send(sender, base.now())
    assert base.ask(address, "time?", 1.0) == 5.0
    assert base.now() == 5.0


def test_ask_waits_in_virtual_time(base: SimulationBase) -> None:
    address, actor = puppet(base)
    assert base.ask(address, "silence", 3600.0) is None
    assert base.now() == 3600.0
    actor.reaction = lambda actor, message, sender: (
        actor.send(asker[0], "late") if isinstance(message, WakeupMessage) else actor.wakeupAfter(10.0)
    )
    asker = [base._main.address]
    assert base.ask(address, "later", 60.0) == "late"
    assert base.now() == 3610.0


def test_waiting_for_ever_where_nothing_will_happen_is_an_error(base: SimulationBase) -> None:
    address, _ = puppet(base)
    with pytest.raises(StandStill, match="no timer and no packet"):
        base.ask(address, "silence", None)
    with pytest.raises(StandStill, match="nothing is left"):
        base.run_until(lambda: False)
    assert not base.step()


def test_run_until_looks_after_each_event(base: SimulationBase) -> None:
    address, actor = puppet(base)
    actor.reaction = lambda actor, message, sender: actor.wakeupAfter(1.0) if len(actor.seen) < 10 else None
    base.tell(address, "begin")
    assert base.run_until(lambda: len(actor.seen) == 4, 100.0)
    assert base.now() == 3.0
    assert not base.run_until(lambda: len(actor.seen) == 100, 2.0)
    assert base.now() == 5.0
    assert len(actor.seen) == 6, "what is due at the very end has happened"
    assert base.step()
    assert base.now() == 6.0


def test_an_actor_cannot_wait(base: SimulationBase) -> None:
    address, actor = puppet(base)
    errors: list[str] = []

    def on_message(actor: Puppet, message: Any, sender: Any) -> None:
        for wait in (lambda: base.ask(sender, "?", 1.0), lambda: base.run_for(1.0)):
            try:
                wait()
            except RuntimeError as error:
                errors.append(str(error))

    actor.reaction = on_message
    base.tell(address, "go")
    assert len(errors) == 2


def test_actors_that_never_fall_silent_are_stopped(make_base: MakeBase) -> None:
    base = make_base(messages_per_instant=1000)
    address, actor = puppet(base)
    actor.reaction = lambda actor, message, sender: actor.send(actor.myAddress, message)
    base.post_from_outside(address, "again", address)
    with pytest.raises(StandStill, match="1000 messages"):
        base.run_for(1.0)
    actor.reaction = None


def test_events_of_one_instant_come_by_lot() -> None:
    def order(seed: int) -> list[int]:
        heap = EventHeap(VirtualClock(), derive_rng(seed, "lots"), lambda cell, message: None)
        happened: list[int] = []
        for number in range(20):
            heap.call_at(1.0, lambda number, _: happened.append(number), number)
        while heap.run_next():
            continue
        return happened

    assert order(1) == order(1)
    assert sorted(order(1)) == list(range(20))
    assert len({tuple(order(seed)) for seed in range(5)}) == 5


def test_events_of_the_past_happen_now() -> None:
    clock = VirtualClock()
    clock.now = 7.0
    heap = EventHeap(clock, Random(1), lambda cell, message: None)
    heap.call_at(3.0, lambda _, __: None)
    assert heap.next_due == 7.0


def test_the_timers_of_the_dead_are_forgotten(base: SimulationBase) -> None:
    for _ in range(500):
        address, actor = puppet(base)
        actor.wakeupAfter(1e6)
        base.tell(address, ActorExitRequest())
    base.run_for(1.0)
    assert len(base.timers) < 200
    base.run_for(2e6)
    assert len(base.timers) == 0


def test_status_lists_pending_timers(base: SimulationBase) -> None:
    _, actor = puppet(base)
    actor.wakeupAfter(5.0)
    actor.wakeupAfter(2.0)
    puppet(base)[1].wakeupAfter(1.0)
    assert [due for due, _ in base.timers.of(actor._myRef)] == [2.0, 5.0]


# ---- nodes -------------------------------------------------------------------------------------------------------


def test_actors_and_their_children_live_on_their_node(base: SimulationBase) -> None:
    _, alice = puppet(base, "alice")
    _, bob = puppet(base, "bob")
    child = alice.createActor(Puppet).cell
    named = bob.createActor(Puppet, globalName="registry").cell
    stranger = base.newPrimaryActor(Puppet, None, None, None).cell
    homes = [cell.identity.name for cell in (alice._myRef, child, bob._myRef, named, stranger)]
    assert homes == ["alice", "alice", "bob", "bob", "system"]
    assert child.network == "network of alice"
    assert child.full_name == "alice/Puppet.1/Puppet.1"
    assert environment_of(child.instance) is alice._myRef.environment


def test_an_address_that_travels_as_text_finds_its_mailbox(base: SimulationBase) -> None:
    """Texts are made from labels, and back. A node may be called as the system is."""
    address, actor = puppet(base, base.name)
    child = actor.createActor(Puppet)
    grandchild = child.cell.instance.createActor(Puppet)
    named = actor.createActor(Puppet, globalName="registry")
    endpoint = base.open_endpoint()
    for one in (address, child, grandchild, named, endpoint.address, base.root.address):
        assert pickle.loads(pickle.dumps(one)) is one
    texts = [str(one.addressDetails).partition("/")[2] for one in (address, child, grandchild, named)]
    assert texts == ["Puppet.1", "Puppet.1/Puppet.1", "Puppet.1/Puppet.1/Puppet.1", "Puppet.2"]
    assert len({str(one.addressDetails) for one in (address, child, grandchild, named)}) == 4
    base.tell(child, ActorExitRequest(recursive=False))  # the grandchild is the system's from now on
    base.run_for(1.0)
    assert pickle.loads(pickle.dumps(grandchild)) is grandchild
    nobody = pickle.loads(pickle.dumps(child))
    assert nobody == child
    assert child == nobody
    assert nobody not in (address, grandchild)
    assert not hasattr(nobody, "cell")


def test_all_actors_are_found_through_their_parents(base: SimulationBase) -> None:
    address, actor = puppet(base)
    child = actor.createActor(Puppet)
    grandchild = child.cell.instance.createActor(Puppet)
    named = actor.createActor(Puppet, globalName="registry")
    everybody = [address.cell, child.cell, grandchild.cell, named.cell]
    assert list(base.cells.values()) == everybody
    assert base.cells == {cell.label: cell for cell in everybody}
    assert base.cells[child.cell.label] is child.cell
    assert -1 not in base.cells
    assert base.living == 4
    base.tell(child, ActorExitRequest(recursive=False))
    base.run_for(1.0)
    assert set(base.cells) == {address.cell.label, grandchild.cell.label, named.cell.label}
    assert base.living == 3
    base.bury(grandchild.cell, crashed=True)
    assert base.living == len(base.cells) == 2


def test_a_child_is_not_taken_for_another_one_of_its_name(base: SimulationBase) -> None:
    """The creator of a globally named actor hears of its end too, and has a child of the same class and number."""
    for _ in range(2):
        puppet(base)
    _, actor = puppet(base)
    named = actor.createActor(Puppet, globalName="registry")
    children = [actor.createActor(Puppet) for _ in range(4)]
    assert str(named.addressDetails).rpartition("/")[2] == str(children[3].addressDetails).rpartition("/")[2]
    base.tell(named, ActorExitRequest())
    base.run_for(1.0)
    assert [message.childAddress for message, _ in actor.seen if isinstance(message, ChildActorExited)] == [named]
    assert [child.address for child in actor._myRef.children] == children


def test_a_node_that_vanishes_tells_nobody(base: SimulationBase) -> None:
    address, alice = puppet(base, "alice")
    bob_address, bob = puppet(base, "bob")
    child = alice.createActor(Puppet)
    grandchild = child.cell.instance.createActor(Puppet)
    grandchild.cell.instance.wakeupAfter(1.0)
    base.tell(bob_address, "hello")
    for target in (address, child, grandchild):
        base.post_from_outside(target, "never handled", bob_address)
    base._take_incoming()
    assert base.vanish(alice._myRef.identity) == 3
    base.run_for(10.0)
    assert [message for message, _ in bob.seen] == ["hello"]
    assert not alice.seen
    assert list(base.cells.values()) == [bob._myRef]
    assert base.living == 1


def test_clocks_of_nodes_differ_by_their_offset(base: SimulationBase) -> None:
    ahead = base.make_environment("a", 100.0)
    base.run_for(1.0)
    assert ahead.wall_now() - base.environment.wall_now() == 100.0
    assert ahead.now() == base.environment.now() == 1.0


def test_randomness_comes_from_seed_node_and_name(make_base: MakeBase) -> None:
    def draws(seed: int | str, node: str, name: str) -> float:
        return make_base(seed).make_environment(node).rng(name).random()

    assert draws(1, "a", "x") == draws(1, "a", "x")
    names: list[tuple[int | str, str, str]] = [
        (1, "a", "x"),
        (2, "a", "x"),
        (1, "b", "x"),
        (1, "a", "y"),
        ("1", "a", "x"),
    ]
    assert len({draws(*name) for name in names}) == len(names)
    assert derive_rng("ab", "c").random() != derive_rng("a", "bc").random()


def test_the_rooms_of_a_node_share_a_generator_for_each_run(base: SimulationBase) -> None:
    alice, bob = base.make_environment("alice"), base.make_environment("bob")
    first = alice.room_rng("book")
    assert alice.room_rng("pool") is alice.common_rng() is first
    assert bob.room_rng("book") is not first
    alice.run += 1
    assert alice.room_rng("book") is not first


def test_these_are_the_numbers_on_every_machine() -> None:
    """The streams are part of what makes a digest comparable: they must not change unnoticed."""
    rng = derive_rng(7, "alice", 0, "peer book")
    assert [rng.getrandbits(32) for _ in range(3)] == [216565258, 3719771208, 3420786849]
    assert Random(StreamSeeds(7, "alice")(0, "peer book")).getrandbits(32) == 216565258
    base = SimulationBase(7)
    assert base.make_environment("alice").token_bytes(8).hex() == "5db514f60a8e649b"
    base.shutdown()


def test_a_second_life_draws_other_numbers(base: SimulationBase) -> None:
    environment = base.make_environment("a")
    first, token = environment.rng("x").random(), environment.token_bytes(8)
    assert environment.rng("x").random() == first
    environment.run += 1
    assert environment.rng("x").random() != first
    assert environment.token_bytes(8) != token


# ---- messages ----------------------------------------------------------------------------------------------------


def test_it_is_a_thespian_system(base: SimulationBase) -> None:
    system = ActorSystem(systemBase=base, transientUnique=True)
    address = system.createActor(Puppet)
    child = system.ask(address, lambda actor, sender: actor.send(sender, actor.createActor(Puppet)), 1.0)
    system.tell(child, ActorExitRequest())
    base.run_for(1.0)
    (exited,) = [message for message, _ in address.cell.instance.seen]
    assert isinstance(exited, ChildActorExited)
    system.shutdown()
    assert base.closed


def test_a_handler_that_raises_poisons_its_sender(base: SimulationBase) -> None:
    _, alice = puppet(base, "alice")
    bob_address, bob = puppet(base, "bob")

    def fail(actor: Puppet, message: Any, sender: Any) -> None:
        raise ValueError("no")

    bob.reaction = fail
    alice.send(bob_address, "message")
    base.run_for(0.0)
    assert isinstance(alice.seen[0][0], PoisonMessage)


def test_strict_messages_are_copies(make_base: MakeBase) -> None:
    base = make_base(strict=True)
    _, alice = puppet(base, "alice")
    bob_address, bob = puppet(base, "bob")
    message = ["a list"]
    alice.send(bob_address, message)
    alice.send(bob_address, lambda: None)
    base.run_for(0.0)
    assert bob.seen[0][0] == message
    assert bob.seen[0][0] is not message
    assert isinstance(alice.seen[0][0], PoisonMessage)


def arrivals(base: SimulationBase, senders: int, messages: int) -> tuple[list[tuple[int, int]], float]:
    """Let puppets send numbered messages to one receiver; return (sender, number) in order of arrival, and when the
    last came."""
    address, receiver = puppet(base, "receiver")
    last: list[float] = []
    receiver.reaction = lambda actor, message, sender: last.append(base.now())
    actors = [puppet(base, f"sender {number}")[1] for number in range(senders)]
    for number, sender in itertools.product(range(messages), range(senders)):
        actors[sender].send(address, (sender, number))
    base.run_for(10.0)
    return [message for message, _ in receiver.seen], max(last)


def test_without_reordering_messages_come_as_sent_and_at_once(base: SimulationBase) -> None:
    seen, last = arrivals(base, 3, 20)
    assert seen == [(sender, number) for number in range(20) for sender in range(3)]
    assert last == 0.0


def test_reordering_delays_within_bounds_and_keeps_the_order_of_a_pair(make_base: MakeBase) -> None:
    seen, last = arrivals(make_base(reordering=Reordering(0.5)), 3, 20)
    assert seen != sorted(seen, key=lambda pair: pair[1])
    for sender in range(3):
        assert [number for who, number in seen if who == sender] == list(range(20))
    assert 0.25 < last <= 0.5 + 20 * TICK_S
    again, _ = arrivals(make_base(reordering=Reordering(0.5)), 3, 20)
    other, _ = arrivals(make_base(2, reordering=Reordering(0.5)), 3, 20)
    assert seen == again != other


def test_reordering_may_break_the_order_of_a_pair(make_base: MakeBase) -> None:
    seen, last = arrivals(make_base(reordering=Reordering(0.5, break_pair_order=True)), 1, 50)
    assert sorted(seen) == [(0, number) for number in range(50)] != seen
    assert last <= 0.5 + TICK_S


def test_a_reordering_is_checked() -> None:
    with pytest.raises(ValueError, match="max_delay_s"):
        Reordering(-1.0)


def test_the_lot_queue_draws_each_once() -> None:
    queue = LotQueue(derive_rng(1))
    cells: list[Any] = list(range(50))
    for cell in cells:
        queue.append(cell)
    drawn = [queue.popleft() for _ in range(len(queue))]
    assert drawn != cells
    assert sorted(drawn) == cells
    with pytest.raises(IndexError):
        queue.popleft()


# ---- descriptors -------------------------------------------------------------------------------------------------


class File(WatchKey):
    """A file that is ready for what it is told."""

    def __init__(self, mask: int) -> None:
        super().__init__()
        self.mask = mask

    def readiness(self) -> int:
        return self.mask


def test_a_watch_is_served_until_the_file_is_not_ready(base: SimulationBase) -> None:
    address, actor = puppet(base)
    file = File(3)
    fd = base.kernel.open(file)
    watch = Watch([fd], [fd])

    def on_message(actor: Puppet, message: Any, sender: Any) -> Watch:
        if len(actor.seen) == 4:
            file.mask = 0
        return watch

    actor.reaction = on_message
    base.tell(address, "begin")
    base.run_for(1.0)
    ready = [message for message, _ in actor.seen if isinstance(message, WatchReady)]
    assert [(message.ready, message.writable) for message in ready] == [([fd], (fd,))] * 3
    file.mask = 1
    base.kernel.touch(fd)
    file_later = base.kernel.open(File(1))
    base.kernel.touch(file_later)  # nobody watches it
    actor.reaction = None
    base.run_for(1.0)
    assert actor.seen[-1][0].ready == [fd]
    assert len(actor.seen) == 5, "None ended the watch"


def test_what_an_actor_watches_only_is_held_until_it_says_otherwise_or_is_gone(base: SimulationBase) -> None:
    address, actor = puppet(base)
    cell, kernel = actor._myRef, base.kernel
    first, second = File(0), File(0)
    fds = kernel.open(first), kernel.open(second)

    def watched() -> dict[int, int]:
        return {fd: key.events for fd, key in kernel.get_map().items()}

    assert watch_only(actor, fds[0], 1) is None, "nothing is to be returned"
    base.tell(address, "a message, and no watch is returned")
    base.run_for(1.0)
    assert watched() == {fds[0]: 1}
    first.mask = 1
    kernel.touch(fds[0])
    actor.reaction = lambda actor, message, sender: setattr(first, "mask", 0)
    base.run_for(1.0)
    assert [message.ready for message, _ in actor.seen if isinstance(message, WatchReady)] == [[fds[0]]]
    watch_only(actor, fds[0], 3)
    assert watched() == {fds[0]: 3}
    watch_only(actor, fds[1], 2)
    assert watched() == {fds[1]: 2}
    watch_only(actor, -1, 0)
    assert watched() == {}
    assert cell.held is None
    watch_only(actor, fds[1], 1)
    base.tell(address, ActorExitRequest())
    base.run_for(1.0)
    assert watched() == {}, "with the actor"


def test_a_mark_of_a_watch_that_has_ended_wakes_nobody_for_a_later_one(base: SimulationBase) -> None:
    _, alice = puppet(base, "alice")
    _, bob = puppet(base, "bob")
    kernel, file = base.kernel, File(1)
    first, second = alice._myRef, bob._myRef
    fd = kernel.open(file)
    kernel.register(fd, 1, first)
    kernel.unregister(fd)
    kernel.register(fd, 1, second)
    assert [message is file for message, _ in first.inbox] == [False]
    assert [message is file for message, _ in second.inbox] == [True]
    file.mask = 0
    base.run_for(1.0)
    assert (alice.seen, bob.seen) == ([], [])
    assert not file.is_told


def test_the_kernel_refuses_what_a_selector_refuses() -> None:
    kernel = VirtualKernel()
    with pytest.raises(OSError, match="descriptor"):
        kernel.register(77, 1)
    fd = kernel.open(File(1))
    kernel.register(fd, 1)
    with pytest.raises(KeyError):
        kernel.register(fd, 1)
    assert kernel.get_key(fd).events == 1
    kernel.modify(fd, 2)
    assert kernel.select() == []
    kernel.close_fd(fd)
    kernel.unregister(fd)
    with pytest.raises(KeyError):
        kernel.modify(fd, 1)
    assert kernel.open(File(0)) != fd, "a number is never used twice"


# ---- the trace ---------------------------------------------------------------------------------------------------


def test_the_trace_names_everything_delivered(make_base: MakeBase) -> None:
    lines: list[str] = []
    base = make_base(keep_trace=lines.extend)
    _, alice = puppet(base, "alice")
    bob_address, bob = puppet(base, "bob")
    alice.send(bob_address, 5)
    bob.reaction = lambda actor, message, sender: actor.wakeupAfter(2.0) if message == 5 else None
    base.run_for(3.0)
    digest = base.digest()
    assert lines == [
        "@0",
        "1 is alice/Puppet.1",
        "2 is bob/Puppet.2",
        "1 > 2 int",
        f"@{2 << 20}",
        "2 > 2 WakeupMessage",
    ]
    named = [*lines[:3], "alice/Puppet.1 > bob/Puppet.2 int", lines[4], "bob/Puppet.2 > bob/Puppet.2 WakeupMessage"]
    assert base.recent(10) == named
    names = Names()
    names.learn(lines)
    assert [names.read(line) for line in lines] == named
    assert base.trace.count == len(lines)
    assert base.digest() == digest
    assert len(digest) == 64
    base.trace.note("one more")
    assert base.digest() != digest


def test_traces_do_not_name_the_process(make_base: MakeBase) -> None:
    """The second system of a process has another name in its addresses, and the same history."""
    digests = []
    for _ in range(2):
        base = make_base()
        address, actor = puppet(base)
        actor.reaction = lambda actor, message, sender: actor.send(sender, "answer")
        assert base.ask(address, os.getpid(), 1.0) == "answer"
        digests.append(base.digest())
    assert digests[0] == digests[1]
