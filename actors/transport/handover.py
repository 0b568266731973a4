"""Handing a connection from the actor that accepted it to the actor that will own it.

The giver has upgraded the connection to WebSocket and read exactly one message from it. What came after that message
travels along as raw bytes, so that the receiver's own parser starts at a frame boundary with nothing lost.

Protocol: the giver calls ``ListenerChannel.detach`` and sends the :class:`HandOver`; the receiver makes a copy of the
socket (``Channel.adopt``) and says so; the giver then calls ``confirm``, which closes its own copy without shutting
the connection down. A giver that hears nothing in time calls ``abort`` instead: the connection ends, nothing leaks.
"""

from __future__ import annotations

import msgspec

MAX_FRAME_HEADER_BYTES = 14
"""2 bytes, 8 of extended length, 4 of masking key (RFC 6455 section 5.2)."""


class HandOver(msgspec.Struct, frozen=True, kw_only=True):
    """An upgraded connection on its way to another actor. Picklable; holds no socket.

    ``fd`` is a descriptor number in the giver's process: a receiver in the same process copies it, one in another
    process gets a descriptor of its own beside this message and finds the connection by ``token``.
    """

    token: int
    fd: int
    remote_ip: str
    remote_port: int
    leftover: bytes = b""
    """Raw bytes received after the first message: the beginning of what the receiver has to parse."""
    unsent: bytes = b""
    """Raw bytes that the giver had queued and the socket has not yet taken; they go out before anything else."""


def frame_bytes(buffer: bytes | bytearray) -> int:
    """Length in bytes of the WebSocket frame at the start of ``buffer``, header and mask included.

    0 if too little of the header is there to tell. Nothing else of the frame is checked, so an invalid one gets a
    length as well, up to 2**64 + 13 (RFC 6455 section 5.2).
    """
    if len(buffer) < 2:
        return 0
    length = buffer[1] & 0x7F
    header = 2
    if length >= 126:
        extended = 2 if length == 126 else 8
        header += extended
        if len(buffer) < header:
            return 0
        length = int.from_bytes(buffer[2:header], "big")
    if buffer[1] & 0x80:
        header += 4
    return header + length
