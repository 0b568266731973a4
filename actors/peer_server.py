"""PeerServer: listens, upgrades, checks, refuses; hands a good connection to its InboundPeer.

Parent: Node. Children: none. Owns: the listening socket and every connection that is not handed over yet.
Mind: :class:`core.admission.Admission`, one for each of them.
Accepts: Listen, Init; AddressBanned, AddressUnbanned (book), NodeInfoChanged (node), NamedSeedsChanged, InboundAdmitted
and InboundRefused (pool), TakenOver (InboundPeer). Tells the node ServerListening or ServerFailed and PeerMisbehaved,
the pool AdmitInbound, the InboundPeer TakeOver.

Attackers here open many connections and say nothing: the number of unfinished handshakes is capped, per address too,
before a byte is read.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from actors.base import HouseActor
from actors.bases.watch import Watch
from actors.hooks import HandshakeCheck
from actors.transport.events import ChannelEvent, Closed, ControlFrame, MessageReceived, UpgradeRequested
from actors.transport.port import ListenSocket, StreamSocket, give, network_of
from actors.transport.websocket import ListenerChannel
from actors.wiring import InboundAdmitted, Init, Listen, TakenOver, TakeOver
from core import rules
from core.admission import Admission, AdmissionSettings
from core.bans import trusted_ips
from core.config import NodeConfig
from core.config.derived import one_of_equals
from core.deadlines import earliest
from core.decisions import DecisionKind, decided
from core.dialects import Languages, languages_of
from core.effects import AbortChannel, AcceptUpgrade, CloseChannel, Effect, HandOver, Record, RejectUpgrade, SendPacket
from core.empty import NO_NAMES
from core.events import FailedToAddInboundPeer
from core.house_messages import (
    AddressBanned,
    AddressUnbanned,
    BansInForce,
    ClosePeer,
    InboundRefused,
    NamedSeedsChanged,
    NodeInfoChanged,
    ServerFailed,
    ServerListening,
)
from core.ids import CloseCode
from core.netgroup import is_loopback
from core.penalties import DRY_RUN
from core.static_lists import Blacklist
from core.wire.payloads import NodeInfo

BACKLOG = 128
ACCEPTS_PER_TURN = 64
EXHAUSTED_PAUSE_S = 0.5
"""Out of descriptors: the listening socket stays readable, so look away for a moment instead of spinning."""


class Arrival:
    """One connection on its way in: its channel, its mind, and the actor it goes to."""

    __slots__ = ("admission", "channel", "close_at", "fd", "peer", "released")

    def __init__(self, channel: ListenerChannel, admission: Admission) -> None:
        self.channel = channel
        self.fd = channel.fileno()
        self.admission = admission
        self.peer: Any = None
        self.released = False  # handed over: not watched any more, closed when the receiver says so
        self.close_at: float | None = None  # or then: our copy is not needed, and closed once it is not watched


class PeerServer(HouseActor):
    """See the module."""

    __slots__ = (
        *("_arrivals", "_banned", "_blacklist", "_by_fd", "_check", "_current", "_languages", "_listener"),
        *("_named_seeds", "_next_ticket", "_own", "_per_ip", "_resume_at", "_settings", "_trusted", "_watched"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._listener: ListenSocket | None = None
        self._arrivals: dict[int, Arrival] = {}  # by ticket
        self._by_fd: dict[int, int] = {}
        self._watched: list[tuple[int, int, bool, bool]] = []  # descriptor, ticket, for reading, for writing
        self._per_ip: dict[str, int] = {}
        self._banned: set[str] = set()
        self._named_seeds = NO_NAMES
        self._next_ticket = 1
        self._resume_at: float | None = None
        self._current: Arrival | None = None

    # ---- start ----

    def receiveMsg_Listen(self, message: Listen, sender: Any) -> None:
        """Bind the port; connections are accepted after Init."""
        try:
            self._listener = network_of(self).listen(message.host_ip, message.port, BACKLOG)
        except OSError as error:
            self.send(sender, ServerFailed(_why_not(message, error)))
            return
        self.send(sender, ServerListening(self._listener.endpoint))

    def receiveMsg_Init(self, message: Init, sender: Any) -> None:
        """Begin to accept."""
        self._adopt_charter(message.charter)
        config = message.charter.config
        self._own: NodeInfo = message.charter.node_info
        self._languages: Languages = languages_of(config)
        settings = AdmissionSettings(
            upgrade_timeout_s=config.upgrade_timeout_s,
            handshake_timeout_s=config.handshake_timeout_s,
            keep_alive_interval_s=config.keepalive_interval_s,
            dry_run=config.ban_mode == DRY_RUN,
        )
        self._settings = one_of_equals(settings)
        self._trusted = trusted_ips(config, message.charter.own_port)
        self._check = HandshakeCheck(config.peer_handshake_check, self.log)
        self._blacklist = Blacklist(config.blacklisted_ips)
        self._rewatch()

    # ---- what the book and the node say ----

    def receiveMsg_AddressBanned(self, message: AddressBanned, sender: Any) -> None:
        """Refuse this address from now on, and what it has under way."""
        self._banned.add(message.ban.ip)
        self._refuse_banned()

    def receiveMsg_AddressUnbanned(self, message: AddressUnbanned, sender: Any) -> None:
        """Accept it again."""
        self._banned.discard(message.ip)

    def receiveMsg_BansInForce(self, message: BansInForce, sender: Any) -> None:
        """All bans; the book or this server is new."""
        self._banned = {ban.ip for ban in message.bans}
        self._refuse_banned()

    def _refuse_banned(self) -> None:
        for arrival in list(self._arrivals.values()):
            if arrival.admission.remote_ip in self._banned:
                effects = arrival.admission.on_banned(self.now())
                if effects:
                    self._carry_out(arrival, effects)
        self._rewatch()

    def receiveMsg_NamedSeedsChanged(self, message: NamedSeedsChanged, sender: Any) -> None:
        """The seeds that are given by name stand for these: their addresses are trusted, earlier ones no more."""
        self._named_seeds = frozenset(endpoint.ip for endpoint in message.endpoints) or NO_NAMES

    def receiveMsg_NodeInfoChanged(self, message: NodeInfoChanged, sender: Any) -> None:
        """Our node info is this now."""
        self._own = message.node_info

    # ---- sockets ----

    def receiveMsg_WatchMessage(self, message: Any, sender: Any) -> None:
        """Connections to accept, bytes to read, room to write."""
        for fd in getattr(message, "writable", ()):
            ticket = self._by_fd.get(fd)
            if ticket is not None:
                self._on_channel_events(ticket, self._arrivals[ticket].channel.on_writable())
        listener_fd = self._listener.fileno() if self._listener is not None else -1
        for fd in message.ready:
            if fd == listener_fd:
                self._accept()
                continue
            ticket = self._by_fd.get(fd)
            if ticket is not None:
                self._on_channel_events(ticket, self._arrivals[ticket].channel.on_readable())
        self._rewatch()

    def _accept(self) -> None:
        listener = self._listener
        if listener is None:
            return
        for _ in range(ACCEPTS_PER_TURN):
            stream = listener.accept()
            if stream is None:
                break
            self._welcome(stream)
        if listener.exhausted:
            self.log.warning("out of file descriptors: not accepting for %g s", EXHAUSTED_PAUSE_S)
            self._resume_at = self.now() + EXHAUSTED_PAUSE_S

    def _welcome(self, stream: StreamSocket) -> None:
        config = self.need_charter().config
        ip = stream.remote_ip
        if self._is_full(config, ip):
            stream.shutdown()
            stream.close()
            self.emit((FailedToAddInboundPeer(ip_address=ip, code=0, reason="too many unfinished handshakes"),))
            figures = (("unfinished", len(self._arrivals)), ("from_address", self._per_ip.get(ip, 0)))
            self.do_record(Record((decided(ip, DecisionKind.REFUSED, rules.PENDING_FULL, *figures),)))
            return
        ticket = self._next_ticket
        self._next_ticket += 1
        channel = ListenerChannel(stream, path=self._languages.path, max_message_bytes=config.ws_max_payload_bytes)
        admission = Admission(
            ticket=ticket,
            remote_ip=ip,
            banned=ip in self._banned,
            blacklisted=ip in self._blacklist,
            trusted=ip in self._trusted or ip in self._named_seeds,
            own=self._own,
            languages=self._languages,
            settings=self._settings,
            now=self.now(),
            review=self._check.of_opener(ip),
        )
        self._arrivals[ticket] = arrival = Arrival(channel, admission)
        self._by_fd[arrival.fd] = ticket
        self._per_ip[ip] = self._per_ip.get(ip, 0) + 1

    def _is_full(self, config: NodeConfig, ip: str) -> bool:
        if len(self._arrivals) >= config.max_pending_handshakes:
            return True
        return not is_loopback(ip) and self._per_ip.get(ip, 0) >= config.max_pending_handshakes_per_ip

    def _on_channel_events(self, ticket: int, events: Sequence[ChannelEvent]) -> None:
        for event in events:
            arrival = self._arrivals.get(ticket)
            if arrival is None:
                return
            admission, now = arrival.admission, self.now()
            if isinstance(event, UpgradeRequested):
                self._carry_out(arrival, admission.on_upgrade(event.target, event.headers, now))
            elif isinstance(event, MessageReceived):
                self._carry_out(arrival, admission.on_packet(event.payload, event.binary, now))
            elif isinstance(event, ControlFrame):
                self._carry_out(arrival, admission.on_control_frame(now))
            elif isinstance(event, Closed):
                self._forget(arrival)

    # ---- the pool's answers, and the peer's ----

    def receiveMsg_InboundAdmitted(self, message: InboundAdmitted, sender: Any) -> None:
        """There is room: the connection goes to this actor."""
        arrival = self._arrivals.get(message.request_id)
        effects = arrival.admission.on_admitted(self.now()) if arrival is not None else []
        if arrival is None or not effects:
            # Lost or refused meanwhile: its actor must not keep a slot for a connection that will not come.
            self.send(message.peer, ClosePeer(CloseCode.NORMAL, "the connection was lost before it was handed over"))
            return
        arrival.peer = message.peer
        self._carry_out(arrival, effects)
        self._rewatch()

    def receiveMsg_InboundRefused(self, message: InboundRefused, sender: Any) -> None:
        """There is none."""
        arrival = self._arrivals.get(message.request_id)
        if arrival is not None:
            self._carry_out(arrival, arrival.admission.on_refused(message, self.now()))
            self._rewatch()

    def receiveMsg_TakenOver(self, message: TakenOver, sender: Any) -> None:
        """The InboundPeer has its own copy of the socket (or has given up)."""
        arrival = self._arrivals.get(message.token)
        if arrival is not None and arrival.released:
            arrival.channel.confirm()
            self._forget(arrival)

    # ---- effects ----

    def _carry_out(self, arrival: Arrival, effects: Sequence[Effect]) -> None:
        self._current = arrival
        self.apply(effects)
        self._current = None
        if arrival.channel.closed:
            self._forget(arrival)
        else:
            arrival.channel.flush()

    @property
    def _here(self) -> Arrival:
        if self._current is None:
            raise RuntimeError("an effect without its connection")
        return self._current

    def do_accept_upgrade(self, effect: AcceptUpgrade) -> None:
        """101; a hasty opener may have sent its first packet already."""
        arrival = self._here
        arrival.channel.join = self._languages.named(arrival.admission.dialect).join
        events = arrival.channel.accept(effect.headers)
        self._on_channel_events(arrival.admission.ticket, events)
        self._current = arrival

    def do_reject_upgrade(self, effect: RejectUpgrade) -> None:
        """An HTTP error."""
        self._here.channel.reject(effect.status, effect.body)

    def do_send_packet(self, effect: SendPacket) -> None:
        """A packet before the hand-over."""
        self._here.channel.send(effect.packet)

    def do_close_channel(self, effect: CloseChannel) -> None:
        """Refused: close with a code, and read on for the answer."""
        channel = self._here.channel
        channel.close(effect.code)

    def do_abort_channel(self, effect: AbortChannel) -> None:
        """Destroy it."""
        self._here.channel.abort()

    def do_hand_over(self, effect: HandOver) -> None:
        """Give it to the peer's actor; our copy of the socket stays open until that one has its own."""
        arrival = self._here
        admission = arrival.admission
        announced = admission.announced
        if announced is None:
            raise RuntimeError("a hand-over without an introduction")
        self._by_fd.pop(arrival.fd, None)
        arrival.released = True
        hand_over = arrival.channel.detach(admission.ticket)
        try:
            is_given = give(network_of(self), hand_over, arrival.peer)
        except OSError as error:  # the peer's process has just died
            self.log.warning("%s is lost in the hand-over: %s", admission.remote_ip, error)
            arrival.channel.abort()
            return
        if is_given:
            arrival.close_at = self.now()
        self.send(arrival.peer, TakeOver(hand_over, announced, effect.cid, admission.dialect))

    # ---- the clock ----

    def deadline(self) -> float | None:
        """The earliest of all arrivals'."""
        first = self._resume_at
        for arrival in self._arrivals.values():
            first = earliest(first, arrival.admission.next_deadline(), arrival.close_at)
        return first

    def on_time(self, now: float) -> None:
        """Time-outs, keep-alives."""
        if self._resume_at is not None and self._resume_at <= now:
            self._resume_at = None
        for arrival in list(self._arrivals.values()):
            if arrival.close_at is not None:
                arrival.channel.confirm()
                self._forget(arrival)
                continue
            due = arrival.admission.next_deadline()
            if due is not None and due <= now:
                self._carry_out(arrival, arrival.admission.on_time(now))
        self._rewatch()

    # ---- the end ----

    def release(self) -> None:
        """Stop listening and let go of everybody who is not handed over."""
        if self._listener is not None:
            self._listener.close()
        for arrival in list(self._arrivals.values()):
            if arrival.released:
                arrival.channel.confirm()
            else:
                arrival.channel.abort()
        self._arrivals.clear()
        self._by_fd.clear()

    def _forget(self, arrival: Arrival) -> None:
        ticket = arrival.admission.ticket
        if self._arrivals.pop(ticket, None) is None:
            return
        arrival.admission.on_closed()
        if self._by_fd.get(arrival.fd) == ticket:  # the number may stand for another connection already
            del self._by_fd[arrival.fd]
        ip = arrival.admission.remote_ip
        self._per_ip[ip] -= 1
        if self._per_ip[ip] <= 0:
            del self._per_ip[ip]
        if not self._arrivals:  # the room that many at once took is given back
            self._arrivals, self._by_fd, self._per_ip = {}, {}, {}

    def _rewatch(self) -> None:
        channels = [(fd, ticket, self._arrivals[ticket].channel) for fd, ticket in self._by_fd.items()]
        watched = [(fd, ticket, channel.wants_read, channel.queued_bytes > 0) for fd, ticket, channel in channels]
        watched = [one for one in watched if one[2] or one[3]]
        if self._listener is not None and self._resume_at is None and self.charter is not None:
            watched.insert(0, (self._listener.fileno(), 0, True, False))
        # A number may stand for another connection than before: whoever left and whoever came can share one turn.
        if watched != self._watched:
            self._watched = watched
            self.watch = Watch(
                [fd for fd, _, reads, _ in watched if reads], [fd for fd, _, _, writes in watched if writes]
            )


def _why_not(message: Listen, error: OSError) -> str:
    where = f"{message.host_ip}:{message.port}"
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {where}: the port is taken by another program"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {where}: this machine does not have that address"
    if error.errno == errno.EACCES:
        return f"cannot listen on {where}: ports below 1024 need more rights"
    return f"cannot listen on {where}: {error.strerror or error}"
