"""Encoding a broadcast once, however many peers of a dialect it goes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

Encoded = TypeVar("Encoded", str, bytes)


class ToSend(Protocol):
    """What has to be known of a message."""

    @property
    def event(self) -> str:
        """Its name."""

    @property
    def data(self) -> bytes | None:
        """Its payload."""


MAX_REMEMBERED = 64
"""Messages; an actor takes at most 16 out of its mailbox before the next one has its turn. Twice as many at worst."""

MAX_REMEMBERED_BYTES = 4 * 1024 * 1024
"""The same for their encoded bytes."""


class EncodeOnce(Generic[Encoded]):
    """An ``encode_message`` that remembers its last results.

    A broadcast gives every peer the very same payload object, so comparing by identity finds it, at 0.2 us a message.
    Holds a few of the last messages alive. Safe for several threads: each step is one operation on a dict.
    """

    __slots__ = ("_bytes", "_known", "_older", "encode")

    def __init__(self, encode: Callable[[str, bytes | None], Encoded]) -> None:
        self.encode: Callable[[str, bytes | None], Encoded] = encode
        """Without the memory."""
        self._known: dict[tuple[int, str], tuple[bytes | None, Encoded]] = {}
        self._older: dict[tuple[int, str], tuple[bytes | None, Encoded]] = {}  # what was known when it became too much
        self._bytes = 0

    def __call__(self, event: str, data: bytes | None) -> Encoded:
        """Return a one-way message; ``data`` None sends none."""
        key = (id(data), event)
        known = self._known.get(key) or self._older.get(key)
        if known is not None:
            return known[1]  # its payload lives, so that no other object can have its identity
        encoded = self.encode(event, data)
        self._bytes += len(encoded)
        if len(self._known) >= MAX_REMEMBERED or self._bytes > MAX_REMEMBERED_BYTES:
            self._older, self._known = self._known, {}
            self._bytes = len(encoded)
        self._known[key] = (data, encoded)
        return encoded


_last: tuple[Any, Sequence[ToSend], list[str | bytes]] = (None, (), [])


def encode_all(encode: Callable[[str, bytes | None], str | bytes], messages: Sequence[ToSend]) -> list[str | bytes]:
    """Return what ``encode`` makes of each message; for the messages it was last asked for, the same list again.

    Several broadcasts in a row come to every peer as the same messages: comparing them takes 2 ns each. Holds them
    alive. Safe for several threads: the memory is one reference.
    """
    global _last
    known_encode, known, packets = _last
    if known_encode is encode and known == messages:
        return packets
    make = encode.encode if isinstance(encode, EncodeOnce) else encode
    packets = [make(message.event, message.data) for message in messages]
    _last = (encode, messages, packets)
    return packets
