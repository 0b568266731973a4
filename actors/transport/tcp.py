"""Real TCP sockets."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from actors.transport.handover import HandOver
from core.ids import Endpoint

# Accepting fails like this when the process or the machine has no room; the connection stays in the queue.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

# A send to a connection that is gone must fail with EPIPE even in a program that has un-ignored SIGPIPE.
_SEND_FLAGS = getattr(socket, "MSG_NOSIGNAL", 0)


def canonical_ip(text: str) -> str:
    """A socket's numeric address as canonical text: without a zone, IPv4-mapped IPv6 as IPv4.

    Raises ValueError if it is no IP address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


class TcpStream:
    """A non-blocking TCP connection (:class:`~actors.transport.port.StreamSocket`). Takes ownership of ``sock``."""

    __slots__ = ("_sock", "remote_ip", "remote_port")

    def __init__(self, sock: socket.socket, remote_ip: str, remote_port: int) -> None:
        self._sock = sock
        self.remote_ip = remote_ip
        self.remote_port = remote_port
        sock.setblocking(False)
        # Packets are small and answered at once: waiting to fill a segment would cost up to 40 ms each.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        return self._sock.fileno()

    def recv(self, max_bytes: int, /) -> bytes:
        return self._sock.recv(max_bytes)

    def send(self, data: bytes | memoryview, /) -> int:
        return self._sock.send(data, _SEND_FLAGS)

    def connect_error(self) -> OSError | None:
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return OSError(code, os.strerror(code))
        try:
            # TCP lets a socket that dials a free port of its own machine from that very port connect to itself.
            if self._sock.getsockname() == self._sock.getpeername():
                return OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        except OSError as error:
            # Connected and reset again before we looked, or still connecting; the latter is no error.
            return None if error.errno == errno.ENOTCONN else error
        return None

    def shutdown(self) -> None:
        # Always before close: a forked child may hold a copy, and the other side sees the end only when the last
        # copy is closed or any of them is shut down.
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            # Never connected, reset, or closed already: there is nothing left to shut down.
            if error.errno not in (errno.ENOTCONN, errno.ECONNRESET, errno.EBADF, errno.EINVAL):
                raise

    def close(self) -> None:
        self._sock.close()


class TcpListener:
    """A listening TCP socket (:class:`~actors.transport.port.ListenSocket`). Takes ownership of ``sock``."""

    __slots__ = ("_sock", "endpoint", "exhausted")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        host, port = sock.getsockname()[:2]
        self._sock = sock
        self.endpoint = Endpoint(canonical_ip(host), port)
        self.exhausted = False

    def fileno(self) -> int:
        return self._sock.fileno()

    def accept(self) -> TcpStream | None:
        try:
            sock, address = self._sock.accept()
        except OSError as error:
            # Everything else that accept() reports belongs to a connection that died in the queue (accept(2),
            # "Error handling"); the listener itself is sound and the next call goes on.
            self.exhausted = error.errno in _EXHAUSTED
            if error.errno in (errno.EBADF, errno.EINVAL, errno.ENOTSOCK):
                raise
            return None
        self.exhausted = False
        try:
            return TcpStream(sock, canonical_ip(address[0]), address[1])
        except OSError:
            sock.close()  # reset between accept() and the socket options
            return None

    def close(self) -> None:
        self._sock.close()


class TcpNetwork:
    """The machine's own network (:class:`~actors.transport.port.Network`). Stateless."""

    def connect(self, endpoint: Endpoint, /) -> TcpStream:
        sock = _new_socket(endpoint.ip)
        try:
            stream = TcpStream(sock, endpoint.ip, endpoint.port)
            code = sock.connect_ex((endpoint.ip, endpoint.port))
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
        except BaseException:
            sock.close()
            raise
        return stream

    def listen(self, host_ip: str, port: int, backlog: int) -> TcpListener:
        host_ip = canonical_ip(host_ip)
        sock = _new_socket(host_ip)
        try:
            # A restart must get its port back while old connections linger in TIME_WAIT. On Linux this does not let
            # a second live listener in: bind() or listen() fails with EADDRINUSE.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if host_ip == "::":  # some systems make even this address IPv6 only unless told otherwise
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind((host_ip, port))
            sock.listen(backlog)
            return TcpListener(sock)
        except BaseException:
            sock.close()
            raise

    def adopt(self, hand_over: HandOver, received_fd: int | None = None) -> TcpStream:
        fd = os.dup(hand_over.fd) if received_fd is None else received_fd
        try:
            sock = socket.socket(fileno=fd)
        except OSError:
            os.close(fd)
            raise
        try:
            host, port = sock.getpeername()[:2]
            # The giver may have timed out and its number been given to another connection: never adopt that one.
            if (canonical_ip(host), port) != (hand_over.remote_ip, hand_over.remote_port):
                raise OSError(errno.ESTALE, "the connection handed over is gone")
            return TcpStream(sock, hand_over.remote_ip, hand_over.remote_port)
        except BaseException:
            sock.close()  # without shutdown: it may be somebody else's connection
            raise


def _new_socket(ip: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
