"""What runs on the hosts of a test: ``host_program leader FILE HOST`` or ``host_program world PORT IP...``.

Takes commands as lines of JSON, answers with ``{"answer": ...}``; log records come as ``{"log": ..., "at": ...}``.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from actors import P2P
from actors.config_sources import load_config
from actors.deploy import load_deployment

IMPATIENT = {
    "native_ping_interval_min_s": 0.5,
    "native_ping_interval_max_s": 1.0,
    "inbound_request_timeout_s": 1.0,
    "ack_timeout_s": 1.0,
    "populator_interval_s": 0.2,
    "max_outbound_connections": 0,
}


class Reporter(logging.Handler):
    """Log records as lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line; the time is the machine's monotonic clock, which all namespaces share."""
        print(json.dumps({"log": record.getMessage(), "at": time.monotonic()}), flush=True)


class Leader:
    """The node."""

    def __init__(self, file: str, host: str) -> None:
        deployment = load_deployment(Path(file))
        self.node = P2P(load_config(deployment.node, {}, {}).config, system=deployment.place(host))
        self.node.start()

    def peers(self) -> list[str]:
        """Whom it is connected to."""
        return sorted(peer.peer_id for peer in self.node.get_connected_peers())

    def ban(self, ip: str) -> bool:
        """Ban an address."""
        return self.node.ban(ip) is not None

    def bans(self) -> list[str]:
        """The addresses that are banned."""
        return sorted(ban.ip for ban in self.node.bans())

    def close(self) -> None:
        """The end."""
        self.node.stop()


class World:
    """Nodes of other people, each with an address of its own."""

    def __init__(self, port: str, *ips: str) -> None:
        self._port = int(port)
        self._nodes: dict[str, P2P] = {}
        for ip in ips:
            self.open(ip)

    def open(self, ip: str, fixed: str = "") -> bool:
        """Start one, perhaps with somebody to connect to."""
        options: dict[str, Any] = {**IMPATIENT, "fixed_peers": [fixed]} if fixed else IMPATIENT
        self._nodes[ip] = P2P(host_ip=ip, port=self._port, **options)
        self._nodes[ip].start()
        return True

    def shut(self, ip: str) -> bool:
        """Stop one."""
        self._nodes.pop(ip).stop()
        return True

    def remotes(self) -> dict[str, list[str]]:
        """From which addresses each is connected to."""
        return {ip: sorted(peer.ip_address for peer in node.get_connected_peers()) for ip, node in self._nodes.items()}

    def close(self) -> None:
        """The end."""
        for node in self._nodes.values():
            node.stop()


def main() -> None:
    """See the module."""
    logging.basicConfig(level=logging.INFO, handlers=[Reporter()])
    kind, *arguments = sys.argv[1:]
    served: Any = {"leader": Leader, "world": World}[kind](*arguments)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps({"answer": getattr(served, command.pop("do"))(**command)}), flush=True)
    served.close()


if __name__ == "__main__":
    main()
