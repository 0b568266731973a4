"""Actors and messages for tests that run in several processes: found by import in each of them."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

from thespian.actors import Actor, ActorExitRequest, ChildActorExited

from actors.bases.hygiene import children_of
from core.messages import ActorMessage


class Ask(ActorMessage, frozen=True):
    """What is to be done, and with what."""

    deed: str
    value: Any = None


class Answer(ActorMessage, frozen=True):
    """What came of it."""

    deed: str
    value: Any = None


class Root(Actor):  # type: ignore[misc]
    """Does what it is told, itself or through children."""

    def __init__(self) -> None:
        super().__init__()
        self.children: list[Any] = []
        self.exited = 0
        self.got: list[Any] = []

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Dispatch."""
        if isinstance(message, Ask):
            result = getattr(self, message.deed)(message.value, sender)
            if result is not None:
                self.send(sender, Answer(message.deed, result))
        elif isinstance(message, Relay):
            self.send(message.asker, Answer(message.ask.deed, getattr(self, message.ask.deed)(None, sender)))
        elif isinstance(message, ChildActorExited):
            self.exited += 1

    def pid(self, _value: Any, _sender: Any) -> int:
        """Which process this is."""
        return os.getpid()

    def echo(self, value: Any, _sender: Any) -> Any:
        """Give it back."""
        return value

    def collect(self, value: Any, _sender: Any) -> None:
        """Keep it."""
        self.got.append(value)

    def collected(self, _value: Any, _sender: Any) -> Any:
        """Tell what was kept."""
        return tuple(self.got)

    def breed(self, count: int, _sender: Any) -> int:
        """Make children."""
        self.children += [self.createActor(Root) for _ in range(count)]
        return count

    def breed_many(self, count: int, _sender: Any) -> int:
        """Make children of a kind of which there are many."""
        self.children += [self.createActor(Many) for _ in range(count)]
        return count

    def ask_child(self, deed: str, sender: Any) -> None:
        """Have the first child answer in our place."""
        self.send(self.children[0], Relay(Ask(deed), sender))

    def ask_last(self, deed: str, sender: Any) -> None:
        """Have the last child answer in our place."""
        self.send(self.children[-1], Relay(Ask(deed), sender))

    def parent(self, _value: Any, _sender: Any) -> int:
        """Whose child this process is."""
        return os.getppid()

    def descriptors(self, _value: Any, _sender: Any) -> int:
        """How many this process has open."""
        return len(os.listdir("/proc/self/fd"))

    def stillbirth(self, _value: Any, _sender: Any) -> int:
        """A child that is killed before it can say anything."""
        before = set(children_of(os.getpid()))
        self.createActor(Root)
        (child,) = set(children_of(os.getpid())) - before
        os.kill(child, signal.SIGKILL)
        return child

    def exits(self, _value: Any, _sender: Any) -> int:
        """How many notices of children's ends there were."""
        return self.exited

    def complain(self, text: str, _sender: Any) -> None:
        """In the log."""
        logging.getLogger("ensemble.test").warning("a complaint %s", text)

    def die(self, _value: Any, _sender: Any) -> None:
        """As by kill -9."""
        os.kill(os.getpid(), signal.SIGKILL)

    def leave(self, _value: Any, _sender: Any) -> None:
        """In order."""
        self.send(self.myAddress, ActorExitRequest())


class Many(Root):
    """The same, from a nursery."""

    MANY = True


class Relay(ActorMessage, frozen=True):
    """A question passed on."""

    ask: Ask
    asker: Any
