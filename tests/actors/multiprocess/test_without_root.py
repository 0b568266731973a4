"""The systemd unit and the container file: what they start runs, as a user without any right, on a read-only root.

The service manager and the container engine themselves are not here: their directories, user and limits are played by
:mod:`tests.actors.multiprocess.jail`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import P2P
from actors.deploy import make_key
from tests.actors.multiprocess.jail import ROOT, USER, Jail
from tests.actors.multiprocess.kernel import alive, tree, wait_until
from tests.actors.multiprocess.test_hosts import EDGE_B, LEADER, free_port

pytestmark = [pytest.mark.sockets, pytest.mark.slow, pytest.mark.timeout(120)]

UNIT = ROOT / "configs" / "ensemble.service"
CONTAINER = ROOT / "configs" / "Containerfile"


@pytest.fixture
def jail(tmp_path: Path) -> Jail:
    if os.geteuid() != 0:
        pytest.skip("running without root: the test itself needs root, to give rights up")
    return Jail(tmp_path)


@pytest.fixture
def programs() -> Iterator[list[subprocess.Popen[str]]]:
    """Programs of a test; none of their processes is left."""
    started: list[subprocess.Popen[str]] = []
    yield started
    seen = [pid for program in started for pid in tree(program.pid)]
    for program in started:
        program.kill()
        program.communicate()
    wait_until(lambda: not alive(seen), "processes linger", 5.0)


def exec_start(host: str) -> list[str]:
    """The unit's command on this host."""
    (line,) = [line for line in UNIT.read_text().splitlines() if line.startswith("ExecStart=")]
    return [word.replace("%l", host) for word in line.removeprefix("ExecStart=").split()]


def rights_of(pid: int) -> dict[str, str] | None:
    """Its users and capabilities, as the kernel says; None if it has ended since it was seen."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def assert_no_rights(program: subprocess.Popen[str]) -> None:
    """Neither a program nor what it has started; some of that, such as a process in the middle of a fork, soon ends."""
    assert rights_of(program.pid) is not None
    for pid in tree(program.pid):
        rights = rights_of(pid)
        if rights is None:
            continue
        assert set(rights["Uid"].split()) == set(rights["Gid"].split()) == {str(USER)}
        assert rights["Groups"] in ("", str(USER))
        assert {rights[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
        assert rights["NoNewPrivs"] == "1"


def stop(program: subprocess.Popen[str]) -> None:
    """As systemd and podman do: SIGTERM to the program only; it ends its processes itself."""
    seen = tree(program.pid)
    program.send_signal(signal.SIGTERM)
    _, complaints = program.communicate(timeout=15)  # TimeoutStopSec
    assert program.returncode == 0, complaints
    wait_until(lambda: not alive(seen), "processes linger", 2.0)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze (install systemd)")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "ensemble.service"
    program = str(Path(sys.prefix) / "bin" / "ensemble")
    unit.write_text(UNIT.read_text().replace("/opt/ensemble/bin/ensemble", program))
    said = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(unit)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in said.stderr.splitlines() if "ensemble" in line]
    assert (said.returncode, complaints) == (0, [])
    unit.write_text(unit.read_text().replace("NoNewPrivileges", "NoNewPrivilege"))
    said = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "NoNewPrivilege" in said.stderr  # it does look


def test_the_units_command_runs_a_deployment_without_root(jail: Jail, programs: list[subprocess.Popen[str]]) -> None:
    admin, port = free_port(LEADER, EDGE_B), free_port(LEADER, EDGE_B)
    (jail.settings / "deployment.yaml").write_text(
        f"key_file: key\nnode: node.yaml\nhosts:\n"
        f"  a: {{address: {LEADER}, admin_port: {admin}, leader: true, store: true}}\n"
        f"  b: {{address: {EDGE_B}, admin_port: {admin}, edge: {EDGE_B}}}\n"
    )
    (jail.settings / "node.yaml").write_text(f"port: {port}\ndata_dir: /var/lib/ensemble\n")
    make_key(jail.settings / "key")
    jail.own(jail.settings / "key")
    programs += [jail.start(*exec_start(host)) for host in "ab"]
    partner: Any = P2P(port=0, host_ip="127.0.0.11", fixed_peers=[f"{EDGE_B}:{port}"], populator_interval_s=0.2)
    with partner:
        wait_until(lambda: partner.get_connected_peers() or any_ended(programs), "the node is not reached", 45.0)
        assert not any_ended(programs)
        for program in programs:
            assert_no_rights(program)
        wait_until(lambda: (jail.state / "ensemble.db").exists(), "nothing is stored")
    for program in programs:
        stop(program)
    assert {path.stat().st_uid for path in jail.state.iterdir()} == {USER}


def test_the_containers_command_runs_a_node_without_root(jail: Jail, programs: list[subprocess.Popen[str]]) -> None:
    lines = CONTAINER.read_text().splitlines()
    (entry,), (command,) = ([json.loads(line.partition(" ")[2]) for line in lines if line.startswith(kind)]
                            for kind in ("ENTRYPOINT ", "CMD "))  # fmt: skip
    assert f"USER {USER}" in lines
    port = free_port("127.0.0.1")
    settings = (ROOT / "configs" / "node.yaml").read_text()
    (jail.settings / "node.yaml").write_text(re.sub(r"(?m)^port: .*", f"port: {port}", settings))
    programs.append(jail.start(*entry, *command))
    partner: Any = P2P(port=0, host_ip="127.0.0.11", fixed_peers=[f"127.0.0.1:{port}"], populator_interval_s=0.2)
    with partner:
        wait_until(lambda: partner.get_connected_peers() or any_ended(programs), "the node is not reached", 45.0)
        assert not any_ended(programs)
        assert_no_rights(programs[0])
    stop(programs[0])
    assert {path.stat().st_uid for path in jail.state.iterdir()} == {USER}


def any_ended(programs: list[subprocess.Popen[str]]) -> str:
    """What one that has ended has complained of."""
    return "".join(program.communicate()[1] or "it ended" for program in programs if program.poll() is not None)
