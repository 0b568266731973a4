"""A light client of a Lisk network: connects, shows what happens, and asks its peers for data.

    scripts/example lisk_network devnet --local     three real lisk-p2p nodes on this machine, and this client
    scripts/example lisk_network mainnet            the public network, as configs/networks/mainnet.yaml describes it

It is an asyncio program: the node lives in the loop, events come by ``async for``. It keeps no blocks and accepts no
connections. The files in configs/networks say where each of their values is from, and what you have to check first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from actors import aio
from actors.config_sources import load_config
from core.config import NodeConfig
from core.errors import ConfigError, EnsembleError
from core.events import (
    BanPeer,
    CloseOutbound,
    ConnectAbortOutbound,
    ConnectOutbound,
    DiscoveredPeer,
    Event,
    MessageReceived,
    UpdatedPeerInfo,
)
from examples.lisk_network.devnet import NoDevnet, devnet

NETWORKS = Path(__file__).resolve().parents[2] / "configs" / "networks"
SHOWN = (
    ConnectOutbound,
    ConnectAbortOutbound,
    CloseOutbound,
    DiscoveredPeer,
    UpdatedPeerInfo,
    MessageReceived,
    BanPeer,
)
"""Which events are shown; ``p2p.events()`` without arguments would show all."""

MAX_SHOWN_CHARS = 110


class Client:
    """What the program knows; ``seen`` counts the kinds of things it was told and answered."""

    def __init__(self, config: NodeConfig, procedure: str) -> None:
        self.p2p = aio.P2P(config)
        self.procedure = procedure
        self.seen: dict[str, int] = {}
        self._tasks = set[asyncio.Task[None]]()

    async def run(self, seconds: float, enough: frozenset[str]) -> None:
        """Show events for so long, or until there was one of each kind in ``enough`` (if that names any)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.p2p.events(*SHOWN) as events, self.p2p:
                async for event in events:
                    self.show(event)
                    if isinstance(event, ConnectOutbound):
                        self._ask(event.peer.peer_id)
                    if enough and enough <= set(self.seen):
                        return

    def show(self, event: Event) -> None:
        """One line for one event."""
        kind = type(event).__name__
        self._count(kind)
        show_line(kind, described(event))

    def _ask(self, peer_id: str) -> None:
        """Ask a new peer for data, beside the events: an answer may take a while."""
        task = asyncio.create_task(self._answer_of(peer_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_of(self, peer_id: str) -> None:
        try:
            answer = await self.p2p.request_from_peer(peer_id, self.procedure)
        except EnsembleError as error:
            show_line(self.procedure, f"{peer_id} does not answer: {error}")
        else:
            self._count("answer")
            show_line(self.procedure, f"{peer_id} answers {payload(answer.data)}")

    def _count(self, kind: str) -> None:
        self.seen[kind] = self.seen.get(kind, 0) + 1


def show_line(kind: str, text: str) -> None:
    """Much of the text was chosen by strangers: it is cut, and moves no cursor."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:MAX_SHOWN_CHARS])
    print(f"{kind:<20} {shown}", flush=True)


def described(event: Any) -> str:
    """What of an event is worth a line."""
    match event:
        case MessageReceived():
            return f"{event.peer_id} says {event.event} {payload(event.data)}"
        case UpdatedPeerInfo():
            return f"{event.peer.peer_id} is at height {event.peer.options.get('height', '?')}"
        case ConnectOutbound():
            return f"{event.peer.peer_id}, network version {event.peer.network_version}"
        case DiscoveredPeer():
            return f"{event.endpoint.peer_id}, known by {event.source}"
        case BanPeer():
            return f"{event.ip_address}: {event.reason}"
        case CloseOutbound():
            return f"{event.peer.peer_id}: {event.code} {event.reason}"
        case _:
            return f"{event.peer_id}: {event.reason}"


def payload(data: bytes | None) -> str:
    """Bytes as text where they are text (a devnet's JSON), as hex where they are not (a block)."""
    if data is None:
        return "nothing"
    with contextlib.suppress(UnicodeDecodeError):
        if (text := data.decode()).isprintable():
            return text
    return f"{len(data)} bytes: {data.hex()}"


def light(config: NodeConfig, **options: object) -> NodeConfig:
    """The configuration of a client: it accepts nobody, and asks not to be passed on."""
    info = msgspec.structs.replace(config.node_info, advertise_address=False)
    return msgspec.structs.replace(config, node_info=info, max_inbound_connections=0, **options)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; argparse exits with 2 on wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="scripts/example lisk_network",
        description="A light client of a Lisk network: shows events and asks for data.",
        epilog="example: scripts/example lisk_network devnet --local",
    )
    networks = sorted(path.stem for path in NETWORKS.glob("*.yaml"))
    parser.add_argument("network", nargs="?", default="devnet", choices=networks, help="default: devnet")
    parser.add_argument("--local", action="store_true", help="start a devnet of real lisk-p2p nodes first (needs npm)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to listen (default: %(default)g)")
    parser.add_argument("--ask", default="getLastBlock", metavar="PROCEDURE", help="what to ask (default: %(default)s)")
    parsed = parser.parse_args(arguments)
    if parsed.local and parsed.network != "devnet":
        parser.error(f"--local starts a devnet, not {parsed.network}")
    if not 0 < parsed.seconds <= 86400:
        parser.error(f"expected --seconds above 0, at most 86400, got {parsed.seconds:g}")
    return parsed


def main(arguments: list[str] | None = None) -> int:
    """Run the client; 0 if it was connected to anybody, 1 if not, 2 for wrong input."""
    parsed = parse(arguments)
    try:
        config = load_config(NETWORKS / f"{parsed.network}.yaml").config
        with contextlib.ExitStack() as stack:
            enough: frozenset[str] = frozenset()
            options: Mapping[str, object] = {}
            if parsed.local:
                print("starting three lisk-p2p nodes ...", flush=True)
                options = {"seed_peers": tuple(stack.enter_context(devnet(config))), "populator_interval_s": 0.5}
                enough = frozenset({"answer", "ConnectOutbound", "MessageReceived", "UpdatedPeerInfo"})
            client = Client(light(config, **options), parsed.ask)
            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(client.run(parsed.seconds, enough))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except (NoDevnet, EnsembleError) as error:
        print(f"lisk_network: {error}", file=sys.stderr)
        return 1
    if not client.seen.get("ConnectOutbound"):
        print(
            f"Nobody of {parsed.network} could be reached; configs/networks/{parsed.network}.yaml says what to check."
        )
        return 1
    print(f"{client.seen['ConnectOutbound']} connections, {client.seen.get('answer', 0)} answers.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
