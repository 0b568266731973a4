"""Laws of growing networks, churn and healed partitions: in small, for in full they take minutes."""

from __future__ import annotations

import pytest

from actors.simulation.library import churning, growing, healing
from core.theory import overlay

NODES, HALF = 44, 22


def _law(block: range) -> tuple[float, float]:
    return overlay.in_degree_of_joiners((number + 1 for number in block), NODES, growing.OUTBOUND)


def test_the_oldest_of_a_growing_network_have_most_connections() -> None:
    grown, unchanged = growing.in_degrees(1, nodes=NODES)
    assert grown == unchanged
    assert sum(grown) == sum(min(growing.OUTBOUND, number) for number in range(NODES))
    mean, sd = _law(range(HALF))
    assert sum(grown[:HALF]) == pytest.approx(mean, abs=4 * sd)


def test_who_forgets_the_oldest_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that know only those who joined in the last third."""
    add_node = growing.Simulation.add_node

    def forgetful(sim, *args, previous_peers, **options):  # type: ignore[no-untyped-def]
        return add_node(sim, *args, previous_peers=previous_peers[len(previous_peers) // 3 :], **options)

    monkeypatch.setattr(growing.Simulation, "add_node", forgetful)
    mean, sd = _law(range(HALF))
    assert sum(growing.in_degrees(1, nodes=NODES)[0][:HALF]) < mean - 4 * sd


def _healing(monkeypatch: pytest.MonkeyPatch, after: tuple[int, ...], **options: float) -> dict[str, float]:
    for name, value in {"SIDE": HALF, "OUTBOUND": 4, "AFTER": after}.items():
        monkeypatch.setattr(healing, name, value)
    monkeypatch.setattr(healing, "SHUFFLING", healing.SHUFFLING | options)
    return {name: values[0] for name, values in healing._run(1).items()}


def test_a_partition_heals_by_shuffling(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _healing(monkeypatch, (1, 2))
    assert (found["healing-cross-share-cut"], found["healing-reach-cut"], found["healing-reach-1"]) == (0.0, 0.5, 1.0)
    share = overlay.cross_share(HALF, 4, 2)
    assert found["healing-cross-share-2"] == pytest.approx(share, abs=4 * (share * (1 - share) / (8 * HALF)) ** 0.5)


def test_without_shuffling_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _healing(monkeypatch, (1,), outbound_shuffle_interval_s=1e6)
    assert (found["healing-cross-share-1"], found["healing-reach-1"]) == (0.0, 0.5)


def test_nodes_that_come_and_go_lose_as_many_connections_as_sessions_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NODES": 16, "OUTBOUND": 3, "WARM_UP_S": 60.0, "MEASURED_S": 3600.0}.items():
        monkeypatch.setattr(churning, name, value)
    found = {name: values[0] for name, values in churning._run(2).items()}
    left = found["churn-departures"] * 16
    sessions_over = left * churning.SESSION_S / (found["churn-there"] * 16 * 3600.0)
    assert found["churn-lost-per-session"] == pytest.approx(sessions_over, abs=4 / left**0.5)
    assert found["churn-outbound"] > 0.97 * 3
    assert found["churn-reach"] > 0.99
