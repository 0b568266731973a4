"""WebSocket connections, either side: what the actors use of them, in one place."""

from __future__ import annotations

from actors.transport.channel import Channel
from actors.transport.events import (
    ChannelEvent,
    Closed,
    ControlFrame,
    MessageReceived,
    Opened,
    UpgradeRefused,
    UpgradeRequested,
)
from actors.transport.listener import ListenerChannel
from actors.transport.opener import OpenerChannel

__all__ = [
    "Channel",
    "ChannelEvent",
    "Closed",
    "ControlFrame",
    "ListenerChannel",
    "MessageReceived",
    "Opened",
    "OpenerChannel",
    "UpgradeRefused",
    "UpgradeRequested",
]
