"""How hostile hosts behave: conducts for :class:`.attackers_host.ScriptedHost`, over the wire alone."""

from __future__ import annotations

from collections.abc import Sequence

from actors.simulation.attackers_host import DIALECT, Conduct, Line
from core.ids import Endpoint
from core.wire import packets as p
from core.wire.peerlist import decode_peers

LONGEST_LIST = 200
"""Most addresses in a getPeers answer that do not cost its sender 100 points."""


class Poisoner(Conduct):
    """Takes every connection and answers getPeers with ``poison`` only: his own addresses, or ones where nobody is.

    Lists follow each other through the poison, so that every address is told as soon as possible.
    """

    def __init__(self, poison: Sequence[Endpoint]) -> None:
        super().__init__(poison)
        self._next = 0
        self.told = 0

    def peers(self, line: Line) -> Sequence[Endpoint]:
        poison = self.others
        start = self._next
        self._next = (start + LONGEST_LIST) % max(1, len(poison))
        chosen = [poison[(start + number) % len(poison)] for number in range(min(LONGEST_LIST, len(poison)))]
        self.told += len(chosen)
        return chosen


class Trap(Poisoner):
    """Ends every connection that a victim opens after ``close_after_s``: each time the victim draws again, and the
    address has become a tried one. None: holds what it has."""

    def __init__(self, poison: Sequence[Endpoint], close_after_s: float | None) -> None:
        super().__init__(poison)
        self.close_after_s = close_after_s
        self.caught = 0

    def on_ready(self, line: Line) -> None:
        if line.is_opener:
            return
        self.caught += 1
        if self.close_after_s is not None:
            line.host.later(self.close_after_s, line.close)


class Flooder(Conduct):
    """Opens connections and keeps them; answers pings ``slower_s`` late, so that it is never among the fastest."""

    def __init__(self, others: Sequence[Endpoint] = (), slower_s: float = 0.0) -> None:
        super().__init__(others)
        self.slower_s = slower_s
        self.admitted = 0
        self.over = 0

    def answer_delay_s(self, line: Line) -> float:
        return self.slower_s if line.is_opener else 0.0

    def on_ready(self, line: Line) -> None:
        self.admitted += line.is_opener

    def on_over(self, line: Line) -> None:
        self.over += line.is_opener


class Observer(Conduct):
    """Connects, asks for peers once, writes down what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.learned: set[Endpoint] = set()

    def on_ready(self, line: Line) -> None:
        if line.is_opener:
            line.send(DIALECT.encode_request("getPeers", None, 77))

    def on_answer(self, line: Line, answer: p.Response) -> None:
        if answer.rid == 77 and answer.data is not None:
            self.learn(decode_peers(answer.data))
            line.close()

    def learn(self, found: Sequence[Endpoint]) -> None:
        """One answer."""
        self.learned.update(found)
