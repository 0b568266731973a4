"""Published figures as anchors for scenarios."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.simulation import anchors, roles
from core.theory import buckets, gossip, overlay

ROW = {"id": "x", "quantity": "share", "expected": 0.5, "sd_run": 0.1, "slack": 0, "source": "somewhere"}


def test_every_figure_of_the_file_can_be_named_in_a_scenario() -> None:
    found = anchors.read()
    assert len(found) > 100
    assert all(roles.anchor_of(anchor.name) == anchor for anchor in found)
    assert all(anchor.source and anchor.quantity for anchor in found)


def test_one_with_several_quantities_becomes_several() -> None:
    assert roles.anchor_of("prop-simblock2019-n1000-EUROPE.p50").expected == 120.1
    p90 = roles.anchor_of("prop-simblock2019-n1000-EUROPE.p90")
    assert (p90.expected, p90.sd, p90.slack) == (253.9, 2.4, 1.0)
    assert roles.anchor_of("demers-t1-k2.traffic").slack == 0.06


def test_figures_of_the_file_are_those_of_our_own_laws() -> None:
    for nodes, fanout in ((100, 4), (500, 8), (1000, 3)):
        anchor = roles.anchor_of(f"push-reach-n{nodes}-f{fanout}")
        law = gossip.push_law(nodes, fanout)
        assert (law.mean_reach, law.sd_reach) == pytest.approx((anchor.expected, anchor.sd), rel=1e-9)
    assert overlay.turnover_drops(20) == pytest.approx(roles.anchor_of("shuffle-turnover").expected, abs=1e-3)
    assert buckets.tried_coverage(37) == pytest.approx(roles.anchor_of("tried-groups-37").expected, abs=1e-4)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**ROW, "expected": [1, 2]}, "entry 2: x: 2 values for 'share'"),
        ({key: value for key, value in ROW.items() if key != "source"}, "entry 2: 'source'"),
        (["no", "entry"], "entry 2"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, row: Any, message: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(json.dumps([ROW, row]))
    with pytest.raises(ValueError, match=r"bad\.json: entry 2") as raised:
        anchors.read(file)
    assert message in str(raised.value)
    file.write_text("{}")
    with pytest.raises(ValueError, match="a list of anchors"):
        anchors.read(file)
