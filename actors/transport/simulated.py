"""A simulated network: the port of :mod:`actors.transport.port` over virtual descriptors and virtual time.

    internet = Internet(base.clock, base.timers, base.kernel, links, StreamSeeds(seed, "links"), base.trace.note)
    network = internet.add_host("alice", ["20.1.0.1"])

One :class:`Internet` for all nodes; each node's actors see it through their own :class:`SimNetwork`, which knows only
the node's own addresses. Connections behave as TCP does towards programs: :mod:`actors.transport.sim_tcp`.

Cuts and partitions hold packets back: what would arrive over a cut link waits and arrives, in order, one latency after
the cut is healed (TCP sends it again until then). Or, with ``reset=True``, connections over the cut end at once on both
sides, as behind a firewall that forgets its table. What is under way when a link is cut is judged when it would arrive.
"""

from __future__ import annotations

import errno
import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from actors.transport.handover import HandOver
from actors.transport.sim_cuts import Cut, Cuts
from actors.transport.sim_held import HeldEnd
from actors.transport.sim_links import Links, LinkTable
from actors.transport.sim_sockets import SimListener, SimStream
from actors.transport.sim_tcp import End
from core.empty import NO_ITEMS
from core.ids import Endpoint
from core.netgroup import is_loopback

FIRST_EPHEMERAL_PORT = 32_768
LAST_PORT = 60_999
"""Linux's range for ports that nobody chose."""

ANY_ADDRESS = ("0.0.0.0", "::")


def os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


class Events(Protocol):
    """The part of the base's event heap that a network needs."""

    def call_at(
        self, due: float, function: Callable[[Any, Any], None], first: Any = None, second: Any = None, /
    ) -> None: ...


class Clock(Protocol):
    """Virtual time."""

    now: float


class Kernel(Protocol):
    """The part of the base's descriptor table that a network needs."""

    files: dict[int, Any]
    tell: Callable[[Any], None]

    def open(self, file: Any, /) -> int: ...
    def close_fd(self, fd: int, /) -> None: ...
    def touch(self, fd: int, /) -> None: ...


class Host:
    """A node on the network: its addresses, its listeners, its connections. ``powered`` off: it answers nothing."""

    def __init__(self, internet: Internet, name: str, ips: tuple[str, ...]) -> None:
        self.internet = internet
        self.name = name
        self.ips = ips
        self.powered = True
        self.read_bytes_per_s: float | None = None
        """How fast its programs read from each connection; None: at once."""
        self.listeners: dict[tuple[str, int], SimListener] = {}
        self.ends: dict[End, None] = {}
        self._next_port = FIRST_EPHEMERAL_PORT

    def own_ip(self, target_ip: str) -> str | None:
        """The address from which this host speaks to another; None if it has none of that family."""
        if is_loopback(target_ip):
            return "::1" if ":" in target_ip else "127.0.0.1"
        return next((ip for ip in self.ips if (":" in ip) == (":" in target_ip)), None)

    def has_address(self, ip: str) -> bool:
        return ip in ANY_ADDRESS or ip in self.ips or is_loopback(ip)

    def is_taken(self, ip: str, port: int) -> bool:
        """Whether a new listener would be in the way of another."""
        for bound_ip, bound_port in self.listeners:
            same_family = (":" in bound_ip) == (":" in ip) or "::" in (bound_ip, ip)
            overlap = bound_ip == ip or bound_ip in ANY_ADDRESS or ip in ANY_ADDRESS
            if bound_port == port and same_family and overlap:
                return True
        return False

    def listener_for(self, ip: str, port: int) -> SimListener | None:
        for bound in (ip, "::") if ":" in ip else (ip, "0.0.0.0", "::"):
            listener = self.listeners.get((bound, port))
            if listener is not None:
                return listener
        return None

    def free_port(self, ip: str) -> int:
        """The next port that no listener has."""
        while True:
            port = self._next_port
            self._next_port = FIRST_EPHEMERAL_PORT if port == LAST_PORT else port + 1
            if not self.is_taken(ip, port):
                return port


class Internet:
    """All hosts and what travels between them. ``seed_of``: see :class:`~actors.transport.sim_links.LinkTable`.
    ``note`` gets a line for each thing that happens on a link."""

    def __init__(
        self,
        clock: Clock,
        events: Events,
        kernel: Kernel,
        links: Links,
        seed_of: Callable[..., int],
        note: Callable[[str], None],
    ) -> None:
        self.clock = clock
        self.kernel = kernel
        self.links = LinkTable(links, seed_of)
        self.note = note
        self.buffer_bytes = links.buffer_bytes
        self.packets = 0
        """Packets that have arrived."""
        self.bytes_carried = 0
        self.names: dict[str, Sequence[str]] = {}
        """DNS: host name to addresses, the same for everybody. Fill it in."""
        self.tell = kernel.tell
        """Put a watched descriptor into the mailbox of who watches it."""
        self.call_at = events.call_at
        """Have a function of two arguments called at a time: the heap's own method, once for each packet."""
        self._hosts: dict[str, Host] = {}
        self._by_ip: dict[str, Host] = {}
        self._nobody = Host(self, "(nobody)", ())
        self._nobody.powered = False
        self._cuts = Cuts(self._hosts)
        self.is_cut_anywhere = False
        self._held: dict[End, None] = {}
        self._held_room: dict[End, int] = {}

    # ---- hosts

    def add_host(self, name: str, ips: Sequence[str]) -> SimNetwork:
        """Connect a host. Raises ValueError for a name or an address that is taken, or is no unicast address."""
        if name in self._hosts:
            raise ValueError(f"there is a host called {name!r} already")
        addresses = tuple(str(ipaddress.ip_address(ip)) for ip in ips)
        if not addresses:
            raise ValueError(f"expected one address or more for {name!r}")
        for ip in addresses:
            if ip in self._by_ip:
                raise ValueError(f"{ip} belongs to {self._by_ip[ip].name!r}")
            if ip in ANY_ADDRESS or is_loopback(ip):
                raise ValueError(f"expected an address that others can dial, got {ip}")
        host = self._hosts[name] = Host(self, name, addresses)
        for ip in addresses:
            self._by_ip[ip] = host
        return SimNetwork(self, host)

    def host_at(self, ip: str, seen_from: Host) -> Host:
        """Who has this address: a loopback address is the asker itself, an unused one a host that never answers."""
        return seen_from if is_loopback(ip) else self._by_ip.get(ip, self._nobody)

    def crash(self, name: str, *, silent: bool = False) -> None:
        """A host loses its programs: listeners and connections are gone, and the other sides get a reset.

        ``silent``: it loses power instead. Nobody is told, and until :meth:`power_on` nothing gets an answer.
        """
        host = self._hosts[name]
        host.powered = not silent
        for listener in list(host.listeners.values()):
            listener.close()
        for end in list(host.ends):
            end.vanish(silent=silent)

    def power_on(self, name: str) -> None:
        """A host that lost power answers again: packets of connections that it has forgotten with a reset."""
        self._hosts[name].powered = True

    def set_read_rate(self, name: str, bytes_per_s: float | None) -> None:
        """Let the programs of a host read no faster from each of their connections; None: at once."""
        host = self._hosts[name]
        host.read_bytes_per_s = bytes_per_s
        for end in list(host.ends):
            end.read_at_once()

    def open_at(self, name: str) -> list[str]:
        """What programs of this host hold: its listeners and connections, in words."""
        host = self._hosts[name]
        listeners = [f"a listener at {listener.endpoint.peer_id}" for listener in host.listeners.values()]
        return listeners + [f"the connection {end.name}" for end in host.ends]

    # ---- cuts

    def partition(self, groups: Iterable[Iterable[str]], *, reset: bool = False) -> None:
        """Cut all links between groups of hosts. Hosts that are in none form a group of their own.

        Replaces an earlier partition: what no longer separates two hosts lets through what it held. Raises ValueError
        for an unknown name, or one that is in two groups.
        """
        self._cuts.partition(groups)
        self._cuts_changed("net partition", reset=reset)

    def cut(
        self,
        sources: Iterable[str],
        targets: Iterable[str] | None = None,
        *,
        both_ways: bool = True,
        reset: bool = False,
    ) -> Cut:
        """Cut the links from some hosts to others (None: to all others); see :class:`.sim_cuts.Cut`.

        Raises ValueError for an unknown name.
        """
        cut = self._cuts.add(sources, targets, both_ways=both_ways)
        self._cuts_changed("net cut", reset=reset)
        return cut

    def heal(self, cut: Cut | None = None) -> None:
        """End one cut; without an argument, every cut and the partition."""
        self._cuts.end(cut)
        self._cuts_changed("net heal")

    def _cuts_changed(self, note: str, *, reset: bool = False) -> None:
        self.is_cut_anywhere = bool(self._cuts)
        self.note(note)
        if reset:
            self._reset_cut_connections()
        self._release()

    def _reset_cut_connections(self) -> None:
        for host in self._hosts.values():
            for end in list(host.ends):
                peer = end.peer
                if peer is not None and (self.is_cut(host, peer.host) or self.is_cut(peer.host, host)):
                    end.lose(errno.ECONNRESET)

    def is_cut(self, source: Host, target: Host) -> bool:
        """Whether nothing gets from one host to another now."""
        return self.is_cut_anywhere and self._cuts.blocks(source.name, target.name)

    def _release(self) -> None:
        now = self.clock.now
        for end in list(self._held):
            if not self.is_cut(end.host, end.remote_host):
                del self._held[end]
                end.release(now + self.links.latency_s(end.host.name, end.remote_host.name))
        for reader in list(self._held_room):
            writer = reader.peer
            if writer is None or not self.is_cut(reader.host, writer.host):
                count = self._held_room.pop(reader)
                reader.report_room(count)

    # ---- packets

    def arrival(self, end: End, size_bytes: int) -> float:
        """When what this end sends now would arrive."""
        return self.links.arrival(end.host.name, end.remote_host.name, size_bytes, self.clock.now)

    def hold(self, end: End) -> None:
        """What this end sent cannot arrive before a cut is healed."""
        self._held[end] = None

    def hold_room(self, reader: End, count: int) -> None:
        """A sender cannot hear yet that so many bytes were read."""
        self._held_room[reader] = self._held_room.get(reader, 0) + count

    def touch(self, end: HeldEnd) -> None:
        """Something about an end has changed that those who watch it may care for."""
        if end.events and not end.is_told:
            self.tell(end)
        for copy in end.strain.copies:
            if copy.events and not copy.is_told:
                self.tell(copy)

    def syn_arrives(self, opener: End) -> None:
        """Somebody wants to connect: queue it, refuse it, or, where nobody is, say nothing."""
        host = opener.remote_host
        if not host.powered:
            return
        listener = host.listener_for(opener.remote_ip, opener.remote_port)
        if listener is None:
            due = self.clock.now + self.links.latency_s(host.name, opener.host.name)
            self.call_at(due, _refused, opener)
        elif len(listener.queue) < listener.backlog:
            # A full queue drops the packet, as Linux does: the opener waits.
            end = End(host, *opener.local, opener.host)
            end.accept_from(opener)
            life_s = self.links.life_s()
            if life_s is not None:
                self.call_at(self.clock.now + life_s, _breaks, opener, end)
            if listener.queue is NO_ITEMS:
                listener.queue = []
            listener.queue.append(end)
            self.kernel.touch(listener.fileno())


def _refused(opener: End, _: Any) -> None:
    opener.lose(errno.ECONNREFUSED)


def _breaks(one: End, other: End) -> None:
    one.lose(errno.ECONNRESET)
    other.lose(errno.ECONNRESET)


class SimNetwork:
    """The network as one host's actors see it (:class:`~actors.transport.port.Network`)."""

    def __init__(self, internet: Internet, host: Host) -> None:
        self.internet = internet
        self.host = host

    @property
    def names(self) -> Mapping[str, Sequence[str]]:
        """What DNS knows: host name to addresses (:func:`actors.transport.resolver.resolver_of` asks)."""
        return self.internet.names

    def connect(self, endpoint: Endpoint, /) -> End:
        host = self.host
        local_ip = host.own_ip(endpoint.ip)
        if local_ip is None:
            raise os_error(errno.ENETUNREACH)
        target = self.internet.host_at(endpoint.ip, host)
        port = host.free_port(local_ip)
        return End(host, endpoint.ip, endpoint.port, target).dial(local_ip, port)

    def listen(self, host_ip: str, port: int, backlog: int) -> SimListener:
        ip = str(ipaddress.ip_address(host_ip))
        if not self.host.has_address(ip):
            raise os_error(errno.EADDRNOTAVAIL)
        if port == 0:
            port = self.host.free_port(ip)
        elif self.host.is_taken(ip, port):
            raise os_error(errno.EADDRINUSE)
        return SimListener(self.internet, self.host, Endpoint(ip, port), backlog)

    def adopt(self, hand_over: HandOver, received_fd: int | None = None) -> End | SimStream:
        file = self.internet.kernel.files.get(hand_over.fd) if received_fd is None else None
        end = file.end if isinstance(file, SimStream) else file
        if not isinstance(end, End) or end.host is not self.host:
            raise os_error(errno.EBADF)
        if (end.remote_ip, end.remote_port) != (hand_over.remote_ip, hand_over.remote_port):
            raise OSError(errno.ESTALE, "the connection handed over is gone")
        return end.opened() if end.fd < 0 else SimStream(end)
