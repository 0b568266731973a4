"""The attacks, small: what they report is what happened, and the same each time."""

from __future__ import annotations

from collections import Counter

import pytest

from actors.simulation.library import eclipse, floods, poisoning, siege
from core.netgroup import net_group


def test_a_siege_says_who_holds_what_over_time() -> None:
    timeline: list[tuple[float, float, float]] = []
    attacker = eclipse.Attacker(groups=8, each=4)
    found = eclipse.score(1, {}, attacker, attack_s=1800.0, restarts=2, timeline=timeline)
    assert found["new"][0] > 0.005
    assert 0.0 < found["inbound"][0] < 0.5
    assert len(found["outbound"]) == len(found["eclipsed"]) == 2
    assert sum(found["eclipsed"]) == 0.0
    assert len(timeline) == 3
    assert timeline[0][2] == found["inbound"][0]


def test_all_counter_measures_can_be_switched_off_together() -> None:
    options = {option for options in eclipse.OFF.values() for option in options}
    assert eclipse.VARIANTS["all-off"].keys() == options
    for name, off in eclipse.OFF.items():
        assert eclipse.VARIANTS[f"only-{name}"].keys() | off.keys() == options
        assert not eclipse.VARIANTS[f"only-{name}"].keys() & off.keys()


def test_spies_silence_whom_they_hear_of() -> None:
    with siege.Siege("spied upon", honest=150) as stage:
        stage.start_knowing(stage.honest)
        stage.sim.run_for(60.0)
        assert stage.outbound_share() == 0.0
        eclipse._spy(stage, 12)
        stage.restart()
        stage.sim.run_for(120.0)
        assert stage.outbound_share() == 1.0, "150 addresses are told in a few answers; only the spies are left"


def test_a_siege_counts_the_draws_that_find_somebody() -> None:
    with siege.Siege("draws", honest=40, alive=0.5, draw_weight_per_netgroup=0) as stage:
        stage.start_knowing([*stage.honest, *siege.endpoints(siege.spread_out(siege.HOSTILE_OCTETS, 1, 20))])
        assert stage.drawn_share() == pytest.approx(0.5, abs=0.06), "20 of 60, of which 40 answer"


def test_honest_addresses_gather_in_networks() -> None:
    ips = siege.gathered(siege.HONEST_OCTETS, 30, 200)
    sizes = sorted(Counter(net_group(ip) for ip in ips).values(), reverse=True)
    assert (len(set(ips)), len(sizes), sizes[-1]) == (200, 30, 1 + round(170 / 3.995 / 30))
    assert sizes[0] > 40
    with pytest.raises(ValueError, match="at least 30 addresses"):
        siege.gathered(siege.HONEST_OCTETS, 30, 29)


def test_poison_is_taken_in_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poisoning, "POISONED_S", 1800.0)
    found = poisoning.poison(2)
    assert 200 <= found.taken <= 1000 + 0.1 * 1800
    assert found.wasted > 100
    assert found.honest == poisoning.FEW_HONEST
    assert 0.0 < found.found_after_s < 60.0


def test_mute_connections_of_one_host_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floods, "ATTACK_S", 30.0)
    assert floods.loris(1, addresses=1, rate_per_s=50.0) == (1.0, 50)
