"""The port between the actors and a network: what a socket, a listening socket and a network must do.

No implementation lives here. :mod:`actors.transport.tcp` is the one with real sockets; a simulated network offers the
same three protocols over file descriptors that it made up, and the same channels and actors run over it.

Everything is non-blocking: a call that would have to wait raises :class:`BlockingIOError`, as a real socket does.
Addresses are literal IP addresses in canonical text; an IPv4-mapped IPv6 address appears as the IPv4 address.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from actors.transport.handover import HandOver
from core.ids import Endpoint


class StreamSocket(Protocol):
    """One TCP connection, perhaps still being made."""

    @property
    def remote_ip(self) -> str:
        """The other side's address, canonical text."""

    @property
    def remote_port(self) -> int:
        """The other side's TCP port."""

    def fileno(self) -> int:
        """The descriptor to watch; -1 once closed."""

    def recv(self, max_bytes: int, /) -> bytes:
        """At most ``max_bytes`` received bytes; b"" at the end of the stream.

        Raises BlockingIOError if there is nothing yet, OSError if the connection is lost.
        """

    def send(self, data: bytes | memoryview, /) -> int:
        """Take a leading part of ``data`` for sending and return its length in bytes.

        Raises BlockingIOError if not even one byte has room, OSError if the connection is lost.
        """

    def connect_error(self) -> OSError | None:
        """Why connecting failed. Ask when the descriptor first becomes writable; None means connected."""

    def shutdown(self) -> None:
        """End both directions for every copy of the socket, in any process. Never raises."""

    def close(self) -> None:
        """Give the descriptor back. Without :meth:`shutdown` other copies of the socket live on. Idempotent."""


class ListenSocket(Protocol):
    """A bound socket that takes connections."""

    @property
    def endpoint(self) -> Endpoint:
        """The address and port bound; the port is never 0."""

    @property
    def exhausted(self) -> bool:
        """The last :meth:`accept` failed for want of descriptors or memory.

        The connection is still waiting, so the descriptor stays readable: stop watching it for a moment.
        """

    def fileno(self) -> int:
        """The descriptor to watch; -1 once closed."""

    def accept(self) -> StreamSocket | None:
        """The next connection; None if there is none now, it is gone again, or resources ran out (``exhausted``)."""

    def close(self) -> None:
        """Stop listening. Idempotent."""


class Network(Protocol):
    """Where connections come from."""

    def connect(self, endpoint: Endpoint, /) -> StreamSocket:
        """Start connecting. Raises OSError if that fails at once (no route, no descriptors)."""

    def listen(self, host_ip: str, port: int, backlog: int) -> ListenSocket:
        """Listen on an own address; port 0 picks a free one.

        ``::`` takes IPv4 as well, every other address only its own family. Raises OSError, with errno EADDRINUSE if
        the port is taken, and ValueError if ``host_ip`` is no IP address.
        """

    def adopt(self, hand_over: HandOver, received_fd: int | None = None) -> StreamSocket:
        """Make an own socket of a connection that another actor hands over.

        ``received_fd`` is a descriptor that came from another process; it is ours from here on. Without it, the
        giver is in this process and keeps its own copy. Raises OSError (ESTALE) if the giver has given up meanwhile.
        """


def network_of(actor: object) -> Network:
    """The network an actor lives in: the one its system base provides, or the machine's."""
    network: Network | None = getattr(getattr(actor, "_myRef", None), "network", None)
    if network is not None:
        return network
    from actors.transport.tcp import TcpNetwork  # only here: whoever lives in another network needs no real sockets

    return TcpNetwork()


def give(network: Network, hand_over: HandOver, to: object) -> bool:
    """Send a connection ahead of its hand-over message, where the receiver ``to`` may be in another process.

    True: it is on its way, and the giver can close its own copy at once. False: the receiver will copy the giver's.
    Raises OSError if it cannot be sent.
    """
    sending: Callable[[HandOver, object], bool] | None = getattr(network, "give", None)
    return sending is not None and sending(hand_over, to)
