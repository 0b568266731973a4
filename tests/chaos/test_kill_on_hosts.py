"""kill -9, at any moment, of any process that a node on several hosts has, save those of which a host or the node ends.

``CHAOS_KILLS`` kills in all, three in CI.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterator

import pytest

from core.errors import EnsembleError
from tests.actors.multiprocess.kernel import kill, name_of, tree, wait_until
from tests.actors.multiprocess.test_hosts import EDGE_B, EDGE_C, IMPATIENT, Deployment, connected
from tests.chaos.victims import random_moment

KILLS = int(os.environ.get("CHAOS_KILLS", "3"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))

pytestmark = [pytest.mark.slow, pytest.mark.chaos, pytest.mark.sockets, pytest.mark.timeout(120 + 20 * KILLS)]

VICTIMS = (
    "DeployedPool",
    "EdgeInbound",
    "EdgeOutbound",
    "EdgeServer",
    "PeerBook",
    "ServerGroup",
    "StoredBook",
    "nursery",
)
TARGETS = ("127.0.0.20", "127.0.0.21", "127.0.0.22")
RECOVERED_S = 60.0
"""A host that begins anew takes a few seconds; a remote that has to find out that nobody is there, a few more."""


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    made = Deployment()
    yield made
    made.close()


@pytest.mark.parametrize("away", [False, True], ids=["book on the leader", "book on a member"])
def test_whatever_is_killed_comes_back(deployment: Deployment, away: bool) -> None:
    rng = random.Random(SEED)
    hosts = {"b": EDGE_B, "c": EDGE_C}
    for name, address in hosts.items():
        deployment.join(name, address, store=away)
    targets = [deployment.partner(ip, **IMPATIENT) for ip in TARGETS]
    fixed = [f"{one.listen_address[0]}:{one.listen_address[1]}" for one in targets if one.listen_address is not None]
    deployment.start(store=not away, fixed_peers=fixed, restart_window_s=0.5)
    ports = [f"{address}:{deployment.port}" for address in hosts.values()]
    partners = [deployment.partner(f"127.0.0.{11 + n}", fixed_peers=[one], **IMPATIENT) for n, one in enumerate(ports)]

    def is_whole() -> bool:
        for name, address in hosts.items():
            if deployment.members[name].has_ended():  # `ensemble deploy` starts another one
                deployment.members[name].close()
                deployment.join(name, address, store=away)
        try:
            reached = connected(deployment.node)
        except EnsembleError:
            return False
        pairs = zip(partners, hosts.values(), strict=True)
        return reached >= set(TARGETS) and all(address in connected(partner) for partner, address in pairs)

    wait_until(is_whole, "the node is not connected", RECOVERED_S)
    for _ in range(KILLS):
        random_moment(rng)
        victims: dict[str, list[int]] = defaultdict(list)
        leader = tree(deployment.node._run._session.warden_pid)
        for pid in [*leader, *deployment.pids("b"), *deployment.pids("c")]:
            if (name := name_of(pid)) in VICTIMS:
                victims[name].append(pid)
        kind = rng.choice(sorted(victims))
        kill(rng.choice(victims[kind]))
        random_moment(rng)
        wait_until(is_whole, f"the node is not whole after the death of a {kind}", RECOVERED_S)
        assert deployment.node.is_active
