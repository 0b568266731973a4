"""Descriptors of a simulation watched by code that is no actor: what plays a part in a network without being a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.bases.endpoint import EndpointCell
from actors.bases.sim_kernel import VirtualKernel, WatchKey

if TYPE_CHECKING:
    from actors.bases.simulation import SimulationBase

OnReady = Callable[[int, int], None]
"""(descriptor, event mask of :mod:`selectors`) of a watched descriptor that would not block now."""


class _DoorCell(EndpointCell):
    """A mailbox that the reactor can tell about ready descriptors."""

    __slots__ = ("kernel", "on_ready")

    def __init__(self, host: Any, label: str, on_ready: OnReady) -> None:
        super().__init__(host, label, self._nothing)
        self.on_ready = on_ready
        self.kernel: VirtualKernel = host.kernel

    @staticmethod
    def _nothing(message: Any, sender: Any) -> None:
        """Nobody sends here but the reactor."""

    def drain(self, limit: int) -> int:
        count = 0
        while self.inbox and count < limit:
            key, _ = self.inbox.popleft()
            count += 1
            if isinstance(key, WatchKey):
                key.is_told = False
                mask = key.ready()
                if mask:
                    self.on_ready(key.fd, mask)
                    if not key.is_told and key.ready():
                        self.kernel.tell(key)
        return count


class DescriptorDoor:
    """Watches descriptors of the simulation's kernel, level-triggered, and calls ``on_ready`` for each that is ready.

    ``label`` names it in the trace. What ``on_ready`` raises ends the simulation: it is the experiment's own fault.
    """

    def __init__(self, base: SimulationBase, label: str, on_ready: OnReady) -> None:
        self._kernel = base.kernel
        self._cell = _DoorCell(base, label, on_ready)

    def watch(self, fd: int, events: int) -> None:
        """Watch a descriptor for these events (from now on instead of others); 0: no more."""
        key = self._kernel.key_of(fd)
        if not events:
            if key is not None:
                self._kernel.unregister(fd)
        elif key is None:
            self._kernel.register(fd, events, self._cell)
        elif key.events != events:
            self._kernel.modify(fd, events, self._cell)
