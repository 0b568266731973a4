"""The listener's side of making a WebSocket connection: read the HTTP upgrade, answer it, read the first message."""

from __future__ import annotations

import contextlib
import enum
import http

from websockets.datastructures import Headers
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from actors.transport.channel import (
    DEFAULT_MAX_MESSAGE_BYTES,
    DEFAULT_MAX_QUEUED_BYTES,
    QUIET,
    RECV_BYTES,
    Channel,
)
from actors.transport.channel_writer import NOT_OPEN, text_of
from actors.transport.events import (
    ChannelEvent,
    Closed,
    MessageReceived,
    UpgradeRequested,
)
from actors.transport.handover import HandOver, frame_bytes
from actors.transport.port import StreamSocket
from actors.transport.precedents import Upgrade, header_lines, known_request, remember_request
from actors.transport.upgrade import MAX_HEAD_BYTES, ExtraHeaders, headers_of
from core.ids import CloseCode

MAX_EARLY_BYTES = 64 * 1024
"""Frames up to and including the first message. ``#handshake`` takes about 60 bytes."""


class _Phase(enum.Enum):
    HEAD = enum.auto()
    """Reading the HTTP request."""
    ASKED = enum.auto()
    """``UpgradeRequested`` is out; not reading."""
    FIRST = enum.auto()
    """Reading frame by frame, up to the first whole message."""
    HELD = enum.auto()
    """The first message is out; not reading. What came after it lies in ``_raw``, untouched."""
    STREAMING = enum.auto()
    """A channel like any other."""


# A lookup in the enumeration takes five times as long.
_HEAD, _ASKED, _FIRST, _HELD, _STREAMING = _Phase


_NOT_READING = (_ASKED, _HELD)


class ListenerChannel(Channel):
    """The listener's side: reads the upgrade, then one message, then waits to be told who goes on.

    Order of events: ``UpgradeRequested`` (call :meth:`accept` or :meth:`reject`), the first ``MessageReceived``; then
    call :meth:`detach` to give the connection away, :meth:`resume_reading` to keep it, or ``close``. In the states
    between, nothing is read. Requests that are no upgrade, or not for ``path``, are answered here and end in
    ``Closed``.
    """

    __slots__ = (
        "_answer",
        "_early_bytes",
        "_frame_left",
        "_is_upgrading",
        "_most_queued_bytes",
        "_path",
        "_phase",
        "_raw",
        "_scanned",
        "_server",
    )

    def __init__(
        self,
        stream: StreamSocket,
        *,
        path: str,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        max_queued_bytes: int = DEFAULT_MAX_QUEUED_BYTES,
    ) -> None:
        super().__init__(stream, None, max_message_bytes=max_message_bytes, max_queued_bytes=max_queued_bytes)
        self._most_queued_bytes = max_queued_bytes
        self._max_queued_bytes = NOT_OPEN
        self._server: ServerProtocol | None = None  # while the request is read and judged
        self._path = path
        self._phase = _HEAD
        self._is_upgrading = True
        self._raw = bytearray()
        self._scanned = 0  # bytes of the head that the parser has
        self._early_bytes = 0
        self._frame_left = 0  # bytes of the current frame that the parser lacks
        self._answer = b""  # to a request that is good

    @property
    def wants_read(self) -> bool:
        return self._reading and not self._closed and self._phase not in _NOT_READING

    # ---- the actor's answers -------------------------------------------------------------------------------------

    def accept(self, extra_headers: ExtraHeaders = ()) -> list[ChannelEvent]:
        """Answer ``UpgradeRequested`` with 101. Returns what a hasty opener has sent already."""
        if self._phase is not _ASKED or self._closed:
            raise RuntimeError("accept() answers UpgradeRequested, once")
        self._queue(self._answer.removesuffix(b"\r\n") + header_lines(tuple(extra_headers)))
        self._answer = b""
        self.flush()
        self._phase = _FIRST
        self._max_queued_bytes = self._most_queued_bytes
        events: list[ChannelEvent] = []
        self._read_first(events)
        return events

    def reject(self, status: int, body: str) -> None:
        """Answer with an HTTP error instead of an upgrade and close; no event follows. Body in HTML.

        Before ``UpgradeRequested`` this works too, but an opener whose request is still under way may see its
        connection reset instead of the answer.
        """
        if self._phase not in (_HEAD, _ASKED):
            raise RuntimeError("reject() comes before accept()")
        if self._closed:
            return
        content = body.encode()
        headers = Headers({"Connection": "close", "Content-type": "text/html", "Content-Length": str(len(content))})
        self._respond_and_abort(Response(status, http.HTTPStatus(status).phrase, headers, content))

    def detach(self, token: int) -> HandOver:
        """Give the connection away, after the first message. Nothing is read or sent here any more.

        Stop watching the descriptor BEFORE :meth:`confirm`: epoll goes on reporting a closed descriptor while a copy
        of its socket lives, and the number may come back as another connection.
        """
        if self._phase is not _HELD or self._closed or self._aside.close_code is not None:
            raise RuntimeError("detach() comes after the first message, on an open connection")
        self.flush()
        self._seal()
        unsent = b"".join([*([self._pending] if self._pending is not None else []), *self._out])
        hand_over = HandOver(
            token=token,
            fd=self.fileno(),
            remote_ip=self.remote_ip,
            remote_port=self.remote_port,
            leftover=bytes(self._raw),
            unsent=unsent,
        )
        self._drop_queue()
        self._raw.clear()
        self._max_queued_bytes = NOT_OPEN
        return hand_over

    def confirm(self) -> None:
        """The receiver has its own copy: close ours, and leave the connection alone. (``abort`` would end it.)"""
        if self._phase is not _HELD or self.is_open:
            raise RuntimeError("confirm() comes after detach()")
        self._closed = True
        self._drop_core()
        self._stream.close()

    def resume_reading(self) -> list[ChannelEvent]:
        self._stream_on()
        return super().resume_reading()

    def close(self, code: int) -> None:
        super().close(code)
        self._stream_on()  # their close frame has to be read

    def _stream_on(self) -> None:
        """From the first message on, an ordinary channel may follow: it begins with the bytes held back."""
        if self._phase is _HELD and not self._closed:
            self._phase = _STREAMING
            self._is_upgrading = False
            self._have_aside().early = bytes(self._raw)
            self._raw.clear()

    # ---- reading -------------------------------------------------------------------------------------------------

    def _feed_upgrade(self, data: bytes, events: list[ChannelEvent]) -> None:
        self._raw += data
        if self._phase is _HEAD:
            self._read_head(events)
        elif self._phase is _FIRST:
            self._read_first(events)

    def _read_head(self, events: list[ChannelEvent]) -> None:
        """Feed the parser up to the end of the HTTP head and not a byte further."""
        end = self._raw.find(b"\r\n\r\n", max(0, self._scanned - 3)) + 4
        complete = end >= 4
        if (end if complete else len(self._raw)) > MAX_HEAD_BYTES:
            self._refuse(431, events, f"HTTP head of more than {MAX_HEAD_BYTES} bytes")
            return
        upto = end if complete else len(self._raw)
        head = bytes(self._raw[:upto]) if complete and not self._scanned else b""
        if head and (known := known_request(head)) is not None and self._is_ours(known.target):
            self._ask(known, upto, events)
            return
        server = self._server
        if server is None:
            self._server = server = ServerProtocol(max_size=self._max_message_bytes, logger=QUIET)
            self._have_aside().protocol = server
        server.receive_data(self._raw[self._scanned : upto])
        self._scanned = upto
        received = server.events_received()
        error = server.handshake_exc
        if error is not None:
            too_large = isinstance(error, (RequestLineTooLong, HeaderLineTooLong, TooManyHeaders))
            self._refuse(431 if too_large else 400, events, text_of(error.__cause__ or error))
        elif received and isinstance(received[0], Request):
            found = self._judge(server, received[0], events)
            if found is not None:
                if head:
                    remember_request(head, found)
                self._ask(found, upto, events)

    def _is_ours(self, target: str) -> bool:
        return target.partition("?")[0] == self._path

    def _judge(self, server: ServerProtocol, request: Request, events: list[ChannelEvent]) -> Upgrade | None:
        """What websockets finds of a request; one that is not good is answered."""
        if not self._is_ours(request.path):
            self._refuse(400, events, f"no WebSocket at {request.path[:80]}")
            return None
        response = server.accept(request)
        del response.headers["Date"]  # needs a clock, and lisk-p2p sends none
        if response.status_code != 101:
            why = server.handshake_exc or ValueError(response.reason_phrase)
            self._respond_and_abort(response)
            reason = f"answered with HTTP status {response.status_code}: {text_of(why)}"
            events.append(Closed(CloseCode.ABNORMAL, False, reason))
            return None
        return Upgrade(request.path, headers_of(request.headers), response.serialize())

    def _ask(self, upgrade: Upgrade, head_bytes: int, events: list[ChannelEvent]) -> None:
        """A good request: it is the actor's to answer."""
        del self._raw[:head_bytes]
        self._server = None
        self._drop_core()  # and with it the request: 7 KB that a mute opener would hold
        self._answer = upgrade.answer
        self._phase = _ASKED
        events.append(UpgradeRequested(upgrade.target, upgrade.headers))

    def _read_first(self, events: list[ChannelEvent]) -> None:
        """Feed the parser one frame at a time until a whole message is out; leave the rest in ``_raw``."""
        while self._raw and not self._closed:
            if self._frame_left == 0:
                self._frame_left = frame_bytes(self._raw)
                if self._frame_left == 0:
                    return
                self._early_bytes += self._frame_left
                if self._early_bytes > MAX_EARLY_BYTES:
                    why = f"more than {MAX_EARLY_BYTES} bytes before the handshake"
                    self._end(Closed(CloseCode.MESSAGE_TOO_BIG, False, why), events)
                    return
            piece = bytes(self._raw[: self._frame_left])
            del self._raw[: len(piece)]
            self._frame_left -= len(piece)
            count = len(events)
            super()._feed(piece, events)
            if len(events) > count and type(events[-1]) is MessageReceived:
                # While closing there is nobody to hand over to: read on for their close frame.
                self._phase = _HELD
                if self._aside.close_code is not None:
                    self._stream_on()
                return

    # ---- refusing ------------------------------------------------------------------------------------------------

    def _refuse(self, status: int, events: list[ChannelEvent], why: str) -> None:
        self.reject(status, http.HTTPStatus(status).phrase)
        events.append(Closed(CloseCode.ABNORMAL, False, f"answered with HTTP status {status}: {why}"))

    def _respond_and_abort(self, response: Response) -> None:
        """Send an answer that fits any socket buffer, and close at once: a refused socket is not kept for anybody."""
        self._queue(response.serialize())
        self.flush()
        # Closing over unread bytes resets the connection, which may overtake the answer. Whether nothing is there or
        # the connection is lost already, makes no difference.
        with contextlib.suppress(OSError):
            self._stream.recv(RECV_BYTES)
        self.abort()
