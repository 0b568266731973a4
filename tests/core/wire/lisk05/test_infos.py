"""Node infos and peer lists as JSON: those of real nodes, and objects of any shape."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import Endpoint
from core.wire.codec import CodecError, CodecLimit
from core.wire.lisk05 import infos
from core.wire.packets import PacketFault
from core.wire.payloads import NodeInfo

_LIMIT = 20_480
_REAL = (
    '{"os":"linux","version":"1.1.1","protocolVersion":"1.1","networkId":"123xyz","wsPort":14501,"height":7,'
    '"advertiseAddress":true,"nonce":"e0c9f4842f197f9c"}'
)


def _written(info: NodeInfo) -> dict[str, object]:
    written: dict[str, object] = json.loads(infos.to_json(infos.node_info_object(info), _LIMIT))
    return written


def test_a_real_node_info() -> None:
    info = infos.read_node_info(_REAL.encode(), _LIMIT)
    assert (info.network_id, info.network_version, info.version) == ("123xyz", "1.1", "1.1.1")
    assert (info.nonce, info.advertise_address) == ("e0c9f4842f197f9c", True)
    assert info.options == {"os": "linux", "height": 7}
    assert _written(info) == json.loads(_REAL) | {"wsPort": 0}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected a JSON object"),
        ("5", "expected a JSON object"),
        ("[]", "expected a JSON object"),
        ("null", "expected a JSON object"),
        ('"text"', "expected a JSON object"),
        ('{"networkId":5}', "networkId: expected a text, got int"),
        ('{"protocolVersion":["1.1"]}', "protocolVersion: expected a text, got list"),
        ('{"a":' + "[" * 17 + "]" * 17 + "}", "a: expected at most 16 levels"),
        ('{"a":1e999}', "expected a JSON object"),
    ],
)
def test_what_is_no_node_info(text: str, problem: str) -> None:
    with pytest.raises(CodecError, match=problem):
        infos.read_node_info(text.encode(), _LIMIT)


def test_limits_of_a_node_info() -> None:
    with pytest.raises(CodecLimit, match="expected at most 10 bytes"):
        infos.read_node_info(_REAL.encode(), 10)
    with pytest.raises(PacketFault, match="node_info_limit"):
        infos.read_node_info(b'{"networkId":"' + b"n" * 257 + b'"}', _LIMIT)
    with pytest.raises(CodecLimit):
        infos.to_json({"a": "x" * _LIMIT}, _LIMIT)


def test_what_is_missing_is_empty() -> None:
    assert infos.read_node_info(b"{}", _LIMIT) == NodeInfo(b"", "", "")
    assert not infos.read_node_info(b'{"advertiseAddress":false}', _LIMIT).advertise_address
    assert infos.read_node_info(b'{"advertiseAddress":0}', _LIMIT).advertise_address


def test_options_of_a_custom_schema_are_json_too() -> None:
    options = {"height": 2**60, "key": b"\1\2", "list": (1, b""), "nested": {"flag": True}}
    assert _written(NodeInfo(b"", "1.1", "n", options=options)) == {
        "height": 2**60,
        "key": {"base64": True, "data": "AQI="},
        "list": [1, {"base64": True, "data": ""}],
        "nested": {"flag": True},
        "version": "",
        "protocolVersion": "1.1",
        "networkId": "",
        "wsPort": 0,
        "advertiseAddress": True,
        "nonce": "n",
    }


@pytest.mark.parametrize("name", sorted(infos.RESERVED))
def test_options_cannot_take_a_name_of_the_librarys(name: str) -> None:
    with pytest.raises(CodecError, match=f"options.{name}: the name means something else"):
        infos.node_info_object(NodeInfo(b"", "1.1", "n", options={name: 1}))


def test_options_that_json_cannot_hold() -> None:
    with pytest.raises(CodecError, match="JSON"):
        infos.to_json(infos.node_info_object(NodeInfo(b"", "1.1", "n", options={"x": object()})), _LIMIT)


# Peers.


def test_a_real_peer_list() -> None:
    text = (
        b'{"success":true,"peers":[{"ipAddress":"127.0.0.1","wsPort":40002},{"ipAddress":"127.0.0.1","wsPort":14502,'
        b'"height":7,"os":"linux","version":"1.1.1","networkId":"123xyz","nonce":"39cc6bd86af236cf"}]}'
    )
    peers = (Endpoint("127.0.0.1", 40002), Endpoint("127.0.0.1", 14502))
    assert infos.decode_peers(text) == peers
    assert infos.encode_peers(peers) == (
        b'{"success":true,"peers":[{"ipAddress":"127.0.0.1","wsPort":40002},{"ipAddress":"127.0.0.1","wsPort":14502}]}'
    )


@pytest.mark.parametrize(
    "entry",
    [
        "5",
        "null",
        "{}",
        '{"ipAddress":"1.2.3.4"}',
        '{"ipAddress":"1.2.3.4","wsPort":0}',
        '{"ipAddress":"1.2.3.4","wsPort":65536}',
        '{"ipAddress":"1.2.3.4","wsPort":-1}',
        '{"ipAddress":"1.2.3.4","wsPort":1.5}',
        '{"ipAddress":"1.2.3.4","wsPort":"5x"}',
        '{"ipAddress":"1.2.3.4","wsPort":"999999"}',
        '{"ipAddress":"seed.example.org","wsPort":5001}',
        '{"ipAddress":"fe80::1%eth0","wsPort":5001}',
        '{"ipAddress":7,"wsPort":5001}',
        '{"ipAddress":"2001:db8::1","wsPort":5001}',
    ],
)
def test_an_entry_that_cannot_be_used_is_left_out(entry: str) -> None:
    """A real node checks little of what it passes on: whoever sends it need not be its author."""
    text = f'{{"success":true,"peers":[{entry},{{"ipAddress":"1.2.3.4","wsPort":1}}]}}'
    assert infos.decode_peers(text.encode()) == (Endpoint("1.2.3.4", 1),)


def test_entries_that_real_nodes_pass_on_and_we_can_use() -> None:
    text = b'{"peers":[{"ipAddress":"1.2.3.4","wsPort":"5001"},{"ipAddress":"::ffff:1.2.3.5","wsPort":5001}]}'
    assert infos.decode_peers(text) == (Endpoint("1.2.3.4", 5001), Endpoint("1.2.3.5", 5001))


def test_real_nodes_are_not_told_addresses_that_they_fail_on() -> None:
    peers = [Endpoint("2001:db8::1", 1), Endpoint("1.2.3.4", 2)]
    assert infos.decode_peers(infos.encode_peers(peers)) == (Endpoint("1.2.3.4", 2),)


@pytest.mark.parametrize("text", [b"", b"5", b"{}", b'{"peers":{}}', b'{"peers":null}', b"[]", b'{"peers":[\xff]}'])
def test_what_is_no_list(text: bytes) -> None:
    if text == b'{"peers":[\xff]}':
        with pytest.raises(CodecError):
            infos.decode_peers(text)
    else:
        with pytest.raises(CodecError, match="peers: expected a list"):
            infos.decode_peers(text)


def test_a_list_of_a_thousand_and_not_more() -> None:
    """What this generation answers at most, whatever the limit of later ones."""
    peers = [Endpoint("1.2.3.4", 1 + number) for number in range(1001)]
    full = infos.encode_peers(peers)
    assert infos.decode_peers(full, 200) == tuple(peers[:1000])
    longer = full[:-2] + b',{"ipAddress":"1.2.3.4","wsPort":1}]}'
    with pytest.raises(PacketFault, match="too_many_peers"):
        infos.decode_peers(longer, 200)
    assert len(infos.decode_peers(longer, 1001)) == 1001


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_arbitrary_bytes_raise_nothing_but_the_two_errors(data: bytes) -> None:
    for decode in (infos.decode_peers, lambda text: infos.read_node_info(text, _LIMIT)):
        try:
            decode(data)
        except (CodecError, PacketFault):
            continue
