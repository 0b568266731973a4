"""``P2P`` for programs with threads: a node, started, used and stopped by plain calls.

    with P2P(port=5001, seed_peers=["203.0.113.7:5001"]) as p2p:
        p2p.on(MessageReceived, lambda message: print(message.peer_id, message.event))
        p2p.broadcast("hello", {"from": "Python"})

:mod:`actors.aio` is the same for asyncio.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, overload

from actors import commands
from actors.client import ClientCounters, IncomingRequest, count_drop, new_queue
from actors.commands import Response, check_number
from actors.event_queue import EventQueue
from actors.listeners import event_names
from actors.session import System
from actors.surface import (
    LOOK_AGAIN_S,
    MAX_STOP_S,
    NOT_RUNNING,
    ConfigSource,
    E,
    Surface,
    check_count,
    start_failure,
)
from actors.thread_run import EventStream, ThreadRun
from core import messages as m
from core.decisions import Decision
from core.errors import AlreadyActive, Misuse, NotActive, StopFailed
from core.events import ConnectOutbound, Event, NewInboundPeer, PeerInfo, RequestReceived
from core.wire.payloads import NodeInfo

__all__ = ["P2P", "ClientCounters", "EventStream", "IncomingRequest", "Response"]

_running: weakref.WeakSet[P2P] = weakref.WeakSet()


def stop_at_exit(p2p: P2P) -> None:
    """See to it that a node which runs when the program ends is stopped in order."""
    _running.add(p2p)
    # These hooks run last come, first served, before the interpreter waits for threads: this one has to come before
    # that of the node's system base, which would end the actors without a word to their peers. It is not public; the
    # public one comes after the base's and finds the node ended.
    getattr(threading, "_register_atexit", atexit.register)(_stop_running)


def _stop_running() -> None:
    for p2p in list(_running):
        p2p.stop()


class P2P(Surface):
    """A peer-to-peer node and everything a program does with it. All methods may be called from any thread.

    ``config`` is a :class:`core.config.NodeConfig`, a mapping, or the path of a YAML file; options given as keyword
    arguments come on top. ``system`` says where the actors run. ``node_class`` is the root actor.

    Every call that needs the node raises NotActive when it does not run, and Misuse for arguments that cannot work.
    """

    def __init__(
        self,
        config: ConfigSource | None = None,
        /,
        *,
        system: System = "inproc",
        node_class: type[Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(config, options, system=system, node_class=node_class)
        self._lifecycle = threading.Lock()  # held while starting and stopping
        self._holder: int | None = None  # the thread that holds it
        self._run: ThreadRun | None = None
        self._is_stopping = False

    # -- life

    def start(self) -> None:
        """Start the node; returns when it listens. After ``stop()`` it can be started again, with all its handlers.

        Raises AlreadyActive, or StartFailed with the node's reason.
        """
        with self._lifecycle:
            self._holder = threading.get_ident()
            try:
                self._start()
            finally:
                self._holder = None

    def _start(self) -> None:
        if self._run is not None:
            raise AlreadyActive("the node is running")
        run = self._run = self._make_run()
        try:
            run.client.subscribe()
            answer = run.ask(commands.start(self._config))
        except BaseException as error:
            run.close(self._now() + 1.0)
            self._run = None
            if (failure := start_failure(error)) is not None:
                raise failure from error
            raise
        self._started(run.client, answer)
        run.start_handlers()
        self._keep_for_exit()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Close every connection in order and end the node, in ``timeout_s`` seconds at most.

        Does nothing if the node does not run. May be called from a handler, from a signal handler, from several
        threads, and while another thread starts the node. No handler starts after it has returned, unless a handler
        called it: then that one is the last. Messages and requests that were not handled yet are discarded. Event
        streams end.

        Raises StopFailed if the node or a handler did not end in time; everything else has been ended nevertheless.
        """
        deadline = self._now() + check_number(timeout_s, "timeout_s", above=0, at_most=MAX_STOP_S)
        run = self._run
        if run is None or (self._is_stopping and run.is_handler_thread):
            return  # the stopping thread waits for this very handler
        if self._client is None and not self._is_stopping:
            run.client.close()  # it is being started: that fails now
        if self._holder == threading.get_ident():
            return  # a signal handler, on top of start() or stop() in the same thread: these go on when it returns
        if not self._lifecycle.acquire(timeout=timeout_s):
            raise StopFailed("another thread has been starting or stopping the node all the time")
        self._holder = threading.get_ident()
        try:
            problem = self._close(deadline)
        finally:
            self._holder = None
            self._lifecycle.release()
        if problem:
            raise StopFailed(f"the node was ended hard: {problem}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _close(self, deadline: float) -> str:
        run = self._run
        if run is None:
            return ""
        self._is_stopping = True
        self._stopping()
        try:
            return run.close(deadline)
        finally:
            self._stopped()
            self._run = None
            self._is_stopping = False
            _running.discard(self)

    # -- what the node knows

    def get_node_info(self) -> NodeInfo:
        """Our node info as it is pushed to peers: chain id, network version, nonce, custom options."""
        return self._keep(self._ask(commands.NODE_INFO))

    def apply_node_info(self, options: Mapping[str, object]) -> NodeInfo:
        """Replace the custom options of our node info and push it to every peer; returns the new one.

        Peers take three pushes in ten seconds: what changes more often is held back, and the last one is sent. Raises
        InvalidNodeInfo if the options do not fit ``custom_node_info_schema``; then nothing is changed or sent.
        """
        return self._keep(self._ask(self._active().commands.apply_node_info(options)))

    def get_connected_peers(self) -> tuple[PeerInfo, ...]:
        """All connected peers, outbound first."""
        return self._ask(commands.CONNECTED_PEERS).peers

    def get_disconnected_peers(self) -> tuple[PeerInfo, ...]:
        """All known peers that are not connected."""
        return self._ask(commands.DISCONNECTED_PEERS).peers

    def get_tried_peers(self) -> tuple[PeerInfo, ...]:
        """Known peers to which a connection has succeeded before."""
        return self._ask(commands.TRIED_PEERS).peers

    def get_network_stats(self) -> m.NetworkStats:
        """Counters of the node since its start; those of traffic are about a second old at most."""
        return self._ask(commands.NETWORK_STATS)

    # -- peers in trouble

    def apply_penalty(self, peer_id: str, penalty: int, reason: str = "") -> None:
        """Subtract ``penalty`` points from a connected peer's reputation of 100; at 0 it is banned.

        Raises PeerNotFound if it is not connected.
        """
        self._ask(self._active().commands.apply_penalty(peer_id, penalty, reason))

    def ban(self, address: str, reason: str = "", *, duration_s: float | None = None) -> None:
        """Ban an IP address, given as such or by a peer id, for ``duration_s`` (None: ``peer_ban_time_s``).

        All its connections are closed, none is accepted or dialled until then. Raises Misuse for an address that is
        trusted: of a fixed, whitelisted or seed peer.
        """
        self._ask(self._active().commands.ban(address, reason, duration_s))

    def unban(self, address: str) -> None:
        """End the ban of an IP address, given as such or by a peer id. Raises Misuse if it is not banned."""
        self._ask(self._active().commands.unban(address))

    def bans(self) -> tuple[m.Ban, ...]:
        """All bans in force: address, end and reason of each."""
        return self._ask(commands.BANS).bans

    def explain(self, peer: str) -> tuple[Decision, ...]:
        """Why the node did what it did: every decision about a peer that is still kept, in order.

        ``peer`` is a peer id, or an IP address for everything decided about any port of it. Printed, a decision is a
        line with its rule, the rule's source and the numbers compared. The latest ``decisions_kept`` are kept.
        """
        return self._ask(self._active().commands.explain(peer)).decisions

    # -- messages and requests

    def request(self, procedure: str, data: object = None, *, timeout_s: float | None = None) -> Response:
        """Ask a peer that the selection rule picks, and wait for its answer.

        ``data`` is bytes, or anything JSON can hold, or None for no data. ``timeout_s`` None: the configured
        ``ack_timeout_s`` or ``inbound_request_timeout_s``, by the direction of the connection. Raises PeerNotFound
        (nobody is connected), RequestTimedOut, RequestRefused (the peer answered with an error), ConnectionLost.
        """
        return self._request(procedure, data, timeout_s, None)

    def request_from_peer(
        self, peer_id: str, procedure: str, data: object = None, *, timeout_s: float | None = None
    ) -> Response:
        """Like :meth:`request`, to one peer; raises PeerNotFound if it is not connected."""
        if peer_id is None:
            raise Misuse("expected a peer id; request() picks a peer by itself")
        return self._request(procedure, data, timeout_s, peer_id)

    def send(self, event: str, data: object = None, *, wait: bool = False) -> None:
        """Send a message to the peers that the selection rule picks (``send_peer_limit``, 16).

        Returns at once, and without an error if nobody is connected. A program that sends faster than its node can
        forward is slowed down (by blocking here), so memory stays bounded. ``wait=True`` waits until the node has
        handed the message to its peers, and raises PeerNotFound if there are none. Losses are
        ``FailedToSendMessage`` events.
        """
        run = self._active_run()
        self._send(run, run.client.commands.message(event, data, None), wait)

    def send_to_peer(self, peer_id: str, event: str, data: object = None, *, wait: bool = True) -> None:
        """Send a message to one peer; waits until it was handed over. Raises PeerNotFound or SendFailed.

        ``wait=False`` returns at once, like :meth:`send`: a loss is then only a ``FailedToSendMessage`` event.
        """
        if peer_id is None:
            raise Misuse("expected a peer id; send() picks peers by itself")
        run = self._active_run()
        self._send(run, run.client.commands.message(event, data, peer_id), wait)

    def broadcast(self, event: str, data: object = None, *, wait: bool = False) -> None:
        """Send a message to every connected peer; otherwise like :meth:`send`."""
        run = self._active_run()
        self._send(run, run.client.commands.broadcast(event, data), wait)

    # -- events

    @overload
    def events(self, event: type[RequestReceived], /) -> EventStream[IncomingRequest]: ...  # type: ignore[overload-overlap]
    @overload
    def events(self, event: type[E], /, *events: type[E]) -> EventStream[E]: ...
    @overload
    def events(self, *events: type[Event] | str) -> EventStream[Any]: ...
    def events(self, *events: type[Event] | str) -> EventStream[Any]:
        """A stream of events of these classes or names, all of them if none is given, from now on.

        Use it as a context manager, or close() it. May be made before ``start()``; ends with ``stop()``.
        """
        names = event_names(events)
        queue = new_queue(self._config, functools.partial(count_drop, self._counters))
        stream = self._make_stream(queue, names)
        self._subscribe()
        return stream

    @overload
    def wait_for(  # type: ignore[overload-overlap]
        self,
        event: type[RequestReceived],
        predicate: Callable[[IncomingRequest], bool] | None = None,
        timeout_s: float | None = None,
    ) -> IncomingRequest: ...
    @overload
    def wait_for(
        self, event: type[E], predicate: Callable[[E], bool] | None = None, timeout_s: float | None = None
    ) -> E: ...
    @overload
    def wait_for(
        self, event: str, predicate: Callable[[Any], bool] | None = None, timeout_s: float | None = None
    ) -> Any: ...
    def wait_for(
        self,
        event: type[Event] | str,
        predicate: Callable[[Any], bool] | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Wait for the next event for which ``predicate`` holds, and return it.

        Only what happens after the call counts: to catch the effect of something you do, open :meth:`events` first.
        Raises TimeoutError, or NotActive when the node is stopped.
        """
        self._active()
        deadline = None if timeout_s is None else self._now() + timeout_s
        with self.events(event) as stream:
            while True:
                left_s = None if deadline is None else max(0.0, deadline - self._now())
                try:
                    found = stream.get(left_s)
                except TimeoutError:
                    raise TimeoutError(f"no such event within {timeout_s:g} s") from None
                if predicate is None or predicate(found):
                    return found

    def wait_for_peers(self, count: int = 1, *, timeout_s: float | None = None) -> tuple[PeerInfo, ...]:
        """Wait until ``count`` peers are connected, and return all that are, outbound first.

        Raises TimeoutError (after ``timeout_s`` seconds; None waits for ever), or NotActive when the node is stopped.
        """
        check_count(count)
        deadline = None if timeout_s is None else self._now() + timeout_s
        with self.events(ConnectOutbound, NewInboundPeer) as stream:
            while len(peers := self.get_connected_peers()) < count:
                if deadline is not None and self._now() >= deadline:
                    raise TimeoutError(f"{len(peers)} of {count} peers within {timeout_s:g} s")
                left_s = LOOK_AGAIN_S if deadline is None else min(LOOK_AGAIN_S, deadline - self._now())
                with contextlib.suppress(TimeoutError):
                    stream.get(max(0.0, left_s))
            return peers

    # -- where it runs: a simulated node has its own of these (actors.simulation.programs)

    def _now(self) -> float:
        return time.monotonic()

    def _make_run(self) -> ThreadRun:
        return ThreadRun(self._config, self._listeners, self._counters, self._system, self._root_class())

    def _make_stream(self, queue: EventQueue, names: frozenset[str]) -> EventStream[Any]:
        return EventStream(queue, self._listeners, names)

    def _keep_for_exit(self) -> None:
        stop_at_exit(self)

    # -- inside

    def _ask(self, command: commands.Command[commands.A]) -> commands.A:
        return self._active_run().ask(command)

    def _active_run(self) -> ThreadRun:
        run = self._run
        if run is None or self._client is None:
            raise NotActive(NOT_RUNNING)
        if self._client.failure:
            raise NotActive(f"the node has failed: {self._client.failure}")
        return run

    def _request(self, procedure: str, data: object, timeout_s: float | None, peer_id: str | None) -> Response:
        answer = self._ask(self._active().commands.request(procedure, data, timeout_s, peer_id))
        return Response(answer.peer_id, answer.data)

    def _send(self, run: ThreadRun, message: m.SendMessage | m.BroadcastMessage, wait: bool) -> None:
        if wait:
            run.ask(commands.Command(message, m.Done))
        else:
            run.post(message)
