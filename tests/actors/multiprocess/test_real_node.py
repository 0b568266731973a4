"""A real node whose actors are processes, beside one in this process: both forms, both directions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from actors import P2P, aio
from core.errors import StartFailed
from core.events import MessageReceived
from tests.actors.multiprocess.kernel import listening, tree, wait_until

pytestmark = pytest.mark.sockets

OPTIONS: dict[str, Any] = {"host_ip": "127.0.0.1", "port": 0, "populator_interval_s": 0.2}
MESSAGES = 2000


def test_it_dials_and_is_dialled_answers_and_asks_bans_and_remembers(tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    with P2P(**OPTIONS) as partner:
        assert partner.listen_address is not None
        target = f"127.0.0.1:{partner.listen_address[1]}"
        got: SimpleQueue[Any] = SimpleQueue()
        partner.on(MessageReceived, got.put)
        partner.procedure("double", lambda request: request.json() * 2)
        with P2P(system="multiprocess", fixed_peers=[target], data_dir=data_dir, **OPTIONS) as node:
            node.procedure("triple", lambda request: request.json() * 3)
            wait_until(lambda: node.get_connected_peers() and partner.get_connected_peers(), "nobody is connected")
            assert node.request_from_peer(target, "double", 21).json() == 42
            (back,) = [peer.peer_id for peer in partner.get_connected_peers()]
            assert partner.request_from_peer(back, "triple", 14).json() == 42
            for number in range(MESSAGES):
                node.send_to_peer(target, "count", number, wait=False)
            assert [got.get(timeout=20).json() for _ in range(MESSAGES)] == list(range(MESSAGES))
            node.ban("203.0.113.9", "a test")
            # The book answers the program and tells the node: between processes either may come first.
            wait_until(lambda: node.explain("203.0.113.9"), "the ban is not explained")
            pids = tree(node._run._session.warden_pid)  # type: ignore[union-attr]
            assert {ip for ip, _ in listening(pids)} == {"127.0.0.1"}
        with P2P(system="multiprocess", data_dir=data_dir, **OPTIONS) as node:
            assert [ban.ip for ban in node.bans()] == ["203.0.113.9"]


def test_the_other_form_does_the_same() -> None:
    async def run() -> None:
        async with aio.P2P(system="multiprocess", **OPTIONS) as node:
            node.procedure("triple", lambda request: request.json() * 3)
            assert node.listen_address is not None
            target = f"127.0.0.1:{node.listen_address[1]}"
            async with aio.P2P(fixed_peers=[target], **OPTIONS) as partner, node.events(MessageReceived) as messages:
                while not await partner.get_connected_peers():
                    await asyncio.sleep(0.02)
                assert (await partner.request_from_peer(target, "triple", 14)).json() == 42
                await partner.send_to_peer(target, "hello", "there")
                assert (await messages.get(20.0)).json() == "there"

    asyncio.run(run())


def test_a_start_that_fails_says_why() -> None:
    with P2P(**OPTIONS) as first:
        assert first.listen_address is not None
        second = P2P(system="multiprocess", **{**OPTIONS, "port": first.listen_address[1]})
        with pytest.raises(StartFailed, match="taken by another program"):
            second.start()
        assert not second.is_active


def test_a_rule_that_no_other_process_can_find_is_refused_by_name() -> None:
    node = P2P(system="multiprocess", peer_selection_for_send=lambda peers, _message: peers, **OPTIONS)
    with pytest.raises(StartFailed, match="peer_selection_for_send cannot be sent to another process"):
        node.start()
