"""Parts of the world in a scenario file: a known map by its name, or latencies between regions of one's own."""

from __future__ import annotations

from random import Random
from typing import Annotated, Final

from core.scenario import fields as f
from core.scenario.fields import Key, Path, Section

SPREADS: Final = ("simblock", "none")

KNOWN_MAPS: Final = {"simblock-2019": ("NA", "EU", "SA", "AP", "JP", "AU")}
"""Maps that the simulation base has, with their regions."""


class RegionMap(Section, frozen=True, kw_only=True):
    """Regions and the mean one-way latency between them, in seconds, row by row.

    ``spread`` ``simblock``: each pair of nodes draws from SimBlock's Pareto distribution around the mean; ``none``: the
    mean itself. ``known`` is the name of a map that is not spelled out.
    """

    names: Annotated[tuple[str, ...], Key(f.list_of(f.name(), at_least=1, at_most=64), "the regions")]
    latency: Annotated[
        tuple[tuple[float, ...], ...],
        Key(f.list_of(f.list_of(f.duration()), at_least=1, at_most=64), "mean one-way latencies, a row per region"),
    ]
    shares: Annotated[tuple[float, ...], Key(f.list_of(f.share()), "share of nodes in each region")] = ()
    spread: Annotated[str, Key(f.one_of(*SPREADS), "how latencies scatter around the mean")] = "none"
    known: str = ""

    def __post_init__(self) -> None:
        size = len(self.names)
        if self.known:
            return
        if len(self.latency) != size or any(len(row) != size for row in self.latency):
            raise f.fault(("latency",), f"expected {size} rows of {size} latencies, one for each region")
        if self.shares and (len(self.shares) != size or not sum(self.shares) > 0.0):
            raise f.fault(("shares",), f"expected {size} shares, one for each region, not all 0")

    def canonical(self, region: str) -> str | None:
        """The region as this map spells it; None if there is none."""
        return next((name for name in self.names if name.lower() == region.lower()), None)


def parse_map(value: object, path: Path) -> RegionMap:
    """A map by its name, or spelled out. Raises Faults."""
    if isinstance(value, str):
        if value not in KNOWN_MAPS:
            hint = f.nearest(value, KNOWN_MAPS) or f"; known: {', '.join(KNOWN_MAPS)}"
            raise f.fault(path, f"there is no map called {value[:40]!r}{hint}")
        return RegionMap(names=KNOWN_MAPS[value], latency=(), known=value)
    found: RegionMap = f.section(RegionMap)(value, path)
    return found


def drawn_region(shares: tuple[tuple[str, float], ...], rng: Random) -> str:
    """A region by its share; shares need not add up to 1."""
    left = rng.random() * sum(share for _, share in shares)
    for name, share in shares:
        left -= share
        if left < 0.0:
            return name
    return shares[-1][0]
