"""The recordings and vectors of real nodes that several tests replay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2] / "fixtures" / "vectors"


def codec_vectors() -> dict[str, Any]:
    """Return what real lisk-codec versions encoded, and their verdicts on valid and broken records."""
    with (_ROOT / "codec_vectors.json").open(encoding="utf-8") as file:
        return json.load(file)


def lenient_vectors() -> dict[str, Any]:
    """Return how lisk-codec 0.2 and 0.3 read records that were changed at random."""
    with (_ROOT / "codec_lenient.json").open(encoding="utf-8") as file:
        return json.load(file)


def superset_probe() -> dict[str, Any]:
    """Return what listeners of every version answered to a query with the names of all generations."""
    with (_ROOT / "superset_probe.json").open(encoding="utf-8") as file:
        return json.load(file)


def captures(version: str = "0.10.0") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and content of each recording of two lisk-p2p nodes of a version, or of one and a raw client."""
    for path in sorted((_ROOT / "captures" / version).glob("*.json")):
        with path.open(encoding="utf-8") as file:
            yield path.stem, json.load(file)


def captured_texts(version: str = "0.10.0") -> list[tuple[str, str]]:
    """Return every text message of the recordings with a name for it, without repetitions of the same text."""
    found: dict[str, str] = {}
    for name, capture in captures(version):
        for connection in capture["connections"]:
            for position, event in enumerate(connection["events"]):
                if event["kind"] == "frame" and event["type"] == "text" and "[cut:" not in event["text"]:
                    found.setdefault(event["text"], f"{name}-{position}")
    return [(name, text) for text, name in found.items()]


def captured_targets(version: str = "0.10.0") -> list[tuple[str, str]]:
    """Return every request target of the recordings of a version with the name of its recording."""
    found: dict[str, str] = {}
    for name, capture in captures(version):
        for connection in capture["connections"]:
            for event in connection["events"]:
                if event["kind"] == "http-request":
                    method, target, version = event["start"].split(" ")
                    assert (method, version) == ("GET", "HTTP/1.1")
                    found.setdefault(target, name)
    return [(name, target) for target, name in found.items()]


def python_value(value: Any) -> Any:
    """Return a value of the vector files with its ``{"hex": ..}`` and ``{"bigint": ..}`` replaced."""
    if isinstance(value, dict):
        if set(value) == {"hex"}:
            return bytes.fromhex(value["hex"])
        if set(value) == {"bigint"}:
            return int(value["bigint"])
        return {name: python_value(item) for name, item in value.items()}
    if isinstance(value, list):
        return [python_value(item) for item in value]
    return value
