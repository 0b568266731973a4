"""The half of a program's connection to its node that threads and asyncio share: calls, events, back-pressure.

Nothing here blocks, waits or knows a clock. :mod:`actors.api` and :mod:`actors.aio` drive it.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from thespian.actors import ActorExitRequest, ChildActorExited, PoisonMessage

from actors.commands import Commands
from actors.event_queue import EventQueue, Item, is_from_peer, queue_bytes
from actors.incoming import IncomingRequest
from actors.listeners import Listeners
from actors.outbox import Outbox, Sender
from core import messages as m
from core.config import NodeConfig
from core.errors import EnsembleError, NotActive
from core.events import Event, NodeFailed, RequestReceived
from core.ids import PeerId

__all__ = ["Calls", "Client", "ClientCounters", "IncomingRequest", "PendingCall", "SendWindow"]

_log = logging.getLogger("ensemble")

FEW_CALLS = 4
"""With no more calls open than these each request leaves at once. With more, those of one turn leave together: a write
and a read for the first of them would cost 64 in flight a fifteenth of their speed."""

UNACKNOWLEDGED = 0
"""The number of a message for whose answer nobody waits."""


class PendingCall(Protocol):
    """What waits for an answer: a future of either kind."""

    def done(self) -> bool:
        """Whether it waits no more; an asyncio future can have been cancelled a moment ago."""

    def set_result(self, result: Any, /) -> None:
        """The call was answered."""

    def set_exception(self, exception: BaseException, /) -> None:
        """The call failed."""


class Calls:
    """Open calls by number. Each is ended by exactly one of :meth:`resolve`, :meth:`fail`, :meth:`forget`.

    Safe for several threads: who takes a call out of the table is the one who ends it.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(UNACKNOWLEDGED + 1)
        self._pending: dict[int, PendingCall] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, call: PendingCall) -> int:
        """Register a call; returns its number."""
        number = next(self._numbers)
        self._pending[number] = call
        return number

    def forget(self, number: int) -> bool:
        """Nobody waits any more. False if the call has been ended."""
        return self._pending.pop(number, None) is not None

    def resolve(self, answer: m.Query) -> bool:
        """End the call that ``answer`` belongs to. False if there is none: its caller gave up."""
        if type(answer) is m.Failed:
            return self.fail(answer.request_id, answer.error)
        call = self._pending.pop(answer.request_id, None)
        if call is None or call.done():
            return False
        call.set_result(answer)
        return True

    def resolve_all(self, answers: Iterable[m.Query]) -> int:
        """As :meth:`resolve` for each; how many belong to nobody."""
        late, take = 0, self._pending.pop
        for answer in answers:
            call = take(answer.request_id, None)
            if call is None or call.done():
                late += 1
            elif type(answer) is m.Failed:
                call.set_exception(answer.error)
            else:
                call.set_result(answer)
        return late

    def fail(self, number: int, error: BaseException) -> bool:
        """End a call with an error. False if there is none."""
        call = self._pending.pop(number, None)
        if call is None or call.done():
            return False
        call.set_exception(error)
        return True

    def fail_all(self, error: Callable[[], BaseException]) -> None:
        """End every open call, each with an error object of its own."""
        for number in list(self._pending):
            self.fail(number, error())


class SendWindow:
    """Back-pressure for messages that nobody waits for.

    After every 256 messages or 256 KiB one message is sent as an acknowledged call. While four of these are open, the
    sender has to wait for the oldest: a program that sends faster than its node can forward is slowed down to the
    node's speed, and what is under way stays below about 1,000 messages or 1 MiB and a message.
    """

    MARK_MESSAGES = 256
    MARK_BYTES = 256 * 1024
    OPEN_MARKS = 4

    def __init__(self) -> None:
        self._messages = 0
        self._bytes = 0

    def will_be_due(self, size: int) -> bool:
        """Whether a message of ``size`` bytes would have to be acknowledged; it is not counted."""
        return self._messages + 1 >= self.MARK_MESSAGES or self._bytes + size >= self.MARK_BYTES

    def is_due(self, size: int) -> bool:
        """Count a message of ``size`` bytes; True if it is to be acknowledged."""
        self._messages += 1
        self._bytes += size
        if self._messages < self.MARK_MESSAGES and self._bytes < self.MARK_BYTES:
            return False
        self._messages = self._bytes = 0
        return True


@dataclass(slots=True)
class ClientCounters:
    """What went unnoticed otherwise, since the object was made.

    ``events_dropped_total``: thrown away because handlers or streams were too slow. ``requests_unhandled_total``:
    refused because nothing handles their procedure, or dropped unanswered by the program.
    """

    events_dropped_total: int = 0
    requests_unhandled_total: int = 0
    handler_errors_total: int = 0
    late_answers_total: int = 0
    unknown_messages_total: int = 0


class Search:
    """The question after a peer's actor, among the open calls; :class:`core.messages.PeerFound` is the good answer."""

    def __init__(self, outbox: Outbox, peer_id: PeerId) -> None:
        self._outbox = outbox
        self._peer_id = peer_id
        self.number = UNACKNOWLEDGED

    def done(self) -> bool:
        """Nobody cancels it."""
        return False

    def set_result(self, result: Any, /) -> None:
        """Something other than the peer's actor has answered."""
        self._outbox.on_not_found(self.number, self._peer_id)

    def set_exception(self, exception: BaseException, /) -> None:
        """There is no such peer, or no node."""
        self._outbox.on_not_found(self.number, self._peer_id)


class Client:
    """One run of a node as its program sees it. ``wake`` is called when the event queue stops being empty."""

    def __init__(
        self, config: NodeConfig, listeners: Listeners, counters: ClientCounters, wake: Callable[[], None]
    ) -> None:
        self._counters = counters
        self.calls = Calls()
        self.commands = Commands(config)
        self.encode = self.commands.encode
        """The bytes of an answer; see :class:`actors.incoming.CallPort`."""
        self.queue = new_queue(config, self._on_drop, self._on_room)
        self._held: list[Any] = []  # peers' actors that do not read at the moment, because the queue is high
        self.is_open = True
        self.failure = ""
        """Why the node has ended by itself; empty while it runs."""
        self._listeners = listeners
        self._wake = wake
        self._session: Sender | None = None
        self._outbox: Outbox | None = None
        self._subscribed: frozenset[str] = frozenset()
        self._subscribing = threading.Lock()

    # -- to the node

    def attach(self, session: Sender) -> None:
        """The session exists; messages can be sent."""
        self._session = session
        self._outbox = Outbox(session, self._find)

    def send(self, message: m.Query, peer_id: PeerId | None = None) -> None:
        """Send to a peer, or to the node. Any thread. Raises NotActive before :meth:`attach`, after :meth:`close`."""
        outbox = self._outbox
        if outbox is None:
            raise NotActive("the node is not running")
        outbox.add(message, peer_id)

    def call(self, message: m.Query, pending: PendingCall, *, hurry: bool = False) -> int:
        """Number a message, send it, and let ``pending`` wait for the answer. Raises NotActive.

        ``hurry``: the caller is about to wait for the answer, and is in the thread that drives the actors.
        """
        number = self.calls.open(pending)
        try:
            if type(message) is m.SendRequest:  # a third of the time that replace() takes
                peer_id = message.peer_id
                numbered: m.Query = m.SendRequest(number, message.procedure, message.data, message.timeout_s, peer_id)
            else:
                peer_id = message.peer_id if type(message) is m.SendMessage else None
                numbered = msgspec.structs.replace(message, request_id=number)
            outbox = self._outbox
            if outbox is None:
                raise NotActive("the node is not running")
            outbox.add(numbered, peer_id, hurry=hurry, alone=len(self.calls) <= FEW_CALLS)
        except BaseException:
            self.calls.forget(number)
            raise
        if not self.is_open and self.calls.forget(number):  # closed since: nobody would ever end this call
            raise NotActive("the node has been stopped")
        return number

    def _find(self, peer_id: PeerId) -> int:
        session, outbox = self._session, self._outbox
        if session is None or outbox is None:
            return UNACKNOWLEDGED  # closed: nothing that waits will be sent
        search = Search(outbox, peer_id)
        search.number = self.calls.open(search)
        session.tell_node(m.FindPeer(search.number, peer_id))
        return search.number

    def subscribe(self) -> None:
        """Tell the node which events are wanted, if they have become more. Less is not worth a message to all peers."""
        with self._subscribing:  # so that of two threads the later set is also sent later
            wanted = self._subscribed | self._listeners.wanted()
            if wanted != self._subscribed and self.is_open and self._session is not None:
                self._subscribed = wanted
                self.send(m.Subscribe(UNACKNOWLEDGED, wanted))

    def close(self) -> None:
        """The node has stopped: end all calls and refuse new ones."""
        self.is_open = False
        self._outbox = None
        self.calls.fail_all(lambda: NotActive("the node has been stopped"))

    # -- from the node: the callback of the endpoint, in the thread that drives the actors

    def on_message(self, message: Any, sender: Any) -> None:
        """Take in whatever the node sends. Never raises."""
        if type(message) is m.EventBatch:
            self._on_events(message.events, sender)
        elif type(message) is m.Answers:
            self._counters.late_answers_total += self.calls.resolve_all(message.answers)
        elif type(message) is m.PeerFound:
            self._on_found(message, sender)
        elif isinstance(message, m.Query):
            if not self.calls.resolve(message) and message.request_id != UNACKNOWLEDGED:
                self._counters.late_answers_total += 1
        elif type(message) is m.PeerGone:
            if self._outbox is not None:
                self._outbox.on_gone(message, sender)
        elif isinstance(message, PoisonMessage):
            self._on_poison(message)
        elif isinstance(message, ChildActorExited):
            self.calls.fail_all(lambda: EnsembleError("the node has crashed; the log says why"))
        elif not isinstance(message, ActorExitRequest):
            self._counters.unknown_messages_total += 1
            _log.warning("unknown message %s from %s", type(message).__name__, sender)

    def _on_found(self, message: m.PeerFound, sender: Any) -> None:
        if self.calls.forget(message.request_id) and self._outbox is not None:
            self._outbox.on_found(message.request_id, message.peer_id, sender)

    def _on_poison(self, poison: Any) -> None:
        message = poison.poisonMessage
        _log.error("the node failed on %s: %s", type(message).__name__, poison.details)
        if isinstance(message, m.Query):
            self.calls.fail(
                message.request_id, EnsembleError(f"the node failed on {type(message).__name__}; the log says why")
            )

    def _on_events(self, events: tuple[Event, ...], sender: Any) -> None:
        listeners = self._listeners
        handled: list[Item] = []
        for event in events:
            if type(event) is NodeFailed:
                self._on_node_failed(event.reason)
            item = IncomingRequest(event, sender, self) if type(event) is RequestReceived else event
            sinks = listeners.sinks(item.NAME)
            for sink in sinks:
                sink.push([item])
            if listeners.has_handler(item):
                handled.append(item)
            elif not sinks and isinstance(item, IncomingRequest):
                self._counters.requests_unhandled_total += 1
                item.refuse_if_open(f"nothing handles the procedure {item.procedure!r}")
        if handled and self.queue.put(handled):
            self._wake()
        if self.queue.is_high:
            self._hold(events, sender)

    def _hold(self, events: tuple[Event, ...], sender: Any) -> None:
        """Have a peer's actor read no more until there is room again."""
        session = self._session
        if session is None or sender in self._held or not any(map(is_from_peer, events)):
            return
        self._held.append(sender)
        session.tell(sender, m.HoldReading())

    def _on_room(self) -> None:
        """The queue has room again. Any thread."""
        session = self._session
        if session is not None and self.is_open:
            session.soon(self._let_go)

    def _let_go(self) -> None:
        session = self._session
        if session is not None and not self.queue.is_high:
            held, self._held = self._held, []
            for address in held:
                session.tell(address, m.ResumeReading())

    def _on_node_failed(self, reason: str) -> None:
        self.failure = reason
        self.calls.fail_all(lambda: NotActive(f"the node has failed: {reason}"))

    def _on_drop(self, item: Item) -> None:
        count_drop(self._counters, item)
        if isinstance(item, IncomingRequest):
            item.refuse_if_open("the node is overloaded")

    # -- for IncomingRequest

    def hold_back(self) -> bool:
        """Handlers are about to run in the thread that drives the actors: what they send waits for :meth:`let_go`."""
        return self._outbox is not None and self._outbox.hold_back()

    def let_go(self, was_pending: bool, again: bool) -> None:
        """They have run; see :meth:`actors.outbox.Outbox.let_go`."""
        if self._outbox is not None:
            self._outbox.let_go(was_pending, again)

    def reply(self, address: Any, message: m.ActorMessage) -> None:
        """Answer the peer actor at ``address``. Raises NotActive."""
        outbox = self._outbox
        if outbox is None:
            raise NotActive("the node has been stopped; there is no connection to answer on")
        outbox.add(message, None, address)

    def abandon(self, address: Any, message: m.ActorMessage) -> None:
        """The same from a finalizer: posting takes no lock and a stopped node is nobody's concern."""
        self._counters.requests_unhandled_total += 1
        outbox = self._outbox
        if outbox is not None:
            outbox.add(message, None, address)


def new_queue(
    config: NodeConfig, on_drop: Callable[[Item], None], on_room: Callable[[], None] | None = None
) -> EventQueue:
    """A queue with a node's bounds."""
    return EventQueue(config.max_subscriber_queue_events, queue_bytes(config.ws_max_payload_bytes), on_drop, on_room)


def count_drop(counters: ClientCounters, item: Item) -> None:
    """An item was thrown away because the program is too slow. Logs the 1st, 2nd, 4th, 8th ... of them."""
    counters.events_dropped_total += 1
    total = counters.events_dropped_total
    if total & (total - 1) == 0:
        _log.warning("the program handles events too slowly: %d dropped so far, the last one %s", total, item.NAME)


def copied(counters: ClientCounters, listeners: Listeners) -> ClientCounters:
    """The counters as they are now."""
    return dataclasses.replace(counters, handler_errors_total=listeners.handler_errors_total)
