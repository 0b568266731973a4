"""JSON values as payloads: what a program gives arrives, and nothing forges a packet."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from core.wire.lisk05.values import from_payload, to_payload
from core.wire.payloads import app_payload


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b'{"a":1}', b'{"a":1}'),
        (b"5", b"5"),
        (b" [1, 2]\n", b" [1, 2]\n"),
        (b'"text"', b'"text"'),
        (b"true", b"true"),
        (b"", b'{"base64":true,"data":""}'),
        (b"\1\2", b'{"base64":true,"data":"AQI="}'),
        (b"text", b'{"base64":true,"data":"dGV4dA=="}'),
        (b'{"a":1}{', b'{"base64":true,"data":"eyJhIjoxfXs="}'),
        (b'1,"cid":2', b'{"base64":true,"data":"MSwiY2lkIjoy"}'),
        (b'"\xff"', b'{"base64":true,"data":"Iv8i"}'),
        (b"NaN", b'{"base64":true,"data":"TmFO"}'),
        (b'"\\ud800"', b'"\\ufffd"'),
    ],
)
def test_how_a_payload_is_written(payload: bytes, value: bytes) -> None:
    assert bytes(from_payload(payload)) == value


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        (b"null", None),
        (b"0", b"0"),
        (b'""', b'""'),
        (b'{"base64":true,"data":"AQI="}', b"\1\2"),
        (b'{"base64":true,"data":"AQI"}', b"\1\2"),
        (b'{"base64":true,"data":""}', b""),
        (b'{"base64":true,"data":"AQI=","x":1}', b'{"base64":true,"data":"AQI=","x":1}'),
        (b'{"base64":true,"data":5}', b'{"base64":true,"data":5}'),
        (b'{"buffer":{"base64":true,"data":"AQI="}}', b'{"buffer":{"base64":true,"data":"AQI="}}'),
    ],
)
def test_how_a_value_is_read(value: bytes, payload: bytes | None) -> None:
    assert to_payload(Raw(value)) == payload


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=60))
def test_bytes_arrive_as_they_were(payload: bytes) -> None:
    value = from_payload(payload)
    msgspec.json.decode(value)
    if payload != b"null":
        assert to_payload(value) == payload


@given(_JSON)
def test_a_programs_values_are_sent_as_values(value: object) -> None:
    payload = app_payload(value)
    if payload is not None:
        sent = from_payload(payload)
        assert json.loads(bytes(sent)) == json.loads(payload)
        assert to_payload(sent) == (None if payload == b"null" else payload)


def test_deep_nesting_is_no_value() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert bytes(from_payload(deep)).startswith(b'{"base64":true')
