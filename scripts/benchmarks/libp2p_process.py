"""py-libp2p behind the methods of the other nodes, in a virtual environment that the benchmark makes for it."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

from scripts.benchmarks.child import ROOT, Child

ENVIRONMENT = ROOT / ".venv-libp2p"
REQUIREMENT = "libp2p==0.8.1"
"""What the published figures were measured with."""

INSTALL_LIMIT_S = 300


class Unavailable(Exception):
    """It cannot be installed or run here; the text says why."""


def install() -> Path:
    """The Python of the environment, made if it is not there. Raises Unavailable."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / ".installed"
    if not stamp.exists() or stamp.read_text() != REQUIREMENT:
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT]
        for command in ([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], pip):
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_LIMIT_S)
            except subprocess.CalledProcessError as error:
                reason = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
                raise Unavailable(f"{REQUIREMENT} cannot be installed: {reason[0]}") from None
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Unavailable(f"{REQUIREMENT} cannot be installed: {error}") from None
        stamp.write_text(REQUIREMENT)
    return python


class Libp2pNode(Child):
    """One host; ``seeds`` are multiaddresses."""

    def __init__(self, python: Path, seeds: list[str], core: int | None = None) -> None:
        super().__init__([str(python), str(Path(__file__).with_name("libp2p_worker.py"))], core)
        self._seeds = seeds
        self.peer_id = ""

    def ready(self) -> None:
        """Connect."""
        self.peer_id = self.call("start", seeds=self._seeds)["peer_id"]

    def wait_connected(self, count: int = 1) -> None:
        """The start has waited already."""

    def start_counting(self, event: str, expected: int) -> None:
        """Count messages from now on."""
        self.call("count", event=event, expected=expected)

    def counted_at(self, event: str) -> float:
        """Wait for the last of them; monotonic seconds."""
        return float(self.call("counted", event=event)["lastAt"])

    def flood(self, event: str, count: int, size: int, peer_id: str | None) -> float:
        """Send; returns when it began, monotonic seconds."""
        return float(self.call("flood", event=event, count=count, size=size, peer_id=peer_id)["startedAt"])

    def rpc_flood(self, peer_id: str, count: int, size: int, in_flight: int) -> dict[str, float]:
        """``elapsed``, ``p50``, ``p99`` in seconds."""
        return self.call("rpcflood", peer_id=peer_id, count=count, size=size, in_flight=in_flight)


def maker() -> functools.partial[Libp2pNode]:
    """Makes nodes. Raises Unavailable, also if a host does not start here."""
    make = functools.partial(Libp2pNode, install())
    try:
        with make([]):
            return make
    except (RuntimeError, TimeoutError, OSError) as error:
        raise Unavailable(f"{REQUIREMENT} does not run here: {error}") from None
