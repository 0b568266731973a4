"""The process side of the lisk-p2p harness: one Node.js process, its commands, its answers and its event log.

:class:`Driver` starts ``driver/node.js``, writes commands to it and reads answers and events in a thread of its own, so
that nothing here ever waits without a limit. What the commands mean is :mod:`tests.interop.lisk_node`'s affair.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

DRIVER_DIR: Final = Path(__file__).parent / "driver"
MAIN_VERSION: Final = "0.10.0"
DEFAULT_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 6.0  # the driver itself gives the node 3 s
MAX_EVENTS: Final = 100_000

T = TypeVar("T")


class _Absent:
    """The type of :data:`ABSENT`."""

    def __repr__(self) -> str:
        return "ABSENT"


#: No payload at all; different from ``None``, which lisk-p2p sends as the JSON text ``null``.
ABSENT: Final = _Absent()


class LiskNodeError(AssertionError):
    """The harness could not do what was asked: time-out, dead process, or no driver installed."""


class LiskNodeDied(LiskNodeError):
    """The node's process ended while something was expected of it."""


class LiskCallFailed(Exception):
    """lisk-p2p refused or failed a call; `name`, `message` and `details` are those of its JavaScript error."""

    def __init__(self, command: str, error: Mapping[str, Any]) -> None:
        self.command = command
        self.name = str(error.get("name"))
        self.message = str(error.get("message"))
        self.details = dict(error)
        super().__init__(f"{command}: {self.name}: {self.message}")


@dataclass(frozen=True, slots=True)
class LiskEvent:
    """One event as it left the node: `payload` in Python values, `time_s` on the clock of ``time.monotonic()``."""

    name: str
    seq: int
    time_s: float
    payload: Any

    def __getitem__(self, key: str) -> Any:
        return self.payload[key]

    def __str__(self) -> str:
        return f"{self.time_s:.3f} #{self.seq} {self.name} {shorten(_without_internal_state(self.payload))}"


class PendingCall:
    """A command on its way: :meth:`Driver.begin` makes it, :meth:`result` waits for the answer."""

    def __init__(self, driver: Driver, command: str) -> None:
        self._driver = driver
        self.command = command
        self.answered = False
        self.ok = False
        self.value: Any = None

    def result(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Any:
        """The result of the command.

        Raises:
            LiskCallFailed: the node answered with an error.
            LiskNodeDied: the process is gone.
            LiskNodeError: no answer within `timeout_s` seconds.
        """
        self._driver._wait_answer(self, timeout_s)
        if not self.ok:
            raise LiskCallFailed(self.command, self.value)
        return self.value


@dataclass(slots=True)
class _State:
    """What the reading thread and the test share, under one condition."""

    condition: threading.Condition = field(default_factory=threading.Condition)
    events: deque[LiskEvent] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    pending: deque[LiskEvent] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    calls: dict[int, PendingCall] = field(default_factory=dict)
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=200))
    received: int = 0
    ended: bool = False


def shorten(value: Any, limit: int = 400) -> str:
    """`repr` of a payload, cut to about `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def _without_internal_state(payload: Any) -> Any:
    """The payload without the long ``internalState`` of peers, which hides the rest in a log."""
    if not isinstance(payload, dict):
        return payload
    return {key: _without_internal_state(value) for key, value in payload.items() if key != "internalState"}


def to_wire(value: Any) -> Any:
    """Python value to what the driver understands: bytes become ``{"base64": ...}``."""
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items() if item is not ABSENT}
    if isinstance(value, list | tuple):
        return [to_wire(item) for item in value]
    return value


def from_wire(value: Any) -> Any:
    """The inverse of :func:`to_wire`."""
    if isinstance(value, list):
        return [from_wire(item) for item in value]
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get("base64"), str):
            return base64.b64decode(value["base64"])
        return {key: from_wire(item) for key, item in value.items()}
    return value


def free_port() -> int:
    """A TCP port that was free on loopback a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def driver_problem() -> str | None:
    """Why no lisk-p2p node can be started here, or ``None`` when one can."""
    if shutil.which("node") is None:
        return "no lisk-p2p nodes: node is not installed"
    if not (DRIVER_DIR / "node_modules" / "@liskhq" / "lisk-p2p").is_dir():
        return "no lisk-p2p nodes: run scripts/setup_interop first"
    return None


def node_version() -> str:
    """The version of Node.js that runs the nodes, for example ``v20.20.2``."""
    result = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=30, check=True)
    return result.stdout.strip()


def lisk_version() -> str:
    """The version of lisk-p2p that is installed for the driver; `LiskNodeError` when none is."""
    problem = driver_problem()
    if problem is not None:
        raise LiskNodeError(problem)
    manifest = DRIVER_DIR / "node_modules" / "@liskhq" / "lisk-p2p" / "package.json"
    return str(json.loads(manifest.read_text(encoding="utf-8"))["version"])


_live: set[Driver] = set()
_recent: list[Driver] = []


def recent_nodes() -> list[Driver]:
    """The nodes made since :func:`forget_recent_nodes`, for reports about a failed test."""
    return list(_recent)


def forget_recent_nodes() -> None:
    """Start a new list of recent nodes; called before each test. Nodes that are still alive stay on it."""
    _recent[:] = [node for node in _recent if node in _live]


@atexit.register
def _kill_leftovers() -> None:
    for node in list(_live):
        node.kill()


class Driver:
    """One driver process: commands, answers and the ordered event log. Knows nothing of lisk-p2p's calls."""

    def __init__(self, version: str = MAIN_VERSION) -> None:
        problem = driver_problem()
        if problem is not None:
            raise LiskNodeError(problem)
        self.version = version
        self._write_lock = threading.Lock()
        self._spawn()
        _recent.append(self)

    def _spawn(self) -> None:
        self._state = _State()
        self._next_id = 0
        # A session of its own: Ctrl-C in a terminal goes to the test alone, which then stops its nodes in order.
        self._process = subprocess.Popen(
            ["node", "node.js", self.version],
            cwd=DRIVER_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=target, name=f"{name} of node process {self._process.pid}", daemon=True)
            for target, name in ((self._read_output, "stdout"), (self._read_errors, "stderr"))
        ]
        for reader in self._readers:
            reader.start()
        _live.add(self)

    @property
    def pid(self) -> int:
        """Process id of the node."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; ``None`` while the process runs."""
        return self._process.poll()

    def _read_output(self) -> None:
        assert self._process.stdout is not None
        state = self._state
        try:
            for line in self._process.stdout:
                if line.startswith(b"{"):
                    self._take(json.loads(line))
                else:  # a library of the node printed something
                    self._note(line)
        finally:
            with state.condition:
                state.ended = True
                state.condition.notify_all()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._note(line)

    def _note(self, line: bytes) -> None:
        with self._state.condition:
            self._state.errors.append(line.decode("utf-8", "replace").rstrip())

    def _take(self, record: dict[str, Any]) -> None:
        state = self._state
        if "event" in record:
            event = LiskEvent(record["event"], record["seq"], record["time"], from_wire(record.get("payload")))
            with state.condition:
                state.events.append(event)
                state.pending.append(event)
                state.received += 1
                state.condition.notify_all()
            return
        value = from_wire(record.get("result") if record["ok"] else record["error"])
        with state.condition:
            call = state.calls.pop(record["id"])
            call.answered, call.ok, call.value = True, record["ok"], value
            state.condition.notify_all()

    def begin(self, command: str, **arguments: Any) -> PendingCall:
        """Start one command and return at once; the answer is taken by :meth:`PendingCall.result`."""
        call = PendingCall(self, command)
        with self._state.condition:
            self._next_id += 1
            call_id = self._next_id
            self._state.calls[call_id] = call
        self._write({"id": call_id, "cmd": command, **to_wire(arguments)})
        return call

    def call(self, command: str, timeout_s: float = DEFAULT_TIMEOUT_S, **arguments: Any) -> Any:
        """Run one command and return its result; errors as :meth:`PendingCall.result`."""
        return self.begin(command, **arguments).result(timeout_s)

    def _wait_answer(self, call: PendingCall, timeout_s: float) -> None:
        with self._state.condition:
            self._state.condition.wait_for(lambda: call.answered or self._state.ended, timeout_s)
        if not call.answered:
            self._fail(f"no answer to {call.command} within {timeout_s} s")

    def _write(self, record: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        line = json.dumps(record, ensure_ascii=True).encode("ascii") + b"\n"
        with self._write_lock, contextlib.suppress(BrokenPipeError, ValueError):
            # A broken or closed pipe means the process is going away; the caller hears it when the output ends.
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _fail(self, what: str) -> NoReturn:
        if self._state.ended:
            code = self._process.wait(STOP_TIMEOUT_S)
            raise LiskNodeDied(f"{self}: {what}: its process ended with code {code}\n{self.log_text(last=20)}")
        raise LiskNodeError(f"{self}: {what}\n{self.log_text(last=20)}")

    def events(self, name: str | None = None) -> list[LiskEvent]:
        """All events so far in order, consumed or not; of one name, or of every name."""
        with self._state.condition:
            return [event for event in self._state.events if name in (None, event.name)]

    def wait_event(
        self,
        name: str,
        predicate: Callable[[Any], bool] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> LiskEvent:
        """The first event `name` not yet consumed whose payload satisfies `predicate`; it is consumed by this.

        Raises:
            LiskNodeDied: the process is gone and no such event is left.
            LiskNodeError: none came within `timeout_s` seconds.
        """
        state = self._state
        found: list[LiskEvent] = []

        def take() -> bool:
            for event in state.pending:
                if event.name == name and (predicate is None or predicate(event.payload)):
                    state.pending.remove(event)
                    found.append(event)
                    return True
            return state.ended

        with state.condition:
            state.condition.wait_for(take, timeout_s)
        if not found:
            self._fail(f"no {name} within {timeout_s} s")
        return found[0]

    def wait_for(
        self, condition: Callable[[], T], timeout_s: float = DEFAULT_TIMEOUT_S, what: str = "the awaited state"
    ) -> T:
        """Evaluate `condition` now and after every further event until it is true; return its value."""
        deadline = time.monotonic() + timeout_s
        state = self._state
        while True:
            seen = state.received
            value = condition()
            if value:
                return value
            with state.condition:
                changed = state.condition.wait_for(
                    lambda limit=seen: state.received > limit or state.ended,  # type: ignore[misc]
                    max(0.0, deadline - time.monotonic()),
                )
            if not changed or (state.ended and state.received == seen):
                self._fail(f"{what} not reached within {timeout_s} s")

    def log_text(self, last: int | None = None) -> str:
        """The event log and the standard error of the process as text, the last `last` events or all."""
        with self._state.condition:
            events = list(self._state.events)
            errors = list(self._state.errors)
        lines = [str(event) for event in (events if last is None else events[-last:])]
        return "\n".join([*lines, *(f"stderr: {line}" for line in errors)])

    def close_input(self) -> None:
        """End the standard input, upon which the driver stops its node and exits."""
        assert self._process.stdin is not None
        with self._write_lock, contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone. Harmless when it already is."""
        if self.is_alive:
            self._process.kill()
        self._finish()

    def terminate_gracefully(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Close the input, wait for the exit, and return the exit code; SIGKILL after `timeout_s` seconds."""
        self.close_input()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._finish()
        return self._process.wait()

    def _finish(self) -> None:
        self._process.wait()
        self.close_input()
        for reader in self._readers:
            reader.join(DEFAULT_TIMEOUT_S)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        _live.discard(self)

    def pause(self) -> None:
        """SIGSTOP: the node keeps its connections but reads and answers nothing until :meth:`resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after :meth:`pause`."""
        os.kill(self.pid, signal.SIGCONT)
