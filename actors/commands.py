"""A program's calls as messages to the node: arguments checked, data encoded, the answer's type known.

Both forms of the API build their messages here, so that they accept and refuse the same things.
"""

from __future__ import annotations

import functools
import ipaddress
import math
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from core import messages as m
from core.config import NodeConfig
from core.errors import EnsembleError, Misuse, RequestTimedOut
from core.events import decode_json
from core.ids import Endpoint, PeerId
from core.wire.payloads import app_payload

CALL_TIMEOUT_S = 10.0
"""A node answers what it knows itself within milliseconds; a call open for this long has been lost."""

START_TIMEOUT_S = 30.0
"""Longer than any disk needs to load a peer book."""

BACKSTOP_S = 5.0
"""How much later than the node itself a caller gives up on a peer's answer: only reached if the node is broken."""

FRAME_OVERHEAD_BYTES = 256
"""Room in a frame for all that is not the payload or its name: member names, call numbers, a peer id."""

MAX_NAME_CHARS = 128
"""Longest event or procedure name that can be sent. Nothing in use comes near it; peers keep statistics by name."""

MAX_REQUEST_TIMEOUT_S = 86400.0
MAX_BAN_S = 10 * 365 * 86400.0
MAX_REASON_CHARS = 1000

A = TypeVar("A", bound=m.Query)


class Command(msgspec.Struct, Generic[A], frozen=True):
    """One call: its message (not numbered yet), the type of its answer, and when to give up on it."""

    message: m.Query
    answer: type[A]
    timeout_s: float = CALL_TIMEOUT_S


class Response(msgspec.Struct, frozen=True):
    """A peer's answer to a request. ``data`` is None when it carried no payload."""

    peer_id: PeerId
    data: bytes | None

    def json(self) -> Any:
        """The payload, read as JSON; None if there is none. Raises ValueError if it is no JSON text."""
        return decode_json(self.data)


class Commands:
    """Builds the messages of one node's API. Every method raises Misuse for arguments that cannot work."""

    def __init__(self, config: NodeConfig) -> None:
        self._max_bytes = config.ws_max_payload_bytes
        self._always_fits = (self._max_bytes - FRAME_OVERHEAD_BYTES - 6 * MAX_NAME_CHARS) // 4 * 3
        self._request_timeout_s = max(config.ack_timeout_s, config.inbound_request_timeout_s)

    def encode(self, data: object, name: str = "") -> bytes | None:
        """Bytes of a payload that travels with ``name``.

        Raises Misuse if it is neither bytes nor JSON, or if its frame would exceed ``ws_max_payload_bytes`` in some
        dialect: the JSON dialects carry payloads as base64, four characters for three bytes.
        """
        encoded = data if type(data) is bytes else app_payload(data)
        if encoded is None or len(encoded) <= self._always_fits:
            return encoded
        needed = (len(encoded) + 2) // 3 * 4 + 6 * len(name) + FRAME_OVERHEAD_BYTES
        if needed > self._max_bytes:
            raise Misuse(
                f"data of {len(encoded):,} bytes is too large: its frame would take {needed:,} bytes, "
                f"and ws_max_payload_bytes is {self._max_bytes:,}"
            )
        return encoded

    def message(self, event: str, data: object, peer_id: str | None) -> m.SendMessage:
        """A message to one peer, or to those that the selection rule picks."""
        encoded = self.encode(data, check_name(event, "event"))
        return m.SendMessage(0, event, encoded, None if peer_id is None else checked_peer_id(peer_id))

    def broadcast(self, event: str, data: object) -> m.BroadcastMessage:
        """A message to every connected peer."""
        return m.BroadcastMessage(0, event, self.encode(data, check_name(event, "event")))

    def request(
        self, procedure: str, data: object, timeout_s: float | None, peer_id: str | None
    ) -> Command[m.RequestAnswered]:
        """A request to one peer, or to one that the selection rule picks."""
        encoded = self.encode(data, check_name(procedure, "procedure"))
        target = None if peer_id is None else checked_peer_id(peer_id)
        if timeout_s is not None:
            timeout_s = check_number(timeout_s, "timeout_s", above=0, at_most=MAX_REQUEST_TIMEOUT_S)
        backstop_s = (self._request_timeout_s if timeout_s is None else timeout_s) + BACKSTOP_S
        return Command(m.SendRequest(0, procedure, encoded, timeout_s, target), m.RequestAnswered, backstop_s)

    def apply_node_info(self, options: Mapping[str, object]) -> Command[m.NodeInfoAnswer]:
        """New custom options for our node info; whether they fit their schema is the node's to say."""
        return Command(m.ApplyNodeInfo(0, _checked_options(options)), m.NodeInfoAnswer)

    def apply_penalty(self, peer_id: str, penalty: int, reason: str) -> Command[m.Done]:
        """A penalty for a connected peer; reputation starts at 100 points."""
        return Command(
            m.ApplyPenalty(0, checked_peer_id(peer_id), _checked_penalty(penalty), _checked_reason(reason)), m.Done
        )

    def ban(self, address: str, reason: str, duration_s: float | None) -> Command[m.Done]:
        """A ban of an IP address, given by itself or by a peer id."""
        ip, peer_id = _ip_and_peer_id(address)
        if duration_s is not None:
            check_number(duration_s, "duration_s", above=0, at_most=MAX_BAN_S)
        return Command(m.BanAddress(0, ip, peer_id, _checked_reason(reason), duration_s), m.Done)

    def unban(self, address: str) -> Command[m.Done]:
        """The end of a ban."""
        ip, _ = _ip_and_peer_id(address)
        return Command(m.UnbanAddress(0, ip), m.Done)

    def explain(self, peer: str) -> Command[m.Story]:
        """The story of a peer, or of everything at an IP address."""
        _, subject = _ip_and_peer_id(peer)
        return Command(m.Explain(0, subject), m.Story)


def start(config: NodeConfig) -> Command[m.NodeStarted]:
    """The start of a node."""
    return Command(m.StartNode(0, config), m.NodeStarted, START_TIMEOUT_S)


NODE_INFO = Command(m.GetNodeInfo(0), m.NodeInfoAnswer)
CONNECTED_PEERS = Command(m.GetConnectedPeers(0), m.PeerList)
DISCONNECTED_PEERS = Command(m.GetDisconnectedPeers(0), m.PeerList)
TRIED_PEERS = Command(m.GetTriedPeers(0), m.PeerList)
NETWORK_STATS = Command(m.GetNetworkStats(0), m.NetworkStats)
BANS = Command(m.GetBans(0), m.BanList)
STOP = Command(m.StopNode(0), m.Done)


def checked_answer(command: Command[A], answer: m.Query) -> A:
    """The answer, if it is of the type that belongs to the command."""
    if isinstance(answer, command.answer):
        return answer
    raise EnsembleError(f"the node answered {type(command.message).__name__} with {type(answer).__name__}")


def silence(command: Command[A], waited_s: float) -> EnsembleError:
    """The error for a call that was never answered."""
    message = command.message
    text = f"the node did not answer {type(message).__name__} within {waited_s:g} s"
    return RequestTimedOut(text, message.peer_id) if isinstance(message, m.SendRequest) else EnsembleError(text)


def check_name(name: object, what: str) -> str:
    """An event or procedure name that can travel. Raises Misuse; ``what`` is "event" or "procedure"."""
    if type(name) is str and 0 < len(name) <= MAX_NAME_CHARS:
        return name
    if not isinstance(name, str):
        raise Misuse(f"expected the {what} as a text, got {type(name).__name__}")
    if not 0 < len(name) <= MAX_NAME_CHARS:
        raise Misuse(f"expected the {what} to have 1 to {MAX_NAME_CHARS} characters, got {len(name)}")
    return name


@functools.lru_cache(maxsize=1024)
def _canonical_peer_id(text: str) -> PeerId:
    return Endpoint.parse(text).peer_id


def checked_peer_id(peer_id: object) -> PeerId:
    """A peer id in canonical form. Raises Misuse."""
    try:
        if isinstance(peer_id, str):
            return _canonical_peer_id(peer_id)
    except ValueError as error:
        raise Misuse(f"not a peer id: {error}") from None
    raise Misuse(f"expected a peer id (ip:port) as a text, got {type(peer_id).__name__}")


def check_number(value: object, name: str, *, above: float, at_most: float) -> float:
    """Return a number if it lies in its range. Raises Misuse."""
    if type(value) is float and above < value <= at_most:
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not above < value <= at_most:  # type: ignore[arg-type, operator]
        raise Misuse(f"expected {name} as a number of seconds above {above:g}, at most {at_most:g}, got {value!r}")
    return float(value)  # type: ignore[arg-type]


def _ip_and_peer_id(address: object) -> tuple[str, PeerId]:
    """Read an IP address or a peer id. A bare address stands for itself where a peer id is wanted."""
    if not isinstance(address, str):
        raise Misuse(f"expected an IP address or a peer id as a text, got {type(address).__name__}")
    try:
        parsed = ipaddress.ip_address(address) if len(address) <= 64 else None
    except ValueError:
        parsed = None
    if parsed is None:
        peer_id = checked_peer_id(address)
        return Endpoint.parse(peer_id).ip, peer_id
    try:
        ip = Endpoint.checked(address, 1).ip
    except ValueError as error:
        raise Misuse(f"not an address of a peer: {error}") from None
    return ip, PeerId(ip)


def _checked_options(options: object) -> Mapping[str, object]:
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise Misuse(f"expected node info options as a mapping with text keys, got {type(options).__name__}")
    return dict(options)  # the caller may go on changing theirs


def _checked_penalty(penalty: object) -> int:
    if isinstance(penalty, bool) or not isinstance(penalty, int) or penalty < 1:
        raise Misuse(f"expected the penalty as a number of points, 1 or more, got {penalty!r}")
    return penalty


def _checked_reason(reason: object) -> str:
    if not isinstance(reason, str):
        raise Misuse(f"expected the reason as a text, got {type(reason).__name__}")
    return reason[:MAX_REASON_CHARS]
