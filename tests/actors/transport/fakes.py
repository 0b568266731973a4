"""A network in memory: stream sockets in pairs, with knobs for how bytes are cut, delayed and lost."""

from __future__ import annotations

import base64
import errno
import hashlib
import itertools
import os
import re

from actors.transport.handover import HandOver
from actors.transport.port import ListenSocket
from core.ids import Endpoint


def os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


class FakeStream:
    """One end. Writes appear at once in the other end's ``inbox``, as far as ``room`` allows."""

    def __init__(self, fd: int, remote_ip: str, remote_port: int) -> None:
        self.fd = fd
        self.remote_ip = remote_ip
        self.remote_port = remote_port
        self.other: FakeStream | None = None
        self.inbox = bytearray()
        self.room: int | None = None  # bytes that send() still takes; None: any number
        self.recv_calls = 0
        self.connect_failure: OSError | None = None
        self.send_failure: OSError | None = None
        self.recv_failure: OSError | None = None
        self.other_ended = False
        self.was_shut_down = False
        self.closed = False

    def fileno(self) -> int:
        return -1 if self.closed else self.fd

    def recv(self, max_bytes: int, /) -> bytes:
        self.recv_calls += 1
        if self.closed:
            raise os_error(errno.EBADF)
        if not self.inbox:
            if self.recv_failure is not None:
                raise self.recv_failure
            if self.other_ended:
                return b""
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        data = bytes(self.inbox[:max_bytes])
        del self.inbox[:max_bytes]
        return data

    def send(self, data: bytes | memoryview, /) -> int:
        if self.closed:
            raise os_error(errno.EBADF)
        if self.send_failure is not None:
            raise self.send_failure
        count = len(data) if self.room is None else min(len(data), self.room)
        if count == 0 < len(data):
            raise BlockingIOError(errno.EAGAIN, "no room")
        if self.room is not None:
            self.room -= count
        assert self.other is not None
        self.other.inbox += data[:count]
        return count

    def connect_error(self) -> OSError | None:
        return self.connect_failure

    def shutdown(self) -> None:
        self.was_shut_down = True
        if self.other is not None:
            self.other.other_ended = True

    def close(self) -> None:
        """As the kernel does it: closing over unread bytes resets the connection, and a reset may overtake data."""
        if self.inbox and self.was_shut_down and self.other is not None:
            self.other.inbox.clear()
        self.closed = True


def stream_pair() -> tuple[FakeStream, FakeStream]:
    """The opener's end and the listener's end of a connection."""
    opener, listener = FakeStream(10, "10.0.0.1", 5001), FakeStream(11, "10.0.0.2", 40000)
    opener.other, listener.other = listener, opener
    return opener, listener


class FakeNetwork:
    """Gives out the stream it was made with."""

    def __init__(self, stream: FakeStream) -> None:
        self.stream = stream
        self.copies = itertools.count(100)

    def connect(self, endpoint: Endpoint, /) -> FakeStream:
        return self.stream

    def listen(self, host_ip: str, port: int, backlog: int) -> ListenSocket:
        raise os_error(errno.EADDRNOTAVAIL)

    def adopt(self, hand_over: HandOver, received_fd: int | None = None) -> FakeStream:
        """A second object for the same end: takes over the inbox, as copies of one socket share theirs."""
        giver = self.stream
        if giver.closed or giver.fd != hand_over.fd:
            raise os_error(errno.ESTALE)
        copy = FakeStream(next(self.copies), giver.remote_ip, giver.remote_port)
        copy.inbox = giver.inbox
        copy.other = giver.other
        assert giver.other is not None
        giver.other.other = copy
        return copy


# ---- frames as an opener or listener would write them (RFC 6455 section 5.2), made without the code under test ------

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
MASK = b"\x11\x22\x33\x44"


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes | None = MASK, reserved: int = 0
) -> bytes:
    """One frame; masked as an opener's unless ``mask`` is None."""
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    bit = 0x80 if mask is not None else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + len(payload).to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + len(payload).to_bytes(8, "big")
    if mask is None:
        return head + payload
    repeated = mask * (len(payload) // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[: len(payload)], "big")
    return head + mask + number.to_bytes(len(payload), "big")


def close_frame(code: int, reason: bytes = b"", *, mask: bytes | None = MASK) -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason, mask=mask)


REQUEST = (
    b"GET /rpc/?chainID=00000001&port=6002 HTTP/1.1\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Connection: Upgrade\r\n"
    b"Upgrade: websocket\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"Host: 127.0.0.1:6001\r\n"
    b"\r\n"
)
"""As a lisk-p2p 0.10.0 opener sends it, with the key of the example in RFC 6455 section 1.3."""

SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"\r\n"
)
"""The listener's whole answer to REQUEST."""


def answer_to(request: bytes) -> bytes:
    """SWITCHING with the accept value that belongs to the key of ``request`` (RFC 6455 section 4.2.2)."""
    found = re.search(rb"Sec-WebSocket-Key: (\S+)\r\n", request)
    assert found is not None
    digest = hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return SWITCHING.replace(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", base64.b64encode(digest))
