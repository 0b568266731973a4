"""A node whose peer book is on a member: it waits for one, moves, and ends if there is none. Virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from thespian.actors import ActorExitRequest, ActorSystemConventionUpdate

from actors.base import ENDED
from actors.edge import HOST, HOST_LOST_S, INCARNATION, STARTING_S, STORE, StoredBook
from actors.store_away import STORE_WAIT_S, AwayNode
from core.config import NodeConfig
from core.errors import NotActive, StartFailed
from core.events import NodeFailed
from core.messages import BanAddress, BanList, Done, Failed, GetBans, NodeStarted, StartNode, StopNode
from tests.actors.nodes import TestNode
from tests.actors.world import Complaints, World


class Away(TestNode):
    """A node that does not listen, and members that come and go. All actors are at one place, whatever it is called."""

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(world, "10.1.0.1", node_class=AwayNode, max_inbound_connections=0, **options)

    def member(self, name: str, incarnation: str = "1", *, added: bool = True, store: bool = True) -> None:
        """Thespian says that a member has come or gone."""
        self.world.base.capabilities[HOST] = name  # so that an actor can be made "there"
        capabilities = {HOST: name, STORE: store, INCARNATION: incarnation}
        self.tell(ActorSystemConventionUpdate(self.program.address, capabilities, added))  # type: ignore[arg-type]

    def books(self) -> list[StoredBook]:
        return self.children(StoredBook)

    def silence(self) -> None:
        """The book's host is behind a cut link: nobody says so, and nothing comes."""
        (book,) = self.books()
        book._before_init = ENDED


@pytest.fixture
def node(world: World) -> Away:
    return Away(world)


def begin(node: Away, number: int = 1) -> None:
    node.tell(StartNode(number, NodeConfig(**node.options)))
    node.world.run(5)
    assert not node.program.of(NodeStarted)
    node.member("b")
    assert isinstance(node.answer(number), NodeStarted)


def test_it_starts_when_a_member_with_store_is_there(node: Away) -> None:
    node.tell(StartNode(1, NodeConfig(**node.options)))
    node.member("a", store=False)
    node.world.run(5)
    assert node.books() == []
    assert node.program.of(NodeStarted) == []
    node.member("b")
    assert isinstance(node.answer(1), NodeStarted)
    assert len(node.books()) == 1
    node.world.run(60)  # it answers its pings
    assert len(node.books()) == 1
    assert isinstance(node.stop(), Done)


def test_it_does_not_wait_for_ever(node: Away) -> None:
    node.tell(StartNode(1, NodeConfig(**node.options)))
    node.world.run(STORE_WAIT_S + 1)
    (failed,) = node.program.of(Failed)
    assert isinstance(failed.error, StartFailed)
    assert "no member with store: true has joined within 30 s" in str(failed.error)
    begin(node, 2)  # another attempt
    assert isinstance(node.stop(), Done)


def test_it_can_be_stopped_while_it_waits(node: Away) -> None:
    node.tell(StartNode(1, NodeConfig(**node.options)))
    node.world.run(1)
    assert isinstance(node.ask(StopNode), Done)
    (failed,) = node.program.of(Failed)
    assert isinstance(failed.error, NotActive)
    node.member("b")
    node.world.run(1)
    assert node.books() == []


def test_a_silent_store_is_lost_and_the_book_is_made_on_another_member(node: Away, complaints: Complaints) -> None:
    begin(node)
    node.ask(BanAddress, "203.0.113.9", "", "test")
    node.world.run(STARTING_S)
    node.member("c")
    (old,) = node.books()
    node.silence()
    node.world.run(HOST_LOST_S + 1.5)
    complaints.expect("host b, which has the peer book, is lost: silent for 4 s")
    complaints.expect("crashed and is replaced")
    assert [book for book in node.books() if book is not old]
    answer = node.ask(GetBans)
    assert isinstance(answer, BanList)
    assert [ban.ip for ban in answer.bans] == ["203.0.113.9"]  # the pool gave it back
    assert isinstance(node.stop(), Done)


def test_the_store_may_come_back_anew(node: Away, complaints: Complaints) -> None:
    begin(node)
    node.world.run(STARTING_S)
    node.silence()
    node.world.run(HOST_LOST_S + 15)
    complaints.expect("is lost: silent")
    assert node.events(NodeFailed) == []
    node.member("b", "2")
    node.world.run(1)
    complaints.expect("crashed and is replaced")
    assert isinstance(node.ask(GetBans), BanList)
    node.world.run(60)
    assert isinstance(node.stop(), Done)


def test_without_a_store_it_ends_with_the_reason(node: Away, complaints: Complaints) -> None:
    begin(node)
    node.world.run(STARTING_S)
    node.silence()
    node.world.run(HOST_LOST_S + STORE_WAIT_S + 3)
    complaints.expect("is lost: silent")
    complaints.expect("the node ends: the host with the peer book is lost, and no member with store: true has joined")
    (failed,) = node.events(NodeFailed)
    assert "no member with store" in failed.reason


def test_a_farewell_is_believed_only_of_a_book_that_does_not_answer(node: Away, complaints: Complaints) -> None:
    begin(node)
    node.world.run(STARTING_S)
    node.member("b", added=False)
    node.member("c", added=False)  # unknown
    node.world.run(10)
    assert len(node.books()) == 1
    node.silence()
    node.member("c")
    node.member("b", added=False)
    node.world.run(3)
    complaints.expect("is lost")
    complaints.expect("crashed and is replaced")
    assert isinstance(node.stop(), Done)


def test_a_store_that_comes_anew_has_lost_the_book(node: Away, complaints: Complaints) -> None:
    begin(node)
    node.world.run(STARTING_S)
    node.silence()
    node.member("b", "2")
    node.world.run(2)
    complaints.expect("it has come anew")
    complaints.expect("crashed and is replaced")
    assert isinstance(node.ask(GetBans), BanList)
    assert isinstance(node.stop(), Done)


def test_a_member_where_no_book_can_be_made_is_not_tried_again_until_it_comes_anew(
    node: Away, complaints: Complaints
) -> None:
    begin(node)
    node.world.run(STARTING_S)
    (book,) = node.books()
    node.world.base.capabilities[HOST] = "elsewhere"  # its system is ending, and makes no actors any more
    node.program.tell(book.myAddress, ActorExitRequest())
    node.world.run(1.5)
    complaints.expect("crashed and is replaced")
    complaints.expect("no book can be made there")
    for text in ("refused", "could not"):
        complaints.records = [one for one in complaints.records if text not in one.getMessage()]
    node.world.run(10)
    assert node.books() == []
    node.member("b", "2")
    node.world.run(1)
    complaints.expect("crashed and is replaced")
    assert isinstance(node.ask(GetBans), BanList)
    assert isinstance(node.stop(), Done)
