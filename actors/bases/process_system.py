"""A program's side of a multi-process system: it starts the warden, and exchanges messages with the actors.

One thread does all of it. Sending is a matter of a queue and a wake-up, so that any thread may send, and never waits.
"""

from __future__ import annotations

import logging
import os
import secrets
import select
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from thespian.actors import PoisonMessage, WatchMessage
from thespian.system import isInternalActorSystemMessage
from thespian.system.transport import ReceiveEnvelope

from actors.bases.lanes import Bundle, Done, Lanes
from actors.bases.seal import Seal, SealedBuffer, new_key
from actors.bases.sealed_transport import LOOPBACK, client_transport, intent_for, sealed_transport
from actors.bases.warden_terms import MAX_RECORD_BYTES, MAX_TERMS_BYTES, STOP, Said, SystemTerms, replay
from core.events import NodeFailed
from core.messages import Done as StopDone
from core.messages import EventBatch, StopNode

log = logging.getLogger("ensemble.multiprocess")

CLOSE_LIMIT_S = 5.0
KILL_LIMIT_S = 2.0

CONVENTION = {
    "CONVENTION_RESTART_PERIOD": "00:02",
    "CONVENTION_REREGISTRATION_PERIOD": "00:02",
    "CONVENTION_REGISTRATION_MISS_MAX": "8",
}
"""How often, minutes and seconds, a host on its own looks for its leader, and tells it that it is there."""

OnMessage = Callable[[Any, Any], None]
_CALL: Any = object()
"""In place of an address: what follows is to be called."""

Deliver = Callable[[Callable[[], None]], None]
"""Runs a function where the program wants its messages; may do so later."""

_open: weakref.WeakSet[ProcessSystem] = weakref.WeakSet()


class ProcessSystem:
    """One multi-process actor system with a root actor of ``root_class``. It is being started when this returns.

    ``on_message`` gets what the actors send, by ``deliver`` if that is given, else in the system's own thread. It
    gets an EventBatch with NodeFailed when the system has ended by itself, whatever the reason.
    """

    def __init__(
        self,
        root_class: type[Any] | None,
        on_message: OnMessage,
        *,
        deliver: Deliver | None = None,
        interface: str = LOOPBACK,
        log_level: int = logging.WARNING,
        key: bytes | None = None,
        capabilities: dict[str, Any] | None = None,
        preloaded: list[str] | None = None,
    ) -> None:
        self._on_message = on_message
        self._deliver = deliver
        self._root_class = root_class
        self._interface = interface
        self._log_level = log_level
        self._seal = Seal(new_key() if key is None else key)
        self.name = secrets.token_hex(8)
        """Part of the names of all Unix sockets of the system. As a capability, it tells two of one host apart."""
        self._preloaded = preloaded or []
        self._outgoing: deque[tuple[Any, Any]] = deque()
        self._is_signalled = False
        self._is_closing = False
        self._ended: str | None = None
        self.root: Any = None
        self.admin: Any = None
        self._transport: Any = None
        self._lanes = Lanes(self._transmit)
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lifeline, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._records, their_records = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._warden = self._spawn(theirs, their_records, capabilities or {})
        except BaseException:
            self._close_descriptors()
            raise
        finally:
            theirs.close()
            their_records.close()
        _open.add(self)
        self._thread = threading.Thread(target=self._main, name="ensemble-processes", daemon=True)
        self._thread.start()

    def _spawn(self, theirs: socket.socket, records: socket.socket, capabilities: dict[str, Any]) -> Any:
        path = os.pathsep.join(one or os.getcwd() for one in sys.path)
        terms = SystemTerms(
            name=self.name,
            key=self._seal.key,
            root_module="" if self._root_class is None else self._root_class.__module__,
            root_class="" if self._root_class is None else self._root_class.__qualname__,
            interface=self._interface,
            log_level=self._log_level,
            log_fd=records.fileno(),
            capabilities={**capabilities, "incarnation": self.name},
            preloaded=self._preloaded,
        )
        warden = subprocess.Popen(
            [sys.executable, "-P", "-m", "actors.bases.warden", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), records.fileno()),
            env={**os.environ, **CONVENTION, "PYTHONPATH": path},
            start_new_session=True,
        )
        self._lifeline.send(msgspec.json.encode(terms))
        return warden

    # ---- for any thread ----

    @property
    def warden_pid(self) -> int:
        """The first process of the system; every other one is its descendant."""
        pid: int = self._warden.pid
        return pid

    @property
    def key(self) -> bytes:
        """What signs every packet of the system."""
        return self._seal.key

    def has_ended(self) -> bool:
        """Whether it has ended, by itself or by :meth:`close`."""
        return self._ended is not None

    def tell(self, address: Any, message: Any) -> None:
        """Send to an actor. Never waits, takes no lock."""
        self._outgoing.append((address, message))
        self._ring()

    def tell_root(self, message: Any) -> None:
        """Send to the root actor, which may not exist yet."""
        self._outgoing.append((None, message))
        self._ring()

    def soon(self, call: Callable[[], None]) -> None:
        """Have ``call()`` called where the messages come in, in turn with what is sent. Never waits."""
        self._outgoing.append((_CALL, call))
        self._ring()

    def _ring(self) -> None:
        if not self._is_signalled:
            self._is_signalled = True
            try:
                os.eventfd_write(self._bell, 1)
            except (OSError, ValueError):
                return  # closed, or closed and marked so: nobody is there to send it

    def close(self, limit_s: float = CLOSE_LIMIT_S) -> bool:
        """End the system. Whether all of it has gone within the limit; if not, it is being killed."""
        self._is_closing = True
        self._ring()
        if threading.current_thread() is self._thread:
            return False
        self._thread.join(limit_s + KILL_LIMIT_S)
        return not self._thread.is_alive()

    # ---- the thread ----

    def _main(self) -> None:
        try:
            if self._await_ready():
                self._serve()
        except Exception:
            log.exception("the connection to the actors has failed")
            self._end("the connection to the actors has failed; the log says why")
        finally:
            self._finish()

    def _await_ready(self) -> bool:
        watched = [self._lifeline.fileno(), self._records.fileno(), self._bell]
        while self.admin is None and self._ended is None and not self._is_closing:
            ready, _, _ = select.select(watched, [], [])
            self._look(ready)
        return self.admin is not None

    def _serve(self) -> None:
        self._transport = client_transport(sealed_transport(self._seal, self._interface), self.admin)
        self._transport.interrupt_wait = lambda *_, **__: None  # the bell does that
        self._transport.set_watch([self._lifeline.fileno(), self._records.fileno(), self._bell])
        self._send_outgoing()
        while self._ended is None and not self._is_closing:
            self._transport.run(self._take)

    def _take(self, envelope: Any) -> bool:
        message = getattr(envelope, "message", None)
        if isinstance(message, WatchMessage):
            self._look(message.ready)
        elif isinstance(message, Bundle):
            self._hand_over([(one, envelope.sender) for one in message.messages])
        elif isinstance(envelope, ReceiveEnvelope) and not isInternalActorSystemMessage(message):
            self._hand_over([(message, envelope.sender)])
        return self._ended is None and not self._is_closing

    def _hand_over(self, messages: list[tuple[Any, Any]]) -> None:
        def call() -> None:
            for message, sender in messages:
                try:
                    self._on_message(message, sender)
                except Exception:
                    log.exception("the program failed on a %s", type(message).__name__)

        if self._deliver is None:
            call()
            return
        try:
            self._deliver(call)
        except RuntimeError:
            self._is_closing = True  # the program's loop has ended without stopping the node

    def _look(self, ready: list[int]) -> None:
        if self._bell in ready:
            os.eventfd_read(self._bell)
            self._is_signalled = False  # after reading: whoever rings from now on is heard in the next turn
            self._send_outgoing()
        if self._records.fileno() in ready:
            self._read_records()
        if self._lifeline.fileno() in ready:
            self._read_lifeline()

    def _read_records(self) -> None:
        for _ in range(100):
            try:
                data = self._records.recv(MAX_RECORD_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if not data:
                self._end("all its processes have ended")
                return
            try:
                replay(data)
            except msgspec.DecodeError:
                continue  # cut in the middle of something long

    def _read_lifeline(self) -> None:
        data = self._lifeline.recv(MAX_TERMS_BYTES, socket.MSG_DONTWAIT)
        if not data:
            self._end("its warden process has ended")
            return
        said = msgspec.json.decode(data, type=Said)
        if said.ended is not None:
            self._end(said.ended.reason)
        elif said.ready is not None:
            buffer = SealedBuffer(self._seal)
            buffer.addMore(said.ready.addresses)
            opened = buffer.completed()
            if opened is not None:
                self.admin, self.root = opened[0]

    def _end(self, reason: str) -> None:
        if self._ended is None:
            self._ended = reason
            if not self._is_closing:
                self._hand_over([(EventBatch((NodeFailed(reason=f"the actor system has ended: {reason}"),)), None)])

    # ---- sending ----

    def _send_outgoing(self) -> None:
        if self._ended is None and self._transport is None:
            return
        while self._outgoing:
            address, message = self._outgoing.popleft()
            if address is _CALL:
                message()
            elif self._ended is None:
                target = self.root if address is None else address
                self._lanes.send(target.addressDetails.sockname, target, message)

    def _transmit(self, address: Any, message: Any, done: Done) -> None:
        intent = intent_for(address, message, lambda result, _intent: done(bool(result)))
        try:
            self._transport.scheduleTransmit(None, intent)
        except Exception as error:
            for one in message.messages if isinstance(message, Bundle) else (message,):
                self._hand_over([(PoisonMessage(one, f"{type(error).__name__}: {error}"), address)])
            done(False)

    # ---- the end ----

    def _finish(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self._end_warden()
        self._ended = self._ended or "it was stopped"
        self._answer_stops()
        self._close_descriptors()

    def _answer_stops(self) -> None:
        """A node that has ended has stopped: whoever asks for it need not wait."""
        while self._outgoing:
            _, message = self._outgoing.popleft()
            if isinstance(message, StopNode):
                self._hand_over([(StopDone(message.request_id), None)])

    def _end_warden(self) -> None:
        try:
            self._lifeline.send(STOP, socket.MSG_NOSIGNAL)
        except OSError:
            log.debug("the warden has gone before it was told to")
        self._drain(time.monotonic() + CLOSE_LIMIT_S / 2)
        try:
            self._warden.wait(KILL_LIMIT_S / 2)
        except subprocess.TimeoutExpired:
            log.warning("the actors did not end in time and are killed")
            self._warden.kill()  # the others die with it
            self._warden.wait(KILL_LIMIT_S)
            self._drain(time.monotonic() + KILL_LIMIT_S / 2)

    def _drain(self, deadline: float) -> None:
        """Read log records until the last process of the system has gone: then, and only then, the stream ends."""
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._records], [], [], left)[0]:
                try:
                    data = self._records.recv(MAX_RECORD_BYTES)
                    if not data:
                        return
                    replay(data)
                except (OSError, msgspec.DecodeError):
                    continue

    def _close_descriptors(self) -> None:
        self._lifeline.close()
        self._records.close()
        bell, self._bell = self._bell, -1
        if bell >= 0:
            os.close(bell)


def _forget_after_fork() -> None:
    """A fork of the program must not keep its actors alive."""
    for system in list(_open):
        system._close_descriptors()


os.register_at_fork(after_in_child=_forget_after_fork)
