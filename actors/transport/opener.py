"""The opener's side of making a WebSocket connection: connect, ask for the HTTP upgrade, read the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from websockets.client import ClientProtocol
from websockets.http11 import Response
from websockets.uri import WebSocketURI
from websockets.utils import generate_key

from actors.transport.channel import (
    DEFAULT_MAX_MESSAGE_BYTES,
    DEFAULT_MAX_QUEUED_BYTES,
    QUIET,
    Channel,
)
from actors.transport.channel_writer import CORE_DRAWS, NOT_OPEN, ChannelWriter, text_of
from actors.transport.events import (
    ChannelEvent,
    Closed,
    Opened,
    UpgradeRefused,
)
from actors.transport.port import Network
from actors.transport.precedents import known_answer, remember_answer, upgrade_request
from actors.transport.upgrade import MAX_HEAD_BYTES, ExtraHeaders, headers_of
from core.ids import CloseCode, Endpoint
from core.traffic import TrafficCount

MAX_REFUSAL_CHARS = 200

CHANNEL_STATE = (*ChannelWriter.__slots__, *Channel.__slots__)


class OpenerChannel(Channel):
    """Connects and upgrades; then a channel like any other. First events: ``Opened``, or ``Closed`` (perhaps after
    ``UpgradeRefused``)."""

    __slots__ = (
        "_client",
        "_connecting",
        "_head_bytes",
        "_head_done",
        "_is_upgrading",
        "_key",
        "_most_queued_bytes",
        "_request",
        "_tail",
    )

    def __init__(
        self,
        network: Network,
        endpoint: Endpoint,
        target: str,
        *,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        max_queued_bytes: int = DEFAULT_MAX_QUEUED_BYTES,
        extra_headers: ExtraHeaders = (),
        masks: Iterator[bytes] | None = None,
        traffic: TrafficCount | None = None,
    ) -> None:
        """Start connecting. ``target`` is path and query, percent-encoded.

        ``masks`` gives keys of 4 bytes that nobody can foresee, for the masking of frames; None: websockets' own.
        Raises OSError if the network refuses at once, ValueError for a target that HTTP cannot carry.
        """
        if not (target.startswith("/") and target.isascii() and target.isprintable() and " " not in target):
            raise ValueError(f"expected a percent-encoded path and query, got {target[:80]!r}")
        stream = network.connect(endpoint)
        super().__init__(
            stream, None, max_message_bytes=max_message_bytes, max_queued_bytes=max_queued_bytes, traffic=traffic
        )
        self._most_queued_bytes = max_queued_bytes
        self._max_queued_bytes = NOT_OPEN
        self._request = endpoint, target, tuple(extra_headers)
        self._key = ""  # of the request
        self._client: ClientProtocol | None = None  # while an answer is read and judged
        self._connecting = True
        self._is_upgrading = True
        self._head_bytes = 0
        self._head_done = False
        self._tail = b""
        self._keys = CORE_DRAWS if masks is None else masks

    def _ask_for_upgrade(self) -> None:
        """Queue the request. Not before TCP stands: most dials of a node whose addresses are old come to nothing."""
        self._key = generate_key()
        self._queue(upgrade_request(*self._request, self._key))

    def _judge(self) -> ClientProtocol:
        """websockets' core, for an answer that is not like an earlier one."""
        client = self._client
        if client is None:
            endpoint, target, _ = self._request
            path, _, query = target.partition("?")
            uri = WebSocketURI(False, endpoint.ip, endpoint.port, path, query)
            self._client = client = ClientProtocol(uri, max_size=self._max_message_bytes, logger=QUIET)
            client.key = self._key
            self._have_aside().protocol = client
        return client

    def as_plain(self) -> Channel:
        """After ``Opened``: the same connection as a channel like any other, from now on instead of this one.

        What only the upgrade needed is gone then, and all open connections are of one class: code that meets objects of
        two in turn cannot specialise its reading of attributes (PEP 659), 3 % of what a packet costs in a simulation.
        """
        plain = Channel.__new__(Channel)
        for name in CHANNEL_STATE:
            setattr(plain, name, getattr(self, name))
        return plain

    @property
    def wants_write(self) -> bool:
        return self.queued_bytes > 0 or (self._connecting and not self._closed)

    @property
    def interest(self) -> int:
        return 3 if self._connecting and self._reading and not self._closed else super().interest

    @property
    def is_connected(self) -> bool:
        """TCP stands; the upgrade may still be under way."""
        return not self._connecting and not self._closed

    def _before_upgrade(self, events: list[ChannelEvent]) -> None:
        if self._connecting and not self._closed:
            events += self.on_writable()

    def on_writable(self) -> list[ChannelEvent]:
        if self._connecting and not self._closed:
            error = self._stream.connect_error()
            if error is not None:
                events: list[ChannelEvent] = []
                self._lost(text_of(error), events)
                return events
            self._connecting = False
            self._ask_for_upgrade()
        return super().on_writable()

    def _feed_upgrade(self, data: bytes, events: list[ChannelEvent]) -> None:
        # Up to the end of the head the core gets everything and not a byte further: frames begin where ours are read.
        cut, head = len(data), b""
        if not self._head_done:
            seen = self._tail + data
            end = seen.find(b"\r\n\r\n")
            if end >= 0:
                cut = end + 4 - len(self._tail)
                self._head_done = True
                head = data[:cut] if not self._head_bytes else b""  # if it came in one piece
            self._tail = seen[-3:]
        self._head_bytes += cut
        headers = known_answer(head, self._key) if head else None
        if headers is not None:
            self._open(headers, events)
        else:
            client = self._judge()
            client.receive_data(data[:cut])
            self._check_upgrade(client, head, events)
        if cut < len(data) and not self._closed:
            feed = self._feed_upgrade if self._is_upgrading else self._feed
            feed(data[cut:], events)

    def _on_end_of_stream(self, events: list[ChannelEvent]) -> None:
        if self._is_upgrading:
            # A refusal may have a body that only the end of the stream delimits.
            client = self._judge()
            client.receive_eof()
            self._check_upgrade(client, b"", events)
        if not self._closed:
            super()._on_end_of_stream(events)

    def _check_upgrade(self, client: ClientProtocol, head: bytes, events: list[ChannelEvent]) -> None:
        """What websockets finds of what it was given; ``head``: all of it, if that is a head that came in one piece."""
        received = client.events_received()
        error = client.handshake_exc
        if received and isinstance(received[0], Response):
            response = received[0]
            if error is not None:
                self._refused(response, error, events)
                return
            headers = headers_of(response.headers)
            if head:
                remember_answer(head, self._key, headers)
            self._open(headers, events)
        elif error is not None:
            cause = error.__cause__ or error
            self._end(Closed(CloseCode.PROTOCOL_ERROR, False, f"no valid HTTP response: {text_of(cause)}"), events)
        elif self._head_bytes > MAX_HEAD_BYTES:
            self._end(Closed(CloseCode.PROTOCOL_ERROR, False, "no valid HTTP response: too large"), events)

    def _open(self, headers: Mapping[str, str], events: list[ChannelEvent]) -> None:
        self._is_upgrading, self._max_queued_bytes = False, self._most_queued_bytes
        self._client = None
        self._drop_core()  # and with it the response
        events.append(Opened(headers))

    def _refused(self, response: Response, error: Exception, events: list[ChannelEvent]) -> None:
        why = f"the upgrade was answered with HTTP status {response.status_code}"
        body = bytes(response.body[: 4 * MAX_REFUSAL_CHARS]).decode(errors="replace")[:MAX_REFUSAL_CHARS]
        if response.status_code == 101:  # said yes, in a way that RFC 6455 section 4.1 tells us to refuse
            body = text_of(error)
        events.append(UpgradeRefused(response.status_code, body))
        self._end(Closed(CloseCode.ABNORMAL, False, why), events)
