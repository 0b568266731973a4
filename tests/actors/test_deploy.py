"""The file that describes a node on several hosts, its key, and the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from actors import P2P, cli
from actors.deploy import load_deployment, make_key, read_key, table
from actors.deployed import DeployedNode
from actors.node import Node
from actors.store_away import AwayNode
from core.errors import ConfigError
from tests.actors.multiprocess.kernel import alive, tree, wait_until
from tests.actors.multiprocess.test_hosts import EDGE_B, LEADER, free_port

ROOT = Path(__file__).parents[2]
GOOD = """
key_file: key
node: node.yaml
hosts:
  a: {address: 10.0.0.1, leader: true, store: true}
  b: {address: 10.0.0.2, edge: 203.0.113.7, admin_port: 1901}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "deployment.yaml"
    path.write_text(GOOD)
    (tmp_path / "node.yaml").write_text("port: 7000\n")
    make_key(tmp_path / "key")
    return path


def test_every_host_learns_its_place(file: Path) -> None:
    deployment = load_deployment(file)
    a, b = deployment.place("a"), deployment.place("b")
    assert (a.is_leader, a.store, a.edge_ip, a.admin_port) == (True, True, None, 1900)
    assert (b.is_leader, b.store, b.edge_ip, b.admin_port) == (False, False, "203.0.113.7", 1901)
    assert a.leader == b.leader == "10.0.0.1:1900"
    assert a.key == b.key
    assert b.key.hex() not in repr(b)
    assert b.system_options()["capabilities"]["edge"] == "203.0.113.7"
    assert "edge" not in a.system_options()["capabilities"]


@pytest.mark.parametrize(
    ("leader", "member", "stores", "root"),
    [
        (", store: true", "", {"a"}, DeployedNode),
        ("", "", {"a"}, DeployedNode),  # by default
        ("", ", store: true", {"b"}, AwayNode),
        (", store: true", ", store: true", {"a", "b"}, DeployedNode),
    ],
)
def test_the_book_is_on_the_leader_unless_only_members_may_have_it(
    file: Path, leader: str, member: str, stores: set[str], root: type
) -> None:
    file.write_text(GOOD.replace(", store: true", leader).replace(", admin_port", f"{member}, admin_port"))
    deployment = load_deployment(file)
    assert {name for name, host in deployment.hosts.items() if host.store} == stores
    assert deployment.place("a").root_of(Node) is root
    lines = {line.split()[0]: line for line in table(deployment).splitlines()[1:]}
    assert ("peer book" in lines["a"]) == ("a" in stores)
    assert ("peer book" in lines["b"]) == (stores == {"b"})


def test_the_example_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["deploy", str(ROOT / "configs" / "deployment.yaml")]) == 0
    assert "leader, peer book" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "right", "complaint"),
    [
        ("key_file: key", "", "key_file is missing"),
        ("node: node.yaml", "node: [1]", ":3:7: node: expected the path of a file"),
        ("address: 10.0.0.1", "address: 8.8.8.8", "8.8.8.8 can: whoever has the key"),
        ("address: 10.0.0.1", "address: 0.0.0.0", "expected an address that cannot be reached"),
        ("address: 10.0.0.1", "address: nowhere", ":5:16: hosts.a.address: expected the IPv4 address"),
        ("address: 10.0.0.1, ", "", "hosts.a: address is missing"),
        ("leader: true", "leader: perhaps", "hosts.a.leader: expected true or false"),
        ("leader: true", "leader: false", "expected one with leader: true, got 0"),
        ("leader: true", "leader: true, edge: 0.0.0.0", "hosts.a: the leader holds no sockets: expected no edge"),
        ("edge: 203.0.113.7", "store: true", "expected at least one with edge"),
        ("edge: 203.0.113.7", "edge: paris", "hosts.b.edge: expected the IP address"),
        ("admin_port: 1901", "admin_port: 70000", "hosts.b.admin_port: expected a port, 1 to 65535"),
        ("admin_port: 1901", "colour: red", "unknown 'colour', expected one of address"),
        ("address: 10.0.0.2", "address: fd00::2", "expected an IPv4 address: Thespian's actors know no other"),
        ("10.0.0.2, edge: 203.0.113.7, admin_port: 1901", "10.0.0.1, edge: 203.0.113.7", "two have the same address"),
        ("hosts:", "hosts: 7\nx:", "expected a mapping"),
        ("key_file: key", "key_file: key\nkey_file: key", "is given twice"),
        ("key_file: key", "keyfile: key", "unknown name 'keyfile'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(file: Path, wrong: str, right: str, complaint: str) -> None:
    assert wrong in GOOD
    file.write_text(GOOD.replace(wrong, right))
    with pytest.raises(ConfigError) as caught:
        load_deployment(file)
    assert any(complaint in problem for problem in caught.value.problems), caught.value.problems
    assert all(problem.startswith(str(file)) for problem in caught.value.problems)


def test_an_unknown_host_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="expected one of a, b, got 'c'"):
        load_deployment(file).place("c")


def test_a_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "key"
    make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(read_key(path)) == 32
    with pytest.raises(ConfigError, match="cannot be made: File exists"):
        make_key(path)


@pytest.mark.parametrize("content", ["", "00" * 31, "zz" * 32, "00" * 33, "0 " * 64])
def test_a_key_of_another_form_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="expected 64 hexadecimal digits"):
        read_key(path)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    make_key(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others can read the key"):
        read_key(path)


def test_wrong_commands_end_with_2(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["deploy"]) == 2
    assert cli.main(["deploy", str(file), "--host", "c"]) == 2
    assert cli.main(["deploy", str(file.parent / "none.yaml")]) == 2
    assert "Traceback" not in capsys.readouterr().err


def start(file: Path, host: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "actors.cli", "deploy", str(file), "--host", host],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.sockets
@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(150)
def test_hosts_run_by_command_and_members_may_be_killed(file: Path) -> None:
    admin, port = free_port(LEADER, EDGE_B), free_port(LEADER, EDGE_B)
    file.write_text(
        f"key_file: key\nnode: node.yaml\nhosts:\n"
        f"  a: {{address: {LEADER}, admin_port: {admin}, leader: true, store: true}}\n"
        f"  b: {{address: {EDGE_B}, admin_port: {admin}, edge: {EDGE_B}}}\n"
    )
    (file.parent / "node.yaml").write_text(f"port: {port}\npopulator_interval_s: 0.2\n")
    programs = {name: start(file, name) for name in "ab"}
    partner: Any = P2P(port=0, host_ip="127.0.0.11", fixed_peers=[f"{EDGE_B}:{port}"], populator_interval_s=0.2)
    seen: set[int] = set()
    try:
        with partner:
            wait_until(lambda: partner.get_connected_peers(), "the node is not reached", 45.0)
            seen.update(tree(programs["b"].pid))
            programs["b"].kill()
            programs["b"].wait()
            wait_until(lambda: not alive(seen), "processes of the member linger", 2.0)
            assert programs["a"].poll() is None
            assert programs["b"].stdout is not None
            programs["b"].stdout.close()
            programs["b"] = start(file, "b")
            wait_until(lambda: partner.get_connected_peers(), "the node is not reached again", 45.0)
            for program in programs.values():
                seen.update(tree(program.pid))
            for program in programs.values():
                program.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert [program.wait(20) for program in programs.values()] == [0, 0]
            assert time.monotonic() - began < 15
    finally:
        for program in programs.values():
            program.kill()
            program.wait()
            if program.stdout is not None:
                program.stdout.close()
    wait_until(lambda: not alive(seen), "processes linger", 2.0)
    assert os.getpid() not in seen


def test_the_unit_and_the_container_run_commands_that_exist() -> None:
    unit = (ROOT / "configs" / "ensemble.service").read_text()
    (start_line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    container = (ROOT / "configs" / "Containerfile").read_text().splitlines()
    (command,) = [json.loads(line.removeprefix("CMD ")) for line in container if line.startswith("CMD ")]
    for words in (start_line.split()[1:], command):
        parsed = cli._parser().parse_args(words)
        assert parsed.file is not None
    assert "User=ensemble" in unit
    assert "USER 10001" in container
