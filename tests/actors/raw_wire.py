"""The other end of a connection as bare bytes: what no channel of ours would send can be sent here.

Nothing of the code under test writes or reads these bytes. Frames are made by :mod:`tests.actors.transport.fakes`.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from core.ids import Endpoint
from tests.actors.transport.fakes import BINARY, TEXT, answer_to, frame
from tests.actors.world import HomeNetwork, MemoryListener, MemoryStream, World

QUERY = "networkVersion=1.1&chainID=00000001&nonce=00000000000000bb&advertiseAddress=true&port=7000"
HANDSHAKE = '{"event":"#handshake","data":{"authToken":null},"cid":1}'
SLICE_S = 0.05
QUIET_ROUNDS = 4
"""A connection is accepted, watched, read, and handed over in as many turns of the loop."""


class ReceivedFrame(NamedTuple):
    """One frame that came: opcode, reserved bits, payload (unmasked)."""

    opcode: int
    reserved: int
    payload: bytes


def parse_frames(data: bytes) -> tuple[list[ReceivedFrame], bytes]:
    """Whole frames at the beginning of ``data`` (RFC 6455, section 5.2), and what is left."""
    found = []
    while len(data) >= 2:
        masked, length, at = data[1] & 0x80, data[1] & 0x7F, 2
        if length >= 126:
            width = 2 if length == 126 else 8
            length, at = int.from_bytes(data[at : at + width], "big"), at + width
        key, at = (data[at : at + 4], at + 4) if masked else (b"\0\0\0\0", at)
        if len(data) < at + length:
            break
        payload = bytes(byte ^ key[number % 4] for number, byte in enumerate(data[at : at + length]))
        found.append(ReceivedFrame(data[0] & 0x0F, data[0] >> 4 & 7, payload))
        data = data[at + length :]
    return found, data


class RawEnd:
    """A TCP connection. ``ended``: the node has closed it; ``head``: its HTTP message; ``frames``: what came next;
    ``rest``: bytes that are no whole frame (yet)."""

    def __init__(self, world: World, stream: MemoryStream) -> None:
        self.world = world
        self.stream = stream
        self.ended = False
        self.head = b""
        self.frames: list[ReceivedFrame] = []
        self.rest = b""
        self._unsent = b""

    # ---- out ----

    def send(self, data: bytes) -> None:
        """Send bytes; what does not fit now goes when time passes."""
        self._unsent += data
        self._step()

    def text(self, packet: object, *, binary: bool = False) -> bytes:
        """The frame of a packet; dicts become JSON text, str and bytes go as they are."""
        if not isinstance(packet, str | bytes):
            packet = json.dumps(packet)
        payload = packet.encode() if isinstance(packet, str) else packet
        return self.frame(BINARY if binary else TEXT, payload)

    def frame(self, opcode: int, payload: bytes = b"") -> bytes:
        """An opener's frame, masked."""
        return frame(opcode, payload)

    # ---- in ----

    @property
    def status(self) -> str:
        """The first line of the HTTP message."""
        return self.head.partition(b"\r\n")[0].decode()

    @property
    def texts(self) -> list[str]:
        return [one.payload.decode() for one in self.frames if one.opcode == TEXT]

    @property
    def close_code(self) -> int | None:
        """The code of the close frame that came; 0 if it had none."""
        closes = [one.payload for one in self.frames if one.opcode == 8]
        return int.from_bytes(closes[0][:2], "big") if closes else None

    def run(self, seconds: float = 0.0) -> None:
        """Let so much virtual time pass, at least until nothing more happens now."""
        ends = self.world.time + seconds
        while True:
            self._settle()
            left = ends - self.world.time
            if left < 1e-6:
                return
            self.world.run(min(SLICE_S, left))

    def _settle(self) -> None:
        quiet = 0
        while quiet < QUIET_ROUNDS:
            before = len(self._unsent), len(self.frames), self.ended, self.head
            self._step()
            self.world.base.poll()
            self._step()
            quiet = quiet + 1 if (len(self._unsent), len(self.frames), self.ended, self.head) == before else 0

    def _step(self) -> None:
        while self._unsent and not self.ended:
            try:
                self._unsent = self._unsent[self.stream.send(self._unsent) :]
            except BlockingIOError:
                break
            except OSError:
                self._unsent = b""
        while not self.ended:
            try:
                data = self.stream.recv(65536)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self.ended = not data
            self.rest += data
        if not self.head:
            head, found, rest = self.rest.partition(b"\r\n\r\n")
            if found:
                self.head, self.rest = head, rest
        if self.head:
            frames, self.rest = parse_frames(self.rest)
            self.frames += frames

    def close(self) -> None:
        self.stream.close()


class RawOpener(RawEnd):
    """Dials a node from ``ip`` and asks for the upgrade."""

    def __init__(
        self, world: World, to: Endpoint, *, query: str = QUERY, headers: str = "", ip: str = "127.0.0.1", cut: int = 0
    ) -> None:
        """``cut``: bytes at the end of the request that are not sent."""
        super().__init__(world, HomeNetwork(world.net, ip).connect(to))
        request = (
            f"GET /rpc/?{query} HTTP/1.1\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"{headers}Host: {to.peer_id}\r\n\r\n"
        ).encode()
        self.send(request[: len(request) - cut])
        self.run()

    def shake_hands(self, packet: str = HANDSHAKE) -> RawOpener:
        """Send ``#handshake``."""
        self.send(self.text(packet))
        self.run()
        return self


class RawListener:
    """Listens, and answers the upgrade of one connection as it is told."""

    def __init__(self, world: World, endpoint: Endpoint) -> None:
        self.world = world
        listener = HomeNetwork(world.net, endpoint.ip).listen("0.0.0.0", endpoint.port, 1)
        self.socket: MemoryListener = listener

    def accept(self) -> RawEnd:
        """Wait for a connection and its upgrade request, and answer nothing."""
        assert self.world.until(lambda: bool(self.socket.queue))
        stream = self.socket.accept()
        assert stream is not None
        end = ListenerEnd(self.world, stream)
        end.run()
        assert end.status.startswith("GET /rpc/?")
        return end

    def upgraded(self, extra_header: bytes = b"") -> RawEnd:
        """The same, answered with 101."""
        end = self.accept()
        answer = answer_to(end.head + b"\r\n\r\n")
        end.send(answer.replace(b"\r\n\r\n", b"\r\n" + extra_header + b"\r\n") if extra_header else answer)
        end.run()
        return end

    def close(self) -> None:
        self.socket.close()


class ListenerEnd(RawEnd):
    """The listener's side: its frames are not masked."""

    def frame(self, opcode: int, payload: bytes = b"") -> bytes:
        return frame(opcode, payload, mask=None)
