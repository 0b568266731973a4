"""A peer's request as a program sees it: something to answer, once, now or later."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from core.errors import NotActive, ResponseAlreadySent
from core.events import RequestReceived, decode_json
from core.ids import PeerId
from core.messages import (
    ActorMessage,
    AnswerCall,
    RefuseCall,
)

MAX_ERROR_CHARS = 1000
"""An error's text is cut to this before it goes to a peer, which would cut it anyway."""


class CallPort(Protocol):
    """The way back from a request to the peer it came from."""

    def encode(self, data: object) -> bytes | None:
        """The bytes of an answer. Raises Misuse."""

    def reply(self, address: Any, message: ActorMessage) -> None:
        """Send to the peer actor at ``address``. Raises NotActive after the node was stopped."""

    def abandon(self, address: Any, message: ActorMessage) -> None:
        """Send later, from a thread that may. Must be safe in a finalizer: takes no lock, never raises."""


class IncomingRequest:
    """A request of a peer. Answer it with :meth:`end` or :meth:`error`, from any thread, exactly once.

    ``peer_id`` says who asks, ``procedure`` for what, ``data`` is what came along: bytes, or None for no payload.

    A handler may also return the answer, or raise; see :meth:`actors.api.P2P.on`. A request that nobody can answer any
    more, because the last reference to it went away, is refused at once: the peer need not wait for its time-out.
    """

    NAME: ClassVar[str] = RequestReceived.NAME

    __slots__ = ("__weakref__", "_address", "_open", "_port", "data", "peer_id", "procedure")

    def __init__(self, event: RequestReceived, address: Any, port: CallPort) -> None:
        self.peer_id: PeerId = event.peer_id
        self.procedure: str = event.procedure
        self.data: bytes | None = event.data
        self._address = address
        self._port = port
        self._open = [event.call_id]  # popped by whoever answers: of two threads only one can

    def __repr__(self) -> str:
        state = "answered" if self.answered else "open"
        size = "no data" if self.data is None else f"{len(self.data)} bytes"
        return f"<IncomingRequest {self.procedure!r} from {self.peer_id}, {size}, {state}>"

    @property
    def answered(self) -> bool:
        """Whether an answer or an error has been sent."""
        return not self._open

    def json(self) -> Any:
        """The payload, read as JSON; None if there is none. Raises ValueError if it is no JSON text."""
        return decode_json(self.data)

    def end(self, data: object = None) -> None:
        """Answer with ``data``: bytes, or anything JSON can hold; None: an answer without payload. Falsy values count.

        Raises ResponseAlreadySent, Misuse (``data`` cannot be sent; the request stays open) or NotActive.
        """
        encoded = self._port.encode(data)
        call_id = self._claim()
        if call_id is not None:
            self._port.reply(self._address, AnswerCall(call_id, encoded))

    def error(self, reason: str | BaseException) -> None:
        """Answer with an error: its text, cut to 1,000 characters, is what the peer's program will see.

        Raises ResponseAlreadySent or NotActive.
        """
        text = error_text(reason)
        call_id = self._claim()
        if call_id is not None:
            self._port.reply(self._address, RefuseCall(call_id, text))

    def refuse_if_open(self, reason: str | BaseException) -> None:
        """:meth:`error`, unless it has been answered or the node is gone: for whoever only cleans up."""
        try:
            self.error(reason)
        except (ResponseAlreadySent, NotActive):
            return  # both mean that there is nobody left to tell

    def _claim(self) -> int | None:
        """The call to answer, for one caller only; None if the peer did not ask for an answer."""
        try:
            return self._open.pop()
        except IndexError:
            raise ResponseAlreadySent(
                f"the request {self.procedure!r} of {self.peer_id} has been answered before"
            ) from None

    def __del__(self) -> None:
        if self._open and (call_id := self._open.pop()) is not None:
            text = error_text(f"the request {self.procedure!r} was not answered")
            self._port.abandon(self._address, RefuseCall(call_id, text))


def error_text(reason: str | BaseException) -> str:
    """What a peer is told: the text of an error, its class name if it has no text."""
    return (str(reason) or type(reason).__name__)[:MAX_ERROR_CHARS]
