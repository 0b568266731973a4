"""Nodes of ours for interop tests, with the same way of waiting as :class:`tests.interop.lisk_node.LiskNode`.

    with EnsembleNode(seed_peers=[lisk]) as ours:
        ours.wait_event(ConnectOutbound, lambda event: event.peer.peer_id == lisk.peer_id)

Options are those of :class:`core.config.NodeConfig`; peer lists also take nodes of either kind. The defaults make a
test fast: a free port on loopback, and a populator that ticks every 250 ms.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

from actors import P2P
from core.events import EVENTS, Event, PeerInfo, RequestReceived
from tests.interop.lisk_driver import DEFAULT_TIMEOUT_S, shorten

PROJECT: Final = Path(__file__).parents[2]
TEST_CONFIG: Final[Mapping[str, Any]] = {
    "host_ip": "127.0.0.1",
    "port": 0,
    "populator_interval_s": 0.25,
}
PEER_LISTS: Final = ("seed_peers", "fixed_peers", "whitelisted_peers", "previous_peers")

E = TypeVar("E", bound=Event)
T = TypeVar("T")


_live: list[EnsembleNode] = []


def live_nodes() -> list[EnsembleNode]:
    """The nodes that run, for reports about a failed test."""
    return list(_live)


class NodeTimeout(AssertionError):
    """What was waited for did not happen in time."""


def node_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a test's node: its own over the defaults, peer lists as texts."""
    options = {name: value for name, value in {**TEST_CONFIG, **config}.items() if value is not None}
    for name in PEER_LISTS:
        if name in options:
            options[name] = [getattr(peer, "peer_id", peer) for peer in options[name]]
    return options


def repeat_until(
    value: Callable[[], T | None], action: Callable[[], object] = lambda: None, timeout_s: float = DEFAULT_TIMEOUT_S
) -> T:
    """Ask for `value`, and do `action` in between, until it is not None; return it.

    For the few states whose change is no event. One of the two has to be a round trip with a node, which sets the pace.
    """
    deadline = time.monotonic() + timeout_s
    while (found := value()) is None:
        if time.monotonic() >= deadline:
            raise NodeTimeout(f"not within {timeout_s:g} s")
        action()
    return found


class EnsembleNode:
    """A started node of ours and the log of its events; use it as a context manager, or call :meth:`stop`.

    Requests are not in the log: register a procedure on :attr:`p2p`, or read a stream.
    """

    def __init__(self, **config: Any) -> None:
        self.p2p = P2P(node_options(config))
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._pending: deque[Event] = deque()
        for name in EVENTS.keys() - {RequestReceived.NAME}:
            self.p2p.on(name, self._take)
        # The actors hear of the first procedure some moments after it was registered; a request that comes in between
        # is lost. With this one they know from the start that there is somebody who answers.
        self.p2p.procedure("who are you?", lambda request: self.peer_id)
        self.p2p.start()
        _live.append(self)

    def __enter__(self) -> EnsembleNode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<EnsembleNode {self.peer_id}>"

    def _take(self, event: Event) -> None:
        with self._changed:
            self._events.append(event)
            self._pending.append(event)
            self._changed.notify_all()

    @property
    def port(self) -> int:
        """The port the node listens on, or the one it announces if it does not listen."""
        listening = self.p2p.listen_address
        return self.p2p.config.port if listening is None else listening[1]

    @property
    def peer_id(self) -> str:
        """``ip:port`` under which other nodes of this machine know the node."""
        return f"127.0.0.1:{self.port}"

    @property
    def nonce(self) -> str:
        """The nonce of the node's present run."""
        return self.p2p.get_node_info().nonce

    def stop(self) -> None:
        """Stop the node, if it runs; everything about it stays readable."""
        if self in _live:
            _live.remove(self)
        self.p2p.stop()

    # ---- waiting ----

    def events(self, kind: type[E]) -> list[E]:
        """All events of one class so far, consumed or not."""
        with self._changed:
            return [event for event in self._events if isinstance(event, kind)]

    def wait_event(
        self, kind: type[E], predicate: Callable[[E], object] | None = None, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> E:
        """The first event of this class that was not consumed yet and satisfies `predicate`; it is consumed by this."""
        found: list[E] = []

        def take() -> bool:
            for event in self._pending:
                if isinstance(event, kind) and (predicate is None or predicate(event)):
                    self._pending.remove(event)
                    found.append(event)
                    return True
            return False

        with self._changed:
            if not self._changed.wait_for(take, timeout_s):
                raise NodeTimeout(f"{self!r}: no {kind.__name__} within {timeout_s:g} s\n{self.log_text()}")
        return found[0]

    def wait_for(
        self, condition: Callable[[], T], timeout_s: float = DEFAULT_TIMEOUT_S, what: str = "the awaited state"
    ) -> T:
        """Evaluate `condition` now and after every further event until it is true; return its value."""
        deadline = time.monotonic() + timeout_s
        while True:
            seen = len(self._events)
            value = condition()
            if value:
                return value
            with self._changed:
                left_s = max(0.0, deadline - time.monotonic())
                if not self._changed.wait_for(lambda limit=seen: len(self._events) > limit, left_s):  # type: ignore[misc]
                    raise NodeTimeout(f"{self!r}: {what} not reached within {timeout_s:g} s\n{self.log_text()}")

    def wait_connected(self, *peers: Any, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Wait until all `peers` (nodes or peer ids) are connected at the same time."""
        wanted = {getattr(peer, "peer_id", peer) for peer in peers}
        self.wait_for(lambda: wanted <= self.connected_ids(), timeout_s, f"connection with {sorted(wanted)}")

    # ---- state ----

    def connected_ids(self) -> set[str]:
        """The ids of all connected peers."""
        return {str(peer.peer_id) for peer in self.p2p.get_connected_peers()}

    def peer(self, node: Any) -> PeerInfo:
        """What is known about the one connection with this connected peer (a node or a peer id)."""
        peer_id = getattr(node, "peer_id", node)
        (peer,) = [peer for peer in self.p2p.get_connected_peers() if peer.peer_id == peer_id]
        return peer

    def log_text(self) -> str:
        """All events so far as text."""
        with self._changed:
            return "\n".join(f"{event.NAME} {shorten(event)}" for event in self._events)


class EnsembleProcess:
    """A node of ours in a process of its own, for tests that end it with SIGKILL."""

    def __init__(self, **config: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.ensemble_node", json.dumps(node_options(config))],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.peer_id = self._process.stdout.readline().strip()
        if not self.peer_id:
            self.kill()
            raise NodeTimeout(f"the process of our node ended with code {self._process.returncode}")

    def __enter__(self) -> EnsembleProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone. Harmless when it already is."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def _run(config: str) -> None:
    """The program of :class:`EnsembleProcess`: says its peer id, and runs until its input ends."""
    with P2P(json.loads(config)) as p2p:
        assert p2p.listen_address is not None
        print(f"127.0.0.1:{p2p.listen_address[1]}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _run(sys.argv[1])
