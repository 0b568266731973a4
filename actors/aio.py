"""``P2P`` for asyncio: the node is a guest in the caller's loop, and every call that waits is a coroutine.

    async with aio.P2P(port=5001, seed_peers=["203.0.113.7:5001"]) as p2p:
        await p2p.broadcast("hello", {"from": "Python"})
        async for message in p2p.events(MessageReceived):
            print(message.peer_id, message.event)

:mod:`actors.api` is the same for threads, and says more about each method.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, overload

from actors import commands
from actors.aio_run import AsyncEventStream, AsyncRun
from actors.client import ClientCounters, IncomingRequest, count_drop, new_queue
from actors.commands import Response, check_number
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
from core import messages as m
from core.decisions import Decision
from core.errors import AlreadyActive, Misuse, NotActive, StopFailed
from core.events import ConnectOutbound, Event, NewInboundPeer, PeerInfo, RequestReceived
from core.wire.payloads import NodeInfo

__all__ = ["P2P", "AsyncEventStream", "ClientCounters", "IncomingRequest", "Response"]


class P2P(Surface):
    """A peer-to-peer node in the running asyncio loop. All methods are for that loop's thread.

    Arguments as for :class:`actors.api.P2P`. Handlers may be functions or coroutine functions. Functions run one after
    the other, in order, and must not block. Each call of a coroutine function is a task of its own, started in order;
    at most ``max_handler_tasks`` run at a time, then events wait (1: strictly one after the other).
    """

    def __init__(
        self,
        config: ConfigSource | None = None,
        /,
        *,
        system: System = "inproc",
        node_class: type[Any] | None = None,
        max_handler_tasks: int = 64,
        **options: Any,
    ) -> None:
        super().__init__(config, options, system=system, node_class=node_class)
        if max_handler_tasks < 1:
            raise Misuse(f"expected max_handler_tasks to be 1 or more, got {max_handler_tasks!r}")
        self._max_handler_tasks = max_handler_tasks
        self._run: AsyncRun | None = None
        self._lifecycle = asyncio.Lock()  # held while starting and stopping
        self._is_stopping = False

    # -- life

    async def start(self) -> None:
        """Start the node; returns when it listens. Raises AlreadyActive, or StartFailed with the node's reason."""
        if self._run is not None:
            raise AlreadyActive("the node is running, or being started or stopped")
        run = self._run = AsyncRun(
            self._config,
            self._listeners,
            self._counters,
            self._system,
            self._root_class(),
            self._max_handler_tasks,
        )
        self._lifecycle = asyncio.Lock()  # a lock belongs to a loop, and this one may not be the last start's
        async with self._lifecycle:
            try:
                run.client.subscribe()
                answer = await run.ask(commands.start(self._config))
            except BaseException as error:
                await run.close(asyncio.get_running_loop().time() + 1.0)
                self._run = None
                if (failure := start_failure(error)) is not None:
                    raise failure from error
                raise
            self._started(run.client, answer)
            run.start_handlers()

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Close every connection in order and end the node, in ``timeout_s`` seconds at most.

        Does nothing if the node does not run. May be called from a handler, from several tasks, and while another task
        starts the node. Messages and requests that were not handled yet are discarded; handlers that still run then
        have the rest of the time, and are cancelled. Event streams end. Raises StopFailed if it came to that, or if
        the node did not end in time.
        """
        check_number(timeout_s, "timeout_s", above=0, at_most=MAX_STOP_S)
        run = self._run
        if run is None or (self._is_stopping and run.is_handler_task):
            return  # the stopping task waits for this very handler
        if self._client is None and not self._is_stopping:
            run.client.close()  # it is being started: that fails now
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._lifecycle.acquire()
        except TimeoutError:
            raise StopFailed("another task has been starting or stopping the node all the time") from None
        try:
            problem = await self._close(deadline)
        finally:
            self._lifecycle.release()
        if problem:
            raise StopFailed(f"the node was ended hard: {problem}")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def _close(self, deadline: float) -> str:
        run = self._run
        if run is None:
            return ""
        self._is_stopping = True
        self._stopping()
        try:
            return await run.close(deadline)
        finally:
            self._stopped()
            self._run = None
            self._is_stopping = False

    # -- what the node knows

    async def get_node_info(self) -> NodeInfo:
        """Our node info as it is pushed to peers: chain id, network version, nonce, custom options."""
        return self._keep(await self._ask(commands.NODE_INFO))

    async def apply_node_info(self, options: Mapping[str, object]) -> NodeInfo:
        """Replace the custom options of our node info and push it to every peer. Raises InvalidNodeInfo."""
        return self._keep(await self._ask(self._active().commands.apply_node_info(options)))

    async def get_connected_peers(self) -> tuple[PeerInfo, ...]:
        """All connected peers, outbound first."""
        return (await self._ask(commands.CONNECTED_PEERS)).peers

    async def get_disconnected_peers(self) -> tuple[PeerInfo, ...]:
        """All known peers that are not connected."""
        return (await self._ask(commands.DISCONNECTED_PEERS)).peers

    async def get_tried_peers(self) -> tuple[PeerInfo, ...]:
        """Known peers to which a connection has succeeded before."""
        return (await self._ask(commands.TRIED_PEERS)).peers

    async def get_network_stats(self) -> m.NetworkStats:
        """Counters of the node since its start; those of traffic are about a second old at most."""
        return await self._ask(commands.NETWORK_STATS)

    # -- peers in trouble

    async def apply_penalty(self, peer_id: str, penalty: int, reason: str = "") -> None:
        """Subtract ``penalty`` points from a connected peer's reputation of 100; at 0 it is banned."""
        await self._ask(self._active().commands.apply_penalty(peer_id, penalty, reason))

    async def ban(self, address: str, reason: str = "", *, duration_s: float | None = None) -> None:
        """Ban an IP address, given as such or by a peer id, for ``duration_s`` (None: ``peer_ban_time_s``).

        All its connections are closed, none is accepted or dialled until then. Raises Misuse for an address that is
        trusted: of a fixed, whitelisted or seed peer.
        """
        await self._ask(self._active().commands.ban(address, reason, duration_s))

    async def unban(self, address: str) -> None:
        """End the ban of an IP address, given as such or by a peer id. Raises Misuse if it is not banned."""
        await self._ask(self._active().commands.unban(address))

    async def bans(self) -> tuple[m.Ban, ...]:
        """All bans in force: address, end and reason of each."""
        return (await self._ask(commands.BANS)).bans

    async def explain(self, peer: str) -> tuple[Decision, ...]:
        """Every decision about a peer (its id, or an IP address) that is still kept, in order."""
        return (await self._ask(self._active().commands.explain(peer))).decisions

    # -- messages and requests

    async def request(self, procedure: str, data: object = None, *, timeout_s: float | None = None) -> Response:
        """Ask a peer that the selection rule picks, and wait for its answer.

        Raises PeerNotFound, RequestTimedOut, RequestRefused or ConnectionLost.
        """
        run = self._active_run()
        answer = await run.ask(run.client.commands.request(procedure, data, timeout_s, None))
        return Response(answer.peer_id, answer.data)

    async def request_from_peer(
        self, peer_id: str, procedure: str, data: object = None, *, timeout_s: float | None = None
    ) -> Response:
        """Like :meth:`request`, to one peer; raises PeerNotFound if it is not connected."""
        if peer_id is None:
            raise Misuse("expected a peer id; request() picks a peer by itself")
        run = self._active_run()
        answer = await run.ask(run.client.commands.request(procedure, data, timeout_s, peer_id))
        return Response(answer.peer_id, answer.data)

    async def send(self, event: str, data: object = None, *, wait: bool = False) -> None:
        """Send a message to the peers that the selection rule picks (``send_peer_limit``, 16).

        Does not wait, unless the program sends faster than the node can forward. ``wait=True`` waits until the node
        has handed the message to its peers, and raises PeerNotFound if there are none.
        """
        run = self._active_run()
        await self._send(run, run.client.commands.message(event, data, None), wait)

    async def send_to_peer(self, peer_id: str, event: str, data: object = None, *, wait: bool = True) -> None:
        """Send a message to one peer; waits until it was handed over. Raises PeerNotFound or SendFailed.

        ``wait=False`` does not wait, like :meth:`send`: a loss is then only a ``FailedToSendMessage`` event.
        """
        if peer_id is None:
            raise Misuse("expected a peer id; send() picks peers by itself")
        run = self._active_run()
        await self._send(run, run.client.commands.message(event, data, peer_id), wait)

    async def broadcast(self, event: str, data: object = None, *, wait: bool = False) -> None:
        """Send a message to every connected peer; otherwise like :meth:`send`."""
        run = self._active_run()
        await self._send(run, run.client.commands.broadcast(event, data), wait)

    # -- events

    @overload
    def events(self, event: type[RequestReceived], /) -> AsyncEventStream[IncomingRequest]: ...  # type: ignore[overload-overlap]
    @overload
    def events(self, event: type[E], /, *events: type[E]) -> AsyncEventStream[E]: ...
    @overload
    def events(self, *events: type[Event] | str) -> AsyncEventStream[Any]: ...
    def events(self, *events: type[Event] | str) -> AsyncEventStream[Any]:
        """A stream of events of these classes or names, all of them if none is given, from now on.

        Use it with ``async for``, as a context manager, or close() it. May be made before ``start()``; ends with
        ``stop()``.
        """
        names = event_names(events)
        queue = new_queue(self._config, functools.partial(count_drop, self._counters))
        stream: AsyncEventStream[Any] = AsyncEventStream(queue, self._listeners, names)
        self._subscribe()
        return stream

    @overload
    async def wait_for(  # type: ignore[overload-overlap]
        self,
        event: type[RequestReceived],
        predicate: Callable[[IncomingRequest], bool] | None = None,
        timeout_s: float | None = None,
    ) -> IncomingRequest: ...
    @overload
    async def wait_for(
        self, event: type[E], predicate: Callable[[E], bool] | None = None, timeout_s: float | None = None
    ) -> E: ...
    @overload
    async def wait_for(
        self, event: str, predicate: Callable[[Any], bool] | None = None, timeout_s: float | None = None
    ) -> Any: ...
    async def wait_for(
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
        async with self.events(event) as stream:
            try:
                async with asyncio.timeout(timeout_s):
                    while True:
                        found = await stream.get()
                        if predicate is None or predicate(found):
                            return found
            except TimeoutError:
                raise TimeoutError(f"no such event within {timeout_s:g} s") from None

    async def wait_for_peers(self, count: int = 1, *, timeout_s: float | None = None) -> tuple[PeerInfo, ...]:
        """Wait until ``count`` peers are connected, and return all that are, outbound first.

        Raises TimeoutError (after ``timeout_s`` seconds; None waits for ever), or NotActive when the node is stopped.
        """
        check_count(count)
        peers: tuple[PeerInfo, ...] = ()
        try:
            async with asyncio.timeout(timeout_s), self.events(ConnectOutbound, NewInboundPeer) as stream:
                while len(peers := await self.get_connected_peers()) < count:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stream.get(), LOOK_AGAIN_S)
                return peers
        except TimeoutError:
            raise TimeoutError(f"{len(peers)} of {count} peers within {timeout_s:g} s") from None

    # -- inside

    async def _ask(self, command: commands.Command[commands.A]) -> commands.A:
        return await self._active_run().ask(command)

    def _active_run(self) -> AsyncRun:
        run = self._run
        if run is None or self._client is None:
            raise NotActive(NOT_RUNNING)
        if self._client.failure:
            raise NotActive(f"the node has failed: {self._client.failure}")
        return run

    async def _send(self, run: AsyncRun, message: m.SendMessage | m.BroadcastMessage, wait: bool) -> None:
        if wait:
            await run.ask(commands.Command(message, m.Done))
        elif not run.post_at_once(message):
            await run.post(message)
