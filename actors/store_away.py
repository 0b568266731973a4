"""A node on several hosts whose peer book is not on the leader, but on a member with ``store``.

    AwayNode (leader) -+- DeployedPool, ServerGroup    (leader)
                       '- StoredBook                   (a member with ``store``)

The book is pinged like the servers of edge hosts. If it, or its host, is lost, another one is made on the first member
with ``store`` that is there, which may be the same one, back again; the pool gives it the bans that it does not know.
If none comes in time the node ends: without a book it would go on with the peers it has, and forget whom it banned.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from thespian.actors import ActorSystemConventionUpdate, PoisonMessage

from actors.deployed import DeployedNode
from actors.edge import (
    HOST,
    HOST_LOST_S,
    INCARNATION,
    STARTING_S,
    STORE,
    BeginAnew,
    HostPing,
    HostPong,
    StoredBook,
)
from actors.server_group import GOODBYE_S, PING_INTERVAL_S
from core.deadlines import earliest
from core.errors import AlreadyActive, NotActive, StartFailed
from core.messages import Failed, StartNode, StopNode

STORE_WAIT_S = 30.0
"""For a member with ``store``: a host that begins anew takes up to ten seconds to join, one that is rebooted more."""


class Store(NamedTuple):
    """A member that may hold the book."""

    incarnation: str
    admin: Any


class AwayNode(DeployedNode):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._stores: dict[str, Store] = {}
        self._lost_stores: dict[str, str] = {}  # host -> the incarnation that was lost last
        self._held: tuple[StartNode, Any] | None = None  # a start that waits for a store
        self._wait_until: float | None = None
        self._book_host = ""
        self._answered_at = 0.0
        self._has_answered = False
        self._ping_at: float | None = None
        self._number = 0

    # ---- start and stop ----

    def receiveMsg_StartNode(self, message: StartNode, sender: Any) -> None:
        """As soon as there is a member for the book."""
        if self._held is not None:
            self.send(sender, Failed(message.request_id, AlreadyActive("the node is being started")))
        elif self._stores or self._config is not None:
            super().receiveMsg_StartNode(message, sender)
        else:
            self._held = (message, sender)
            self._wait_until = self.now() + STORE_WAIT_S
            self.notifyOnSystemRegistrationChanges(True)

    def receiveMsg_StopNode(self, message: StopNode, sender: Any) -> None:
        """Also while it waits."""
        self._give_up(NotActive("the node was stopped while it was starting"))
        self._ping_at = None
        super().receiveMsg_StopNode(message, sender)

    def _give_up(self, error: Exception) -> None:
        held, self._held, self._wait_until = self._held, None, None
        if held is not None:
            message, starter = held
            self.send(starter, Failed(message.request_id, error))

    # ---- the members ----

    def receiveMsg_ActorSystemConventionUpdate(self, message: ActorSystemConventionUpdate, sender: Any) -> None:
        """A member has come, or says goodbye."""
        capabilities = message.remoteCapabilities
        name, may_store, incarnation = (capabilities.get(one) for one in (HOST, STORE, INCARNATION))
        if not isinstance(name, str) or not isinstance(incarnation, str) or not may_store:
            return
        known = self._stores.get(name)
        if not message.remoteAdded:
            if known is not None and known.incarnation == incarnation:
                self._doubt(name)
        elif self._lost_stores.get(name) == incarnation:
            self.send(self.createActor(StoredBook, {HOST: name}), BeginAnew())
        elif known is None or known.incarnation != incarnation:
            if known is not None:
                self._lose(name, "it has come anew")
            self._stores[name] = Store(incarnation, message.remoteAdminAddress)
            self._go_on()

    def _doubt(self, name: str) -> None:
        """Ask the book whether it is still there; a member without it is no loss."""
        if name != self._book_host:
            del self._stores[name]
            return
        self._answered_at = min(self._answered_at, self.now() + GOODBYE_S - HOST_LOST_S)
        self._ping()

    def _go_on(self) -> None:
        """With what waited for a member."""
        if self._wait_until is None:
            return
        self._wait_until = None
        held, self._held = self._held, None
        if held is not None:
            super().receiveMsg_StartNode(*held)
        else:
            self._replace("book")

    def _lose(self, name: str, why: str) -> None:
        store = self._stores.pop(name)
        if name != self._book_host:
            return
        self.log.warning("host %s, which has the peer book, is lost: %s", name, why)
        self._lost_stores[name] = store.incarnation
        self._book_host = ""
        self._ping_at = None
        self.deRegisterRemoteSystem(store.admin)
        if self._running and self._stop_at is None:
            self._crashed("book")
        elif self._config is not None:
            self._fail(f"host {name}, which has the peer book, is lost: {why}")

    # ---- the book ----

    def _make_book(self) -> Any:
        self._book_host = name = min(self._stores)
        self.log.info("the peer book is on host %s", name)
        self._answered_at = self.now() + STARTING_S - HOST_LOST_S
        self._has_answered = False
        self._ping_at = self.now()
        return self.createActor(StoredBook, {HOST: name})

    def _replace(self, name: str) -> None:
        if name != "book" or self._stores:
            super()._replace(name)
        else:
            self._wait_until = self.now() + STORE_WAIT_S

    def receiveMsg_HostPong(self, message: HostPong, sender: Any) -> None:
        """It is alive."""
        if self._is_room("book", sender):
            self._answered_at = max(self._answered_at, self.now())
            self._has_answered = True

    def receiveMsg_PoisonMessage(self, message: PoisonMessage, sender: Any) -> None:
        """A book that does not get its ping is dead, which is told in other ways."""
        if not isinstance(message.poisonMessage, HostPing):
            super().receiveMsg_PoisonMessage(message, sender)

    def _crashed(self, name: str) -> None:
        host = self._book_host
        if name == "book" and host in self._stores and not self._has_answered and self._running:
            self._lose(host, "no book can be made there")  # it ends, or has ended: as long as it has not come anew
        else:
            super()._crashed(name)

    def _ping(self) -> None:
        if self._rooms is not None:
            self._number += 1
            self.send(self._rooms.book, HostPing(self._number))

    # ---- the clock ----

    def deadline(self) -> float | None:
        """The node's, the next ping, the end of a wait, or when the book is silent for too long."""
        lost_at = self._answered_at + HOST_LOST_S if self._ping_at is not None else None
        return earliest(earliest(super().deadline(), self._ping_at), earliest(self._wait_until, lost_at))

    def on_time(self, now: float) -> None:
        """Ping the book; give up what takes too long."""
        if self._ping_at is not None and self._answered_at + HOST_LOST_S <= now:
            self._lose(self._book_host, f"silent for {HOST_LOST_S:g} s")
        elif self._ping_at is not None and self._ping_at <= now:
            self._ping_at = now + PING_INTERVAL_S
            self._ping()
        if self._wait_until is not None and self._wait_until <= now:
            self._wait_until = None
            reason = f"no member with store: true has joined within {STORE_WAIT_S:g} s"
            if self._held is not None:
                self._give_up(StartFailed(reason))
            else:
                self._fail(f"the host with the peer book is lost, and {reason}")
        super().on_time(now)
