"""The seeds of a node, by address and by name: who they are at present, and whether the pool waits for them."""

from __future__ import annotations

from collections.abc import Iterable

from core.house_messages import (
    ResolvedHost,
)
from core.ids import Endpoint, PeerKind
from core.pool_settings import PoolSettings
from core.seeds import FRESH_S, SeedNames
from core.static_lists import Blacklist, is_own


class Seeds:
    """See the module. ``wanted``: seeds were asked for while names were being looked up. Times: monotonic seconds.

    What a name resolves to goes through the same judgement as the lists: blacklisted wins, and we are no seed of ours.
    """

    __slots__ = ("_blacklist", "_configured", "_named", "_names", "_settings", "wanted")

    def __init__(self, settings: PoolSettings) -> None:
        self.wanted = False
        self._settings = settings
        self._configured = settings.kinds()
        self._blacklist = Blacklist(settings.blacklisted_ips)
        # A node that keeps to its fixed peers asks no seeds, so it needs no addresses of theirs.
        self._names = SeedNames(() if settings.fixed_only else settings.seed_names)
        self._named: tuple[Endpoint, ...] = ()

    @property
    def named(self) -> tuple[Endpoint, ...]:
        """What the names stand for."""
        return self._named

    @property
    def is_waiting(self) -> bool:
        """Whether names are being looked up."""
        return self._names.is_waiting

    def all(self) -> list[Endpoint]:
        """Every seed there is now. One that is a fixed peer too is left out: that one has its own pace."""
        fixed = set(self._settings.fixed_peers)
        return [peer for peer in dict.fromkeys((*self._settings.seed_peers, *self._named)) if peer not in fixed]

    def kinds(self) -> dict[Endpoint, PeerKind]:
        """Trust by endpoint, of all configured peers."""
        return {**dict.fromkeys(self._named, PeerKind.SEED), **self._configured}

    def to_resolve(self, now: float, older_than_s: float = FRESH_S) -> tuple[str, ...]:
        """The host names to look up now."""
        return self._names.to_resolve(now, older_than_s)

    def on_resolved(self, hosts: Iterable[ResolvedHost], now: float) -> bool:
        """Take answers in; whether the seeds are others than before."""
        for host in hosts:
            if host.addresses:
                self._names.resolved(host.host, host.addresses, now)
            else:
                self._names.failed(host.host)
        settings = self._settings
        before = self._named
        self._named = tuple(
            peer
            for peer in self._names.endpoints
            if peer.ip not in self._blacklist and not is_own(peer, settings.host_ip, settings.listening_port)
        )
        return set(before) != set(self._named)

    def on_resolver_lost(self) -> None:
        """No answer will come to what was asked."""
        self._names.lost()
