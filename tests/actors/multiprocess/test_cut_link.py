"""A node on three hosts that are network namespaces, with real cables between them: one is cut, one host is killed.

Needs root and iproute2 (``apt-get install iproute2``); see :mod:`tests.actors.multiprocess.namespaces`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.deploy import make_key
from tests.actors.multiprocess.kernel import alive, tree, wait_until
from tests.actors.multiprocess.namespaces import PREFIX, Namespaces, Program

pytestmark = [pytest.mark.sockets, pytest.mark.slow, pytest.mark.chaos, pytest.mark.timeout(180)]

PORT = 5001
NOTICED_S = 5.0
TARGETS = [f"{PREFIX}.{number}" for number in (101, 102, 103, 104)]
VISITOR = f"{PREFIX}.105"


class Net:
    """The hosts and what runs on them."""

    def __init__(self, spaces: Namespaces, directory: Path) -> None:
        self._spaces = spaces
        self.address = {name: spaces.add(name) for name in ("home", "paris", "oslo")}
        spaces.add("world", *TARGETS, VISITOR)
        self._file = directory / "deployment.yaml"
        lines = [f"home: {{address: {self.address['home']}, leader: true, store: true}}"]
        lines += [f"{name}: {{address: {self.address[name]}, edge: 0.0.0.0}}" for name in ("paris", "oslo")]
        self._file.write_text("key_file: key\nnode: node.yaml\nhosts:\n  " + "\n  ".join(lines) + "\n")
        fixed = ", ".join(f"'{ip}:{PORT}'" for ip in TARGETS)
        (directory / "node.yaml").write_text(
            f"port: {PORT}\nfixed_peers: [{fixed}]\npopulator_interval_s: 0.2\nack_timeout_s: 1.0\n"
        )
        make_key(directory / "key")
        self.world = spaces.run("world", "tests.actors.multiprocess.host_program", "world", str(PORT), *TARGETS)
        self.members: dict[str, Program] = {}
        self.home = spaces.run("home", "tests.actors.multiprocess.host_program", "leader", str(self._file), "home")
        for name in ("paris", "oslo"):
            self.join(name)

    def join(self, name: str) -> None:
        """Run a member as an operator does."""
        self.members[name] = self._spaces.run(name, "actors.cli", "deploy", str(self._file), "--host", name)

    def are_connected(self, *through: str) -> bool:
        """Whether every target is connected to once, from one of these hosts, and the node knows it."""
        hosts = {self.address[name] for name in through}
        remotes = self.world.ask(do="remotes")
        is_so = all(len(remotes[ip]) == 1 and remotes[ip][0] in hosts for ip in TARGETS)
        return is_so and {peer.partition(":")[0] for peer in self.home.ask(do="peers")} >= set(TARGETS)

    def used(self) -> str:
        """The host from which the first target is connected to."""
        (remote,) = self.world.ask(do="remotes")[TARGETS[0]]
        return next(name for name, address in self.address.items() if address == remote)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    with Namespaces() as spaces:
        made = Net(spaces, tmp_path)
        yield made
        seen = [pid for program in spaces.programs for pid in tree(program.pid)]
    wait_until(lambda: not alive(seen), "processes are left")


def test_a_host_whose_cable_is_pulled_is_replaced_and_used_again_when_it_is_mended(
    net: Net, capfd: pytest.CaptureFixture[str]
) -> None:
    wait_until(lambda: net.are_connected("paris", "oslo"), "not all targets are connected", 40.0)
    victim = net.used()
    other = "oslo" if victim == "paris" else "paris"

    pulled_at = time.monotonic()
    net._spaces.pull(victim)
    lost = net.home.expect(f"host {victim} is lost: silent", 15.0)
    assert lost["at"] - pulled_at < NOTICED_S
    wait_until(lambda: net.are_connected(other), "its peers are not dialled from elsewhere", 20.0)
    assert net.home.process.poll() is None

    net._spaces.plug(victim)
    net.home.expect(f"host {victim} joins", 30.0)
    net.world.ask(do="open", ip=VISITOR, fixed=f"{net.address[victim]}:{PORT}")
    wait_until(lambda: net.world.ask(do="remotes")[VISITOR] == [net.address[victim]], "it takes no connections", 20.0)
    net.world.ask(do="shut", ip=TARGETS[0])
    net.world.ask(do="open", ip=TARGETS[0])
    wait_until(lambda: net.world.ask(do="remotes")[TARGETS[0]] == [net.address[victim]], "it does not dial", 20.0)

    killed_at = time.monotonic()
    os.kill(net.members[other].pid, signal.SIGKILL)
    lost = net.home.expect(f"host {other} is lost", 15.0)
    assert lost["at"] - killed_at < NOTICED_S
    wait_until(lambda: net.are_connected(victim), "its peers are not dialled from elsewhere", 20.0)
    assert net.home.process.poll() is None
