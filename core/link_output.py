"""What one connection has decided and not handed out yet: effects, events, decisions, and the end of the channel."""

from __future__ import annotations

from random import Random

from core.conduct import Conduct
from core.decisions import DecisionKind, Rule, decided
from core.effects import Effect, Emit, Record, Room, SendPacket, SendPackets, Tell
from core.empty import NO_ITEMS
from core.events import Event, PeerInfo
from core.ids import Direction, PeerId
from core.link_extras import AT_REST, Extras
from core.link_settings import LinkSettings
from core.messages import ActorMessage
from core.wire.dialect import Outgoing


class LinkOutput(Conduct):
    """Gathers what follows from one input, and hands it out in order. Lists are made when something comes into them."""

    __slots__ = ("_corked", "_events", "_extras", "_out", "_told")

    def __init__(self, told: PeerInfo, direction: Direction, settings: LinkSettings, rng: Random) -> None:
        super().__init__(direction, settings, rng)
        self._told = told
        """What the pool was told last; before the link is ready, what was known at the beginning."""
        self._corked: list[Outgoing] | None = None  # packets of calls that go out together
        self._out: list[Effect] = NO_ITEMS
        self._events: list[Event] = NO_ITEMS
        self._extras = AT_REST

    @property
    def peer_id(self) -> PeerId:
        """Of the remote."""
        return self._told.peer_id

    def _extra(self) -> Extras:
        """Its extras, to be changed."""
        if self._extras is AT_REST:
            self._extras = Extras()
        return self._extras

    def _put(self, effect: Effect) -> None:
        if self._out:
            self._out.append(effect)
        else:
            self._out = [effect]

    def _event_list(self) -> list[Event]:
        if self._events is NO_ITEMS:
            self._events = []
        return self._events

    def _emit(self, event: Event) -> None:
        self._event_list().append(event)

    def _send(self, packet: Outgoing) -> None:
        if self._corked is not None:
            self._corked.append(packet)
        elif self._out:
            self._out.append(SendPacket(packet))
        else:
            self._out = [SendPacket(packet)]

    def _tell(self, room: Room, message: ActorMessage) -> None:
        self._put(Tell(room, message))

    def _record(self, decision: DecisionKind, rule: Rule, *numbers: tuple[str, float]) -> None:
        extras = self._extra()
        extras.decisions = [*extras.decisions, decided(self.peer_id, decision, rule, *numbers)]

    def cork(self) -> None:
        """Until :meth:`uncork` what is decided stays here: requests and answers that come together go out together."""
        self._corked = []

    def uncork(self) -> list[Effect]:
        """Everything that was decided since, in order."""
        packets, self._corked = self._corked, None
        if packets:
            self._put(SendPacket(packets[0]) if len(packets) == 1 else SendPackets(packets))
        return self._flush()

    def _flush(self) -> list[Effect]:
        """What was decided, in order: packets and messages, then events, then the end of the channel.

        Events come after the messages, so that a program which hears "connected" finds the peer in the pool; and
        before the end, because the channel's end is an input of its own, with events of its own.
        """
        if self._corked is not None:
            return []
        out, extras = self._out or [], self._extras
        if extras.decisions:
            # Before what follows from them: the ban that a penalty leads to comes after it in the peer's story.
            out.insert(0, Record(tuple(extras.decisions)))
            extras.decisions = NO_ITEMS
        if self._events:
            out.append(Emit(tuple(self._events)))
        self._events = NO_ITEMS
        if extras.last is not None:
            out.append(extras.last)
            extras.last = None
        self._out = NO_ITEMS
        return out
