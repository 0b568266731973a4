"""Systems under test: one in-process base in each of its three drive modes, closed and checked for leaks at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from thespian.actors import Actor, ActorAddress, ActorExitRequest, ActorSystem

from actors.bases.inproc import InProcessBase

DRIVES = ("thread", "caller", "asyncio")
WAIT_S = 20.0
"""Longer than anything takes on a busy machine: waiting this long means that the answer never comes."""


class Puppet(Actor):
    """Does what it is told: a message that can be called is called with (actor, sender), its result is the watch.

    Anything else is kept in ``seen``; ``reaction``, if set, is called with (actor, message, sender) for it.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[Any, Any]] = []
        self.reaction: Callable[[Puppet, Any, Any], Any] | None = None

    def receiveMessage(self, message: Any, sender: Any) -> Any:
        if callable(message):
            return message(self, sender)
        self.seen.append((message, sender))
        if self.reaction is not None:
            return self.reaction(self, message, sender)
        return None


class Rig:
    """A running system, and short ways to make its actors do things."""

    def __init__(self, base: InProcessBase) -> None:
        self.base = base
        self.system = ActorSystem(systemBase=base, transientUnique=True)
        self.stop: Callable[[], None] = self.system.shutdown

    def create(self, actor_class: Any = Puppet, **options: Any) -> ActorAddress:
        return self.system.createActor(actor_class, **options)

    def tell(self, address: ActorAddress, message: Any) -> None:
        self.system.tell(address, message)

    def ask(self, address: ActorAddress, message: Any, timeout: float = WAIT_S) -> Any:
        return self.system.ask(address, message, timeout)

    def listen(self, timeout: float = WAIT_S) -> Any:
        return self.system.listen(timeout)

    def do(self, address: ActorAddress, action: Callable[[Any], Any]) -> Any:
        """Call ``action(actor)`` in the actor ``address`` and return its result."""
        return self.ask(address, lambda actor, sender: actor.send(sender, ("result", action(actor))))[1]

    def child_of(self, parent: ActorAddress, actor_class: Any = Puppet, **options: Any) -> ActorAddress:
        return self.do(parent, lambda actor: actor.createActor(actor_class, **options))

    def react(self, address: ActorAddress, reaction: Callable[[Any, Any, Any], Any]) -> None:
        self.do(address, lambda actor: setattr(actor, "reaction", reaction))

    def seen(self, address: ActorAddress, kind: type = object) -> list[Any]:
        """Return the messages of one kind that ``address`` has kept."""
        return [message for message, _ in self.do(address, lambda actor: actor.seen) if isinstance(message, kind)]

    def exit(self, address: ActorAddress) -> None:
        self.tell(address, ActorExitRequest())

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Ask ``condition`` until it holds; it should talk to an actor, which lets the loop run."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, "the condition never held"


def _asyncio_rig(options: dict[str, Any]) -> Rig:
    """Run a base inside asyncio.run() in another thread, so that the test can ask as from any thread."""
    started: Future[tuple[Rig, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stopped = asyncio.Event()
        try:
            rig = Rig(InProcessBase(logDefs=False, drive="asyncio", **options))
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result((rig, asyncio.get_running_loop(), stopped))
        await stopped.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="asyncio-under-test")
    thread.start()
    rig, loop, stopped = started.result(WAIT_S)

    def stop() -> None:
        rig.system.shutdown()
        loop.call_soon_threadsafe(stopped.set)
        thread.join(WAIT_S)
        assert not thread.is_alive()

    rig.stop = stop
    return rig


def make_rig(drive: str, **options: Any) -> Rig:
    if drive == "asyncio":
        return _asyncio_rig(options)
    return Rig(InProcessBase(logDefs=False, drive=drive, **options))


@contextlib.contextmanager
def one_instant(actor: Actor) -> Iterator[None]:
    """Stop the base's clock while an actor requests wake-ups, so that their order does not depend on the machine."""
    base = actor._myRef.host
    now = base.now()
    base._now = lambda: now
    try:
        yield
    finally:
        del base._now


def open_descriptors() -> set[str]:
    """Return what the open descriptors of this process stand for."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            continue  # the listing itself
    return found


@pytest.fixture(params=DRIVES)
def drive(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rigs() -> Iterator[Callable[..., Rig]]:
    """Make systems: ``rigs(drive, **options)``. Afterwards no thread and no descriptor of theirs may be left."""
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    made: list[Rig] = []

    def make(drive: str, **options: Any) -> Rig:
        made.append(make_rig(drive, **options))
        return made[-1]

    yield make
    for rig in made:
        rig.stop()
    assert set(threading.enumerate()) <= threads
    assert open_descriptors() <= descriptors


@pytest.fixture
def rig(rigs: Callable[..., Rig], drive: str) -> Rig:
    return rigs(drive)


@pytest.fixture
def caller(rigs: Callable[..., Rig]) -> Rig:
    """A system that only runs while the test asks: for tests of exact order and of single turns."""
    return rigs("caller")
