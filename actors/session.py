"""A running actor system with one Node in it, and the endpoint through which a program talks to the Node."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Literal

from thespian.actors import ActorSystem

from actors.bases.inproc import InProcessBase
from core.errors import Misuse
from core.messages import (
    ActorMessage,
)

SYSTEMS = ("inproc",)
"""The places where a program's node can run."""

OnMessage = Callable[[Any, Any], None]
"""Gets a message and its sender's address, in the thread that drives the actors; must neither block nor raise."""


class Session:
    """One actor system, made for one run of one node."""

    def __init__(
        self, system: str, drive: Literal["thread", "asyncio"], node_class: type[Any], on_message: OnMessage
    ) -> None:
        base = _new_base(system, drive)
        self._system = ActorSystem(systemBase=base, transientUnique=True)
        try:
            self._endpoint = base.open_endpoint(on_message)
            node = self._system.createActor(node_class)
        except BaseException:
            self._system.shutdown()
            raise
        self.tell: Callable[[Any, ActorMessage], None] = self._endpoint.tell
        """Send to any actor. Any thread; never blocks, takes no lock."""
        self.tell_node: Callable[[ActorMessage], None] = functools.partial(self._endpoint.tell, node)
        """Send to the Node. Any thread; never blocks, takes no lock."""

    def close(self) -> None:
        """End every actor and the system itself. An actor that blocks can make this take 20 s."""
        self._endpoint.close()
        self._system.shutdown()

    def close_within(self, timeout_s: float) -> bool:
        """The same for a caller that cannot wait for blocking actors; False if it goes on in the background."""
        closer = threading.Thread(target=self.close, name="ensemble-closer", daemon=True)
        closer.start()
        closer.join(max(0.0, timeout_s))
        return not closer.is_alive()


def checked_system(system: str) -> str:
    """The name of a place to run. Raises Misuse."""
    if system not in SYSTEMS:
        raise Misuse(f"expected system to be one of {', '.join(SYSTEMS)}, got {system!r}")
    return system


def _new_base(system: str, drive: Literal["thread", "asyncio"]) -> InProcessBase:
    checked_system(system)
    return InProcessBase(logDefs=False, drive=drive)  # how to log is the program's business
