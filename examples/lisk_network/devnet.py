"""A devnet of real lisk-p2p nodes from npm on this machine, for as long as somebody needs it."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from core.config import NodeConfig

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LISK_P2P = ROOT / "tests" / "interop" / "driver" / "node_modules" / "@liskhq" / "lisk-p2p"
"""Where scripts/setup_interop installs it."""

NODES = 3
ATTEMPTS = 3
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0


class NoDevnet(Exception):
    """The devnet could not be started; the text says why."""


@contextlib.contextmanager
def devnet(config: NodeConfig) -> Iterator[list[str]]:
    """Run three nodes of the network that ``config`` describes; yields their addresses. Raises NoDevnet."""
    install()
    process, addresses = _start(config)
    try:
        yield addresses
    finally:
        assert process.stdin is not None
        process.stdin.close()  # that ends it, and so does the death of this program
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def install() -> None:
    """Install lisk-p2p, once, as the interop tests do. Raises NoDevnet without Node.js and npm."""
    done = subprocess.run([ROOT / "scripts" / "setup_interop"], stdin=subprocess.DEVNULL)
    if done.returncode or not LISK_P2P.is_dir():
        raise NoDevnet("a local devnet needs lisk-p2p from npm, which could not be installed; the reason is above")


def _start(config: NodeConfig) -> tuple[subprocess.Popen[str], list[str]]:
    """Start the process on ports that are free; they may be taken a moment later, so try more than once."""
    complaint = ""
    for _ in range(ATTEMPTS):
        ports = free_ports(NODES)
        info = {"chainID": config.node_info.chain_id, "networkVersion": config.node_info.network_version}
        settings = {"ports": ports, "nodeInfo": info, "schema": _plain(config.custom_node_info_schema)}
        process = subprocess.Popen(
            ["node", str(HERE / "devnet.js"), str(LISK_P2P), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us; we end it in order
        )
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
        if ready and process.stdout.readline():
            return process, [f"127.0.0.1:{port}" for port in ports]
        process.kill()
        complaint = process.communicate()[1].strip()
    raise NoDevnet(f"the nodes of the devnet did not start: {complaint[-500:] or 'they say nothing'}")


def free_ports(count: int) -> list[int]:
    """Ports that were free on loopback a moment ago."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _plain(value: object) -> object:
    """Frozen configuration values as JSON takes them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
