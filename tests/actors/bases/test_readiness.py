"""Watches for reading and writing through the one descriptor that Thespian sees."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from thespian.actors import ThespianWatch, WatchMessage

from actors.bases.readiness import WatchingActor
from actors.bases.watch import Watch, WatchReady


class Scripted:
    """An actor whose next watch the test sets."""

    def __init__(self) -> None:
        self.watch: Any = None
        self.got: list[Any] = []
        self.name = "an attribute of the actor"

    def receiveMessage(self, message: Any, sender: Any) -> Any:
        self.got.append(message)
        if message == "raise":
            raise RuntimeError("on purpose")
        return self.watch


class Rig:
    def __init__(self) -> None:
        self.actor = Scripted()
        self.outer = WatchingActor(self.actor)
        self.shown: Any = None

    def show(self, watch: Any) -> Any:
        self.actor.watch = watch
        self.shown = self.outer.receiveMessage("turn", None)
        return self.shown

    def ready(self) -> WatchReady | None:
        """What the actor hears when Thespian says that the one descriptor is ready."""
        self.actor.got.clear()
        self.outer.receiveMessage(WatchMessage(self.shown.filenos), None)
        return self.actor.got[0] if self.actor.got else None


def test_reading_writing_and_neither() -> None:
    rig = Rig()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert rig.show(Watch([ours.fileno()], [ours.fileno()])).filenos != [ours.fileno()]
        ready = rig.ready()
        assert ready is not None
        assert (ready.ready, ready.writable) == ([], (ours.fileno(),))
        theirs.send(b"!")
        ready = rig.ready()
        assert ready is not None
        assert (ready.ready, ready.writable) == ([ours.fileno()], (ours.fileno(),))
        rig.show(Watch([ours.fileno()]))
        ready = rig.ready()
        assert ready is not None
        assert ready.writable == ()
        shown = rig.shown
        assert rig.show(None) is None
        rig.shown = shown
        assert rig.ready() is None


def test_thespian_sees_one_descriptor_whatever_is_watched() -> None:
    rig = Rig()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        first = rig.show(Watch([ours.fileno()])).filenos
        second = rig.show(Watch([ours.fileno(), theirs.fileno(), theirs.fileno()])).filenos
        assert first == second
        assert len(first) == 1


def test_an_end_is_told_to_who_reads_and_to_who_writes() -> None:
    rig = Rig()
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        rig.show(Watch([ours.fileno()], [ours.fileno()]))
        ready = rig.ready()
        assert ready is not None
        assert (ready.ready, ready.writable) == ([ours.fileno()], (ours.fileno(),))


def test_a_number_that_comes_back_as_another_socket_is_watched_again() -> None:
    rig = Rig()
    ours, theirs = socket.socketpair()
    number = ours.fileno()
    rig.show(Watch([number]))
    ours.close()
    theirs.close()
    again, other = socket.socketpair()
    with other:
        if again.fileno() != number:
            os.dup2(again.fileno(), number)
            again.close()
        other.send(b"!")
        rig.show(Watch([number]))
        ready = rig.ready()
        assert ready is not None
        assert ready.ready == [number]
        os.close(number) if again.fileno() == -1 else again.close()


@pytest.mark.parametrize("bad", [lambda path: 999, lambda path: -1, lambda path: os.open(path, os.O_RDONLY)])
def test_what_cannot_be_watched_ends_nobody(
    bad: Callable[[Path], int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("a plain file")
    number = bad(tmp_path / "file")
    rig = Rig()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"!")
        rig.show(Watch([number, ours.fileno()]))
        ready = rig.ready()
        assert ready is not None
        assert ready.ready == [ours.fileno()]
    assert "cannot be watched" in caplog.text
    if number >= 0 and number != 999:
        os.close(number)


def test_plain_watches_of_thespian_work_too() -> None:
    rig = Rig()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"!")
        rig.show(ThespianWatch([ours.fileno()]))
        ready = rig.ready()
        assert ready is not None
        assert ready.ready == [ours.fileno()]


def test_an_error_ends_the_watch() -> None:
    rig = Rig()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        rig.show(Watch([ours.fileno()]))
        with pytest.raises(RuntimeError, match="on purpose"):
            rig.outer.receiveMessage("raise", None)
        theirs.send(b"!")
        assert rig.ready() is None


def test_everything_else_is_the_actors_own() -> None:
    assert Rig().outer.name == "an attribute of the actor"
