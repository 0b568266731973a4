"""Doors into the actor system for code that is no actor."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from thespian.actors import ActorAddress, ActorSystemMessage, PoisonMessage  # type: ignore[import-untyped, unused-ignore]
from thespian.system import isInternalActorSystemMessage  # type: ignore[import-untyped, unused-ignore]
from thespian.system.timing import timePeriodSeconds  # type: ignore[import-untyped, unused-ignore]

from actors.bases.cell import Cell

if TYPE_CHECKING:
    from actors.bases.inproc import InProcessBase

log = logging.getLogger(__name__)

SYSTEM_MESSAGES = (ActorSystemMessage, PoisonMessage)
"""Thespian's own, some of which are kept back."""

OnMessage = Callable[[Any, ActorAddress], None]

CLOSED: Any = object()
"""Put into the queue of an endpoint to release who listens when it is closed."""


class EndpointCell(Cell):
    """The mailbox of an endpoint; ``receive`` is None once it is closed."""

    __slots__ = ("label", "receive")

    label: str
    """Its name in traces: the address without the system's own name, which counts the systems of this process."""
    receive: OnMessage | None

    def __init__(self, host: InProcessBase, label: str, receive: OnMessage) -> None:
        super().__init__(host)
        self.label = label
        self.receive = receive

    @property
    def text(self) -> str:
        return f"{self.host.name}/{self.label}"

    def drain(self, limit: int) -> int:
        inbox, receive = self.inbox, self.receive
        count = limit if limit < len(inbox) else len(inbox)
        for _ in range(count):
            message, sender = inbox.popleft()
            if receive is None:
                self.host.dead_letter(self.address, message)
            elif not isinstance(message, SYSTEM_MESSAGES) or not isInternalActorSystemMessage(message):
                try:
                    receive(message, sender)
                except Exception:
                    log.exception("the callback of %s failed on a %s", self.address, type(message).__name__)
                receive = self.receive  # it may have closed the endpoint
        return count


class Endpoint:
    """An address outside the actors, for one program or thread.

    With ``on_message`` each message is handed to it in the loop (in the thread of the loop, between handlers; it must
    not block; what it raises is logged). Without, messages wait for :meth:`listen` and :meth:`ask`.
    Thespian's internal messages are kept back, as its own bases do; PoisonMessage comes through.
    """

    def __init__(self, base: InProcessBase, label: str, on_message: OnMessage | None) -> None:
        self._base = base
        self._on_message = on_message
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self.cell = EndpointCell(base, label, self._keep if on_message is None else on_message)

    @property
    def address(self) -> ActorAddress:
        """Where actors can send answers to."""
        return self.cell.address

    def _keep(self, message: Any, sender: ActorAddress) -> None:
        self._queue.put(message)

    def tell(self, address: ActorAddress, message: Any) -> None:
        """Send ``message``, from any thread. Never blocks; in strict mode raises pickle.PicklingError."""
        self._base.send_from_outside(address, message, self.address)

    def deliver(self, address: ActorAddress, message: Any) -> None:
        """:meth:`tell`, in the loop: into the mailbox at once, not behind what has been posted. Raises as it."""
        self._base.send_inside(address, message, self.cell.address)

    def hand_over(self, address: ActorAddress, message: Any, again: bool) -> bool:
        """:meth:`deliver` at once, before anything else happens; False, and nothing sent, if this is not the moment."""
        return self._base.hand_over(address, message, self.cell.address, again)

    def soon(self, call: Callable[[], None]) -> None:
        """Have ``call()`` called in the loop, in turn with what is sent from outside. Any thread; never blocks."""
        self._base.post(None, call, None)

    def listen(self, timeout: float | timedelta | None = None) -> Any:
        """Wait for a message, at most ``timeout`` (seconds; None: for ever); return it, or None if none came.

        Raises RuntimeError where waiting would stop the loop that is to deliver the message.
        """
        if self._on_message is not None:
            raise RuntimeError("this endpoint hands its messages to a callback: there is nothing to listen for")
        timeout_s = None if timeout is None else max(float(timePeriodSeconds(timeout)), 0.0)
        try:
            message = self._base.wait(self._queue, timeout_s)
        except Empty:
            return None
        if message is CLOSED:
            self._queue.put(CLOSED)  # there may be more than one listener
            return None
        return message

    def ask(self, address: ActorAddress, message: Any, timeout: float | timedelta | None = None) -> Any:
        """Send, then :meth:`listen`: as in Thespian the answer is the next message, whoever sent it."""
        self._base.forbid_in_loop()
        self._base.post_from_outside(address, message, self.address)
        return self.listen(timeout)

    def close(self) -> None:
        """Give the address up. What is sent to it from now on are dead letters. Idempotent."""
        self.cell.receive = None
        self._queue.put(CLOSED)

    # What Thespian calls on the object behind ActorSystem.private().

    def exit_context(self) -> None:
        self.close()

    def newPrimaryActor(self, spec: Any, requirements: Any, global_name: str | None, source_hash: str | None) -> Any:
        return self._base.newPrimaryActor(spec, requirements, global_name, source_hash)

    def external_clone(self) -> Endpoint:
        return self._base.external_clone()

    def updateCapability(self, name: str, value: Any = None) -> None:
        self._base.updateCapability(name, value)

    def loadActorSource(self, file_or_name: Any) -> str:
        return self._base.loadActorSource(file_or_name)

    def unloadActorSource(self, source_hash: str) -> None:
        self._base.unloadActorSource(source_hash)
