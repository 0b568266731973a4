"""A WebSocket connection over any :class:`~actors.transport.port.StreamSocket`.

The parsing is websockets' sans-I/O core, except for plain data frames (:mod:`actors.transport.frames`). A channel adds
what the core leaves out: reading and writing in batches, several packets in a message where the dialect has that, caps,
whole messages from fragments, and lisk-p2p's manners on the wire (docs/protocol.md):

* no compression; close frames carry a code and no text;
* a PING is reported and never answered;
* frames that break the protocol or a cap end the TCP connection without a close frame.

A channel has no clock: what takes too long (connecting, upgrading, closing) is its actor's to end, with ``abort``.
One departure from lisk-p2p: its listeners take unmasked frames of an opener, ours refuse them (RFC 6455 section 5.1).
"""

from __future__ import annotations

import logging
from typing import cast

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from actors.transport.channel_aside import NOTHING, Aside
from actors.transport.channel_writer import NOT_OPEN, ChannelWriter, text_of
from actors.transport.events import ChannelEvent, Closed, ControlFrame, MessageReceived
from actors.transport.frames import may_be_sent, read_close, read_plain
from actors.transport.handover import MAX_FRAME_HEADER_BYTES, HandOver, frame_bytes
from actors.transport.port import Network, StreamSocket
from core.empty import NO_ITEMS
from core.ids import CloseCode
from core.traffic import TrafficCount

DEFAULT_MAX_MESSAGE_BYTES = 3_048_576
"""lisk-p2p's ``wsMaxPayload``: exactly this is accepted, one byte more is not."""

DEFAULT_MAX_QUEUED_BYTES = 8 * 1024 * 1024
"""Room for two messages of the greatest size, and change."""

RECV_BYTES = 64 * 1024
READ_BUDGET_BYTES = 256 * 1024
"""Read at most this much per call, so that one busy peer cannot keep all others waiting."""

EVENT_BUDGET = 1024
"""Read no further once a call has this many events: 256 KiB may hold 43,690 empty messages."""

MAX_FRAGMENTS = 8192
"""Fragments per message. Empty fragments cost no room, so that the size cap alone would let them come for ever."""

_TEXT, _BINARY, _CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
_PING, _PONG = Opcode.PING, Opcode.PONG

# websockets asks its logger once per connection whether DEBUG is on. This one is not registered anywhere, so that a
# program which sets the root logger to DEBUG neither pays per frame nor writes peers' payloads to its log.
QUIET = logging.Logger("ensemble.websocket", logging.CRITICAL + 1)


class Channel(ChannelWriter):
    """An open WebSocket connection, either side. :meth:`adopt` makes one of a hand-over; the subclasses open one."""

    __slots__ = ("_closed", "_max_message_bytes", "_reading")

    _is_upgrading = False
    """What is read is no frame yet, or not to be taken as any other: of the subclasses only."""

    def __init__(
        self,
        stream: StreamSocket,
        protocol: Protocol | None,
        *,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        max_queued_bytes: int,
        traffic: TrafficCount | None = None,
    ) -> None:
        """``protocol`` None: the listener's side of a connection that is open."""
        masks = protocol is not None and protocol.side is Side.CLIENT
        super().__init__(stream, masks=masks, max_queued_bytes=max_queued_bytes, traffic=traffic)
        if protocol is not None:
            self._have_aside().protocol = protocol
        self._max_message_bytes = max_message_bytes
        if protocol is not None and protocol.state is not State.OPEN:
            self._max_queued_bytes = NOT_OPEN
        self._closed = False
        self._reading = True

    @property
    def remote_ip(self) -> str:
        """The other side's address, canonical text."""
        return self._stream.remote_ip

    @property
    def remote_port(self) -> int:
        """The other side's TCP port."""
        return self._stream.remote_port

    @staticmethod
    def adopt(
        network: Network,
        hand_over: HandOver,
        *,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        max_queued_bytes: int = DEFAULT_MAX_QUEUED_BYTES,
        received_fd: int | None = None,
        traffic: TrafficCount | None = None,
    ) -> Channel:
        """Take over a connection. Call :meth:`on_readable` and :meth:`flush` at once: messages may have come along.

        Raises OSError if the giver has given up, or the connection is gone.
        """
        stream = network.adopt(hand_over, received_fd)
        channel = Channel(
            stream, None, max_message_bytes=max_message_bytes, max_queued_bytes=max_queued_bytes, traffic=traffic
        )
        if hand_over.leftover:
            channel._have_aside().early = hand_over.leftover
        if hand_over.unsent:
            channel._queue(hand_over.unsent)
        return channel

    # ---- what the actor watches ----------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The descriptor to watch; -1 once closed."""
        return self._stream.fileno()

    @property
    def wants_read(self) -> bool:
        """Watch for reading."""
        return self._reading and not self._closed

    @property
    def interest(self) -> int:
        """What to watch for, as a number that changes when it does: 1 reading, 2 writing, 4 nothing any more."""
        if self._closed:
            return 4
        return (1 if self._reading else 0) + (2 if self.queued_bytes else 0)

    @property
    def closing(self) -> bool:
        """:meth:`close` was called and the other side's close frame has not come yet."""
        return self._aside.close_code is not None and not self._closed

    @property
    def closed(self) -> bool:
        """Nothing more will happen here: the socket is closed or given away."""
        return self._closed

    # ---- reading -------------------------------------------------------------------------------------------------

    def on_readable(self) -> list[ChannelEvent]:
        """Read what is there, within the budgets, and return what it means, in order of arrival."""
        events: list[ChannelEvent] = []
        if self._is_upgrading:
            self._before_upgrade(events)
        if self._aside is not NOTHING and self._aside.early and self.wants_read:
            early, self._aside.early = self._aside.early, b""
            self._feed(early, events)
        budget = READ_BUDGET_BYTES
        while self._reading and not self._closed:
            if self._is_upgrading and not self.wants_read:
                break
            try:
                data = self._stream.recv(RECV_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                self._lost(text_of(error), events)
                break
            if not data:
                self._on_end_of_stream(events)
                break
            size = len(data)
            self.traffic.bytes_received += size
            if self._is_upgrading:
                self._feed_upgrade(data, events)
            else:
                self._feed(data, events)
            budget -= size
            if size < RECV_BYTES or budget <= 0 or len(events) >= EVENT_BUDGET:
                break
        return events

    def _before_upgrade(self, events: list[ChannelEvent]) -> None:
        """About to read, while the upgrade is under way."""

    def _feed_upgrade(self, data: bytes, events: list[ChannelEvent]) -> None:
        """What was read while the upgrade is under way."""
        raise NotImplementedError("a channel that does not upgrade")

    def pause_reading(self) -> None:
        """Stop reading, so that TCP slows the sender down."""
        self._reading = False

    def resume_reading(self) -> list[ChannelEvent]:
        """Read again, at once."""
        self._reading = True
        return self.on_readable()

    def _feed(self, data: bytes, events: list[ChannelEvent]) -> None:
        """Read plain frames; whatever else comes is the core's, frame by frame, as are the parts of a message."""
        if self._aside is NOTHING:
            used, is_special = read_plain(data, self._keys is None, self._max_message_bytes, events)
            if used == len(data):
                return  # nearly always
            data = data[used:]
            if is_special and self._take_close(data, events):
                return
        self._feed_parts(data, events)
        if self._aside.is_empty:
            self._aside = NOTHING

    def _take_close(self, data: bytes, events: list[ChannelEvent]) -> bool:
        """Whether ``data`` begins with a close frame as it should be. What follows one is nothing (RFC 6455, 5.5.1)."""
        theirs = read_close(data, self._keys is None, self._max_message_bytes)
        if theirs is None:
            return False
        self._finish_closing(*theirs, events)
        return True

    def _feed_parts(self, data: bytes, events: list[ChannelEvent]) -> None:
        """As :meth:`_feed`, with what there is of a frame already."""
        aside = self._have_aside()
        if aside.parts:
            aside.parts.append(data)
            aside.have += len(data)
            if aside.have < aside.need:
                return
            data = b"".join(aside.parts)
            aside.parts = NO_ITEMS
        while data and not self._closed:
            if not aside.is_core_reading:
                used, is_special = read_plain(data, self._keys is None, self._max_message_bytes, events)
                if used == len(data):
                    return
                data = data[used:]
                if not is_special:
                    if data:
                        aside.parts = [data]
                        aside.have, aside.need = len(data), frame_bytes(data) or len(data) + 1
                    return
                if self._take_close(data, events):
                    return
            data = self._feed_special(aside, data, events)

    def _feed_special(self, aside: Aside, data: bytes, events: list[ChannelEvent]) -> bytes:
        """Give the core its frame, as much as there is of it; returns what follows."""
        if not aside.core_left:
            head = aside.core_head + data[:MAX_FRAME_HEADER_BYTES]
            size = frame_bytes(head)
            if size == 0:
                aside.core_head = head
                self._feed_core(data, events)
                return b""
            aside.core_left = size - len(aside.core_head)
            aside.core_head = b""
        piece = data[: aside.core_left]
        aside.core_left -= len(piece)
        self._feed_core(piece, events)
        return data[len(piece) :]

    def _core(self) -> Protocol:
        """websockets' core. An open connection has none until it has to read a frame that is not plain: 2 KB for each
        of thousands that never do."""
        aside = self._have_aside()
        if aside.protocol is None:
            side = Side.CLIENT if self._keys is not None else Side.SERVER
            aside.protocol = Protocol(side, max_size=self._max_message_bytes, logger=QUIET)
        return aside.protocol

    def _drop_core(self) -> None:
        """Let go of the core for good. It refers to itself: left as it is, it and all that it has read, the head of an
        upgrade mostly, would stay until Python looks for cycles (10 KB for each connection that was ever made)."""
        aside = self._aside
        core = aside.protocol
        if core is not None:
            aside.protocol = None
            vars(core).clear()
        if aside is not NOTHING and aside.is_empty:
            self._aside = NOTHING

    def _feed_core(self, data: bytes, events: list[ChannelEvent]) -> None:
        core = self._core()
        core.receive_data(data)
        # Once the connection is open, the core's events are frames only.
        self._take(cast("list[Frame]", core.events_received()), events)

    def _take(self, frames: list[Frame], events: list[ChannelEvent]) -> None:
        """Translate parsed frames and notice the end. The hot path of receiving."""
        protocol = self._core()
        for frame in frames:
            opcode = frame.opcode
            if frame.fin and (opcode is _TEXT or opcode is _BINARY):
                data = frame.data
                events.append(MessageReceived(data if type(data) is bytes else bytes(data), opcode is _BINARY))
            else:
                self._take_rare(frame, events)
                if self._closed:
                    return
        # The core answers pings, and echoes close frames with their text: we do neither, so its answers go nowhere.
        protocol.data_to_send()
        if protocol.parser_exc is not None:
            self._fail(protocol.parser_exc, events)
        elif protocol.close_rcvd is not None:
            theirs = protocol.close_rcvd
            self._finish_closing(int(theirs.code), theirs.reason, events)

    def _take_rare(self, frame: Frame, events: list[ChannelEvent]) -> None:
        """Control frames, and the parts of fragmented messages (the core has checked their order and total size)."""
        if frame.opcode is _PING or frame.opcode is _PONG:
            events.append(ControlFrame("ping" if frame.opcode is _PING else "pong"))
        elif frame.opcode is _TEXT or frame.opcode is _BINARY:
            aside = self._have_aside()
            aside.fragments = bytearray(frame.data)
            aside.fragments_binary = frame.opcode is _BINARY
            aside.fragment_count = 1
        elif frame.opcode is _CONT and (aside := self._aside).fragments is not None:
            aside.fragments += frame.data
            aside.fragment_count += 1
            if frame.fin:
                events.append(MessageReceived(bytes(aside.fragments), aside.fragments_binary))
                aside.fragments = None
            elif aside.fragment_count >= MAX_FRAGMENTS:
                self._end(Closed(CloseCode.MESSAGE_TOO_BIG, False, f"more than {MAX_FRAGMENTS} fragments"), events)

    # ---- writing -------------------------------------------------------------------------------------------------

    def on_writable(self) -> list[ChannelEvent]:
        """The socket has room (or has finished connecting): go on sending."""
        self.flush()
        return []

    # ---- ending --------------------------------------------------------------------------------------------------

    def close(self, code: int) -> None:
        """Send what is queued and a close frame, then wait for the other side's: ``Closed`` tells when it came.

        Messages may still arrive meanwhile. No more can be sent. A channel that is not open yet is aborted. Calling it
        again changes nothing. Raises ValueError for a code that must not be sent (RFC 6455 section 7.4).
        """
        if self._closed or self._aside.close_code is not None:
            return
        if not self.is_open:
            self.abort()
            return
        if not may_be_sent(code):
            raise ValueError(f"close code {code} must not be sent")
        self._have_aside().close_code = code
        self._queue_close(code)
        self._max_queued_bytes = NOT_OPEN
        self.flush()

    def abort(self) -> None:
        """End the TCP connection now, without a close frame and without an event. Idempotent."""
        if not self._closed:
            self._closed = True
            self._max_queued_bytes = NOT_OPEN
            self._drop_queue()
            aside = self._aside
            if aside is not NOTHING:
                aside.fragments = None
                aside.parts = NO_ITEMS
                aside.early = b""
                self._drop_core()
            self._stream.shutdown()
            self._stream.close()

    def _end(self, closed: Closed, events: list[ChannelEvent]) -> None:
        self.abort()
        events.append(closed)

    def _lost(self, reason: str, events: list[ChannelEvent]) -> None:
        self._end(Closed(CloseCode.ABNORMAL, False, self._aside.send_error or reason), events)

    def _on_end_of_stream(self, events: list[ChannelEvent]) -> None:
        self._lost("the other side closed the connection without a close frame", events)

    def _fail(self, error: Exception, events: list[ChannelEvent]) -> None:
        """The core has given up on what it was fed."""
        if isinstance(error, ProtocolError):
            code = 1002
        elif isinstance(error, PayloadTooBig):
            code = 1009
        elif isinstance(error, UnicodeDecodeError):
            code = 1007
        else:
            code = 1011
        self._end(Closed(code, False, text_of(error)), events)

    def _finish_closing(self, code: int, reason: str, events: list[ChannelEvent]) -> None:
        """Their close frame is here: answer it unless ours went first, and end the TCP connection.

        Whoever does not read our answer (or what was queued before it) is not waited for.
        """
        ours = self._aside.close_code
        if ours is None:
            self._queue_close(code)
        self.flush()
        self._end(Closed(code if ours is None else ours, True, reason), events)
