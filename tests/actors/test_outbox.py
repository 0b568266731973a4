"""What a program says to its node: order, batches, the short way to a peer, and what happens when that has ended."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.outbox import MAX_COMMANDS, TOGETHER, Outbox
from core import messages as m
from core.ids import PeerId

A, B = PeerId("10.0.0.1:5001"), PeerId("10.0.0.2:5001")


def message(number: int, peer_id: PeerId | None = A) -> m.SendMessage:
    return m.SendMessage(0, str(number), None, peer_id)


class House:
    """A node, as seen through the outbox: what it was sent, by whom it will be answered."""

    def __init__(self) -> None:
        self.to_node: list[m.ActorMessage] = []
        self.to_peers: list[tuple[Any, m.ActorMessage]] = []
        self.due: list[Callable[[], None]] = []
        self.searches: list[PeerId] = []
        self.is_willing = False
        self.expected: list[Any] = []
        self.handed: list[tuple[Any, m.ActorMessage]] = []
        self.tell_node = self.to_node.append
        self.soon = self.due.append
        self.expect = self.expected.append
        self.outbox = Outbox(self, self.find)

    def tell(self, to: Any, message: m.ActorMessage) -> None:
        self.to_peers.append((to, message))

    def hand(self, to: Any, message: m.ActorMessage, again: bool) -> bool:
        if self.is_willing:
            assert self.expected[-1] == (id(to), type(message)), "the loop comes to rest in this very call"
            self.handed.append((to, message))
        return self.is_willing

    def hurry(self, call: Callable[[], None], again: bool) -> bool:
        if self.is_willing or again:
            call()
        return self.is_willing or again

    def find(self, peer_id: PeerId) -> int:
        self.searches.append(peer_id)
        self.to_node.append(m.FindPeer(len(self.searches), peer_id))
        return len(self.searches)

    def turn(self) -> None:
        """The loop's turn."""
        due = self.due.copy()
        self.due.clear()
        for call in due:
            call()

    def say(self, *numbers: int, peer_id: PeerId = A) -> None:
        for number in numbers:
            self.outbox.add(message(number, peer_id), peer_id)

    def routed(self) -> House:
        """With a known way to A, and a clean slate."""
        self.say(0)
        self.turn()
        self.outbox.on_found(len(self.searches), A, "actor A")
        self.to_node.clear()
        return self


def numbers(commands: m.PeerCommands) -> list[int]:
    return [int(command.event) for command in commands.commands if isinstance(command, m.SendMessage)]


def test_who_is_asked_or_answered_is_expected_to_say_something_soon() -> None:
    house = House().routed()
    house.say(1)
    house.turn()
    assert house.expected == []  # nobody waits for an answer to a message
    house.outbox.add(m.SendRequest(1, "p", None), A)
    house.outbox.add(m.AnswerCall(7, b"answer"), None, "actor B")
    house.turn()
    asked, answered = house.expected
    assert len({asked, answered, (id("actor A"), m.AnswerCall), (id("actor B"), m.SendRequest)}) == 4
    house.outbox.add(m.SendRequest(2, "p", None), None)
    house.turn()
    assert len(house.expected) == 3  # whoever it will be


def test_the_first_messages_take_the_long_way_and_the_question_follows_them() -> None:
    house = House()
    house.say(1, 2)
    assert house.to_node == []  # not before the loop's turn
    house.turn()
    assert house.to_node == [message(1), message(2), m.FindPeer(1, A)]
    assert house.to_peers == []


def test_one_turn_is_asked_for_whatever_is_said() -> None:
    house = House()
    house.say(1, 2, 3)
    assert len(house.due) == 1
    house.turn()
    house.say(4)
    assert len(house.due) == 1


def test_who_waits_for_an_answer_need_not_wait_for_the_turn() -> None:
    house = House().routed()
    house.outbox.add(m.SendRequest(1, "p", None), A, hurry=True)
    assert house.to_peers == []  # it was not the moment
    house.turn()
    house.is_willing = True
    house.outbox.add(m.SendRequest(2, "p", None), A, hurry=True)
    assert house.due == []
    assert house.handed == [("actor A", m.SendRequest(2, "p", None))]
    assert house.expected[-1] == (id("actor A"), m.SendRequest)
    house.say(3)
    house.outbox.add(m.SendRequest(4, "p", None), A, hurry=True)  # what is said already is in order with the rest
    house.turn()
    assert house.to_peers[1][1] == m.PeerCommands((message(3), m.SendRequest(4, "p", None)))


def test_who_is_in_a_hurry_among_many_leaves_with_them() -> None:
    house = House().routed()
    house.is_willing = True
    for number in (1, 2, 3):
        house.outbox.add(m.SendRequest(number, "p", None), A, hurry=True, alone=False)
    assert (house.handed, house.to_peers) == ([], [])
    house.turn()
    ((_, sent),) = house.to_peers
    assert isinstance(sent, m.PeerCommands)
    assert len(sent.commands) == 3


def test_who_is_in_a_hurry_waits_behind_a_message_to_many() -> None:
    house = House().routed()
    house.is_willing = True
    house.outbox.add(m.BroadcastMessage(0, "all", None))
    house.turn()
    house.outbox.add(m.SendRequest(1, "p", None), A, hurry=True)
    assert house.handed == []
    assert house.searches == [A, A]


def test_what_handlers_send_goes_out_when_they_have_run() -> None:
    house = House().routed()
    held = house.outbox.hold_back()
    house.outbox.add(m.AnswerCall(1, b"a"), None, "actor A")
    house.outbox.add(m.AnswerCall(2, b"b"), None, "actor A")
    assert (house.due, house.to_peers) == ([], [])
    house.outbox.let_go(held, again=True)
    house.turn()
    assert house.to_peers == [("actor A", m.PeerCommands((m.AnswerCall(1, b"a"), m.AnswerCall(2, b"b"))))]


@pytest.mark.parametrize("is_willing", [True, False])
def test_a_single_answer_is_handed_to_the_actor(is_willing: bool) -> None:
    house = House().routed()
    house.is_willing = is_willing
    held = house.outbox.hold_back()
    house.outbox.add(m.AnswerCall(1, b"a"), None, "actor A")
    house.outbox.let_go(held, again=True)
    house.turn()
    assert house.handed == ([("actor A", m.AnswerCall(1, b"a"))] if is_willing else [])
    assert house.to_peers == ([] if is_willing else [("actor A", m.PeerCommands((m.AnswerCall(1, b"a"),)))])
    assert set(house.expected) == {(id("actor A"), m.AnswerCall)}
    house.say(3)
    house.turn()
    assert len(house.to_peers) == 2 - is_willing, "what comes next goes its way"


def test_what_another_thread_adds_while_handlers_run_is_not_forgotten() -> None:
    house = House().routed()
    held = house.outbox.hold_back()
    house.say(5)
    house.outbox.let_go(held, again=True)
    house.turn()
    assert numbers(house.to_peers[0][1]) == [5]
    held = house.outbox.hold_back()
    house.outbox.let_go(held, again=True)
    house.say(6)
    house.turn()
    assert numbers(house.to_peers[1][1]) == [6]


def test_handlers_that_run_while_something_waits_add_to_it() -> None:
    house = House().routed()
    house.is_willing = True
    house.say(5)
    held = house.outbox.hold_back()
    house.outbox.add(m.AnswerCall(1, b"a"), None, "actor A")
    house.outbox.let_go(held, again=True)
    assert len(house.due) == 1
    house.turn()
    assert house.handed == []
    assert house.to_peers == [("actor A", m.PeerCommands((message(5), m.AnswerCall(1, b"a"))))]
    house.say(6)
    assert len(house.due) == 1


def test_many_who_wait_for_answers_leave_in_groups_before_the_turn_is_over() -> None:
    house = House().routed()
    for number in range(1, 2 * TOGETHER + 3):
        house.outbox.add(m.SendRequest(number, "p", None), A, hurry=True)
    assert [len(sent.commands) for _, sent in house.to_peers] == [TOGETHER, TOGETHER]
    house.turn()
    assert [len(sent.commands) for _, sent in house.to_peers] == [TOGETHER, TOGETHER, 2]


def test_what_follows_waits_for_the_answer_and_goes_straight() -> None:
    house = House()
    house.say(1)
    house.turn()
    house.say(2, 3)
    house.turn()
    assert house.to_node == [message(1), m.FindPeer(1, A)]
    house.outbox.on_found(1, A, "actor A")
    house.say(4)
    house.turn()
    assert [(to, numbers(sent)) for to, sent in house.to_peers] == [("actor A", [2, 3]), ("actor A", [4])]
    assert house.searches == [A]


def test_a_turns_messages_leave_as_one_for_each_peer() -> None:
    house = House().routed()
    house.say(1)
    house.say(2, peer_id=B)
    house.say(3)
    house.turn()
    assert [(to, numbers(sent)) for to, sent in house.to_peers] == [("actor A", [1, 3])]
    assert house.to_node == [message(2, B), m.FindPeer(2, B)]


def test_a_batch_has_a_limit() -> None:
    house = House().routed()
    house.say(*range(1, 2 * MAX_COMMANDS + 2))
    house.turn()
    assert [len(sent.commands) for _, sent in house.to_peers] == [MAX_COMMANDS, MAX_COMMANDS, 1]
    assert [number for _, sent in house.to_peers for number in numbers(sent)] == list(range(1, 2 * MAX_COMMANDS + 2))


def test_a_peer_that_is_not_there_is_left_to_the_node_to_refuse() -> None:
    house = House()
    house.say(1)
    house.turn()
    house.say(2)
    house.turn()
    house.outbox.on_not_found(1, A)
    assert house.to_node == [message(1), m.FindPeer(1, A), message(2)]
    house.say(3)
    house.turn()
    assert house.to_node[3:] == [message(3), m.FindPeer(2, A)]


def test_a_stale_route_is_given_up_and_its_actor_let_go() -> None:
    house = House().routed()
    house.outbox.on_gone(m.PeerGone(A), "actor A")
    assert house.to_peers == [("actor A", m.PeerReleased())]
    house.say(1)
    house.turn()
    assert house.to_node == [message(1), m.FindPeer(2, A)]


def test_a_peer_that_goes_between_the_question_and_its_answer() -> None:
    house = House()
    house.say(1)
    house.turn()
    house.say(2)
    house.turn()
    house.outbox.on_gone(m.PeerGone(A), "actor A")
    assert house.to_node == [message(1), m.FindPeer(1, A), message(2)]
    house.outbox.on_found(1, A, "actor A")  # overtaken
    house.say(3)
    house.turn()
    assert house.to_node[3:] == [message(3), m.FindPeer(2, A)]
    house.outbox.on_found(1, A, "actor A")  # the answer to an earlier question proves nothing about message 3
    house.say(4)
    house.turn()
    assert house.to_peers == [("actor A", m.PeerReleased())]


def test_the_end_of_an_earlier_connection_leaves_the_present_one_alone() -> None:
    house = House().routed()
    house.outbox.on_gone(m.PeerGone(A), "an older actor")
    house.say(1)
    house.turn()
    assert [to for to, _ in house.to_peers] == ["an older actor", "actor A"]


def test_a_crash_that_the_pool_tells_of_ends_a_route_without_an_answer() -> None:
    house = House().routed()
    house.outbox.on_gone(m.PeerGone(A, crashed=True), "pool")
    assert house.to_peers == []
    house.say(1)
    house.turn()
    assert house.to_node == [message(1), m.FindPeer(2, A)]


def test_a_message_to_many_comes_between_what_was_said_before_and_after_it() -> None:
    house = House().routed()
    house.say(1)
    house.outbox.add(m.BroadcastMessage(0, "all", None))
    house.say(2)
    house.turn()
    house.say(3)
    house.turn()
    assert [(to, numbers(sent)) for to, sent in house.to_peers] == [("actor A", [1])]
    assert house.to_node == [m.BroadcastMessage(0, "all", None), m.FindPeer(2, A)]
    house.outbox.on_found(2, A, "actor A")
    assert numbers(house.to_peers[1][1]) == [2, 3]


def test_broadcasts_in_a_row_are_one_message() -> None:
    house = House().routed()
    all_of_them = tuple(m.BroadcastMessage(number, str(number), None) for number in range(MAX_COMMANDS + 1))
    house.say(1)
    for broadcast in all_of_them[:3]:
        house.outbox.add(broadcast)
    house.say(2)
    house.outbox.add(all_of_them[3])
    house.turn()
    assert [numbers(sent) for _, sent in house.to_peers] == [[1]]
    assert house.to_node[0] == m.Broadcasts(all_of_them[:3])
    assert house.to_node[1:] == [m.FindPeer(2, A), message(2), all_of_them[3]]
    house.to_node.clear()
    for broadcast in all_of_them:
        house.outbox.add(broadcast)
    house.turn()
    assert house.to_node == [m.Broadcasts(all_of_them[:MAX_COMMANDS]), m.Broadcasts(all_of_them[MAX_COMMANDS:])]


def test_two_messages_to_many_in_a_row() -> None:
    house = House().routed()
    house.outbox.add(message(1, None))
    house.say(2)
    house.turn()
    house.outbox.add(message(3, None))
    house.say(4)
    house.turn()
    assert house.to_peers == []
    assert house.to_node == [message(1, None), m.FindPeer(2, A), message(2), message(3, None), m.FindPeer(3, A)]
    house.outbox.on_found(2, A, "actor A")  # says nothing about message 3
    assert house.to_peers == []
    house.outbox.on_found(3, A, "actor A")
    assert numbers(house.to_peers[0][1]) == [4]


def test_what_waits_for_an_address_goes_before_a_message_to_many() -> None:
    house = House()
    house.say(1)
    house.turn()
    house.say(2)
    house.outbox.add(message(3, None))
    house.turn()
    assert house.to_node == [message(1), m.FindPeer(1, A), message(2), message(3, None)]


def test_a_question_to_the_node_leaves_routes_alone() -> None:
    house = House().routed()
    house.outbox.add(m.GetBans(7))
    house.say(1)
    house.turn()
    assert house.to_node == [m.GetBans(7)]
    assert [to for to, _ in house.to_peers] == ["actor A"]


def test_answers_go_to_the_actor_that_asked_with_what_else_it_gets() -> None:
    house = House().routed()
    actor = "actor A"
    house.outbox.on_gone(m.PeerGone(A), "other")
    house.to_peers.clear()
    house.outbox.add(m.AnswerCall(1, None), None, actor)
    house.outbox.add(m.RefuseCall(2, "no"), None, actor)
    house.turn()
    assert house.to_peers == [(actor, m.PeerCommands((m.AnswerCall(1, None), m.RefuseCall(2, "no"))))]


class Network:
    """Program, node (with its pool) and peers' actors, between which messages wait in lines of their own.

    ``deliver`` takes from any line, as between processes: only the order within a line is kept. Within one process
    (``is_inside``) what the program sends straight to an actor is in its mailbox at once.
    """

    def __init__(self, is_inside: bool) -> None:
        self.is_inside = is_inside
        self.lines: dict[tuple[str, str], deque[Any]] = defaultdict(deque)
        self.arrived: dict[PeerId, list[int]] = {A: [], B: []}
        self.searches = 0
        self.turns: list[Callable[[], None]] = []
        self.soon = self.turns.append
        self.outbox = Outbox(self, self.find)

    def tell_node(self, message: m.ActorMessage) -> None:
        self.lines["", "node"].append(message)

    def hurry(self, call: Callable[[], None], again: bool) -> bool:
        return False

    def hand(self, to: Any, message: m.ActorMessage, again: bool) -> bool:
        return False

    def expect(self, remote: Any) -> None:
        pass

    def tell(self, to: PeerId, sent: m.ActorMessage) -> None:
        if self.is_inside:
            self.arrive(to, sent)
        else:
            self.lines["", to].append(sent)

    def find(self, peer_id: PeerId) -> int:
        self.searches += 1
        self.lines["", "node"].append(m.FindPeer(self.searches, peer_id))
        return self.searches

    def turn(self) -> None:
        turns = self.turns.copy()
        self.turns.clear()
        for call in turns:
            call()

    def deliver(self, choice: int) -> bool:
        lines = [key for key, line in self.lines.items() if line]
        if not lines:
            return False
        sender, to = lines[choice % len(lines)]
        sent = self.lines[sender, to].popleft()
        if to == "node":
            for peer_id in [sent.peer_id] if getattr(sent, "peer_id", None) else [A, B]:
                self.lines["node", peer_id].append(sent)
        elif to == "":
            self.outbox.on_found(sent.request_id, sent.peer_id, sender)
        else:
            self.arrive(PeerId(to), sent)
        return True

    def arrive(self, at: PeerId, sent: Any) -> None:
        several = sent.messages if isinstance(sent, m.Broadcasts) else getattr(sent, "commands", (sent,))
        for command in several:
            if isinstance(command, m.FindPeer):
                self.lines[at, ""].append(m.PeerFound(command.request_id, command.peer_id))
            else:
                self.arrived[at].append(int(command.event))

    def run(self, steps: list[str | int]) -> dict[PeerId, list[int]]:
        """Take the steps, then deliver all the rest. Returns what each peer was sent, in order."""
        sent: dict[PeerId, list[int]] = {A: [], B: []}
        for number, step in enumerate(steps):
            if step == "turn":
                self.turn()
            elif isinstance(step, int):
                self.deliver(step)
            elif step == "all":
                self.outbox.add(m.BroadcastMessage(0, str(number), None))
                for numbers_sent in sent.values():
                    numbers_sent.append(number)
            else:
                peer_id = A if step == "a" else B
                self.outbox.add(message(number, peer_id), peer_id)
                sent[peer_id].append(number)
        self.turn()
        while self.deliver(0):
            self.turn()
        return sent


ONE = ["a", "b", "turn"]


@given(st.lists(st.one_of(st.sampled_from([*ONE, "all"]), st.integers(0, 9)), max_size=60))
def test_whichever_way_messages_take_within_a_process_they_arrive_in_order(steps: list[str | int]) -> None:
    network = Network(is_inside=True)
    assert network.run(steps) == network.arrived


@given(st.lists(st.one_of(st.sampled_from(ONE), st.integers(0, 9)), max_size=60))
def test_whichever_way_messages_to_a_peer_take_between_processes_they_arrive_in_order(steps: list[str | int]) -> None:
    network = Network(is_inside=False)
    assert network.run(steps) == network.arrived


@given(st.lists(st.one_of(st.sampled_from([*ONE, "all"]), st.integers(0, 9)), max_size=60))
def test_between_processes_nothing_is_lost_and_nothing_overtakes_a_message_to_many(steps: list[str | int]) -> None:
    network = Network(is_inside=False)
    sent = network.run(steps)
    for peer_id, arrived in network.arrived.items():
        assert sorted(arrived) == sent[peer_id]
        for number in (number for number, step in enumerate(steps) if step == "all"):
            assert not [before for before in arrived[: arrived.index(number)] if before > number]
