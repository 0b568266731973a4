"""What both sides of an HTTP upgrade have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from websockets.datastructures import Headers

MAX_HEAD_BYTES = 16 * 1024
"""HTTP head of a request or response. lisk-p2p's HTTP layer has the same cap."""

ExtraHeaders = Iterable[tuple[str, str]]


def headers_of(headers: Headers) -> Mapping[str, str]:
    """By their names in lower case; several of one name are joined, as RFC 9110 has it."""
    joined: dict[str, str] = {}
    for name, value in headers.raw_items():
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined
