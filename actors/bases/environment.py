"""Clock and entropy: the only door through which actors get either.

A handler that reads ``time.time()`` or ``random.random()`` cannot be replayed. Actors therefore ask the environment
of the system base they run on (:func:`environment_of`); a simulation gives them a virtual clock and seeded
generators, and the same actor class behaves the same way twice.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Iterator
from typing import Protocol

from actors.transport.frames import masking_keys


class Environment(Protocol):
    """What an actor may know about the world outside its mailbox."""

    def now(self) -> float:
        """Monotonic seconds from an arbitrary origin: for delays and deadlines."""

    def wall_now(self) -> float:
        """Unix seconds: for what is stored or shown."""

    def rng(self, name: str) -> random.Random:
        """Return a new generator for the consumer called ``name`` (an actor's own stable name)."""

    def room_rng(self, name: str) -> random.Random:
        """Return the generator of a room of a node (its peer book, its pool), which is called ``name``.

        In the real world each has its own: from what one tells the world nobody can foresee what another will do. In
        a simulation they share the node's common one: 2.9 KB for each of three rooms were a tenth of a node.
        """

    def common_rng(self) -> random.Random:
        """Return the one generator of all consumers that draw a number now and then: one takes 2.9 KB."""

    def token_bytes(self, count: int) -> bytes:
        """Return ``count`` bytes for nonces and keys; unpredictable unless the environment is a seeded one."""

    def masks(self) -> Iterator[bytes]:
        """Return the one source of masking keys (4 such bytes each) of all connections: what it draws ahead takes
        600 bytes."""


class SystemEnvironment:
    """The real world: the machine's clocks and the kernel's entropy."""

    _common_rng: random.Random | None = None
    _masks: Iterator[bytes] | None = None

    now = staticmethod(time.monotonic)
    wall_now = staticmethod(time.time)

    def rng(self, name: str) -> random.Random:
        """Return a generator seeded with 256 bits from the kernel; ``name`` plays no part."""
        return random.Random(int.from_bytes(os.urandom(32), "big"))

    def room_rng(self, name: str) -> random.Random:
        return self.rng(name)

    def common_rng(self) -> random.Random:
        found = self._common_rng
        if found is None:
            found = self._common_rng = self.rng("common")
        return found

    def token_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def masks(self) -> Iterator[bytes]:
        if self._masks is None:
            self._masks = masking_keys(self.token_bytes)
        return self._masks


class SeededEnvironment(SystemEnvironment):
    """Real clocks, reproducible randomness: for tests and simulations, never for a node on a network.

    Each name gets its own stream, derived from ``seed`` and the name with SHA-256, so one consumer that draws more
    numbers than before does not disturb the others. Asking twice for one name gives the same stream twice.
    """

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self._tokens = self.rng("token_bytes")

    def rng(self, name: str) -> random.Random:
        material = f"{type(self.seed).__name__}:{self.seed}\0{name}".encode()
        return random.Random(int.from_bytes(hashlib.sha256(material).digest(), "big"))

    def token_bytes(self, count: int) -> bytes:
        return self._tokens.randbytes(count)


_SYSTEM = SystemEnvironment()


def environment_of(actor: object) -> Environment:
    """Return the environment of the base that ``actor`` runs on; on Thespian's own bases, the real world."""
    environment: Environment | None = getattr(getattr(actor, "_myRef", None), "environment", None)
    return _SYSTEM if environment is None else environment
