"""Programs on simulated nodes: the same surface as on real ones, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors import P2P, IncomingRequest, aio
from actors.simulation.network import SimulatedNetwork
from actors.simulation.programs import SimAioP2P, SimP2P
from core.errors import NotActive, RequestRefused, RequestTimedOut
from core.events import CloseOutbound, MessageReceived, NewInboundPeer

MakeNetwork = Callable[..., SimulatedNetwork[Any]]


@pytest.fixture
def make() -> Iterator[MakeNetwork]:
    made: list[SimulatedNetwork[Any]] = []

    def network(count: int, **options: Any) -> SimulatedNetwork[Any]:
        made.append(SimulatedNetwork(count, **options))
        return made[-1]

    yield network
    for one in made:
        one.close()
        assert one.errors == []


def test_a_network_is_connected_when_it_is_there(make: MakeNetwork) -> None:
    network: SimulatedNetwork[SimP2P] = make(5)
    assert network.is_connected()
    assert all(isinstance(p2p, P2P) and p2p.is_active for p2p in network)
    assert {peer.peer_id for peer in network[1].get_connected_peers()} == {p2p.peer_id for p2p in network} - {
        network[1].peer_id
    }
    assert network.by_peer_id(network[2].peer_id) is network[2]
    with pytest.raises(LookupError):
        network.by_peer_id("1.2.3.4:5")


def test_messages_and_requests_reach_handlers(make: MakeNetwork) -> None:
    network: SimulatedNetwork[SimP2P] = make(4)
    heard: list[tuple[str, object]] = []
    for p2p in network:
        p2p.on(MessageReceived, lambda message, name=p2p.name: heard.append((name, message.json())))
        p2p.procedure("double", lambda request: request.json() * 2)
    network[0].broadcast("news", {"n": 1})
    network.run_for(1.0)
    assert sorted(heard) == [("n1", {"n": 1}), ("n2", {"n": 1}), ("n3", {"n": 1})]
    answer = network[1].request_from_peer(network[2].peer_id, "double", 21)
    assert (answer.json(), answer.peer_id) == (42, network[2].peer_id)
    with pytest.raises(RequestRefused, match="nothing handles"):
        network[1].request("unknown")


def test_a_handler_may_wait_where_it_is(make: MakeNetwork) -> None:
    """Three nodes deep: each answers only when the next one has answered it."""
    network: SimulatedNetwork[SimP2P] = make(4)
    order: list[str] = []

    def ask_on(index: int) -> Callable[[IncomingRequest], object]:
        def handler(request: IncomingRequest) -> object:
            order.append(f"{index} asked")
            if index == 3:
                network.sleep(5.0)
                return "the end"
            answer = network[index].request_from_peer(network[index + 1].peer_id, "chain", timeout_s=60.0)
            order.append(f"{index} answers")
            return [index, answer.json()]

        return handler

    for index, p2p in enumerate(network):
        p2p.procedure("chain", ask_on(index))
    began = network.now
    answer = network[0].request_from_peer(network[1].peer_id, "chain", timeout_s=60.0)
    assert answer.json() == [1, [2, "the end"]]
    assert order == ["1 asked", "2 asked", "3 asked", "2 answers", "1 answers"]
    assert 5.0 < network.now - began < 7.0


def test_timeouts_are_virtual(make: MakeNetwork) -> None:
    network: SimulatedNetwork[SimP2P] = make(2)
    kept: list[IncomingRequest] = []
    network[1].on("EVENT_REQUEST_RECEIVED", kept.append)
    began = network.now
    with pytest.raises(RequestTimedOut):
        network[0].request("never", timeout_s=600.0)
    assert 600.0 <= network.now - began < 602.0
    with pytest.raises(TimeoutError, match="no such event within 300 s"):
        network[0].wait_for(MessageReceived, timeout_s=300.0)
    kept.clear()


def test_streams_and_waiting(make: MakeNetwork) -> None:
    network: SimulatedNetwork[SimP2P] = make(3)
    with network[1].events(MessageReceived) as stream:
        network.at(network.now + 10.0, lambda: network[0].send_to_peer(network[1].peer_id, "later", b"x"))
        began = network.now
        assert stream.get(60.0).event == "later"
        assert 10.0 <= network.now - began < 11.0
        with pytest.raises(TimeoutError):
            stream.get(5.0)
        network.at(network.now + 1.0, stream.close)
        assert list(stream) == []
    assert len(network[2].wait_for_peers(2, timeout_s=10.0)) == 2
    with pytest.raises(TimeoutError, match="2 of 9 peers"):
        network[2].wait_for_peers(9, timeout_s=10.0)


def test_stop_crash_and_start_again(make: MakeNetwork) -> None:
    network: SimulatedNetwork[SimP2P] = make(4, data_dir="/data", storage_interval_s=1.0)
    seen: list[str] = []
    network[0].on(CloseOutbound, lambda event: seen.append("closed"))
    network[0].on(NewInboundPeer, lambda event: seen.append(event.peer.peer_id))
    network.run_for(5.0)
    network[1].stop()
    assert not network[1].is_active
    with pytest.raises(NotActive):
        network[1].get_connected_peers()
    network[2].crash()
    network.run_for(1.0)
    assert len(network[0].get_connected_peers()) == 1
    network[1].start()
    network[2].start()
    network.wait_until_connected()
    assert network[2].peer_id in {peer.peer_id for peer in network[3].wait_for_peers(3, timeout_s=60.0)}
    assert seen


def test_a_handler_that_waits_when_its_node_crashes_hears_of_it(make: MakeNetwork) -> None:
    network: SimulatedNetwork[SimP2P] = make(2)
    heard: list[str] = []
    kept: list[IncomingRequest] = []
    network[1].on("EVENT_REQUEST_RECEIVED", kept.append)

    @network[0].on(MessageReceived)
    def ask(message: MessageReceived) -> None:
        try:
            network[0].request("never", timeout_s=1000.0)
        except NotActive as error:
            heard.append(str(error))

    network[1].broadcast("go")
    network.run_for(1.0)
    assert kept
    network[0].crash()
    network.run_for(1.0)
    assert heard == ["the node has been stopped"]
    kept.clear()


def test_a_handler_may_stop_its_node(make: MakeNetwork) -> None:
    network: SimulatedNetwork[SimP2P] = make(2)
    network[0].on(MessageReceived, lambda message: network[0].stop())
    network[1].broadcast("stop")
    network.run_for(10.0)
    assert not network[0].is_active
    assert network[1].get_connected_peers() == ()


def test_a_handler_that_raises_is_an_error_of_the_network() -> None:
    with SimulatedNetwork[SimP2P](2) as network:
        network[0].procedure("bad", lambda request: 1 / 0)
        with pytest.raises(RequestRefused, match="division by zero"):
            network[1].request("bad")
        assert "ZeroDivisionError" in network.errors[0]


def test_partitions_and_digests(make: MakeNetwork) -> None:
    digests = []
    for _ in range(2):
        network: SimulatedNetwork[SimP2P] = make(4, seed=5)
        network.partition(network[:2], network[2:], reset=True)
        network.run_for(2.0)
        assert len(network[0].get_connected_peers()) == 1
        network.heal()
        network.wait_until_connected()
        digests.append(network.digest())
        network.close()
    assert digests[0] == digests[1]


def test_a_handler_that_never_gives_its_turn_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr("actors.simulation.stage.REAL_LIMIT_S", 0.2)
    real = threading.Event()
    with SimulatedNetwork[SimP2P](2) as network:
        network[0].on(MessageReceived, lambda message: real.wait(5.0))
        network[1].broadcast("go")
        with pytest.raises(Exception, match="has not given its turn back"):
            network.run_for(1.0)
        real.set()


# ---- asyncio


def test_asyncio_programs_run_unchanged(make: MakeNetwork) -> None:
    network: SimulatedNetwork[SimAioP2P] = make(4, form="asyncio")
    assert all(isinstance(p2p, aio.P2P) for p2p in network)

    async def double(request: IncomingRequest) -> object:
        await asyncio.sleep(3.0)
        return request.json() * 2

    for p2p in network:
        p2p.procedure("double", double)

    async def main() -> list[object]:
        answers = await asyncio.gather(*[network[0].request_from_peer(p2p.peer_id, "double", 4) for p2p in network[1:]])
        async with network[1].events(MessageReceived) as stream:
            await network[2].broadcast("news", {"n": 1})
            found: list[object] = [answer.json() for answer in answers]
            async for event in stream:
                return [*found, event.json()]
        raise AssertionError

    began = network.now
    assert network.run(main()) == [8, 8, 8, {"n": 1}]
    assert 3.0 < network.now - began < 5.0


def test_asyncio_timeouts_stop_and_crash(make: MakeNetwork) -> None:
    network: SimulatedNetwork[SimAioP2P] = make(3, form="asyncio")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100.0):
                await network[0].wait_for(MessageReceived)
        await network[1].stop()
        await network[2].crash()
        await asyncio.sleep(1.0)
        assert await network[0].get_connected_peers() == ()
        await network[1].start()
        await network[2].start()
        await network[0].wait_for_peers(2, timeout_s=100.0)

    network.run(main(), 1000.0)
    with pytest.raises(TimeoutError, match="not done within 5 virtual seconds"):
        network.run(asyncio.sleep(10.0), 5.0)


def test_the_real_world_is_refused(make: MakeNetwork) -> None:
    network: SimulatedNetwork[SimAioP2P] = make(1, form="asyncio")

    async def main() -> None:
        with pytest.raises(RuntimeError, match="threads have no place in virtual time"):
            await asyncio.to_thread(print)
        loop = asyncio.get_running_loop()
        with pytest.raises(NotImplementedError):
            await loop.create_connection(asyncio.Protocol, "127.0.0.1", 1)

    network.run(main())
    with pytest.raises(ValueError, match="one node or more"):
        SimulatedNetwork(0)
