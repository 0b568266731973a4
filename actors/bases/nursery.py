"""Children of an actor that has many of them, forked from a process that does nothing else.

A child shares the pages of its parent until one of the two writes there. An actor at work writes all the time, if only
reference counts: of what two children share with it, little is the same page. So children of which there are many come
from a *nursery*: a child of the actor that was forked before it had much to do, and that sleeps between two orders.

    PeerPool -+- nursery . . . (a process that forks, and is gone)
              +- InboundPeer  <- forked by the latter, adopted by the pool
              '- InboundPeer

The actor is a *subreaper*: whoever loses its parent below it becomes its child. So a child dies with the actor and its
end is noticed there, as if the actor had forked it; and nobody misses a nursery that dies: the next child gets another.
"""

from __future__ import annotations

import functools
import io
import logging
import os
import pickle
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from actors.bases.hygiene import become_subreaper, die_with_adopter, die_with_parent, drop_inheritance, name_process

MAX_ORDER_BYTES = 64 * 1024
"""An order is the arguments of a child: addresses, requirements, capabilities. About 1 KB."""

BIRTH_LIMIT_S = 2.0

ANSWER = struct.Struct("=Qi")
"""Number of the order, process id of the child."""

ENDING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGABRT)
"""Signals that end a process of Thespian's in order."""

UNTOUCHED = frozenset({signal.SIGCONT, signal.SIGPIPE, signal.SIGKILL, signal.SIGSTOP})
"""As Thespian has them."""

log = logging.getLogger("ensemble.multiprocess")


class NurseryFailed(OSError):
    """No child could be made."""


class Nursery:
    """Makes processes that run ``target(*arguments)``, children of the process that made this object.

    ``shared``: what arguments may refer to that cannot be pickled; the nursery has it by birth. ``keep``: descriptors
    that children inherit. Used by one thread.
    """

    def __init__(self, target: Callable[..., object], shared: Iterable[object], keep: Iterable[int]) -> None:
        self._target = target
        self._shared = tuple(shared)
        self._keep = frozenset(keep)
        self._socket: socket.socket | None = None
        self._pid = 0
        self._orders = 0

    def bear(self, arguments: tuple[Any, ...]) -> int:
        """Process id of a new child. Raises NurseryFailed; pickle's errors for arguments that cannot be sent."""
        order = self._pack(arguments)
        for _ in range(2):
            try:
                return self._ask(order)
            except OSError as error:
                log.debug("the nursery is gone: %s", error)
                self.close()
        raise NurseryFailed("no process could be made: two nurseries have ended")

    def _pack(self, arguments: tuple[Any, ...]) -> bytes:
        buffer = io.BytesIO()
        _Packer(buffer, self._shared).dump(arguments)
        if buffer.tell() > MAX_ORDER_BYTES:
            raise pickle.PicklingError(f"arguments of {buffer.tell()} bytes: expected at most {MAX_ORDER_BYTES}")
        return buffer.getvalue()

    def _ask(self, order: bytes) -> int:
        if self._socket is None:
            self._socket = self._open()
        self._orders += 1
        self._socket.send(ANSWER.pack(self._orders, 0) + order, socket.MSG_NOSIGNAL)
        while select.select([self._socket], [], [], BIRTH_LIMIT_S)[0]:
            answer = self._socket.recv(ANSWER.size)
            if not answer:
                raise NurseryFailed("it has ended")
            number, pid = ANSWER.unpack(answer)
            if number == self._orders:
                if pid <= 0:
                    raise NurseryFailed("what was to fork has ended before")
                return int(pid)
        raise NurseryFailed(f"it does not answer within {BIRTH_LIMIT_S:g} s")

    def _open(self) -> socket.socket:
        become_subreaper()
        owner = os.getpid()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid:
            theirs.close()
            return ours
        _live(functools.partial(self._serve, theirs.detach(), owner))

    def _serve(self, fd: int, owner: int) -> None:
        drop_inheritance({*self._keep, fd})
        die_with_parent(owner)
        _set_signals()
        name_process("nursery")
        orders = socket.socket(fileno=fd)
        while message := orders.recv(MAX_ORDER_BYTES + ANSWER.size):
            middle = os.fork()
            if not middle:
                _live(functools.partial(self._fork_again, message, orders, owner))
            _, status = os.waitpid(middle, 0)
            if status:
                orders.send(ANSWER.pack(ANSWER.unpack_from(message)[0], 0))

    def _fork_again(self, message: bytes, orders: socket.socket, owner: int) -> None:
        if os.fork():
            os._exit(0)
        die_with_adopter(owner)
        try:
            orders.send(ANSWER.pack(ANSWER.unpack_from(message)[0], os.getpid()), socket.MSG_NOSIGNAL)
        except OSError:
            os._exit(1)  # the owner has given the order up and made another child
        orders.close()
        self._target(*_Unpacker(io.BytesIO(message[ANSWER.size :]), self._shared).load())

    def reap(self) -> None:
        """Take notice of the nursery's own end, if it has come."""
        if self._pid:
            try:
                pid, _ = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:
                pid = self._pid
            if pid:
                self._pid = 0
                self.close()

    def close(self) -> None:
        """End the nursery; its children live on. Another is made when it is needed. Idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._pid:
            try:
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
            except (ProcessLookupError, ChildProcessError):
                log.debug("the nursery had ended before")
            self._pid = 0


class Birth:
    """A child of a nursery, as far as Thespian looks at a ``multiprocessing.Process``."""

    def __init__(self, nursery: Nursery, arguments: tuple[Any, ...]) -> None:
        self._nursery = nursery
        self._arguments: tuple[Any, ...] | None = arguments
        self.pid = 0
        self._has_ended = False

    def start(self) -> None:
        """Make it."""
        if self._arguments is not None:
            self.pid = self._nursery.bear(self._arguments)
            self._arguments = None

    def is_alive(self) -> bool:
        """Whether it has not ended; if it has, it is taken notice of."""
        if self._has_ended:
            return False
        try:
            self._has_ended = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        except ChildProcessError:  # somebody else has taken notice
            self._has_ended = True
        return not self._has_ended

    def join(self, timeout: float | None = None) -> None:
        """Thespian joins only what has ended."""


class _Packer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, shared: tuple[object, ...]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._shared = shared

    def persistent_id(self, obj: object) -> int | None:
        """The number of what the nursery has by birth."""
        return next((number for number, one in enumerate(self._shared) if one is obj), None)


class _Unpacker(pickle.Unpickler):
    """Reads what the parent wrote: nobody else has the other end of the socket."""

    def __init__(self, file: io.BytesIO, shared: tuple[object, ...]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, pid: int) -> object:
        """What has this number."""
        return self._shared[pid]


def _set_signals() -> None:
    """What the nursery and its children have in common: they heed few signals. The owner's handlers are not theirs."""
    for number in signal.valid_signals():
        if number in (*ENDING, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        elif number not in UNTOUCHED:
            signal.signal(number, _heed_not)


def _heed_not(number: int, frame: object) -> None:
    """As Thespian's processes do."""


def _live(task: Callable[[], object]) -> NoReturn:
    """Run a forked process to its end, and leave without a word to what its parent had open."""
    code = 1
    try:
        task()
        code = 0
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
