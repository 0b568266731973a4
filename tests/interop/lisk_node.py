"""Real ``@liskhq/lisk-p2p`` nodes for tests and benchmarks: 0.10.0, or an older version of those in ``VERSIONS``.

One :class:`LiskNode` is one Node.js process that runs ``driver/node.js``, which holds one lisk-p2p ``P2P`` object::

    with LiskNode() as a, LiskNode(seedPeers=[a]) as b:
        b.wait_event("EVENT_CONNECT_OUTBOUND")
        b.send_to_peer("hello", b"\\x00\\x01", a.peer_id)
        message = a.wait_event("EVENT_MESSAGE_RECEIVED", lambda payload: payload["event"] == "hello")
        assert message["data"] == b"\\x00\\x01"

An older version is asked for with ``LiskNode(version="0.7.3")``; its node info and its peer lists are made under the
names of its generation, and ``apply_node_info`` takes those names too.

Options of lisk-p2p keep lisk-p2p's names (``populatorInterval``, ``maxOutboundConnections``, ...) and units
(milliseconds, bytes); everything of ours is in seconds. Bytes are ``bytes`` in both directions.

Notes for whoever writes a test:

* ``hostIp``: lisk-p2p drops configured peers whose IP equals its own ``hostIp``, whatever their port. Nodes of one
  machine therefore listen on :data:`LOOPBACK`, another spelling of 127.0.0.1: loopback only, and not equal as text.
* Two outbound connections to one IP are refused, except to 127.0.0.1. But the populator dials one peer per IP and
  tick, so a mesh of n nodes on 127.0.0.1 needs about n ticks. The default here is ``populatorInterval=250``; a seed and
  a fixed peer are dialled at once in ``start``.
* A node finds its own address through getPeers, dials itself once, and is refused by itself with 4101. This shows as
  EVENT_FAILED_TO_ADD_INBOUND_PEER and EVENT_CLOSE_OUTBOUND on a healthy node.
* A seed is dropped again when no outbound slot is free; keep ``maxOutboundConnections`` above the number of seeds.
* Bans are per IP: one ban of 127.0.0.1 locks every node of the machine out. Give such a test nodes of its own.
* ``constants`` changes timers that lisk-p2p does not make configurable, for example
  ``constants={"DEFAULT_PING_INTERVAL_MIN": 100, "DEFAULT_PING_INTERVAL_MAX": 200}`` (20 s and 60 s otherwise).
* Events of the driver beside those of lisk-p2p: DRIVER_PING (this listener pinged an inbound peer: ``peerId``,
  ``answer`` bytes or ``error``) and DRIVER_CRASHED (an exception lisk-p2p did not catch; the process ends with 99).
  EVENT_INVALID_MESSAGE_RECEIVED and EVENT_INVALID_REQUEST_RECEIVED, which lisk-p2p exports but keeps to itself, are
  in the log too: neither should ever appear when the other side is an Ensemble node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final

from tests.interop.lisk_driver import (
    ABSENT,
    DEFAULT_TIMEOUT_S,
    MAIN_VERSION,
    Driver,
    LiskCallFailed,
    LiskEvent,
    LiskNodeDied,
    LiskNodeError,
    PendingCall,
    driver_problem,
    free_port,
    lisk_version,
    node_version,
)

__all__ = [
    "ABSENT",
    "BENCH_CONFIG",
    "LOOPBACK",
    "NETWORK_ID",
    "NETWORK_IDENTIFIER",
    "VERSIONS",
    "LiskCallFailed",
    "LiskEvent",
    "LiskNode",
    "LiskNodeDied",
    "LiskNodeError",
    "MessageCount",
    "PendingCall",
    "dialect_of",
    "driver_problem",
    "free_port",
    "lisk_version",
    "node_version",
]

LOOPBACK: Final = "127.1"
START_TIMEOUT_S: Final = 20.0
PORT_ATTEMPTS: Final = 5
CRASH_EXIT_CODE: Final = 99

TEST_CONFIG: Final[Mapping[str, Any]] = {"hostIp": LOOPBACK, "populatorInterval": 250}
#: For benchmarks: no penalty for speed, and time-outs that a loaded machine does not reach.
BENCH_CONFIG: Final[Mapping[str, Any]] = {
    "wsMaxMessageRate": 1_000_000_000,
    "peerStatusMessageRate": 1_000_000_000,
    "ackTimeout": 60_000,
    "connectTimeout": 10_000,
}
PEER_LISTS: Final = ("seedPeers", "fixedPeers", "whitelistedPeers", "previousPeers")


VERSIONS: Final = ("0.5.0", "0.7.3", "0.8.0", "0.9.0", "0.10.0")
"""The versions that are installed for the driver."""

NETWORK_IDENTIFIER: Final = "11111111111111112222222222222222"
NETWORK_ID: Final = "123xyz"


def dialect_of(version: str) -> str:
    """The name of our dialect for a version of lisk-p2p."""
    minor = int(version.split(".")[1])
    return "lisk-0.10" if minor >= 9 else "lisk-0.7" if minor >= 6 else "lisk-0.5"


def peer_address(peer: Any, port_name: str = "port") -> dict[str, Any]:
    """A peer of a configuration list in lisk-p2p's form; `port_name` is ``wsPort`` before 0.6.

    Takes a node of either kind, ``"ip:port"``, ``(ip, port)``, or a mapping that is passed on as it is.
    """
    if isinstance(peer, Mapping):
        return dict(peer)
    peer = getattr(peer, "peer_id", peer)
    ip, port = peer.rsplit(":", 1) if isinstance(peer, str) else peer
    return {"ipAddress": ip, port_name: int(port)}


class MessageCount:
    """A running count of messages of one name on one node, made by :meth:`LiskNode.count`."""

    def __init__(self, node: LiskNode, event: str) -> None:
        self._node = node
        self._event = event

    def result(self, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait until all expected messages arrived, at most `timeout_s` seconds, and end the count.

        Keys: ``count``, ``expected``, ``bytes``, ``complete``, and in seconds of ``time.monotonic()`` ``firstAt`` and
        ``lastAt``, whose difference is ``elapsed``. When not ``complete``, ``lastAt`` and ``elapsed`` are missing.
        """
        milliseconds = timeout_s * 1000
        answer = self._node.call("countResult", timeout_s + 5, event=self._event, timeoutMs=milliseconds)
        return dict(answer)


class LiskNode(Driver):
    """A started lisk-p2p node; see the module's text. Use it as a context manager, or call :meth:`stop`.

    Args:
        port: TCP port to listen on; a free one when ``None``.
        chain_id: chain id of the node as hex text.
        network_version: ``major.minor`` text of the node info.
        advertise_address: whether the node wants its address passed on.
        options: application part of the node info; needs ``customNodeInfoSchema`` in `config` to go over the wire.
        version: the version of lisk-p2p.
        network: name of the network in older generations; `chain_id` is for 0.9 and 0.10.
        constants: values to put in place of lisk-p2p's own constants, by name; for this process only.
        config: any option of lisk-p2p under its own name. Peer lists take nodes, ``"ip:port"`` or ``(ip, port)``.

    Raises:
        LiskCallFailed: lisk-p2p refused the configuration.
        LiskNodeDied: the process ended during start, for example because the given port is taken.
        LiskNodeError: the driver is not installed, or the node did not start in time.
    """

    def __init__(
        self,
        port: int | None = None,
        chain_id: str = "00000001",
        *,
        network_version: str = "1.1",
        advertise_address: bool = True,
        options: Mapping[str, Any] | None = None,
        constants: Mapping[str, Any] | None = None,
        version: str = MAIN_VERSION,
        network: str | None = None,
        **config: Any,
    ) -> None:
        super().__init__(version)
        self.port = 0
        self.dialect = dialect_of(version)
        said = dict(options or {})
        node_info: dict[str, Any] = {"networkVersion": network_version, "options": said}
        if self.dialect == "lisk-0.10":
            node_info["chainID"] = bytes.fromhex(chain_id)
        elif self.dialect == "lisk-0.7":
            node_info["networkIdentifier"] = network or NETWORK_IDENTIFIER
        else:
            named = {"networkId": network or NETWORK_ID, "protocolVersion": network_version}
            node_info = {"os": "linux", "version": "1.1.1", **named, **said}
        node_info["advertiseAddress"] = advertise_address
        port_name = "wsPort" if self.dialect == "lisk-0.5" else "port"
        lists: dict[str, Any] = {
            name: [peer_address(peer, port_name) for peer in config[name]] for name in PEER_LISTS if name in config
        }
        self._config = {**TEST_CONFIG, **config, **lists, "nodeInfo": node_info}
        try:
            self._start(port, dict(constants or {}))
        except BaseException:
            self.kill()
            raise

    def _start(self, port: int | None, constants: dict[str, Any]) -> None:
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self.port = free_port() if port is None else port
            try:
                config = {**self._config, "port": self.port}
                if self.dialect == "lisk-0.5":
                    config["nodeInfo"] = {**config["nodeInfo"], "wsPort": self.port}
                answer = self.call("start", START_TIMEOUT_S, config=config, constants=constants)
            except LiskNodeDied:
                # Between finding a free port and listening on it somebody else may have taken it.
                taken = any(event["code"] == "EADDRINUSE" for event in self.events("DRIVER_CRASHED"))
                if port is not None or not taken or attempt == PORT_ATTEMPTS:
                    raise
                self.kill()
                self._spawn()
            else:
                self.nonce: str = answer["nodeInfo"]["nonce"]
                return

    def __enter__(self) -> LiskNode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<LiskNode {self.version} {self.peer_id} pid {self.pid}>"

    @property
    def peer_id(self) -> str:
        """``ip:port`` under which other nodes of this machine know the node."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> int:
        """Stop the node and its process (SIGKILL after some seconds); the exit code, 0 when all went well."""
        return self.terminate_gracefully()

    def stop_p2p(self) -> bool:
        """lisk-p2p's ``stop()``, the process stays; False when it did not finish within 3 s."""
        return bool(self.call("stop")["clean"])

    # What lisk-p2p's P2P object offers, under Python names -----------------------------------------------------

    def node_info(self) -> dict[str, Any]:
        """``nodeInfo``: ``chainID`` (bytes), ``networkVersion``, ``nonce``, ``advertiseAddress``, ``options``."""
        return dict(self.call("nodeInfo"))

    def is_active(self) -> bool:
        """``isActive``."""
        return bool(self.call("isActive"))

    def apply_node_info(self, **changes: Any) -> None:
        """``applyNodeInfo`` with the present node info and these changes, for example ``options={"height": 5}``."""
        self.call("applyNodeInfo", nodeInfo=changes)

    def apply_penalty(self, peer_id: str, penalty: int) -> None:
        """``applyPenalty``."""
        self.call("applyPenalty", peerId=peer_id, penalty=penalty)

    def request(self, procedure: str, data: Any = ABSENT, timeout_s: float = DEFAULT_TIMEOUT_S) -> dict[str, Any]:
        """``request``, answered by one peer of the node's choice; see :meth:`request_from_peer`."""
        return dict(self.call("request", timeout_s, packet={"procedure": procedure, "data": data}))

    def request_from_peer(
        self, procedure: str, data: Any, peer_id: str, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> dict[str, Any]:
        """``requestFromPeer``: ``{"data": bytes, "peerId": ...}``; ``data`` is missing when the answer had none.

        `data` may be bytes, anything JSON-able (lisk-p2p sends its JSON text), or ``ABSENT``.

        Raises:
            LiskCallFailed: error answer of the peer, lisk-p2p's own time-out, or no such peer.
        """
        return dict(self.begin_request(procedure, data, peer_id).result(timeout_s))

    def begin_request(self, procedure: str, data: Any, peer_id: str) -> PendingCall:
        """:meth:`request_from_peer` without waiting: take the answer from ``.result(timeout_s)`` later."""
        return self.begin("requestFromPeer", packet={"procedure": procedure, "data": data}, peerId=peer_id)

    def send(self, event: str, data: Any = ABSENT) -> None:
        """``send``: to at most ``sendPeerLimit`` peers."""
        self.call("send", packet={"event": event, "data": data})

    def send_to_peer(self, event: str, data: Any, peer_id: str) -> None:
        """``sendToPeer``."""
        self.call("sendToPeer", packet={"event": event, "data": data}, peerId=peer_id)

    def broadcast(self, event: str, data: Any = ABSENT) -> None:
        """``broadcast``: to every peer."""
        self.call("broadcast", packet={"event": event, "data": data})

    def get_connected_peers(self) -> list[dict[str, Any]]:
        """``getConnectedPeers``: peers with an open socket, without those that do not advertise their address."""
        return list(self.call("getConnectedPeers"))

    def get_disconnected_peers(self) -> list[dict[str, Any]]:
        """``getDisconnectedPeers``: known and not connected."""
        return list(self.call("getDisconnectedPeers"))

    def get_tried_peers(self) -> list[dict[str, Any]]:
        """``getTriedPeers``."""
        return list(self.call("getTriedPeers"))

    def get_network_stats(self) -> dict[str, Any]:
        """``getNetworkStats``."""
        return dict(self.call("getNetworkStats"))

    # Beyond it ------------------------------------------------------------------------------------------------

    def connected_ids(self) -> set[str]:
        """The peer ids of :meth:`get_connected_peers`."""
        return {peer["peerId"] for peer in self.get_connected_peers()}

    def wait_connected(self, *peers: Any, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Wait until all `peers` (nodes of either kind, or peer ids) are connected at the same time."""
        wanted = {getattr(peer, "peer_id", peer) for peer in peers}
        self.wait_for(lambda: wanted <= self.connected_ids(), timeout_s, f"connection with {sorted(wanted)}")

    def inspect(self) -> dict[str, Any]:
        """The node's inner state: ``pool`` (peers with ``state`` and ``internalState``: reputation, latency,
        connectionKind, ...), ``newPeers``, ``triedPeers`` and ``bannedIPs`` of the peer book."""
        return dict(self.call("inspect"))

    def pool_peer(self, peer_id: str) -> dict[str, Any] | None:
        """The entry of :meth:`inspect` ``["pool"]`` for one peer, or ``None`` when it is not in the pool."""
        return next((peer for peer in self.inspect()["pool"] if peer["peerId"] == peer_id), None)

    def set_procedure(self, procedure: str, behaviour: str, **options: Any) -> None:
        """Say how the node reacts to requests for `procedure`. ``echo``, ``fail``, ``silent`` and ``slow`` exist as
        procedures from the start; procedures nobody named are never answered, as in lisk-p2p itself.

        Behaviours: ``echo``; ``answer`` with ``data=...``; ``fail`` with ``message=...``; ``silent``; ``slow``, an echo
        after ``delayMs=500``; ``hold``, until :meth:`respond`. ``quiet=True`` leaves them out of the event log.
        """
        self.call("setProcedure", procedure=procedure, options={"behaviour": behaviour, **options})

    def respond(self, request_id: int, data: Any = ABSENT, error: str | None = None) -> None:
        """Answer a request that the behaviour ``hold`` kept; `request_id` is in its EVENT_REQUEST_RECEIVED."""
        outcome = {"data": data} if error is None else {"error": error}
        self.call("respond", requestId=request_id, **outcome)

    def count(self, event: str, expected: int) -> MessageCount:
        """From now on count messages named `event` instead of logging them, until the result was taken."""
        self.call("count", event=event, expected=expected)
        return MessageCount(self, event)

    def flood(
        self, event: str, count: int, size: int, peer_id: str | None = None, timeout_s: float = 120.0
    ) -> dict[str, Any]:
        """Send `count` messages of `size` bytes to one peer, or broadcast them, as fast as the node can.

        Returns when all were handed to the kernel: ``startedAt``, ``endedAt`` (``time.monotonic()``), ``elapsed`` in s.
        """
        target = {} if peer_id is None else {"peerId": peer_id}
        return dict(self.call("flood", timeout_s, event=event, count=count, size=size, **target))

    def rpc_flood(
        self, peer_id: str, count: int, size: int, in_flight: int, procedure: str = "echo", timeout_s: float = 120.0
    ) -> dict[str, Any]:
        """Make `count` requests of `size` bytes with at most `in_flight` unanswered.

        ``elapsed`` and ``latency`` (``min``, ``p50``, ``p90``, ``p99``, ``max``, ``mean``) in s, ``failed`` a number.
        The answering lisk node should have the procedure ``quiet``.
        """
        return dict(
            self.call(
                "rpcflood",
                timeout_s,
                peerId=peer_id,
                count=count,
                size=size,
                inFlight=in_flight,
                procedure=procedure,
            )
        )

    def usage(self) -> dict[str, Any]:
        """Of the process: ``memory`` (bytes: ``rss``, ...), ``cpu`` (us: ``user``, ``system``), ``time`` (s)."""
        return dict(self.call("usage"))


def stop_all(nodes: Iterable[LiskNode]) -> None:
    """Stop several nodes, the last one first."""
    for node in reversed(list(nodes)):
        node.stop()
