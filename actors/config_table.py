"""A configuration as people and programs read it: every option, its value in effect, unit, and origin."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from actors.config_sources import LoadedConfig
from core.config import OptionDoc, flatten, thaw
from core.ids import Endpoint
from core.seeds import SeedName

MAX_SHOWN_CHARS = 60


def effective(loaded: LoadedConfig) -> dict[str, object]:
    """Return the values in effect by dotted name, without what must stay secret (tables get pasted into reports)."""
    values = flatten(loaded.config)
    if values["secret"] is not None:
        values["secret"] = "(hidden)"
    return values


def plain(value: object) -> Any:
    """Return a value as JSON and YAML write it: endpoints as ``ip:port``, bytes as hex, callables by name."""
    if isinstance(value, Endpoint):
        return value.peer_id
    if isinstance(value, SeedName):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in thaw(value).items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if callable(value):
        return f"{value.__module__}:{getattr(value, '__qualname__', type(value).__qualname__)}"
    return value


def as_text(value: object) -> str:
    """Return a value in one short line, as it would be written in a YAML file."""
    simple = plain(value)
    if isinstance(simple, str):
        text = simple
    elif isinstance(simple, float):
        text = f"{simple:g}" if simple < 1e6 else str(int(simple))
    else:
        text = json.dumps(simple, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 3] + "..."


def as_table(documents: Sequence[OptionDoc], loaded: LoadedConfig, max_width: int | None = None) -> str:
    """Return an aligned table, by group; one entry below the other if lines may not be as long as that takes."""
    values = effective(loaded)
    rows = [
        (doc.group, doc.name, as_text(values[doc.name]), doc.unit, str(loaded.origins[doc.name])) for doc in documents
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(1, 4)]
    is_narrow = max_width is not None and max_width < 8 + sum(widths) + max(len(row[4]) for row in rows)
    lines: list[str] = []
    group = ""
    for row in rows:
        if row[0] != group:
            group = row[0]
            lines += ([""] if lines else []) + [group]
        if is_narrow:
            lines.append(f"  {row[1]}: {row[2]} {row[3]}".rstrip())
            if loaded.origins[row[1]].kind != "default":
                lines.append(f"      from {row[4]}")
            continue
        cells = [cell.ljust(width) for cell, width in zip(row[1:4], widths, strict=True)]
        lines.append(f"  {'  '.join(cells)}  {row[4]}".rstrip())
    return "\n".join(lines)


def as_json(documents: Sequence[OptionDoc], loaded: LoadedConfig) -> str:
    """Return ``{"options": [{name, value, default, unit, origin: {kind, place}}, ...]}``."""
    values = effective(loaded)
    rows = [
        {
            "name": document.name,
            "value": plain(values[document.name]),
            "default": plain(document.default),
            "unit": document.unit or None,
            "origin": {
                "kind": loaded.origins[document.name].kind,
                "place": loaded.origins[document.name].place or None,
            },
        }
        for document in documents
    ]
    return json.dumps({"options": rows}, indent=2, ensure_ascii=False)
