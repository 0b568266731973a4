"""Kinds of attackers for scenarios: every one of them speaks the real wire from hosts of its own.

    attackers:
      - {name: flood, kind: sybil-flood, victim: hub, slash16: 1, addresses: 300, rate: 2/s, start: 5min}

What they hold is measured by ``outbound_held``, ``inbound_held`` and the shares of the book in :mod:`.measures_book`.
"""

from __future__ import annotations

from typing import Annotated

from actors.bases.sim_nodes import SimNode
from actors.simulation.attackers_conduct import Flooder, Poisoner, Trap
from actors.simulation.attackers_host import DIALECT, PORT, Conduct, Line, ScriptedHost
from actors.simulation.roles import Lab, attacker
from core.ids import Endpoint
from core.scenario import fields as f
from core.scenario.fields import Key, Section
from core.scenario.selectors import Selector, parse_selector

MAX_ADDRESSES = 20_000


class HostedOptions(Section, frozen=True, kw_only=True):
    """What all kinds have: whom they attack, from which addresses, how fast."""

    victim: Annotated[Selector, Key(parse_selector, "whom it attacks")]
    addresses: Annotated[int, Key(f.integer(1, MAX_ADDRESSES), "how many addresses it has")] = 64
    slash16: Annotated[int | None, Key(f.integer(1, MAX_ADDRESSES), "in how many /16; one for each if missing")] = None
    rate_per_s: Annotated[float, Key(f.rate(), "connections that it opens to each victim")] = 1.0


class Hosted:
    """An attacker with a host of its own that opens connections to its victims, at a rate, from its addresses in turns.

    ``endpoints``: where it listens. Subclasses say what a connection is for.
    """

    def __init__(self, name: str, options: HostedOptions, lab: Lab, conduct: Conduct) -> None:
        self.name = name
        self.lab = lab
        self.options = options
        ips = lab.addresses.take(name, options.addresses, slash16=options.slash16)
        self.host = ScriptedHost(lab.sim, name, ips, conduct, listens=False)
        self.endpoints = self.host.endpoints
        self._is_on = False
        self._count = 0

    def start(self) -> None:
        """Listen, and begin to connect."""
        self._is_on = True
        self.host.listen()
        if self.options.rate_per_s > 0.0:
            for victim in self.lab.select(self.options.victim, self.name):
                self._go_on(victim)

    def stop(self) -> None:
        """Vanish with all connections."""
        self._is_on = False
        self.host.leave()

    def _go_on(self, victim: SimNode) -> None:
        if not self._is_on:
            return
        if victim.is_running:
            self.connect(self.host.ips[self._count % len(self.host.ips)], victim.endpoint)
            self._count += 1
            self.lab.count(f"{self.name}-opened")
        self.lab.at(self.lab.now + 1.0 / self.options.rate_per_s, lambda: self._go_on(victim))

    def connect(self, ip: str, victim: Endpoint) -> None:
        """Open one connection."""
        self.host.dial(ip, victim)


class FloodOptions(HostedOptions, frozen=True, kw_only=True):
    """Of a flood."""

    slower_s: Annotated[float, Key(f.duration(), "how late it answers pings")] = 2.0


@attacker("sybil-flood", FloodOptions)
class SybilFlood(Hosted):
    """Opens inbound connections and keeps what it gets, to take the slots of honest peers."""

    def __init__(self, name: str, options: FloodOptions, lab: Lab) -> None:
        super().__init__(name, options, lab, Flooder(slower_s=options.slower_s))


class PoisonOptions(HostedOptions, frozen=True, kw_only=True):
    """Of a poisoner."""

    poison: Annotated[int, Key(f.integer(1, MAX_ADDRESSES), "addresses that it tells, at which nobody is")] = 2000
    poison_slash16: Annotated[int, Key(f.integer(1, MAX_ADDRESSES), "in how many /16 they are")] = 200


@attacker("address-poison", PoisonOptions)
class AddressPoison(Hosted):
    """Tells addresses at which nobody is, to whoever asks it for peers."""

    def __init__(self, name: str, options: PoisonOptions, lab: Lab) -> None:
        ips = lab.addresses.take(f"{name}-poison", options.poison, slash16=options.poison_slash16)
        for ip in ips:
            lab.own(ip, name)
        super().__init__(name, options, lab, Poisoner([Endpoint(ip, PORT) for ip in ips]))


class EclipseOptions(HostedOptions, frozen=True, kw_only=True):
    """Of an eclipse."""

    close_after_s: Annotated[
        float, Key(f.duration(), "what it is asked to open, it closes after so long; 0 keeps it")
    ] = 0.0
    hold_from_s: Annotated[float | None, Key(f.duration(), "from when on it keeps what it gets")] = None


@attacker("eclipse", EclipseOptions)
class Eclipse(Hosted):
    """Wants all connections: announces its addresses, tells nothing else, and closes or keeps what is opened to it."""

    def __init__(self, name: str, options: EclipseOptions, lab: Lab) -> None:
        self.trap = Trap((), options.close_after_s or None)
        super().__init__(name, options, lab, self.trap)
        self.trap.others = self.endpoints
        if options.hold_from_s is not None:
            lab.at(options.hold_from_s, self._hold)

    def _hold(self) -> None:
        self.trap.close_after_s = None


@attacker("slow-loris", HostedOptions)
class SlowLoris(Hosted):
    """Opens TCP connections and says nothing on them."""

    def __init__(self, name: str, options: HostedOptions, lab: Lab) -> None:
        super().__init__(name, options, lab, Conduct())

    def connect(self, ip: str, victim: Endpoint) -> None:
        """Open one, and let the victim find out."""
        stream = self.host.connect_raw(ip, victim)
        self.host.later(60.0, stream.close)


class ChattyOptions(HostedOptions, frozen=True, kw_only=True):
    """Of a chatterer."""

    packets: Annotated[int, Key(f.integer(1, 100_000), "messages that each connection sends in a second")] = 150


@attacker("chatty", ChattyOptions)
class Chatty(Hosted):
    """Sends more messages than a peer may, every second, from every connection."""

    def __init__(self, name: str, options: ChattyOptions, lab: Lab) -> None:
        self._packets = options.packets
        super().__init__(name, options, lab, Conduct())

    def connect(self, ip: str, victim: Endpoint) -> None:
        """Open one, and talk."""
        self._talk(self.host.dial(ip, victim))

    def _talk(self, line: Line) -> None:
        if line.is_over:
            return
        if line.is_ready:
            for _ in range(self._packets):
                line.channel.send_text(DIALECT.encode_message("chat", b"x"))
            self.host.settle(line)
        self.host.later(1.0, lambda: self._talk(line))


class FramingOptions(Section, frozen=True, kw_only=True):
    """Of a framer."""

    behind: Annotated[Selector, Key(parse_selector, "whose address it shares")]
    victim: Annotated[Selector, Key(parse_selector, "who shall ban that address")]


@attacker("ban-framing", FramingOptions)
class BanFraming:
    """Shares honest nodes' addresses, as behind one NAT, and misbehaves so that they are banned for it."""

    def __init__(self, name: str, options: FramingOptions, lab: Lab) -> None:
        self.name = name
        self._lab = lab
        self._options = options

    def start(self) -> None:
        """One packet that costs all points, from each address to each victim."""
        for neighbour in self._lab.select(self._options.behind, self.name):
            ip = neighbour.endpoint.ip
            label = f"{self.name}-{neighbour.name}"
            host = ScriptedHost(self._lab.sim, label, [ip], _Culprit(), behind=neighbour.identity.network)
            for victim in self._lab.select(self._options.victim, self.name):
                host.dial(ip, victim.endpoint, port=PORT + 1)

    def stop(self) -> None:
        """It has done what it wanted."""


class _Culprit(Conduct):
    def on_ready(self, line: Line) -> None:
        line.send("[1, 2]")
