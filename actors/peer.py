"""Peer: one connection as an actor. OutboundPeer dials, InboundPeer takes over what the server has checked.

Parent: PeerPool. Children: none. Owns: one channel (its socket). Mind: :class:`core.link.Link`.
Accepts: StartOutbound or PrepareInbound and TakeOver; SendMessage, SendRequest, FindPeer, ApplyPenalty (forwarded);
PeerCommands, AnswerCall, RefuseCall, PeerReleased, HoldReading, ResumeReading (from programs); ClosePeer, AskForPeers,
PeerDismissed, NodeInfoChanged, PeerSample. Tells the pool PeerConnected, PeerUpdated, PeerClosed; the book
PeersAdvertised, GetSample; the node PeerMisbehaved, PeerTraffic; the subscribers its events; who knows its address
PeerGone.
"""

from __future__ import annotations

import base64
from typing import Any

from actors.peer_actor import PeerActor
from actors.transport.channel import Channel
from actors.transport.port import network_of
from actors.transport.websocket import OpenerChannel
from actors.wiring import PrepareInbound, StartOutbound, TakenOver, TakeOver
from core.ids import CloseCode, Direction
from core.link_base import Stage

SESSION_ID_BYTES = 15
"""SocketCluster session ids are 15 random bytes in base64url."""

_OUTBOUND, _INBOUND = Direction.OUTBOUND, Direction.INBOUND  # a lookup in the enumeration takes five times as long
_CONNECTING = Stage.CONNECTING


class Opening(PeerActor):
    """A peer to be: as which class it is made does not rest on which side opens."""

    __slots__ = ()

    def __new__(cls) -> Opening:
        """Either direction's is made as the class for both: see :class:`Peer`."""
        made: Opening = super().__new__(Peer if cls is OutboundPeer or cls is InboundPeer else cls)
        return made


class OutboundPeer(Opening):
    """Dials one peer, introduces itself, asks for node info and peers, then carries messages."""

    __slots__ = ()

    def receiveMsg_StartOutbound(self, message: StartOutbound, sender: Any) -> None:
        """Dial."""
        if self._link is not None:
            return  # told twice
        charter = message.charter
        self.link = link = self._make_link(charter, _OUTBOUND, message.endpoint, message.kind)
        offer = self._languages().offer(charter.node_info, charter.listening_port)
        self.apply(link.start_outbound(self.now()))
        try:
            self._channel = OpenerChannel(
                network_of(self),
                message.endpoint,
                offer.target,
                extra_headers=offer.headers,
                masks=self.environment.masks(),
                max_message_bytes=charter.config.ws_max_payload_bytes,
                max_queued_bytes=charter.config.max_send_queue_bytes,
                traffic=link.traffic,
            )
        except OSError as error:
            self._on_channel_closed(CloseCode.ABNORMAL, str(error))
        self._settle()
        self.catch_up()

    def _after_writing(self, channel: Channel) -> None:
        if self.link.stage is _CONNECTING and isinstance(channel, OpenerChannel) and channel.is_connected:
            self.apply(self.link.on_connected(self.now()))


class InboundPeer(Opening):
    """Takes over a connection that the PeerServer accepted and checked."""

    __slots__ = ()

    def receiveMsg_PrepareInbound(self, message: PrepareInbound, sender: Any) -> None:
        """Who is about to come. Server and pool are different senders: the connection may have come first."""
        if self._link is not None:
            return  # told twice
        self.link = self._make_link(message.charter, _INBOUND, message.endpoint, message.kind)
        self.link.expect_hand_over(self.now())
        self.catch_up()

    def receiveMsg_TakeOver(self, message: TakeOver, sender: Any) -> None:
        """The connection."""
        if self.link.stage is not _CONNECTING:  # too late, or told to close meanwhile: nobody wants it any more
            self.send(sender, TakenOver(message.hand_over.token))
            return
        config = self.need_charter().config
        try:
            self._channel = channel = Channel.adopt(
                network_of(self),
                message.hand_over,
                max_message_bytes=config.ws_max_payload_bytes,
                max_queued_bytes=config.max_send_queue_bytes,
                traffic=self.link.traffic,
            )
        except OSError as error:
            self._on_channel_closed(CloseCode.ABNORMAL, f"lost in the hand-over: {error}")
            self._settle()
            return
        finally:
            self.send(sender, TakenOver(message.hand_over.token))
        session_id = base64.urlsafe_b64encode(self.environment.token_bytes(SESSION_ID_BYTES)).decode()
        self._speak(self._languages().named(message.dialect))
        self.apply(self.link.start_inbound(message.announced, message.cid, session_id, self.now()))
        self._on_channel_events(channel.on_readable())
        self._settle()


class Peer(OutboundPeer, InboundPeer):
    """What both are, once made: only the first message tells which.

    One class for both, because code that meets objects of two classes in turn cannot specialise its reading of
    attributes (PEP 659): 3 % of what a packet costs in a simulation. (To change the class of an object, when it is
    known, would cost it a dictionary of 90 bytes.)
    """

    __slots__ = ()

    @property
    def kind(self) -> str:
        link = self._link
        if link is None:
            return "Peer"
        return "OutboundPeer" if link.direction is _OUTBOUND else "InboundPeer"
