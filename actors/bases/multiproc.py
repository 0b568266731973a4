"""The multi-process system base: Thespian's ``multiprocTCPBase`` behind closed doors.

:class:`ClosedTCPBase` is used by the warden (:mod:`actors.bases.warden`), in a process made for the purpose. A program
uses :class:`actors.bases.process_system.ProcessSystem`, which starts a warden and talks to its actors.
"""

from __future__ import annotations

from typing import Any

from thespian.system.multiprocTCPBase import ActorSystemBase

from actors.bases.actor_process import Terms, parts
from actors.bases.sealed_transport import LOOPBACK, LogPort, sealed_transport


class ClosedTCPBase(ActorSystemBase):  # type: ignore[misc]
    """A Thespian system base whose processes listen at one private address and open signed packets only.

    :class:`~actors.bases.actor_process.Terms` must be set. ``capabilities`` must hold the ``Admin Port``.
    """

    def __init__(
        self, capabilities: dict[str, Any], *, interface: str = LOOPBACK, log_port: LogPort | None = None, level: int
    ) -> None:
        self.transportType = sealed_transport(Terms.seal, interface, log_port)
        super().__init__(_Stand(capabilities), {"version": 1, "root": {"level": level}})

    def _startAdmin(self, *arguments: Any) -> None:
        parts.multiprocessCommon._startAdmin(self, *arguments)


class _Stand:
    """The part of an ActorSystem that a base looks at while it is made."""

    def __init__(self, capabilities: dict[str, Any]) -> None:
        self.capabilities = capabilities
