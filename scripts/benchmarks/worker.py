"""One Ensemble node in a process of its own, driven by JSON lines on stdin and stdout: our half of a side-by-side run.

Commands (one object a line, ``id`` is repeated in the answer): ``start`` (config), ``wait_connected`` (count),
``count`` (event, expected), ``counted`` (event), ``flood`` (event, count, size, peer_id or null for all), ``rpcflood``
(peer_id, count, size, in_flight), ``trickle`` (peer_id, kind, per_s, seconds), ``usage``. The end of stdin ends the
process. Times are monotonic seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from actors import aio
from actors.client import IncomingRequest
from core.events import ConnectOutbound, MessageReceived, NewInboundPeer
from scripts.benchmarks.usage import usage

WAIT_S = 120.0


class Worker:
    """The node and what is being counted on it."""

    def __init__(self) -> None:
        self.p2p: aio.P2P | None = None
        self._expected: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._first_at: dict[str, float] = {}
        self._complete: dict[str, asyncio.Future[float]] = {}

    async def do_start(self, config: dict[str, Any]) -> dict[str, Any]:
        """Start the node with an ``echo`` procedure."""
        self.p2p = p2p = aio.P2P(**config)
        p2p.on(MessageReceived, self._on_message)

        @p2p.procedure("echo")
        def echo(request: IncomingRequest) -> bytes | None:
            return request.data

        await p2p.start()
        ip, port = p2p.listen_address or ("", 0)
        return {"peer_id": f"{ip}:{port}"}

    async def do_wait_connected(self, count: int) -> dict[str, Any]:
        """Wait until ``count`` peers are connected."""
        p2p = self._node()
        async with p2p.events(ConnectOutbound, NewInboundPeer) as events:
            while len(await p2p.get_connected_peers()) < count:
                await asyncio.wait_for(anext(events), WAIT_S)
        return {"peers": [peer.peer_id for peer in await p2p.get_connected_peers()]}

    async def do_count(self, event: str, expected: int) -> dict[str, Any]:
        """From now on count this event."""
        self._expected[event] = expected
        self._seen[event] = 0
        self._complete[event] = asyncio.get_running_loop().create_future()
        return {}

    async def do_counted(self, event: str) -> dict[str, Any]:
        """Wait until the expected number has come."""
        ended_at = await asyncio.wait_for(self._complete[event], WAIT_S)
        return {"count": self._seen[event], "firstAt": self._first_at[event], "lastAt": ended_at}

    def _on_message(self, message: MessageReceived) -> None:
        event = message.event
        seen = self._seen.get(event)
        if seen is None:
            return
        if seen == 0:
            self._first_at[event] = time.monotonic()
        self._seen[event] = seen + 1
        if seen + 1 == self._expected[event]:
            self._complete[event].set_result(time.monotonic())

    async def do_flood(self, event: str, count: int, size: int, peer_id: str | None) -> dict[str, Any]:
        """Send as fast as the node takes it."""
        p2p, data = self._node(), bytes(size)
        started_at = time.monotonic()
        for _ in range(count):
            if peer_id is None:
                await p2p.broadcast(event, data)
            else:
                await p2p.send_to_peer(peer_id, event, data, wait=False)
        return {"startedAt": started_at, "endedAt": time.monotonic()}

    async def do_rpcflood(self, peer_id: str, count: int, size: int, in_flight: int) -> dict[str, Any]:
        """Make ``count`` requests, ``in_flight`` at a time."""
        p2p, data = self._node(), bytes(size)
        latencies: list[float] = []
        numbers = iter(range(count))

        async def ask() -> None:
            for _ in numbers:
                asked_at = time.perf_counter()
                await p2p.request_from_peer(peer_id, "echo", data, timeout_s=WAIT_S)
                latencies.append(time.perf_counter() - asked_at)

        started_at = time.monotonic()
        await asyncio.gather(*(ask() for _ in range(in_flight)))
        elapsed = time.monotonic() - started_at
        latencies.sort()
        return {
            "elapsed": elapsed,
            "p50": latencies[len(latencies) // 2],
            "p99": latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)],
        }

    async def do_trickle(self, peer_id: str, kind: str, per_s: int, seconds: float) -> dict[str, Any]:
        """Send ``per_s`` "messages" or "requests" a second, one after the other at even intervals."""
        p2p, data, loop = self._node(), bytes(32), asyncio.get_running_loop()
        began = loop.time()
        for number in range(int(per_s * seconds)):
            await asyncio.sleep(began + number / per_s - loop.time())
            if kind == "requests":
                await p2p.request_from_peer(peer_id, "echo", data)
            else:
                await p2p.send_to_peer(peer_id, "trickle", data, wait=False)
        await asyncio.sleep(max(0.0, began + seconds - loop.time()))
        return {}

    async def do_usage(self) -> dict[str, Any]:
        """See :func:`scripts.benchmarks.usage.usage`."""
        return usage()

    def _node(self) -> aio.P2P:
        if self.p2p is None:
            raise RuntimeError("no node was started")
        return self.p2p


async def serve() -> None:
    """Carry out the commands of stdin, one after the other."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    worker = Worker()
    while line := await reader.readline():
        command = json.loads(line)
        answer: dict[str, Any] = {"id": command.pop("id")}
        try:
            answer["result"] = await getattr(worker, f"do_{command.pop('command')}")(**command)
        except Exception as error:
            answer["error"] = repr(error)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    if worker.p2p is not None:
        await worker.p2p.stop()


if __name__ == "__main__":
    asyncio.run(serve())
