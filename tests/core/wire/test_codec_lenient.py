"""The lenient codec against the verdicts of the real one of lisk-p2p 0.7 and 0.8, then against Hypothesis."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.wire import codec
from core.wire.codec import CodecError, CodecLimit, encode
from core.wire.codec_lenient import decode, default
from core.wire.schema import DataType, Field, Schema, parse_schema
from tests.core.wire.vectors import codec_vectors, lenient_vectors, python_value

_VECTORS = codec_vectors()
_LENIENT = lenient_vectors()
_CUSTOM = parse_schema(_VECTORS["generated_with"]["custom_schema"])
_CUSTOM_ALL = parse_schema(_VECTORS["generated_with"]["customAll_schema"])
_NODE_INFO = (
    Field(1, "networkIdentifier", DataType.STRING),
    Field(2, "networkVersion", DataType.STRING),
    Field(3, "nonce", DataType.STRING),
    Field(4, "advertiseAddress", DataType.BOOLEAN),
)
_SCHEMAS = {
    "nodeInfo": Schema(_NODE_INFO),
    "nodeInfo+custom": Schema((*_NODE_INFO, Field(5, "options", _CUSTOM))),
    "peerInfo": Schema((Field(1, "ipAddress", DataType.STRING), Field(2, "port", DataType.UINT32))),
    "peersList": Schema((Field(1, "peers", DataType.BYTES, repeated=True),)),
    "customAll": _CUSTOM_ALL,
    "arrays": parse_schema(_LENIENT["arrays_schema"]),
}


def _shown(value: Any) -> Any:
    """A decoded value in the notation of the file."""
    if isinstance(value, bytes):
        return f"hex:{value.hex()}"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        return {name: _shown(item) for name, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("vector", _VECTORS["decode"], ids=[vector["id"] for vector in _VECTORS["decode"]])
def test_verdicts_are_those_of_lisk_codec_0_3_0(vector: dict[str, Any]) -> None:
    schema, record = _SCHEMAS[vector["schema"]], bytes.fromhex(vector["hex"])
    expected = vector["codec_0.3.0_p2p_0.8.0"]
    if expected["verdict"] == "accept":
        assert decode(schema, record) == python_value(expected["value"])
    else:
        with pytest.raises(CodecError):
            decode(schema, record)


def test_changed_records_are_read_as_by_lisk_codec_0_2_and_0_3() -> None:
    read = rejected = 0
    for case in _LENIENT["cases"]:
        schema, record = _SCHEMAS[case["schema"]], bytes.fromhex(case["hex"])
        if case["value"] is None:
            rejected += 1
            with pytest.raises(CodecError):
                decode(schema, record)
        else:
            read += 1
            assert _shown(decode(schema, record)) == case["value"], case["hex"]
    assert (read, rejected) == (160, 60)


def test_what_nodes_of_that_generation_write() -> None:
    vectors = [vector for vector in _VECTORS["encode"] if vector["dialect"] == "D4"]
    assert [vector["id"] for vector in vectors] == ["o3", "o4", "o5"]
    for vector in vectors:
        record = encode(_SCHEMAS[vector["schema"]], python_value(vector["value"]), normalise=False)
        assert record.hex() == vector["hex"]
        assert decode(_SCHEMAS[vector["schema"]], record) == python_value(vector["decodes_to"])


@pytest.mark.parametrize(
    ("hex_text", "path", "problem"),
    [
        ("0c", "networkIdentifier", "unsupported wire type 4"),
        ("ff", "networkIdentifier", "the data end within a varint"),
        ("0affffffff1f", "networkIdentifier", "expected a varint of at most 32 bits"),
        ("0a8080808080", "networkIdentifier", "expected a varint of at most 32 bits"),
        ("0a0012001a002000", "options", "the data end within a varint"),
    ],
)
def test_what_is_rejected_and_where(hex_text: str, path: str, problem: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode(_SCHEMAS["nodeInfo+custom"], bytes.fromhex(hex_text))
    assert (caught.value.path, caught.value.problem) == (path, problem)


def test_size_and_array_lengths_are_capped() -> None:
    three = encode(_SCHEMAS["peersList"], {"peers": [b"a", b"b", b"c"]})
    assert decode(_SCHEMAS["peersList"], three, max_bytes=len(three), max_items=3) == {"peers": [b"a", b"b", b"c"]}
    with pytest.raises(CodecLimit, match="expected at most 8 bytes, got 9"):
        decode(_SCHEMAS["peersList"], three, max_bytes=8)
    with pytest.raises(CodecLimit, match="peers: expected at most 2 elements"):
        decode(_SCHEMAS["peersList"], three, max_items=2)


def test_a_packed_array_that_claims_to_be_longer_than_memory_is_capped() -> None:
    """lisk-codec reads true for every byte beyond the end, 4,294,967,295 times."""
    flags = Schema((Field(1, "flags", DataType.BOOLEAN, repeated=True),))
    with pytest.raises(CodecLimit, match="flags: expected at most 65536 elements"):
        decode(flags, bytes.fromhex("0affffffff0f"))


def test_defaults_have_their_types() -> None:
    assert [default(kind) for kind in (DataType.STRING, DataType.BYTES, DataType.UINT32)] == ["", b"", 0]
    assert default(DataType.BOOLEAN) is False


@given(st.sampled_from(sorted(_SCHEMAS)), st.binary(max_size=80))
def test_arbitrary_bytes_raise_nothing_but_codec_errors(schema: str, data: bytes) -> None:
    try:
        decode(_SCHEMAS[schema], data)
    except CodecError:
        return


@given(st.sampled_from(sorted(_SCHEMAS)), st.binary(max_size=60))
def test_what_the_strict_codec_reads_the_lenient_one_reads_alike(schema: str, data: bytes) -> None:
    try:
        value = codec.decode(_SCHEMAS[schema], data)
    except CodecError:
        return
    if schema == "peersList":  # an element may have wire type 0 there: only the first byte counts here
        return
    assert decode(_SCHEMAS[schema], data) == value


_OPTIONS = st.fixed_dictionaries(
    {
        "a": st.integers(0, 2**32 - 1),
        "b": st.integers(0, 2**64 - 1),
        "c": st.integers(-(2**31), 2**31 - 1),
        "d": st.integers(-(2**63), 2**63 - 1),
        "e": st.booleans(),
        "f": st.binary(max_size=300),
        "g": st.text(max_size=12),
        "h": st.lists(st.integers(0, 2**32 - 1), max_size=5),
        "i": st.lists(st.text(max_size=12), max_size=5),
        "j": st.fixed_dictionaries({"x": st.integers(0, 2**32 - 1)}),
    }
)


@given(_OPTIONS)
def test_what_is_written_is_read_again_as_it_was(value: dict[str, Any]) -> None:
    assert decode(_CUSTOM_ALL, encode(_CUSTOM_ALL, value, normalise=False)) == value
