"""PeerDesk: what programs want of a peer, and how they are answered.

:class:`actors.peer.PeerActor` builds on it with the connection itself. Commands come one by one through Node and
PeerPool, or several at once straight from a program that knows the actor's address (:mod:`actors.outbox`). Accepts:
SendMessage, SendRequest, FindPeer (forwarded), PeerCommands, AnswerCall, RefuseCall, PeerReleased; PeerDismissed from
the pool.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import msgspec

from actors.base import HouseActor
from actors.transport.channel import Channel
from actors.wiring import SettleNow
from core.effects import Reply
from core.errors import PeerNotFound, RequestFailed, SendFailed
from core.events import FailedToSendMessage
from core.house_messages import PeerDismissed
from core.link import Link
from core.messages import (
    AnswerCall,
    Answers,
    Done,
    Failed,
    FindPeer,
    PeerCommands,
    PeerFound,
    PeerGone,
    PeerReleased,
    Query,
    RefuseCall,
    SendMessage,
    SendRequest,
)

BATCH_BYTES = 64 * 1024
"""With this much queued the socket gets it at once: larger writes are no cheaper."""

LINGER_S = 5.0
"""How long a closed peer waits for programs to let go of its address. One that has stopped answers nothing."""


class PeerDesk(HouseActor):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._link: Link | None = None
        self._channel: Channel | None = None
        self._settling = False  # a SettleNow is under way
        self._owed: list[tuple[Any, int]] = []  # who waits until what it sent has gone, and its request ids
        self._answers: list[tuple[Any, Query]] = []  # to hand over when this message has been dealt with
        self._known_by: list[Any] = []  # who sends here without asking the pool: they are told of the end
        self._leaves_at: float | None = None  # at the latest; set when the pool has let go

    @property
    def link(self) -> Link:
        """The mind; there is one from the first message on."""
        if self._link is None:
            raise RuntimeError(f"{type(self).__name__} got work before its connection")
        return self._link

    @abc.abstractmethod
    def _settle(self) -> None:
        """Send what is queued, answer what can be answered, watch what must be watched."""

    def _settle_soon(self) -> None:
        """Settle once for all that waits in the mailbox already: one system call for many messages."""
        if self._answers:
            self._hand_answers()
        channel = self._channel
        if channel is None or channel.queued_bytes >= BATCH_BYTES or not getattr(self._myRef, "cheap_self_send", False):
            self._settle()
        elif not self._settling:
            self._settling = True
            self.send(self.myAddress, SettleNow())

    # ---- messages and requests ----

    def receiveMsg_SendMessage(self, message: SendMessage, sender: Any) -> None:
        """Send a one-way message; answer if somebody waits."""
        self._send_message(message, sender)
        self._settle_soon()
        if not self.link.is_connected:
            self._fail_owed("is not connected any more")

    def receiveMsg_PeerCommands(self, message: PeerCommands, sender: Any) -> None:
        """Several at once, and few system calls for all."""
        together: list[SendMessage] = []
        size = 0
        for command in message.commands:
            if type(command) is SendMessage:
                together.append(command)
                size += text_bytes(command)
                if size < BATCH_BYTES:
                    continue
            if together:
                self._send_together(together, size, sender)
                together, size = [], 0
            if type(command) is not SendMessage:
                _COMMANDS[type(command)](self, command, sender)
        if together:
            self._send_together(together, size, sender)
        self._settle()
        if not self.link.is_connected:
            self._fail_owed("is not connected any more")

    def _send_together(self, messages: list[SendMessage], size: int, sender: Any) -> None:
        link, channel = self.link, self._channel
        if channel is None or not link.is_connected or size > channel.room_bytes:
            for message in messages:
                self._send_message(message, sender)
            return
        self.apply(link.send_all(messages, self.now()))
        self._owed += [(sender, message.request_id) for message in messages if message.request_id]
        if size >= BATCH_BYTES:
            channel.flush()

    def _send_message(self, message: SendMessage, sender: Any) -> None:
        link, channel = self.link, self._channel
        if (
            channel is not None
            and channel.queued_bytes
            and link.is_connected
            and text_bytes(message) > channel.room_bytes
        ):
            self._drop(message, sender)
            return
        self.apply(link.send(message.event, message.data, self.now()))
        if message.request_id:
            self._owed.append((sender, message.request_id))

    def _drop(self, message: SendMessage, sender: Any) -> None:
        """The send queue is full: this message is lost, the connection is not."""
        reason = "the send queue is full"
        self.link.traffic.messages_dropped += 1
        self.emit((FailedToSendMessage(peer_id=self.link.peer_id, event=message.event, reason=reason),))
        if message.request_id:
            self.send(sender, Failed(message.request_id, SendFailed(f"{self.link.peer_id}: {reason}")))

    def receiveMsg_SendRequest(self, message: SendRequest, sender: Any) -> None:
        """Ask the remote; its answer goes to who asked."""
        self._send_request(message, sender)
        self._settle_soon()

    def _send_request(self, message: SendRequest, sender: Any) -> None:
        channel = self._channel
        if (
            channel is not None
            and channel.queued_bytes
            and self.link.is_connected
            and request_bytes(message) > channel.room_bytes
        ):
            # Like a message: it is lost, the connection is not.
            self.link.traffic.messages_dropped += 1
            if message.request_id:
                error = RequestFailed(f"{self.link.peer_id}: the send queue is full", self.link.peer_id)
                self.send(sender, Failed(message.request_id, error))
            return
        ask_id = self.remember_asker(sender, message.request_id)
        self.apply(self.link.request(ask_id, message.procedure, message.data, message.timeout_s, self.now()))

    def receiveMsg_AnswerCall(self, message: AnswerCall, sender: Any) -> None:
        """The application's answer to a remote's request."""
        self._answer_call(message, sender)
        self._settle_soon()

    def _answer_call(self, message: AnswerCall, sender: Any) -> None:
        self.apply(self.link.answer(message.call_id, message.data))

    def receiveMsg_RefuseCall(self, message: RefuseCall, sender: Any) -> None:
        """The application's refusal of a remote's request."""
        self._refuse_call(message, sender)
        self._settle_soon()

    def _refuse_call(self, message: RefuseCall, sender: Any) -> None:
        self.apply(self.link.refuse(message.call_id, message.message))

    # ---- answers ----

    def do_reply(self, effect: Reply) -> None:
        """Keep an answer for a moment: what one read from the socket brought goes to the program as one message."""
        asked = self.asker(effect.ask_id)
        if asked is not None and isinstance(effect.message, Query):
            asker, request_id = asked
            self._answers.append((asker, msgspec.structs.replace(effect.message, request_id=request_id)))

    def _hand_answers(self) -> None:
        answers, self._answers = self._answers, []
        for address in self._known_by if len(answers) > 1 else ():
            theirs = tuple(answer for asker, answer in answers if asker is address or asker == address)
            if theirs:
                self.send(address, Answers(theirs))
                answers = [one for one in answers if one[0] is not address and one[0] != address]
        for asker, answer in answers:
            self.send(asker, answer)

    def _pay_owed(self) -> None:
        for sender, request_id in self._owed:
            self.send(sender, Done(request_id))
        self._owed.clear()

    def _fail_owed(self, why: str) -> None:
        for sender, request_id in self._owed:
            self.send(sender, Failed(request_id, SendFailed(f"{self.link.peer_id} {why}")))
        self._owed.clear()

    # ---- who knows this actor ----

    def receiveMsg_FindPeer(self, message: FindPeer, sender: Any) -> None:
        """Somebody wants to send here without asking the pool."""
        link = self.link
        if not link.is_connected:
            self.send(sender, Failed(message.request_id, PeerNotFound(f"{link.peer_id} is not connected any more")))
            return
        if sender not in self._known_by:
            self._known_by.append(sender)
        self.send(sender, PeerFound(message.request_id, link.peer_id))

    def receiveMsg_PeerReleased(self, message: PeerReleased, sender: Any) -> None:
        """One of them has heard of the end, and sends no more."""
        self._known_by = [address for address in self._known_by if address != sender]
        self._leave_if_free()

    def receiveMsg_PeerDismissed(self, message: PeerDismissed, sender: Any) -> None:
        """The pool sends no more."""
        self._leaves_at = self.now() + LINGER_S
        self._leave_if_free()

    def _leave_if_free(self) -> None:
        if self._leaves_at is not None and not self._known_by:
            self.leave()

    def _tell_of_end(self) -> None:
        for address in self._known_by:
            self.send(address, PeerGone(self.link.peer_id))


_COMMANDS: dict[type, Callable[[PeerDesk, Any, Any], None]] = {
    SendRequest: PeerDesk._send_request,
    AnswerCall: PeerDesk._answer_call,
    RefuseCall: PeerDesk._refuse_call,
}
"""What may be in PeerCommands besides messages."""


def text_bytes(message: SendMessage) -> int:
    """About how much room a message takes in the send queue: its payload in base64, its name, what is around them."""
    return len(message.data or b"") * 4 // 3 + len(message.event) + 128


def request_bytes(message: SendRequest) -> int:
    """The same for a request."""
    return len(message.data or b"") * 4 // 3 + len(message.procedure) + 128
