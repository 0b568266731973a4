"""Thespian's processes run whatever is sent to their ports. Ours do not."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from thespian.system.transport.streamBuffer import ReceiveBuffer, ackDataErrPacket

from actors.bases.seal import KEY_BYTES, Seal
from tests.actors.multiprocess.conftest import Rig
from tests.actors.multiprocess.kernel import abstract_names, alive, listening

pytestmark = pytest.mark.sockets

ROOT = Path(__file__).parents[3]


class Attack:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._path),)


def stock_packet(message: Any) -> bytes:
    """A packet as Thespian's own transport sends it."""
    content = pickle.dumps(message)
    return b"%d>" % len(content) + content


def answers(addresses: Iterable[tuple[str, int]], attacks: list[bytes]) -> set[bytes]:
    """Send every attack to every address, all at once; everything that is said to it."""
    with contextlib.ExitStack() as stack:
        connections = []
        for address in addresses:
            for attack in attacks:
                connection = stack.enter_context(socket.create_connection(address, timeout=5))
                connections.append(connection)
                with contextlib.suppress(ConnectionError):
                    connection.sendall(attack)
        found = set()
        deadline = time.monotonic() + 1.0
        for connection in connections:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            with contextlib.suppress(TimeoutError, ConnectionError):
                found.add(connection.recv(1000))
        return found


def test_the_attack_works_on_thespians_own_buffer(tmp_path: Path) -> None:
    buffer = ReceiveBuffer()
    buffer.addMore(stock_packet(Attack(tmp_path / "stock")))
    buffer.completed()
    assert (tmp_path / "stock").exists()


def test_every_port_is_on_loopback_and_runs_nothing_that_is_not_signed(rig: Callable[..., Rig], tmp_path: Path) -> None:
    system = rig()
    system.ask("breed", 2)
    system.tell("ask_child", "pid")
    assert system.next().value != system.ask("pid")
    pids = system.pids()
    ports = listening([*pids, os.getpid()])

    assert {ip for ip, _ in ports} == {"127.0.0.1"}
    assert set(pids) | {os.getpid()} == set(ports.values())  # warden, admin, root, its children, and this program

    wrong = Seal(os.urandom(KEY_BYTES))
    proof = tmp_path / "executed"
    attacks = [
        stock_packet(Attack(proof)),
        stock_packet((None, Attack(proof))),
        wrong.pack((None, Attack(proof))),
        b"900000000>" + b"x" * 100_000,
        b"9" * 100,
        b"-1>" + b"x" * 100,
        b"60>" + b"\0" * 100,
        b"",
    ]
    refusal = Seal(system.system.key).pack(ackDataErrPacket)
    assert answers(ports, attacks) <= {b"", refusal}
    assert not proof.exists()
    assert sorted(alive(pids)) == sorted(pids)
    assert system.ask("echo", "still here") == "still here"
    system.tell("ask_child", "pid")
    assert system.next().value in pids


def test_a_signed_content_behind_another_length_is_not_opened(tmp_path: Path) -> None:
    """Here the attacker has seen one packet, and puts its signed header before a content of its own."""
    from actors.bases.seal import SEALS_BYTES, SealedBuffer

    seal = Seal(os.urandom(KEY_BYTES))
    content = pickle.dumps(Attack(tmp_path / "executed"))
    header, _, rest = seal.pack(b"x" * len(content)).partition(b">")
    size = int(header) - SEALS_BYTES
    buffer = SealedBuffer(seal)
    buffer.addMore(header + b">" + rest[:SEALS_BYTES] + content.ljust(size, b"\0"))
    assert buffer.isDone()
    assert buffer.completed() is None
    assert not (tmp_path / "executed").exists()


def test_many_silent_connections_do_not_end_an_actor(rig: Callable[..., Rig]) -> None:
    system = rig()
    pid = system.ask("pid")
    (address,) = listening([pid])
    strangers = []
    try:
        for _ in range(600):
            stranger = socket.socket()
            stranger.setblocking(False)
            stranger.connect_ex(address)
            strangers.append(stranger)
        assert system.ask("echo", 1) == 1
    finally:
        for stranger in strangers:
            stranger.close()
    assert system.ask("pid") == pid


def test_the_key_is_in_no_environment_and_on_no_command_line(rig: Callable[..., Rig]) -> None:
    system = rig()
    system.ask("pid")
    key = system.system.key
    for pid in system.pids():
        for name in ("environ", "cmdline"):
            content = Path(f"/proc/{pid}/{name}").read_bytes()
            assert key not in content
            assert key.hex().encode() not in content


def test_nothing_is_inherited_that_was_not_meant_to_be(rig: Callable[..., Rig]) -> None:
    """Sockets of the program, of the warden and of siblings stay where they are."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        system = rig()
        system.ask("breed", 2)
        system.tell("ask_child", "pid")
        system.next()
        assert server.getsockname() not in listening(system.pids())
        assert len(listening(system.pids())) == len(system.pids())  # each its own, nobody another's


def test_no_file_of_thespians_appears(rig: Callable[..., Rig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("THESPLOG_FILE", str(tmp_path / "thespian.log"))
    system = rig()
    system.ask("breed", 1)
    system.tell("leave")
    system.next()  # the system has ended with its root
    assert list(tmp_path.iterdir()) == []


def test_two_systems_of_one_program_do_not_understand_each_other(rig: Callable[..., Rig]) -> None:
    first, second = rig(), rig()
    assert first.ask("echo", 1) == second.ask("echo", 1) == 1
    assert first.system.key != second.system.key
    second.tell("collect", "from a stranger", to=first.system.root)
    threading.Event().wait(0.3)
    assert first.ask("collected") == ()
    assert second.ask("echo", 2) == 2


def test_names_of_unix_sockets_are_abstract(rig: Callable[..., Rig]) -> None:
    system = rig()
    system.ask("pid")
    assert all(name.startswith("@ensemble-") for name in abstract_names(system.system.name))
    assert abstract_names(system.system.name)


def test_the_directory_a_program_is_in_is_not_where_its_processes_look_for_code(
    rig: Callable[..., Rig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "actors").mkdir()
    (tmp_path / "actors" / "__init__.py").write_text("raise SystemExit('code of somebody else')")
    monkeypatch.setattr(sys, "path", [str(ROOT) if one == "" else one for one in sys.path])
    monkeypatch.chdir(tmp_path)
    assert rig().ask("echo", 1) == 1
