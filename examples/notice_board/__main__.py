"""Three nodes with a notice board each: two notices are pinned, a third node comes late and reads both.

Run it with ``scripts/example notice_board``. Its tests (tests/examples/test_notice_board.py) run many boards at once,
cut the network in two and put it together again, in virtual time, with the fixture ``sim_network``.
"""

from __future__ import annotations

import asyncio
import contextlib

from actors import aio
from examples.notice_board.board import Board

TIMEOUT_S = 30.0
LOOK_EVERY_S = 0.05


async def main() -> int:
    """Run the three nodes; 0 if the last one has read everything."""
    async with contextlib.AsyncExitStack() as nodes:
        first = Board(await nodes.enter_async_context(aio.P2P(host_ip="127.0.0.1", port=0)))
        ip, port = first.p2p.listen_address or ("", 0)
        seeds = [f"{ip}:{port}"]
        second = Board(aio.P2P(host_ip="127.0.0.1", port=0, seed_peers=seeds))
        await nodes.enter_async_context(second.p2p)
        await first.p2p.wait_for_peers(1, timeout_s=TIMEOUT_S)
        await first.pin("lost: one umbrella")
        await second.pin("found: one umbrella")

        late = Board(aio.P2P(host_ip="127.0.0.1", port=0, seed_peers=seeds))
        await nodes.enter_async_context(late.p2p)
        async with asyncio.timeout(TIMEOUT_S):
            while len(late.notices) < 2:
                await asyncio.sleep(LOOK_EVERY_S)
        for text in sorted(late.notices):
            print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
