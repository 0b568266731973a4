"""The packets of the peer protocol, whatever their dialect: what :mod:`core.link` understands.

A dialect (:mod:`core.wire.dialect`) turns one WebSocket message into one of these, or raises :class:`PacketFault`.
Application payloads are ``bytes``, or ``None`` when the packet carried none (which differs from empty bytes).

They are frozen ``msgspec`` structs rather than dataclasses because one is made for every packet: creating a frozen
dataclass of two fields takes five times as long (``docs/performance.md``). They hold no containers, so the garbage
collector need not track them.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import msgspec


class ErrorCode(enum.IntEnum):
    """What an error answer is about, in dialects that say so. Other numbers are for later, and for programs' own."""

    PROGRAM = 1
    """The program refused, for a reason of its own."""
    MALFORMED = 2
    """The request was not understood."""
    OVERLOADED = 3
    """Too many requests of this connection wait for an answer."""


class Handshake(msgspec.Struct, frozen=True, gc=False):
    """The opener's first packet. ``cid`` is None or 0 when the opener wants no acknowledgement."""

    cid: int | None


class Request(msgspec.Struct, frozen=True, gc=False):
    """A remote procedure call. ``cid`` None or 0: execute, but do not answer."""

    procedure: str
    data: bytes | None
    cid: int | None


class MalformedRequest(msgspec.Struct, frozen=True, gc=False):
    """A call whose inner object is not understood: answered with an error, without penalty (as lisk-p2p does)."""

    cid: int | None


class Response(msgspec.Struct, frozen=True, gc=False):
    """The answer to call ``rid``.

    ``data`` is the application payload. ``ping_timeout_ms`` is set when the answer holds the session fields that
    acknowledge ``#handshake``. ``malformed`` is set when the inner object was not understood, ``bare`` when there was
    none at all: enough to acknowledge ``#handshake``, but a failed answer to any other call (as lisk-p2p sees it).
    """

    rid: int
    data: bytes | None
    ping_timeout_ms: int | None = None
    malformed: bool = False
    bare: bool = False


class ErrorResponse(msgspec.Struct, frozen=True, gc=False):
    """The error answer to call ``rid``.

    ``message`` is cut to 1,000 characters; ``code`` is the peer's own, if it gave one: any integer.
    """

    rid: int
    message: str
    code: int | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    """A one-way message (``remote-message``)."""

    event: str
    data: bytes | None


class MalformedMessage(msgspec.Struct, frozen=True, gc=False):
    """A one-way message whose inner object is not understood: dropped, without penalty (as lisk-p2p does)."""


class Disconnect(msgspec.Struct, frozen=True, gc=False):
    """The other side announces its close.

    ``code`` is None when it was absent, no integer, or not allowed on the wire (RFC 6455 section 7.4); ``reason`` is
    cut to 1,000 characters and empty when there was none.
    """

    code: int | None
    reason: str


class KeepAlivePing(msgspec.Struct, frozen=True, gc=False):
    """``#1``, from listener to opener."""


class KeepAlivePong(msgspec.Struct, frozen=True, gc=False):
    """``#2``, from opener to listener."""


class PlainEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that is neither a call nor a message of ours: ignored, as every version of lisk-p2p does.

    ``event`` is empty for a packet that is neither event nor answer (``{}``).
    """

    event: str
    cid: int | None


Packet: TypeAlias = (
    Handshake
    | Request
    | MalformedRequest
    | Response
    | ErrorResponse
    | Message
    | MalformedMessage
    | Disconnect
    | KeepAlivePing
    | KeepAlivePong
    | PlainEvent
)


class PacketFault(Exception):
    """A packet that a correct peer never sends. ``rule`` is a short stable name: ``not_json``, ``unknown_member``, ...

    Whether it is punished depends on who sent it: lisk-p2p listeners ban for it, openers ignore it.
    """

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail

    def __reduce__(self) -> tuple[type[PacketFault], tuple[str, str]]:
        return type(self), (self.rule, self.detail)
