"""What a program says to its node, in order; and the short way to peers that it speaks to again and again.

Messages wait here until the actors' loop has its next turn. Then those for one peer leave as one message
(:class:`core.messages.PeerCommands`), and they go straight to that peer's actor once its address is known, not through
Node and PeerPool. Nothing waits for a timer, and nothing waits while the loop is idle.

**Order.** Messages to one peer arrive in the order in which they were given in, whichever way they go. The address is
asked for *behind* what took the long way (``FindPeer``), and the peer's own actor answers: by then everything before
has arrived. Until then later messages for that peer wait. A message to many peers takes the long way, so every peer is
asked for once more before something follows it there. (Between processes, what went straight to a peer just before a
message to many may arrive after it: two ways, two sockets.)

**A peer that goes.** Its actor tells everybody who knows its address (``PeerGone``) and stays until each has said that
nothing more will come (``PeerReleased``), so a message on its way to it is refused as on a closed connection, never
lost. What is not on its way yet takes the long way again, where errors are as they always were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from core.ids import PeerId
from core.messages import (
    ActorMessage,
    AnswerCall,
    ApplyPenalty,
    BroadcastMessage,
    Broadcasts,
    PeerCommands,
    PeerGone,
    PeerReleased,
    SendMessage,
    SendRequest,
)

MAX_COMMANDS = 256
"""In one message to a peer's actor: while it works, nobody else's turn comes."""

TOGETHER = 32
"""Requests of one turn that leave before its end: the other side works on these while the program makes the next."""

TO_PEERS = (SendMessage, SendRequest, ApplyPenalty)
"""What reaches peers by the long way when it is given in for the node; and broadcasts do."""


UNASKED = -1


class Route:
    """What is known about the way to one peer.

    ``search``: the number of a question that is open, :data:`UNASKED` if it is about to be asked, 0 if there is none.
    ``waiting``: what is to follow when it is answered. ``is_behind``: a message to many is under way to the peer.
    """

    __slots__ = ("address", "is_behind", "search", "waiting")

    def __init__(self) -> None:
        self.address: Any = None
        self.is_behind = False
        self.search = 0
        self.waiting: list[ActorMessage] = []


class Sender(Protocol):
    """A session, as the outbox needs it."""

    @property
    def tell_node(self) -> Callable[[ActorMessage], None]:
        """Send to the Node. In the thread that drives the actors."""

    @property
    def tell(self) -> Callable[[Any, ActorMessage], None]:
        """Send to any actor. In the thread that drives the actors."""

    @property
    def soon(self) -> Callable[[Callable[[], None]], None]:
        """Call a function in that thread. Any thread."""

    @property
    def hurry(self) -> Callable[[Callable[[], None], bool], bool]:
        """Call it now, if need be ``again``. In that thread. False if that cannot be."""

    @property
    def hand(self) -> Callable[[Any, ActorMessage, bool], bool]:
        """Send to an actor that handles it now, if need be ``again``. In that thread. False if that cannot be."""

    @property
    def expect(self) -> Callable[[Hashable], None]:
        """Something may soon come of whom this names (:meth:`core.lookout.Lookout.expect`). In that thread."""


class Outbox:
    """See the module. :meth:`add` may be called from any thread; everything else happens in the actors' loop.

    ``session`` sends. ``find`` sends :class:`FindPeer` and returns its number; :meth:`on_found` or :meth:`on_not_found`
    get the outcome.
    """

    def __init__(self, session: Sender, find: Callable[[PeerId], int]) -> None:
        self._tell_node = session.tell_node
        self._tell = session.tell
        self._soon = session.soon
        self._hurry = session.hurry
        self._hand = session.hand
        self._expect = session.expect
        self._find = find
        self._entries: deque[tuple[PeerId | None, Any, ActorMessage]] = deque()
        self._is_pending = False
        self._routes: dict[PeerId, Route] = {}
        self._broadcasts: list[BroadcastMessage] = []
        self._new: list[PeerId] = []  # peers whose address is to be asked for when the batch is out
        self._batches: dict[int, tuple[Any, list[ActorMessage]]] = {}  # by id(): addresses have no hash

    def add(
        self,
        message: ActorMessage,
        peer_id: PeerId | None = None,
        address: Any = None,
        *,
        hurry: bool = False,
        alone: bool = True,
    ) -> None:
        """Take a message: for a peer, for the peer actor at an address, or (neither) for the node.

        Any thread; ``hurry``, for somebody who will wait for an answer, only in the loop's. ``alone``: it need not wait
        for others, since there are few.
        """
        if hurry and alone and not self._is_pending and self._hand_to_peer(message, peer_id):
            return
        self._entries.append((peer_id, address, message))
        if not self._is_pending:  # looked at after appending: the flush lowers it before it takes
            self._is_pending = True
            if not (hurry and alone and self._hurry(self.flush, False)):
                self._soon(self.flush)
        elif hurry and len(self._entries) >= TOGETHER:
            self._hurry(self.flush, True)

    def _hand_to_peer(self, message: ActorMessage, peer_id: PeerId | None) -> bool:
        """The shortest way: nothing waits here, the peer's actor is known, and the loop has nothing else to do."""
        route = None if peer_id is None else self._routes.get(peer_id)
        if route is None or route.address is None or route.search or route.is_behind:
            return False
        self._expect((id(route.address), type(message)))  # before: then the loop comes to rest
        return self._hand(route.address, message, False)

    def hold_back(self) -> bool:
        """Until :meth:`let_go`, which gets the result, nothing is sent: handlers of the program run, in the loop."""
        was_pending, self._is_pending = self._is_pending, True
        return was_pending

    def let_go(self, was_pending: bool, again: bool) -> None:
        """The handlers have run: what they answered goes out, a single answer the shortest way.

        ``again``: even if the last one has just gone that way.
        """
        if was_pending:
            return  # a flush is coming anyway
        entries = self._entries
        if len(entries) == 1 and entries[0][1] is not None:
            _, address, message = entry = entries.popleft()
            self._expect((id(address), type(message)))  # before: then the loop comes to rest
            if not self._hand(address, message, again):
                entries.appendleft(entry)
        self._is_pending = False
        if entries:  # looked at after that: another thread may have added one meanwhile
            self._is_pending = True
            self._soon(self.flush)

    def flush(self) -> None:
        """Send what was taken."""
        self._is_pending = False
        entries = self._entries
        same_peer: PeerId | None = None  # whose batch is at hand: mostly one peer after the other's turn
        batch: list[ActorMessage] = []
        for _ in range(len(entries)):
            peer_id, address, message = entries.popleft()
            if peer_id is not None and peer_id is same_peer:
                batch.append(message)
                continue
            same_peer = None
            if type(message) is BroadcastMessage:
                self._gather_broadcast(message)
                continue
            if self._broadcasts:
                self._send_broadcasts()
            if address is None and peer_id is not None:
                address = self._address_for(peer_id, message)
            if address is not None:
                same_peer, batch = peer_id, self._gather(address, message)
            elif peer_id is None:
                self._send_to_node(message)
        if self._broadcasts:
            self._send_broadcasts()
        self._hand_out()

    def _gather_broadcast(self, message: BroadcastMessage) -> None:
        if not self._broadcasts:
            self._hand_out()
            self._fall_behind()
        self._broadcasts.append(message)

    def _send_broadcasts(self) -> None:
        """Those in a row as one message: every peer's actor gets them as one, and its socket too."""
        messages, self._broadcasts = self._broadcasts, []
        if len(messages) == 1:
            self._tell_node(messages[0])
            return
        for start in range(0, len(messages), MAX_COMMANDS):
            self._tell_node(Broadcasts(tuple(messages[start : start + MAX_COMMANDS])))

    def _send_to_node(self, message: ActorMessage) -> None:
        if type(message) is SendRequest:
            self._expect(SendRequest)  # of whom, others decide
        if isinstance(message, TO_PEERS):
            self._hand_out()
            self._fall_behind()
        self._tell_node(message)

    def _address_for(self, peer_id: PeerId, message: ActorMessage) -> Any:
        """The address of a peer's actor; None if the message has been dealt with."""
        route = self._routes.get(peer_id)
        if route is None:
            self._routes[peer_id] = route = Route()
            self._new.append(peer_id)
        if route.address is not None and not route.search:
            if not route.is_behind:
                return route.address
            route.search = UNASKED
            self._new.append(peer_id)
        if route.search:
            route.waiting.append(message)
        else:
            self._tell_node(message)
        return None

    def _gather(self, address: Any, message: ActorMessage) -> list[ActorMessage]:
        batch = self._batches.get(id(address))
        if batch is None:
            batch = self._batches[id(address)] = (address, [])
        batch[1].append(message)
        return batch[1]

    def _hand_out(self) -> None:
        if self._batches:
            batches, self._batches = self._batches, {}
            for address, messages in batches.values():
                kind = type(messages[-1])
                if kind is SendRequest or kind is AnswerCall:
                    self._expect((id(address), kind))
                for start in range(0, len(messages), MAX_COMMANDS):
                    self._tell(address, PeerCommands(tuple(messages[start : start + MAX_COMMANDS])))
        if self._new:
            new, self._new = self._new, []
            for peer_id in new:
                route = self._routes.get(peer_id)
                if route is not None:
                    route.search = self._find(peer_id)

    # -- addresses

    def on_found(self, search: int, peer_id: PeerId, address: Any) -> None:
        """The peer's actor has answered: what was said to it before the question has arrived."""
        route = self._routes.get(peer_id)
        if route is None or route.search != search:
            return  # forgotten since, or asked for again
        route.address, route.search, route.is_behind = address, 0, False
        waiting, route.waiting = route.waiting, []
        for message in waiting:
            self._gather(address, message)
        self._hand_out()

    def on_not_found(self, search: int, peer_id: PeerId) -> None:
        """There is no such peer now, or no node: what waited learns that by the long way."""
        route = self._routes.get(peer_id)
        if route is not None and route.search == search:
            self._drop(peer_id)

    def on_gone(self, message: PeerGone, sender: Any) -> None:
        """A peer's connection has ended, or (by the pool's word) its actor has crashed."""
        route = self._routes.get(message.peer_id)
        if route is not None and (message.crashed or route.address is None or route.address == sender):
            self._drop(message.peer_id)
        if not message.crashed:
            self._tell(sender, PeerReleased())

    def _fall_behind(self) -> None:
        """A message to many is about to take the long way, behind everything so far."""
        for peer_id, route in list(self._routes.items()):
            if route.address is None:
                self._drop(peer_id)
                continue
            waiting, route.waiting = route.waiting, []
            for message in waiting:
                self._tell_node(message)
            route.search, route.is_behind = 0, True

    def _drop(self, peer_id: PeerId) -> None:
        for message in self._routes.pop(peer_id).waiting:
            self._tell_node(message)
