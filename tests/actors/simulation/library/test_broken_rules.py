"""Every expectation can fail: a rule is broken on purpose, and the figure leaves its tolerance by far.

The z of each are in docs/validation.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actors.simulation import roles
from actors.simulation.library import eviction, floods, gossip, propagation, rumours, selection, shuffling, tables
from actors.simulation.library.experiment import Expected, Experiment, about, between, exactly, judge
from core.book.config import BookConfig
from core.evict import VictimRule


def expectation(name: str) -> Expected:
    """By its name, of any experiment."""
    experiments = [item for item in roles.validations() if isinstance(item, Experiment)]
    return next(expected for item in experiments for expected in item.expected if expected.anchor.name == name)


def z_of(name: str, values: Sequence[float]) -> float:
    """How far these samples are from the expectation; 0 if they agree."""
    check = judge(expectation(name), values)
    return 0.0 if check.holds else abs(check.z or float("inf"))


def test_a_fanout_of_3_is_not_one_of_4() -> None:
    reached = [len(gossip.push(seed, 1000, 3).at) / 1000 for seed in range(5)]
    assert z_of("push-n1000-f4-reach", reached) > 15
    assert z_of("push-n1000-f4-reach", [len(gossip.push(seed, 1000, 4).at) / 1000 for seed in range(5)]) == 0.0


def test_targets_that_repeat_are_not_distinct_ones() -> None:
    with gossip.Simulation("repeating", links=gossip.constant_links()) as sim:
        spreading = gossip.Spreading(sim, 1000, lambda node, rng: [rng.randrange(1000) for _ in range(1)])
        spreading.begin(0)
        sim.run_for(60.0)
    assert z_of("push-n1000-f2-reach", [len(spreading.at) / 1000]) > 15


def test_rumours_whose_counter_is_not_set_back_die_out_sooner() -> None:
    residues = [rumours.spread(seed, rumours.Rule(2, counter=True, resets=False))[0] for seed in range(15)]
    assert z_of("demers-1-k2-residue", residues) > 4


def test_a_relay_to_3_peers_does_not_reach_as_many_as_one_to_4() -> None:
    reached = [len(selection.relay(seed, 1000, 3).at) / 1000 for seed in range(3)]
    assert z_of("relay-n1000-f4-reach", reached) > 10


def test_a_relay_to_4_peers_is_slower_than_one_to_16() -> None:
    p50, _ = propagation.percentiles(1, 500, "EU", limit=4)
    assert z_of("propagation-n500-eu-p50-ms", [p50]) > 20


def test_one_bucket_too_many_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BookConfig", lambda: BookConfig(tried_bucket_count=128))
    share = tables.take_over(1, 37, 512)
    assert z_of("tried-full-s37-t512", [share]) > 4


def test_a_random_victim_is_not_the_youngest_of_the_largest_group() -> None:
    left = eviction.honest_left(1, eviction.ONE_GROUP, VictimRule.RANDOM, (1000,))
    assert z_of("evict-group-worse-one-group-k1000", [float(left[0])]) > 20


def test_the_whole_node_too_loses_its_peers_with_a_random_victim() -> None:
    with floods.flood(1, one_group=True, attempts=60, inbound_victim="random", **floods.PINGED) as siege:
        assert z_of("flood-largest-group-one-group-honest-left", [float(siege.honest_inbound())]) > 20


def test_shuffling_twice_as_often_shows() -> None:
    found = shuffling.turnover(1, interval_s=150.0, count=2)
    per_hour = [item.drops / ((item.done_at or shuffling.LIMIT_S) - item.began_at) * 3600.0 for item in found]
    assert z_of("shuffle-per-hour", per_hour) > 20


def test_judging() -> None:
    assert judge(exactly("x", 2.0, "-"), [2.0, 2.0]).holds
    assert not judge(exactly("x", 2.0, "-"), [2.0, 2.1]).holds
    assert judge(between("x", 1.0, 3.0, "-"), [1.0]).holds
    assert not judge(between("x", 1.0, 3.0, "-"), [3.1]).holds
    assert judge(about("x", 0.0, None, "-"), [-1.0, 1.5]).anchor.sd == pytest.approx(1.7678, abs=1e-4)
    assert not judge(about("x", 0.0, 1.0, "-"), [2.1] * 4).holds
    with pytest.raises(ValueError, match="was not measured"):
        judge(exactly("x", 2.0, "-"), [])
