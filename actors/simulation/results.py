"""What comes out of a run: plain data, for JSON, tables, files and pictures; small enough to cross processes."""

from __future__ import annotations

import msgspec

from actors.simulation.recorder import BanEvent, EdgeEvent, EvictionEvent, StoryLine
from core.scenario.judging import Check, Summary


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation after a run. ``holds`` None: judged over all runs. ``measured`` NaN: it could not be measured."""

    label: str
    expected: str
    measured: float
    holds: bool | None
    at_s: float
    detail: str = ""


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One message: ``arrivals`` are (node, seconds after publication, from, hops) in order of arrival."""

    id: str
    origin: str
    at_s: float
    size_bytes: int
    population: int
    arrivals: list[tuple[str, float, str, int]]
    copies: dict[str, int]


class Holders(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a watched node at one moment: owner to count, for its slots and for both tables of its book."""

    at_s: float
    node: str
    outbound: dict[str, int]
    inbound: dict[str, int]
    tried: dict[str, int]
    new: dict[str, int]


class Buckets(msgspec.Struct, frozen=True, kw_only=True):
    """The book of a watched node at the end: for each bucket of a table, owner to count."""

    node: str
    table: str
    bucket_size: int
    buckets: list[dict[str, int]]


class RunDetail(msgspec.Struct, kw_only=True):
    """Everything that was recorded in one run."""

    messages: list[MessageRecord]
    series: dict[str, list[tuple[float, float]]]
    edges: list[EdgeEvent]
    bans: list[BanEvent]
    evictions: list[EvictionEvent]
    story: list[StoryLine]
    holders: list[Holders]
    buckets: list[Buckets]
    degrees: list[int]
    """Open connections of each running node at the end."""
    outbound: list[int]
    owners: dict[str, str]
    """Addresses of attackers and whose they are."""
    names: dict[str, str]
    """Peer id of every node to its name."""
    regions: dict[str, str] = {}
    """Where each node is, if the links have regions."""


class RunResult(msgspec.Struct, kw_only=True):
    """One run, in short; ``detail`` is there if it was asked for.

    ``failure``: why the run ended early, or what went wrong in it (empty: nothing); ``replay``: the command that does
    it again.
    """

    scenario: str
    seed: int
    settings: list[tuple[str, str]]
    digest: str
    virtual_s: float
    wall_s: float
    cpu_s: float
    nodes: int
    delivered: int
    packets: int
    bytes_carried: int
    verdicts: list[Verdict]
    metrics: dict[str, float]
    failure: str
    replay: str
    detail: RunDetail | None = None

    @property
    def holds(self) -> bool:
        """Nothing went wrong, and no expectation of this run by itself failed."""
        return not self.failure and all(verdict.holds is not False for verdict in self.verdicts)


class PointResult(msgspec.Struct, kw_only=True):
    """All runs of one combination of a sweep: means over seeds, and what is judged by them."""

    settings: list[tuple[str, str]]
    runs: list[RunResult]
    metrics: dict[str, Summary]
    verdicts: list[Verdict]
    checks: list[Check]

    @property
    def holds(self) -> bool:
        """Every run holds, and so does what is judged over all of them."""
        return all(run.holds for run in self.runs) and all(verdict.holds for verdict in self.verdicts)
