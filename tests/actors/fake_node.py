"""A Node without a network: a real Thespian actor that answers every message of the program's protocol.

Tests drive it through the public API. Requests named ``fake/...`` are for the fake itself (its ``fake_`` methods); all
other procedures are answered with what was sent. A peer it calls ``BAD_PEER`` is never connected.
"""

from __future__ import annotations

import json
import pickle
from typing import Any

from thespian.actors import ActorTypeDispatcher

from core import messages as m
from core.decisions import Decision, DecisionKind
from core.errors import (
    ConnectionLost,
    InvalidNodeInfo,
    PeerNotFound,
    RequestRefused,
    RequestTimedOut,
    StartFailed,
)
from core.events import Event, PeerInfo, RequestReceived
from core.ids import Direction, Endpoint, PeerId
from core.wire.payloads import NodeInfo

PEER = PeerId("10.0.0.1:5001")
BAD_PEER = PeerId("10.0.0.9:5009")
PORT_IF_ANY = 40001


def peer(number: int, direction: Direction | None = None) -> PeerInfo:
    """A made-up peer."""
    ip = f"10.0.0.{number}"
    return PeerInfo(peer_id=PeerId(f"{ip}:5001"), ip_address=ip, port=5001, direction=direction)


def banned(subject: str) -> Decision:
    """A made-up decision."""
    return Decision(subject, DecisionKind.BANNED, "by_hand", "the application", (("until", 99.0),), 13.0)


class FakeNode(ActorTypeDispatcher):
    """Root actor for tests."""

    def __init__(self) -> None:
        super().__init__()
        self.program: Any = None
        self.wanted: frozenset[str] = frozenset()
        self.log: list[str] = []
        self.replies: list[m.AnswerCall | m.RefuseCall] = []
        self.node_info = NodeInfo(b"\x01", "1.1", "nonce")
        self.bans: dict[str, m.Ban] = {}
        self.unanswered: list[m.Query] = []
        self.newcomers: tuple[PeerInfo, ...] = ()

    # -- life

    def receiveMsg_Subscribe(self, message: m.Subscribe, sender: Any) -> None:
        self.program = sender
        self.wanted = message.names if message.names is not None else frozenset()
        self.log.append(f"Subscribe {sorted(self.wanted)}")
        self.send(sender, m.Done(message.request_id))

    def receiveMsg_StartNode(self, message: m.StartNode, sender: Any) -> None:
        self.log.append("StartNode")
        if message.config.port == 1:
            self.send(sender, m.Failed(message.request_id, StartFailed("port 1 is taken")))
            return
        listens = message.config.max_inbound_connections > 0
        listening = Endpoint("127.0.0.1", message.config.port or PORT_IF_ANY) if listens else None
        self.send(sender, m.NodeStarted(message.request_id, self.node_info, listening))

    def receiveMsg_StopNode(self, message: m.StopNode, sender: Any) -> None:
        self.log.append("StopNode")
        self.send(sender, m.Done(message.request_id))

    # -- what the node knows

    def receiveMsg_GetNodeInfo(self, message: m.GetNodeInfo, sender: Any) -> None:
        self.send(sender, m.NodeInfoAnswer(message.request_id, self.node_info))

    def receiveMsg_ApplyNodeInfo(self, message: m.ApplyNodeInfo, sender: Any) -> None:
        if "bad" in message.options:
            self.send(sender, m.Failed(message.request_id, InvalidNodeInfo("bad is not in the schema")))
            return
        old = self.node_info
        self.node_info = NodeInfo(old.chain_id, old.network_version, old.nonce, True, dict(message.options))
        self.send(sender, m.NodeInfoAnswer(message.request_id, self.node_info))

    def receiveMsg_GetConnectedPeers(self, message: m.GetConnectedPeers, sender: Any) -> None:
        peers = (peer(1, Direction.OUTBOUND), peer(2, Direction.INBOUND))
        self.send(sender, m.PeerList(message.request_id, peers + self.newcomers))

    def receiveMsg_GetDisconnectedPeers(self, message: m.GetDisconnectedPeers, sender: Any) -> None:
        self.send(sender, m.PeerList(message.request_id, (peer(3),)))

    def receiveMsg_GetTriedPeers(self, message: m.GetTriedPeers, sender: Any) -> None:
        self.send(sender, m.PeerList(message.request_id, (peer(4),)))

    def receiveMsg_GetNetworkStats(self, message: m.GetNetworkStats, sender: Any) -> None:
        self.send(sender, m.NetworkStats(message.request_id, started_at=1.5, inbound_connected=2))

    def receiveMsg_FindPeer(self, message: m.FindPeer, sender: Any) -> None:
        self.send(sender, m.Failed(message.request_id, PeerNotFound("its peers have no actors")))

    # -- bans

    def receiveMsg_ApplyPenalty(self, message: m.ApplyPenalty, sender: Any) -> None:
        self.log.append(f"ApplyPenalty {message.peer_id} {message.penalty} {message.reason}")
        self._done_if_connected(message, message.peer_id, sender)

    def receiveMsg_BanAddress(self, message: m.BanAddress, sender: Any) -> None:
        self.log.append(f"BanAddress {message.ip} {message.peer_id} {message.duration_s}")
        self.bans[message.ip] = m.Ban(message.ip, 99.0, message.reason)
        self.send(sender, m.Done(message.request_id))

    def receiveMsg_UnbanAddress(self, message: m.UnbanAddress, sender: Any) -> None:
        if self.bans.pop(message.ip, None) is None:
            self.send(sender, m.Failed(message.request_id, PeerNotFound(f"{message.ip} is not banned")))
        else:
            self.send(sender, m.Done(message.request_id))

    def receiveMsg_GetBans(self, message: m.GetBans, sender: Any) -> None:
        self.send(sender, m.BanList(message.request_id, tuple(self.bans.values())))

    def receiveMsg_Explain(self, message: m.Explain, sender: Any) -> None:
        self.log.append(f"Explain {message.subject}")
        self.send(sender, m.Story(message.request_id, (banned(message.subject),)))

    # -- messages

    def receiveMsg_SendMessage(self, message: m.SendMessage, sender: Any) -> None:
        target = message.peer_id or "any"
        self.log.append(f"SendMessage {message.event} {target} {message.data!r}")
        if message.event == "poison":
            raise RuntimeError("a handler of the node fails")
        self._done_if_connected(message, message.peer_id, sender)

    def receiveMsg_BroadcastMessage(self, message: m.BroadcastMessage, sender: Any) -> None:
        self.log.append(f"BroadcastMessage {message.event} {message.data!r}")
        self._done_if_connected(message, None, sender)

    def receiveMsg_Broadcasts(self, message: m.Broadcasts, sender: Any) -> None:
        for one in message.messages:
            self.receiveMsg_BroadcastMessage(one, sender)

    def _done_if_connected(self, message: m.Query, peer_id: PeerId | None, sender: Any) -> None:
        if peer_id == BAD_PEER:
            self.send(sender, m.Failed(message.request_id, PeerNotFound(f"{peer_id} is not connected")))
        else:
            self.send(sender, m.Done(message.request_id))

    # -- requests

    def receiveMsg_SendRequest(self, message: m.SendRequest, sender: Any) -> None:
        special = getattr(self, f"fake_{message.procedure.removeprefix('fake/')}", None)
        if message.peer_id == BAD_PEER:
            self.send(sender, m.Failed(message.request_id, PeerNotFound(f"{BAD_PEER} is not connected")))
        elif message.procedure.startswith("fake/") and special is not None:
            special(message, sender)
        else:
            self._answer(message, sender, message.data)

    def _answer(self, message: m.SendRequest, sender: Any, data: bytes | None) -> None:
        self.send(sender, m.RequestAnswered(message.request_id, message.peer_id or PEER, data))

    def fake_emit(self, message: m.SendRequest, sender: Any) -> None:
        """Send the pickled events, those that are subscribed, then answer with how many these are."""
        assert message.data is not None
        events: list[Event] = pickle.loads(message.data)
        wanted = tuple(event for event in events if event.NAME in self.wanted)
        if wanted:
            self.send(self.program, m.EventBatch(wanted))
        self._answer(message, sender, b"%d" % len(wanted))

    def fake_emit_all(self, message: m.SendRequest, sender: Any) -> None:
        """The same without looking at the subscription."""
        assert message.data is not None
        self.send(self.program, m.EventBatch(tuple(pickle.loads(message.data))))
        self._answer(message, sender, None)

    def fake_connect(self, message: m.SendRequest, sender: Any) -> None:
        """A third peer is connected from now on."""
        self.newcomers = (peer(5, Direction.INBOUND),)
        self._answer(message, sender, None)

    def fake_log(self, message: m.SendRequest, sender: Any) -> None:
        """What was received so far."""
        self._answer(message, sender, json.dumps(self.log).encode())

    def fake_replies(self, message: m.SendRequest, sender: Any) -> None:
        """The answers to incoming requests so far: [call_id, "answer" or "refusal", text]."""
        replies = [
            [reply.call_id, "answer", None if reply.data is None else reply.data.decode("latin-1")]
            if isinstance(reply, m.AnswerCall)
            else [reply.call_id, "refusal", reply.message]
            for reply in self.replies
        ]
        self._answer(message, sender, json.dumps(replies).encode())

    def fake_timeout(self, message: m.SendRequest, sender: Any) -> None:
        text = f"no answer within {message.timeout_s} s"
        self.send(sender, m.Failed(message.request_id, RequestTimedOut(text, PEER)))

    def fake_refuse(self, message: m.SendRequest, sender: Any) -> None:
        self.send(sender, m.Failed(message.request_id, RequestRefused("no such block", PEER)))

    def fake_lose(self, message: m.SendRequest, sender: Any) -> None:
        self.send(sender, m.Failed(message.request_id, ConnectionLost("closed with 1006", PEER)))

    def fake_silence(self, message: m.SendRequest, sender: Any) -> None:
        """Answer nothing until fake/speak."""
        self.log.append("silence")
        self.unanswered.append(message)

    def fake_speak(self, message: m.SendRequest, sender: Any) -> None:
        """Answer this one, and then all that was kept back: too late for some."""
        self._answer(message, sender, None)
        for late in self.unanswered:
            self.send(sender, m.Done(late.request_id))
        self.unanswered.clear()

    def fake_wrong_type(self, message: m.SendRequest, sender: Any) -> None:
        self.send(sender, m.Done(message.request_id))

    def fake_strange(self, message: m.SendRequest, sender: Any) -> None:
        """Send something that is not in the protocol, then answer."""
        self.send(sender, {"not": "a message"})
        self._answer(message, sender, None)

    # -- the fake is the peer actor too

    def receiveMsg_PeerCommands(self, message: m.PeerCommands, sender: Any) -> None:
        for command in message.commands:
            self.receiveMessage(command, sender)

    def receiveMsg_AnswerCall(self, message: m.AnswerCall, sender: Any) -> None:
        self.replies.append(message)

    def receiveMsg_RefuseCall(self, message: m.RefuseCall, sender: Any) -> None:
        self.replies.append(message)


class SilentNode(FakeNode):
    """Never says that it has started."""

    def receiveMsg_StartNode(self, message: m.StartNode, sender: Any) -> None:
        self.log.append("StartNode")


class StubbornNode(FakeNode):
    """Never says that it has stopped."""

    def receiveMsg_StopNode(self, message: m.StopNode, sender: Any) -> None:
        self.log.append("StopNode")


class BusyNode(FakeNode):
    """Has events before its start is done, as a node with quick seeds has."""

    def receiveMsg_StartNode(self, message: m.StartNode, sender: Any) -> None:
        self.send(self.program, m.EventBatch((request_event("early", call_id=1),)))
        super().receiveMsg_StartNode(message, sender)


class DeafNode(FakeNode):
    """Takes messages in but never says so."""

    def receiveMsg_SendMessage(self, message: m.SendMessage, sender: Any) -> None:
        self.log.append("SendMessage")


def request_event(procedure: str, data: bytes | None = None, call_id: int | None = 1) -> RequestReceived:
    """An incoming request."""
    return RequestReceived(peer_id=PEER, procedure=procedure, data=data, call_id=call_id)
