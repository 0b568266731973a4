"""The writing half of a channel: what waits to be sent, as text messages or as packets that share a binary one.

Everything is queued first and handed to the socket by ``flush``: one system call for all that waits. Bounded in bytes;
what does not fit is refused and not queued.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from websockets.frames import Frame, Opcode

from actors.transport.channel_aside import NOTHING, Aside
from actors.transport.frames import (
    FINAL_BINARY,
    FINAL_CLOSE,
    FINAL_TEXT,
    NO_CLOSE_CODE,
    Joiner,
    masked_frame,
    plain_frame,
    shared_frame,
    shared_joined_frame,
)
from actors.transport.handover import MAX_FRAME_HEADER_BYTES
from actors.transport.port import StreamSocket
from core.empty import NO_ITEMS
from core.traffic import TrafficCount
from core.wire.native import MIN_MESSAGE_BYTES
from core.wire.native_packets import MAX_PACKETS

JOINED_BYTES = MIN_MESSAGE_BYTES - 8
"""Packets of one message at most, unless a single one is larger: what every receiver takes, less the array's header."""


CORE_DRAWS: Iterator[bytes] = iter(())
"""Instead of keys: websockets' core draws them, one by one."""

NOT_OPEN = -1
"""Instead of the most that may wait to be sent: nothing may."""


class ChannelWriter:
    """See the module; :class:`actors.transport.channel.Channel` adds reading and the end."""

    __slots__ = (
        "_aside",
        "_keys",
        "_max_queued_bytes",
        "_out",
        "_packet_bytes",
        "_packets",
        "_pending",
        "_stream",
        "join",
        "queued_bytes",
        "sent_bytes",
        "traffic",
    )

    def __init__(
        self, stream: StreamSocket, *, masks: bool, max_queued_bytes: int, traffic: TrafficCount | None = None
    ) -> None:
        self._stream = stream
        self._max_queued_bytes = max_queued_bytes  # NOT_OPEN while nothing may be sent
        self._keys: Iterator[bytes] | None = CORE_DRAWS if masks else None  # for masking; None: it does not mask
        self._packets: list[bytes] = NO_ITEMS  # what waits to be joined to a message
        self._packet_bytes = 0
        self.join: Joiner | None = None
        """The dialect's: makes one binary message of packets. None: one packet, one message."""
        self._out: list[bytes] = NO_ITEMS
        self._pending: bytes | memoryview | None = None
        self._aside = NOTHING
        self.queued_bytes = 0
        """Bytes accepted for sending that the socket has not taken yet, frame headers included."""
        self.sent_bytes = 0
        """Bytes that the socket has taken of messages that it did not take at once: grows while something waits and the
        other side reads. (Of all messages it would be a number beyond the small ones that Python shares.)"""
        self.traffic = TrafficCount() if traffic is None else traffic
        """Where the bytes that come and go are counted."""

    def _have_aside(self) -> Aside:
        """Its aside, to be changed."""
        if self._aside is NOTHING:
            self._aside = Aside()
        return self._aside

    @property
    def wants_write(self) -> bool:
        """Watch for writing: something is waiting to be sent."""
        return self.queued_bytes > 0

    @property
    def room_bytes(self) -> int:
        """What still fits into the send queue."""
        return self._max_queued_bytes - self.queued_bytes

    @property
    def is_open(self) -> bool:
        """Messages may be sent."""
        return self._max_queued_bytes > NOT_OPEN

    def send(self, packet: str | bytes) -> bool:
        """Queue a packet: text as a text message, bytes in a binary one. :meth:`flush` sends it.

        False, and nothing queued, if the channel is not open or the queue would exceed ``max_queued_bytes``.
        """
        if isinstance(packet, str):
            self._seal()
            return self._send(FINAL_TEXT, packet)
        if self.join is None:
            return self._send(FINAL_BINARY, packet)
        size = len(packet)
        if self.queued_bytes + size + MAX_FRAME_HEADER_BYTES > self._max_queued_bytes:
            return False
        if self._packet_bytes + size > JOINED_BYTES or len(self._packets) == MAX_PACKETS:
            self._seal()
        if self._packets:
            self._packets.append(packet)
        else:
            self._packets = [packet]
        self._packet_bytes += size
        self.queued_bytes += size
        return True

    def send_all(self, packets: Sequence[str | bytes]) -> int:
        """Queue several packets, in order; returns how many of them were not queued (see :meth:`send`).

        Those that may share a message are queued as one: 0.3 us less for each.
        """
        size = sum(map(len, packets))
        if (
            self.join is not None
            and self._packet_bytes + size <= JOINED_BYTES
            and len(self._packets) + len(packets) <= MAX_PACKETS
            and self.queued_bytes + size + MAX_FRAME_HEADER_BYTES <= self._max_queued_bytes
        ):
            if self._packets is NO_ITEMS:
                self._packets = []
            self._packets += cast("Sequence[bytes]", packets)  # a dialect that joins has no others
            self._packet_bytes += size
            self.queued_bytes += size
            return 0
        return sum(not self.send(packet) for packet in packets)

    def send_text(self, text: str | bytes) -> bool:
        """Queue a text message (bytes: UTF-8 already); otherwise as :meth:`send`."""
        self._seal()
        return self._send(FINAL_TEXT, text)

    def send_binary(self, data: bytes) -> bool:
        """Queue a binary message; otherwise as :meth:`send`."""
        self._seal()
        return self._send(FINAL_BINARY, data)

    def _send(self, first_byte: int, message: str | bytes) -> bool:
        if self.queued_bytes + len(message) + MAX_FRAME_HEADER_BYTES > self._max_queued_bytes:
            return False
        if self._keys is None:
            frame = shared_frame(first_byte, message)
        else:
            frame = self._masked(first_byte, message.encode() if isinstance(message, str) else message)
        if self.queued_bytes + len(frame) > self._max_queued_bytes:  # text has more bytes than characters
            return False
        self._queue(frame)
        return True

    def _masked(self, first_byte: int, payload: bytes) -> bytes:
        keys = self._keys
        assert keys is not None  # or it would not mask
        if keys is CORE_DRAWS:
            return Frame(Opcode(first_byte & 0x0F), payload).serialize(mask=True)
        return masked_frame(first_byte, payload, next(keys))

    def _queue_close(self, code: int) -> None:
        """Queue a close frame, behind all that waits."""
        self._seal()
        payload = b"" if code == NO_CLOSE_CODE else code.to_bytes(2, "big")
        self._queue(plain_frame(FINAL_CLOSE, payload) if self._keys is None else self._masked(FINAL_CLOSE, payload))

    def _seal(self) -> None:
        """Make one message of the packets that wait."""
        if self._packets:
            self.queued_bytes -= self._packet_bytes
            self._queue(self._joined())

    def _joined(self) -> bytes:
        """The frame of the packets that wait, which do not wait any more."""
        packets, join = self._packets, self.join
        assert join is not None  # who waits here is one of a dialect that joins
        self._packets = NO_ITEMS
        self._packet_bytes = 0
        keys = self._keys
        if keys is None:
            return shared_joined_frame(packets, join)
        if keys is CORE_DRAWS:
            return self._masked(FINAL_BINARY, join(packets))
        return masked_frame(FINAL_BINARY, join(packets), next(keys))

    def _queue(self, data: bytes) -> None:
        if self._out:
            self._out.append(data)
        else:
            self._out = [data]
        self.queued_bytes += len(data)

    def flush(self) -> None:
        """Hand the whole queue to the socket, as far as it takes it; ``wants_write`` tells whether something is left.

        A connection found broken here drops its queue. That is reported as ``Closed`` by the next
        :meth:`on_readable`, which first returns what had still arrived; a broken socket is always readable.
        """
        while self.queued_bytes:
            # Packets are not joined before: what waits for a slow reader travels in fewer messages.
            data = self._pending or self._take_queue()
            try:
                sent = self._stream.send(data)
            except BlockingIOError:
                self._pending = data
                return
            except OSError as error:
                self._have_aside().send_error = text_of(error)
                self._drop_queue()
                self._max_queued_bytes = min(0, self._max_queued_bytes)  # nothing fits any more
                return
            self.traffic.bytes_sent += sent
            self.queued_bytes -= sent
            if sent < len(data):
                self.sent_bytes += sent
                self._pending = memoryview(data)[sent:]
            elif self._pending is not None:
                self.sent_bytes += sent
                self._pending = None

    def _take_queue(self) -> bytes:
        """All that waits, in one piece."""
        if not self._out:  # packets and nothing before them: nearly always
            frame = self._joined()
            self.queued_bytes = len(frame)
            return frame
        self._seal()
        out, self._out = self._out, NO_ITEMS
        return out[0] if len(out) == 1 else b"".join(out)

    def _drop_queue(self) -> None:
        self._out = NO_ITEMS
        self._packets = NO_ITEMS
        self._packet_bytes = 0
        self._pending = None
        self.queued_bytes = 0


def text_of(error: BaseException) -> str:
    """An error as a short text; for the operating system's, without the number."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text[:200] or type(error).__name__
