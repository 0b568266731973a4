"""Quantities with units, as scenario files write them: ``50ms``, ``1h30min``, ``15KB``, ``20Mbit/s``, ``2/min``.

A bare number is refused wherever a unit decides what it means: 50 of what?
"""

from __future__ import annotations

import math
import re
from typing import Final

SECONDS: Final = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
}
"""Units of time, in seconds."""

BYTES: Final = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
"""Units of size, in bytes; decimal prefixes are powers of 1000, binary ones of 1024 (IEC 80000-13)."""

BITS: Final = {"bit": 1, "kbit": 1000, "Kbit": 1000, "Mbit": 1000**2, "Gbit": 1000**3}

DURATION_EXPECTED: Final = "a duration with its unit, as 50ms, 10s, 1h30min (units: us, ms, s, min, h, d)"
SIZE_EXPECTED: Final = "a size with its unit, as 200B, 15KB, 1MiB"
BANDWIDTH_EXPECTED: Final = "a bandwidth with its unit, as 20Mbit/s or 1MB/s"
RATE_EXPECTED: Final = "a number of times per unit of time, as 2/s, 30/min, 1/h"
SHARE_EXPECTED: Final = "a share, as 30% or 0.3"

MAX_TEXT: Final = 64
"""Longest text of a quantity that is looked at."""

_NUMBER: Final = r"(\d+(?:\.\d+)?(?:[eE]-?\d+)?)"
_PART: Final = re.compile(_NUMBER + r"\s*(us|ms|s|min|h|d)(?![a-zA-Z])|" + _NUMBER + r"\s*(us|ms|min|s|h|d)(?=\d)")
_PLAIN: Final = re.compile(_NUMBER + r"\s*([A-Za-z%]+)?")
_RATE: Final = re.compile(_NUMBER + r"\s*/\s*([a-z]+)")


def duration_s(text: object) -> float:
    """Seconds of ``1h30min`` or ``50 ms``; ``0`` needs no unit. Raises ValueError with what was expected."""
    if text == 0 and not isinstance(text, bool):
        return 0.0
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
        raise ValueError(DURATION_EXPECTED)
    total, position = 0.0, 0
    given = text.strip()
    while position < len(given):
        found = _PART.match(given, position)
        if found is None:
            raise ValueError(DURATION_EXPECTED)
        number, unit = (found[1], found[2]) if found[1] is not None else (found[3], found[4])
        total += float(number) * SECONDS[unit]
        position = found.end()
        while position < len(given) and given[position] == " ":
            position += 1
    if not given or not math.isfinite(total):
        raise ValueError(DURATION_EXPECTED)
    return total


def size_bytes(text: object) -> int:
    """Bytes of ``15KB``; ``0`` needs no unit. Raises ValueError."""
    if text == 0 and not isinstance(text, bool):
        return 0
    number, unit = _split(text, SIZE_EXPECTED)
    if unit not in BYTES:
        raise ValueError(SIZE_EXPECTED)
    return round(number * BYTES[unit])


def bandwidth_bytes_per_s(text: object) -> float:
    """Bytes per second of ``20Mbit/s``, ``20Mbit`` or ``1MB/s``. Raises ValueError."""
    given = text.strip().removesuffix("/s").strip() if isinstance(text, str) else text
    number, unit = _split(given, BANDWIDTH_EXPECTED)
    if unit in BITS:
        number *= BITS[unit] / 8.0
    elif unit in BYTES and isinstance(text, str) and text.strip().endswith("/s"):
        number *= BYTES[unit]
    else:
        raise ValueError(BANDWIDTH_EXPECTED)
    if not 0.0 < number < math.inf:
        raise ValueError(BANDWIDTH_EXPECTED + ", above 0")
    return number


def rate_per_s(text: object) -> float:
    """Times per second of ``2/s`` or ``30/min``. Raises ValueError."""
    found = _RATE.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= MAX_TEXT else None
    if found is None or found[2] not in SECONDS:
        raise ValueError(RATE_EXPECTED)
    rate = float(found[1]) / SECONDS[found[2]]
    if not 0.0 < rate < math.inf:
        raise ValueError(RATE_EXPECTED + ", above 0")
    return rate


def share(value: object) -> float:
    """A number from 0 to 1, of ``30%`` or ``0.3``. Raises ValueError."""
    number: float
    if isinstance(value, str):
        number, unit = _split(value, SHARE_EXPECTED)
        if unit != "%":
            raise ValueError(SHARE_EXPECTED)
        number /= 100.0
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        raise ValueError(SHARE_EXPECTED)
    if not 0.0 <= number <= 1.0:
        raise ValueError(SHARE_EXPECTED + ", from 0 to 1")
    return number


def quantity(text: object) -> float:
    """A plain number, or one with a unit of time (seconds), size (bytes) or ``%``: a bound of an expectation.

    Raises ValueError.
    """
    expected = "a number, or a quantity with a unit, as 0.98, 95%, 120ms, 15KB"
    if isinstance(text, int | float) and not isinstance(text, bool):
        if not math.isfinite(text):
            raise ValueError(expected)
        return float(text)
    if not isinstance(text, str):
        raise ValueError(expected)
    sign = -1.0 if text.strip().startswith("-") else 1.0
    bare = text.strip().removeprefix("-")
    for reader in (duration_s, size_bytes, _plain_or_percent):
        try:
            return sign * reader(bare)
        except ValueError:
            continue
    raise ValueError(expected)


def _plain_or_percent(text: str) -> float:
    number, unit = _split(text, "")
    if unit not in {"", "%"}:
        raise ValueError
    return number / 100.0 if unit else number


def _split(text: object, expected: str) -> tuple[float, str]:
    found = _PLAIN.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= MAX_TEXT else None
    if found is None:
        raise ValueError(expected)
    return float(found[1]), found[2] or ""


def shown_duration(seconds: float) -> str:
    """A duration for people: ``90.5 s`` below two minutes, then ``2 min 30 s``, ``3 h 20 min``, ``2 d 4 h``."""
    if seconds < 1.0:
        return f"{seconds * 1000:.4g} ms"
    if seconds < 120.0:
        return f"{seconds:.4g} s"
    for big, big_s, small, small_s in (("min", 60, "s", 1), ("h", 3600, "min", 60), ("d", 86_400, "h", 3600)):
        if seconds < big_s * {"min": 60, "h": 48, "d": math.inf}[big]:
            whole, rest = divmod(round(seconds / small_s), big_s // small_s)
            return f"{whole} {big} {rest} {small}" if rest else f"{whole} {big}"
    raise AssertionError(seconds)
