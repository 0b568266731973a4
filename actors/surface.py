"""What both forms of ``P2P`` share to the letter: configuration, handlers, and what is known without waiting."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec

from actors.client import Client, ClientCounters, copied
from actors.commands import check_name
from actors.incoming import IncomingRequest
from actors.listeners import Handler, Listeners, event_name
from actors.session import System, checked_system
from core.config import NodeConfig
from core.errors import EnsembleError, Misuse, NotActive, StartFailed
from core.events import Event, RequestReceived
from core.ids import Endpoint
from core.messages import (
    NodeInfoAnswer,
    NodeStarted,
)
from core.wire.payloads import NodeInfo

E = TypeVar("E", bound=Event)
H = TypeVar("H", bound=Callable[..., object])

MAX_STOP_S = 3600.0

LOOK_AGAIN_S = 0.5
"""How often ``wait_for_peers`` asks without being told of anything: events and answers come from different actors, so
an event can be here before the answer that belongs to it."""

NOT_RUNNING = "the node is not running: start() it first, or use it as a context manager"

ConfigSource = NodeConfig | Mapping[str, object] | str | os.PathLike[str]


def resolve_config(source: ConfigSource | None, options: Mapping[str, Any]) -> NodeConfig:
    """The configuration from whatever a program gave: an object, a mapping, a YAML file's path, keyword arguments.

    Keyword arguments come on top of the rest. Raises ConfigError with every problem found.
    """
    if source is None:
        return NodeConfig.from_mapping(options)
    if isinstance(source, NodeConfig):
        return msgspec.structs.replace(source, **_known(options)) if options else source
    if isinstance(source, Mapping):
        return NodeConfig.from_mapping({**source, **options})
    if isinstance(source, str | os.PathLike):
        from actors.config_sources import load_config  # only programs that read a file need the YAML parser

        return load_config(Path(source), overrides=options).config
    raise Misuse(f"expected a NodeConfig, a mapping or a file's path, got {type(source).__name__}")


def _known(options: Mapping[str, Any]) -> Mapping[str, Any]:
    NodeConfig.from_mapping(options)  # names every unknown option, which replace() would not
    return options


def check_count(count: object) -> None:
    """Raise Misuse for what is no number of peers."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise Misuse(f"expected the number of peers, 1 or more, got {count!r}")


def start_failure(error: BaseException) -> StartFailed | None:
    """What ``start()`` raises instead of an error of the node, or of a call to it; None: the error itself."""
    if isinstance(error, EnsembleError) and not isinstance(error, StartFailed):
        return StartFailed(f"the node could not start: {error}")
    return None


class Surface:
    """The part of ``P2P`` that never waits."""

    def __init__(
        self, source: ConfigSource | None, options: Mapping[str, Any], *, system: System, node_class: type[Any] | None
    ) -> None:
        self._config = resolve_config(source, options)
        self._system = checked_system(system)
        self._node_class = node_class
        self._listeners = Listeners()
        self._counters = ClientCounters()
        self._client: Client | None = None
        self._node_info: NodeInfo | None = None
        self._listening: Endpoint | None = None

    def __repr__(self) -> str:
        state = "active" if self.is_active else "not active"
        return f"<{type(self).__module__}.{type(self).__qualname__} {state}, listening on {self.listen_address}>"

    @property
    def config(self) -> NodeConfig:
        """The node's configuration, complete with defaults."""
        return self._config

    @property
    def is_active(self) -> bool:
        """Whether the node runs: ``start()`` has succeeded, ``stop()`` was not called, and it has not failed since."""
        return self._client is not None and not self._client.failure

    @property
    def node_info(self) -> NodeInfo | None:
        """What we told peers last, without asking the node; None before the first start."""
        return self._node_info

    @property
    def listen_address(self) -> tuple[str, int] | None:
        """The IP address and port that the running node listens on; None if it does not listen or does not run."""
        listening = self._listening
        return None if listening is None else (listening.ip, listening.port)

    @property
    def client_counters(self) -> ClientCounters:
        """A copy of the counters of what the program itself was too slow or too careless for."""
        return copied(self._counters, self._listeners)

    # -- handlers

    @overload
    def on(self, event: type[RequestReceived], handler: Callable[[IncomingRequest], object]) -> Handler: ...
    @overload
    def on(self, event: type[E], handler: Callable[[E], object]) -> Handler: ...
    @overload
    def on(self, event: str, handler: H) -> H: ...
    @overload
    def on(self, event: type[Event] | str, handler: None = None) -> Callable[[H], H]: ...
    def on(self, event: type[Event] | str, handler: Handler | None = None) -> Any:
        """Call ``handler`` with every event of a class of :mod:`core.events`, or of its name (``"EVENT_..."``).

        Without a handler it is a decorator: ``@p2p.on(MessageReceived)``. Handlers may be added and removed at any
        time; they outlive ``stop()``. A handler that raises is logged with its event and disturbs nobody.

        ``RequestReceived`` handlers get an :class:`IncomingRequest`. The rule for its answer:

        * the handler returns a value that is not None, and nobody has answered: the value is the answer;
        * it raises, and nobody has answered: the request is refused with the error's text;
        * it returns None: the request stays open, for another handler, or for ``request.end()`` or
          ``request.error()`` later. When the last reference to an open request goes away, it is refused at once.

        To answer with "no data" by returning None, register the handler with :meth:`procedure`.

        Raises Misuse for an unknown event.
        """
        name = event_name(event)
        return self._decorator_or(handler, lambda found: self._listeners.add(name, found))

    @overload
    def once(self, event: type[RequestReceived], handler: Callable[[IncomingRequest], object]) -> Handler: ...
    @overload
    def once(self, event: type[E], handler: Callable[[E], object]) -> Handler: ...
    @overload
    def once(self, event: str, handler: H) -> H: ...
    @overload
    def once(self, event: type[Event] | str, handler: None = None) -> Callable[[H], H]: ...
    def once(self, event: type[Event] | str, handler: Handler | None = None) -> Any:
        """Like :meth:`on`, for the next such event only."""
        name = event_name(event)
        return self._decorator_or(handler, lambda found: self._listeners.add(name, found, is_once=True))

    def off(self, event: type[Event] | str, handler: Handler) -> bool:
        """Remove a handler, one registration if there are several. False if it was not registered."""
        return self._listeners.remove(event_name(event), handler)

    @overload
    def procedure(self, procedure: str, handler: Callable[[IncomingRequest], object]) -> Handler: ...
    @overload
    def procedure(self, procedure: str, handler: None = None) -> Callable[[H], H]: ...
    def procedure(self, procedure: str, handler: Handler | None = None) -> Any:
        """Let ``handler`` answer all requests for ``procedure``: what it returns is the answer, None is "no data".

        It may use ``request.end()`` or ``request.error()`` instead; raising refuses the request. Such requests do not
        reach ``RequestReceived`` handlers (streams do see them). Also a decorator. Raises Misuse if the procedure has
        a handler.
        """
        name = check_name(procedure, "procedure")
        return self._decorator_or(handler, lambda found: self._listeners.add_procedure(name, found))

    def off_procedure(self, procedure: str) -> bool:
        """Remove the handler of a procedure. False if there is none."""
        return self._listeners.remove_procedure(procedure)

    def _decorator_or(self, handler: Handler | None, register: Callable[[Handler], None]) -> Any:
        def use(found: Handler) -> Handler:
            self._check_handler(found)
            register(found)
            self._subscribe()
            return found

        return use if handler is None else use(handler)

    def _check_handler(self, handler: Handler) -> None:
        """Raise Misuse for a handler that this form cannot run."""

    # -- for the two forms

    def _subscribe(self) -> None:
        """Handlers or streams were added: tell the node, if there is one."""
        if (client := self._client) is not None:
            client.subscribe()

    def _active(self) -> Client:
        client = self._client
        if client is None:
            raise NotActive(NOT_RUNNING)
        return client

    def _started(self, client: Client, answer: NodeStarted) -> None:
        self._node_info = answer.node_info
        self._listening = answer.listening
        self._client = client
        client.subscribe()  # for handlers that were added while it started

    def _stopping(self) -> None:
        self._client = None
        self._listening = None

    def _stopped(self) -> None:
        for stream in self._listeners.all_sinks():
            stream.close()

    def _keep(self, answer: NodeInfoAnswer) -> NodeInfo:
        self._node_info = answer.node_info
        return answer.node_info

    def _root_class(self) -> type[Any]:
        if self._node_class is not None:
            return self._node_class
        from actors.node import Node  # the actors load here, not with this module

        return Node
