"""HouseActor: what every actor of a node does in the same way.

A message comes in, a mind in ``core`` decides, its effects are carried out: ``receiveMsg_<Type>`` methods receive,
``do_<effect>`` methods act. One timer is armed for the mind's next deadline. A handler that raises is logged and ends
its actor (never Thespian's second try on half-changed state); the parent hears of it and decides. Written to the
weakest of the bases: no order between different senders, duplicates possible, the watch returned from every handler.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import msgspec
from thespian.actors import (
    Actor,
    ActorExitRequest,
    ChildActorExited,
    DeadEnvelope,
    PoisonMessage,
    WakeupMessage,
)

from actors.bases.environment import Environment, environment_of
from actors.bases.watch import Watch
from actors.wiring import (
    Charter,
    Forwarded,
    Init,
    PrepareInbound,
    Rooms,
    StartOutbound,
    Subscriber,
    SubscribersChanged,
)
from core.decisions import Decisions, stamped
from core.effects import Effect, Emit, Record, Tell
from core.events import DecisionTaken, Event
from core.house_messages import (
    DecisionsTaken,
    OpenStorage,
)
from core.messages import (
    EventBatch,
)

Handler = Callable[[Any, Any, Any], None]
Doer = Callable[[Any, Any], None]

NEVER = math.inf

ENDED: Any = ()
"""Instead of the messages that wait for Init: none will be handled any more."""

MIN_TIMER_S = 0.001
"""Thespian: a zero delay in a loop starves sockets on its own bases."""


BEFORE_INIT = (
    Init,
    StartOutbound,
    PrepareInbound,
    ActorExitRequest,
    WakeupMessage,
    SubscribersChanged,
    OpenStorage,
)
"""What an actor that waits for Init handles without."""


class HouseActor(Actor):  # type: ignore[misc]
    """Base of all actors; see the module. Subclasses implement ``receiveMsg_...`` and ``do_...``.

    ``receiveMsg_X(message, sender)`` handles messages of the class named X. ``deadline()`` returns when ``on_time`` is
    to be called. ``release()`` gives up what the actor owns; it is called once, however the actor ends.

    With ``WAITS_FOR_INIT``, messages that overtake Init (they come from others than the node) are kept until the
    handler of Init calls :meth:`catch_up`.
    """

    __slots__ = (
        "_before_init",
        "_doers",
        "_later_wakes",
        "_receivers",
        "_wakes_at",
        "charter",
        "subscribers",
        "watch",
    )

    WAITS_FOR_INIT = False

    _RECEIVERS: ClassVar[dict[type, Handler]] = {}
    _DOERS: ClassVar[dict[type, Doer]] = {}
    """What handles a message and an effect of this class, found by name when the first one comes. On the class: there
    may be thousands of peers."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._RECEIVERS, cls._DOERS = {}, {}

    def __init__(self) -> None:
        super().__init__()
        self._receivers, self._doers = self._RECEIVERS, self._DOERS  # a class is slow to read
        self.charter: Charter | None = None
        self.subscribers: tuple[Subscriber, ...] = ()
        self.watch: Watch | None = None
        self._wakes_at = NEVER  # when the next timer will fire
        self._later_wakes: tuple[float, ...] = ()  # and those after it, in order: they cannot be taken back
        self._before_init: list[tuple[Any, Any]] | None = [] if self.WAITS_FOR_INIT else None  # or ENDED

    # ---- Thespian's side ----

    def receiveMessage(self, message: Any, sender: Any) -> Watch | None:
        """Dispatch one message; whatever happens, return the watch that holds from now on."""
        if self._before_init is ENDED:
            return None
        kind = type(message)
        handler = self._receivers.get(kind) or self._find_receiver(kind)
        try:
            if self._before_init is None or issubclass(kind, BEFORE_INIT):
                handler(self, message, sender)
            else:
                self._before_init.append((message, sender))
            self._arm()
        except Exception:
            self.log.exception("%s failed on %s", self.kind, type(message).__name__)
            self.leave()
        return self.watch

    @property
    def log(self) -> logging.Logger:
        """The actor's logger, asked for anew: loggers of a module's import bypass Thespian's in its processes."""
        return logging.getLogger(f"ensemble.{_snake(self.kind)}")

    @property
    def kind(self) -> str:
        """What this actor was created as, for logs."""
        return type(self).__name__

    @property
    def environment(self) -> Environment:
        """Clock and entropy of the base. Not for ``__init__``, which runs before the actor has a base."""
        return environment_of(self)

    def now(self) -> float:
        """Monotonic seconds, virtual in a simulation."""
        now = self.now = self.environment.now  # type: ignore[method-assign]  # asked for three times a message
        return now()

    def sleeps_until(self, now: float) -> float | None:
        """Asked by a base when a timer is due: when it is worth to ask again (never: infinity); None: now, by message.

        Nearly every timer was armed for something that has come in the meantime, as the answer to a ping has. A base
        that does not ask sends the message, and nothing happens then either.
        """
        deadline = self.deadline()
        if deadline is None or deadline <= now or self._before_init is not None:
            return None
        later = self._later_wakes
        if later and later[0] <= deadline:
            self._wakes_at, self._later_wakes = later[0], later[1:]
            return NEVER
        self._wakes_at = at = max(deadline, now + MIN_TIMER_S)
        return at

    # ---- what subclasses override ----

    def deadline(self) -> float | None:
        """When :meth:`on_time` wants to be called (monotonic seconds)."""
        return None

    def on_time(self, now: float) -> None:
        """The deadline has come."""

    def release(self) -> None:
        """Give up sockets and the like."""

    @property
    def has_ended(self) -> bool:
        """No further message is handled."""
        return self._before_init is ENDED

    def end(self) -> None:
        """Release everything and handle no further message; the actor itself goes with :meth:`leave`."""
        if not self.has_ended:
            self._before_init = ENDED
            self.watch = None
            self.release()

    def leave(self) -> None:
        """End this actor, even if releasing what it owns should fail."""
        try:
            self.end()
        finally:
            self.send(self.myAddress, ActorExitRequest())

    # ---- messages that all actors know ----

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Any) -> None:
        """The armed timer, or one armed before it: act only if something is due."""
        self._timer_spent()
        now = self.now()
        deadline = self.deadline()
        if deadline is not None and deadline <= now:
            self.on_time(now)

    def _timer_spent(self) -> None:
        later = self._later_wakes
        self._wakes_at, self._later_wakes = (later[0], later[1:]) if later else (NEVER, ())

    def receiveMsg_Forwarded(self, message: Forwarded, sender: Any) -> None:
        """A query for somebody else: handle it as if the asker had sent it."""
        inner = type(message.message)
        handler = self._receivers.get(inner) or self._find_receiver(inner)
        handler(self, message.message, message.asker)

    def receiveMsg_SubscribersChanged(self, message: SubscribersChanged, sender: Any) -> None:
        """Who wants events now."""
        self.subscribers = message.subscribers

    def receiveMsg_Rooms(self, message: Rooms, sender: Any) -> None:
        """One of the node's actors was replaced by another."""
        if self.charter is not None:
            self.charter = msgspec.structs.replace(self.charter, rooms=message)

    def receiveMsg_ActorExitRequest(self, message: ActorExitRequest, sender: Any) -> None:
        """The end, by order."""
        self.end()

    def receiveMsg_ChildActorExited(self, message: ChildActorExited, sender: Any) -> None:
        """A child is gone; actors with children override this."""

    def receiveMsg_PoisonMessage(self, message: PoisonMessage, sender: Any) -> None:
        """Another actor could not handle what we sent; it has logged why."""
        self.log.warning("a %s was refused: %s", type(message.poisonMessage).__name__, str(message.details)[:500])

    def receiveMsg_DeadEnvelope(self, message: DeadEnvelope, sender: Any) -> None:
        """Only dead-letter handlers get these."""

    # ---- effects ----

    def apply(self, effects: Sequence[Effect]) -> None:
        """Carry out what a mind decided, in order."""
        doers = self._doers
        for effect in effects:
            doer = doers.get(type(effect))
            if doer is None:
                doer = doers[type(effect)] = getattr(type(self), f"do_{_snake(type(effect).__name__)}")
            doer(self, effect)

    def do_tell(self, effect: Tell) -> None:
        """Send to one of the node's own actors; a room that does not exist here hears nothing."""
        target = getattr(self.need_charter().rooms, effect.room.value)
        if target is not None:
            self.send(target, effect.message)

    def do_emit(self, effect: Emit) -> None:
        """Give events to every subscriber that wants them, one message each."""
        events = effect.events
        for subscriber in self.subscribers:
            names = subscriber.names
            if names is None or (len(events) == 1 and events[0].NAME in names):
                wanted = events
            else:
                wanted = tuple([event for event in events if event.NAME in names])
            if wanted:
                self._myRef.actor_send(subscriber.address, EventBatch(wanted))  # all that send() does

    def do_record(self, effect: Record) -> None:
        """Tell the node why something was done. Minds know monotonic time at most: records get Unix time here."""
        if self._tells_decisions():
            self.tell_decisions(stamped(effect.decisions, self.environment.wall_now()))

    def tell_decisions(self, decisions: Decisions) -> None:
        """Give decisions to the node, in one message, if they are kept or somebody listens."""
        if decisions and self._tells_decisions():
            self.send(self.need_charter().rooms.node, DecisionsTaken(decisions))

    def _tells_decisions(self) -> bool:
        return self.need_charter().config.decisions_kept > 0 or self.is_wanted(DecisionTaken)

    def is_wanted(self, kind: type[Event]) -> bool:
        """Whether any subscriber wants events of this class."""
        return any(one.names is None or kind.NAME in one.names for one in self.subscribers)

    def emit(self, events: tuple[Event, ...]) -> None:
        """As the effect."""
        self.do_emit(Emit(events))

    # ---- inside ----

    def need_charter(self) -> Charter:
        if self.charter is None:
            raise RuntimeError(f"{self.kind} got work before its charter")
        return self.charter

    def _adopt_charter(self, charter: Charter) -> None:
        self.charter = charter
        self.subscribers = charter.subscribers

    def _arm(self) -> None:
        deadline = self.deadline()
        if deadline is None or self._wakes_at <= deadline or self._before_init is ENDED:
            return
        now = self.now()
        at = max(deadline, now + MIN_TIMER_S)
        if self._wakes_at <= at:
            return
        if self._wakes_at < NEVER:
            self._later_wakes = (self._wakes_at, *self._later_wakes)
        self._wakes_at = at
        self._myRef.wakeupAfter(at - now, None)  # all that wakeupAfter() does

    def catch_up(self) -> None:
        """Init is done: handle what came before it, in the order in which it came."""
        if self.has_ended:
            return
        early, self._before_init = self._before_init or [], None
        for message, sender in early:
            self._find_receiver(type(message))(self, message, sender)

    @classmethod
    def _find_receiver(cls, kind: type) -> Handler:
        names = (f"receiveMsg_{base.__name__}" for base in kind.__mro__)
        found: Handler = next((getattr(cls, name) for name in names if hasattr(cls, name)), cls._receive_unknown)
        cls._RECEIVERS[kind] = found
        return found

    def _receive_unknown(self, message: Any, sender: Any) -> None:
        self.log.error("%s does not know the message %s", self.kind, type(message).__name__)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
