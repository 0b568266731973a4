"""A node on several hosts: loopback addresses stand for hosts, each with an actor system of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from actors import P2P
from actors.bases.process_system import ProcessSystem
from actors.host_place import HostPlace
from core.errors import EnsembleError
from core.events import MessageReceived, RemovePeer
from tests.actors.multiprocess.kernel import abstract_names, alive, kill, listening, name_of, tree, wait_until

pytestmark = [pytest.mark.sockets, pytest.mark.slow, pytest.mark.chaos]

LEADER, EDGE_B, EDGE_C = "127.0.0.2", "127.0.0.3", "127.0.0.4"
NOTICED_S = 5.0
IMPATIENT = {
    "native_ping_interval_min_s": 0.5,
    "native_ping_interval_max_s": 1.0,
    "inbound_request_timeout_s": 1.0,
    "ack_timeout_s": 1.0,
    "keepalive_timeout_s": 2.0,
    "keepalive_interval_s": 1.0,
}
"""A remote that soon notices that nobody is there any more. All hosts of these tests dial from one address, so while
a connection seems to stand, another one is a duplicate."""

OPTIONS = {"populator_interval_s": 0.2, "max_restarts": 50}


def free_port(*ips: str) -> int:
    """A port that is free at all of these addresses."""
    for _ in range(100):
        with socket.create_server((ips[0], 0)) as first:
            port: int = first.getsockname()[1]
            try:
                for ip in ips[1:]:
                    socket.create_server((ip, port)).close()
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")


class Deployment:
    """A leader in this program, and member systems that come and go."""

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.admin_port = free_port(LEADER, EDGE_B, EDGE_C)
        self.port = free_port(LEADER, EDGE_B, EDGE_C)
        self.members: dict[str, ProcessSystem] = {}
        self.seen: set[int] = set()
        self.node: Any = None
        self.partners: list[P2P] = []

    def place(self, name: str, address: str, edge_ip: str | None = None, *, store: bool = False) -> HostPlace:
        leader = f"{LEADER}:{self.admin_port}"
        return HostPlace(name, address, self.admin_port, leader, self.key, edge_ip, store)

    def join(self, name: str, address: str, *, edge: str = "", store: bool = False) -> None:
        """Start a member: an edge host, and perhaps one that may hold the book."""
        options = self.place(name, address, edge or address, store=store).system_options()
        self.members[name] = ProcessSystem(None, lambda message, sender: None, **options)

    def start(self, *, store: bool = True, **options: Any) -> None:
        """Start the node; ``store``: with the book on the leader."""
        self.node = P2P(system=self.place("a", LEADER, store=store), port=self.port, **{**OPTIONS, **options})
        self.node.start()

    def partner(self, host_ip: str, **options: Any) -> P2P:
        """A node of somebody else's."""
        made = P2P(host_ip=host_ip, port=0, **{"populator_interval_s": 0.2, **options})
        made.start()
        self.partners.append(made)
        return made

    def pids(self, name: str) -> list[int]:
        """The processes of a member."""
        found = tree(self.members[name].warden_pid)
        self.seen.update(found)
        return found

    def named(self, name: str, comm: str) -> list[int]:
        """Those of a member that are called so."""
        return [pid for pid in self.pids(name) if name_of(pid) == comm]

    def close(self) -> None:
        for partner in self.partners:
            partner.stop()
        if self.node is not None:
            self.seen.update(tree(self.node._run._session.warden_pid))
            self.node.stop()
        for name, member in self.members.items():
            for pid in self.pids(name):
                os.kill(pid, signal.SIGCONT)
            member.close()
            assert abstract_names(member.name) == []
        wait_until(lambda: not alive(self.seen), "processes are left")


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    made = Deployment()
    yield made
    made.close()


def known(node: P2P) -> int:
    """How many peers the node's root knows of."""
    stats = node.get_network_stats()
    return stats.inbound_connected + stats.outbound_connected


def connected(node: P2P) -> set[str]:
    return {peer.ip_address for peer in node.get_connected_peers()}


def test_servers_and_peers_live_on_edges_and_everything_else_does_not(deployment: Deployment) -> None:
    deployment.join("b", EDGE_B)
    deployment.join("c", EDGE_C)
    deployment.start()
    got: SimpleQueue[Any] = SimpleQueue()
    deployment.node.on(MessageReceived, got.put)
    wait_until(lambda: deployment.named("b", "EdgeServer") and deployment.named("c", "EdgeServer"), "no servers")
    at_b = deployment.partner("127.0.0.11", fixed_peers=[f"{EDGE_B}:{deployment.port}"], max_outbound_connections=1)
    at_c = deployment.partner("127.0.0.12", fixed_peers=[f"{EDGE_C}:{deployment.port}"], max_outbound_connections=1)
    wait_until(lambda: connected(at_b) >= {EDGE_B} and connected(at_c) >= {EDGE_C}, "the partners are not connected")
    assert deployment.named("b", "EdgeInbound")
    assert deployment.named("c", "EdgeInbound")
    at_b.send("hello", b"from b")
    at_c.send("hello", b"from c")
    assert {got.get(timeout=10).data, got.get(timeout=10).data} == {b"from b", b"from c"}
    wait_until(lambda: len(deployment.node.get_connected_peers()) >= 2, "the node does not know its peers")

    leader = tree(deployment.node._run._session.warden_pid)
    assert {ip for ip, _ in listening(leader)} == {LEADER}
    assert {ip for ip, _ in listening(deployment.pids("b"))} == {EDGE_B}
    assert (EDGE_B, deployment.port) in listening(deployment.named("b", "EdgeServer"))
    assert not deployment.named("b", "PeerBook")
    assert not deployment.named("b", "PeerPool")


def test_a_host_that_joins_later_is_used(deployment: Deployment) -> None:
    deployment.join("b", EDGE_B)
    targets = [deployment.partner(f"127.0.0.{20 + number}", **IMPATIENT) for number in range(4)]
    deployment.start(fixed_peers=[f"127.0.0.{20 + n}:{one.listen_address[1]}" for n, one in enumerate(targets[:2])])  # type: ignore[index]
    wait_until(lambda: len(deployment.named("b", "EdgeOutbound")) == 2, "nobody dials")
    deployment.join("c", EDGE_C)
    wait_until(lambda: deployment.named("c", "EdgeServer"), "the new host is not used")
    late = deployment.partner("127.0.0.15", fixed_peers=[f"{EDGE_C}:{deployment.port}"])
    wait_until(lambda: EDGE_C in connected(late), "the new host takes no connections")


def test_a_killed_host_is_noticed_and_its_peers_are_dialled_from_elsewhere(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.join("b", EDGE_B)
    deployment.join("c", EDGE_C)
    targets = [deployment.partner(f"127.0.0.{20 + number}", **IMPATIENT) for number in range(4)]
    deployment.start(fixed_peers=[f"127.0.0.{20 + n}:{one.listen_address[1]}" for n, one in enumerate(targets)])  # type: ignore[index]

    wait_until(lambda: len(connected(deployment.node)) == 4, "not all peers are connected")
    wait_until(lambda: deployment.named("b", "EdgeServer") and deployment.named("c", "EdgeServer"), "no servers")
    victim, other = ("b", "c") if deployment.named("b", "EdgeOutbound") else ("c", "b")
    began = time.monotonic()
    kill(deployment.members[victim].warden_pid)
    wait_until(lambda: f"host {victim} is lost" in caplog.text, "nobody notices", 10.0)
    assert time.monotonic() - began < NOTICED_S
    wait_until(lambda: len(deployment.named(other, "EdgeOutbound")) == 4, "the peers are not dialled from elsewhere")
    wait_until(lambda: len(connected(deployment.node)) == 4, "the peers do not come back")
    assert deployment.node.is_active


def test_a_killed_pool_costs_the_connections_and_no_host(deployment: Deployment) -> None:
    deployment.join("b", EDGE_B)
    targets = [deployment.partner(f"127.0.0.{20 + number}", **IMPATIENT) for number in range(2)]
    removed: SimpleQueue[Any] = SimpleQueue()
    deployment.start(fixed_peers=[f"127.0.0.{20 + n}:{one.listen_address[1]}" for n, one in enumerate(targets)])  # type: ignore[index]
    deployment.node.on(RemovePeer, removed.put)
    partner = deployment.partner("127.0.0.11", fixed_peers=[f"{EDGE_B}:{deployment.port}"], **IMPATIENT)
    wait_until(lambda: EDGE_B in connected(partner), "the partner is not connected")
    wait_until(lambda: known(deployment.node) >= 3, "not all peers are connected")
    servers = deployment.named("b", "EdgeServer")
    old = deployment.named("b", "EdgeOutbound") + deployment.named("b", "EdgeInbound")
    (pool,) = (pid for pid in tree(deployment.node._run._session.warden_pid) if name_of(pid) == "DeployedPool")
    kill(pool)
    wait_until(lambda: not alive(old), "its peers linger", 10.0)
    wait_until(lambda: len(deployment.node.get_connected_peers()) >= 3, "the peers do not come back")
    assert {removed.get(timeout=5).reason for _ in range(3)} == {"the peer pool crashed"}
    assert deployment.named("b", "EdgeServer") == servers
    assert not deployment.members["b"].has_ended()


def test_a_killed_server_group_costs_nothing(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ensemble")
    deployment.join("b", EDGE_B)
    deployment.start()
    lost: SimpleQueue[Any] = SimpleQueue()
    partner = deployment.partner("127.0.0.11", fixed_peers=[f"{EDGE_B}:{deployment.port}"], **IMPATIENT)
    partner.on(RemovePeer, lost.put)
    wait_until(lambda: EDGE_B in connected(partner), "the partner is not connected")
    server = deployment.named("b", "EdgeServer")
    for count in (1, 2):
        (group,) = (pid for pid in tree(deployment.node._run._session.warden_pid) if name_of(pid) == "ServerGroup")
        kill(group)
        wait_until(lambda count=count: caplog.text.count("of host b goes on") == count, "it is not found again")
        late = deployment.partner(f"127.0.0.{11 + count}", fixed_peers=[f"{EDGE_B}:{deployment.port}"])
        wait_until(lambda late=late: EDGE_B in connected(late), "it takes no connections", 10.0)
    assert deployment.named("b", "EdgeServer") == server
    assert lost.empty()
    assert not deployment.members["b"].has_ended()


def test_the_book_lives_on_a_member_and_moves_to_another(
    deployment: Deployment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.join("b", EDGE_B, store=True)
    deployment.start(store=False, data_dir=str(tmp_path / "data"))
    deployment.node.ban("203.0.113.9")
    assert "PeerBook" not in [name_of(pid) for pid in tree(deployment.node._run._session.warden_pid)]
    (book,) = deployment.named("b", "StoredBook")
    wait_until(lambda: stored_bans(tmp_path / "data" / "ensemble.db") == 1, "the ban is not written")

    kill(book)
    wait_until(lambda: deployment.named("b", "StoredBook") not in ([], [book]), "the book does not come back")
    wait_until(lambda: bans(deployment.node) == ["203.0.113.9"], "the ban is forgotten")
    deployment.join("c", EDGE_C, store=True)
    wait_until(lambda: deployment.named("c", "EdgeServer"), "the new host is not used")
    kill(deployment.members["b"].warden_pid)
    wait_until(lambda: "host b, which has the peer book, is lost" in caplog.text, "nobody notices", NOTICED_S)
    wait_until(lambda: deployment.named("c", "StoredBook"), "the book does not move")
    wait_until(lambda: bans(deployment.node) == ["203.0.113.9"], "the ban is forgotten")
    assert deployment.node.is_active


def stored_bans(path: Path) -> int:
    """How many are written."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        found: int = database.execute("SELECT count(*) FROM bans").fetchone()[0]
        return found


def bans(node: P2P) -> list[str] | None:
    """The banned addresses; None while there is no book."""
    try:
        return [ban.ip for ban in node.bans()]
    except EnsembleError:
        return None


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
def test_an_edge_may_have_an_ipv6_address(deployment: Deployment) -> None:
    deployment.join("b", EDGE_B, edge="::1")
    target = deployment.partner("::1")
    assert target.listen_address is not None
    deployment.start(fixed_peers=[f"[::1]:{target.listen_address[1]}"])
    wait_until(lambda: "::1" in connected(deployment.node), "it does not dial")
    got: SimpleQueue[Any] = SimpleQueue()
    deployment.node.on(MessageReceived, got.put)
    partner = deployment.partner("::1", fixed_peers=[f"[::1]:{deployment.port}"])
    wait_until(lambda: "::1" in connected(partner), "it takes no connections")
    partner.send("hello", b"over IPv6")
    assert got.get(timeout=10).data == b"over IPv6"


def test_a_stranger_without_the_key_is_no_member(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    deployment.join("b", EDGE_B)
    deployment.start()
    right, deployment.key = deployment.key, secrets.token_bytes(32)
    deployment.join("c", EDGE_C)
    deployment.key = right
    late = deployment.partner("127.0.0.15", fixed_peers=[f"{EDGE_B}:{deployment.port}"])
    wait_until(lambda: EDGE_B in connected(late), "the member takes no connections")
    assert not deployment.named("c", "EdgeServer")
