"""Published and computed figures as anchors for scenarios: ``anchor: push-reach-n1000-f4`` in an expectation.

``anchors.json`` holds them, each with its source. One with several quantities becomes several anchors:
``prop-simblock2019-n1000-EUROPE.p50`` and so on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from actors.simulation import roles
from core.scenario.judging import Anchor

FILE = Path(__file__).with_name("anchors.json")


def read(file: Path = FILE) -> list[Anchor]:
    """All anchors of a file. Raises ValueError if it is none, saying which entry is wrong."""
    rows = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(rows, list):
        raise ValueError(f"{file.name}: expected a list of anchors")
    found: list[Anchor] = []
    for number, row in enumerate(rows, 1):
        try:
            found += anchors_of(row)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file.name}: entry {number}: {error}") from error
    return found


def anchors_of(row: Mapping[str, Any]) -> Iterator[Anchor]:
    """The anchors of one entry: ``expected`` is a number, or a list with names in ``quantity`` (``a/b/c``).

    Where no deviation of a single run is known, the slack alone is the tolerance.
    """
    expected, quantity = row["expected"], str(row["quantity"])
    if isinstance(expected, int | float):
        yield _anchor(row["id"], expected, row["sd_run"], row["slack"], row["source"], quantity)
        return
    names = quantity.partition(" ")[0].split("/")
    if len(names) != len(expected):
        raise ValueError(f"{row['id']}: {len(expected)} values for {quantity!r}")
    sds, slacks = _each(row["sd_run"], len(names)), _each(row["slack"], len(names))
    for name, value, sd, slack in zip(names, expected, sds, slacks, strict=True):
        yield _anchor(f"{row['id']}.{name}", value, sd, slack, row["source"], quantity)


def _each(value: Any, count: int) -> Sequence[Any]:
    return value if isinstance(value, list) else [value] * count


def _anchor(name: str, expected: float, sd: float | None, slack: float | None, source: str, quantity: str) -> Anchor:
    return Anchor(
        name=name,
        expected=float(expected),
        sd=float(sd or 0.0),
        slack=float(slack or 0.0),
        source=source,
        quantity=quantity,
    )


roles.add_anchors(read())
