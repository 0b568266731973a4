"""The query of the upgrade: targets of real nodes, the order of the checks, and hostile input."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import CloseCode
from core.wire import lisk10
from core.wire import query as wire_query
from core.wire.lisk10 import Lisk10
from core.wire.payloads import NodeInfo
from core.wire.query import MAX_TARGET_CHARACTERS, PeerQuery, Refusal
from tests.core.wire.vectors import captured_targets

_DIALECT = Lisk10()
build_target = _DIALECT.request_target
check_compatibility = _DIALECT.check_compatibility
parse_query = _DIALECT.parse_query
_OWN = NodeInfo(b"\0\0\0\1", "1.1", "00112233445566aa")
_INVALID_QUERY = Refusal(
    CloseCode.INVALID_QUERY, "Peer did not provide valid query parameters as part of the WebSocket connection"
)
_OTHER_CHAIN = Refusal(CloseCode.INCOMPATIBLE, "Peer chainID did not match our own")
_OTHER_VERSION = Refusal(CloseCode.INCOMPATIBLE, "Peer has incompatible protocol version")
_OWN_NONCE = Refusal(CloseCode.OWN_NONCE, "Peer cannot connect to itself")
_TOO_LARGE = Refusal(CloseCode.INVALID_PEER_INFO, "Peer info is too large")


def _bad_port(shown: str) -> Refusal:
    return Refusal(
        CloseCode.INVALID_PEER_INFO,
        f"Invalid peer ipAddress or port for peer with ip: 127.0.0.1 and port {shown}",
    )


def _parse(query: str) -> PeerQuery | Refusal:
    return parse_query(f"/rpc/?{query}", source_ip="127.0.0.1", own_nonce=_OWN.nonce)


def _admit(query: str) -> PeerQuery | Refusal:
    """Both halves of a listener's check, as it applies them."""
    parsed = _parse(query)
    return parsed if isinstance(parsed, Refusal) else check_compatibility(parsed, _OWN) or parsed


def test_the_target_of_an_opener() -> None:
    info = NodeInfo(b"\0\0\0\1", "1.1", "78a1ad05a9bf1f8b")
    assert build_target(info, 6002) == (
        "/rpc/?networkVersion=1.1&chainID=00000001&nonce=78a1ad05a9bf1f8b&advertiseAddress=true&port=6002"
    )
    odd = NodeInfo(b"", "1 1&\u00e9/+!'()*-._~", "%", advertise_address=False)
    assert build_target(odd, 1) == (
        "/rpc/?networkVersion=1%201%26%C3%A9%2F%2B!'()*-._~&chainID=&nonce=%25&advertiseAddress=false&port=1"
    )


_REAL = [target for name, target in captured_targets() if not name.startswith("raw_")]


def test_the_recordings_are_there() -> None:
    assert len(_REAL) == 24
    assert [name for name, _ in captured_targets() if name == "raw_bad_query"] == ["raw_bad_query"] * 6


@pytest.mark.parametrize("target", _REAL)
def test_targets_of_real_nodes_are_read_and_built_again(target: str) -> None:
    query = parse_query(target, source_ip="127.0.0.1", own_nonce=_OWN.nonce)
    assert isinstance(query, PeerQuery)
    assert build_target(query.node_info(), query.port) == target


@pytest.mark.parametrize(
    ("target", "refusal"),
    [
        ("/rpc/", _INVALID_QUERY),
        ("/rpc/?foo=bar", _INVALID_QUERY),
        ("port=notaport", _bad_port("NaN")),
        ("port=0", _bad_port("0")),
        ("port=70000", _bad_port("70000")),
        ("port=", _bad_port("NaN")),
    ],
)
def test_recorded_bad_queries_are_refused_as_by_lisk_p2p(target: str, refusal: Refusal) -> None:
    recorded = [target_ for name, target_ in captured_targets() if name == "raw_bad_query"]
    (full,) = [candidate for candidate in recorded if candidate == target or candidate.endswith("&" + target)]
    assert parse_query(full, source_ip="127.0.0.1", own_nonce=_OWN.nonce) == refusal


_GOOD = "networkVersion=1.1&chainID=00000001"


def _accepted(port: int, *, version: str = "1.1", nonce: str = "", advertise_address: bool = True) -> PeerQuery:
    return PeerQuery(port, b"\0\0\0\1", version, nonce, advertise_address)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"{_GOOD}&nonce=abc&advertiseAddress=true&port=7100", _accepted(7100, nonce="abc")),
        (f"{_GOOD}&port=7101", _accepted(7101)),
        (_GOOD, _bad_port("NaN")),
        ("networkVersion=1.1&chainID=0000000&port=7102", _OTHER_CHAIN),
        ("networkVersion=1.1&chainID=0000000000000001&port=7102", _OTHER_CHAIN),
        ("networkVersion=1.1&chainID=&port=7105", _OTHER_CHAIN),
        ("networkVersion=1.9.9&chainID=00000001&port=7106", _accepted(7106, version="1.9.9")),
        ("networkVersion=1&chainID=00000001&port=7107", _accepted(7107, version="1")),
        ("networkVersion=1.1x&chainID=00000001&port=7107", _accepted(7107, version="1.1x")),
        ("networkVersion=0.9&chainID=00000001&port=7108", _OTHER_VERSION),
        ("networkVersion=abc&chainID=00000001&port=7109", _OTHER_VERSION),
        ("networkVersion=2.0&chainID=00000001&port=7109", _OTHER_VERSION),
        ("networkVersion=-1.0&chainID=00000001&port=7109", _OTHER_VERSION),
        ("networkVersion=&chainID=00000001&port=7109", _OTHER_VERSION),
        (f"{_GOOD}&networkVersion=1.1&port=7110", _INVALID_QUERY),
        (f"{_GOOD}&chainID=00000001&port=7111", _INVALID_QUERY),
        ("chainID=00000001&port=7111", _INVALID_QUERY),
        ("networkVersion=1.1&port=7111", _INVALID_QUERY),
        (f"{_GOOD}&port=-5", _bad_port("-5")),
        (f"{_GOOD}&port=1", _accepted(1)),
        (f"{_GOOD}&port=65535", _accepted(65535)),
        (f"{_GOOD}&port=65536", _bad_port("65536")),
        (f"{_GOOD}&port=7116&advertiseAddress=false", _accepted(7116, advertise_address=False)),
        (f"{_GOOD}&port=7116&advertiseAddress=False", _accepted(7116)),
        (f"{_GOOD}&port=7116&advertiseAddress", _accepted(7116)),
        (f"{_GOOD}&port=7117&os=linux&height=5&options=%7B%7D", _accepted(7117)),
        (f"&&{_GOOD}&port=7118&", _accepted(7118)),
        ("networkVersion=%31.1&chain%49D=00000001&port=7119", _accepted(7119)),
        (f"{_GOOD}&port=7119&nonce=a+b", _accepted(7119, nonce="a b")),
    ],
)
def test_queries_are_judged_as_by_lisk_p2p(query: str, expected: PeerQuery | Refusal) -> None:
    assert _admit(query) == expected


def test_the_case_of_a_chain_id_does_not_matter() -> None:
    query = _parse("networkVersion=1.1&chainID=0000ABcd&port=7102")
    assert isinstance(query, PeerQuery)
    assert query.chain_id == bytes.fromhex("0000abcd")


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("networkVersion=1.1&chainID=00000001zz&port=7104", _OTHER_CHAIN),
        ("networkVersion=1.1&chainID=000000011&port=7103", _OTHER_CHAIN),
        ("networkVersion=1.1&chainID=00+00+00+01&port=7103", _OTHER_CHAIN),
        (f"{_GOOD}&port=7114abc", _bad_port("NaN")),
        (f"{_GOOD}&port=%207115", _bad_port("NaN")),
        (f"{_GOOD}&port=07115", _bad_port("7115")),
        (f"{_GOOD}&port=%2B7115", _bad_port("7115")),
        (f"{_GOOD}&port=%D9%A1", _bad_port("NaN")),
        (f"{_GOOD}&port={'1' * 500}", _bad_port("NaN")),
        (f"{_GOOD}&port=7112&port=7113", _INVALID_QUERY),
        (f"{_GOOD}&port=7112&nonce=a&nonce=a", _INVALID_QUERY),
        ("networkVersion=1x.1&chainID=00000001&port=7104", _OTHER_VERSION),
    ],
)
def test_defect_30_what_lisk_p2p_takes_by_accident_is_refused(query: str, refusal: Refusal) -> None:
    assert _admit(query) == refusal


def test_the_order_of_the_checks() -> None:
    """Own nonce, then the query's shape, then the address, then chain, then version (lisk-p2p 0.10)."""
    assert _admit(f"nonce={_OWN.nonce}") == _OWN_NONCE
    assert _admit(f"nonce=x&nonce={_OWN.nonce}") == _OWN_NONCE
    assert _admit("networkVersion=2.0&port=0") == _INVALID_QUERY
    assert _admit("networkVersion=2.0&chainID=02&port=0") == _bad_port("0")
    assert _admit("networkVersion=2.0&chainID=0z&port=1") == _OTHER_CHAIN
    assert _admit("networkVersion=2.0&chainID=02&port=1") == _OTHER_CHAIN
    assert _admit("networkVersion=2.0&chainID=00000001&port=1") == _OTHER_VERSION


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        (f"{_GOOD}&port=1&nonce={'n' * 257}", _TOO_LARGE),
        (f"networkVersion={'1' * 65}&chainID=00000001&port=1", _TOO_LARGE),
        (f"networkVersion=1.1&chainID={'0' * 130}&port=1", _TOO_LARGE),
        (f"{_GOOD}&port=1&x={'n' * MAX_TARGET_CHARACTERS}", _INVALID_QUERY),
        (f"{_GOOD}&port=1" + "&x=1" * 64, _INVALID_QUERY),
        (f"{_GOOD}&port=1&nonce=%", _INVALID_QUERY),
        (f"{_GOOD}&port=1&nonce=%zz", _INVALID_QUERY),
        (f"{_GOOD}&port=1&nonce=%ff", _INVALID_QUERY),
        (f"{_GOOD}&port=1&nonce=%ed%a0%80", _INVALID_QUERY),
    ],
)
def test_caps_and_broken_encodings(query: str, refusal: Refusal) -> None:
    assert _parse(query) == refusal


def test_limits_can_be_reached() -> None:
    query = f"networkVersion={'1' * 64}&chainID={'0' * 128}&port=1&nonce={'n' * 256}"
    assert _parse(query) == PeerQuery(1, bytes(64), "1" * 64, "n" * 256, True)


def test_compatibility_of_node_infos() -> None:
    assert check_compatibility(NodeInfo(b"\0\0\0\1", "1.9", "other"), _OWN) is None
    assert check_compatibility(NodeInfo(b"\0\0\0\1", "1.9", ""), NodeInfo(b"\0\0\0\1", "1.1", "")) is None
    assert check_compatibility(_OWN, _OWN) == _OWN_NONCE
    assert check_compatibility(NodeInfo(b"\0\0\0\2", "1.1", "other"), _OWN) == _OTHER_CHAIN
    assert check_compatibility(NodeInfo(b"\0\0\0\1", "2.1", "other"), _OWN) == _OTHER_VERSION
    old = NodeInfo(b"\0\0\0\1", "0.9", "old")
    assert check_compatibility(NodeInfo(b"\0\0\0\1", "0.9", "other"), old) == _OTHER_VERSION


@given(
    st.builds(
        NodeInfo,
        st.binary(max_size=64),
        st.text(max_size=64),
        st.text(max_size=64),
        st.booleans(),
    ),
    st.integers(1, 65535),
)
def test_what_an_opener_says_arrives(info: NodeInfo, port: int) -> None:
    query = parse_query(build_target(info, port), source_ip="127.0.0.1", own_nonce="me")
    if info.nonce == "me":
        assert query == _OWN_NONCE
    else:
        assert query == PeerQuery(port, info.chain_id, info.network_version, info.nonce, info.advertise_address)


@given(st.text(max_size=60), st.booleans())
def test_no_target_raises(text: str, prefix: bool) -> None:
    target = f"/rpc/?{_GOOD}&port={text}" if prefix else text
    assert isinstance(parse_query(target, source_ip="::1", own_nonce="me"), PeerQuery | Refusal)


def test_a_good_query_is_read_once_and_judged_by_each_listener() -> None:
    target = "/rpc/?networkVersion=1.1&chainID=00000001&nonce=0123456789abcdef&port=5001"
    first = parse_query(target, source_ip="10.0.0.1", own_nonce="x")
    assert isinstance(first, PeerQuery)
    assert parse_query(target, source_ip="10.0.0.2", own_nonce="y") is first
    assert first.node_info() is first.node_info()
    assert parse_query(target, source_ip="10.0.0.1", own_nonce="0123456789abcdef") == _OWN_NONCE
    assert parse_query(target + "&port=5001", source_ip="10.0.0.1", own_nonce="x") == _INVALID_QUERY


def test_of_strangers_queries_only_so_many_are_kept_and_no_long_ones() -> None:
    kept = lisk10._good_queries
    for number in range(lisk10.REMEMBERED_QUERIES + 1):
        assert isinstance(_parse(f"networkVersion=1.1&chainID=00000001&port=5001&x={number}"), PeerQuery)
        assert len(kept) <= lisk10.REMEMBERED_QUERIES
    before = len(kept)
    long = "x" * lisk10.MAX_REMEMBERED_CHARACTERS
    assert isinstance(_parse(f"networkVersion=1.1&chainID=00000001&port=5001&x={long}"), PeerQuery)
    assert len(kept) == before


@given(st.one_of(st.text("ab=&;%+4é?#/ ", max_size=24), st.integers(60, 68).map("&a=b".__mul__)))
def test_a_query_is_taken_apart_as_by_the_standard_library(text: str) -> None:
    try:
        expected = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=wire_query.MAX_PARAMETERS)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            wire_query._pairs(text)
    else:
        assert wire_query._pairs(text) == expected


@given(st.text("aZ09!'()*-._~ %+&=é/", max_size=12))
def test_texts_are_escaped_as_by_javascript(text: str) -> None:
    assert wire_query.escape(text) == quote(text, safe="!'()*-._~")
