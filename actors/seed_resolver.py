"""SeedResolver: looks up the seeds that are given by DNS name.

Parent: PeerPool, which creates it when the first name is to be looked up. Children: none. Owns: a resolver, which has
threads of its own. An actor of its own for their sake: in the multi-process deployment the pool forks its peers, and
a process with threads must not fork.
Accepts: ResolveHosts (pool). Tells the pool HostsResolved.

A name that fails is reported in the log once, until it fails for another reason or is found again.
"""

from __future__ import annotations

from typing import Any

from actors.base import HouseActor
from actors.bases.watch import Watch
from actors.transport.resolver import Lookup, Resolver, resolver_of
from core.house_messages import (
    HostsResolved,
    ResolvedHost,
    ResolveHosts,
)

TIMEOUT_S = 15.0
"""The machine's resolver usually gives up within 5 to 10 s per server; beyond this it is as good as no answer."""


class SeedResolver(HouseActor):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._resolver: Resolver | None = None
        self._asker: Any = None
        self._due_at: dict[str, float] = {}  # hosts under way
        self._failing: dict[str, str] = {}  # why, as it was logged

    def receiveMsg_ResolveHosts(self, message: ResolveHosts, sender: Any) -> None:
        """Look these up; each is answered, found or not."""
        self._asker = sender
        resolver = self._resolver
        if resolver is None:
            resolver = self._resolver = resolver_of(self)
            if resolver.fileno() >= 0:
                self.watch = Watch([resolver.fileno()])
        due_at = self.now() + TIMEOUT_S
        for host in message.hosts:
            self._due_at.setdefault(host, due_at)
            resolver.ask(host)
        if resolver.fileno() < 0:
            self._tell(resolver.take())

    def receiveMsg_WatchMessage(self, message: Any, sender: Any) -> None:
        """Answers have come."""
        if self._resolver is not None:
            self._tell(self._resolver.take())

    def deadline(self) -> float | None:
        """When the first look-up has taken long enough."""
        return min(self._due_at.values(), default=None)

    def on_time(self, now: float) -> None:
        """Give up what takes too long; the thread it hangs in counts against the few there are, until it comes back."""
        late = [host for host, due_at in self._due_at.items() if due_at <= now]
        self._tell([Lookup(host, (), f"no answer within {TIMEOUT_S:g} s") for host in late])

    def _tell(self, answers: list[Lookup]) -> None:
        told = tuple(self._judged(answer) for answer in answers if self._due_at.pop(answer.host, None) is not None)
        if told:
            self.send(self._asker, HostsResolved(told))

    def _judged(self, answer: Lookup) -> ResolvedHost:
        """One answer for the pool; the operator hears of what changed."""
        before = self._failing.get(answer.host)
        if not answer.addresses and answer.error != before:
            self._failing[answer.host] = answer.error
            self.log.warning("seed_peers: %s cannot be resolved: %s", answer.host, answer.error)
        elif answer.addresses and before is not None:
            del self._failing[answer.host]
            self.log.warning("seed_peers: %s is found again: %s", answer.host, ", ".join(answer.addresses[:4]))
        return ResolvedHost(answer.host, answer.addresses)

    def release(self) -> None:
        """Let go of the resolver."""
        if self._resolver is not None:
            self._resolver.close()
