"""Attacks on the door of a whole node: sybil floods, mute connections, bans by proxy; over the real wire.

The victim is a real node with 100 inbound slots, taken by honest peers before the attack begins.
"""

from __future__ import annotations

from typing import Any

from actors.simulation.attackers_conduct import Flooder
from actors.simulation.attackers_host import PORT, Conduct, Line, ScriptedHost
from actors.simulation.library.experiment import Experiment, Samples, about, between, exactly, register
from actors.simulation.library.siege import HOSTILE_OCTETS, Siege, spread_out
from core.ids import Endpoint
from core.theory import eviction

INBOUND = 100
AT_ONCE_S = 0.5
"""Between two connections of the flood."""


def flood(seed: int, *, one_group: bool, attempts: int, **options: Any) -> Siege:
    """Sybils connect one after the other to a node whose inbound slots honest peers have; the stage afterwards.

    They are slower than all honest peers, answer nothing but pings, and connect from one /16 or from a fresh one each.
    The caller closes the stage.
    """
    name = f"flood {one_group} {attempts} {sorted(options.items())} {seed}"
    siege = Siege(name, honest=INBOUND, max_outbound_connections=0, **{"ping_interval_min_s": 20.0, **options})
    siege.victim.start()
    siege.fill_inbound(INBOUND, every_s=1.0)
    siege.sim.run_for(120.0)  # every honest peer has been pinged once
    ips = spread_out(HOSTILE_OCTETS, 1 if one_group else attempts, attempts if one_group else 1)
    host = ScriptedHost(siege.sim, "attacker", ips, Flooder(slower_s=2.0))
    for ip in ips:
        host.dial(ip, siege.victim.endpoint)
        siege.sim.run_for(AT_ONCE_S)
    siege.sim.run_for(5.0)
    return siege


PINGED = {"ping_interval_max_s": 60.0}
ATTEMPTS = 150
UNPROTECTED = eviction.candidates(INBOUND, (4, 7))
"""Nobody has answered a request of the program's, so nobody is protected for that."""

FLOODS: dict[str, tuple[bool, dict[str, Any]]] = {
    "uniform-one-group": (True, {"inbound_victim": "random"}),
    "uniform-fresh": (False, {"inbound_victim": "random"}),
    "largest-group-one-group": (True, {}),
    "largest-group-fresh": (False, {}),
}


def _floods(seed: int) -> Samples:
    found = {}
    for name, (one_group, options) in FLOODS.items():
        with flood(seed, one_group=one_group, attempts=ATTEMPTS, **PINGED, **options) as siege:
            found[f"flood-{name}-honest-left"] = [float(siege.honest_inbound())]
    return found


_FLOOR = eviction.honest_left_uniform(ATTEMPTS, UNPROTECTED, INBOUND)

register(
    Experiment(
        "inbound-flood",
        "150 sybils against the 100 inbound slots of a whole node: honest peers left",
        "nodes",
        _floods,
        (
            about("flood-uniform-one-group-honest-left", _FLOOR, 1.2, "closed form, 45 unprotected", slack=0.5),
            between("flood-uniform-fresh-honest-left", 50.0, 58.0, "below the closed form: some sybils are protected"),
            about("flood-largest-group-one-group-honest-left", 98.93, 0.9, "independent Monte Carlo", slack=0.5),
            between("flood-largest-group-fresh-honest-left", 93.0, 99.0, "independent Monte Carlo: 95.7 to 97.1"),
        ),
        runs=10,
        quick_runs=1,
    )
)

# ---- slow loris --------------------------------------------------------------------------------------------------

PENDING = 128
UPGRADE_S = 5.0
ATTACK_S = 300.0


def loris(seed: int, *, addresses: int, rate_per_s: float) -> tuple[float, int]:
    """Mute connections, at random moments, from so many addresses: (share of honest newcomers admitted, honest peers
    that were connected before and still are, of 50)."""
    with Siege(f"loris {addresses} {rate_per_s} {seed}", honest=400, max_outbound_connections=0) as siege:
        sim, victim = siege.sim, siege.victim
        victim.start()
        siege.fill_inbound(50, every_s=0.5)
        ips = spread_out(HOSTILE_OCTETS, addresses)
        attacker = ScriptedHost(sim, "attacker", ips, Conduct(), listens=False)
        end = sim.now + 10.0 + ATTACK_S

        def open_one() -> None:
            stream = attacker.connect_raw(ips[int(attacker.rng.random() * len(ips))], victim.endpoint)
            attacker.later(3.0 * UPGRADE_S, stream.close)
            if sim.now < end:
                attacker.later(attacker.rng.expovariate(rate_per_s), open_one)

        newcomers: list[Line] = []

        def knock() -> None:
            if sim.now < end:
                line = siege.crowd.dial(siege.living[50 + len(newcomers)].ip, victim.endpoint)
                newcomers.append(line)
                siege.crowd.later(siege.crowd.rng.expovariate(1.0), knock)

        open_one()
        sim.run_for(10.0)
        knock()
        sim.run_for(ATTACK_S + 5.0)  # who knocked last gets his answer
        before = {line.ip for line in siege.crowd.lines.values()} & {it.ip for it in siege.living[:50]}
        admitted = sum(line.is_ready for line in newcomers) / len(newcomers)
    return admitted, len(before)


def _loris(seed: int) -> Samples:
    one, kept_one = loris(seed, addresses=1, rate_per_s=50.0)
    many, kept_many = loris(seed, addresses=64, rate_per_s=50.0)
    return {
        "loris-one-host-admitted": [one],
        "loris-many-hosts-admitted": [many],
        "loris-connected-peers-kept": [float(kept_one), float(kept_many)],
    }


register(
    Experiment(
        "slow-loris",
        "50 mute connections a second: share of honest newcomers that still get in, of 50 peers that stay",
        "nodes",
        _loris,
        (
            exactly("loris-one-host-admitted", 1.0, "32 of 128 places for one host"),
            about(
                "loris-many-hosts-admitted",
                1.0 - eviction.blocked(50.0 * UPGRADE_S, PENDING),
                0.05,
                "Erlang's formula B: 50/s for 5 s each at 128 places",
                slack=0.04,
            ),
            exactly("loris-connected-peers-kept", 50.0, "a connection that is through is not in the way"),
        ),
        runs=5,
        quick_runs=0,
    )
)

# ---- framing -----------------------------------------------------------------------------------------------------


def frame(seed: int, *, shared: bool, **options: Any) -> tuple[bool, bool]:
    """Somebody misbehaves to have an honest peer banned: (whether that peer is still connected, whether it may come
    back within the day). ``shared``: he is behind the same address; otherwise he claims the peer's port from his own.
    """
    with Siege(f"frame {shared} {sorted(options)} {seed}", honest=10, max_outbound_connections=0, **options) as siege:
        sim, victim = siege.sim, siege.victim
        victim.start()
        honest = siege.living[0]
        line = siege.crowd.dial(honest.ip, victim.endpoint)
        sim.run_for(5.0)
        assert line.is_ready
        host = siege.crowd if shared else ScriptedHost(sim, "attacker", ["130.1.0.1"], Conduct())
        culprit = host.dial(honest.ip if shared else "130.1.0.1", victim.endpoint, port=6000 if shared else PORT)
        sim.run_for(5.0)
        culprit.send("[1, 2]")  # a batch: 100 points, raw
        sim.run_for(5.0)
        still = not line.is_over
        line.hang_up()
        sim.run_for(3600.0)
        back = siege.crowd.dial(honest.ip, victim.endpoint)
        sim.run_for(5.0)
        return still, back.is_ready


def _framing(seed: int) -> Samples:
    trusted = {"whitelisted_peers": [Endpoint("21.0.0.1", PORT).peer_id]}
    cases = {
        "same-address": frame(seed, shared=True),
        "same-address-whitelisted": frame(seed, shared=True, **trusted),
        "same-address-dry-run": frame(seed, shared=True, ban_mode="dry-run"),
        "other-address": frame(seed, shared=False),
    }
    found = {}
    for name, (still, back) in cases.items():
        found[f"framed-{name}-stays"] = [float(still)]
        found[f"framed-{name}-comes-back"] = [float(back)]
    return found


BY_ADDRESS = "LIP 0004: the address is banned"

register(
    Experiment(
        "ban-framing",
        "an attacker behind a peer's address misbehaves: whether that peer stays, and is let in an hour later",
        "nodes",
        _framing,
        (
            exactly("framed-same-address-stays", 0.0, BY_ADDRESS),
            exactly("framed-same-address-comes-back", 0.0, BY_ADDRESS),
            exactly("framed-same-address-whitelisted-stays", 1.0, "trusted peers are never banned"),
            exactly("framed-same-address-whitelisted-comes-back", 1.0, "trusted peers are never banned"),
            exactly("framed-same-address-dry-run-stays", 1.0, "nobody is banned in a dry run"),
            exactly("framed-same-address-dry-run-comes-back", 1.0, "nobody is banned in a dry run"),
            exactly("framed-other-address-stays", 1.0, "an address is that of the socket, not what is announced"),
            exactly("framed-other-address-comes-back", 1.0, "an address is that of the socket, not what is announced"),
        ),
        runs=2,
        quick_runs=1,
    )
)
