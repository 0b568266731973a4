"""One py-libp2p host in a process of its own, driven as :mod:`scripts.benchmarks.worker` is. Runs in its own venv.

As favourable as it gets: no encryption (as in lisk-p2p's protocol there is none), one long-lived stream for all
messages, one for each request in flight, packets with a length in front. Imports nothing of the
project, because it runs in an environment that does not have it.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import socket
import sys
import time
from typing import Any

import multiaddr
import trio
from libp2p import create_yamux_muxer_option, new_host
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport

MESSAGES, ECHO = "/bench/messages/1", "/bench/echo/1"
READ_BYTES = 64 * 1024
LIMIT_S = 60.0


class Packets:
    """Packets of a stream: four bytes of length, then the packet."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._data = bytearray()

    async def next(self) -> bytes | None:
        """The next packet; None at the end of the stream."""
        while len(self._data) < 4 or len(self._data) < 4 + int.from_bytes(self._data[:4], "big"):
            try:
                more = await self._stream.read(READ_BYTES)
            except Exception:
                return None
            if not more:
                return None
            self._data += more
        end = 4 + int.from_bytes(self._data[:4], "big")
        packet = bytes(self._data[4:end])
        del self._data[:end]
        return packet

    async def send(self, packet: bytes) -> None:
        """Send one."""
        await self._stream.write(len(packet).to_bytes(4, "big") + packet)


class Worker:
    """The host and what is being counted on it."""

    def __init__(self, host: Any, peer_id: str) -> None:
        self.host = host
        self.peer_id = peer_id
        self.remote: Any = None
        self._expected = self._seen = 0
        self._done = trio.Event()
        self._last_at = 0.0
        host.set_stream_handler(MESSAGES, self._on_messages)
        host.set_stream_handler(ECHO, self._on_echo)

    async def _on_messages(self, stream: Any) -> None:
        packets = Packets(stream)
        while await packets.next() is not None:
            self._seen += 1
            if self._seen == self._expected:
                self._last_at = time.monotonic()
                self._done.set()

    async def _on_echo(self, stream: Any) -> None:
        packets = Packets(stream)
        while (packet := await packets.next()) is not None:
            await packets.send(packet)

    async def do_start(self, seeds: list[str]) -> dict[str, Any]:
        """Connect to the seeds."""
        for seed in seeds:
            info = info_from_p2p_addr(multiaddr.Multiaddr(seed))
            await self.host.connect(info)
            self.remote = info.peer_id
        return {"peer_id": self.peer_id}

    async def do_count(self, event: str, expected: int) -> dict[str, Any]:
        """From now on count messages."""
        self._expected, self._seen, self._done = expected, 0, trio.Event()
        return {}

    async def do_counted(self, event: str) -> dict[str, Any]:
        """Wait for the last of them."""
        with trio.fail_after(LIMIT_S):
            await self._done.wait()
        return {"lastAt": self._last_at}

    async def do_flood(self, event: str, count: int, size: int, peer_id: str | None) -> dict[str, Any]:
        """Send as fast as the stream takes it."""
        stream = await self.host.new_stream(self.remote, [MESSAGES])
        packets, data = Packets(stream), bytes(size)
        started_at = time.monotonic()
        for _ in range(count):
            await packets.send(data)
        return {"startedAt": started_at, "endedAt": time.monotonic()}

    async def do_rpcflood(self, peer_id: str, count: int, size: int, in_flight: int) -> dict[str, Any]:
        """Make ``count`` requests, ``in_flight`` at a time, each on a stream of its own."""
        lines = [Packets(await self.host.new_stream(self.remote, [ECHO])) for _ in range(in_flight)]
        latencies: list[float] = []
        numbers, data = iter(range(count)), bytes(size)

        async def ask(packets: Packets) -> None:
            for _ in numbers:
                asked_at = time.perf_counter()
                await packets.send(data)
                if await packets.next() is None:
                    raise RuntimeError("the stream ended")
                latencies.append(time.perf_counter() - asked_at)

        started_at = time.monotonic()
        async with trio.open_nursery() as nursery:
            for packets in lines:
                nursery.start_soon(ask, packets)
        elapsed = time.monotonic() - started_at
        latencies.sort()
        return {
            "elapsed": elapsed,
            "p50": latencies[len(latencies) // 2],
            "p99": latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)],
        }

    async def do_usage(self) -> dict[str, Any]:
        """CPU seconds and resident bytes of this process."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        with open("/proc/self/statm", encoding="ascii") as statm:
            pages = int(statm.read().split()[1])
        return {"cpu_s": used.ru_utime + used.ru_stime, "rss_bytes": pages * resource.getpagesize()}


async def serve() -> None:
    """Carry out the commands of stdin, one after the other."""
    keys = create_new_key_pair()
    host = new_host(
        key_pair=keys,
        sec_opt={PLAINTEXT_PROTOCOL_ID: InsecureTransport(keys)},
        muxer_opt=create_yamux_muxer_option(),
    )
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    address = f"/ip4/127.0.0.1/tcp/{port}"
    async with host.run(listen_addrs=[multiaddr.Multiaddr(address)]):
        worker = Worker(host, f"{address}/p2p/{host.get_id()}")
        async for line in lines_of_stdin():
            command = json.loads(line)
            answer: dict[str, Any] = {"id": command.pop("id")}
            try:
                answer["result"] = await getattr(worker, f"do_{command.pop('command')}")(**command)
            except Exception as error:
                answer["error"] = repr(error)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        os._exit(0)  # closing its streams one by one takes it seconds, and nobody waits for that


async def lines_of_stdin() -> Any:
    """Whole lines."""
    stream, rest = trio.lowlevel.FdStream(os.dup(0)), b""
    async for data in stream:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    trio.run(serve)
