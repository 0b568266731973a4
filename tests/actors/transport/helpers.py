"""Channels in every state, over streams in memory."""

from __future__ import annotations

from collections.abc import Iterable

from actors.transport.channel import Channel
from actors.transport.websocket import ChannelEvent, ListenerChannel, OpenerChannel, UpgradeRequested
from core.ids import Endpoint
from tests.actors.transport.fakes import (
    MASK,
    REQUEST,
    SWITCHING,
    TEXT,
    FakeNetwork,
    FakeStream,
    answer_to,
    frame,
    stream_pair,
)

LISTENER_AT = Endpoint("10.0.0.1", 5001)
TARGET = "/rpc/?chainID=00000001&port=6002"
HANDSHAKE = b'{"event":"#handshake","data":{"authToken":null},"cid":1}'


def new_listener(*, max_message_bytes: int = 1000) -> tuple[ListenerChannel, FakeStream, FakeStream]:
    """A listener that has read nothing, its own stream and the remote opener's."""
    remote, own = stream_pair()
    return ListenerChannel(own, path="/rpc/", max_message_bytes=max_message_bytes), own, remote


def upgraded_listener(*, max_message_bytes: int = 1000) -> tuple[ListenerChannel, FakeStream, FakeStream]:
    """A listener that waits for the first message; its 101 has been taken out of the remote's inbox."""
    channel, own, remote = new_listener(max_message_bytes=max_message_bytes)
    remote.send(REQUEST)
    (event,) = channel.on_readable()
    assert isinstance(event, UpgradeRequested)
    assert channel.accept() == []
    assert bytes(remote.inbox) == SWITCHING
    remote.inbox.clear()
    return channel, own, remote


def streaming_listener(
    *, max_message_bytes: int = 1000, max_queued_bytes: int = 10_000
) -> tuple[Channel, FakeStream, FakeStream]:
    """The listener's side of an open connection, as an InboundPeer adopts it."""
    channel, own, remote = upgraded_listener(max_message_bytes=max_message_bytes)
    remote.send(frame(TEXT, HANDSHAKE))
    assert len(channel.on_readable()) == 1
    hand_over = channel.detach(7)
    network = FakeNetwork(own)
    adopted = Channel.adopt(network, hand_over, max_message_bytes=max_message_bytes, max_queued_bytes=max_queued_bytes)
    channel.confirm()
    assert remote.other is not None
    return adopted, remote.other, remote


def new_opener(
    *,
    max_message_bytes: int = 1000,
    max_queued_bytes: int = 10_000,
    extra_headers: Iterable[tuple[str, str]] = (),
) -> tuple[OpenerChannel, FakeStream, FakeStream]:
    """An opener that is connecting, its own stream and the remote listener's."""
    own, remote = stream_pair()
    channel = OpenerChannel(
        FakeNetwork(own),
        LISTENER_AT,
        TARGET,
        max_message_bytes=max_message_bytes,
        max_queued_bytes=max_queued_bytes,
        extra_headers=extra_headers,
    )
    return channel, own, remote


def streaming_opener(
    *, max_message_bytes: int = 1000, max_queued_bytes: int = 10_000
) -> tuple[OpenerChannel, FakeStream, FakeStream]:
    """The opener's side of an open connection."""
    channel, own, remote = new_opener(max_message_bytes=max_message_bytes, max_queued_bytes=max_queued_bytes)
    assert channel.on_writable() == []
    remote.send(answer_to(bytes(remote.inbox)))
    remote.inbox.clear()
    assert [type(event).__name__ for event in channel.on_readable()] == ["Opened"]
    return channel, own, remote


def open_channel(side: str, **caps: int) -> tuple[Channel, FakeStream, FakeStream, bytes | None]:
    """An open channel of either side, and the mask (or None) that the remote's frames need."""
    if side == "listener":
        return *streaming_listener(**caps), MASK
    return *streaming_opener(**caps), None


def drain(channel: Channel) -> list[ChannelEvent]:
    """All events there are now, however many calls that takes."""
    events: list[ChannelEvent] = []
    while more := channel.on_readable():
        events += more
    return events
