"""What a node keeps across restarts, crashes and kills. In virtual time, with a disk in memory."""

from __future__ import annotations

from typing import Any

import pytest

import actors.peer_book
from actors.peer_book import PeerBook
from actors.peer_server import PeerServer
from actors.storage import MemoryDisk, MemoryStorage
from core.book import Table
from core.config import NodeConfig
from core.errors import StartFailed
from core.events import UnbanPeer
from core.house_messages import (
    PeersAdvertised,
)
from core.ids import Endpoint, PeerId
from core.messages import (
    Ban,
    BanAddress,
    Done,
    GetBans,
    GetTriedPeers,
    StartNode,
    StopNode,
    UnbanAddress,
)
from core.stored import SOON_S, Snapshot, Stored
from tests.actors.nodes import TestNode, connect
from tests.actors.world import START, Complaints, World

INTERVAL_S = 60.0
HOUR_S = 3600.0
IP = "10.1.0.1"
TROUBLE = "66.6.6.6"
TOLD = Endpoint("77.7.7.7", 5001)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> MemoryDisk:
    made = MemoryDisk()
    monkeypatch.setattr(actors.peer_book, "storage_of", lambda actor: made)
    return made


@pytest.fixture
def peer(world: World) -> TestNode:
    return TestNode(world, "10.2.0.1").start()


def make(world: World, **options: Any) -> TestNode:
    """A node that dials nobody: what it is told of would not be there, and be forgotten."""
    return TestNode(world, IP, **{"data_dir": "data", "max_outbound_connections": 0, **options})


def ban(node: TestNode, ip: str = TROUBLE, duration_s: float | None = None) -> None:
    assert isinstance(node.ask(BanAddress, ip, PeerId(f"{ip}:1"), "trouble", duration_s), Done)


def bans(node: TestNode) -> tuple[Ban, ...]:
    found: tuple[Ban, ...] = node.ask(GetBans).bans
    return found


def tell_of(node: TestNode, *endpoints: Endpoint) -> None:
    """Let a public peer tell the node of these."""
    node.program.tell(node.book.myAddress, PeersAdvertised(PeerId("9.9.9.9:1"), "9.9.9.9", endpoints))
    node.world.run(0.01)


def tried(node: TestNode) -> set[str]:
    return {peer.peer_id for peer in node.ask(GetTriedPeers).peers}


def secret_of(node: TestNode) -> bytes:
    return node.node.need_charter().secret


# ---- restart ----


def test_a_restart_keeps_the_book_the_secret_and_the_bans(world: World, disk: MemoryDisk, peer: TestNode) -> None:
    first = make(world, fixed_peers=["10.2.0.1:5001"], max_outbound_connections=1).start()
    connect(first, peer)
    tell_of(first, TOLD)
    ban(first)
    known = {entry.endpoint: entry for entry in first.book.book.all()}
    assert known[TOLD].table is Table.NEW
    secret, until = secret_of(first), bans(first)[0].until
    assert isinstance(first.stop(), Done)
    world.run(HOUR_S)

    second = make(world).start()
    assert tried(second) == {"10.2.0.1:5001"}
    assert {entry.endpoint: entry for entry in second.book.book.all()} == known  # buckets and times, too
    assert secret_of(second) == secret
    assert bans(second) == (Ban(TROUBLE, until, "trouble"),)


def test_a_ban_lasts_as_long_as_if_there_had_been_no_restart(world: World, disk: MemoryDisk) -> None:
    node = make(world).start()
    ban(node, duration_s=24 * HOUR_S)
    ban(node, "55.5.5.5", duration_s=5 * HOUR_S)
    node.stop()
    world.run(10 * HOUR_S)
    node = make(world).start()
    assert [found.ip for found in bans(node)] == [TROUBLE]  # the other one has ended meanwhile
    assert bans(node)[0].until == pytest.approx(START + 24 * HOUR_S, abs=5)
    world.run(13 * HOUR_S)
    assert [found.ip for found in bans(node)] == [TROUBLE]
    world.run(2 * HOUR_S)
    assert bans(node) == ()
    assert [event.ip_address for event in node.events(UnbanPeer)] == [TROUBLE]


def test_a_ban_of_an_earlier_run_is_enforced_at_the_door(world: World, disk: MemoryDisk, peer: TestNode) -> None:
    node = make(world).start()
    ban(node, peer.ip)
    node.stop()
    node = make(world).start()
    peer.stop()
    again = TestNode(world, peer.ip, fixed_peers=[f"{IP}:5001"]).start()
    world.run(30)
    assert not node.is_connected_to(again)
    assert isinstance(node.ask(UnbanAddress, peer.ip), Done)
    connect(again, node)


def test_a_configured_secret_goes_before_the_stored_one_which_is_kept(world: World, disk: MemoryDisk) -> None:
    node = make(world).start()
    tell_of(node, TOLD)
    stored = secret_of(node)
    node.stop()
    node = make(world, secret=7).start()
    assert secret_of(node) == (7).to_bytes(4, "big")
    assert node.book.book.has(TOLD)
    assert node.book.book.check() == []  # filed anew
    node.stop()
    assert secret_of(make(world).start()) == stored


def test_today_s_configuration_goes_before_what_was_stored(world: World, disk: MemoryDisk) -> None:
    node = make(world).start()
    ban(node, "44.4.4.4")
    ban(node)
    tell_of(node, TOLD, Endpoint("78.7.7.7", 5001), Endpoint("79.7.7.7", 5001))
    node.stop()
    lists = {"blacklisted_ips": [TOLD.ip], "whitelisted_peers": ["78.7.7.7:5001", "44.4.4.4:5001"]}
    node = make(world, **lists).start()
    book = node.book.book
    assert not book.has(TOLD)
    assert book.has(Endpoint("79.7.7.7", 5001))
    whitelisted = book.get(Endpoint("78.7.7.7", 5001))
    assert whitelisted is not None
    assert (whitelisted.table, whitelisted.whitelisted) == (Table.TRIED, True)
    assert [found.ip for found in bans(node)] == [TROUBLE]  # trusted peers are never banned


def test_without_a_data_directory_nothing_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.peer_book, "storage_of", lambda actor: 1 / 0)
    node = make(world, data_dir=None).start()
    ban(node)
    world.run(3 * INTERVAL_S)
    assert isinstance(node.stop(), Done)
    assert bans(make(world, data_dir=None).start()) == ()


# ---- kill ----


def restart_killed(node: TestNode, disk: MemoryDisk) -> TestNode:
    """Another node with what was on disk at this moment."""
    disk.crash("data")
    return TestNode(node.world, "10.3.0.1", data_dir="data", max_outbound_connections=0).start()


def test_a_kill_loses_at_most_the_last_interval(world: World, disk: MemoryDisk) -> None:
    node = make(world).start()
    tell_of(node, TOLD)
    world.run(INTERVAL_S)
    tell_of(node, Endpoint("78.7.7.7", 5001))
    again = restart_killed(node, disk)
    assert again.book.book.has(TOLD)
    assert not again.book.book.has(Endpoint("78.7.7.7", 5001))  # too young: this is what the interval means


def test_the_interval_is_an_option(world: World, disk: MemoryDisk) -> None:
    node = make(world, storage_interval_s=5.0).start()
    tell_of(node, TOLD)
    world.run(5.0)
    assert restart_killed(node, disk).book.book.has(TOLD)


def test_a_ban_and_its_end_are_on_disk_within_a_second(world: World, disk: MemoryDisk) -> None:
    node = make(world).start()
    ban(node)
    ban(node, "55.5.5.5")
    world.run(SOON_S)
    assert isinstance(node.ask(UnbanAddress, "55.5.5.5"), Done)
    world.run(SOON_S)
    assert [found.ip for found in bans(restart_killed(node, disk))] == [TROUBLE]


def test_nothing_is_written_while_nothing_changes(
    world: World, disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Snapshot] = []
    monkeypatch.setattr(MemoryStorage, "save", lambda self, snapshot: written.append(snapshot))
    node = make(world).start()
    world.run(10 * INTERVAL_S)
    assert len(written) == 1  # after the first interval, in any case
    tell_of(node, TOLD)
    world.run(10 * INTERVAL_S)
    assert len(written) == 2


# ---- crashed actors ----


def test_a_crashed_book_comes_back_from_the_disk(world: World, disk: MemoryDisk, complaints: Complaints) -> None:
    node = make(world).start()
    tell_of(node, TOLD)
    world.run(INTERVAL_S)
    ban(node)
    world.run(SOON_S)
    crashed, secret = node.book, secret_of(node)
    node.poison(PeerBook, PeersAdvertised(PeerId("x"), "no address", (None,)))  # type: ignore[arg-type]
    assert world.until(lambda: node.children(PeerBook) not in ([], [crashed]) and node.book._bans is not None)
    complaints.expect("PeerBook failed on PeersAdvertised")
    complaints.expect("PeerBook crashed and is replaced")
    assert node.book.book.has(TOLD)
    assert [found.ip for found in bans(node)] == [TROUBLE]
    assert secret_of(node) == secret
    assert isinstance(node.ask(UnbanAddress, TROUBLE), Done)
    world.run(SOON_S)
    assert bans(restart_killed(node, disk)) == ()  # the new book writes, too


# ---- start and stop ----


def test_two_nodes_do_not_share_a_directory(world: World, disk: MemoryDisk, complaints: Complaints) -> None:
    make(world).start()
    second = TestNode(world, "10.2.0.1", data_dir="data")
    error = second.fails(StartNode, NodeConfig(**second.options))
    assert isinstance(error, StartFailed)
    assert str(error) == "data_dir data is in use by another node: give every node a data_dir of its own"
    second.options["data_dir"] = "other"
    second.start()


def test_a_start_that_fails_later_lets_go_of_the_directory(
    world: World, disk: MemoryDisk, complaints: Complaints
) -> None:
    holder = TestNode(world, IP).start()
    node = make(world)
    error = node.fails(StartNode, NodeConfig(**node.options))
    assert "5001" in str(error)  # the port is taken
    holder.stop()
    node.start()


def test_warnings_about_what_was_found_are_told(
    world: World, disk: MemoryDisk, complaints: Complaints, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_it = disk.open

    def open_damaged(data_dir: str, *, fresh_secret: bytes, wall_now: float) -> Any:
        storage, stored = open_it(data_dir, fresh_secret=fresh_secret, wall_now=wall_now)
        return storage, Stored(stored.secret, stored.snapshot, ("it was damaged", "3 rows are unusable"))

    monkeypatch.setattr(disk, "open", open_damaged)
    make(world).start()
    complaints.expect("it was damaged")
    complaints.expect("3 rows are unusable")


def test_stopping_waits_for_the_disk(world: World, disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    ready_at: list[float] = []
    close = MemoryStorage.close

    def slow_close(storage: MemoryStorage, timeout_s: float = 0.0) -> bool:
        ready_at.append(world.time + 0.5)
        return world.time >= ready_at[0] and close(storage)

    node = make(world).start()
    tell_of(node, TOLD)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryStorage, "close", slow_close)
        assert isinstance(node.stop(), Done)
        assert world.time == pytest.approx(ready_at[0], abs=0.05)
    assert make(world).start().book.book.has(TOLD)


def test_a_disk_that_hangs_does_not_keep_the_node_from_stopping(
    world: World, disk: MemoryDisk, complaints: Complaints, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make(world).start()
    began = world.time
    with monkeypatch.context() as patch:
        patch.setattr(MemoryStorage, "close", lambda storage, timeout_s=0.0: False)
        assert isinstance(node.stop(), Done)
        assert world.time - began < 4
        world.run(1)
    complaints.expect("stopping took longer")
    complaints.expect("still writing")


def test_a_write_that_fails_is_told(
    world: World, disk: MemoryDisk, complaints: Complaints, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make(world).start()
    tell_of(node, TOLD)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryStorage, "save", lambda storage, snapshot: None)
        patch.setattr(MemoryStorage, "take_problem", lambda storage: "the disk is full")
        world.run(INTERVAL_S + 5)
    complaints.expect("the disk is full")
    world.run(INTERVAL_S)
    assert restart_killed(node, disk).book.book.has(TOLD)


def test_stopping_a_node_that_only_just_started_keeps_what_was_stored(world: World, disk: MemoryDisk) -> None:
    node = make(world).start()
    tell_of(node, TOLD)
    node.stop()
    for _ in range(3):
        node = make(world)
        node.tell(StartNode(5, NodeConfig(**node.options)))
        node.tell(StopNode(6))
        node.answer(5)
        node.answer(6)
        world.run(1)
    assert make(world).start().book.book.has(TOLD)


def test_the_server_does_not_listen_before_the_directory_is_ours(
    world: World, disk: MemoryDisk, complaints: Complaints
) -> None:
    disk.open("data", fresh_secret=bytes(32), wall_now=0.0)
    node = make(world)
    node.fails(StartNode, NodeConfig(**node.options))
    assert world.net.listeners == {}
    world.run(1)
    assert world.alive(PeerServer) == []
