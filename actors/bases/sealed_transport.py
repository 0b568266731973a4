"""Thespian's TCP transport with closed doors: one private address, sealed packets, no surprises when it is crowded.

What differs from ``thespian.system.transport.TCPTransport``, each for a reason that was measured:

* It listens on the one address it was made for (loopback, or a host's address in a private network) and refuses to run
  otherwise. The stock one listens on all.
* Packets are sealed (:mod:`actors.bases.seal`).
* Log records do not travel as messages: a burst of them would stop an actor's own messages.
* Up to ``MAX_PENDING`` messages may be on their way, to as many receivers (stock: 20 for all together, so that 20
  unread messages to one busy actor stop every other). Each receiver gets one at a time
  (:mod:`actors.bases.lanes`), so the quadratic cost of long lists does not come up.
* Connections that have not said anything signed are few and short-lived.
* :meth:`close` closes. The stock one leaves its sockets to the garbage collector.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from thespian.actors import ActorAddress
from thespian.system.transport import ReceiveEnvelope, SendStatus, TransmitIntent
from thespian.system.transport.IPBase import TCPv4ActorAddress
from thespian.system.transport.streamBuffer import ackDataErrPacket, ackPacket

from actors.bases.seal import Seal, SealedBuffer
from actors.bases.thespian_parts import private_copy

LOOPBACK = "127.0.0.1"

MAX_PENDING = 256
MAX_INCOMING = 512
"""Connections with an unfinished packet. More are closed at once: they are no actors of ours."""

UNFINISHED_S = 30.0
"""How long a packet may take to arrive."""

ATTEMPT_S = 60.0
"""An actor that has not taken a message for this long is not coming back."""

RETRY_S = 1.0
"""After a connection was lost with a message in flight. The stock 35 s are how long nobody notices a dead actor."""

LogPort = Callable[[logging.LogRecord], None]


class PrivateAddress(TCPv4ActorAddress):  # type: ignore[misc]
    """An address that is listened at as it is written, never at all addresses of the machine.

    Made without the resolver, which Thespian asks even for literal addresses: half a megabyte for each process.
    """

    def __init__(self, ip: str, port: int | str = 0, external: Any = False) -> None:
        self.af, self.socktype, self.proto = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
        self.sockname = (socket.inet_ntoa(socket.inet_pton(socket.AF_INET, ip)), int(port or 0))
        self.bindname = self.sockname

    @property
    def bindArgs(self) -> tuple[tuple[str, int]]:
        return (self.sockname,)


class QuietEnvelope(ReceiveEnvelope):  # type: ignore[misc]
    """Thespian describes every message for a log, also while nobody reads it: a message may be a thousand events."""

    def identify(self) -> str:
        """What arrived."""
        return type(self.message).__name__


class QuietIntent(TransmitIntent):  # type: ignore[misc]
    """The same for what is sent."""

    def identify(self) -> str:
        """What is on its way."""
        return type(self.message).__name__


def sealed_transport(seal: Seal, interface: str = LOOPBACK, log_port: LogPort | None = None) -> Any:
    """A transport class for one system: its key, and the address that its processes on this host listen at."""
    parts = private_copy("thespian.system.transport.TCPTransport")

    def address(ip: str | None = None, port: int = 0, external: Any = False) -> PrivateAddress:
        return PrivateAddress(ip if ip and ip != "0.0.0.0" else interface, port, external)

    parts.TCPv4ActorAddress = address  # type: ignore[attr-defined]
    parts.ReceiveEnvelope = QuietEnvelope  # type: ignore[attr-defined]
    parts.ReceiveBuffer = lambda _unpickle: SealedBuffer(seal)  # type: ignore[attr-defined]
    parts.ackMsg = seal.pack(ackPacket)  # type: ignore[attr-defined]
    parts.ackDataErrMsg = seal.pack(ackDataErrPacket)  # type: ignore[attr-defined]
    parts.MAX_INCOMING_SOCKET_PERIOD = timedelta(seconds=UNFINISHED_S)  # type: ignore[attr-defined]

    class SealedTransport(parts.TCPTransport):  # type: ignore[misc, name-defined]
        """See the module."""

        def __init__(self, init: Any, *arguments: Any) -> None:
            super().__init__(init, *arguments)
            bound = self.socket.getsockname()[0]
            if bound != interface:
                self.close()
                raise RuntimeError(f"the actor transport listens at {bound} instead of {interface}")

        def serializer(self, intent: Any) -> bytes:
            return seal.pack((self.myAddress, intent.message))

        def external_transport_clone(self) -> Any:
            return SealedTransport(parts.ExternalTransportCopy(), self._adminAddr, self.txOnly, False)

        def scheduleTransmit(self, address_manager: Any, intent: Any, has_exclusive_flag: bool = False) -> None:
            if isinstance(intent.message, logging.LogRecord):
                if log_port is not None:
                    log_port(intent.message)
                intent.tx_done(SendStatus.Sent)
                return
            super().scheduleTransmit(address_manager, intent, has_exclusive_flag)

        def _canSendNow(self) -> bool:
            return bool(self._aTB_numPendingTransmits < MAX_PENDING)

        def _acceptNewIncoming(self) -> None:
            if len(self._incomingSockets) < MAX_INCOMING:
                super()._acceptNewIncoming()
                return
            self._check_indicators()
            try:
                stranger, _ = self.socket.accept()
            except OSError:
                return  # it has gone by itself
            stranger.close()

        def close(self) -> None:
            sockets: list[Any] = [getattr(self, "socket", None)]
            for name in ("_transmitIntents", "_incomingSockets", "_openSockets"):
                sockets += [getattr(one, "socket", None) for one in getattr(self, name, {}).values()]
            super().close()
            for one in sockets:
                if isinstance(one, socket.socket):
                    one.close()
            getattr(self, "_openSockets", {}).clear()

    return SealedTransport


def client_transport(transport_class: Any, admin: ActorAddress) -> Any:
    """A transport for a program outside the actors: an address of its own, in the system of this admin."""
    parts = __import__("sys").modules[transport_class.__mro__[1].__module__]
    return transport_class(parts.ExternalTransportCopy(), admin, False, False)


def intent_for(address: ActorAddress, message: Any, done: Callable[[Any, Any], None]) -> Any:
    """A message on its way; ``done`` is called once, with a true first argument if it was received."""
    return QuietIntent(
        address,
        message,
        onSuccess=done,
        onError=done,
        maxPeriod=timedelta(seconds=ATTEMPT_S),
        retryPeriod=timedelta(seconds=RETRY_S),
    )
