"""What a pool has, whatever it decides: its slots, its voice, and the program's messages to those who are connected.

:class:`core.pool.Pool` builds on top who gets a slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from core.decisions import Decision, DecisionKind, Rule, decided
from core.effects import Effect, Emit, ForwardToPeer, Record, Reply, Room, Tell, TellPeer, TellPeers
from core.errors import NotActive, PeerNotFound
from core.events import Event, PeerInfo
from core.house_messages import (
    ClosePeer,
    PoolCounts,
)
from core.ids import Direction, Endpoint, PeerId
from core.messages import (
    ActorMessage,
    ApplyPenalty,
    BroadcastMessage,
    Done,
    Failed,
    FindPeer,
    PeerCommands,
    SendMessage,
    SendRequest,
)
from core.pool_settings import PoolSettings
from core.select import Selection
from core.slots import Slot, Slots

COUNTS = ("inbound_connects", "outbound_connects", "inbound_disconnects", "outbound_disconnects", "dials_failed")

DISCONNECTS = {Direction.INBOUND: "inbound_disconnects", Direction.OUTBOUND: "outbound_disconnects"}
"""Which of them a lost connection counts for."""


class PoolBase:
    """Slots, output, and sending. Every query (``ask_id``) is answered exactly once, by a Reply or by the peer."""

    def __init__(self, settings: PoolSettings, rng: Random, selection: Selection) -> None:
        self._settings = settings
        self._selection = selection
        self._rng = rng
        self._slots = Slots()
        self._counts = dict.fromkeys(COUNTS, 0)
        self._stopping = False
        self._out: list[Effect] = []
        self._decisions: list[Decision] = []

    # ---- what the program wants ----

    def connected_peers(self) -> tuple[PeerInfo, ...]:
        """Every connected peer, outbound first."""
        return tuple(self._slots.connected())

    @property
    def slots(self) -> Slots:
        """All slots: for looking, and for whoever gives them their actors."""
        return self._slots

    def slots_of(self, direction: Direction) -> list[Slot]:
        """The slots of one direction that are not leaving, whether connected or on the way: for looking only."""
        return self._slots.of(direction)

    def send(self, command: SendMessage, ask_id: int) -> list[Effect]:
        """To one peer, or to the peers that the selection rule picks."""
        if command.peer_id is not None:
            return self._to_one(command.peer_id, command, ask_id)
        limit = self._settings.send_peer_limit
        slots = self._selection.slots_for_send(self._slots, limit, command, self._rng)
        return self._to_many(slots, SendMessage(0, command.event, command.data), [ask_id])

    def broadcast(self, command: BroadcastMessage, ask_id: int) -> list[Effect]:
        """To every connected peer."""
        return self._to_many(self._slots.connected_slots(), SendMessage(0, command.event, command.data), [ask_id])

    def broadcast_all(self, commands: Sequence[BroadcastMessage], ask_ids: Sequence[int]) -> list[Effect]:
        """Several, as one message for each peer; ``ask_ids`` are those of the commands, in their order."""
        messages = tuple(SendMessage(0, command.event, command.data) for command in commands)
        return self._to_many(self._slots.connected_slots(), PeerCommands(messages), ask_ids)

    def request(self, command: SendRequest, ask_id: int) -> list[Effect]:
        """Ask one peer, or the one that the selection rule picks; the peer answers the asker itself."""
        if not ask_id:
            return []  # nobody waits for an answer, and that is all a request is for
        if command.peer_id is not None:
            return self._to_one(command.peer_id, command, ask_id)
        peer = self._selection.peer_for_request(self._slots.connected(), command, self._rng)
        if peer is None:
            return self._failed(ask_id, PeerNotFound("no peer is connected"))
        return self._to_one(peer.peer_id, command, ask_id)

    def find(self, command: FindPeer, ask_id: int) -> list[Effect]:
        """Have a peer's actor tell who it is."""
        return self._to_one(command.peer_id, command, ask_id)

    def penalise(self, command: ApplyPenalty, ask_id: int) -> list[Effect]:
        """The application's penalty for a connected peer."""
        return self._to_one(command.peer_id, command, ask_id)

    def _to_one(self, peer_id: PeerId, command: ActorMessage, ask_id: int) -> list[Effect]:
        slot = self._slots.connected_by_id(peer_id)
        if slot is None:
            return self._failed(ask_id, PeerNotFound(f"no connected peer has the id {peer_id[:80]!r}"))
        self._out.append(ForwardToPeer(slot.endpoint, slot.direction, command, ask_id))
        return self._flush()

    def _to_many(
        self, slots: Sequence[Slot], message: SendMessage | PeerCommands, ask_ids: Sequence[int]
    ) -> list[Effect]:
        if slots and not self._stopping:
            self._out.append(TellPeers(slots, message))
        if any(ask_ids):
            answer = Failed(0, NotActive("the node is stopping")) if self._stopping else Done(0)
            self._out += [Reply(ask_id, answer) for ask_id in ask_ids if ask_id]
        return self._flush()

    def _failed(self, ask_id: int, error: Exception) -> list[Effect]:
        if ask_id:
            self._out.append(Reply(ask_id, Failed(0, error)))
        return self._flush()

    # ---- output ----

    def _end(self, slot: Slot, code: int, reason: str, why: Rule, *, in_peace: bool = False) -> None:
        if slot.farewell is None or slot.farewell.in_peace:
            self._slots.leave(slot, why, in_peace=in_peace)
            self._say(slot, ClosePeer(code, reason, in_peace))

    def _record(self, endpoint: Endpoint, decision: DecisionKind, rule: Rule, *numbers: tuple[str, float]) -> None:
        self._decisions.append(decided(endpoint.peer_id, decision, rule, *numbers))

    def _say(self, slot: Slot, message: ActorMessage) -> None:
        self._out.append(TellPeer(slot.endpoint, slot.direction, message))

    def _tell(self, room: Room, message: ActorMessage) -> None:
        self._out.append(Tell(room, message))

    def _emit(self, event: Event) -> None:
        self._out.append(Emit((event,)))

    def _report(self, changed: Slot | None = None, *, stands: bool = False) -> None:
        counts = PoolCounts(
            self._slots.inbound_tally.connected,
            self._slots.outbound_tally.connected,
            **self._counts,
            changed=changed.endpoint if changed is not None else None,
            direction=changed.direction if changed is not None else None,
            stands=stands,
        )
        self._tell(Room.NODE, counts)

    def _flush(self) -> list[Effect]:
        out = self._out
        self._out = []
        if self._decisions:
            out.insert(0, Record(tuple(self._decisions)))
            self._decisions = []
        return out
