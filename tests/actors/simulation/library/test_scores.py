"""The tables of what an attacker gets."""

from __future__ import annotations

from typing import Any

import pytest

from actors.simulation.library import scores
from actors.simulation.library.eclipse import ATTACKERS, VARIANTS, Attacker


@pytest.fixture
def quick_sieges(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, dict[str, Any], Attacker]]:
    """Instead of sieges: each gives its seed's tenth, twice."""
    made: list[tuple[int, dict[str, Any], Attacker]] = []

    def score(seed: int, options: dict[str, Any], attacker: Attacker) -> dict[str, list[float]]:
        made.append((seed, options, attacker))
        return {key: [seed / 10, seed / 10] for key in scores.COLUMNS}

    monkeypatch.setattr(scores, "score", score)
    return made


def test_a_cell_is_the_mean_of_the_sieges_with_its_standard_error() -> None:
    assert scores.cell([[0.1, 0.3], [0.4], [0.6]]) == "0.400±0.115"


def test_one_siege_tells_no_error() -> None:
    assert scores.cell([[0.1, 0.3]]) == "0.200"


def test_each_variant_is_besieged_with_seeds_from_one(
    quick_sieges: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    scores.main(["botnet", "2", "all-on", "lip-draws"])
    expected = [(seed, VARIANTS[name], ATTACKERS["botnet"]) for name in ("all-on", "lip-draws") for seed in (1, 2)]
    assert quick_sieges == expected
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["tried", "new", "draws", "inbound", "outbound", "before", "after", "restart", "eclipsed"]
    assert [line.split() for line in lines] == [[name, *7 * ["0.150±0.050"]] for name in ("all-on", "lip-draws")]


def test_without_variants_all_are_besieged(quick_sieges: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    scores.main(["spy"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == list(VARIANTS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nobody"], "invalid choice"),
        (["spy", "1", "no-such"], "expected one of all-on"),
        (["spy", "0"], "expected a number from 1 to 10000, got '0'"),
        (["spy", "1", "all-on", "--jobs", "x"], "expected a number from 1 to 64, got 'x'"),
    ],
)
def test_what_is_not_possible_is_refused(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        scores.main(arguments)
    assert ended.value.code == 2
    assert expected in capsys.readouterr().err
