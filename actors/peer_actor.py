"""PeerActor: an open connection as an actor, whichever side opened it.

:class:`actors.peer.Peer` builds on it with the opening; what it accepts and tells is written there.
"""

from __future__ import annotations

from collections.abc import Sequence
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from thespian.actors import WakeupMessage

from actors.bases.watch import watch_only
from actors.dealings import NO_DEALINGS, READING
from actors.hooks import HandshakeCheck
from actors.peer_desk import PeerDesk
from actors.transport.channel import Channel
from actors.transport.events import (
    ChannelEvent,
    Closed,
    ControlFrame,
    MessageReceived,
    Opened,
    UpgradeRefused,
)
from actors.transport.websocket import OpenerChannel
from actors.wiring import Charter, SettleNow, SubscribersChanged
from core.dialects import Languages, languages_of
from core.effects import AbortChannel, CloseChannel, SendPacket, SendPackets
from core.empty import NO_ITEMS
from core.house_messages import (
    AskForPeers,
    ClosePeer,
    NodeInfoChanged,
    PeerSample,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.link import Link
from core.link_base import Stage
from core.link_settings import LinkSettings
from core.messages import (
    ApplyPenalty,
    Done,
    HoldReading,
    ResumeReading,
)
from core.wire.dialect import Dialect

_CONNECTING, _CLOSED = Stage.CONNECTING, Stage.CLOSED

_UNKNOWN = -1
"""The channel is to be asked."""

_NOTHING = 4
"""There is none any more, or not yet."""
_ANY = EVENT_READ | EVENT_WRITE


class PeerActor(PeerDesk):
    """What both directions share: the channel's events into the link, the link's effects into the channel."""

    __slots__ = ()

    WAITS_FOR_INIT = True  # for StartOutbound or PrepareInbound: an order to close may overtake them
    MANY = True  # where each is a process: see actors/bases/nursery.py

    def __init__(self) -> None:
        super().__init__()
        self._deal().watched = _UNKNOWN

    def _make_link(self, charter: Charter, direction: Direction, endpoint: Endpoint, kind: PeerKind) -> Link:
        self._adopt_charter(charter)
        environment, check = self.environment, charter.config.peer_handshake_check
        now = environment.now()
        return Link(
            direction=direction,
            endpoint=endpoint,
            kind=kind,
            dialect=languages_of(charter.config).main,
            own=charter.node_info,
            settings=LinkSettings.from_config(charter.config),
            rng=environment.common_rng(),
            wall_offset_s=environment.wall_now() - now,
            review=None if check is None else HandshakeCheck(check, self.log).of(endpoint, direction),
        )

    def _languages(self) -> Languages:
        """What the node speaks: looked up, for only the opening asks."""
        return languages_of(self.need_charter().config)

    # ---- the channel ----

    def receiveMsg_WatchMessage(self, message: Any, sender: Any) -> None:
        """The socket can be read or written."""
        channel = self._channel
        if channel is None:
            return
        writable = getattr(message, "writable", ())  # of its one descriptor
        if writable:
            self._on_channel_events(channel.on_writable())
            self._after_writing(channel)
        if message.ready:
            self._on_channel_events(channel.on_readable())
        # After reading, nearly always nothing is left to do.
        dealings = self._dealings
        if writable or channel.queued_bytes or dealings.answers or dealings.owed or self._channel is not channel:
            self._settle()

    def _after_writing(self, channel: Channel) -> None:
        """Only an opener cares: it may have connected."""

    def _on_channel_events(self, events: Sequence[ChannelEvent]) -> None:
        now = self.now()
        link = self.link
        if len(events) == 1 and type(only := events[0]) is MessageReceived:
            self.apply(link.on_packets(((only.payload, only.binary),), now))
            return
        packets: list[tuple[bytes, bool]] = []
        for event in events:
            if type(event) is MessageReceived:
                packets.append((event.payload, event.binary))
                continue
            if packets:
                self.apply(link.on_packets(packets, now))
                packets = []
            if isinstance(event, ControlFrame):
                self.apply(link.on_control_frame(now))
            elif isinstance(event, Opened):
                if isinstance(self._channel, OpenerChannel):
                    self._channel = self._channel.as_plain()
                self._speak(self._languages().of_opener(event.headers))
                self.apply(link.on_opened(now))
            elif isinstance(event, UpgradeRefused):
                self.apply(link.on_refused(event.status, event.body, now))
            elif isinstance(event, Closed):
                self._on_channel_closed(event.code, "" if event.clean else event.reason or "connection lost")
        if packets:
            self.apply(link.on_packets(packets, now))

    # ---- subscribers that cannot keep up ----

    def receiveMsg_HoldReading(self, message: HoldReading, sender: Any) -> None:
        """Read no more for now, so that TCP slows the remote down."""
        dealings = self._deal()
        if sender not in dealings.holders:
            dealings.holders = [*dealings.holders, sender]
        self._hold_or_go_on()

    def receiveMsg_ResumeReading(self, message: ResumeReading, sender: Any) -> None:
        """The subscriber has room again."""
        dealings = self._deal()
        dealings.holders = [holder for holder in dealings.holders if holder != sender] or NO_ITEMS
        self._hold_or_go_on()

    def receiveMsg_SubscribersChanged(self, message: SubscribersChanged, sender: Any) -> None:
        """Who wants events now. Who does not any more, holds nothing up."""
        super().receiveMsg_SubscribersChanged(message, sender)
        dealings = self._dealings
        if dealings.holders:
            subscribed = [subscriber.address for subscriber in message.subscribers]
            dealings.holders = [holder for holder in dealings.holders if holder in subscribed] or NO_ITEMS
            self._hold_or_go_on()

    def _hold_or_go_on(self) -> None:
        channel, held = self._channel, bool(self._dealings.holders)
        if channel is None or held is not channel.wants_read:
            return
        self.apply(self.link.hold(held, self.now()))
        self._deal().watched = _UNKNOWN
        if held:
            channel.pause_reading()
        else:
            self._on_channel_events(channel.resume_reading())
        self._settle()

    def _speak(self, dialect: Dialect) -> None:
        """What the upgrade agreed on."""
        self.link.speak(dialect)
        if self._channel is not None:
            self._channel.join = dialect.join

    def _on_channel_closed(self, code: int, error: str) -> None:
        channel = self._channel
        if channel is not None:
            channel.abort()
            self._channel = None
        self.apply(self.link.on_closed(code, error, self.now()))
        self._tell_of_end()

    def _settle(self) -> None:
        """Send what is queued, watch what must be watched.

        A closed peer goes when the pool says so: until the pool knows, it may pass on what has to be answered.
        """
        if self._dealings.overflowed:
            self._dealings.overflowed = False
            self.apply(self.link.on_overflow(self.now()))
        if self._dealings.answers:
            self._hand_answers()
        channel = self._channel
        if channel is not None:
            # Not before TCP stands: a refused connection would tell its error to this call, and to no other.
            if channel.queued_bytes and self.link.stage is not _CONNECTING:
                channel.flush()
            if channel.queued_bytes or self._dealings.is_queueing:
                self._deal().is_queueing = channel.queued_bytes > 0
                self.link.note_outflow(channel.queued_bytes, channel.sent_bytes, self.now())
            # Whoever waits for Done sends no faster than the remote reads.
            if self._dealings.owed and not self.link.outflow.is_high:
                self._pay_owed()
            if channel.queued_bytes or self._dealings.watched != READING:
                self._watch_for(channel)
        else:
            if self._dealings.watched != _NOTHING:
                self._deal().watched = _NOTHING
                self.watch = watch_only(self, -1, 0)
            self._fail_owed("is not connected any more")

    def _watch_for(self, channel: Channel) -> None:
        """Watch for what the channel wants."""
        wanted = channel.interest
        if wanted != self._dealings.watched:
            dealings = self._deal()
            dealings.watched = wanted
            if dealings.is_none:
                self._dealings = NO_DEALINGS
            self.watch = watch_only(self, channel.fileno(), wanted & _ANY)

    def receiveMsg_SettleNow(self, message: SettleNow, sender: Any) -> None:
        """What had waited before is done."""
        self._dealings.settling = False
        self._settle()

    def release(self) -> None:
        """Destroy the connection, if it still stands."""
        if self._link is not None and self.link.stage is not Stage.CLOSED:
            self._tell_of_end()
        if self._channel is not None:
            self._channel.abort()
            self._channel = None

    # ---- effects ----

    def do_send_packet(self, effect: SendPacket) -> None:
        """Queue a packet. A remote that does not read fills its queue and is dropped, not buffered for ever."""
        channel = self._channel
        if channel is not None and not channel.send(effect.packet):
            self._on_full(channel)

    def do_send_packets(self, effect: SendPackets) -> None:
        """Queue several."""
        channel = self._channel
        if channel is None:
            return
        refused = channel.send_all(effect.packets)
        if refused:
            self._on_full(channel, refused)

    def _on_full(self, channel: Channel, refused: int = 1) -> None:
        if channel.is_open:
            self.link.traffic.messages_dropped += refused
            dealings = self._deal()
            dealings.overflowed = dealings.overflowed or channel.queued_bytes > 0

    def do_close_channel(self, effect: CloseChannel) -> None:
        """Begin the closing handshake."""
        if self._channel is not None:
            self._channel.close(effect.code)
            if self._channel.closed:
                self._on_channel_closed(CloseCode.ABNORMAL, "")

    def do_abort_channel(self, effect: AbortChannel) -> None:
        """Destroy the TCP connection; an inbound peer may still be waiting for its own."""
        self._on_channel_closed(CloseCode.ABNORMAL, "")

    # ---- the clock ----

    def deadline(self) -> float | None:
        """The link's; once that is closed, the peer's own."""
        link = self.link if self._before_init is None else self._link
        if link is None or link.stage is _CLOSED:
            return self._dealings.leaves_at
        return link.next_deadline()

    def _arm(self) -> None:
        """Only if there may be something earlier than what the timer is armed for: most messages change nothing."""
        if self._before_init is None:
            link = self.link
            if not link.sooner and link.stage is not _CLOSED:
                return
            link.sooner = False
        super()._arm()

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Any) -> None:
        """The timer is spent, whatever it was armed for. That the link does nothing if nothing is due is quicker than
        to ask it first."""
        if self._link is None:
            super().receiveMsg_WakeupMessage(message, sender)
            return
        self._timer_spent()
        self.link.sooner = True
        self.on_time(self.now())

    def on_time(self, now: float) -> None:
        """Something of the link is due, or nobody is waited for any longer."""
        leaves_at = self._dealings.leaves_at
        if leaves_at is not None and leaves_at <= now:
            self.leave()
            return
        self.apply(self.link.on_time(now))
        self._settle()

    # ---- what the node wants ----

    def receiveMsg_ApplyPenalty(self, message: ApplyPenalty, sender: Any) -> None:
        """A penalty by the application."""
        self.apply(self.link.apply_penalty(message.penalty, message.reason, self.now()))
        if message.request_id:
            self.send(sender, Done(message.request_id))
        self._settle()

    def receiveMsg_PeerSample(self, message: PeerSample, sender: Any) -> None:
        """The book's answer to a remote's getPeers."""
        self.apply(self.link.on_sample(message.request_id, message.endpoints))
        self._settle()

    def receiveMsg_NodeInfoChanged(self, message: NodeInfoChanged, sender: Any) -> None:
        """Tell the remote our new node info."""
        self.apply(self.link.push_node_info(message.node_info, self.now()))
        self._settle()

    def receiveMsg_AskForPeers(self, message: AskForPeers, sender: Any) -> None:
        """Ask the remote for peers again."""
        self.apply(self.link.ask_for_peers(self.now()))
        self._settle()

    def receiveMsg_ClosePeer(self, message: ClosePeer, sender: Any) -> None:
        """Close in order."""
        if message.when_answered:
            self.apply(self.link.retire(message.code, message.reason, self.now()))
            self._tell_of_end()  # whoever sends here directly is to ask the pool again, which knows another connection
        else:
            self.apply(self.link.close(message.code, message.reason, self.now()))
        self._settle()
