"""Virtual clocks and seeded randomness for the actors of one simulated node.

Everything random is a stream of its own, derived from the simulation's seed, the node's name and the stream's name by
SHA-256: one consumer that draws more than before disturbs no other. What a node draws in running is one of them, which
its rooms and connections share: a generator takes 2.9 KB. The streams are the same on every machine, Python
version and hash seed, as long as their consumers keep to what :class:`random.Random` promises to repeat, or in fact
has repeated since Python 3.2: ``random``, ``getrandbits``, ``randbytes``, and what is made of these by arithmetic and
comparison alone (``uniform``, ``randrange``, ``choice``, ``shuffle``, ``sample``). Not among them: everything that
takes logarithms or cosines, whose last digits are the machine's own (``gauss``, ``expovariate``, ``lognormvariate``).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence

from actors.bases.sim_time import VirtualClock


def derive_rng(*names: int | str) -> random.Random:
    """Return the generator of a stream. ``names`` lead to it, the seed first: a different path, a different stream."""
    return random.Random(StreamSeeds(*names)())


class StreamSeeds:
    """The seeds of all streams whose paths begin alike: called with the rest of the path, it returns what
    :func:`derive_rng` seeds the generator of the whole path with."""

    def __init__(self, *names: int | str) -> None:
        self._begun = hashlib.sha256(_material(names))

    def __call__(self, *names: int | str) -> int:
        path = self._begun.copy()
        path.update(_material(names))
        return int.from_bytes(path.digest(), "big")


def _material(names: Sequence[int | str]) -> bytes:
    parts = [f"{type(name).__name__}:{name}".encode() for name in names]
    return b"".join([len(part).to_bytes(4, "big") + part for part in parts])  # ("a", "bc") is not ("ab", "c")


class SimEnvironment:
    """The :class:`~actors.bases.environment.Environment` of one node.

    ``run`` counts the starts of the node: one that comes back from a crash draws other numbers than in its first life.
    """

    def __init__(
        self, seed: int | str, node: str, clock: VirtualClock, wall_start: float, masks: Iterator[bytes]
    ) -> None:
        """``wall_start``: what this node's calendar says when the simulation begins (Unix seconds). ``masks``: the
        simulation's source of masking keys."""
        self._seed = seed
        self._node = node
        self._clock = clock
        self.now: Callable[[], float] = clock.read
        self.wall_start = wall_start
        self.run = 0
        self._common: tuple[int, random.Random] | None = None
        self._tokens = hashlib.sha256(f"{type(seed).__name__}:{seed}\0{node}\0token_bytes".encode())
        self._drawn = 0
        self._masks = masks

    def wall_now(self) -> float:
        return self.wall_start + self._clock.now

    def rng(self, name: str) -> random.Random:
        """Return the stream called ``name`` of this node's present run, from its beginning."""
        return derive_rng(self._seed, self._node, self.run, name)

    def room_rng(self, name: str) -> random.Random:
        return self.common_rng()

    def common_rng(self) -> random.Random:
        common = self._common
        if common is None or common[0] != self.run:
            common = self._common = (self.run, self.rng("common"))
        return common[1]

    def token_bytes(self, count: int) -> bytes:
        """Return the next ``count`` bytes of the node's one stream of tokens, which goes on through restarts."""
        # A generator would take 2.5 KB in each node. What is drawn are keys and nonces, a few hundred bytes at a time.
        drawn = b""
        while len(drawn) < count:
            block = self._tokens.copy()
            block.update(self._drawn.to_bytes(8, "big"))
            self._drawn += 1
            drawn += block.digest()
        return drawn[:count]

    def masks(self) -> Iterator[bytes]:
        return self._masks
