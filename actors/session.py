"""A running actor system with one Node in it, and the endpoint through which a program talks to the Node."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Literal, Protocol, Union

from thespian.actors import ActorSystem

from actors.bases.inproc import InProcessBase
from actors.host_place import HostPlace
from core.config import NodeConfig
from core.errors import Misuse, StartFailed
from core.messages import (
    ActorMessage,
)

SYSTEMS = ("inproc", "multiprocess")
"""The places where a program's node can run: in its own process, or every actor in a process of its own."""

OnMessage = Callable[[Any, Any], None]
"""Gets a message and its sender's address, in the thread that drives the actors; must neither block nor raise."""


class Session:
    """One actor system, made for one run of one node."""

    def __init__(
        self,
        system: str,
        drive: Literal["thread", "asyncio"],
        node_class: type[Any],
        on_message: OnMessage,
        busy_poll_s: float = 0.0,
    ) -> None:
        checked_system(system)
        # How to log is the program's business.
        base = InProcessBase(logDefs=False, drive=drive, busy_poll_s=busy_poll_s)
        self._system = ActorSystem(systemBase=base, transientUnique=True)
        try:
            self._endpoint = base.open_endpoint(on_message)
            node = self._system.createActor(node_class)
        except BaseException:
            self._system.shutdown()
            raise
        self.tell: Callable[[Any, ActorMessage], None] = self._endpoint.deliver
        """Send to any actor. In the thread that drives the actors."""
        self.tell_node: Callable[[ActorMessage], None] = functools.partial(self._endpoint.deliver, node)
        """Send to the Node. In the thread that drives the actors."""
        self.soon: Callable[[Callable[[], None]], None] = self._endpoint.soon
        """Have a function called in the thread that drives the actors. Any thread; never blocks."""
        self.hurry: Callable[[Callable[[], None], bool], bool] = base.hurry
        """The same at once, in the thread that drives the actors; False where that is not possible, or not sensible."""
        self.hand: Callable[[Any, ActorMessage, bool], bool] = self._endpoint.hand_over
        """Send to an actor and have it handle that at once; False, and nothing sent, where :attr:`hurry` says so."""
        self.expect: Callable[[Hashable], None] = base.lookout.expect
        """Something may soon come of whom this names (:mod:`core.lookout`). In the thread that drives the actors."""
        self.after_turn: Callable[[Callable[[], None]], None] = base.after_turn
        """Driven by asyncio: call a function when the actors have done what they are at. In the loop only."""

    def close(self) -> None:
        """End every actor and the system itself. An actor that blocks can make this take 20 s."""
        self._endpoint.close()
        self._system.shutdown()

    async def aclose(self) -> None:
        """The same, for a caller in an asyncio loop."""
        self.close()

    def close_within(self, timeout_s: float) -> bool:
        """The same for a caller that cannot wait for blocking actors; False if it goes on in the background."""
        closer = threading.Thread(target=self.close, name="ensemble-closer", daemon=True)
        closer.start()
        closer.join(max(0.0, timeout_s))
        return not closer.is_alive()


if TYPE_CHECKING:
    from actors.process_session import ProcessSession

AnySession = Union[Session, "ProcessSession"]


System = str | HostPlace
"""What a program may say: a name of :data:`SYSTEMS`, or the leader of several hosts."""


class Place(Protocol):
    """Where a node can run, other than by a system's name: on a node of a simulation."""

    def open_session(self, on_message: OnMessage, /) -> Any:
        """Make the actors of one run, with what :class:`Session` has."""


def open_session(
    system: System | Place,
    drive: Literal["thread", "asyncio"],
    node_class: type[Any],
    on_message: OnMessage,
    config: NodeConfig,
) -> AnySession:
    """Make the actor system for one run of a node. Raises Misuse, and StartFailed if it cannot run there."""
    if isinstance(system, HostPlace):
        from actors.process_session import ProcessSession

        return ProcessSession(drive, system.root_of(node_class), on_message, config, system)
    if not isinstance(system, str):
        session: AnySession = system.open_session(on_message)
        return session
    if checked_system(system) == "multiprocess":
        if sys.platform != "linux":
            raise StartFailed(f"system multiprocess needs Linux, this is {sys.platform}")
        from actors.process_session import ProcessSession  # most programs need nothing of it

        return ProcessSession(drive, node_class, on_message, config)
    return Session(system, drive, node_class, on_message, config.busy_poll_s)


def checked_system(system: System) -> System:
    """A place to run. Raises Misuse."""
    if not isinstance(system, HostPlace) and system not in SYSTEMS:
        raise Misuse(f"expected system to be one of {', '.join(SYSTEMS)}, got {system!r}")
    return system
