"""An opener that speaks several generations: what it says, and how it finds out what the listener speaks."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import CloseCode
from core.wire.dialect import Dialect
from core.wire.generations import AnyGeneration
from core.wire.lisk05 import Lisk05
from core.wire.lisk07 import Lisk07
from core.wire.lisk10 import Lisk10
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery, Refusal
from core.wire.schema import parse_schema
from tests.core.wire.vectors import captured_texts, codec_vectors, superset_probe

_NETWORK = "11111111111111112222222222222222"
_OWN = NodeInfo(
    b"\0\0\0\1", "1.1", "supersetnonce001", network_identifier=_NETWORK, network_id="123xyz", version="1.1.1", port=7001
)
_GENERATIONS: tuple[Dialect, ...] = (Lisk10(), Lisk07(), Lisk05())
_ANY = AnyGeneration(_GENERATIONS)
_CUSTOM = parse_schema(codec_vectors()["generated_with"]["custom_schema"])


def _pushed(data: str) -> bytes:
    return f'{{"event":"remote-message","data":{{"event":"postNodeInfo","data":{data}}}}}'.encode()


def _record(record: bytes) -> bytes:
    return _pushed(json.dumps(base64.b64encode(record).decode()))


# The query.


def test_the_query_is_the_union_of_all_generations() -> None:
    target = _ANY.request_target(_OWN, 7001)
    pairs = parse_qsl(target.partition("?")[2], strict_parsing=True)
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names))
    given_ = dict(pairs)
    options = json.loads(given_.pop("options"))
    assert given_ == {
        "networkVersion": "1.1",
        "chainID": "00000001",
        "nonce": "supersetnonce001",
        "advertiseAddress": "true",
        "port": "7001",
        "networkIdentifier": _NETWORK,
        "version": "1.1.1",
        "protocolVersion": "1.1",
        "networkId": "123xyz",
        "wsPort": "7001",
    }
    assert (options["networkId"], options["wsPort"]) == ("123xyz", 7001)


@pytest.mark.parametrize("dialect", _GENERATIONS, ids=lambda dialect: dialect.name)
def test_every_generation_reads_itself_out_of_it(dialect: Dialect) -> None:
    query = dialect.parse_query(_ANY.request_target(_OWN, 7001), source_ip="1.2.3.4", own_nonce="me")
    assert isinstance(query, PeerQuery)
    assert query.port == 7001
    assert (
        dialect.check_compatibility(
            query, NodeInfo(b"\0\0\0\1", "1.1", "me", network_identifier=_NETWORK, network_id="123xyz")
        )
        is None
    )


def test_only_the_networks_that_are_spoken_are_named() -> None:
    target = AnyGeneration((Lisk10(), Lisk07())).request_target(_OWN, 7001)
    assert "networkIdentifier=" in target
    assert "networkId=" not in target


# The first packet.


def test_what_real_listeners_answer_to_the_union_query() -> None:
    """A recording of every version, asked with a query of our kind."""
    settled = {}
    for result in superset_probe()["results"]:
        frames = next((attempt["frames"] for attempt in result["attempts"] if attempt.get("frames")), [])
        dialect: Dialect = _ANY
        for frame in frames:
            if dialect is _ANY:
                dialect = dialect.settle(frame.encode(), _OWN)
        settled[result["version"]] = dialect.name
    spoken = {version: name for version, name in settled.items() if version not in ("0.1.0", "0.3.7", "0.6.0")}
    assert spoken == {
        "0.4.2": "lisk-0.5",
        "0.5.0": "lisk-0.5",
        "0.6.2": "lisk-0.7",
        "0.7.3": "lisk-0.7",
        "0.8.0": "lisk-0.7",
        "0.9.0": "lisk-0.10",
        "0.10.0": "lisk-0.10",
    }


@pytest.mark.parametrize(
    ("version", "name"), [("0.4.2", "lisk-0.5"), ("0.5.0", "lisk-0.5"), ("0.7.3", "lisk-0.7"), ("0.10.0", "lisk-0.10")]
)
def test_pushed_node_infos_of_the_recordings_tell(version: str, name: str) -> None:
    texts = [text for case, text in captured_texts(version) if '"postNodeInfo"' in text and "incompat" not in case]
    assert len(texts) > 10
    for text in texts:
        if '"999other"' not in text:
            assert _ANY.settle(text.encode(), _OWN).name == name, text


def test_a_record_is_told_by_its_value_not_by_its_shape() -> None:
    """Each of the two decodes as the other."""
    ten, seven = Lisk10().encode_node_info(_OWN), Lisk07().encode_node_info(_OWN)
    assert _ANY.settle(_record(ten), _OWN).name == "lisk-0.10"
    assert _ANY.settle(_record(seven), _OWN).name == "lisk-0.7"
    options = NodeInfo(b"\0\0\0\1", "1.1", "n", options={"height": 1, "label": "x"}, network_identifier=_NETWORK)
    assert _ANY.settle(_record(Lisk07(_CUSTOM).encode_node_info(options)), _OWN).name == "lisk-0.7"
    assert _ANY.settle(_record(Lisk10(_CUSTOM).encode_node_info(options)), _OWN).name == "lisk-0.10"


@pytest.mark.parametrize(
    "payload",
    [
        b"#1",
        b"\xff",
        b"{",
        b'{"event":"#disconnect","data":{"code":4104,"data":"Peer chainID did not match our own"}}',
        b'{"event":"rpc-request","data":{"procedure":"getNodeInfo"},"cid":1}',
        b'{"event":"remote-message","data":{"event":"other","data":{}}}',
        b'{"event":"remote-message","data":{"event":"postNodeInfo"}}',
        _pushed("5"),
        _pushed("null"),
        _pushed("[]"),
    ],
)
def test_what_tells_nothing(payload: bytes) -> None:
    assert _ANY.settle(payload, _OWN) is _ANY


@pytest.mark.parametrize(
    "payload",
    [
        b'{"rid":1,"data":{"id":"x","pingTimeout":20000,"isAuthenticated":false}}',
        b'{"rid":1}',
        b'{"rid":1,"error":{"message":"no"}}',
        _pushed('"!!"'),
        _pushed('"0a20"'),
        _record(b"\xff"),
        _record(Lisk07().encode_node_info(NodeInfo(b"", "1.1", "n", network_identifier="other"))),
    ],
)
def test_who_cannot_be_told_is_taken_for_the_newest(payload: bytes) -> None:
    assert _ANY.settle(payload, _OWN) is _GENERATIONS[0]


def test_a_generation_that_is_not_spoken_is_not_chosen() -> None:
    newest = AnyGeneration((_GENERATIONS[0],))
    assert newest.settle(_pushed("{}"), _OWN) is newest
    assert newest.settle(_record(Lisk07().encode_node_info(_OWN)), _OWN) is _GENERATIONS[0]


def test_until_then_nothing_is_said_that_differs() -> None:
    """What an opener may have to say before it knows is the same in all generations."""
    assert len({dialect.encode_handshake(1) for dialect in (*_GENERATIONS, _ANY)}) == 1
    assert len({dialect.keep_alive_pong for dialect in (*_GENERATIONS, _ANY)}) == 1
    assert len({dialect.encode_disconnect(1000, "x") for dialect in (*_GENERATIONS, _ANY)}) == 1
    assert len({dialect.path for dialect in (*_GENERATIONS, _ANY)}) == 1


@given(st.binary(max_size=60) | st.binary(max_size=60).map(_record))
def test_nothing_that_arrives_raises(payload: bytes) -> None:
    assert _ANY.settle(payload, _OWN) in (_ANY, *_GENERATIONS)


def test_refusals_name_each_generations_own_word() -> None:
    stranger = NodeInfo(b"\2", "1.1", "s", network_identifier="x", network_id="y", version="1")
    words = []
    for dialect in _GENERATIONS:
        query = dialect.parse_query(dialect.request_target(stranger, 1), source_ip="1.2.3.4", own_nonce="me")
        assert isinstance(query, PeerQuery)
        refusal = dialect.check_compatibility(query, _OWN)
        assert isinstance(refusal, Refusal)
        assert refusal.code == CloseCode.INCOMPATIBLE
        words.append(refusal.reason.split()[1])
    assert words == ["chainID", "networkIdentifier", "networkId"]
