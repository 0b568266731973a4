"""The dialect of lisk-p2p 0.4 and 0.5: the query of real nodes, and how it is judged."""

from __future__ import annotations

import json
import pickle
from urllib.parse import parse_qs, parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import CloseCode
from core.wire.lisk05 import Lisk05
from core.wire.lisk05.dialect import MAX_OPTIONS_CHARACTERS, MAX_TARGET_CHARACTERS
from core.wire.packets import Message
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery, Refusal
from tests.core.wire.vectors import captured_targets, captures

_DIALECT = Lisk05()
_OWN = NodeInfo(b"\0\0\0\1", "1.1", "0123456789abcdef", network_id="123xyz", version="1.1.1", port=6002)
_OTHER_NETWORK = Refusal(CloseCode.INCOMPATIBLE, "Peer networkId did not match our own")
_OTHER_VERSION = Refusal(CloseCode.INCOMPATIBLE, "Peer has incompatible protocol version")


def _parse(query: str) -> PeerQuery | Refusal:
    return _DIALECT.parse_query(f"/rpc/?{query}", source_ip="127.0.0.1", own_nonce=_OWN.nonce)


def _parameters(target: str) -> dict[str, object]:
    """A query as it is understood: its parameters by name, and the node info in one of them."""
    given_: dict[str, object] = dict(parse_qsl(target.partition("?")[2], keep_blank_values=True, strict_parsing=True))
    return given_ | {"options": json.loads(str(given_["options"]))}


_REAL = [
    target
    for version in ("0.4.2", "0.5.0")
    for name, target in captured_targets(version)
    if name[:4] != "raw_" and name != "readme_config"
]


@pytest.mark.parametrize("target", _REAL)
def test_targets_of_real_nodes_are_read_and_built_again(target: str) -> None:
    query = _DIALECT.parse_query(target, source_ip="127.0.0.1", own_nonce="me")
    assert isinstance(query, PeerQuery)
    assert (query.options["os"], query.chain_id) == ("linux", b"")
    version = parse_qs(target)["version"][0]
    info = NodeInfo(
        b"",
        query.network_version,
        query.nonce,
        query.advertise_address,
        query.options,
        network_id=query.network_id,
        version=version,
    )
    assert _parameters(_DIALECT.request_target(info, query.port)) == _parameters(target)


def test_the_query_of_the_seeds_readme_lacks_a_version() -> None:
    """Two nodes with the configuration of that README cannot connect to each other; ours says why, as they do."""
    (target,) = {target for name, target in captured_targets("0.5.0") if name == "readme_config"}
    refusal = _DIALECT.parse_query(target, source_ip="127.0.0.1", own_nonce="me")
    assert isinstance(refusal, Refusal)
    assert refusal.code == CloseCode.INVALID_QUERY


_GOOD = "version=1.0&networkId=123xyz&protocolVersion=1.1"


@pytest.mark.parametrize(
    ("query", "verdict"),
    [
        (f"{_GOOD}&wsPort=7000", None),
        (f"{_GOOD}&wsPort=7000&port=1&chainID=zz&nethash=x&height=5", None),
        (f"{_GOOD}&wsPort=7000&options=", None),
        ("version=1.0&networkId=123xyz&wsPort=7000", _OTHER_VERSION),
        ("version=1.0&networkId=123xyz&protocolVersion=2.0&wsPort=7000", _OTHER_VERSION),
        ("version=1.0&networkId=123xy&protocolVersion=1.1&wsPort=7000", _OTHER_NETWORK),
        ("version=1.0&networkId=&protocolVersion=1.1&wsPort=7000", _OTHER_NETWORK),
        (f"nonce={_OWN.nonce}", Refusal(CloseCode.OWN_NONCE, "Peer cannot connect to itself")),
    ],
)
def test_queries_are_judged_by_network_id_and_protocol_version(query: str, verdict: Refusal | None) -> None:
    parsed = _parse(query)
    judged = parsed if isinstance(parsed, Refusal) else _DIALECT.check_compatibility(parsed, _OWN)
    assert judged == verdict


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", CloseCode.INVALID_QUERY),
        (_GOOD, CloseCode.INVALID_QUERY),
        ("networkId=123xyz&protocolVersion=1.1&wsPort=1", CloseCode.INVALID_QUERY),
        ("version=1.0&protocolVersion=1.1&wsPort=1", CloseCode.INVALID_QUERY),
        (f"{_GOOD}&wsPort=1&wsPort=1", CloseCode.INVALID_QUERY),
        (f"{_GOOD}&wsPort=1&options=x", CloseCode.INVALID_QUERY),
        (f"{_GOOD}&wsPort=1&options=[]", CloseCode.INVALID_QUERY),
        (f"{_GOOD}&wsPort=1&options=null", CloseCode.INVALID_QUERY),
        (f"{_GOOD}&wsPort=1&options={quote('{' * 5000)}", CloseCode.INVALID_QUERY),
        (f"{_GOOD}&wsPort=1&x={'x' * MAX_TARGET_CHARACTERS}", CloseCode.INVALID_QUERY),
        (f"{_GOOD}&wsPort=0", CloseCode.INVALID_PEER_INFO),
        (f"{_GOOD}&wsPort=1&nonce={'n' * 257}", CloseCode.INVALID_PEER_INFO),
        (f"version=1.0&networkId={'n' * 257}&wsPort=1", CloseCode.INVALID_PEER_INFO),
    ],
)
def test_bad_queries(query: str, code: CloseCode) -> None:
    refusal = _parse(query)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def test_a_query_repeats_a_node_info_only_while_it_is_short() -> None:
    """A listener's HTTP layer takes heads of 16 KiB; node infos of 20 KB come after the handshake."""
    long = NodeInfo(b"", "1.1", "n", options={"text": "x" * MAX_OPTIONS_CHARACTERS}, network_id="123xyz", version="1")
    target = _DIALECT.request_target(long, 6002)
    assert target == "/rpc/?version=1&protocolVersion=1.1&networkId=123xyz&wsPort=6002&advertiseAddress=true&nonce=n"


def test_our_node_info_repeats_the_port() -> None:
    assert json.loads(_DIALECT.encode_node_info(_OWN))["wsPort"] == 6002


def test_node_infos_of_the_recordings() -> None:
    seen = 0
    for version in ("0.4.2", "0.5.0"):
        for _, capture in captures(version):
            for connection in capture["connections"]:
                for event in connection["events"]:
                    if event.get("type") != "text" or '"postNodeInfo"' not in event["text"]:
                        continue
                    packet = _DIALECT.decode_packet(event["text"])
                    if isinstance(packet, Message) and packet.data is not None and packet.data[:1] == b"{":
                        info = _DIALECT.decode_node_info(packet.data)
                        again = json.loads(_DIALECT.encode_node_info(info))
                        assert again == json.loads(packet.data) | {"wsPort": 0, "version": info.version}
                        seen += 1
    assert seen > 40


def test_it_is_made_like_the_others_and_travels_to_other_processes() -> None:
    copy = pickle.loads(pickle.dumps(Lisk05(None, max_node_info_bytes=50)))
    assert (copy.name, copy.path) == ("lisk-0.5", "/rpc/")


_INFOS = st.builds(
    NodeInfo,
    st.just(b""),
    st.text(max_size=20),
    st.text(max_size=20),
    st.booleans(),
    st.dictionaries(st.sampled_from(["os", "height", "\u00e9 &="]), st.integers(0, 2**53) | st.text(max_size=9)),
    network_id=st.text(max_size=20),
)


@given(_INFOS, st.integers(1, 65535))
def test_what_an_opener_says_arrives(info: NodeInfo, port: int) -> None:
    query = _DIALECT.parse_query(_DIALECT.request_target(info, port), source_ip="127.0.0.1", own_nonce="-me-")
    assert isinstance(query, PeerQuery)
    assert (query.port, query.node_info()) == (port, info)
    assert _DIALECT.decode_node_info(_DIALECT.encode_node_info(info)) == info
