"""Hand-made peers that speak whatever bytes a test wants: one that opens connections, one that listens.

They know nothing of our codec: packets are dictionaries or texts, node info is put together by hand, so that a mistake
in the project's own wire code cannot hide itself here.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.sync.server import Server, ServerConnection, serve

from tests.interop.lisk_driver import free_port

TIMEOUT_S: Final = 10.0
HANDSHAKE: Final = {"event": "#handshake", "data": {"authToken": None}, "cid": 1}
NONCE: Final = "0123456789abcdef"
ANY_PEER_ID: Final = "127.0.0.1:1"

Packet = dict[str, Any]


def node_info(chain_id: str = "00000001", version: str = "1.1", nonce: str = NONCE) -> str:
    """A node info as it travels: fields 1 to 4 of the record, advertiseAddress true, in base64."""
    fields = (b"\x0a", bytes.fromhex(chain_id)), (b"\x12", version.encode()), (b"\x1a", nonce.encode())
    record = b"".join(key + bytes([len(value)]) + value for key, value in fields) + b"\x20\x01"
    return base64.b64encode(record).decode()


@dataclass(frozen=True, slots=True)
class Refused:
    """How a connection was ended by the other side.

    ``status`` is that of HTTP when it never became a WebSocket. ``announced`` is the data of its ``#disconnect``, None
    without one; ``code`` that of the close frame, 1006 when the TCP connection ended without one.
    """

    status: int | None = None
    body: str = ""
    announced: Any = None
    code: int | None = None


class RawConnection:
    """Packets over an open WebSocket, of either side. Keep-alives are answered unseen."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def send(self, packet: Packet | str | bytes) -> None:
        """Send a packet, or a text as it is."""
        self.connection.send(packet if isinstance(packet, str | bytes) else json.dumps(packet))

    def receive(self, wanted: Callable[[Packet], object] = lambda packet: True) -> Packet:
        """The next packet that is `wanted`; others are skipped. Raises ConnectionClosed, or TimeoutError."""
        while True:
            text = self.connection.recv(timeout=TIMEOUT_S)
            if text == "#1":
                self.connection.send("#2")
            elif text != "#2":
                packet: Packet = json.loads(text)
                if wanted(packet):
                    return packet

    def receive_request(self, procedure: str) -> Packet:
        """The next request for `procedure`."""
        return self.receive(
            lambda packet: packet.get("event") == "rpc-request" and packet["data"]["procedure"] == procedure
        )

    def answer(self, request: Packet, data: Any) -> None:
        """Answer a request with ``data`` in the place where the payload's text belongs."""
        self.send({"rid": request["cid"], "data": {"data": data, "peerId": ANY_PEER_ID}})

    def wait_refused(self) -> Refused:
        """Read until the other side has closed; how it did."""
        announced = None
        try:
            while True:
                packet = self.receive()
                if packet.get("event") == "#disconnect":
                    announced = packet.get("data")
        except ConnectionClosed as closed:
            return Refused(announced=announced, code=1006 if closed.rcvd is None else closed.rcvd.code)

    def wait_closed(self) -> int:
        """Read until the other side has closed; the code of its close frame, 1006 without one."""
        code = self.wait_refused().code
        assert code is not None
        return code


class RawOpener(RawConnection):
    """A connection opened by hand to `peer_id`, upgraded and not further. Changes of the query by keyword.

    Raises InvalidStatus when the upgrade is refused; :meth:`attempt` is for that.
    """

    def __init__(self, peer_id: str, *, path: str = "/rpc/", query: str | None = None, **changes: Any) -> None:
        parameters = {
            "networkVersion": "1.1",
            "chainID": "00000001",
            "nonce": NONCE,
            "advertiseAddress": "true",
            "port": free_port(),
            **changes,
        }
        known = {name: value for name, value in parameters.items() if value is not None}
        self.peer_id = f"127.0.0.1:{parameters['port']}"
        self._stack = ExitStack()
        opening = connect(
            f"ws://{peer_id}{path}?{urlencode(known) if query is None else query}",
            compression=None,
            ping_interval=None,
            open_timeout=TIMEOUT_S,
            close_timeout=2,
            max_size=1 << 24,
        )
        super().__init__(self._stack.enter_context(opening))

    @classmethod
    def attempt(cls, peer_id: str, first: Packet | str | None = None, **options: Any) -> Refused:
        """Open, send the `first` packet (``#handshake``), and say how the other side refused it."""
        try:
            opener = cls(peer_id, **options)
        except InvalidStatus as refusal:
            response = refusal.response
            return Refused(response.status_code, bytes(response.body or b"").decode())
        with opener:
            opener.send(HANDSHAKE if first is None else first)
            return opener.wait_refused()

    def shake_hands(self) -> None:
        """Send ``#handshake`` and take the acknowledgement."""
        self.send(HANDSHAKE)
        self.receive(lambda packet: packet.get("rid") == 1)

    def __enter__(self) -> RawOpener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


Script = Callable[[RawConnection], None]


class RawListener:
    """Listens by hand: every connection is upgraded and given to `script`, which runs in a thread of its own.

    When the script returns, the connection is read on until the other side ends it.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._ended = threading.Condition()
        self._refusals: list[Refused] = []
        self.problems: list[BaseException] = []
        listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = listening.getsockname()[1]
        self._server: Server = serve(
            self._serve, sock=listening, compression=None, ping_interval=None, close_timeout=2, max_size=1 << 24
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="raw listener")
        self._thread.start()

    @property
    def peer_id(self) -> str:
        """``ip:port`` of this listener."""
        return f"127.0.0.1:{self.port}"

    def _serve(self, connection: ServerConnection) -> None:
        raw = RawConnection(connection)
        refused = Refused()
        try:
            self._script(raw)
            refused = raw.wait_refused()
        except ConnectionClosed as closed:
            refused = Refused(code=1006 if closed.rcvd is None else closed.rcvd.code)
        except Exception as problem:  # it would only be printed by the server's thread
            self.problems.append(problem)
        finally:
            with self._ended:
                self._refusals.append(refused)
                self._ended.notify_all()

    def wait_ended(self, count: int = 1) -> Refused:
        """Wait until `count` connections have ended; how the last of them did."""
        with self._ended:
            assert self._ended.wait_for(lambda: len(self._refusals) >= count, TIMEOUT_S), "nobody closed"
            return self._refusals[count - 1]

    def __enter__(self) -> RawListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join(TIMEOUT_S)
        if error is None:
            assert not self.problems, self.problems


def shake_hands(peer: RawConnection, **info: str) -> None:
    """As a listener does it: take ``#handshake``, push a node info, acknowledge."""
    request = peer.receive(lambda packet: packet.get("event") == "#handshake")
    peer.send({"event": "remote-message", "data": {"event": "postNodeInfo", "data": node_info(**info)}})
    acknowledgement = {"id": "A" * 20, "pingTimeout": 20000, "isAuthenticated": False}
    peer.send({"rid": request["cid"], "data": acknowledgement})


def introduce(peer: RawConnection, answers: Mapping[str, Any] | None = None, **info: str) -> None:
    """As a listener does it: shake hands and answer getNodeInfo and getPeers, with `answers` in place of the right."""
    shake_hands(peer, **info)
    given = {"getNodeInfo": node_info(**info), "getPeers": "", **(answers or {})}
    for procedure, data in given.items():
        peer.answer(peer.receive_request(procedure), data)


@contextmanager
def good_listener() -> Iterator[RawListener]:
    """A listener that does everything right."""
    with RawListener(introduce) as listener:
        yield listener
