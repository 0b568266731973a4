"""Whole nodes in virtual time over connections in memory, with real file descriptors and without a network.

``World`` is an in-process base that the test drives: its clock jumps to the next timer when there is nothing to do,
every message is pickled, and every actor lives at the IP address of its node. A connection is a pair of Unix sockets,
so that descriptors, watches, hand-over and closing are what they are with TCP.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from thespian.actors import ActorAddress, ActorSystem

from actors.bases.cell import ActorCell, StrictActorCell
from actors.bases.environment import SeededEnvironment
from actors.bases.inproc import InProcessBase
from actors.transport.handover import HandOver
from core.ids import Endpoint

START = 1_000_000.0
"""Virtual time at the start of every world, wall clock and monotonic alike."""

STEPS = 200_000
"""Turns of the loop that no test needs."""


def os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


class VirtualEnvironment(SeededEnvironment):
    """Seeded entropy and a clock that moves when told."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.time = START

    def now(self) -> float:
        return self.time

    def wall_now(self) -> float:
        return self.time


class MemoryStream:
    """One end of a connection."""

    def __init__(self, sock: socket.socket, remote: Endpoint, failure: OSError | None = None) -> None:
        sock.setblocking(False)
        self._sock = sock
        self.remote_ip, self.remote_port = remote
        self._failure = failure

    def fileno(self) -> int:
        return self._sock.fileno()

    def recv(self, max_bytes: int, /) -> bytes:
        if self._failure is not None:
            raise self._failure
        return self._sock.recv(max_bytes)

    def send(self, data: bytes | memoryview, /) -> int:
        if self._failure is not None:
            raise self._failure
        return self._sock.send(data)

    def connect_error(self) -> OSError | None:
        return self._failure

    def shutdown(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.EBADF):
                raise

    def close(self) -> None:
        self._sock.close()


class MemoryListener:
    """A listening socket: a queue, and a pipe that is readable while the queue is not empty."""

    def __init__(self, net: MemoryNet, endpoint: Endpoint) -> None:
        self._net = net
        self.endpoint = endpoint
        self.exhausted = False
        self.queue: deque[MemoryStream] = deque()
        self.bell, self._ring = socket.socketpair()

    def fileno(self) -> int:
        return self.bell.fileno()

    def arrive(self, stream: MemoryStream) -> None:
        self.queue.append(stream)
        self._ring.send(b"!")

    def accept(self) -> MemoryStream | None:
        self.exhausted = self._net.exhausted
        if self.exhausted or not self.queue:
            return None
        self.bell.recv(1)
        return self.queue.popleft()

    def close(self) -> None:
        self._net.listeners.pop(self.endpoint, None)
        for stream in self.queue:
            stream.close()
        self.bell.close()
        self._ring.close()


class MemoryNet:
    """All addresses of a world."""

    def __init__(self) -> None:
        self.listeners: dict[Endpoint, MemoryListener] = {}
        self.exhausted = False
        """Accepting fails as if the process were out of descriptors."""
        self.silent: set[str] = set()
        """Addresses that never answer a connection attempt."""
        self.next_port = 40_000
        self.peers_of: dict[tuple[str, int], Endpoint] = {}
        self.made: list[socket.socket] = []
        self.names: dict[str, list[str]] = {}
        """What DNS says."""

    def connect(self, own_ip: str, remote: Endpoint) -> MemoryStream:
        listener = self.listeners.get(remote)
        ours, theirs = socket.socketpair()
        if listener is None:
            theirs.close()
            return MemoryStream(ours, remote, os_error(errno.ECONNREFUSED))
        self.next_port += 1
        if remote.ip in self.silent:
            self.made.append(theirs)  # open, and nobody reads
        else:
            listener.arrive(MemoryStream(theirs, Endpoint(own_ip, self.next_port)))
        return MemoryStream(ours, remote)


class HomeNetwork:
    """The network as seen from one address."""

    def __init__(self, net: MemoryNet, own_ip: str) -> None:
        self._net = net
        self._own_ip = own_ip

    @property
    def names(self) -> dict[str, list[str]]:
        return self._net.names

    def connect(self, endpoint: Endpoint, /) -> MemoryStream:
        return self._net.connect(self._own_ip, endpoint)

    def listen(self, host_ip: str, port: int, backlog: int) -> MemoryListener:
        endpoint = Endpoint(self._own_ip, port or 30_000 + len(self._net.listeners))
        if endpoint in self._net.listeners:
            raise os_error(errno.EADDRINUSE)
        listener = self._net.listeners[endpoint] = MemoryListener(self._net, endpoint)
        return listener

    def adopt(self, hand_over: HandOver, received_fd: int | None = None) -> MemoryStream:
        sock = socket.socket(fileno=os.dup(hand_over.fd))
        return MemoryStream(sock, Endpoint(hand_over.remote_ip, hand_over.remote_port))


class WorldCell(StrictActorCell):
    """A mailbox that knows where its actor lives."""

    __slots__ = ()

    @property
    def network(self) -> HomeNetwork:
        world = self.host
        assert isinstance(world, WorldBase)
        root = self.text.split("/")[1]
        return HomeNetwork(world.net, world.homes.get(root, "127.0.0.1"))


class WorldBase(InProcessBase):
    """The in-process base with a clock that jumps."""

    def __init__(self, environment: VirtualEnvironment) -> None:
        self.net = MemoryNet()
        self.homes: dict[str, str] = {}
        self.virtual = environment
        super().__init__(logDefs=False, drive="caller", strict=True, environment=environment)
        self._cell_class: type[ActorCell] = WorldCell

    def _poll(self, timeout_s: float | None) -> Any:
        events = self.selector.select(0)
        if not events and timeout_s is not None:
            self.virtual.time += timeout_s
        return events


class Probe:
    """An address outside the actors that keeps what it gets, with the senders."""

    def __init__(self, world: AnyWorld) -> None:
        self.world = world
        self.got: list[Any] = []
        self.senders: list[ActorAddress] = []
        self.endpoint = world.base.open_endpoint(self._on_message)
        self.address = self.endpoint.address

    def _on_message(self, message: Any, sender: ActorAddress) -> None:
        self.got.append(message)
        self.senders.append(sender)

    def tell(self, to: ActorAddress, message: Any) -> None:
        self.endpoint.tell(to, message)

    def of(self, kind: type) -> list[Any]:
        """Messages of one type."""
        return [message for message in self.got if isinstance(message, kind)]

    def wait(self, kind: type, count: int = 1, seconds: float = 60.0) -> Any:
        """Let virtual time pass until there are ``count`` messages of a type; return the last."""
        assert self.world.until(lambda: len(self.of(kind)) >= count, seconds), f"no {kind.__name__}: {self.got}"
        return self.of(kind)[count - 1]


def lives_as(cell: Any, kind: type) -> bool:
    """Whether a mailbox is that of a living actor which was created as this class (peers are of one for both)."""
    return cell.instance is not None and issubclass(cell.actor_class, kind)


class AnyWorld:
    """A base in the test's hands, and ways to look into it."""

    def __init__(self, base: InProcessBase) -> None:
        self.base = base
        self.system = ActorSystem(systemBase=base, transientUnique=True)

    def create(self, actor_class: type, ip: str = "127.0.0.1") -> ActorAddress:
        """Make an actor at the top."""
        return self.system.createActor(actor_class)

    def probe(self) -> Probe:
        return Probe(self)

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Run until the condition holds; False if that takes longer than so many virtual seconds."""
        return self.base.run_until(condition, seconds)

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.base.run_for(seconds)

    def instance(self, address: ActorAddress) -> Any:
        """The actor object, to look into."""
        cell = self.base.find(str(address.addressDetails))
        return None if cell is None else cell.instance

    def alive(self, kind: type) -> list[Any]:
        """All living actors of a class."""
        return [cell.instance for cell in self.base.cells.values() if lives_as(cell, kind)]

    def close(self) -> None:
        self.system.shutdown()


class World(AnyWorld):
    """See the module."""

    def __init__(self, seed: int = 1) -> None:
        self.environment = VirtualEnvironment(seed)
        self.world_base = WorldBase(self.environment)
        super().__init__(self.world_base)
        self.net = self.world_base.net

    @property
    def time(self) -> float:
        """Virtual seconds since the start."""
        return self.environment.time - START

    def create(self, actor_class: type, ip: str = "127.0.0.1") -> ActorAddress:
        """Make an actor at the top, living at this address."""
        address = super().create(actor_class, ip)
        self.world_base.homes[str(address.addressDetails).split("/")[1]] = ip
        return address

    def close(self) -> None:
        super().close()
        for sock in self.net.made:
            sock.close()


class RealWorld(AnyWorld):
    """The same with real clocks and real sockets on loopback; every message is pickled here too."""

    def __init__(self) -> None:
        super().__init__(InProcessBase(logDefs=False, drive="caller", strict=True))


class Complaints(logging.Handler):
    """Collects what actors complain about: errors, and messages that nobody knows."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def texts(self) -> list[str]:
        return [record.getMessage() for record in self.records]

    def expect(self, text: str) -> None:
        """These complaints are what the test is about: take them out. There must be one."""
        matching = [record for record in self.records if text in record.getMessage()]
        assert matching, f"nobody complained {text!r}: {self.texts()}"
        self.records = [record for record in self.records if record not in matching]


def override(actor: Any, method: str, function: Callable[..., object]) -> None:
    """Give this one actor another method. (Handlers are looked up on the class, once.)"""
    kind = type(actor)
    actor.__class__ = type(kind.__name__, (kind,), {method: lambda self, *arguments: function(*arguments)})
    actor._receivers, actor._doers = actor._RECEIVERS, actor._DOERS
