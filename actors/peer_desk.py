"""PeerDesk: what programs want of a peer, and how they are answered.

:class:`actors.peer_actor.PeerActor` builds on it with the connection itself. Commands come one by one through Node and
PeerPool, or several at once straight from a program that knows the actor's address (:mod:`actors.outbox`). Accepts:
SendMessage, SendRequest, FindPeer (forwarded), PeerCommands, AnswerCall, RefuseCall, PeerReleased; PeerDismissed from
the pool.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.base import HouseActor
from actors.dealings import NO_DEALINGS, Dealings
from actors.transport.channel import Channel
from actors.wiring import SettleNow
from core.effects import AskId, Reply
from core.empty import NO_ITEMS
from core.errors import PeerNotFound, RequestFailed, SendFailed
from core.events import FailedToSendMessage
from core.house_messages import PeerDismissed
from core.link import Link
from core.messages import (
    ActorMessage,
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
    RequestAnswered,
    SendMessage,
    SendRequest,
)

BATCH_BYTES = 64 * 1024
"""With this much queued the socket gets it at once: larger writes are no cheaper."""

LINGER_S = 5.0
"""How long a closed peer waits for programs to let go of its address. One that has stopped answers nothing."""


Call = SendRequest | AnswerCall | RefuseCall


class PeerDesk(HouseActor):
    """See the module."""

    # No dictionary: what is set only once a message has come would not find its place in the one that the instances of
    # a class share, and each would get one of its own (830 bytes, CPython 3.11).
    __slots__ = ("_channel", "_dealings", "link")

    link: Link
    """The mind; there is one from the first message on. (A plain attribute: it is asked for seven times a message.)"""

    def __init__(self) -> None:
        super().__init__()
        self._channel: Channel | None = None
        self._dealings = NO_DEALINGS

    def _deal(self) -> Dealings:
        """Its dealings, to be changed."""
        if self._dealings is NO_DEALINGS:
            self._dealings = Dealings()
        return self._dealings

    @property
    def _link(self) -> Link | None:
        """:attr:`link`, or None."""
        return getattr(self, "link", None)

    @abc.abstractmethod
    def _settle(self) -> None:
        """Send what is queued, answer what can be answered, watch what must be watched."""

    def _settle_soon(self) -> None:
        """Settle once for all that waits in the mailbox already: one system call for many messages."""
        if self._dealings.answers:
            self._hand_answers()
        channel = self._channel
        if channel is None or channel.queued_bytes >= BATCH_BYTES or not getattr(self._myRef, "has_mail", False):
            self._settle()
        elif not self._dealings.settling:
            self._deal().settling = True
            self.send(self.myAddress, SettleNow())

    # ---- messages and requests ----

    def receiveMsg_SendMessage(self, message: SendMessage, sender: Any) -> None:
        """Send a one-way message; answer if somebody waits."""
        self._send_message(message, sender)
        self._settle_soon()
        if self._dealings.owed and not self.link.is_connected:
            self._fail_owed("is not connected any more")

    def receiveMsg_PeerCommands(self, message: PeerCommands, sender: Any) -> None:
        """Several at once, and few system calls for all."""
        commands: Any = message.commands
        if SendMessage not in {type(command) for command in commands}:
            payloads = sum([len(command.data) for command in commands if command.data])
            size = payloads * 4 // 3 + 256 * len(commands)  # about what room_bytes() says of each
            if size < BATCH_BYTES:
                self._call_together(commands, size, sender)
                self._settle()
                return
        self._carry_out_runs(commands, sender)
        self._settle()
        if not self.link.is_connected:
            self._fail_owed("is not connected any more")

    def _carry_out_runs(self, commands: Sequence[ActorMessage], sender: Any) -> None:
        run: list[ActorMessage] = []  # messages, or what is none, in a row
        size = 0
        for command in commands:
            if run and (size >= BATCH_BYTES or (type(command) is SendMessage) is not (type(run[0]) is SendMessage)):
                self._carry_out(run, size, sender)
                run, size = [], 0
            run.append(command)
            size += room_bytes(command)
        if run:
            self._carry_out(run, size, sender)

    def _carry_out(self, run: list[Any], size: int, sender: Any) -> None:
        if type(run[0]) is SendMessage:
            self._send_together(run, size, sender)
        else:
            self._call_together(run, size, sender)
        if size >= BATCH_BYTES and self._channel is not None:
            self._channel.flush()

    def _call_together(self, commands: Sequence[Call], size: int, sender: Any) -> None:
        """Requests and answers: one look at the clock and one list of effects for all (2 us less of 14 for each)."""
        link, channel, now = self.link, self._channel, self.now()
        is_full = channel is not None and channel.queued_bytes and size > channel.room_bytes
        link.cork()
        for command in commands:
            if type(command) is AnswerCall:
                link.answer(command.call_id, command.data)
            elif type(command) is RefuseCall:
                link.refuse(command.call_id, command.message)
            elif type(command) is SendRequest and is_full and link.is_connected:
                self._drop_request(command, sender)
            elif type(command) is SendRequest:
                asked: AskId = (sender, command.request_id) if command.request_id else 0
                link.request(asked, command.procedure, command.data, command.timeout_s, now)
        self.apply(link.uncork())

    def _drop_request(self, message: SendRequest, sender: Any) -> None:
        """Like a message: it is lost, the connection is not."""
        self.link.traffic.messages_dropped += 1
        if message.request_id:
            error = RequestFailed(f"{self.link.peer_id}: the send queue is full", self.link.peer_id)
            self.send(sender, Failed(message.request_id, error))

    def _send_together(self, messages: list[SendMessage], size: int, sender: Any) -> None:
        link, channel = self.link, self._channel
        if channel is None or not link.is_connected or size > channel.room_bytes:
            for message in messages:
                self._send_message(message, sender)
            return
        self.apply(link.send_all(messages, self.now()))
        owed = [(sender, message.request_id) for message in messages if message.request_id]
        if owed:
            dealings = self._deal()
            dealings.owed = [*dealings.owed, *owed]

    def _send_message(self, message: SendMessage, sender: Any) -> None:
        link, channel = self.link, self._channel
        if (
            channel is not None
            and channel.queued_bytes
            and link.is_connected
            and room_bytes(message) > channel.room_bytes
        ):
            self._drop(message, sender)
            return
        self.apply(link.send(message.event, message.data, self.now()))
        if message.request_id:
            dealings = self._deal()
            if dealings.owed is NO_ITEMS:
                dealings.owed = []
            dealings.owed.append((sender, message.request_id))

    def _drop(self, message: SendMessage, sender: Any) -> None:
        """The send queue is full: this message is lost, the connection is not."""
        reason = "the send queue is full"
        self.link.traffic.messages_dropped += 1
        self.emit((FailedToSendMessage(peer_id=self.link.peer_id, event=message.event, reason=reason),))
        if message.request_id:
            self.send(sender, Failed(message.request_id, SendFailed(f"{self.link.peer_id}: {reason}")))

    def receiveMsg_SendRequest(self, message: SendRequest, sender: Any) -> None:
        """Ask the remote; its answer goes to who asked."""
        self._call_together([message], room_bytes(message), sender)
        self._settle_soon()

    def receiveMsg_AnswerCall(self, message: AnswerCall, sender: Any) -> None:
        """The application's answer to a remote's request."""
        self._call_together([message], room_bytes(message), sender)
        self._settle_soon()

    def receiveMsg_RefuseCall(self, message: RefuseCall, sender: Any) -> None:
        """The application's refusal of a remote's request."""
        self._call_together([message], room_bytes(message), sender)
        self._settle_soon()

    # ---- answers ----

    def do_reply(self, effect: Reply) -> None:
        """Keep an answer for a moment: what one read from the socket brought goes to the program as one message."""
        asked = effect.ask_id
        if not isinstance(asked, tuple):
            return  # nobody waits
        asker, request_id = asked
        answer = effect.message
        if type(answer) is RequestAnswered:
            kept: Query = answer  # the link has numbered it
        elif isinstance(answer, Query):
            kept = msgspec.structs.replace(answer, request_id=request_id)
        else:
            return
        dealings = self._dealings
        if dealings.answers is NO_ITEMS:
            dealings = self._deal()
            dealings.answers = []
        dealings.answers.append((asker, kept))

    def _hand_answers(self) -> None:
        dealings = self._dealings
        answers, dealings.answers = dealings.answers, NO_ITEMS
        for address in dealings.known_by if len(answers) > 1 else ():
            theirs = tuple(answer for asker, answer in answers if asker is address or asker == address)
            if theirs:
                self.send(address, Answers(theirs))
                answers = [one for one in answers if one[0] is not address and one[0] != address]
        for asker, answer in answers:
            self.send(asker, answer)

    def _pay_owed(self) -> None:
        dealings = self._dealings
        for sender, request_id in dealings.owed:
            self.send(sender, Done(request_id))
        dealings.owed = NO_ITEMS

    def _fail_owed(self, why: str) -> None:
        dealings = self._dealings
        if dealings.owed:
            for sender, request_id in dealings.owed:
                self.send(sender, Failed(request_id, SendFailed(f"{self.link.peer_id} {why}")))
            dealings.owed = NO_ITEMS

    # ---- who knows this actor ----

    def receiveMsg_FindPeer(self, message: FindPeer, sender: Any) -> None:
        """Somebody wants to send here without asking the pool."""
        link = self.link
        if not link.is_connected:
            self.send(sender, Failed(message.request_id, PeerNotFound(f"{link.peer_id} is not connected any more")))
            return
        dealings = self._deal()
        if sender not in dealings.known_by:
            dealings.known_by = [*dealings.known_by, sender]
        self.send(sender, PeerFound(message.request_id, link.peer_id))

    def receiveMsg_PeerReleased(self, message: PeerReleased, sender: Any) -> None:
        """One of them has heard of the end, and sends no more."""
        dealings = self._deal()
        dealings.known_by = [address for address in dealings.known_by if address != sender] or NO_ITEMS
        self._leave_if_free()

    def receiveMsg_PeerDismissed(self, message: PeerDismissed, sender: Any) -> None:
        """The pool sends no more."""
        self._deal().leaves_at = self.now() + LINGER_S
        self._leave_if_free()

    def _leave_if_free(self) -> None:
        if self._dealings.leaves_at is not None and not self._dealings.known_by:
            self.leave()

    def _tell_of_end(self) -> None:
        for address in self._dealings.known_by:
            self.send(address, PeerGone(self.link.peer_id))


def room_bytes(command: Any) -> int:
    """About how much room a command takes in the send queue: its payload in base64, its name, what is around them."""
    kind = type(command)
    if kind is SendMessage:
        return len(command.data or b"") * 4 // 3 + len(command.event) + 128
    return 128 if kind is RefuseCall else len(command.data or b"") * 4 // 3 + 256
