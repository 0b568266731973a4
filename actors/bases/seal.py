"""Sealed packets: what Thespian's processes say to each other, with a signature that is checked before anything else.

Thespian's TCP transport unpickles whatever reaches its ports: whoever can connect can run code (docs/multiprocess.md).
A sealed packet is ``<length>>`` in decimal, as Thespian's own, then a signature of that length, then a signature of
the content, then the pickled content. Signatures are HMAC-SHA256 under a key that is made for each system.

* The length is signed by itself, so that nobody without the key can make a process wait for, or keep, more than a few
  dozen bytes.
* Nothing is unpickled before the signature of all of it was found right.
* No error leaves :class:`SealedBuffer` while data arrives: Thespian's transport forgets a message whose
  acknowledgement raises. A broken packet ends as one that cannot be opened.

Not covered: somebody who can read the traffic of the loopback interface (root) can play packets back.
"""

from __future__ import annotations

import hmac
import logging
import pickle
import secrets
from typing import Any

log = logging.getLogger("ensemble.multiprocess")

KEY_BYTES = 32
LENGTH_SEAL_BYTES = 16
CONTENT_SEAL_BYTES = 32
SEALS_BYTES = LENGTH_SEAL_BYTES + CONTENT_SEAL_BYTES

MAX_PACKET_BYTES = 64 * 1024 * 1024
"""Longest content. A node's largest messages are batches of about 256 KiB and single payloads of a few MiB."""

MAX_LENGTH_DIGITS = 9
READ_BYTES = 256 * 1024
"""What the transport asks of its socket at a time while a packet is under way."""


def new_key() -> bytes:
    """A key that nobody can guess."""
    return secrets.token_bytes(KEY_BYTES)


class SealBroken(Exception):
    """A packet without a right signature, or longer than allowed."""


class Seal:
    """Signs and opens packets with one key of ``KEY_BYTES`` bytes. Raises ValueError for a key of another length."""

    def __init__(self, key: bytes, *, max_bytes: int = MAX_PACKET_BYTES) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"expected a key of {KEY_BYTES} bytes, got {len(key)}")
        self.key = key
        self._keys: dict[bytes, bytes] = {}  # a key of its own for each purpose, made from the key
        self.max_bytes = max_bytes

    def sign(self, purpose: bytes, content: bytes | bytearray | memoryview) -> bytes:
        """32 bytes that only the holder of the key can make; a signature made for one purpose serves no other."""
        key = self._keys.get(purpose)
        if key is None:
            key = self._keys[purpose] = hmac.digest(self.key, purpose, "sha256")
        return hmac.digest(key, content, "sha256")

    def is_signature(self, purpose: bytes, content: bytes | bytearray | memoryview, signature: bytes) -> bool:
        """Whether ``signature`` was made for this purpose and content, told in constant time."""
        return hmac.compare_digest(self.sign(purpose, content), signature)

    def pack(self, message: Any) -> bytes:
        """A whole packet. Raises what pickling raises, and ValueError if it is longer than ``max_bytes``."""
        content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        if len(content) > self.max_bytes:
            raise ValueError(f"a message of {len(content):,} bytes cannot be sent: {self.max_bytes:,} are the limit")
        length = b"%d" % (len(content) + SEALS_BYTES)
        return b"".join(
            (length, b">", self.sign(b"length", length)[:LENGTH_SEAL_BYTES], self.sign(b"content", content), content)
        )

    def is_length(self, length: bytes, signature: bytes) -> bool:
        """Whether an announced length was signed by a holder of the key."""
        return hmac.compare_digest(self.sign(b"length", length)[:LENGTH_SEAL_BYTES], signature)

    def open(self, content: memoryview, signature: bytes) -> Any:
        """Unpickle a signed content. Raises SealBroken before it is even looked at, or what unpickling raises."""
        if not self.is_signature(b"content", content, signature):
            raise SealBroken("the signature of a packet is wrong")
        return pickle.loads(content)


class SealedBuffer:
    """Collects one packet: the sealed counterpart of Thespian's ``ReceiveBuffer``, with the same methods."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._buffer = bytearray()
        self._size: int | None = None  # of what follows the mark: both signatures and the content
        self._is_signed = False  # the length is
        self._is_broken = False
        self._extra = b""

    def addMore(self, data: bytes) -> None:
        """Take in what the socket brought; what is beyond this packet is kept apart."""
        if self._is_broken or not data:
            return
        self._buffer += data
        if self._size is None:
            self._find_length()
        size = self._size
        if size is not None and len(self._buffer) > size:
            self._extra += bytes(self._buffer[size:])
            del self._buffer[size:]

    def _find_length(self) -> None:
        mark = self._buffer.find(b">", 0, MAX_LENGTH_DIGITS + 1)
        if mark < 0:
            self._is_broken = len(self._buffer) > MAX_LENGTH_DIGITS
            return
        length = bytes(self._buffer[:mark])
        if not length.isdigit() or not SEALS_BYTES <= int(length) <= self._seal.max_bytes + SEALS_BYTES:
            self._is_broken = True
        elif len(self._buffer) >= mark + 1 + LENGTH_SEAL_BYTES:
            self._is_signed = self._seal.is_length(length, bytes(self._buffer[mark + 1 : mark + 1 + LENGTH_SEAL_BYTES]))
            self._is_broken = not self._is_signed
            self._size = int(length)
            del self._buffer[: mark + 1]

    def is_empty(self) -> bool:
        """Whether nothing has come yet."""
        return not self._buffer and self._size is None and not self._is_broken

    def remainingAmount(self) -> int:
        """How much to ask of the socket. Before the length is signed, no more than it takes to see that."""
        if self._is_broken:
            return 1
        if self._size is None:
            return MAX_LENGTH_DIGITS + 1 + LENGTH_SEAL_BYTES - len(self._buffer)
        return max(1, min(self._size - len(self._buffer), READ_BYTES))

    def isDone(self) -> bool:
        """Whether no more is to be read: the packet is whole, or can never be."""
        return self._is_broken or (self._size is not None and len(self._buffer) == self._size)

    def removeExtra(self) -> None:
        """Forget what came after the packet."""
        self._extra = b""

    def completed(self) -> tuple[Any, bytes] | None:
        """The content and what came after it; None if the packet is not whole or its signatures are wrong."""
        if self._is_broken or self._size is None or len(self._buffer) != self._size:
            return None
        signature = bytes(self._buffer[LENGTH_SEAL_BYTES:SEALS_BYTES])
        try:
            return self._seal.open(memoryview(self._buffer)[SEALS_BYTES:], signature), self._extra
        except SealBroken:
            log.warning("a packet with a wrong signature was thrown away")
        except Exception:  # signed, so of our own making: a class that one side does not know
            log.exception("a packet cannot be unpickled")
        self._is_broken = True
        return None
