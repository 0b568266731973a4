"""The files in configs/ that no program reads by itself are right."""

from __future__ import annotations

from pathlib import Path

from actors.config_sources import load_config
from core.dialects import languages_of

CONFIGS = Path(__file__).parents[2] / "configs"


def test_the_file_for_older_networks_speaks_every_generation() -> None:
    config = load_config(CONFIGS / "older-network.yaml").config
    names = [dialect.name for dialect in languages_of(config).known]
    assert {"auto", "lisk-0.10", "lisk-0.7", "lisk-0.5"} <= set(names)
