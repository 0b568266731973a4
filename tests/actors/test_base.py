"""HouseActor: dispatch, failures, timers, answers, events."""

from __future__ import annotations

from typing import Any

from thespian.actors import ActorExitRequest, ChildActorExited, PoisonMessage

from actors.asked import AskedActor
from actors.wiring import Charter, Forwarded, Init, Rooms, Subscriber, SubscribersChanged
from core.config import NodeConfig
from core.effects import Emit, Reply, Room, Tell
from core.events import NetworkReady, UnbanPeer
from core.messages import (
    ActorMessage,
    Done,
    EventBatch,
    GetBans,
    GetNodeInfo,
    NodeInfoAnswer,
    Query,
)
from core.wire.payloads import NodeInfo
from tests.actors.world import Complaints, Probe, World, override

INFO = NodeInfo(b"\1", "1.1", "n")


class Do(ActorMessage, frozen=True):
    """Do what the word says."""

    word: str


class Worker(AskedActor):
    """Does words."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.released = 0
        self.fired: list[float] = []
        self.due: float | None = None
        self.children: list[Any] = []
        self.lost: list[Any] = []

    def receiveMsg_Do(self, message: Do, sender: Any) -> None:
        self.words.append(message.word)
        if message.word in ("fail", "fail twice"):
            raise RuntimeError("as told")
        if message.word == "child":
            self.children.append(self.createActor(Worker))
        if message.word == "fail child":
            self.send(self.children[-1], Do("fail"))
        if message.word.startswith("due "):
            self.due = self.environment.now() + float(message.word[4:])

    def receiveMsg_GetNodeInfo(self, message: GetNodeInfo, sender: Any) -> None:
        ask_id = self.remember_asker(sender, message.request_id)
        self.apply([Reply(ask_id, NodeInfoAnswer(0, INFO)), Reply(ask_id, NodeInfoAnswer(0, INFO))])

    def receiveMsg_Tell(self, message: Tell, sender: Any) -> None:
        self.apply([message])

    def receiveMsg_Emit(self, message: Emit, sender: Any) -> None:
        self.apply([message])

    def receiveMsg_Init(self, message: Init, sender: Any) -> None:
        self._adopt_charter(message.charter)

    def receiveMsg_ChildActorExited(self, message: ChildActorExited, sender: Any) -> None:
        self.lost.append(message.childAddress)

    def deadline(self) -> float | None:
        return self.due

    def on_time(self, now: float) -> None:
        self.fired.append(now)
        self.due = None

    def release(self) -> None:
        self.released += 1
        if "fail twice" in self.words:
            raise OSError("cannot release")


class Late(Worker):
    """Waits for Init."""

    WAITS_FOR_INIT = True

    def receiveMsg_Init(self, message: Init, sender: Any) -> None:
        super().receiveMsg_Init(message, sender)
        self.words.append("init")
        self.catch_up()


def charter(room: Any, *subscribers: Subscriber) -> Charter:
    return Charter(NodeConfig(), INFO, 5001, b"s", Rooms(room, room, room, None), subscribers)


def start(world: World, kind: type[Worker] = Worker) -> tuple[Any, Worker, Probe]:
    address = world.create(kind)
    return address, world.instance(address), world.probe()


def test_a_handler_that_raises_is_logged_and_ends_its_actor(world: World, complaints: Complaints) -> None:
    address, worker, probe = start(world)
    probe.tell(address, Do("fail"))
    probe.tell(address, Do("more"))
    world.run(1)
    complaints.expect("Worker failed on Do")
    assert worker.words == ["fail"]  # no second try on half-changed state, nothing after it
    assert worker.released == 1
    assert world.instance(address) is None
    assert probe.got == []  # no PoisonMessage for somebody who did nothing wrong


def test_the_parent_of_a_crashed_actor_hears_of_it(world: World, complaints: Complaints) -> None:
    address, worker, probe = start(world)
    probe.tell(address, Do("child"))
    probe.tell(address, Do("fail child"))
    world.run(1)
    complaints.expect("Worker failed on Do")
    assert worker.lost == worker.children
    assert world.instance(address) is worker


def test_an_actor_that_cannot_even_release_goes_all_the_same(world: World, complaints: Complaints) -> None:
    address, worker, probe = start(world)
    probe.tell(address, Do("fail twice"))
    world.run(1)
    complaints.expect("Worker failed on Do")
    assert worker.released == 1
    assert world.instance(address) is None


def test_an_exit_by_order_releases_once(world: World) -> None:
    address, worker, probe = start(world)
    probe.tell(address, ActorExitRequest())
    world.run(1)
    assert worker.released == 1
    assert world.instance(address) is None


def test_unknown_messages_are_logged(world: World, complaints: Complaints) -> None:
    address, worker, probe = start(world)
    probe.tell(address, GetBans(1))
    probe.tell(address, Do("go on"))
    world.run(1)
    complaints.expect("Worker does not know the message GetBans")
    assert worker.words == ["go on"]


def test_what_others_could_not_handle_is_logged(world: World, complaints: Complaints) -> None:
    address, _, probe = start(world)
    probe.tell(address, PoisonMessage(Do("x"), "why"))
    world.run(1)
    complaints.expect("a Do was refused: why")


def test_an_effect_that_nobody_carries_out_is_an_error(world: World, complaints: Complaints) -> None:
    address, worker, probe = start(world)
    override(worker, "receiveMsg_Do", lambda *_: worker.apply([Done(1)]))  # type: ignore[list-item]
    probe.tell(address, Do(""))
    world.run(1)
    complaints.expect("Worker failed on Do")


# ---- queries ----


def test_a_query_is_answered_once_with_its_number(world: World) -> None:
    address, _, probe = start(world)
    probe.tell(address, GetNodeInfo(77))
    world.run(1)
    assert probe.got == [NodeInfoAnswer(77, INFO)]


def test_a_query_that_nobody_waits_for_is_not_answered(world: World) -> None:
    address, _, probe = start(world)
    probe.tell(address, GetNodeInfo(0))
    world.run(1)
    assert probe.got == []


def test_a_forwarded_query_is_answered_to_the_asker(world: World, complaints: Complaints) -> None:
    address, _, probe = start(world)
    other = world.probe()
    probe.tell(address, Forwarded(other.address, GetNodeInfo(5)))
    probe.tell(address, Forwarded(other.address, GetBans(6)))
    world.run(1)
    assert (probe.got, other.got) == ([], [NodeInfoAnswer(5, INFO)])
    complaints.expect("does not know the message GetBans")


# ---- events and rooms ----


def test_subscribers_get_what_they_want_in_one_batch(world: World) -> None:
    address, _, probe = start(world)
    everything, some, nothing = world.probe(), world.probe(), world.probe()
    subscribers = (
        Subscriber(everything.address, None),
        Subscriber(some.address, frozenset({UnbanPeer.NAME})),
        Subscriber(nothing.address, frozenset({"EVENT_OF_ANOTHER_KIND"})),
    )
    probe.tell(address, Init(charter(probe.address, *subscribers)))
    events = (NetworkReady(), UnbanPeer(ip_address="1.1.1.1"), UnbanPeer(ip_address="2.2.2.2"))
    probe.tell(address, Emit(events))
    world.run(1)
    assert everything.got == [EventBatch(events)]
    assert some.got == [EventBatch(events[1:])]
    assert nothing.got == []
    probe.tell(address, SubscribersChanged(()))
    probe.tell(address, Emit(events))
    world.run(1)
    assert len(everything.got) == 1


def test_rooms_are_told_and_replaced_and_a_missing_one_hears_nothing(world: World) -> None:
    address, _, probe = start(world)
    old, new = world.probe(), world.probe()
    probe.tell(address, Rooms(new.address, new.address, new.address, None))  # before there is a charter
    probe.tell(address, Init(charter(old.address)))
    probe.tell(address, Tell(Room.BOOK, Do("one")))
    probe.tell(address, Tell(Room.SERVER, Do("nobody there")))
    probe.tell(address, Rooms(old.address, old.address, new.address, None))
    probe.tell(address, Tell(Room.BOOK, Do("two")))
    world.run(1)
    assert (old.got, new.got) == ([Do("one")], [Do("two")])


def test_messages_that_overtake_init_are_handled_after_it_in_order(world: World) -> None:
    address, worker, probe = start(world, Late)
    for word in ("one", "two"):
        probe.tell(address, Do(word))
    probe.tell(address, GetNodeInfo(3))
    world.run(1)
    assert (worker.words, probe.got) == ([], [])
    probe.tell(address, Init(charter(probe.address)))
    probe.tell(address, Do("three"))
    world.run(1)
    assert worker.words == ["init", "one", "two", "three"]
    assert probe.got == [NodeInfoAnswer(3, INFO)]


def test_one_that_waits_for_init_can_be_told_to_go(world: World) -> None:
    address, worker, probe = start(world, Late)
    probe.tell(address, ActorExitRequest())
    world.run(1)
    assert worker.released == 1


# ---- timers ----


def test_on_time_is_called_at_the_deadline(world: World) -> None:
    address, worker, probe = start(world)
    before = world.environment.time
    probe.tell(address, Do("due 5"))
    world.run(4.9)
    assert worker.fired == []
    world.run(0.2)
    assert worker.fired == [before + 5]


def test_a_deadline_that_moves_is_met_where_it_is(world: World) -> None:
    address, worker, probe = start(world)
    before = world.environment.time
    probe.tell(address, Do("due 5"))
    probe.tell(address, Do("due 2"))
    world.run(1)
    probe.tell(address, Do("due 10"))
    world.run(20)
    assert worker.fired == [before + 11]


def test_timers_do_not_pile_up(world: World) -> None:
    """Thespian's timers cannot be cancelled: one far deadline and many near ones must not leave a timer for each."""
    address, _, probe = start(world)
    for _ in range(50):
        probe.tell(address, Do("due 100"))
        probe.tell(address, Do("due 0.5"))
        world.run(1)
    for _ in range(50):
        probe.tell(address, Do("due -1"))  # overdue, again and again, before the timer can fire
    assert len(world.base.timers) <= 2
    world.run(200)
    assert len(world.base.timers) == 0


def test_an_overdue_deadline_does_not_spin(world: World) -> None:
    address, worker, probe = start(world)
    worker.on_time = lambda now: worker.fired.append(now)  # type: ignore[method-assign]  # and stays due
    probe.tell(address, Do("due 0"))
    world.run(1)
    assert 100 < len(worker.fired) <= 1001


def test_every_query_is_known_to_be_one() -> None:
    """The answers' ``request_id`` is replaced by ``do_reply``: it must be there."""
    assert issubclass(NodeInfoAnswer, Query)
