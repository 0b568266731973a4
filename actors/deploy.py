"""``ensemble deploy``: one node on several hosts, described in one YAML file that every host has.

The leader runs the node itself, members hold what the leader puts there (:mod:`actors.deployed`). A member whose system
has ended, for whatever reason, starts another one, after a pause that grows while that goes on.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import logging
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from actors.bases.seal import KEY_BYTES, new_key
from actors.config_sources import read_text
from actors.host_place import HostPlace
from actors.yaml_tree import YamlProblem, build, entries, parse, scalar_text
from core.errors import ConfigError

IPV4 = 4
DEFAULT_ADMIN_PORT = 1900
MAX_PORT = 65535
MAX_HOSTS = 64
MAX_NAME_CHARS = 64

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 10.0
LASTING_S = 30.0
"""A system that has lasted so long did not fail at once: the next pause is the shortest again."""

log = logging.getLogger("ensemble.deploy")


@dataclass(frozen=True, slots=True)
class Host:
    """One line of the file."""

    name: str
    address: str
    admin_port: int = DEFAULT_ADMIN_PORT
    leader: bool = False
    store: bool = False
    edge: str | None = None


@dataclass(frozen=True, slots=True)
class DeploymentFile:
    """The file, checked. ``node`` is the configuration of the node, ``key_file`` what all hosts share."""

    key_file: Path
    node: Path
    hosts: dict[str, Host]

    @property
    def leader(self) -> Host:
        """Where the node's root is."""
        return next(host for host in self.hosts.values() if host.leader)

    def place(self, name: str) -> HostPlace:
        """What a host needs to know to take part. Raises ConfigError for an unknown name, or a key that is unfit."""
        host = self.hosts.get(name)
        if host is None:
            raise ConfigError([f"--host: expected one of {', '.join(self.hosts)}, got {name[:80]!r}"])
        leader = f"{self.leader.address}:{self.leader.admin_port}"
        key = read_key(self.key_file)
        return HostPlace(host.name, host.address, host.admin_port, leader, key, host.edge, host.store)


def load_deployment(path: Path) -> DeploymentFile:
    """Read and check the file. Raises ConfigError with every problem and its place."""
    problems: list[str] = []
    texts: dict[str, str] = {}
    hosts: dict[str, Host] = {}
    try:
        for key, node in entries(parse(read_text(path))):
            name = scalar_text(key)
            if name == "hosts":
                hosts = _hosts(path, node, problems)
            elif name in ("key_file", "node"):
                value = build(node, True, name, {})
                if isinstance(value, str) and value:
                    texts[name] = value
                else:
                    problems.append(f"{_at(path, node)}: {name}: expected the path of a file")
            else:
                problems.append(f"{_at(path, key)}: unknown name {name!r}, expected key_file, node or hosts")
    except YamlProblem as error:
        raise ConfigError([*problems, f"{path}:{error.line}:{error.column}: {error.message}"]) from None
    problems += [f"{path}: {name} is missing: the path of a file" for name in ("key_file", "node") if name not in texts]
    problems += [f"{path}: {problem}" for problem in _relations(hosts)]
    if problems:
        raise ConfigError(problems)
    if not any(host.store for host in hosts.values()):
        hosts = {name: dataclasses.replace(host, store=host.leader) for name, host in hosts.items()}
    return DeploymentFile(path.parent / texts["key_file"], path.parent / texts["node"], hosts)


def _at(path: Path, node: Any) -> str:
    return f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def _hosts(path: Path, node: Any, problems: list[str]) -> dict[str, Host]:
    found: dict[str, Host] = {}
    for key, fields in entries(node):
        name = scalar_text(key)
        if len(found) >= MAX_HOSTS or len(name) > MAX_NAME_CHARS:
            problems.append(f"{_at(path, key)}: at most {MAX_HOSTS} hosts, with names of {MAX_NAME_CHARS} characters")
            break
        given: dict[str, Any] = {}
        for field_key, value in entries(fields):
            field = scalar_text(field_key)
            check = FIELDS.get(field)
            if check is None:
                expected = ", ".join(FIELDS)
                problems.append(f"{_at(path, field_key)}: hosts.{name}: unknown {field!r}, expected one of {expected}")
                continue
            try:
                given[field] = check(build(value, isinstance(value, yaml.ScalarNode) and field != "leader", field, {}))
            except ValueError as error:
                problems.append(f"{_at(path, value)}: hosts.{name}.{field}: expected {error}")
        if "address" in given:
            found[name] = Host(name, **given)
        elif not problems:
            problems.append(f"{_at(path, key)}: hosts.{name}: address is missing")
    return found


def _private_address(value: Any) -> str:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise ValueError("the IPv4 address of this host in the private network") from None
    if address.version != IPV4:
        raise ValueError(
            "an IPv4 address: Thespian's actors know no other (edge, where peers connect, may be an IPv6 address)"
        )
    if not address.is_private or address.is_unspecified:
        raise ValueError(
            f"an address that cannot be reached from the internet, as in a VPN; {address} can: whoever has the key and "
            "reaches the actors' ports can run code"
        )
    return str(address)


def _edge_address(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("the IP address at which this host listens for peers, or 0.0.0.0") from None


def _port(value: Any) -> int:
    if isinstance(value, str) and value.isdecimal() and 0 < int(value) <= MAX_PORT:
        return int(value)
    raise ValueError(f"a port, 1 to {MAX_PORT}")


def _flag(value: Any) -> bool:
    if value in (True, "true", "yes"):
        return True
    if value in (False, "false", "no"):
        return False
    raise ValueError("true or false")


FIELDS: dict[str, Callable[[Any], Any]] = {
    "address": _private_address,
    "admin_port": _port,
    "leader": _flag,
    "store": _flag,
    "edge": _edge_address,
}


def _relations(hosts: dict[str, Host]) -> list[str]:
    """What is wrong with the hosts together."""
    if not hosts:
        return ["hosts is missing: a name and an address for each"]
    problems = []
    leaders = [host for host in hosts.values() if host.leader]
    if len(leaders) != 1:
        problems.append(f"hosts: expected one with leader: true, got {len(leaders)}")
    problems += [
        f"hosts.{host.name}: the leader holds no sockets: expected no edge; a member with another admin_port may be on "
        "the same machine"
        for host in leaders
        if host.edge is not None
    ]
    if not any(host.edge is not None for host in hosts.values()):
        problems.append("hosts: expected at least one with edge, an address to listen at")
    addresses = [(host.address, host.admin_port) for host in hosts.values()]
    if len(set(addresses)) != len(addresses):
        problems.append("hosts: two have the same address and admin_port")
    return problems


# ---- the key ----


def read_key(path: Path) -> bytes:
    """The key in a file: 64 hexadecimal digits, readable by its owner only. Raises ConfigError."""
    text = read_text(path).strip()
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError([f"{path}: others can read the key: expected mode 0600"])
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES or len(text) != 2 * KEY_BYTES:
        raise ConfigError([f"{path}: expected {2 * KEY_BYTES} hexadecimal digits, as ensemble deploy --new-key makes"])
    return key


def make_key(path: Path) -> None:
    """Write a new key to a new file. Raises ConfigError if there is one, or none can be made."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be made: {error.strerror}"]) from None
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(new_key().hex() + "\n")


# ---- running ----


def table(deployment: DeploymentFile) -> str:
    """The hosts, for people."""
    lines = [f"{'host':<16}{'address':<24}{'edge':<18}part"]
    for host in deployment.hosts.values():
        part = "leader" if host.leader else "member"
        if host.store:
            part += (
                ", peer book" if host.leader or not deployment.leader.store else ", store not used: the leader has it"
            )
        lines.append(f"{host.name:<16}{f'{host.address}:{host.admin_port}':<24}{host.edge or '-':<18}{part}")
    return "\n".join(lines)


def run_member(place: HostPlace, output: TextIO, wait: Callable[[float], bool]) -> int:
    """Be a member until ``wait(seconds)``, which waits for at most so long, says that it is time to go."""
    from actors.bases.process_system import ProcessSystem

    pause_s = FIRST_PAUSE_S
    print(f"host {place.name}: member at {place.address}, leader {place.leader}", file=output, flush=True)
    while True:
        ended = threading.Event()
        options = place.system_options()
        level = logging.getLogger("ensemble").getEffectiveLevel()
        system = ProcessSystem(None, functools.partial(_note_end, ended), log_level=level, **options)
        lasted_s = 0.0
        try:
            while not ended.is_set():
                if wait(0.2):
                    return 0
                lasted_s += 0.2
        finally:
            system.close()
        log.warning("the actors of this host have ended; they begin anew")
        pause_s = FIRST_PAUSE_S if lasted_s >= LASTING_S else min(MAX_PAUSE_S, 2 * pause_s)
        if wait(pause_s):
            return 0


def _note_end(ended: threading.Event, _message: Any, _sender: Any) -> None:
    """A member hears one thing of its system: that it has ended."""
    ended.set()
