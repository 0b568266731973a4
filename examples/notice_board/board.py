"""A board of notices on every node: what is pinned to one of them is soon on all.

A board tells its peers of a new notice, and passes on what it has not seen before. Who comes late, or was cut off, asks
a new peer for all that it has. The board knows nothing but ``aio.P2P``: it runs on a real node and on a simulated one.
"""

from __future__ import annotations

from actors import IncomingRequest, aio
from core.errors import EnsembleError
from core.events import ConnectOutbound, MessageReceived, NewInboundPeer

NOTICE = "board.notice"
ALL = "board.all"


class Board:
    """The board of one node. ``notices``: texts in the order in which this board learned of them."""

    def __init__(self, p2p: aio.P2P) -> None:
        self.p2p = p2p
        self.notices: list[str] = []
        p2p.on(MessageReceived, self._on_message)
        p2p.on(ConnectOutbound, self._on_peer)
        p2p.on(NewInboundPeer, self._on_peer)
        p2p.procedure(ALL, self._on_question)

    async def pin(self, text: str) -> None:
        """Put up a notice, and tell the peers, unless it hangs there already."""
        if text not in self.notices:
            self.notices.append(text)
            await self.p2p.broadcast(NOTICE, text)

    async def _on_message(self, message: MessageReceived) -> None:
        if message.event == NOTICE:
            await self.pin(str(message.json()))

    def _on_question(self, _request: IncomingRequest) -> list[str]:
        return self.notices

    async def _on_peer(self, event: ConnectOutbound | NewInboundPeer) -> None:
        try:
            answer = await self.p2p.request_from_peer(event.peer.peer_id, ALL)
        except EnsembleError:
            return  # it has gone again, or is no board: others will know
        for text in answer.json() or ():
            await self.pin(str(text))
