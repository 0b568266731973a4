"""Sockets on their way from one process to another: SCM_RIGHTS datagrams, and a network that uses them.

Every actor process owns one datagram socket with an abstract name (it leaves no file behind). A giver sends the
descriptor there, then its :class:`~actors.transport.handover.HandOver` message as any other message: when that is
read, the descriptor has long been in the queue. Nobody waits for anybody, and if the receiver dies in between, the
kernel closes the connection.

Abstract names are open to every local user. So a datagram counts only if its sender's user is ours, as the kernel
tells, and if it is signed with the system's key for this receiver.
"""

from __future__ import annotations

import array
import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from actors.transport.handover import HandOver
from actors.transport.tcp import TcpNetwork, TcpStream

TOKEN = struct.Struct(">Q")
CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group
SIGNATURE_BYTES = 32
DATAGRAM_BYTES = TOKEN.size + SIGNATURE_BYTES

MAX_KEPT = 16
"""Descriptors that wait for their message. A peer needs one."""

MAX_READ = 64
"""Datagrams looked at for one hand-over; the kernel's own queue holds 512 at most."""

Sign = Callable[[bytes], bytes]


class DescriptorPort:
    """Where a process receives descriptors. Raises OSError if the name is taken."""

    def __init__(self, name: bytes, sign: Sign) -> None:
        self._name = name
        self._sign = sign
        self._kept: dict[int, int] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.bind(name)
        except BaseException:
            self._socket.close()
            raise

    def take(self, token: int) -> int | None:
        """The descriptor that was sent with ``token``, from now on the caller's; None if there is none."""
        for _ in range(MAX_READ):
            if token in self._kept:
                break
            try:
                self._read()
            except BlockingIOError:
                break
        return self._kept.pop(token, None)

    def _read(self) -> None:
        space = socket.CMSG_SPACE(CREDENTIALS.size) + socket.CMSG_SPACE(array.array("i").itemsize * MAX_KEPT)
        data, ancillary, flags, _ = self._socket.recvmsg(DATAGRAM_BYTES + 1, space, socket.MSG_CMSG_CLOEXEC)
        fds = array.array("i")
        user = None
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
            elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS and len(content) == CREDENTIALS.size:
                user = CREDENTIALS.unpack(content)[1]
        is_ours = (
            user == os.geteuid()
            and not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
            and len(data) == DATAGRAM_BYTES
            and self._sign(self._name + data[: TOKEN.size]) == data[TOKEN.size :]
        )
        if not is_ours or len(fds) != 1 or len(self._kept) >= MAX_KEPT:
            for fd in fds:
                os.close(fd)
            return
        (token,) = TOKEN.unpack(data[: TOKEN.size])
        old = self._kept.pop(token, None)
        if old is not None:
            os.close(old)
        self._kept[token] = fds[0]

    def close(self) -> None:
        """Give the name up, and whatever was not taken. Idempotent."""
        for fd in self._kept.values():
            os.close(fd)
        self._kept.clear()
        self._socket.close()


def send_descriptor(name: bytes, sign: Sign, token: int, fd: int) -> None:
    """Send a copy of ``fd`` to the process with this name. Never waits; raises OSError if it cannot be sent."""
    data = TOKEN.pack(token)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sender:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        sender.sendmsg([data + sign(name + data)], rights, 0, name)


class ProcessNetwork(TcpNetwork):
    """The machine's network for an actor in a process of its own: connections come and go as descriptors.

    ``name_of`` tells the name of an actor's port by its address; it raises OSError for an actor on another host.
    """

    def __init__(self, port: DescriptorPort, name_of: Callable[[Any], bytes], sign: Sign) -> None:
        self._port = port
        self._name_of = name_of
        self._sign = sign

    def give(self, hand_over: HandOver, to: Any) -> bool:
        """Send the connection to an actor. True: it is on its way, and the giver needs its own copy no more."""
        send_descriptor(self._name_of(to), self._sign, hand_over.token, hand_over.fd)
        return True

    def adopt(self, hand_over: HandOver, received_fd: int | None = None) -> TcpStream:
        if received_fd is None:
            received_fd = self._port.take(hand_over.token)
        if received_fd is None:
            raise OSError(errno.ESTALE, "the connection handed over did not arrive")
        return super().adopt(hand_over, received_fd)

    def close(self) -> None:
        """Give up the port."""
        with contextlib.suppress(OSError):
            self._port.close()
