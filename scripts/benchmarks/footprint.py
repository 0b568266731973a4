"""What the objects of a simulation take, and whose they are: counted, not estimated from the memory of the process.

Every object that can be reached from a simulation has one owner: the connection end, actor, node or simulation that
alone reaches it. What two ends of one node share is the node's, what two nodes share is the simulation's; so the parts
add up to the whole. Sizes are those of ``sys.getsizeof``, rounded up to the 16 bytes of Python's allocator. The figures
are the same for the same seed and Python version, which a measurement of a process's memory never is.

    python -m scripts.benchmarks.footprint 100              what a node of 100 takes, part by part
    python -m scripts.benchmarks.footprint 100 --of end     the objects of a connection end, by their types

What it does not see: memory that the allocators hold and do not use, and the interpreter with its modules.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import sys
import types
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from actors.bases.sim_nodes import Simulation
from actors.transport.sim_tcp import End

Owner = tuple[str, ...]
"""A path: () is the simulation, (node,) what the parts of a node share, (node, part) a part: see :func:`part_of`."""

GRAIN_BYTES = 16
MANAGED_DICT = 1 << 4
"""Py_TPFLAGS_MANAGED_DICT: an instance's attributes lie in an array beside it, which getsizeof does not count."""

PROGRAM = (type, types.ModuleType, types.CodeType, types.BuiltinFunctionType, types.WrapperDescriptorType)
"""Not walked: classes and code are there once, whatever the network."""


class Line(NamedTuple):
    """Objects of one type that were first reached from one other type: how many, and their bytes."""

    kind: str
    via: str
    count: float
    size_bytes: float


class Ledger:
    """Owners and sizes of objects. ``fixed`` ones have their owner from the beginning, and end all other walks."""

    def __init__(self) -> None:
        self._owners: dict[int, Owner] = {}
        self._fixed: dict[int, Owner] = {}
        self._via: dict[int, str] = {}
        self._kept: list[Any] = []  # so that no number comes back as another object's

    def fix(self, owner: Owner, *objects: Any) -> None:
        """Say whose these are; they are walked by :meth:`walk`."""
        for one in objects:
            if id(one) not in self._fixed:
                self._fixed[id(one)] = owner
                self._kept.append(one)

    def walk(self) -> None:
        """Find the owner of everything that can be reached."""
        stack: list[tuple[Any, Owner, str]] = [(one, self._fixed[id(one)], "") for one in self._kept]
        owners, fixed, kept = self._owners, self._fixed, self._kept
        while stack:
            one, owner, via = stack.pop()
            key = id(one)
            known = owners.get(key)
            if known is None:
                if key in fixed and via:
                    continue
                owners[key], self._via[key] = owner, via
                if via:
                    kept.append(one)
            else:
                if key in fixed or known == owner[: len(known)]:
                    continue
                owner = _common(known, owner)
                owners[key] = owner
            kind = type(one).__name__
            for child in _referents(one):
                if id(child) not in fixed:
                    stack.append((child, owner, kind))

    def objects(self) -> dict[Owner, list[Any]]:
        """Everything, by its owner."""
        found: dict[Owner, list[Any]] = defaultdict(list)
        for one in self._kept:
            found[self._owners[id(one)]].append(one)
        return found

    def by_owner(self) -> dict[Owner, int]:
        """Bytes of each owner."""
        sizes: Counter[Owner] = Counter()
        for one in self._kept:
            sizes[self._owners[id(one)]] += size_of(one)
        return sizes

    def lines(self, owners: Iterable[Owner]) -> list[Line]:
        """What these owners hold, the largest first, as the mean of one."""
        wanted = set(owners)
        found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for one in self._kept:
            if self._owners[id(one)] in wanted:
                entry = found[type(one).__name__, self._via[id(one)]]
                entry[0] += 1
                entry[1] += size_of(one)
        count = max(1, len(wanted))
        lines = [Line(kind, via, number / count, size / count) for (kind, via), (number, size) in found.items()]
        return sorted(lines, key=lambda line: -line.size_bytes)


def _common(one: Owner, other: Owner) -> Owner:
    same = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        same += 1
    return one[:same]


def _referents(one: Any) -> list[Any]:
    if isinstance(one, types.FunctionType):
        return list(one.__closure__ or ())
    if isinstance(one, msgspec.Struct) and not gc.is_tracked(one):  # the collector is told nothing of its fields
        fields = [getattr(one, name) for name in one.__struct_fields__]
        return [child for child in fields if not isinstance(child, PROGRAM)]
    return [child for child in gc.get_referents(one) if not isinstance(child, PROGRAM)]


def size_of(one: Any) -> int:
    """Bytes of one object, without what it refers to."""
    size = sys.getsizeof(one)
    kind = type(one)
    if kind.__flags__ & MANAGED_DICT:
        slots = sum(len(_slots(base)) for base in kind.__mro__)
        values = len(gc.get_referents(one)) - 1 - slots
        size += 8 * (max(0, values) + 2)
    return -(-size // GRAIN_BYTES) * GRAIN_BYTES


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(name for name in slots if not name.startswith("__"))


def part_of(owner: Owner) -> str:
    """The sort of an owner: connection ends, each of which is named by its actor's address, are all "end"."""
    if len(owner) < 2:
        return "common" if owner else "shared"
    return "end" if "/" in owner[1] else owner[1]


PARTS = {"PeerBook": "book", "PeerPool": "pool", "PeerServer": "server", "Node": "node"}
"""Actors by class; whatever is a peer is an "end"."""


def ledger_of(sim: Simulation) -> Ledger:
    """Whose every object of a simulation is."""
    ledger = Ledger()
    base, internet = sim.base, sim.internet
    ledger.fix((), sim, base, internet, base.kernel, base.timers, base.trace, internet.links)
    owners: dict[int, Owner] = {}
    for cell in base.cells.values():
        name = cell.identity.name
        part = PARTS.get(cell.actor_class.__name__)
        owner = (name, part) if part else (name, cell.text)
        owners[id(cell)] = owner
        ledger.fix(owner, cell, cell.instance)
        channel = getattr(cell.instance, "_channel", None)
        if channel is not None:
            end = getattr(channel._stream, "end", channel._stream)
            owners[id(end)] = owner
            ledger.fix(owner, end)
        if part == "pool":
            _fix_slots(ledger, cell, name)
    for node in sim.nodes.values():
        host = node.identity.network.host
        ledger.fix((node.name, "host"), node.identity, node.identity.environment, node.identity.network, host)
        ledger.fix((node.name, "program"), node)
        for end in host.ends:  # of connections that no peer has yet
            ledger.fix((node.name, "server"), end)
    _fix_events(ledger, base.timers, owners)
    for key in base.kernel.get_map().values():
        ledger.fix(owners.get(id(key.data), ()), key)
    ledger.walk()
    return ledger


def _fix_slots(ledger: Ledger, cell: Any, name: str) -> None:
    """A slot of the pool is part of the connection that it stands for."""
    children = {}
    for child in cell.children:
        link = getattr(child.instance, "_link", None)
        if link is not None:
            children[link.endpoint, link.direction] = child.text
    for slot in cell.instance.pool._slots:
        text = children.get((slot.endpoint, slot.direction))
        if text is not None:
            ledger.fix((name, text), slot)


def _fix_events(ledger: Ledger, timers: Any, owners: dict[int, Owner]) -> None:
    """What will happen to an actor or a connection is part of it."""
    for event in itertools.chain(timers._near, timers._late, *timers._spans.values()):
        target = getattr(event[2], "__self__", None)
        whose = event[3] if target is not None and not isinstance(target, End) else target
        owner = owners.get(id(whose))
        if owner is not None:
            ledger.fix(owner, event)


def footprint(sim: Simulation, ledger: Ledger | None = None) -> dict[str, Any]:
    """Bytes of a node by its parts, as the mean of all nodes; ``shared`` is a node's share of what all nodes share."""
    sizes = (ledger or ledger_of(sim)).by_owner()
    nodes = len(sim.nodes)
    parts: Counter[str] = Counter()
    ends = 0
    for owner, size in sizes.items():
        part = part_of(owner)
        parts[part] += size
        ends += part == "end"
    known = sum(len(node.known()) for node in sim.nodes.values() if node.is_running)
    return {
        "nodes": nodes,
        "ends_per_node": ends / nodes,
        "known_per_node": known / nodes,
        "bytes_per_node": sum(parts.values()) / nodes,
        "bytes_per_end": parts["end"] / max(1, ends),
        "book_bytes_per_address": parts["book"] / max(1, known),
        "parts": {part: size / nodes for part, size in parts.most_common()},
    }


def main() -> int:
    """Build a network of the benchmark's, let it form, and print what it takes."""
    from scripts.benchmarks.simulation import FORMING_S, build

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nodes", type=int)
    parser.add_argument("--known", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=FORMING_S + 60.0, help="virtual time before counting")
    parser.add_argument("--of", metavar="PART", help="print the objects of a part (end, book, ..., common, shared)")
    options = parser.parse_args()
    sim, _ = build(options.nodes, options.known, seed=1)
    sim.start_all()
    sim.run_for(options.seconds)
    gc.collect()
    ledger = ledger_of(sim)
    print(json.dumps(footprint(sim, ledger), indent=1))
    if options.of:
        print_lines(ledger, options.of, options.nodes)
    return 0


def lines_of(ledger: Ledger, part: str) -> list[Line]:
    """The objects of a part, as the mean of all connection ends or of all nodes; of what is shared, all."""
    return ledger.lines(owner for owner in ledger.by_owner() if part_of(owner) == part)


def print_lines(ledger: Ledger, part: str, nodes: int) -> None:
    """The objects of a part, of one connection end or of one node."""
    share = nodes if part == "shared" else 1
    total = 0.0
    for line in lines_of(ledger, part):
        total += line.size_bytes
        if line.size_bytes / share >= 8.0:
            print(f"{line.size_bytes / share:10.1f} {line.count / share:8.2f}  {line.kind} < {line.via}")
    print(f"{total / share:10.1f} in all")


if __name__ == "__main__":
    raise SystemExit(main())
