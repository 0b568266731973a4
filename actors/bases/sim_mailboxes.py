"""How actors of a simulation get their messages: the part of the base that every message goes through."""

from __future__ import annotations

import logging
from itertools import islice
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Any

from thespian.actors import ActorSystemMessage, WakeupMessage  # type: ignore[import-untyped, unused-ignore]

from actors.bases.inproc import InProcessBase
from actors.bases.sim_kernel import SPENT, WatchKey
from actors.bases.sim_time import VirtualClock
from actors.bases.sim_trace import TRACE_BATCH, Trace, line_of
from actors.bases.watch import WatchReady
from core.messages import EventBatch

if TYPE_CHECKING:
    from actors.bases.sim_cell import Identity

log = logging.getLogger(__name__)

_PLAIN: dict[type, str] = {EventBatch: ""}
"""Kinds of messages that mean nothing to the base, as far as any were seen, and what the trace calls them: empty if it
has to look closer."""


class StandStill(RuntimeError):
    """Virtual time cannot go on: actors never fall silent, or somebody waits where nothing will ever happen."""


class SimMailboxes(InProcessBase):
    """See the module; :class:`actors.bases.simulation.SimulationBase` adds time and nodes."""

    clock: VirtualClock
    trace: Trace
    delivered: int
    """Messages handled so far."""
    frozen: dict[Identity, list[Any]]
    """Nodes that stand still, and their actors that have mail since."""
    _home: Identity
    _messages_per_visit: int
    _messages_per_instant: int

    def _tell(self, key: WatchKey) -> None:
        """Something may be ready of what is watched."""
        key.is_told = True
        cell = key.data
        cell.inbox.append((key, cell.address))
        if not cell.scheduled:
            cell.scheduled = True
            self.ready.append(cell)

    def _finish_instant(self) -> None:
        """Run the actors until none has mail and nothing that is watched is ready. As the reactor's mailboxes, with a
        trace and without a clock. The hot path."""
        ready, visit, frozen, trace = self.ready, self._messages_per_visit, self.frozen, self.trace
        incoming, note, marks, plain = self.incoming, trace.lines.append, WatchKey.KINDS, _PLAIN
        delivered, limit = 0, self._messages_per_instant
        if not ready and not incoming:
            return  # somebody only looks: an instant without a message must not be in the trace
        if trace.instant != self.clock.now:
            trace.stamp()
        try:
            while ready or incoming:
                if incoming:
                    self._take_incoming()
                    continue
                cell: Any = ready.popleft()
                if frozen and (parked := frozen.get(getattr(cell, "identity", self._home))) is not None:
                    parked.append(cell)  # still marked as scheduled, so that it is not queued twice
                    continue
                inbox = cell.inbox
                count = len(inbox)
                if count > visit:
                    count = visit
                delivered += count
                try:
                    if cell.instance is None:
                        for message, sender in islice(inbox, count) if len(inbox) > count else inbox:
                            note(line_of(SPENT if type(message) in marks else message, sender, cell))
                        cell.drain(count)
                        continue
                    while count:
                        count -= 1
                        message, sender = inbox.pop(0)
                        kind = type(message)
                        if kind in marks:
                            self._deliver_ready(cell, message)
                        elif kind not in plain:
                            self._deliver_rare(cell, message, sender)
                        else:
                            what = plain[kind]
                            try:  # as line_of(), in a third of its time
                                line = f"{sender.cell.label} > {cell.label} {what}"
                            except AttributeError:  # somebody outside the actors
                                what = ""
                            note(line if what else line_of(message, sender, cell))
                            try:
                                result = cell.instance.receiveMessage(message, sender)
                            except Exception:
                                self._retry(cell, message, sender)
                            except KeyboardInterrupt:
                                raise
                            except BaseException:
                                self._crash(cell)
                            else:
                                if result is not cell.watch:
                                    self.descriptors.replace(cell, result)
                                continue
                        if cell.instance is None:
                            break  # what is left is for nobody
                finally:
                    if inbox:
                        ready.append(cell)
                    else:
                        cell.scheduled = False
                if delivered >= limit:
                    raise StandStill(f"{limit} messages without a moment passing, at {self._now()} s")
        finally:
            self.delivered += delivered
            if len(trace.lines) >= TRACE_BATCH:
                trace.flush()

    def _deliver_rare(self, cell: Any, message: Any, sender: Any) -> None:
        """Of a kind that means something to the base, or the first of one that does not."""
        kind = type(message)
        self.trace.lines.append(line_of(message, sender, cell))
        if isinstance(message, ActorSystemMessage) and kind is not WakeupMessage:
            self._deliver_system(cell, message, sender)
        else:
            _PLAIN[kind] = kind.__name__
            self._attempt(cell, message, sender)

    def _deliver_ready(self, cell: Any, key: WatchKey) -> None:
        """Say what is ready now of a descriptor, and again later if something of it still is."""
        key.is_told = False
        mask = key.readiness() & key.events
        if not mask:
            return
        self.trace.lines.append(f"{cell.label} > {cell.label} WatchReady")
        fd = key.fd
        message = WatchReady([fd] if mask & EVENT_READ else [], (fd,) if mask & EVENT_WRITE else ())
        self._attempt(cell, message, cell.address)
        if key.events and not key.is_told and key.readiness() & key.events:
            self._tell(key)
