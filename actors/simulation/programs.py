"""``P2P`` on a simulated node: the same two classes that programs use on real networks, in virtual time.

:class:`SimP2P` is :class:`actors.api.P2P`, :class:`SimAioP2P` is :class:`actors.aio.P2P`, to the letter; what differs
is where the node runs, and that waiting lets virtual time pass. All timeouts are virtual seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from actors import aio, api
from actors.aio_run import AsyncRun
from actors.bases.sim_node import SimNode
from actors.client import Client, ClientCounters, SendWindow
from actors.commands import CALL_TIMEOUT_S, STOP, Command, checked_answer, silence
from actors.event_queue import EventQueue, Item, is_payload
from actors.incoming import IncomingRequest
from actors.listeners import Listeners
from actors.thread_run import CHUNK, STOP_SHARE, EventStream, ThreadRun
from core import messages as m
from core.errors import EnsembleError, NotActive, SendFailed
from core.ids import PeerId

if TYPE_CHECKING:
    from actors.simulation.stage import Player, Stage

A = TypeVar("A", bound=m.Query)
T = TypeVar("T")

LEAVE_S = 5.0
"""Virtual seconds that the actors of a stopped node get to end."""


class SimSession:
    """One run of a simulated node, as :class:`actors.session.Session` is of a real one."""

    def __init__(self, node: SimNode, on_message: Callable[[Any, Any], None]) -> None:
        self._node = node
        base = node.sim.base
        self._endpoint = base.open_endpoint(on_message)
        self._address = node.boot()
        self.tell: Callable[[Any, m.ActorMessage], None] = self._endpoint.deliver
        self.soon: Callable[[Callable[[], None]], None] = self._endpoint.soon

    def tell_node(self, message: m.ActorMessage) -> None:
        """Send to the Node."""
        self._endpoint.deliver(self._address, message)

    def hurry(self, call: Callable[[], None], again: bool) -> bool:
        """Never: waiting costs no real time here."""
        return False

    def hand(self, address: Any, message: m.ActorMessage, again: bool) -> bool:
        """Never either."""
        return False

    def expect(self, remote: Hashable) -> None:
        """Nor does being woken."""

    def after_turn(self, call: Callable[[], None]) -> None:
        """Call when the actors have done what they are at, in the loop that is running this program."""
        raise NotImplementedError

    def close(self) -> None:
        """Tell the actors to end; they are gone a moment later."""
        self._endpoint.close()
        if self._node.is_running:
            self._node.leave()


class _AioSession(SimSession):
    def __init__(self, node: SimNode, on_message: Callable[[Any, Any], None]) -> None:
        super().__init__(node, on_message)
        self._loop = asyncio.get_running_loop()

    def after_turn(self, call: Callable[[], None]) -> None:
        self._loop.call_soon(call)

    async def aclose(self) -> None:
        """Close, and wait until the actors are gone."""
        self.close()
        deadline = self._loop.time() + LEAVE_S
        while self._node.is_running and self._loop.time() < deadline:
            await asyncio.sleep(0.01)


class SimSystem:
    """A place to run for the asyncio form: a simulated node instead of a system's name."""

    def __init__(self, node: SimNode) -> None:
        self._node = node

    def open_session(self, on_message: Callable[[Any, Any], None]) -> _AioSession:
        """Make the actors of one run."""
        return _AioSession(self._node, on_message)


# ---- the form for threads ----------------------------------------------------------------------------------------


class SimRun(ThreadRun):
    """One run of a node for the threads form: its handlers are a program on the stage."""

    def __init__(self, node: SimNode, stage: Stage, listeners: Listeners, counters: ClientCounters) -> None:
        self._listeners = listeners
        self._counters = counters
        self._node = node
        self._stage = stage
        self._is_draining = False
        self._handling = None
        self._window = SendWindow()
        self._marks: deque[Future[m.Query]] = deque()
        self._player: Player | None = None
        self.client = Client(node.config, listeners, counters, self._wake)
        self._sim_session = SimSession(node, self._on_message)
        self.client.attach(self._sim_session)

    def _on_message(self, message: Any, sender: Any) -> None:
        self.client.on_message(message, sender)
        self._stage.changed()

    def _wake(self) -> None:
        if self._player is not None:
            self._player.wake()

    # -- calls

    def ask(self, command: Command[A], timeout_s: float | None = None) -> A:
        """As on a real node; virtual time passes until the answer is here."""
        patience_s = command.timeout_s if timeout_s is None else timeout_s
        future: Future[m.Query] = Future()
        number = self.client.call(command.message, future)
        if not self._stage.wait(future.done, patience_s) and self.client.calls.forget(number):
            raise silence(command, patience_s)
        return checked_answer(command, future.result())

    def post(self, message: m.SendMessage | m.BroadcastMessage) -> None:
        """As on a real node: a program that sends faster than its node can forward is slowed down."""
        if not self._window.is_due(len(message.data or b"")):
            self.client.send(message, message.peer_id if type(message) is m.SendMessage else None)
            return
        while len(self._marks) >= SendWindow.OPEN_MARKS:
            self._await_mark(self._marks.popleft())
        mark: Future[m.Query] = Future()
        self.client.call(message, mark)
        self._marks.append(mark)

    def _await_mark(self, mark: Future[m.Query]) -> None:
        if not self._stage.wait(mark.done, CALL_TIMEOUT_S):
            raise SendFailed(f"the node has not taken messages for {CALL_TIMEOUT_S:g} s")
        error = mark.exception()
        if isinstance(error, NotActive):
            raise error

    # -- life

    def start_handlers(self) -> None:
        """Begin to run handlers, first for what has happened since the start."""
        self._player = self._stage.add(self._node.name, self._handle_events)
        if len(self.client.queue):
            self._player.wake()

    @property
    def is_handler_thread(self) -> bool:
        """Whether a handler is calling."""
        return self._player is not None and self._player.is_me

    def close(self, deadline: float) -> str:
        """Stop the node and end everything, by ``deadline`` (virtual time). Returns what went wrong, or ""."""
        problem = ""
        self._is_draining = True
        try:
            self.ask(STOP, max(0.0, deadline - self._stage.sim.now) * STOP_SHARE)
        except EnsembleError as error:
            problem = str(error)
        finally:
            self.client.close()
            self._sim_session.close()
            has_ended = self._stage.wait(lambda: not self._node.is_running, LEAVE_S)
            self.abandon()
        return problem or ("" if has_ended else "an actor does not end")

    def abandon(self) -> None:
        """The node is gone: end calls, and the handlers' thread as soon as it does not wait."""
        self.client.close()
        self._stage.changed()
        if self._player is not None:
            self._player.end()
            if not self._player.is_me:
                self._player.wake()

    # -- in the handlers' thread

    def _handle_events(self) -> None:
        while chunk := self.client.queue.take(CHUNK):
            chunk.reverse()
            while chunk:
                self._handle(chunk.pop())  # not kept: a request nobody keeps is refused when it goes away

    def _handle(self, item: Item) -> None:
        if self._is_draining and is_payload(item):
            self._counters.events_dropped_total += 1
            return
        for entry in self._listeners.claim(item):
            try:
                result = entry.handler(item)
            except Exception as error:
                self._listeners.raised(item, entry, error)
            else:
                if type(item) is IncomingRequest:
                    self._listeners.returned(item, entry, result)


class SimEventStream(EventStream[T]):
    """Events as they come, in virtual time."""

    def __init__(self, queue: EventQueue, listeners: Listeners, names: frozenset[str], stage: Stage) -> None:
        self._stage = stage
        super().__init__(queue, listeners, names)

    def close(self) -> None:
        """Collect no more. What has been collected can still be read."""
        super().close()
        self._stage.changed()

    def _next(self, timeout_s: float | None) -> T | None:
        if not self._stage.wait(lambda: len(self._queue) > 0 or self._is_closed, timeout_s):
            raise TimeoutError(f"no event within {timeout_s:g} s")
        taken: list[Any] = list(self._queue.take(1))
        return taken[0] if taken else None


class SimP2P(api.P2P):
    """``P2P`` on a simulated node. Made by :meth:`actors.simulation.network.SimulatedNetwork.add`.

    Calls that wait may be made by whoever runs the simulation (a test), by handlers, and by what
    :meth:`~actors.simulation.network.SimulatedNetwork.at` has called.
    """

    def __init__(self, node: SimNode, stage: Stage) -> None:
        super().__init__(node.config)
        self.node = node
        self.name = node.name
        self._stage = stage

    def __repr__(self) -> str:
        return f"<SimP2P {self.name} at {self.peer_id}, {'active' if self.is_active else 'not active'}>"

    @property
    def peer_id(self) -> PeerId:
        """How others know it."""
        return self.node.peer_id

    def crash(self, *, silent: bool = False) -> None:
        """The program dies without a word, or (``silent``) its machine loses power. :meth:`start` brings it back, with
        what it had in its ``data_dir``."""
        run = self._run
        if not isinstance(run, SimRun):
            raise NotActive("the node is not running")
        self._stopping()
        self.node.crash(silent=silent)
        run.abandon()
        self._stopped()
        self._run = None

    # -- what differs

    def _now(self) -> float:
        return self._stage.sim.now

    def _make_run(self) -> ThreadRun:
        return SimRun(self.node, self._stage, self._listeners, self._counters)

    def _make_stream(self, queue: EventQueue, names: frozenset[str]) -> EventStream[Any]:
        return SimEventStream(queue, self._listeners, names, self._stage)

    def _keep_for_exit(self) -> None:
        """Nothing of it outlives the simulation."""


# ---- the form for asyncio ----------------------------------------------------------------------------------------


class SimAioP2P(aio.P2P):
    """``aio.P2P`` on a simulated node; all its calls belong to the network's virtual loop."""

    def __init__(self, node: SimNode) -> None:
        super().__init__(node.config)
        self.node = node
        self.name = node.name
        self._system: Any = SimSystem(node)

    def __repr__(self) -> str:
        return f"<SimAioP2P {self.name} at {self.peer_id}, {'active' if self.is_active else 'not active'}>"

    @property
    def peer_id(self) -> PeerId:
        """How others know it."""
        return self.node.peer_id

    async def crash(self, *, silent: bool = False) -> None:
        """The program's node dies without a word, or (``silent``) its machine loses power. Its handlers are cancelled;
        :meth:`start` brings it back, with what it had in its ``data_dir``."""
        run: AsyncRun | None = self._run
        if run is None:
            raise NotActive("the node is not running")
        self._stopping()
        self.node.crash(silent=silent)
        run.client.close()
        await run.close(asyncio.get_running_loop().time())
        self._stopped()
        self._run = None
