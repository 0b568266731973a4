"""kill -9, at any moment, of every kind of process that a node in processes has.

Three of each kind in CI; ``CHAOS_KILLS=100`` for the full run (half an hour on two busy cores).
"""

from __future__ import annotations

import functools
import json
import os
import random
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.multiprocess.kernel import alive, kill, tree, wait_until
from tests.chaos.victims import Node, Partners, close_pipes, random_moment, start_program

KILLS = int(os.environ.get("CHAOS_KILLS", "3"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))

pytestmark = [pytest.mark.slow, pytest.mark.chaos, pytest.mark.sockets, pytest.mark.timeout(60 + 20 * KILLS)]

PARTNERS = 3
LISTENS_AGAIN_S = 2.0
HANGING = ("PeerPool", "warden", "Node", "admin", "PeerBook", "PeerServer", "InboundPeer", "nursery")
"""Each takes up to 5 s to stop."""
GONE_S = 2.0


@pytest.fixture
def rng() -> random.Random:
    """Where and when to strike."""
    return random.Random(SEED)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node with storage."""
    with Node(data_dir=str(tmp_path / "data")) as made:
        yield made


@pytest.fixture
def partners(node: Node) -> Iterator[Partners]:
    """Connected to it."""
    with Partners(node.port, PARTNERS) as made:
        wait_until(made.are_connected, "the partners are not connected")
        yield made


def test_a_killed_peer_is_one_lost_connection_and_comes_back(
    node: Node, partners: Partners, rng: random.Random
) -> None:
    for _ in range(KILLS):
        random_moment(rng)
        wait_until(lambda: len(node.named("InboundPeer")) >= PARTNERS, "there are too few peers")
        before = partners.lost
        kill(rng.choice(node.named("InboundPeer")))  # perhaps one that is only kept ready
        wait_until(partners.are_connected, "a lost connection does not come back")
        assert partners.lost - before <= 1
    assert partners.lost <= KILLS
    assert node.stop() == 0


def test_a_killed_nursery_costs_nothing(node: Node, partners: Partners, rng: random.Random) -> None:
    for _ in range(KILLS):
        kill(rng.choice(node.named("InboundPeer")))
        random_moment(rng, 0.05)  # while a peer is being made
        for nursery in node.named("nursery"):
            kill(nursery)
        wait_until(partners.are_connected, "a lost connection does not come back")
    assert partners.lost <= KILLS
    assert node.stop() == 0


def test_a_killed_server_listens_again_and_no_connection_is_lost(
    node: Node, partners: Partners, rng: random.Random
) -> None:
    for _ in range(KILLS):
        random_moment(rng)
        (server,) = wait_for_one(node, "PeerServer")
        kill(server)
        wait_until(functools.partial(is_gone, [server]), "the server does not die")
        wait_until(node.is_listening, "nobody listens", LISTENS_AGAIN_S)
        wait_for_one(node, "PeerServer")
    assert partners.lost == 0
    assert partners.are_connected()
    assert node.stop() == 0


def test_a_killed_book_comes_back_with_its_storage(
    node: Node, partners: Partners, rng: random.Random, tmp_path: Path
) -> None:
    node.command(ban="203.0.113.9")
    database = str(tmp_path / "data" / "ensemble.db")
    wait_until(lambda: node.command(stored=database)["stored"] == 1, "the ban is not written")
    for _ in range(KILLS):
        random_moment(rng)
        (book,) = wait_for_one(node, "PeerBook")
        kill(book)
        wait_until(functools.partial(is_gone, [book]), "the book does not die")
        wait_until(lambda: node.command(bans=True)["bans"] == ["203.0.113.9"], "the ban is forgotten", 5.0)
    assert partners.lost == 0
    assert node.stop() == 0


def test_a_killed_pool_is_rebuilt_and_its_peers_do_not_linger(
    node: Node, partners: Partners, rng: random.Random
) -> None:
    for _ in range(KILLS):
        random_moment(rng)
        (pool,) = wait_for_one(node, "PeerPool")
        old = node.named("InboundPeer")
        before = partners.lost
        kill(pool)
        wait_until(functools.partial(is_gone, [pool, *old]), "old peers linger", GONE_S)
        wait_until(partners.are_connected, "the connections do not come back")
        assert partners.lost - before <= PARTNERS
    assert node.stop() == 0


@pytest.mark.parametrize("name", ["Node", "admin", "warden"])
def test_a_root_that_is_killed_takes_everything_along(name: str, rng: random.Random, tmp_path: Path) -> None:
    for _ in range(KILLS):
        with Node(data_dir=str(tmp_path / "data")) as node, Partners(node.port, 1) as partners:
            wait_until(partners.are_connected, "the partner is not connected")
            random_moment(rng)
            (victim,) = node.named(name)
            kill(victim)
            wait_until(node.is_gone, "processes linger", GONE_S)
            assert "has ended" in node.next_line()["failed"]
            assert node.program.wait(20) == 1


def test_a_killed_program_takes_everything_along(rng: random.Random, tmp_path: Path) -> None:
    for _ in range(KILLS):
        with Node(data_dir=str(tmp_path / "data")) as node, Partners(node.port, 1) as partners:
            wait_until(partners.are_connected, "the partner is not connected")
            random_moment(rng)
            node.processes()
            node.program.kill()
            wait_until(node.is_gone, "processes linger", GONE_S)
    names = {path.name for path in (tmp_path / "data").iterdir()}
    assert names <= {"ensemble.db", "ensemble.lock", "ensemble.db-journal"}


def test_a_program_killed_while_it_starts_takes_everything_along(rng: random.Random) -> None:
    for _ in range(KILLS):
        program = start_program({"host_ip": "127.0.0.1", "port": 0})
        random_moment(rng, 1.0)
        seen = tree(program.pid)
        program.kill()
        program.wait()
        wait_until(functools.partial(is_gone, seen), "processes linger", GONE_S)
        close_pipes(program)


def test_stop_does_not_wait_for_a_process_that_hangs() -> None:
    for name in HANGING if KILLS > 3 else HANGING[:2]:
        with Node() as node:
            for pid in node.named(name):
                os.kill(pid, signal.SIGSTOP)
            code = node.stop(12.0)
            assert code in (0, 1)
            wait_until(node.is_gone, f"processes linger after {name} hung", GONE_S)


def test_beyond_the_budget_the_node_ends_with_the_reason(node_with_budget: Node) -> None:
    node = node_with_budget
    while node.program.poll() is None:
        for server in node.named("PeerServer"):
            kill(server)
        if select.select([node.program.stdout], [], [], 0.01)[0]:
            break
    assert "server crashed too often" in json.loads(node.program.stdout.readline())["failed"]
    assert node.program.wait(20) == 1
    wait_until(node.is_gone, "processes linger", GONE_S)


@pytest.fixture
def node_with_budget() -> Iterator[Node]:
    """A node that forgives two crashes."""
    with Node(max_restarts=2, restart_window_s=60.0) as made:
        yield made


def is_gone(pids: list[int]) -> bool:
    """Whether none of these is alive."""
    return not alive(pids)


def wait_for_one(node: Node, name: str) -> list[int]:
    """The only process of this name, as soon as there is one."""
    wait_until(lambda: len(node.named(name)) == 1, f"there is no {name}")
    return node.named(name)
