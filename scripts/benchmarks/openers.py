"""Many bare openers in one process: they cost next to nothing, so that what is measured is the node.

``openers PORT COUNT``; then one JSON command a line on standard input, one JSON answer a line on standard output:
``connect`` (all at once; each shakes hands, then asks the node for its node info), ``flood`` (``messages`` of ``size``
bytes from each), ``close``. Times are monotonic seconds.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import socket
import sys
import time
from typing import Any

LIMIT_S = 60.0
HANDSHAKE = '{"event":"#handshake","data":{"authToken":null},"cid":1}'
QUESTION = '{"event":"rpc-request","data":{"procedure":"getNodeInfo"},"cid":2}'
PER_WRITE = 200
"""Messages in one write, as a sender that batches has them."""


def frame(text: str) -> bytes:
    """A masked text frame; the mask is zero, which costs the receiver the same."""
    payload = text.encode()
    size = len(payload)
    head = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return b"\x81" + head + bytes(4) + payload


class Opener:
    """One connection: upgraded, introduced, answered."""

    def __init__(self, number: int, port: int) -> None:
        self.is_answered = False
        self._heard = b""
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex(("127.0.0.1", port))
        query = f"networkVersion=1.1&chainID=00000001&nonce={number:016x}&advertiseAddress=true&port={20_000 + number}"
        self._greeting = (
            f"GET /rpc/?{query} HTTP/1.1\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Connection: Upgrade\r\nUpgrade: websocket\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        ).encode()
        self._is_upgraded = self._has_asked = False

    def on_writable(self) -> None:
        """Connected: ask for the upgrade."""
        greeting, self._greeting = self._greeting, b""
        self.sock.sendall(greeting)

    @property
    def wants_to_write(self) -> bool:
        """Whether it is not connected yet."""
        return bool(self._greeting)

    def on_readable(self) -> None:
        """Go on with the introduction."""
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError(f"the node has closed a connection after {self._heard[-200:]!r}")
        self._heard += data
        if not self._is_upgraded and b"\r\n\r\n" in self._heard:
            self._is_upgraded = True
            self.sock.sendall(frame(HANDSHAKE))
        if not self._has_asked and b'"rid":1' in self._heard:
            self._has_asked = True
            self.sock.sendall(frame(QUESTION))
        self.is_answered = b'"rid":2' in self._heard


class Crowd:
    """All of them."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._count = count
        self._openers: list[Opener] = []

    def connect(self, **_: Any) -> dict[str, float]:
        """Until every one has its answer."""
        selector = selectors.DefaultSelector()
        waiting = set()
        for number in range(1, self._count + 1):
            opener = Opener(number, self._port)
            self._openers.append(opener)
            waiting.add(opener)
            selector.register(opener.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, opener)
        deadline = time.monotonic() + LIMIT_S
        while waiting:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(waiting)} of {self._count} openers have no answer after {LIMIT_S:g} s")
            for key, events in selector.select(1.0):
                opener = key.data
                if events & selectors.EVENT_WRITE and opener.wants_to_write:
                    opener.on_writable()
                    selector.modify(opener.sock, selectors.EVENT_READ, opener)
                if events & selectors.EVENT_READ:
                    opener.on_readable()
                    if opener.is_answered:
                        waiting.discard(opener)
        answered_at = time.monotonic()
        selector.close()
        return {"answered_at": answered_at}

    def flood(self, messages: int, size: int, **_: Any) -> dict[str, float]:
        """As fast as the node reads, from all in turn."""
        data = base64.b64encode(os.urandom(size)).decode()
        one = frame(json.dumps({"event": "remote-message", "data": {"event": "flood", "data": data}}))
        selector = selectors.DefaultSelector()
        left = {}
        for opener in self._openers:
            left[opener] = memoryview(one * messages)
            selector.register(opener.sock, selectors.EVENT_WRITE | selectors.EVENT_READ, opener)
        started_at = time.monotonic()
        while left:
            for key, events in selector.select():
                opener = key.data
                if events & selectors.EVENT_READ:
                    opener.sock.recv(65536)
                if events & selectors.EVENT_WRITE and opener in left:
                    left[opener] = left[opener][opener.sock.send(left[opener][: len(one) * PER_WRITE]) :]
                    if not left[opener]:
                        del left[opener]
                        selector.modify(opener.sock, selectors.EVENT_READ, opener)
        selector.close()
        return {"started_at": started_at}

    def part(self, **_: Any) -> dict[str, float]:
        """Wait for the node to close every connection, and answer as a peer does."""
        selector = selectors.DefaultSelector()
        left = set(self._openers)
        for opener in left:
            selector.register(opener.sock, selectors.EVENT_READ, opener)
        while left:
            for key, _events in selector.select():
                opener = key.data
                data = opener.sock.recv(65536)
                if not data or b"\x88" in data:
                    selector.unregister(opener.sock)
                    opener.sock.close()
                    left.discard(opener)
        selector.close()
        return {}

    def close(self, **_: Any) -> dict[str, float]:
        """All connections."""
        for opener in self._openers:
            opener.sock.close()
        return {}


def main() -> None:
    """See the module."""
    crowd = Crowd(int(sys.argv[1]), int(sys.argv[2]))
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer: dict[str, Any] = getattr(crowd, command.pop("command"))(**command)
        except (OSError, TimeoutError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
