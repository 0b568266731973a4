"""Node: the root. What a program asks of a node, and what the node's own actors report to it.

Parent: none (the program creates it). Children: PeerBook, PeerServer, PeerPool (:mod:`actors.node_life` makes them).
Accepts: Subscribe and every query of :mod:`core.messages` ("program -> Node"); PeerMisbehaved, PeerTraffic, PoolCounts,
BookCounts, DecisionsTaken from its own actors.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import msgspec

from actors.node_life import NodeLife
from actors.wiring import Forwarded, Subscriber, SubscribersChanged
from core.decisions import Decisions
from core.errors import InvalidNodeInfo, Misuse, NotActive
from core.events import DecisionTaken, RemovePeer
from core.house_messages import (
    BookCounts,
    DecisionsTaken,
    NodeInfoChanged,
    PeerMisbehaved,
    PeerTraffic,
    PoolCounts,
)
from core.messages import (
    ApplyNodeInfo,
    BanAddress,
    Broadcasts,
    Done,
    Explain,
    Failed,
    GetNetworkStats,
    GetNodeInfo,
    NodeInfoAnswer,
    PeerGone,
    Query,
    Story,
    Subscribe,
)
from core.penalties import DRY_RUN
from core.standing import Standing
from core.wire.codec import CodecError

POOL_COMMANDS = (
    "SendMessage",
    "BroadcastMessage",
    "SendRequest",
    "FindPeer",
    "ApplyPenalty",
    "GetConnectedPeers",
    "GetDisconnectedPeers",
)

BOOK_COMMANDS = ("BanAddress", "UnbanAddress", "GetBans", "GetTriedPeers")


class Node(NodeLife):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._ban_numbers = itertools.count(1)
        self._bans_ordered: dict[int, BanAddress] = {}  # those that the book has not answered yet
        self._standing = Standing()
        self._crashed_pool: Any = None  # what it said before may come after the news of its end
        self._seekers: list[Any] = []  # who has asked for peers' actors

    # ---- subscribers ----

    def receiveMsg_Subscribe(self, message: Subscribe, sender: Any) -> None:
        """Events go to the sender from now on."""
        others = tuple(one for one in self.subscribers if one.address != sender)
        wants_any = message.names is None or bool(message.names)
        self.subscribers = (*others, Subscriber(sender, message.names)) if wants_any else others
        rooms = self._rooms
        if rooms is not None:
            for room in (rooms.server, rooms.pool, rooms.book):
                if room is not None:
                    self.send(room, SubscribersChanged(self.subscribers))
        if message.request_id:
            self.send(sender, Done(message.request_id))

    # ---- node info, statistics ----

    def receiveMsg_GetNodeInfo(self, message: GetNodeInfo, sender: Any) -> None:
        """Our node info."""
        if self._node_info is None:
            self._refuse_inactive(message, sender)
        else:
            self.send(sender, NodeInfoAnswer(message.request_id, self._node_info))

    def receiveMsg_ApplyNodeInfo(self, message: ApplyNodeInfo, sender: Any) -> None:
        """New options: check them against the schema, tell everybody."""
        info = self._node_info
        if info is None or not self._running:
            self._refuse_inactive(message, sender)
            return
        try:
            changed = replace(info, options=dict(message.options))
            config = self._need_config()
            free = config.network.protocol == "lisk-0.5"
            if message.options and config.custom_node_info_schema is None and not free:
                raise ValueError("options need a custom_node_info_schema")
            self._encode(config, changed)
        except (CodecError, ValueError) as error:
            self.send(sender, Failed(message.request_id, InvalidNodeInfo(f"node info cannot be applied: {error}")))
            return
        self._node_info = changed
        self.charter = msgspec.structs.replace(self.need_charter(), node_info=changed)
        rooms = self._need_rooms()
        for room in (rooms.server, rooms.pool):
            if room is not None:
                self.send(room, NodeInfoChanged(changed))
        self.send(sender, NodeInfoAnswer(message.request_id, changed))

    def receiveMsg_GetNetworkStats(self, message: GetNetworkStats, sender: Any) -> None:
        """The counters."""
        self.send(sender, self._stats.snapshot(message.request_id))

    def receiveMsg_PeerTraffic(self, message: PeerTraffic, sender: Any) -> None:
        """A peer's counts."""
        self._stats.add_traffic(message)

    def receiveMsg_PoolCounts(self, message: PoolCounts, sender: Any) -> None:
        """The pool's counts."""
        rooms, crashed = self._rooms, self._crashed_pool
        # Nearly always none has: to tell an address from nothing takes Thespian longer than all else here.
        if rooms is not None and rooms.pool == sender and (crashed is None or crashed != sender):
            self._stats.set_pool(message)
            self._standing.take(message)

    def receiveMsg_BookCounts(self, message: BookCounts, sender: Any) -> None:
        """The book's counts."""
        self._stats.set_book(message)

    def receiveMsg_PeerMisbehaved(self, message: PeerMisbehaved, sender: Any) -> None:
        """A peer used up its reputation: its address is banned, or would be."""
        if self._running:
            dry_run = self._need_config().ban_mode == DRY_RUN
            number = next(self._ban_numbers)
            ban = BanAddress(number, message.ip, message.peer_id, message.reason, dry_run=dry_run)
            self._bans_ordered[number] = ban
            self.send(self._need_rooms().book, ban)

    def receiveMsg_Done(self, message: Done, sender: Any) -> None:
        """The book has taken a ban."""
        self._bans_ordered.pop(message.request_id, None)

    def receiveMsg_Failed(self, message: Failed, sender: Any) -> None:
        """The book bans no address of a trusted peer, whoever misbehaved from it."""
        if self._bans_ordered.pop(message.request_id, None) is not None:
            self.log.debug("not banned: %s", message.error)

    def _on_crash(self, name: str) -> None:
        if name != "pool":
            return
        # Every connection goes with it, and nobody else is left who could tell.
        self._crashed_pool = self._need_rooms().pool
        fallen = self._standing.fall()
        self._stats.on_pool_lost()
        for peer_id in fallen:
            for seeker in self._seekers:
                self.send(seeker, PeerGone(peer_id, crashed=True))
        if fallen:
            self.emit(tuple(RemovePeer(peer_id=peer_id, reason="the peer pool crashed") for peer_id in fallen))

    def _on_book_replaced(self) -> None:
        # Once more and no oftener: should it be an order that the book crashed of, the next one is not to.
        orders, self._bans_ordered = self._bans_ordered, {}
        for order in orders.values():
            self.send(self._need_rooms().book, msgspec.structs.replace(order, request_id=0))

    # ---- decisions ----

    def receiveMsg_DecisionsTaken(self, message: DecisionsTaken, sender: Any) -> None:
        """What the others decided: kept, logged, and told to whoever listens."""
        self._decisions.take(message.decisions, self.now())
        if self.is_wanted(DecisionTaken):
            self.emit(tuple(DecisionTaken(decision=decision) for decision in message.decisions))

    def decisions_about(self, subject: str) -> Decisions:
        """What :class:`Explain` is answered with. Raises ValueError for what is neither a peer id nor an address."""
        return self._decisions.story(subject)

    def receiveMsg_Explain(self, message: Explain, sender: Any) -> None:
        """The story of one peer."""
        if not self._running:
            self._refuse_inactive(message, sender)
            return
        try:
            story = self.decisions_about(message.subject)
        except ValueError as error:
            self.send(sender, Failed(message.request_id, Misuse(f"not a peer id or an IP address: {error}")))
            return
        self.send(sender, Story(message.request_id, story))

    # ---- commands for others ----

    def receiveMsg_Query(self, message: Query, sender: Any) -> None:
        """Every command that is not ours goes to the actor that knows."""
        name = type(message).__name__
        rooms = self._rooms
        if rooms is None or not self._running or self._stop_at is not None:
            self._refuse_inactive(message, sender)
        elif name in POOL_COMMANDS:
            if name == "FindPeer" and sender not in self._seekers:
                self._seekers.append(sender)
            self.send(rooms.pool, Forwarded(sender, message))
        elif name in BOOK_COMMANDS:
            self.send(rooms.book, Forwarded(sender, message))
        else:
            self.log.error("the node does not know the command %s", name)
            self.send(sender, Failed(message.request_id, Misuse(f"the node does not know the command {name}")))

    def receiveMsg_Broadcasts(self, message: Broadcasts, sender: Any) -> None:
        """Several for the pool."""
        rooms = self._rooms
        if rooms is not None and self._running and self._stop_at is None:
            self.send(rooms.pool, Forwarded(sender, message))
            return
        for one in message.messages:
            self._refuse_inactive(one, sender)

    def _refuse_inactive(self, message: Query, sender: Any) -> None:
        if message.request_id:
            self.send(sender, Failed(message.request_id, NotActive("the node is not running")))
