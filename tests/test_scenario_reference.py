"""docs/scenario-reference.md is what the scenario language is."""

from __future__ import annotations

from tests.test_repository import ROOT, load_script


def test_the_reference_of_the_scenario_language_is_current() -> None:
    reference = load_script("gen_scenario_reference").reference()
    written = (ROOT / "docs" / "scenario-reference.md").read_text(encoding="utf-8")
    assert written == reference, "run scripts/gen_scenario_reference.py"
