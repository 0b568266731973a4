"""Tables of what an attacker gets with each counter-measure on and off.

    python -m actors.simulation.library.scores networks 2                     # all variants, two sieges each
    python -m actors.simulation.library.scores botnet 1 all-on no-anchors     # some of them

A siege takes 12 s of a processor. Attackers, variants and what they mean: :mod:`actors.simulation.library.eclipse`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from actors.simulation.library.eclipse import ATTACKERS, VARIANTS, Attacker, score
from core.measures.spread import mean

COLUMNS = {
    "tried": "tried",
    "new": "new",
    "drawn": "draws",
    "inbound": "inbound",
    "before": "outbound before",
    "outbound": "after restart",
    "eclipsed": "eclipsed",
}
"""What is measured, and how it is called."""


def rows(attacker: Attacker, seeds: Sequence[int], names: Sequence[str]) -> Iterator[str]:
    """The table's lines, each when it is known."""
    yield " ".join([f"{'':24}", *(f"{head:>16}" for head in COLUMNS.values())])
    for name in names:
        scores = [score(seed, VARIANTS[name], attacker) for seed in seeds]
        cells = [mean([value for one in scores for value in one[key]]) for key in COLUMNS]
        yield " ".join([f"{name:24}", *(f"{cell:16.3f}" for cell in cells)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table, line by line. Exits with code 2 if an attacker or a variant is unknown."""
    parser = argparse.ArgumentParser(prog="python -m actors.simulation.library.scores")
    parser.add_argument("attacker", choices=list(ATTACKERS))
    parser.add_argument("sieges", type=int, nargs="?", default=1, help="sieges for each variant")
    parser.add_argument("variants", nargs="*", metavar="variant", help=f"all if none is given: {', '.join(VARIANTS)}")
    parsed = parser.parse_args(arguments)
    for name in parsed.variants:
        if name not in VARIANTS:
            parser.error(f"expected one of {', '.join(VARIANTS)}, got {name!r}")
    for line in rows(ATTACKERS[parsed.attacker], range(1, parsed.sieges + 1), parsed.variants or list(VARIANTS)):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
