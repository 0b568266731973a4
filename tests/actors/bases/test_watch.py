"""File descriptors in the loop: reading, writing, and everything that can be wrong with a descriptor."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from thespian.actors import ActorTypeDispatcher, ThespianWatch, WatchMessage

from actors.bases.watch import Watch, WatchReady

from .conftest import Puppet, Rig

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[Callable[[], Pair]]:
    """Make connected, non-blocking socket pairs."""
    with contextlib.ExitStack() as stack:

        def make() -> Pair:
            mine, theirs = socket.socketpair()
            for end in (mine, theirs):
                end.setblocking(False)
                stack.callback(end.close)
            return mine, theirs

        yield make


def watch(rig: Rig, address: Any, watch: Any) -> None:
    """Make ``watch`` the watch of the actor: what it returned last."""

    def set_watch(actor: Puppet, sender: Any) -> Any:
        actor.send(sender, "set")
        return watch

    assert rig.ask(address, set_watch) == "set"


def read_and_keep(*sockets: socket.socket) -> Any:
    """A reaction that reads what is ready and keeps the watch on all of ``sockets``."""
    by_fd = {end.fileno(): end for end in sockets}
    lasting = Watch(by_fd)

    def reaction(actor: Puppet, message: Any, sender: Any) -> Any:
        if isinstance(message, WatchMessage):
            for fd in message.ready:
                actor.seen.append((by_fd[fd].recv(100), fd))
        return lasting

    return reaction


def received(rig: Rig, address: Any) -> list[bytes]:
    """What a ``read_and_keep`` actor has read; asked without disturbing its watch."""
    return [m for m, _ in rig.base.cells[address.actorAddressString].instance.seen if isinstance(m, bytes)]


def poke(rig: Rig, address: Any, expected: list[bytes]) -> None:
    """Let the loop run until the actor has read ``expected``."""
    other = rig.create()
    rig.wait_until(lambda: rig.do(other, lambda actor: None) or received(rig, address) == expected)


# The message classes.


def test_a_watch_is_thespians_watch_for_reading() -> None:
    both = Watch(readers=(3, 4), writers=(4, 5))
    assert isinstance(both, ThespianWatch)
    assert both.filenos == [3, 4]
    assert both.interest == {
        3: selectors.EVENT_READ,
        4: selectors.EVENT_READ | selectors.EVENT_WRITE,
        5: selectors.EVENT_WRITE,
    }


@pytest.mark.parametrize("wrong", ["stdin", None, 1.5])
def test_a_watch_takes_numbers_only(wrong: Any) -> None:
    with pytest.raises(TypeError):
        Watch((wrong,))
    with pytest.raises(TypeError):
        Watch(writers=(wrong,))


def test_watch_ready_is_dispatched_as_thespians_watch_message() -> None:
    class Dispatched(ActorTypeDispatcher):
        def receiveMsg_WatchMessage(self, message: WatchMessage, sender: Any) -> Any:
            return message.ready, message.writable

    assert Dispatched().receiveMessage(WatchReady([3], (4,)), None) == ([3], (4,))


# Reading and writing.


@pytest.mark.parametrize("make", [lambda fd: Watch((fd,)), lambda fd: ThespianWatch([fd])], ids=["Watch", "Thespian"])
def test_a_readable_descriptor_is_reported_to_its_actor(rig: Rig, pairs: Any, make: Any) -> None:
    mine, theirs = pairs()
    actor = rig.create()
    rig.react(actor, lambda me, message, sender: me.send(message_target, (message.ready, sender == me.myAddress)))
    message_target = rig.base.open_endpoint()
    message_target, endpoint = message_target.address, message_target
    watch(rig, actor, make(mine.fileno()))
    theirs.send(b"x")
    assert endpoint.listen(20) == ([mine.fileno()], True)


def test_a_writable_descriptor_is_reported_when_there_is_room_again(rig: Rig, pairs: Any) -> None:
    mine, theirs = pairs()
    with contextlib.suppress(BlockingIOError):
        while True:
            mine.send(b"x" * 65536)
    actor, endpoint = rig.create(), rig.base.open_endpoint()
    rig.react(actor, lambda me, message, _: me.send(endpoint.address, (message.ready, message.writable)))
    watch(rig, actor, Watch(readers=(mine.fileno(),), writers=(mine.fileno(),)))
    assert endpoint.listen(0.01) is None
    with contextlib.suppress(BlockingIOError):
        while theirs.recv(1 << 20):
            continue
    assert endpoint.listen(20) == ([], (mine.fileno(),))


def test_a_watch_is_level_triggered_until_it_ends(rig: Rig, pairs: Any) -> None:
    mine, theirs = pairs()
    actor = rig.create()
    theirs.send(b"never read")
    lasting = Watch((mine.fileno(),))
    rig.react(actor, lambda me, m, _: lasting if len(me.seen) < 5 else None)
    watch(rig, actor, lasting)
    # Each of the rounds kept the watch but the last, and the last one ended it.
    instance = rig.base.cells[actor.actorAddressString].instance
    other = rig.create()
    rig.wait_until(lambda: rig.do(other, lambda me: None) or len(instance.seen) >= 5)
    for _ in range(20):
        rig.do(other, lambda me: None)
    assert len(instance.seen) == 5


@pytest.mark.parametrize("ending", ["none", "another value", "exception", "another watch"])
def test_only_the_last_result_counts(caller: Rig, pairs: Any, ending: str) -> None:
    mine, theirs = pairs()
    other, _ = pairs()
    actor = caller.create()
    watch(caller, actor, Watch((mine.fileno(),)))
    assert len(caller.base.descriptors) == 1

    def end(me: Puppet, sender: Any) -> Any:
        if ending == "exception":
            raise LookupError("ends the watch")
        return {"another watch": Watch((other.fileno(),)), "another value": "a watch?"}.get(ending)

    caller.tell(actor, end)
    theirs.send(b"x")
    caller.base.poll()
    assert caller.base.cells[actor.actorAddressString].instance.seen == []
    assert len(caller.base.descriptors) == (1 if ending == "another watch" else 0)


def test_the_same_watch_object_costs_nothing(caller: Rig, pairs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, _ = pairs()
    actor, lasting = caller.create(), Watch((mine.fileno(),))
    changes: list[Any] = []
    replace = caller.base.descriptors.replace
    monkeypatch.setattr(
        caller.base.descriptors, "replace", lambda cell, result: (changes.append(result), replace(cell, result))
    )
    for _ in range(10):
        watch(caller, actor, lasting)
    assert changes == [lasting]


def test_one_message_a_turn_carries_all_that_is_ready(caller: Rig, pairs: Any) -> None:
    first, second, third = pairs(), pairs(), pairs()
    fds = [mine.fileno() for mine, _ in (first, second, third)]
    actor = caller.create()
    watch(caller, actor, Watch(readers=fds[:2], writers=fds[1:]))
    for _, theirs in (first, second):
        theirs.send(b"x")
    caller.base.poll()
    (message,) = [m for m, _ in caller.base.cells[actor.actorAddressString].instance.seen]
    assert isinstance(message, WatchReady)
    assert sorted(message.ready) == sorted(fds[:2])
    assert sorted(message.writable) == sorted(fds[1:])


def test_what_leaves_the_watch_before_the_message_is_handled_is_not_reported(caller: Rig, pairs: Any) -> None:
    (mine, theirs), (kept, kept_theirs) = pairs(), pairs()
    actor, source = caller.create(), caller.create()
    watch(caller, actor, Watch((mine.fileno(), kept.fileno())))
    for end in (theirs, kept_theirs):
        end.send(b"x")

    def drop_first(me: Puppet, message: Any, sender: Any) -> Any:
        return Watch((kept.fileno(),)) if message == "drop" else None

    caller.base.cells[actor.actorAddressString].instance.reaction = drop_first
    # Posted first, so it is ahead of the ready descriptors in the mailbox of the same turn.
    caller.base.post(caller.base.cells[actor.actorAddressString], "drop", source)
    caller.base.poll()
    assert caller.seen(actor, WatchReady)[0].ready == [kept.fileno()]


def test_hang_up_is_readable_and_a_refused_connection_is_writable(rig: Rig, pairs: Any) -> None:
    mine, theirs = pairs()
    actor, endpoint = rig.create(), rig.base.open_endpoint()
    rig.react(actor, lambda me, message, _: me.send(endpoint.address, (message.ready, message.writable)))
    watch(rig, actor, Watch(readers=(mine.fileno(),)))
    theirs.close()
    assert endpoint.listen(20) == ([mine.fileno()], ())
    with socket.socket() as closed_port, socket.socket() as dialling:
        closed_port.bind(("127.0.0.1", 0))
        dialling.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            dialling.connect(closed_port.getsockname())
        watch(rig, actor, Watch(writers=(dialling.fileno(),)))
        assert endpoint.listen(20) == ([], (dialling.fileno(),))


def test_a_failing_watch_handler_gets_its_poison_and_loses_its_watch(caller: Rig, pairs: Any) -> None:
    mine, theirs = pairs()

    def fail(me: Puppet, message: Any, sender: Any) -> Any:
        if isinstance(message, WatchMessage):
            raise LookupError("cannot read")

    actor = caller.create()
    caller.react(actor, fail)
    watch(caller, actor, Watch((mine.fileno(),)))
    theirs.send(b"x")
    caller.base.poll()
    seen = [type(m).__name__ for m, _ in caller.base.cells[actor.actorAddressString].instance.seen]
    assert seen == ["WatchReady", "WatchReady", "PoisonMessage"]
    assert len(caller.base.descriptors) == 0


# Descriptors that are not what they seem.


def closed_fd() -> int:
    fd = os.open(os.devnull, os.O_RDONLY)
    os.close(fd)
    return fd


@pytest.mark.parametrize("kind", ["closed", "negative", "regular file", "huge", "not a number", "the base's own"])
@pytest.mark.parametrize("writing", [False, True])
def test_a_descriptor_that_cannot_be_watched_is_dropped(
    rig: Rig, pairs: Any, kind: str, writing: bool, caplog: pytest.LogCaptureFixture
) -> None:
    mine, theirs = pairs()
    actor = rig.create()
    rig.react(actor, read_and_keep(mine))
    with Path(__file__).open("rb") as file:
        bad: Any = {
            "closed": closed_fd(),
            "negative": -1,
            "regular file": file.fileno(),
            "huge": 1 << 40,
            "not a number": "stdin",
            "the base's own": rig.base.waker.fileno(),
        }[kind]
        if kind == "not a number":
            watch(rig, actor, ThespianWatch([bad, mine.fileno()]))
        else:
            watch(rig, actor, Watch((mine.fileno(),) if writing else (bad, mine.fileno()), (bad,) if writing else ()))
    assert "dropped" in caplog.text
    theirs.send(b"still served")
    poke(rig, actor, [b"still served"])


@pytest.mark.parametrize("make", [Watch, ThespianWatch])
def test_a_descriptor_listed_twice_is_watched_once(
    caller: Rig, pairs: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "actors.bases")
    mine, theirs = pairs()
    actor = caller.create()
    watch(caller, actor, make([mine.fileno(), mine.fileno()]))
    theirs.send(b"x")
    caller.base.poll()
    (message,) = [m for m, _ in caller.base.cells[actor.actorAddressString].instance.seen]
    assert message.ready == [mine.fileno()]
    assert "duplicate" in caplog.text
    assert [r.levelname for r in caplog.records if "duplicate" in r.message] == ["DEBUG"]


def test_a_descriptor_closed_while_watched_harms_nobody(rig: Rig, pairs: Any) -> None:
    (mine, _), (other, other_theirs) = pairs(), pairs()
    actor = rig.create()
    rig.react(actor, read_and_keep(other))
    watch(rig, actor, Watch((mine.fileno(), other.fileno())))
    mine.close()
    other_theirs.send(b"still served")
    poke(rig, actor, [b"still served"])


def test_a_number_closed_and_opened_again_is_watched_anew(rig: Rig, pairs: Any) -> None:
    (old, _), (new, theirs) = pairs(), pairs()
    number = old.fileno()
    actor = rig.create()
    watch(rig, actor, Watch((number,)))

    def reopen(me: Puppet, sender: Any) -> Any:
        os.dup2(new.fileno(), number)  # closes the old file and puts another under its number
        me.reaction = lambda me, m, _: me.seen.append((os.read(number, 100), number))
        me.send(sender, "reopened")
        return Watch((number,))

    assert rig.ask(actor, reopen) == "reopened"
    theirs.send(b"through the new file")
    poke(rig, actor, [b"through the new file"])


def test_a_reopened_number_with_other_interest_is_watched_anew(caller: Rig, pairs: Any) -> None:
    (old, _), (new, _) = pairs(), pairs()
    number = old.fileno()
    actor = caller.create()
    watch(caller, actor, Watch((number,)))
    os.dup2(new.fileno(), number)
    watch(caller, actor, Watch((number,), (number,)))
    caller.base.poll()
    assert caller.seen(actor, WatchReady)[0].writable == (number,)


def test_a_number_that_another_actor_watches_now_is_not_taken_back(
    caller: Rig, pairs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (mine, theirs), (other, _) = pairs(), pairs()
    former, owner = caller.create(), caller.create()
    caller.react(owner, read_and_keep(mine))
    watch(caller, former, Watch((mine.fileno(),)))
    watch(caller, owner, Watch((mine.fileno(),)))
    assert "is now watched by" in caplog.text
    watch(caller, former, Watch((mine.fileno(), other.fileno())))  # has not noticed yet
    theirs.send(b"for the owner")
    poke(caller, owner, [b"for the owner"])
    assert caller.seen(former, WatchMessage) == []
    # Dropping it takes nothing from the owner; once that has let go, the number can be had again.
    watch(caller, former, None)
    theirs.send(b"and this")
    poke(caller, owner, [b"for the owner", b"and this"])
    caller.base.cells[owner.actorAddressString].instance.reaction = None
    watch(caller, former, Watch((mine.fileno(),)))
    former_cell = caller.base.cells[former.actorAddressString]
    assert caller.base.descriptors.mask_of(former_cell, mine.fileno()) == selectors.EVENT_READ


def test_an_actor_that_exits_leaves_no_watch_behind(rig: Rig, pairs: Any) -> None:
    mine, theirs = pairs()
    actor, other = rig.create(), rig.create()
    watch(rig, actor, Watch((mine.fileno(),)))
    rig.exit(actor)
    rig.wait_until(lambda: rig.do(other, lambda me: len(rig.base.descriptors)) == 0)
    theirs.send(b"x")
    assert rig.do(other, lambda me: "runs") == "runs"
    assert mine.recv(10) == b"x"  # still open: the descriptor is the actor's, not the base's
