"""NodeLife: how the root actor starts, supervises and stops the others.

:class:`actors.node.Node` builds on it what a program asks of a node that runs. Accepts: StartNode and StopNode;
StorageOpened, StorageFailed, StorageClosed, ServerListening, ServerFailed and AllPeersClosed from its own actors.

Order of a start: the data directory is opened, if there is one, then the port is bound (its number is what peers are
told), then everybody gets the same charter. Order of a stop: connections are closed, then what is known is written.
A crashed child is replaced by a new one with the same charter; more than a few crashes in a short time end the node.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from thespian.actors import ActorExitRequest, ChildActorExited

from actors.base import HouseActor
from actors.decision_log import DecisionLog
from actors.hooks import RULE_OPTIONS, load_rule
from actors.peer_book import PeerBook
from actors.peer_pool import PeerPool
from actors.peer_server import PeerServer
from actors.wiring import Charter, Init, Listen, Rooms
from core.config import NodeConfig
from core.deadlines import earliest
from core.dialects import languages_of, own_names
from core.errors import AlreadyActive, NotActive, StartFailed
from core.events import NodeFailed
from core.house_messages import (
    AllPeersClosed,
    CloseAllPeers,
    CloseStorage,
    OpenStorage,
    ServerFailed,
    ServerListening,
    StorageClosed,
    StorageFailed,
    StorageOpened,
)
from core.ids import Endpoint
from core.messages import (
    Done,
    EventBatch,
    Failed,
    NodeStarted,
    StartNode,
    StopNode,
)
from core.restart import RestartBudget
from core.static_lists import static_lists
from core.stats import Stats
from core.wire.codec import CodecError
from core.wire.payloads import NodeInfo
from core.wire.schema import SchemaError, parse_schema, read_hex

NONCE_BYTES = 8
SECRET_BYTES = 32
DYNAMIC_PORTS = (49152, 65535)
"""RFC 6335: ports that nobody has registered."""

STOP_TIMEOUT_S = 3.0
"""Peers get 2 s to close in order; what is left then is destroyed with its actor."""


class NodeLife(HouseActor):
    """See the module."""

    POOL: type[HouseActor] = PeerPool
    SERVER: type[HouseActor] = PeerServer

    def __init__(self) -> None:
        super().__init__()
        self._config: NodeConfig | None = None
        self._node_info: NodeInfo | None = None
        self._secret = b""
        self._rooms: Rooms | None = None
        self._starter: tuple[Any, int] | None = None
        self._stoppers: list[tuple[Any, int]] = []
        self._stop_at: float | None = None
        self._running = False
        self._stats = Stats(0.0)
        self._decisions = DecisionLog(0)
        self._budget = RestartBudget()

    # ---- start ----

    def receiveMsg_StartNode(self, message: StartNode, sender: Any) -> None:
        """Create the others and bind the port."""
        if self._config is not None:
            self.send(sender, Failed(message.request_id, AlreadyActive("the node was started before")))
            return
        config = message.config
        try:
            self._node_info = self._make_node_info(config)
            for option in RULE_OPTIONS:  # looked up before anything starts
                load_rule(option, getattr(config, option))
        except StartFailed as error:
            self.send(sender, Failed(message.request_id, error))
            return
        except (SchemaError, CodecError, ValueError) as error:
            self.send(sender, Failed(message.request_id, StartFailed(f"node_info cannot be used: {error}")))
            return
        self._config = config
        self._starter = (sender, message.request_id)
        self._stats = Stats(self.environment.wall_now())
        self._decisions = DecisionLog(config.decisions_kept)
        self._budget = RestartBudget(config.max_restarts, config.restart_window_s)
        self._secret = self._make_secret(config)
        listens = config.max_inbound_connections > 0
        self._rooms = Rooms(
            self.myAddress,
            self.createActor(self.POOL),
            self._make_book(),
            self.createActor(self.SERVER) if listens else None,
        )
        if config.data_dir is None:
            self._listen()
        else:
            self._open_storage(config)

    def _make_book(self) -> Any:
        return self.createActor(PeerBook)

    def _open_storage(self, config: NodeConfig) -> None:
        if config.data_dir is not None:
            secret = self.environment.token_bytes(SECRET_BYTES)
            self.send(self._need_rooms().book, OpenStorage(config.data_dir, secret, config.storage_interval_s))

    def receiveMsg_StorageOpened(self, message: StorageOpened, sender: Any) -> None:
        """The data directory is ours. Its secret counts, unless one is configured."""
        if self._running or not self._is_room("book", sender):
            return  # a replaced book has opened it again, or it is of an earlier run
        if self._need_config().secret is None:
            self._secret = message.secret
        self._listen()

    def receiveMsg_StorageFailed(self, message: StorageFailed, sender: Any) -> None:
        """The data directory cannot be used."""
        if self._is_room("book", sender):
            self._fail(message.reason)

    def _listen(self) -> None:
        rooms, config = self._need_rooms(), self._need_config()
        if rooms.server is not None:
            self.send(rooms.server, Listen(config.host_ip, config.port))
        else:
            self._go(None)

    def _make_node_info(self, config: NodeConfig) -> NodeInfo:
        said = config.node_info
        nonce = said.nonce or self.environment.token_bytes(NONCE_BYTES).hex()
        options = dict(said.options)
        if config.custom_node_info_schema is not None:
            options = read_hex(parse_schema(config.custom_node_info_schema), options)
        info = replace(own_names(config), nonce=nonce, options=options)
        self._encode(config, info)
        return info

    def _encode(self, config: NodeConfig, info: NodeInfo) -> None:
        for dialect in languages_of(config).known:
            size = len(dialect.encode_node_info(info))
            if size > config.max_peer_info_bytes:
                raise ValueError(f"it takes {size} bytes, max_peer_info_bytes allows {config.max_peer_info_bytes}")

    def _make_secret(self, config: NodeConfig) -> bytes:
        if config.secret is not None:
            return config.secret.to_bytes(4, "big")
        return self.environment.token_bytes(SECRET_BYTES)

    def receiveMsg_ServerListening(self, message: ServerListening, sender: Any) -> None:
        """The port is bound: begin, or tell a replaced server to go on."""
        if not self._is_room("server", sender):
            return  # of an earlier run
        if self._running:
            self.send(sender, Init(self._make_charter(message.endpoint.port)))
        else:
            self._go(message.endpoint)

    def receiveMsg_ServerFailed(self, message: ServerFailed, sender: Any) -> None:
        """The port could not be bound."""
        if self._is_room("server", sender):
            self._fail(message.reason)

    def _is_room(self, name: str, sender: Any) -> bool:
        address = getattr(self._rooms, name, None)
        return address is not None and bool(address == sender)

    def _go(self, listening: Endpoint | None) -> None:
        rooms, config = self._need_rooms(), self._need_config()
        self.charter = self._make_charter(listening.port if listening is not None else self._port_to_announce(config))
        self._running = True
        for warning in static_lists(config, self.charter.own_port).warnings:
            self.log.warning("%s", warning)
        for room in (rooms.book, rooms.pool, rooms.server):
            if room is not None:
                self.send(room, Init(self.charter))
        if self._starter is not None and self._node_info is not None:
            starter, request_id = self._starter
            self.send(starter, NodeStarted(request_id, self._node_info, listening))
            self._starter = None

    def _port_to_announce(self, config: NodeConfig) -> int:
        """What a node that does not listen says: peers tell those of one address apart by it, and refuse 0."""
        first, last = DYNAMIC_PORTS
        drawn = int.from_bytes(self.environment.token_bytes(2), "big") % (last - first + 1)
        return config.port or first + drawn

    def _make_charter(self, port: int) -> Charter:
        info = self._node_info
        if info is None:
            raise RuntimeError("a charter before the start")
        self._node_info = info = replace(info, port=port)
        return Charter(self._need_config(), info, port, self._secret, self._need_rooms(), self.subscribers)

    def _fail(self, reason: str) -> None:
        """Starting, or going on, is not possible: say why and end everything."""
        if self._starter is None:
            self.log.error("the node ends: %s", reason)
        else:  # who started it is told, and says it to whom it may concern
            self.log.info("the node cannot start: %s", reason)
            starter, request_id = self._starter
            self._starter = None
            self.send(starter, Failed(request_id, StartFailed(reason)))
        if self._running:
            for subscriber in self.subscribers:  # whatever else they want to hear
                self.send(subscriber.address, EventBatch((NodeFailed(reason=reason),)))
        self._running = False
        self._end_children()
        self._config = None

    # ---- stop ----

    def receiveMsg_StopNode(self, message: StopNode, sender: Any) -> None:
        """Close everything in order, bounded in time; asking twice is fine."""
        self._stoppers.append((sender, message.request_id))
        rooms = self._rooms
        if rooms is None or not self._running:
            self._stopped()
            return
        if self._stop_at is None:
            self._stop_at = self.now() + STOP_TIMEOUT_S
            if rooms.server is not None:
                self.send(rooms.server, ActorExitRequest())  # no newcomers while we say goodbye
            self.send(rooms.pool, CloseAllPeers())

    def receiveMsg_AllPeersClosed(self, message: AllPeersClosed, sender: Any) -> None:
        """Nobody is connected any more: have the book write what it knows."""
        if self._stop_at is None:
            return
        if self._need_config().data_dir is None:
            self._stopped()
        else:
            self.send(self._need_rooms().book, CloseStorage())

    def receiveMsg_StorageClosed(self, message: StorageClosed, sender: Any) -> None:
        """Everything is on disk and the data directory is free."""
        if self._stop_at is not None and self._is_room("book", sender):
            self._stopped()

    def deadline(self) -> float | None:
        """When a stop has taken long enough, or a crashed child is to be replaced."""
        return earliest(self._stop_at, self._budget.next_due())

    def on_time(self, now: float) -> None:
        """See :meth:`deadline`."""
        if self._stop_at is not None and self._stop_at <= now:
            self.log.warning("stopping took longer than %g s: ending hard", STOP_TIMEOUT_S)
            self._stopped()
        due = self._budget.due(now)
        if self._running and self._stop_at is None:
            for name in due:
                self._replace(name)

    def _stopped(self) -> None:
        self._stop_at = None
        self._running = False
        self._end_children()
        self._config = None
        if self._starter is not None:
            starter, request_id = self._starter
            self._starter = None
            self.send(starter, Failed(request_id, NotActive("the node was stopped while it was starting")))
        for stopper, request_id in self._stoppers:
            self.send(stopper, Done(request_id))
        self._stoppers = []

    def _end_children(self) -> None:
        rooms = self._rooms
        self._rooms = None
        self.charter = None
        self._budget = RestartBudget()
        if rooms is not None:
            for room in (rooms.server, rooms.pool, rooms.book):
                if room is not None:
                    self.send(room, ActorExitRequest())

    # ---- supervision ----

    def receiveMsg_ChildActorExited(self, message: ChildActorExited, sender: Any) -> None:
        """A child is gone; unless we are stopping, it crashed and is replaced."""
        rooms = self._rooms
        if rooms is None:
            return
        if self._stop_at is not None:
            if message.childAddress in (rooms.pool, rooms.book):
                self._stopped()  # nobody is left to close connections in order, or to write
            return
        for name in ("pool", "book", "server"):
            address = getattr(rooms, name)
            if address is not None and address == message.childAddress:
                self._crashed(name)
                return

    def _crashed(self, name: str) -> None:
        self._on_crash(name)
        if not self._budget.crashed(name, self.now()):
            self._fail(f"{name} crashed too often")
        elif not self._running:
            self._fail(f"{name} crashed while starting")

    def _replace(self, name: str) -> None:
        rooms, config = self._need_rooms(), self._need_config()
        kind = {"pool": self.POOL, "book": PeerBook, "server": self.SERVER}[name]
        self.log.warning("%s crashed and is replaced", kind.__name__)
        old_port = self.need_charter().listening_port
        made = self._make_book() if name == "book" else self.createActor(kind)
        self._rooms = msgspec.structs.replace(rooms, **{name: made})
        self.charter = self._make_charter(old_port)
        if name == "server":
            self.send(self._rooms.server, Listen(config.host_ip, old_port, again=True))
        else:
            if name == "book":
                self._open_storage(config)
            self.send(getattr(self._rooms, name), Init(self.charter))
        for room in (self._rooms.pool, self._rooms.book, self._rooms.server):
            if room is not None:
                self.send(room, self._rooms)
        if name == "book":
            self._on_book_replaced()

    def _on_crash(self, name: str) -> None:
        """A child is gone that was not to go: whoever knows what is lost with it is to say so."""

    def _on_book_replaced(self) -> None:
        """A new book has been made: whatever the old one may not have done any more is to be asked of it."""

    # ---- inside ----

    def _need_rooms(self) -> Rooms:
        if self._rooms is None:
            raise RuntimeError("no rooms before the start")
        return self._rooms

    def _need_config(self) -> NodeConfig:
        if self._config is None:
            raise RuntimeError("no configuration before the start")
        return self._config
