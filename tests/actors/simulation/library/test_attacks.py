"""The attacks, small: what they report is what happened, and the same each time."""

from __future__ import annotations

import pytest

from actors.simulation.library import eclipse, floods, poisoning


def test_a_siege_says_who_holds_what_over_time() -> None:
    timeline: list[tuple[float, float, float]] = []
    small = {"attack_s": 1800.0, "restarts": 2, "groups": 8, "each": 4}
    found = eclipse.score(1, {}, timeline=timeline, **small)  # type: ignore[arg-type]
    assert found["new"][0] > 0.005
    assert 0.0 < found["inbound"][0] < 0.5
    assert len(found["outbound"]) == len(found["eclipsed"]) == 2
    assert sum(found["eclipsed"]) == 0.0
    assert len(timeline) == 3
    assert timeline[0][2] == found["inbound"][0]


def test_all_counter_measures_can_be_switched_off_together() -> None:
    assert eclipse.VARIANTS["all-off"].keys() == {
        option for name, options in eclipse.VARIANTS.items() if name != "all-off" for option in options
    }


def test_poison_is_taken_in_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poisoning, "POISONED_S", 1800.0)
    taken, wasted, honest = poisoning.poison(1)
    assert 200 <= taken <= 1000 + 0.1 * 1800
    assert wasted > 100
    assert honest == poisoning.FEW_HONEST


def test_mute_connections_of_one_host_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floods, "ATTACK_S", 30.0)
    assert floods.loris(1, addresses=1, rate_per_s=50.0) == (1.0, 50)
