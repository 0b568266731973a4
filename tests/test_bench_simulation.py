"""The benchmark of simulations: a small network does what the benchmark says it does, and the same each time."""

from __future__ import annotations

from scripts.benchmarks.simulation import run, table


def test_a_small_network_forms_and_every_message_reaches_everybody() -> None:
    figures = run(24, minutes=0.5, known=20)
    assert figures["outbound_mean"] >= 10
    assert figures["known_mean"] >= 20
    assert figures["published"] == 3
    assert figures["reach"] == 1.0
    assert figures["packets"] >= 3 * 24 * 10
    assert run(24, minutes=0.5, known=20)["digest"] == figures["digest"]
    assert f"{24:>6}" in table([figures])
