"""The native dialect as a whole: how two nodes agree on it, and what it shares with the main dialect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import Misuse
from core.wire import native_packets, native_payloads
from core.wire.codec import CodecError
from core.wire.dialect import Dialect
from core.wire.lisk10 import Lisk10
from core.wire.native import HEADER, Native, accepted, is_offered
from core.wire.packets import PacketFault, Response
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery
from core.wire.schema import parse_schema

SCHEMA = parse_schema({"type": "object", "properties": {"height": {"dataType": "uint32", "fieldNumber": 1}}})
PLAIN: Dialect = Native(Lisk10())
WITH_HEIGHT: Dialect = Native(Lisk10(SCHEMA))
INFO = NodeInfo(b"\0\0\0\1", "1.1", "nonce")


@pytest.mark.parametrize("value", ["1", " 1 ", "2, 1", "1,2,3", "7 , 1 ,x", ",1,"])
def test_a_version_that_is_known_may_be_among_others(value: str) -> None:
    assert is_offered({HEADER.lower(): value})


@pytest.mark.parametrize("value", ["", "2", "10", "1.0", "01", "x", "1;2", "1" + " " * 300, "1 2"])
def test_any_other_offer_is_none(value: str) -> None:
    assert not is_offered({HEADER.lower(): value})
    assert not is_offered({})


def test_an_answer_is_the_version_that_was_offered_and_perhaps_a_generation() -> None:
    assert accepted({HEADER.lower(): " 1 "}) == "lisk-0.10"
    assert accepted({HEADER.lower(): "1; lisk-0.7"}) == "lisk-0.7"
    for value in ("", "2", "1, 2", "yes", ";1"):
        assert accepted({HEADER.lower(): value}) is None
    assert accepted({}) is None


def test_the_upgrade_is_that_of_the_main_dialect() -> None:
    target = Lisk10().request_target(INFO, 6001)
    assert PLAIN.request_target(INFO, 6001) == target
    assert (PLAIN.path, PLAIN.matches_path(target), PLAIN.matches_path("/other/")) == ("/rpc/", True, False)
    query = PLAIN.parse_query(target, source_ip="127.0.0.1", own_nonce="x")
    assert isinstance(query, PeerQuery)
    assert (query.port, query.nonce) == (6001, "nonce")


def test_node_infos_follow_the_custom_schema() -> None:
    high = NodeInfo(b"\0\0\0\1", "1.1", "nonce", True, {"height": 7})
    assert WITH_HEIGHT.decode_node_info(WITH_HEIGHT.encode_node_info(high)) == high
    assert PLAIN.decode_node_info(PLAIN.encode_node_info(INFO)) == INFO
    for dialect, info in ((PLAIN, high), (WITH_HEIGHT, INFO)):
        with pytest.raises(CodecError):
            dialect.encode_node_info(info)
        with pytest.raises(CodecError):
            dialect.decode_node_info(native_payloads.encode_node_info(info, 20_480))


def test_options_without_a_schema_are_refused_like_a_record_with_an_unknown_field() -> None:
    vectors = json.loads((Path(__file__).parents[2] / "fixtures" / "vectors" / "native.json").read_text())
    (vector,) = [vector for vector in vectors["faulty_node_infos"] if "schema" in vector["name"]]
    with pytest.raises(CodecError):
        PLAIN.decode_node_info(bytes.fromhex(vector["hex"]))


def test_the_limit_of_node_infos_holds_both_ways() -> None:
    schema = parse_schema({"type": "object", "properties": {"label": {"dataType": "string", "fieldNumber": 1}}})
    roomy, tight = Native(Lisk10(schema)), Native(Lisk10(schema), max_node_info_bytes=100)
    info = NodeInfo(b"\0\0\0\1", "1.1", "nonce", True, {"label": "x" * 100})
    packed = roomy.encode_node_info(info)
    with pytest.raises(CodecError):
        tight.encode_node_info(info)
    with pytest.raises(CodecError):
        tight.decode_node_info(packed)


def test_an_acknowledgement_tells_its_time() -> None:
    assert PLAIN.accept_ack(Response(1, None, ping_timeout_ms=140_000)) == 140_000
    for packet in (Response(1, None), Response(1, None, malformed=True), Response(1, None, bare=True)):
        with pytest.raises(PacketFault, match="bad_ack"):
            PLAIN.accept_ack(packet)


def test_a_program_sees_the_same_whatever_is_spoken() -> None:
    assert PLAIN.app_payload({"a": 1}) == b'{"a":1}'
    with pytest.raises(Misuse):
        PLAIN.app_payload(object())


def test_it_has_no_keep_alive_of_its_own_and_joins_packets() -> None:
    assert (PLAIN.name, PLAIN.keep_alive_ping, PLAIN.keep_alive_pong) == ("native", None, None)
    assert PLAIN.join is native_packets.join
    assert PLAIN.settle(b"", INFO) is PLAIN
