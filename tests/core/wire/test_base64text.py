"""Base64 as Node.js reads it; the expected bytes were printed by ``Buffer.from(text, "base64")`` of Node 20."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.wire.base64text import decode_lenient


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", b""),
        ("AQ==", b"\x01"),
        ("AQ", b"\x01"),
        ("AQ=", b"\x01"),
        ("AR==", b"\x01"),
        ("AQ==\n", b"\x01"),
        ("A Q==", b"\x01"),
        ("!!*", b""),
        ("AQ==AQ==", b"\x01"),
        ("A", b""),
        ("AQI", b"\x01\x02"),
        ("_-8=", b"\xff\xef"),
        ("AQ=A", b"\x01"),
        ("====", b""),
        ("AAAA=", b"\x00\x00\x00"),
        ("AAA=A", b"\x00\x00"),
        ("AAAA\u0100", b"\x00\x00\x00"),
        ("=AQI", b""),
        ("\u00e9", b""),
        ("QUJDR", b"ABC"),
    ],
)
def test_reads_what_node_reads(text: str, expected: bytes) -> None:
    assert decode_lenient(text) == expected


@given(st.binary(max_size=64))
def test_reads_canonical_text(data: bytes) -> None:
    assert decode_lenient(base64.b64encode(data).decode()) == data


@given(st.text(max_size=64))
def test_no_text_raises(text: str) -> None:
    assert len(decode_lenient(text)) <= len(text)


@given(st.text(alphabet="AZaz09+/-_=\ud800\u0141 \x00", max_size=32))
def test_no_odd_text_raises(text: str) -> None:
    assert len(decode_lenient(text)) <= len(text)
