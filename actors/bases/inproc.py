"""The in-process system base: all actors of one system in one event loop.

    base = InProcessBase(logDefs=False)
    system = ActorSystem(systemBase=base, transientUnique=True)

``transientUnique`` matters: without it Thespian silently replaces a second base of the same class by the first one.
``logDefs`` is a :func:`logging.config.dictConfig` dictionary; None takes Thespian's default, which reconfigures the
root logger, and False leaves logging as it is.

``drive`` says who runs the loop:

* ``"thread"``: a thread of its own. ``tell`` and ``ask`` from any thread.
* ``"caller"``: the thread that calls ``ask``, ``listen``, ``tell`` or :meth:`InProcessBase.run_until` runs it.
  Nothing happens in between: for tests, tools and simulations.
* ``"asyncio"``: the asyncio loop that runs when the base is created. In its thread, use :meth:`open_endpoint`: waiting
  in ``ask`` or ``listen`` would stop the loop that is to bring the answer, and raises RuntimeError.

Messages are passed by reference and must be treated as immutable once sent. With ``strict=True`` every message is
pickled when it is sent, as between processes; use it in tests.

The layers below: reactor (turns), delivery (failures, dead letters), host (births and deaths), then this module.
"""

from __future__ import annotations

import functools
import itertools
import logging
import logging.config
import os
import sys
import weakref
from collections.abc import Callable, Mapping
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from thespian.actors import (  # type: ignore[import-untyped, unused-ignore]
    ActorAddress,
    ActorSystemFailure,
    ActorSystemRequestTimeout,
    ThespianGeneration,
)
from thespian.system.simpleSystemBase import (  # type: ignore[import-untyped, unused-ignore]
    defaultLoggingConfig,
)

from actors.bases.cell import HOSTS, ActorCell, Cell
from actors.bases.drivers import make_driver
from actors.bases.endpoint import CLOSED, Endpoint, OnMessage
from actors.bases.environment import Environment, SystemEnvironment
from actors.bases.host import ActorHost
from actors.bases.reactor import Events
from core.lookout import Lookout

log = logging.getLogger(__name__)

T = TypeVar("T")

CALL_LIMIT_S = 50.0
"""How long a caller outside waits for the loop to create an actor and the like; Thespian's own limit."""
SHUTDOWN_LIMIT_S = 10.0
"""How long shutdown() waits for the actors; Thespian's own limit."""


class _Call:
    """A function to be called in the loop, and the queue for what it returns or raises."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self.reply: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def __call__(self) -> None:
        try:
            self.reply.put((self._function(), None))
        except Exception as error:
            self.reply.put((None, error))

    def refuse(self) -> None:
        self.reply.put((None, ActorSystemFailure("the actor system has been shut down")))


class InProcessBase(ActorHost):
    """A Thespian system base. ``InProcessBase(system, logDefs=...)`` is how Thespian creates one by name.

    ``capabilities`` adds to those every base announces; ``environment`` gives clock and entropy to base and actors.
    ``busy_poll_s``: how long the loop goes on looking, at most, before it sleeps (:mod:`core.lookout`).
    Raises ValueError for an unknown ``drive``, RuntimeError if asyncio is asked for outside a running loop.
    """

    def __init__(
        self,
        system: Any = None,
        logDefs: Any = None,
        *,
        capabilities: Mapping[str, Any] | None = None,
        strict: bool = False,
        drive: str = "thread",
        environment: Environment | None = None,
        busy_poll_s: float = 0.0,
    ) -> None:
        self.drive = drive
        self.lookout = Lookout(busy_poll_s)
        self._driver = make_driver(drive, self)
        if logDefs is not False:
            logging.config.dictConfig(logDefs or defaultLoggingConfig)
        offered: dict[str, Any] = {} if system is None else system.capabilities
        offered.update(capabilities or {})
        super().__init__(environment or SystemEnvironment(), offered, strict=strict)
        self._endpoints: weakref.WeakValueDictionary[str, Endpoint] = weakref.WeakValueDictionary()
        self._endpoint_numbers = itertools.count()
        self._stop_waiters: list[SimpleQueue[Any]] = []
        self._announce_capabilities()
        self._main = self.open_endpoint()
        try:
            self._driver.start()
        except BaseException:
            self._close_descriptors()
            raise

    def _announce_capabilities(self) -> None:
        self.capabilities.update(
            {
                "Python Version": tuple(sys.version_info),
                "Thespian Generation": ThespianGeneration,
                "Thespian Version": str(int(self.environment.wall_now() * 1000)),
                "Thespian ActorSystem Name": "inProcess",
                "Thespian ActorSystem Version": 1,
                "Thespian Watch Supported": os.name == "posix",
                "AllowRemoteActorSources": "No",
            }
        )

    def now(self) -> float:
        """Seconds of the clock that timers and time-outs go by."""
        return self._now()

    @property
    def actorRegistry(self) -> Mapping[str, Any]:
        """Live actors by address text (in a simulation by label), each with its ``instance``: what Thespian's test
        helpers look into."""
        return self.cells

    def find(self, text: str) -> Cell | None:
        endpoint = self._endpoints.get(text.partition("/")[2])
        return super().find(text) if endpoint is None else endpoint.cell

    def _wake(self) -> None:
        self._driver.wake()

    def _on_awake(self, events: Events) -> None:
        if any(key.data is not None for key, _ in events):
            self.lookout.woken(self._now())
        else:
            self.lookout.acted()

    # Sending and waiting, for endpoints.

    def post_from_outside(self, address: ActorAddress, message: Any, sender: ActorAddress) -> None:
        if self.strict:
            message = self.isolate(message)
        cell = getattr(address, "cell", None)
        if cell is None:
            self.post(None, functools.partial(self.dead_letter, address, message), None)
        else:
            cell.host.post(cell, message, sender)

    def send_inside(self, address: ActorAddress, message: Any, sender: ActorAddress) -> None:
        """Send for an endpoint, in the loop."""
        cell = getattr(address, "cell", None)
        if cell is None or cell.host is not self:
            self.post_from_outside(address, message, sender)
        else:
            self.enqueue(cell, self.isolate(message) if self.strict else message, sender)

    def send_from_outside(self, address: ActorAddress, message: Any, sender: ActorAddress) -> None:
        self.post_from_outside(address, message, sender)
        self._driver.settle()

    def forbid_in_loop(self) -> None:
        """Raise RuntimeError if the caller must not block, because it is the loop."""
        if self._driver.in_loop():
            raise RuntimeError(
                "ask() and listen() would stop the loop that is to bring the answer: actors send and handle the "
                "answer as a message; asyncio programs use open_endpoint(on_message)"
            )

    def wait(self, queue: SimpleQueue[Any], timeout_s: float | None) -> Any:
        """Return the next item of ``queue``. Raises queue.Empty, RuntimeError (see :meth:`forbid_in_loop`)."""
        if self.closed:
            return queue.get_nowait()
        self.forbid_in_loop()
        return self._driver.wait(queue, timeout_s)

    def call(self, function: Callable[[], T]) -> T:
        """Call ``function`` in the loop and return what it returns; raise what it raises. Any thread.

        Raises ActorSystemFailure after shutdown, ActorSystemRequestTimeout if the loop does not get round to it.
        """
        if self.closed:
            raise ActorSystemFailure("the actor system has been shut down")
        if self._driver.in_loop():
            self.post(None, _nothing, None)  # what the function does may be work for a sleeping loop
            return function()
        call = _Call(function)
        self.post(None, call, None)
        try:
            result, error = self._driver.wait(call.reply, CALL_LIMIT_S)
        except Empty:
            raise ActorSystemRequestTimeout(f"the loop was blocked for {CALL_LIMIT_S:.0f} s") from None
        if error is not None:
            raise error
        value: T = result
        return value

    def _discard_incoming(self) -> None:
        while self.incoming:
            _, message, _ = self.incoming.popleft()
            if isinstance(message, _Call):
                message.refuse()

    # What Thespian's ActorSystem calls.

    def newPrimaryActor(self, spec: Any, requirements: Any, global_name: str | None, source_hash: str | None) -> Any:
        """Create a top-level actor; see :meth:`ActorHost.create_primary` for what it raises."""
        return self.call(functools.partial(self.create_primary, spec, requirements, global_name, source_hash))

    def tell(self, address: ActorAddress, message: Any) -> None:
        self._main.tell(address, message)

    def ask(self, address: ActorAddress, message: Any, timeout: float | timedelta | None = None) -> Any:
        return self._main.ask(address, message, timeout)

    def listen(self, timeout: float | timedelta | None = None) -> Any:
        return self._main.listen(timeout)

    def external_clone(self) -> Endpoint:
        return self.open_endpoint()

    def updateCapability(self, name: str, value: Any = None) -> None:
        self.call(functools.partial(self.change_capability, name, value))

    def loadActorSource(self, file_or_name: Any) -> str:
        data, info = self.sources.read(file_or_name)
        return self.call(functools.partial(self.sources.load, data, info))

    def unloadActorSource(self, source_hash: str) -> None:
        self.call(functools.partial(self.sources.unload, source_hash))

    def _handleDeadLetters(self, address: ActorAddress, enable: bool) -> None:
        self.call(functools.partial(self.set_dead_letter_handler, address, enable))

    def shutdown(self) -> None:
        """Ask all actors to exit, wait for them (bounded), close every descriptor, end the thread. Idempotent.

        Called by a handler it only asks, and returns.
        """
        if self._driver.in_loop():
            if not self.closed:
                self.begin_stop()
                self._driver.finish()
            return
        done: SimpleQueue[Any] = SimpleQueue()
        self._stop_waiters.append(done)
        self.post(None, self.begin_stop, None)
        if not self.closed:
            try:
                self._driver.wait(done, SHUTDOWN_LIMIT_S)
            except Empty:
                log.error("%s is not shut down after %.0f s: a handler blocks", self.name, SHUTDOWN_LIMIT_S)
        self._driver.join()

    # Ours.

    def open_endpoint(self, on_message: OnMessage | None = None) -> Endpoint:
        """Return a new address outside the actors; see :class:`Endpoint`. Any thread.

        Raises ActorSystemFailure after shutdown.
        """
        if self.closed:
            raise ActorSystemFailure("the actor system has been shut down")
        endpoint = Endpoint(self, f"external.{next(self._endpoint_numbers)}", on_message)
        self._endpoints[endpoint.cell.label] = endpoint
        return endpoint

    def hurry(self, call: Callable[[], None], again: bool) -> bool:
        """Run a turn with ``call()`` in it now, if the driver thinks it right; whether it did. In the loop."""
        return self._driver.hurry(call, again)

    def hand_over(self, address: ActorAddress, message: Any, sender: ActorAddress, again: bool) -> bool:
        """Have an actor of this system handle a message now, if the driver thinks it right; whether it did. In the
        loop."""
        cell: ActorCell | None = getattr(address, "cell", None)
        if cell is None or cell.host is not self or self.strict:
            return False
        return self._driver.hand(cell, message, sender, again)

    def after_turn(self, call: Callable[[], None]) -> None:
        """With ``drive="asyncio"``: call ``call()`` outside the actors, when the present turn is over. In the loop."""
        self._driver.after_turn(call)

    def run_until(self, condition: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """With ``drive="caller"``: run the loop until ``condition()`` holds; False if ``timeout_s`` passed first."""
        return self._driver.run_until(condition, timeout_s)

    def run_for(self, seconds: float) -> None:
        """With ``drive="caller"``: run the loop for so long."""
        self._driver.run_until(lambda: False, seconds)

    def poll(self) -> None:
        """With ``drive="caller"``: do what can be done without waiting."""
        self._driver.run_until(lambda: False, 0.0)
        self._driver.settle()

    # The end, in the loop.

    def _turn_ended(self) -> None:
        if self.stopping and not self.closed and self._stop_finished():
            self.close()

    def close(self) -> None:
        self.closed = True
        try:
            self.sources.unload_all()
            self._driver.detach()
            self._close_descriptors()
            for reference in self._endpoints.valuerefs():
                endpoint = reference()
                if endpoint is not None:
                    endpoint.cell.drain(len(endpoint.cell.inbox))
                    endpoint.close()
            self._discard_incoming()
        finally:
            for waiter in self._stop_waiters:
                waiter.put(CLOSED)

    def _close_descriptors(self) -> None:
        HOSTS.pop(self.name, None)
        self.selector.close()
        self.waker.close()


def _nothing() -> None:
    """Something to post."""
