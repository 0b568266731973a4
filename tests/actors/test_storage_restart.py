"""Real nodes over real sockets with a real data directory: stopped and started again, and killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors import P2P
from core.errors import StartFailed
from tests.actors.storage_tools import PATIENCE_S

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
TROUBLE = "203.0.113.7"


def node(data_dir: Path | None, **options: Any) -> P2P:
    return P2P(host_ip="127.0.0.1", port=0, data_dir=data_dir, storage_interval_s=1.0, **options)


def wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not happen")


def secret_in(data_dir: Path) -> bytes:
    connection = sqlite3.connect(data_dir / "ensemble.db")
    try:
        (secret,) = connection.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
    finally:
        connection.close()
    return bytes(secret)


def test_a_restart_keeps_tried_peers_the_secret_and_bans(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with node(None) as other:
        assert other.listen_address is not None
        ip, port = other.listen_address
        with node(data_dir, fixed_peers=[f"{ip}:{port}"]) as p2p:
            wait_until(lambda: bool(p2p.get_tried_peers()))
            p2p.ban(TROUBLE, "trouble", duration_s=1000)
            tried, bans = p2p.get_tried_peers(), p2p.bans()
        secret = secret_in(data_dir)
    assert [peer.port for peer in tried] == [port]
    for _ in range(2):
        with node(data_dir) as p2p:
            assert p2p.get_tried_peers() == tried
            assert p2p.bans() == bans
    assert (secret_in(data_dir), len(secret)) == (secret, 32)
    assert sorted(path.name for path in data_dir.iterdir()) == ["ensemble.db", "ensemble.lock"]


def test_a_second_node_of_the_program_is_refused_the_directory(tmp_path: Path) -> None:
    with node(tmp_path), pytest.raises(StartFailed, match=f"data_dir {tmp_path} is in use by another node"):
        node(tmp_path).start()
    with node(tmp_path) as p2p:
        assert p2p.bans() == ()


def test_stop_returns_when_everything_is_on_disk(tmp_path: Path) -> None:
    for number in range(5):
        with node(tmp_path) as p2p:
            p2p.ban(f"203.0.113.{number + 1}", "")
        connection = sqlite3.connect(tmp_path / "ensemble.db")
        assert connection.execute("SELECT count(*) FROM bans").fetchone() == (number + 1,)
        connection.close()


PROGRAM = """
import sys
from actors import P2P

p2p = P2P(host_ip="127.0.0.1", port=0, data_dir=sys.argv[1], previous_peers=["198.51.100.1:5001"],
          max_outbound_connections=0, storage_interval_s=1.0)
p2p.start()
p2p.ban(sys.argv[2], "trouble")
print("banned", flush=True)
sys.stdin.read()
"""


@pytest.mark.chaos
def test_a_killed_node_comes_back(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), TROUBLE],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "banned\n"
        with pytest.raises(StartFailed, match=rf"in use by another node \(process {process.pid}\)"):
            node(tmp_path).start()

        def is_stored() -> bool:
            connection = sqlite3.connect(f"file:{tmp_path}/ensemble.db?mode=ro", uri=True)
            try:
                return connection.execute("SELECT ip FROM bans").fetchall() == [(TROUBLE,)]
            finally:
                connection.close()

        wait_until(is_stored)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    with node(tmp_path, max_outbound_connections=0) as p2p:
        assert [peer.peer_id for peer in p2p.get_tried_peers()] == ["198.51.100.1:5001"]
        assert [ban.ip for ban in p2p.bans()] == [TROUBLE]
