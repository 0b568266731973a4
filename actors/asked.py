"""AskedActor: an actor whose mind answers queries later, by the number under which the asker was remembered."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.base import HouseActor
from core.effects import AskId, Reply
from core.empty import NO_ENTRIES
from core.messages import Query


class AskedActor(HouseActor):
    """See the module. Apart from the base of all actors: a peer, of which there are thousands, remembers nobody so."""

    __slots__ = ("_asks", "_next_ask")

    def __init__(self) -> None:
        super().__init__()
        self._asks: dict[int, tuple[Any, int]] = NO_ENTRIES
        self._next_ask = 1

    def remember_asker(self, asker: Any, request_id: int) -> int:
        """Keep who asked; the returned number goes to the mind, which answers with a Reply. 0 if nobody waits."""
        if not request_id:
            return 0
        ask_id = self._next_ask
        self._next_ask += 1
        if self._asks is NO_ENTRIES:
            self._asks = {}
        self._asks[ask_id] = (asker, request_id)
        return ask_id

    def asker(self, ask_id: AskId) -> tuple[Any, int] | None:
        """Take back who asked, and with which request id."""
        if isinstance(ask_id, tuple):
            return ask_id
        return self._asks.pop(ask_id, None) if self._asks else None

    def do_reply(self, effect: Reply) -> None:
        """Answer the asker under the number it asked with."""
        asked = self.asker(effect.ask_id)
        if asked is not None and isinstance(effect.message, Query):
            asker, request_id = asked
            self.send(asker, msgspec.structs.replace(effect.message, request_id=request_id))
