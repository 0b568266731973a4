"""Whole networks of both makes: everybody finds everybody, one connection between any two, broadcasts reach all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from actors import aio
from core.events import CloseOutbound, ConnectAbortOutbound, ConnectOutbound, MessageReceived
from core.ids import Direction
from tests.interop.ensemble_node import EnsembleNode, node_options, repeat_until
from tests.interop.links import OURS, Link
from tests.interop.lisk_node import LiskNode, free_port

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nobody_complains")]

MakeLisk = Callable[..., LiskNode]
MakeOurs = Callable[..., EnsembleNode]
Node = EnsembleNode | LiskNode

ROUNDS = 15


def others(nodes: Sequence[Node], node: Node) -> list[Node]:
    """All nodes but one."""
    return [other for other in nodes if other is not node]


def message_from(node: Node, sender: Node) -> bytes | None:
    """Wait at `node` for the broadcast of `sender`."""
    if isinstance(node, EnsembleNode):
        return node.wait_event(MessageReceived, lambda event: event.event == sender.peer_id).data
    data: bytes = node.wait_event("EVENT_MESSAGE_RECEIVED", lambda message: message["event"] == sender.peer_id)["data"]
    return data


def test_five_nodes_of_both_makes_form_a_full_mesh(lisk_node: MakeLisk, ensemble_node: MakeOurs) -> None:
    seed = ensemble_node()
    nodes: list[Node] = [
        seed,
        lisk_node(seedPeers=[seed]),
        lisk_node(seedPeers=[seed]),
        ensemble_node(seed_peers=[seed]),
        ensemble_node(seed_peers=[seed]),
    ]
    for node in nodes:
        node.wait_connected(*others(nodes, node), timeout_s=30)
    for node in nodes:
        if isinstance(node, EnsembleNode):
            ids = [peer.peer_id for peer in node.p2p.get_connected_peers()]
            assert len(ids) == len(set(ids)) == len(nodes) - 1
    for sender in nodes:
        if isinstance(sender, EnsembleNode):
            sender.p2p.broadcast(sender.peer_id, b"from one of ours")
        else:
            sender.broadcast(sender.peer_id, b"from a lisk node")
        for node in others(nodes, sender):
            assert message_from(node, sender) in (b"from one of ours", b"from a lisk node")


def start_together(makers: Sequence[Callable[[], EnsembleNode]]) -> list[EnsembleNode]:
    """Run all at the same moment, each in a thread of its own."""
    barrier = threading.Barrier(len(makers))
    made: list[EnsembleNode | None] = [None] * len(makers)

    def run(index: int) -> None:
        barrier.wait()
        made[index] = makers[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(makers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [node for node in made if node is not None]


def has_dialled(node: EnsembleNode) -> bool:
    """Whether the one dial of this node succeeded or failed."""
    return bool(node.events(ConnectOutbound) or node.events(ConnectAbortOutbound))


def the_only_connection(first: EnsembleNode, second: EnsembleNode) -> set[Direction | None] | None:
    """As whose the two see the one connection that they have with each other; None while it is not just one."""
    ends = [
        [peer.direction for peer in node.p2p.get_connected_peers() if peer.peer_id == other.peer_id]
        for node, other in ((first, second), (second, first))
    ]
    return {ends[0][0], ends[1][0]} if [len(end) for end in ends] == [1, 1] else None


def test_two_nodes_of_ours_that_dial_each_other_keep_one_connection(ensemble_node: MakeOurs) -> None:
    for _ in range(ROUNDS):
        ports = [free_port(), free_port()]
        first, second = start_together(
            [
                partial(ensemble_node, port=own, fixed_peers=[f"127.0.0.1:{other}"], populator_interval_s=3600)
                for own, other in (ports, ports[::-1])
            ]
        )
        for node in (first, second):
            node.wait_for(partial(has_dialled, node), what="an end of its dial")
        kept = repeat_until(lambda first=first, second=second: the_only_connection(first, second))  # type: ignore[misc]
        assert kept == set(Direction)
        first.p2p.send_to_peer(second.peer_id, "over it", b"")
        second.wait_event(MessageReceived, lambda event: event.event == "over it")
        first.stop()
        second.stop()


def test_we_and_a_lisk_node_that_dial_each_other_keep_one_connection(
    lisk_node: MakeLisk, ensemble_node: MakeOurs
) -> None:
    port = free_port()
    lisk = lisk_node(fixedPeers=[f"127.0.0.1:{port}"], populatorInterval=20)
    for number in range(5):
        ours = ensemble_node(port=port, fixed_peers=[lisk], populator_interval_s=3600)
        ours.wait_connected(lisk)
        lisk.wait_connected(ours)
        lisk.send_to_peer("over it", number, ours.peer_id)
        ours.wait_event(MessageReceived, lambda event: event.event == "over it")
        kept = ours.peer(lisk).direction
        pool = lisk.pool_peer(ours.peer_id)
        assert pool is not None
        kinds = {Direction.INBOUND: "outbound", Direction.OUTBOUND: "inbound"}
        assert pool["internalState"]["connectionKind"] == kinds[kept or Direction.INBOUND]
        ours.stop()


def test_the_asyncio_form_joins_a_lisk_node(link_we_dial: Link) -> None:
    lisk = link_we_dial.lisk

    async def visit() -> None:
        node = aio.P2P(node_options({**OURS, "previous_peers": [lisk], "max_outbound_connections": 1}))
        connections, messages = node.events(ConnectOutbound), node.events(MessageReceived)
        closes = node.events(CloseOutbound)
        async with node, asyncio.timeout(20):
            while (await connections.get()).peer.peer_id != lisk.peer_id:
                pass
            answer = await node.request_from_peer(lisk.peer_id, "echo", {"from": "asyncio"})
            assert answer.data == b'{"from":"asyncio"}'
            await node.send_to_peer(lisk.peer_id, "from asyncio", b"\x00")
            found = await asyncio.to_thread(
                lisk.wait_event, "EVENT_MESSAGE_RECEIVED", lambda message: message["event"] == "from asyncio"
            )
            lisk.send_to_peer("to asyncio", b"\xff", found["peerId"])
            assert (await messages.get()).data == b"\xff"
        assert [close.code async for close in closes] == [1000]

    asyncio.run(visit())
