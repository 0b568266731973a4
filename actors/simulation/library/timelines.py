"""Penalties and bans to the tick: when exactly a node bans whoever is too fast, and when the ban is over.

The offender is a scripted host on a link without latency, so that its clock is the node's; the rules are LIP 0004's and
lisk-p2p's (docs/penalties.md). Every expectation is exact.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.bases.sim_node import SimNode
from actors.bases.sim_nodes import Simulation
from actors.simulation.attackers_host import DIALECT, PORT, Conduct, Line, ScriptedHost
from actors.simulation.library.experiment import Experiment, Samples, exactly, register
from actors.simulation.library.gossip import constant_links
from core.events import BanPeer, PenaltyApplied, UnbanPeer
from core.ids import Endpoint
from core.wire.payloads import NodeInfo

OFFENDER = Endpoint("60.1.0.1", PORT)
BAN_S = 86_400.0
MOST_ACTS = 60
Act = Callable[[Line, int], None]
"""What the offender does in the second of this number, from 1."""


class Offence:
    """One offender, one node; times are seconds after the offender's first act."""

    def __init__(self, name: str, act: Act, every_s: float = 1.0, *, whole_day: bool = False) -> None:
        """``whole_day``: go on until the ban is over, and try to come back on the way."""
        self.penalties: list[float] = []
        self.points = 0
        self.banned_at: float | None = None
        self.unbanned_at: float | None = None
        self.refused: list[tuple[float, int | None]] = []
        self.acts = 0
        with Simulation(name, links=constant_links(0.0)) as sim:
            self._sim = sim
            self._node = sim.add_node(
                "node", ip="20.0.0.1", collect=(), listen_to=[BanPeer.NAME, UnbanPeer.NAME, PenaltyApplied.NAME]
            )
            self._node.listeners.append(self._on_event)
            self._host = ScriptedHost(sim, "offender", [OFFENDER.ip], Conduct())
            self._node.start()
            line = self._host.dial(OFFENDER.ip, self._node.endpoint)
            sim.run_for(3.0)
            self._began_at = sim.now

            def go_on() -> None:
                if not line.is_over and not self._is_banned() and self.acts < MOST_ACTS:
                    self.acts += 1
                    act(line, self.acts)
                    sim.at(sim.now + every_s, go_on)

            sim.at(sim.now, go_on)
            sim.run_for(120.0)
            for wait_s in (3600.0, BAN_S - 3600.0 - 120.0 - 3.0, 130.0) if whole_day else ():
                sim.run_for(wait_s)
                self._try_again()

    def _is_banned(self) -> bool:
        return self.banned_at is not None

    def _try_again(self) -> None:
        line = self._host.dial(OFFENDER.ip, self._node.endpoint)
        self._sim.run_for(1.0)
        self.refused.append((self._sim.now - self._began_at, None if line.is_ready else line.close_code or 1))
        line.hang_up()
        self._sim.run_for(1.0)

    def _on_event(self, node: SimNode, event: object) -> None:
        now = node.sim.now - self._began_at
        if isinstance(event, PenaltyApplied):
            self.penalties.append(now)
            self.points += event.penalty
        elif isinstance(event, BanPeer):
            self.banned_at = now
        elif isinstance(event, UnbanPeer):
            self.unbanned_at = now


def chat(packets: int) -> Act:
    """So many one-way messages at once."""

    def act(line: Line, number: int) -> None:
        for _ in range(packets):
            line.channel.send_text(DIALECT.encode_message("chat", b"x"))
        line.host.settle(line)

    return act


def ask(procedure: str) -> Act:
    """One request of this procedure."""

    def act(line: Line, number: int) -> None:
        line.send(DIALECT.encode_request(procedure, None, 1000 + number))

    return act


def push_info(line: Line, number: int) -> None:
    """One postNodeInfo."""
    info = DIALECT.encode_node_info(NodeInfo(b"\0\0\0\1", "1.1", "nonce of a chatterer"))
    line.send(DIALECT.encode_message("postNodeInfo", info))


def _seconds(value: float | None) -> float:
    return -1.0 if value is None else round(value, 3)


def _run(seed: int) -> Samples:
    allowed = Offence(f"chat 98 {seed}", chat(98))
    chatty = Offence(f"chat 150 {seed}", chat(150))
    burst = Offence(f"chat 1100 {seed}", chat(1100))
    asking = Offence(f"peers {seed}", ask("getPeers"), whole_day=True)
    info = Offence(f"info {seed}", ask("getNodeInfo"))
    pushing = Offence(f"push {seed}", push_info, every_s=0.5)
    again = [float(code is None) for _, code in asking.refused]
    return {
        "chat-98-points": [float(allowed.points)],
        "chat-150-first-penalty-s": [_seconds(chatty.penalties[0])],
        "chat-150-ban-s": [_seconds(chatty.banned_at)],
        "chat-1100-ban-s": [_seconds(burst.banned_at)],
        "get-peers-ban-at-request": [float(asking.acts)],
        "get-node-info-ban-at-request": [float(info.acts)],
        "post-node-info-ban-at-message": [float(pushing.acts)],
        "ban-lasts-s": [_seconds((asking.unbanned_at or 0.0) - (asking.banned_at or 0.0))],
        "banned-host-admitted-after-1-h": again[:1],
        "banned-host-admitted-just-before-the-end": again[1:2],
        "banned-host-admitted-after-a-day": again[2:],
    }


PENALTIES = "LIP 0004, penalties; lisk-p2p measured"

register(
    Experiment(
        "timelines",
        "too many packets, questions, node infos: penalties and bans to the tick, and the end of a ban",
        "nodes",
        _run,
        (
            exactly("chat-98-points", 0.0, "100 packets a second are allowed, with answers to pings"),
            exactly("chat-150-first-penalty-s", 1.0, "the price of a second is due at its end"),
            exactly("chat-150-ban-s", 10.0, "10 points a second, 100 are a ban"),
            exactly("chat-1100-ban-s", 1.0, "10 points for each full 100 packets"),
            exactly("get-peers-ban-at-request", 12.0, PENALTIES),
            exactly("get-node-info-ban-at-request", 11.0, PENALTIES),
            exactly("post-node-info-ban-at-message", 14.0, PENALTIES),
            exactly("ban-lasts-s", BAN_S, "LIP 0004: 24 hours"),
            exactly("banned-host-admitted-after-1-h", 0.0, PENALTIES),
            exactly("banned-host-admitted-just-before-the-end", 0.0, PENALTIES),
            exactly("banned-host-admitted-after-a-day", 1.0, PENALTIES),
        ),
        runs=3,
        quick_runs=1,
    )
)
