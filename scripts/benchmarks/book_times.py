"""Time the operations of the peer book with both tables full: microseconds of CPU time for each operation.

CPU time, because the work is pure computation: what else runs on the machine should not count.

Run it (``python -m scripts.benchmarks.book_times [--json]``) or import :func:`run`. Budgets (docs/performance.md):
adding, finding, moving and choosing whom to dial under 20 us, a getPeers sample of 200 under 300 us.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from random import Random

from core.book import Book, BookConfig, Constraints
from core.config import NodeConfig
from core.ids import Endpoint
from core.netgroup import net_group

NOW_S = 1_700_000_000.0
PORT = 5001
BATCH = 250
ROUNDS = 40


def random_endpoint(rng: Random) -> Endpoint:
    """A public IPv4 endpoint in one of 3,072 net groups."""
    first = rng.choice((23, 45, 62, 80, 91, 104, 130, 144, 151, 178, 185, 203))
    return Endpoint(f"{first}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}", PORT)


def full_book(seed: int = 1) -> Book:
    """A book whose 2,048 tried and 4,096 new places are all taken. It draws as that of a node does by default."""
    rng = Random(seed)
    node = BookConfig.from_config(NodeConfig())
    config = BookConfig(max_weight_per_group=node.max_weight_per_group, least_tried_share=node.least_tried_share)
    book = Book(config, rng.randbytes(32), rng)
    while book.counts().tried < 64 * 32:
        book.connected(random_endpoint(rng), NOW_S)
    while book.counts().new < 128 * 32:
        book.add(random_endpoint(rng), random_endpoint(rng).ip, NOW_S)
    return book


Measure = Callable[..., dict[str, float]]


def _timer(rounds: int) -> Measure:
    """A function that times a step over so many rounds."""

    def measure(step: Callable[[int], object], batch: int = BATCH) -> dict[str, float]:
        """Median and spread over rounds of the mean time of ``step(i)``; ``step`` sees each index once, in order."""
        means = []
        index = 0
        for _ in range(rounds):
            began = time.process_time()
            for _ in range(batch):
                step(index)
                index += 1
            means.append((time.process_time() - began) / batch * 1e6)
        return {"us": statistics.median(means), "us_min": min(means), "us_max": max(means)}

    return measure


def run(rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Microseconds for each operation on a full book: median, fastest and slowest of the rounds."""
    rng = Random(2)
    book = full_book()
    measure = _timer(rounds)
    total = BATCH * rounds
    strangers = [random_endpoint(rng) for _ in range(4 * total)]
    sources = [random_endpoint(rng).ip for _ in range(total)]
    known = [view.endpoint for view in book.all()]
    rng.shuffle(known)
    results: dict[str, dict[str, float]] = {}
    gc.collect()
    # How fast this machine is right now, to compare runs: a loop of 1,000 steps in the interpreter.
    results["reference_loop_1000"] = measure(lambda i: sum(range(1_000)), BATCH // 5)
    results["find"] = measure(lambda i: book.has(known[i % len(known)]))
    results["find_unknown"] = measure(lambda i: book.has(strangers[i]))
    results["get"] = measure(lambda i: book.get(known[i % len(known)]))
    results["add_known"] = measure(lambda i: book.add(known[i % len(known)], sources[i], NOW_S))
    # A getPeers answer: 100 addresses never seen before from one source. And the worst case: each from a new source.
    results["add"] = measure(lambda i: book.add(strangers[i], sources[i // 100], NOW_S))
    results["add_from_new_source"] = measure(lambda i: book.add(strangers[2 * total + i], sources[i], NOW_S))
    results["connected_unknown_to_tried"] = measure(lambda i: book.connected(strangers[total + i], NOW_S))
    _refill(book, rng)
    new = [view.endpoint for view in book.all() if view.table.value == "new"]
    results["move_new_to_tried"] = measure(lambda i: book.connected(new[i], NOW_S), len(new) // ROUNDS)
    _refill(book, rng)
    tried = [view.endpoint for view in book.tried()][: len(book.tried()) // ROUNDS * ROUNDS]

    def fail_three_times(i: int) -> None:
        for _ in range(3):
            book.dial_failed(tried[i], NOW_S)

    results["move_tried_to_new_after_3_failures"] = measure(fail_three_times, len(tried) // ROUNDS)
    _refill(book, rng)
    results["choose_1"] = measure(lambda i: book.choose(1, NOW_S))
    busy = [view.endpoint for view in book.tried()[:19]]
    limits = Constraints(
        endpoints=frozenset(busy),
        ips=frozenset(endpoint.ip for endpoint in busy),
        forbidden=lambda endpoint: None,
        group_counts={net_group(endpoint.ip): 1 for endpoint in busy},
    )
    results["choose_1_constrained"] = measure(lambda i: book.choose(1, NOW_S, limits))
    results["choose_20"] = measure(lambda i: book.choose(20, NOW_S, limits), BATCH // 5)
    results["getpeers_sample_200"] = measure(lambda i: book.sample_for_getpeers(200), BATCH // 5)
    return results


def _refill(book: Book, rng: Random) -> None:
    while book.counts().tried < 64 * 32:
        book.connected(random_endpoint(rng), NOW_S)
    while book.counts().new < 128 * 32:
        book.add(random_endpoint(rng), random_endpoint(rng).ip, NOW_S)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures as a table, or as JSON with ``--json``."""
    parser = argparse.ArgumentParser(description="Time the operations of the peer book with both tables full.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    results = run()
    if options.json:
        print(json.dumps(results, indent=1))
        return 0
    print(f"{'operation':38} {'median us':>10} {'min':>8} {'max':>8}")
    for name, figures in results.items():
        print(f"{name:38} {figures['us']:10.2f} {figures['us_min']:8.2f} {figures['us_max']:8.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
