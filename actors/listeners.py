"""Who wants which event: the handlers, procedures and streams of a program, and what a handler's outcome means."""

from __future__ import annotations

import difflib
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from actors.event_queue import Item
from actors.incoming import IncomingRequest
from core.errors import Misuse, NotActive, ResponseAlreadySent
from core.events import EVENTS, Event, RequestReceived

Handler = Callable[[Any], object]

_log = logging.getLogger("ensemble")


class Sink(Protocol):
    """An event stream, as the registry sees it."""

    def push(self, items: list[Item]) -> None:
        """Take items; called from the thread that talks to the node, so it must not block."""

    def close(self) -> None:
        """Take no more."""


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """One handler in its place. ``is_procedure``: whatever it returns is the answer, None too."""

    name: str
    handler: Handler
    is_once: bool = False
    is_procedure: bool = False

    @property
    def label(self) -> str:
        """The handler as people know it."""
        return getattr(self.handler, "__qualname__", None) or repr(self.handler)


class Listeners:
    """The registry. Changes are locked; lookups read tuples that are replaced whole, never altered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handlers: dict[str, tuple[Registration, ...]] = {}
        self._procedures: dict[str, Registration] = {}
        self._sinks: dict[str, tuple[Sink, ...]] = {}
        self._once: set[str] = set()  # events that have handlers for one time
        self.handler_errors_total = 0

    def add(self, name: str, handler: Handler, *, is_once: bool = False) -> None:
        """Register a handler. The same one may be registered again; it then runs as often."""
        if not callable(handler):
            raise Misuse(f"expected a function to handle {name}, got {type(handler).__name__}")
        with self._lock:
            self._handlers[name] = (*self._handlers.get(name, ()), Registration(name, handler, is_once))
            if is_once:
                self._once.add(name)

    def remove(self, name: str, handler: Handler) -> bool:
        """Remove one registration of a handler, the oldest. False if there is none."""
        with self._lock:
            before = self._handlers.get(name, ())
            found = next((entry for entry in before if entry.handler == handler), None)
            self._handlers[name] = tuple(entry for entry in before if entry is not found)
            return found is not None

    def add_procedure(self, procedure: str, handler: Handler) -> None:
        """Register the one handler of a procedure. Raises Misuse if there is one."""
        if not callable(handler):
            raise Misuse(f"expected a function to answer {procedure!r}, got {type(handler).__name__}")
        with self._lock:
            if procedure in self._procedures:
                raise Misuse(f"the procedure {procedure!r} has a handler already")
            self._procedures[procedure] = Registration(RequestReceived.NAME, handler, is_procedure=True)

    def remove_procedure(self, procedure: str) -> bool:
        """Remove the handler of a procedure. False if there is none."""
        with self._lock:
            return self._procedures.pop(procedure, None) is not None

    def add_sink(self, names: Iterable[str], sink: Sink) -> None:
        """Start feeding a stream."""
        with self._lock:
            for name in names:
                self._sinks[name] = (*self._sinks.get(name, ()), sink)

    def remove_sink(self, sink: Sink) -> None:
        """Stop feeding a stream; no matter if it is not fed."""
        with self._lock:
            for name, sinks in self._sinks.items():
                self._sinks[name] = tuple(other for other in sinks if other is not sink)

    def sinks(self, name: str) -> tuple[Sink, ...]:
        """The streams that want an event."""
        return self._sinks.get(name, ())

    def all_sinks(self) -> list[Sink]:
        """Every stream once."""
        with self._lock:
            return list({id(sink): sink for sinks in self._sinks.values() for sink in sinks}.values())

    def wanted(self) -> frozenset[str]:
        """Names of the events that somebody wants, and always the requests.

        A subscription takes its time to reach the peers: a request that came just after the first ``procedure()``
        would be lost. And a request that nothing handles is refused at once, instead of never being answered.
        """
        with self._lock:
            names = {name for found in (self._handlers, self._sinks) for name, entries in found.items() if entries}
            return frozenset(names | {RequestReceived.NAME})

    def has_handler(self, item: Item) -> bool:
        """Whether an item has to be queued for handlers at all."""
        if self._handlers.get(item.NAME):
            return True
        return type(item) is IncomingRequest and item.procedure in self._procedures

    def claim(self, item: Item) -> tuple[Registration, ...]:
        """The handlers to run for an item now. A procedure's handler has its requests for itself."""
        if type(item) is IncomingRequest and (procedure := self._procedures.get(item.procedure)) is not None:
            return (procedure,)
        name = item.NAME
        if name not in self._once:
            return self._handlers.get(name, ())
        with self._lock:
            found = self._handlers[name]
            self._handlers[name] = tuple(entry for entry in found if not entry.is_once)
            self._once.discard(name)
            return found

    def returned(self, item: Item, entry: Registration, result: object) -> None:
        """A handler returned: for an open request that may be the answer."""
        if type(item) is not IncomingRequest or (result is None and not entry.is_procedure) or item.answered:
            return
        try:
            item.end(result)
        except (ResponseAlreadySent, NotActive):
            return  # another thread was first, or there is nobody left to answer
        except Misuse as error:
            self.raised(item, entry, error)

    def raised(self, item: Item, entry: Registration, error: BaseException) -> None:
        """A handler raised: log it with its event, refuse the request if it was one; nobody else notices."""
        what = f"{item.NAME} ({item.procedure!r})" if type(item) is IncomingRequest else item.NAME
        _log.error("handler %s of %s raised %s", entry.label, what, type(error).__name__, exc_info=error)
        self.handler_errors_total += 1  # after the line: whoever sees it counted finds it in the log
        if type(item) is IncomingRequest:
            item.refuse_if_open(error)


def event_name(event: object) -> str:
    """The name of an event given by class or name. Raises Misuse, naming the likeliest, if there is no such event."""
    name = event.NAME if isinstance(event, type) and issubclass(event, Event) else event
    if isinstance(name, str) and name in EVENTS:
        return name
    close = difflib.get_close_matches(str(event)[:80], EVENTS, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise Misuse(f"expected an event class of core.events or its name, got {str(event)[:80]!r}{hint}")


def event_names(events: Iterable[type[Event] | str]) -> frozenset[str]:
    """The names of events; all of them if none is given."""
    return frozenset(map(event_name, events)) or frozenset(EVENTS)
