"""Programs that speak to peers again and again, with real nodes: order, and peers that go and come back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from actors import aio
from core.errors import ConnectionLost, PeerNotFound, RequestFailed, SendFailed
from core.events import ConnectOutbound, MessageReceived, RemovePeer
from tests.actors.forms import PATIENCE_S

pytestmark = pytest.mark.sockets

GONE = (PeerNotFound, SendFailed, RequestFailed, ConnectionLost)
COMMON: dict[str, Any] = {"host_ip": "127.0.0.1", "ws_max_message_rate_per_s": 1e9}


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await coroutine

    asyncio.run(bounded())


def listener(log: list[str], port: int = 0, **options: Any) -> aio.P2P:
    """A node that logs what it is told, and what it is asked."""
    p2p = aio.P2P(**COMMON, port=port, **options)
    p2p.on(MessageReceived, lambda message: log.append(message.event))

    @p2p.procedure("note")
    def note(request: Any) -> bytes:
        log.append(request.data.decode())
        return bytes(request.data)

    return p2p


def peer_id(p2p: aio.P2P) -> str:
    assert p2p.listen_address is not None
    return "{}:{}".format(*p2p.listen_address)


async def ask_for_ever(p2p: aio.P2P, target: str) -> None:
    while True:
        await p2p.request_from_peer(target, "note", b"while it leaves")


@pytest.mark.parametrize("native", [True, False])
def test_messages_requests_and_broadcasts_arrive_in_the_order_in_which_they_were_made(native: bool) -> None:
    log: list[str] = []
    rng = random.Random(7)

    async def main() -> None:
        network = {"native": native}
        async with listener(log, network=network) as there:
            options = {"port": 0, "seed_peers": [peer_id(there)], "network": network, "populator_interval_s": 0.1}
            async with aio.P2P(**COMMON, **options) as here:
                await here.wait_for_peers(1)
                answers = []
                for number in range(600):
                    name = str(number)
                    match rng.choice(("message", "message", "awaited", "request", "broadcast", "pause")):
                        case "message":
                            await here.send_to_peer(peer_id(there), name, wait=False)
                        case "awaited":
                            await here.send_to_peer(peer_id(there), name)
                        case "request":
                            asked = here.request_from_peer(peer_id(there), "note", name.encode())
                            answers.append(asyncio.create_task(asked))
                            await asyncio.sleep(0)  # the task makes its call
                        case "broadcast":
                            await here.broadcast(name)
                        case _:
                            log.append(name)  # nothing is sent
                            log.remove(name)
                            await asyncio.sleep(0)
                await asyncio.gather(*answers)
                await here.request_from_peer(peer_id(there), "note", b"last")

    run(main())
    assert log[-1] == "last"
    numbers = [int(name) for name in log[:-1]]
    assert len(numbers) > 400
    assert numbers == sorted(numbers)


def test_a_peer_that_goes_is_refused_and_one_that_comes_back_is_reached() -> None:
    log: list[str] = []

    async def main() -> None:
        there = listener(log)
        await there.start()
        target = peer_id(there)
        options = {"port": 0, "fixed_peers": [target], "populator_interval_s": 0.1}
        here = aio.P2P(**COMMON, **options)
        async with here.events(RemovePeer, ConnectOutbound) as events, here:
            assert isinstance(await events.get(), ConnectOutbound)
            await here.request_from_peer(target, "note", b"one")
            await here.send_to_peer(target, "two")  # straight to the peer's actor
            leaving = asyncio.create_task(there.stop())
            with pytest.raises(GONE):
                await ask_for_ever(here, target)
            await leaving
            while not isinstance(await events.get(), RemovePeer):
                pass
            with pytest.raises(PeerNotFound):
                await here.send_to_peer(target, "too late")
            with pytest.raises(PeerNotFound):
                await here.request_from_peer(target, "note", b"too late")
            log.clear()
            async with listener(log, port=there.config.port or int(target.rpartition(":")[2])):
                while not isinstance(await events.get(), ConnectOutbound):
                    pass
                await here.send_to_peer(target, "three")
                assert (await here.request_from_peer(target, "note", b"four")).data == b"four"
                assert log == ["three", "four"]

    run(main())
