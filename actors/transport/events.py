"""What a channel tells its actor. One object per message of the network, so these are as light as Python has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec


class Opened(msgspec.Struct, frozen=True):
    """The listener accepted our upgrade; messages may be sent. ``headers`` of its response, names in lower case."""

    headers: Mapping[str, str]


class UpgradeRequested(msgspec.Struct, frozen=True):
    """An opener asks for a WebSocket on the right path: answer with ``accept`` or ``reject``.

    ``target`` is path and query as sent, ASCII. ``headers`` have their names in lower case; a name that was sent
    several times has its values joined by ", ". Both together are below 16 KiB.
    """

    target: str
    headers: Mapping[str, str]


class UpgradeRefused(msgspec.Struct, frozen=True):
    """The listener answered our upgrade with this HTTP status; ``body`` is cut to 200 characters. Closed follows."""

    status: int
    body: str


class MessageReceived(msgspec.Struct, frozen=True, gc=False):
    """One whole message. A text message (``binary`` False) is meant to be UTF-8 and has not been checked."""

    payload: bytes
    binary: bool


class ControlFrame(msgspec.Struct, frozen=True):
    """The other side sent a PING or PONG frame, which lisk-p2p forbids. Nothing was answered."""

    kind: Literal["ping", "pong"]


class Closed(msgspec.Struct, frozen=True):
    """The connection is over and its socket closed; the last event of a channel.

    ``code`` is the close code of the side that closed first, or a local view that never was on the wire: 1006 for a
    lost, refused or rejected connection, 1002, 1007 and 1009 for frames we do not take, 1011 for a defect of ours.
    ``clean`` means that close frames went both ways. ``reason`` is for a person: the text of the other side's close
    frame (at most 123 bytes of anything), or what went wrong.
    """

    code: int
    clean: bool
    reason: str


ChannelEvent = Opened | UpgradeRequested | UpgradeRefused | MessageReceived | ControlFrame | Closed
