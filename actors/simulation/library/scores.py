"""Tables of what an attacker gets with each counter-measure on and off.

    python -m actors.simulation.library.scores networks 2                     # all variants, two sieges each
    python -m actors.simulation.library.scores botnet 1 all-on no-anchors     # some of them
    python -m actors.simulation.library.scores botnet 10 all-on --jobs 2      # on two processors

A siege takes 6 s of a processor. Attackers, variants and what they mean: :mod:`actors.simulation.library.eclipse`.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from actors.simulation.library.eclipse import ATTACKERS, VARIANTS, Score, score
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

MAX_JOBS = 64


def cell(sieges: Sequence[Sequence[float]]) -> str:
    """The mean of the sieges' means, and its standard error if there is more than one siege: ``0.123±0.004``."""
    means = [mean(values) for values in sieges]
    text = f"{mean(means):.3f}"
    return text if len(means) < 2 else f"{text}±{statistics.stdev(means) / math.sqrt(len(means)):.3f}"


def rows(attacker: str, sieges: int, names: Sequence[str], jobs: int = 1) -> Iterator[str]:
    """The table's lines, each when it is known. Seeds count from 1."""
    yield " ".join([f"{'':24}", *(f"{head:>16}" for head in COLUMNS.values())])
    runs = [(attacker, name, seed) for name in names for seed in range(1, sieges + 1)]
    with ProcessPoolExecutor(jobs) as pool:
        results = iter(pool.map(_siege, runs) if jobs > 1 else map(_siege, runs))
        for name in names:
            scores = [next(results) for _ in range(sieges)]
            cells = [cell([one[key] for one in scores]) for key in COLUMNS]
            yield " ".join([f"{name:24}", *(f"{text:>16}" for text in cells)])


def _siege(run: tuple[str, str, int]) -> Score:
    attacker, variant, seed = run
    return score(seed, VARIANTS[variant], ATTACKERS[attacker])


def _number(least: int, most: int, text: str) -> int:
    number = int(text) if text.isdecimal() else -1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"expected a number from {least} to {most}, got {text!r}")
    return number


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table, line by line. Exits with code 2 if an attacker, a variant or a number is not possible."""
    parser = argparse.ArgumentParser(prog="python -m actors.simulation.library.scores")
    parser.add_argument("attacker", choices=list(ATTACKERS))
    parser.add_argument(
        "sieges", type=lambda text: _number(1, 10_000, text), nargs="?", default=1, help="sieges for each variant"
    )
    parser.add_argument("variants", nargs="*", metavar="variant", help=f"all if none is given: {', '.join(VARIANTS)}")
    parser.add_argument(
        "--jobs", type=lambda text: _number(1, MAX_JOBS, text), default=1, help="processes that besiege at a time"
    )
    parsed = parser.parse_args(arguments)
    for name in parsed.variants:
        if name not in VARIANTS:
            parser.error(f"expected one of {', '.join(VARIANTS)}, got {name!r}")
    for line in rows(parsed.attacker, parsed.sieges, parsed.variants or list(VARIANTS), parsed.jobs):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
