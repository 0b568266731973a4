"""Hosts that speak the real wire without being nodes: scripted peers, honest or hostile, by the thousand.

A scripted host has any number of addresses, listens on all of them, and opens connections from any of them. Its bytes
are those of :mod:`actors.transport.websocket` and :mod:`core.wire`, over simulated links: for a node it is a peer like
every other. What it says and when is up to a :class:`Conduct`; the one here behaves well. There is no way from here
into anybody's tables but the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING

from actors.bases.sim_door import DescriptorDoor
from actors.transport.events import Closed, ControlFrame, MessageReceived, Opened, UpgradeRequested
from actors.transport.handover import HandOver
from actors.transport.port import ListenSocket
from actors.transport.sim_sockets import SimStream
from actors.transport.sim_tcp import End
from actors.transport.websocket import Channel, ChannelEvent, ListenerChannel, OpenerChannel
from core.ids import Endpoint
from core.wire import packets as p
from core.wire.lisk10 import Lisk10
from core.wire.payloads import PING_ANSWER, NodeInfo
from core.wire.socketcluster import decode_packet

if TYPE_CHECKING:
    from actors.bases.sim_nodes import Simulation
    from actors.transport.simulated import SimNetwork

CHAIN_ID = b"\0\0\0\1"
NETWORK_VERSION = "1.1"
"""What a node has by default."""

PORT = 5001
BACKLOG = 1024
PING_TIMEOUT_MS = 600_000
KEEP_ALIVE_S = 580.0
"""As a listener it promises a word within ten minutes, the longest that our openers take."""

DIALECT = Lisk10()


class FromAddress:
    """The network as seen from one of several addresses of a host."""

    def __init__(self, network: SimNetwork, ip: str) -> None:
        self._network = network
        self._ip = ip

    def connect(self, endpoint: Endpoint, /) -> End:
        """Start connecting."""
        internet, host = self._network.internet, self._network.host
        target = internet.host_at(endpoint.ip, host)
        return End(host, endpoint.ip, endpoint.port, target).dial(self._ip, host.free_port(self._ip))

    def listen(self, host_ip: str, port: int, backlog: int) -> ListenSocket:
        """As the host's own."""
        return self._network.listen(host_ip, port, backlog)

    def adopt(self, hand_over: HandOver, received_fd: int | None = None) -> End | SimStream:
        """As the host's own."""
        return self._network.adopt(hand_over, received_fd)


class Line:
    """One connection of a scripted host: ``ip`` is its own address, ``remote_ip`` the other's.

    ``is_ready``: both sides have introduced themselves. ``heard``: what the other side asked, by procedure.
    """

    def __init__(self, host: ScriptedHost, channel: Channel, ip: str, *, is_opener: bool) -> None:
        self.host = host
        self.channel = channel
        self.ip = ip
        self.remote_ip = channel.remote_ip
        self.remote_port = channel.remote_port
        self.is_opener = is_opener
        self.opened_at = host.sim.now
        self.is_ready = False
        self.is_over = False
        self.close_code: int | None = None
        self.goodbye: int | None = None
        self.heard: dict[str, int] = {}
        self.fd = channel.fileno()

    @property
    def peer_id(self) -> str:
        """How the other side names us."""
        return Endpoint(self.ip, PORT).peer_id

    def send(self, text: str) -> None:
        """Send one packet; nothing happens if the connection is over."""
        if not self.is_over:
            self.channel.send_text(text)
            self.host.settle(self)

    def close(self, code: int = 1000) -> None:
        """End the connection in order."""
        if not self.is_over:
            self.channel.close(code)
            self.host.settle(self)

    def hang_up(self) -> None:
        """End the TCP connection without a word."""
        if not self.is_over:
            self.host.end(self, None)


class Conduct:
    """How a scripted host behaves; this one is an honest peer that knows ``others``. Override what should differ.

    Methods are called as things happen; they may send, close, dial and schedule, and must not wait for anything.
    """

    def __init__(self, others: Sequence[Endpoint] = (), *, advertise: bool = True) -> None:
        self.others = others
        self.advertise = advertise

    def node_info(self, line: Line) -> NodeInfo:
        """What it says of itself."""
        return NodeInfo(CHAIN_ID, NETWORK_VERSION, f"nonce of {line.ip}", self.advertise)

    def peers(self, line: Line) -> Sequence[Endpoint]:
        """Its answer to getPeers: 100 others, drawn for this occasion."""
        if len(self.others) <= 100:
            return self.others
        return line.host.rng.sample(self.others, 100)

    def takes(self, line: Line) -> bool:
        """Whether it answers an opener's upgrade; otherwise the opener waits for nothing."""
        return True

    def answer_delay_s(self, line: Line) -> float:
        """How long it waits before it answers a request."""
        return 0.0

    def on_ready(self, line: Line) -> None:
        """Both sides have introduced themselves."""

    def on_over(self, line: Line) -> None:
        """A connection has ended, or was never made."""

    def on_message(self, line: Line, message: p.Message) -> None:
        """A one-way message."""

    def on_answer(self, line: Line, answer: p.Response) -> None:
        """The answer to a request of its own."""


class ScriptedHost:
    """See the module. ``name`` is the host's on the network and in the trace. Listens at once if ``listens``."""

    def __init__(
        self,
        sim: Simulation,
        name: str,
        ips: Sequence[str],
        conduct: Conduct,
        *,
        listens: bool = True,
        behind: SimNetwork | None = None,
    ) -> None:
        """``behind``: the network of somebody else, whose address it shares as behind one NAT; it cannot listen there.

        Raises ValueError for a name or an address that is taken.
        """
        self.sim = sim
        self.name = name
        self.ips = tuple(ips)
        self.conduct = conduct
        self.network = sim.internet.add_host(name, self.ips) if behind is None else behind
        self.rng = sim.base.make_environment(name).rng("script")
        self.lines: dict[int, Line] = {}
        self._door = DescriptorDoor(sim.base, f"{name}/script", self._on_fd)
        self._listener: ListenSocket | None = None
        if listens and behind is None:
            self.listen()

    @property
    def endpoints(self) -> list[Endpoint]:
        """All its addresses, as peers know them."""
        return [Endpoint(ip, PORT) for ip in self.ips]

    def listen(self) -> None:
        """Take connections on all addresses."""
        if self._listener is None:
            self._listener = self.network.listen("0.0.0.0", PORT, BACKLOG)
            self._door.watch(self._listener.fileno(), EVENT_READ)

    def leave(self) -> None:
        """Stop listening, and end every connection without a word: the host has gone."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for line in list(self.lines.values()):
            line.hang_up()

    def dial(self, ip: str, to: Endpoint, *, port: int = PORT) -> Line:
        """Open a connection from one of its addresses, as a peer that says it listens there on ``port``."""
        info = NodeInfo(CHAIN_ID, NETWORK_VERSION, f"nonce of {ip} {port}", self.conduct.advertise)
        channel = OpenerChannel(FromAddress(self.network, ip), to, DIALECT.request_target(info, port))
        line = Line(self, channel, ip, is_opener=True)
        self._add(line)
        return line

    def connect_raw(self, ip: str, to: Endpoint) -> End:
        """Open a bare TCP connection, and say nothing on it."""
        return FromAddress(self.network, ip).connect(to)

    def later(self, delay_s: float, action: Callable[[], object]) -> None:
        """Have ``action()`` called after a while."""
        self.sim.at(self.sim.now + delay_s, action)

    # ---- lines

    def _add(self, line: Line) -> None:
        self.lines[line.fd] = line
        self._watch(line)

    def _watch(self, line: Line) -> None:
        channel = line.channel
        connecting = isinstance(channel, OpenerChannel) and not channel.is_connected
        events = EVENT_WRITE if connecting or channel.wants_write else 0
        self._door.watch(line.fd, events | (EVENT_READ if channel.wants_read and not connecting else 0))

    def settle(self, line: Line) -> None:
        """Send what is queued and watch what there is to wait for."""
        channel = line.channel
        if channel.closed:
            self.end(line, None)
            return
        if not (isinstance(channel, OpenerChannel) and not channel.is_connected):
            channel.flush()
        self._watch(line)

    def end(self, line: Line, code: int | None) -> None:
        """A connection is over."""
        if line.is_over:
            return
        line.is_over = True
        line.close_code = code
        self.lines.pop(line.fd, None)
        if not line.channel.closed:
            self._door.watch(line.fd, 0)
        line.channel.abort()
        self.conduct.on_over(line)

    def _on_fd(self, fd: int, mask: int) -> None:
        listener = self._listener
        if listener is not None and fd == listener.fileno():
            self._accept(listener)
            return
        line = self.lines.get(fd)
        if line is None:
            return
        channel = line.channel
        events = channel.on_writable() if mask & EVENT_WRITE else []
        if not channel.closed:
            events += channel.on_readable()
        self._handle(line, events)

    def _accept(self, listener: ListenSocket) -> None:
        while True:
            stream = listener.accept()
            if stream is None:
                return
            ip = stream.end.local[0] if isinstance(stream, SimStream) else self.ips[0]
            self._add(Line(self, ListenerChannel(stream, path=DIALECT.path), ip, is_opener=False))

    def _handle(self, line: Line, events: Iterable[ChannelEvent]) -> None:
        for event in events:
            if line.is_over:
                return
            if isinstance(event, MessageReceived):
                self._on_packet(line, decode_packet(event.payload, binary=event.binary))
            elif isinstance(event, UpgradeRequested):
                self._on_upgrade(line)
            elif isinstance(event, Opened):
                line.channel.send_text(DIALECT.encode_handshake(1))
            elif isinstance(event, Closed):
                self.end(line, event.code)
                return
            elif isinstance(event, ControlFrame):
                continue
        if not line.is_over:
            self.settle(line)

    def _on_upgrade(self, line: Line) -> None:
        channel = line.channel
        if isinstance(channel, ListenerChannel) and self.conduct.takes(line):
            self._handle(line, channel.accept())

    # ---- the protocol, as a well-behaved peer speaks it

    def _on_packet(self, line: Line, packet: p.Packet) -> None:
        channel = line.channel
        if isinstance(packet, p.Handshake):
            self._on_handshake(line, packet)
        elif isinstance(packet, p.KeepAlivePing):
            channel.send_text(DIALECT.keep_alive_pong)
        elif isinstance(packet, p.Request):
            self._on_request(line, packet)
        elif isinstance(packet, p.Response):
            if packet.rid == 1 and line.is_opener and not line.is_ready:
                self._ready(line)
            else:
                self.conduct.on_answer(line, packet)
        elif isinstance(packet, p.Message):
            self.conduct.on_message(line, packet)
        elif isinstance(packet, p.Disconnect):
            line.goodbye = packet.code

    def _on_handshake(self, line: Line, packet: p.Handshake) -> None:
        if packet.cid:
            line.channel.send_text(DIALECT.encode_ack(packet.cid, "scripted", PING_TIMEOUT_MS))
        if not line.is_opener:
            self._handle(line, line.channel.resume_reading())
            self.later(KEEP_ALIVE_S, lambda: self._keep_alive(line))

    def _keep_alive(self, line: Line) -> None:
        if not line.is_over:
            line.send(DIALECT.keep_alive_ping)
            self.later(KEEP_ALIVE_S, lambda: self._keep_alive(line))

    def _on_request(self, line: Line, packet: p.Request) -> None:
        procedure = packet.procedure
        line.heard[procedure] = line.heard.get(procedure, 0) + 1
        delay_s = self.conduct.answer_delay_s(line)
        if delay_s > 0.0:
            self.later(delay_s, lambda: self._answer(line, packet))
        else:
            self._answer(line, packet)

    def _answer(self, line: Line, packet: p.Request) -> None:
        if line.is_over or not packet.cid:
            return
        if packet.procedure == "getNodeInfo":
            data = DIALECT.encode_node_info(self.conduct.node_info(line))
        elif packet.procedure == "getPeers":
            data = DIALECT.encode_peers(self.conduct.peers(line))
        elif packet.procedure == "ping":
            data = PING_ANSWER
        else:
            line.send(DIALECT.encode_error(packet.cid, "unknown procedure"))
            return
        line.send(DIALECT.encode_response(packet.cid, data, Endpoint(line.remote_ip, PORT).peer_id))
        if not line.is_opener and not line.is_ready and packet.procedure == "getPeers":
            self._ready(line)

    def _ready(self, line: Line) -> None:
        line.is_ready = True
        self.conduct.on_ready(line)
