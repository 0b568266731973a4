"""Typed payloads, their limits, and application data as JavaScript would send them."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Misuse
from core.ids import Endpoint
from core.wire.packets import PacketFault
from core.wire.payloads import (
    MAX_CHAIN_ID_BYTES,
    MAX_NETWORK_VERSION_CHARACTERS,
    MAX_NONCE_CHARACTERS,
    NodeInfo,
    app_payload,
    checked_peer,
)


def test_a_node_info_is_an_immutable_value() -> None:
    info = NodeInfo(b"\1", "1.1", "n", options={"height": 5})
    assert info.advertise_address
    assert pickle.loads(pickle.dumps(info)) == info
    assert info != NodeInfo(b"\1", "1.1", "n")
    with pytest.raises(AttributeError):
        info.nonce = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("chain_id", "network_version", "nonce", "problem"),
    [
        (bytes(MAX_CHAIN_ID_BYTES + 1), "1.1", "n", "expected a chain id of at most 64 bytes, got 65"),
        (b"", "1" * (MAX_NETWORK_VERSION_CHARACTERS + 1), "n", "expected a network version of at most 64 characters"),
        (b"", "1.1", "n" * (MAX_NONCE_CHARACTERS + 1), "expected a nonce of at most 256 characters, got 257"),
        (b"", "\ud800", "n", "surrogates not allowed"),
        (b"", "1.1", "\ud800", "surrogates not allowed"),
    ],
)
def test_limits_of_a_node_info(chain_id: bytes, network_version: str, nonce: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        NodeInfo(chain_id, network_version, nonce)


def test_a_node_info_at_its_limits() -> None:
    info = NodeInfo(bytes(MAX_CHAIN_ID_BYTES), "1" * MAX_NETWORK_VERSION_CHARACTERS, "n" * MAX_NONCE_CHARACTERS)
    assert len(info.nonce) == 256


@pytest.mark.parametrize(
    ("ip", "port", "rule"),
    [
        ("", 1, "peer_not_ipv4"),
        ("::1", 1, "peer_not_ipv4"),
        ("::ffff:1.2.3.4", 1, "peer_not_ipv4"),
        ("1.2.3", 1, "peer_not_ipv4"),
        ("1.2.3.4.5", 1, "peer_not_ipv4"),
        ("1.2.3.256", 1, "peer_not_ipv4"),
        ("01.2.3.4", 1, "peer_not_ipv4"),
        (" 1.2.3.4", 1, "peer_not_ipv4"),
        ("\u0661.2.3.4", 1, "peer_not_ipv4"),
        ("seed.example", 1, "peer_not_ipv4"),
        ("x" * 100_000, 1, "peer_not_ipv4"),
        ("1.2.3.4", 0, "peer_bad_port"),
        ("1.2.3.4", 65536, "peer_bad_port"),
    ],
)
def test_entries_that_no_peer_may_send(ip: str, port: int, rule: str) -> None:
    with pytest.raises(PacketFault) as caught:
        checked_peer(ip, port)
    assert caught.value.rule == rule
    assert len(caught.value.detail) < 200


def test_entries_that_peers_may_send() -> None:
    for ip, port in [("1.2.3.4", 1), ("0.0.0.0", 65535), ("255.255.255.255", 5001), ("127.0.0.1", 5001)]:
        assert checked_peer(ip, port) == Endpoint(ip, port)


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        (None, None),
        (b"", b""),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        ({"a": 1, "b": "x"}, b'{"a":1,"b":"x"}'),
        ("hello", b'"hello"'),
        (42, b"42"),
        ([1, (2, None)], b"[1,[2,null]]"),
        ({1: True}, b'{"1":true}'),
        ('\u00e9\u2028\x01"\\', '"\u00e9\u2028\\u0001\\"\\\\"'.encode()),
        # Falsy values are values (lisk-p2p loses them in answers: defect 29).
        (0, b"0"),
        ("", b'""'),
        (False, b"false"),
        ([], b"[]"),
        ({}, b"{}"),
        # JavaScript has one kind of number; the expected texts were printed by JSON.stringify of Node 20.
        (1.0, b"1"),
        (-0.0, b"0"),
        (0.1, b"0.1"),
        (-2.50, b"-2.5"),
        (1e16, b"10000000000000000"),
        (1.2345678901234568e17, b"123456789012345680"),
        (1e21, b"1e+21"),
        (1.5e300, b"1.5e+300"),
        (1e-5, b"0.00001"),
        (1e-6, b"0.000001"),
        (-1.5e-9, b"-1.5e-9"),
        (1e-7, b"1e-7"),
        (5e-324, b"5e-324"),
        ({"1.0": ["1e-07", '"2.0', 3.0]}, b'{"1.0":["1e-07","\\"2.0",3]}'),
        # Unpaired surrogates stay escapes, pairs become their character.
        ("a\ud800\ud83d\ude00", b'"a\\ud800\xf0\x9f\x98\x80"'),
    ],
)
def test_application_data_travels_as_by_lisk_p2p(value: object, payload: bytes | None) -> None:
    assert app_payload(value) == payload


def _circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [float("nan"), [float("inf")], object(), {"a": b"bytes"}, {(1, 2): 3}, {1, 2}, _circular(), 10**5000],
    ids=["nan", "infinity", "object", "nested bytes", "tuple key", "set", "circular", "huge integer"],
)
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(Misuse, match="data must be bytes or a value that JSON can express"):
        app_payload(value)


def test_data_nested_too_deeply_are_refused() -> None:
    with pytest.raises(Misuse, match="data must be bytes or a value that JSON can express"):
        app_payload(_deep())


_NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.booleans() | _NUMBERS | st.text(max_size=8),
    lambda children: st.lists(children | st.none(), max_size=4) | st.dictionaries(st.text(max_size=4), children),
    max_leaves=10,
)


@given(_JSON)
def test_data_keep_their_value_for_a_reader_that_has_only_floats(value: object) -> None:
    payload = app_payload(value)
    assert payload is not None
    assert json.loads(payload, parse_int=float) == value
