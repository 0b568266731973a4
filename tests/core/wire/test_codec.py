"""lisk-codec against vectors of the real one, then against whatever Hypothesis can think of."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.wire import codec
from core.wire.codec import CodecError, CodecLimit, decode, encode
from core.wire.schema import DataType, Field, Schema, parse_schema
from tests.core.wire.vectors import codec_vectors, python_value

_VECTORS = codec_vectors()
_CUSTOM = parse_schema(_VECTORS["generated_with"]["custom_schema"])
_CUSTOM_ALL = parse_schema(_VECTORS["generated_with"]["customAll_schema"])
_NODE_INFO = (
    Field(1, "chainID", DataType.BYTES),
    Field(2, "networkVersion", DataType.STRING),
    Field(3, "nonce", DataType.STRING),
    Field(4, "advertiseAddress", DataType.BOOLEAN),
)
_SCHEMAS = {
    "nodeInfo": Schema(_NODE_INFO),
    "nodeInfo+custom": Schema((*_NODE_INFO, Field(5, "options", _CUSTOM))),
    "nodeInfo+customAll": Schema((*_NODE_INFO, Field(5, "options", _CUSTOM_ALL))),
    "peerInfo": Schema((Field(1, "ipAddress", DataType.STRING), Field(2, "port", DataType.UINT32))),
    "peersList": Schema((Field(1, "peers", DataType.BYTES, repeated=True),)),
}
_D5 = [vector for vector in _VECTORS["encode"] if vector["dialect"] == "D5"]
_READABLE = [vector for vector in _D5 if "decode_error" not in vector and "encode_error" not in vector]
_UNREADABLE = [vector for vector in _D5 if "decode_error" in vector or "encode_error" in vector]
_EVERYTHING = _SCHEMAS["nodeInfo+customAll"]


def _ids(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["id"] for vector in vectors]


def test_the_vectors_are_there() -> None:
    assert len(_READABLE) == 19
    assert _ids(_UNREADABLE) == ["n9", "n11", "n12", "c3", "c4", "p15"]
    assert len(_VECTORS["decode"]) == 42


@pytest.mark.parametrize("vector", _READABLE, ids=_ids(_READABLE))
def test_encodes_byte_for_byte(vector: dict[str, Any]) -> None:
    schema = _SCHEMAS[vector["schema"]]
    record = encode(schema, python_value(vector["value"]))
    assert record.hex() == vector.get("hex", "")
    decoded = decode(schema, record)
    if "decodes_to" in vector:
        assert decoded == python_value(vector["decodes_to"])
    assert encode(schema, decoded) == record


@pytest.mark.parametrize("vector", _UNREADABLE, ids=_ids(_UNREADABLE))
def test_refuses_to_write_what_nobody_could_read(vector: dict[str, Any]) -> None:
    schema = _SCHEMAS[vector["schema"]]
    with pytest.raises(CodecError):
        encode(schema, python_value(vector["value"]))
    if "hex" in vector:
        with pytest.raises(CodecError):
            decode(schema, bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize("vector", _VECTORS["decode"], ids=_ids(_VECTORS["decode"]))
def test_verdicts_are_those_of_lisk_codec_0_5_0(vector: dict[str, Any]) -> None:
    schema, record = _SCHEMAS[vector["schema"]], bytes.fromhex(vector["hex"])
    expected = vector["codec_0.5.0_p2p_0.10.0"]
    if expected["verdict"] == "accept":
        assert decode(schema, record) == python_value(expected["value"])
    else:
        with pytest.raises(CodecError):
            decode(schema, record)


def test_rejections_name_the_field() -> None:
    for hex_text, path, problem in [
        ("0a0400000001", "networkVersion", "the field is missing"),
        ("1203312e31", "chainID", "expected field 1, got field 2"),
        ("0800", "chainID", "wrong wire type 0"),
        ("0a00120031", "nonce", "unsupported wire type 1"),
        ("0a05", "chainID", "expected the value to end at byte 2 or before, it ends at byte 7"),
        ("8a0000", "chainID", "expected a varint in shortest form"),
        ("ff", "chainID", "the data end within a varint"),
        ("0a0012001a00200000", "", "expected the record to end at byte 9, its fields end at byte 8"),
        ("0a0012001a002002", "advertiseAddress", "expected one byte, 00 or 01"),
        ("0a001201ff", "networkVersion", "expected UTF-8 text"),
        ("0a00120365cc81", "networkVersion", "expected text in Unicode normal form C"),
    ]:
        with pytest.raises(CodecError) as caught:
            decode(_SCHEMAS["nodeInfo"], bytes.fromhex(hex_text))
        assert (caught.value.path, caught.value.problem) == (path, problem)


def test_a_problem_within_nested_values_is_placed() -> None:
    value = python_value(next(vector["value"] for vector in _D5 if vector["id"] == "c5"))
    value["options"]["h"][1] = -1
    with pytest.raises(CodecError, match=r"^options\.h\[1\]: expected an integer from 0 to 4294967295$"):
        encode(_EVERYTHING, value)
    value["options"]["h"][1] = 1
    value["options"]["j"]["x"] = 2**32
    with pytest.raises(CodecError, match=r"^options\.j\.x: expected an integer"):
        encode(_EVERYTHING, value)


@pytest.mark.parametrize(
    ("data_type", "low", "high"),
    [
        (DataType.UINT32, 0, 2**32 - 1),
        (DataType.UINT64, 0, 2**64 - 1),
        (DataType.SINT32, -(2**31), 2**31 - 1),
        (DataType.SINT64, -(2**63), 2**63 - 1),
    ],
)
def test_integers_reach_their_bounds_and_not_beyond(data_type: DataType, low: int, high: int) -> None:
    schema = Schema((Field(1, "x", data_type),))
    for value in (low, low + 1, -1 if low else 1, 0, 1, 127, 128, high - 1, high):
        assert decode(schema, encode(schema, {"x": value})) == {"x": value}
    for value in (low - 1, high + 1):
        with pytest.raises(CodecError, match=f"expected an integer from {low} to {high}"):
            encode(schema, {"x": value})


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        (Field(1, "x", DataType.UINT32), True, "x: expected an integer, got bool"),
        (Field(1, "x", DataType.UINT32), "1", "x: expected an integer, got str"),
        (Field(1, "x", DataType.BOOLEAN), 1, "x: expected True or False, got int"),
        (Field(1, "x", DataType.STRING), b"a", "x: expected a text, got bytes"),
        (Field(1, "x", DataType.STRING), "\ud800", "x: expected valid Unicode text"),
        (Field(1, "x", DataType.BYTES), "a", "x: expected bytes, got str"),
        (Field(1, "x", _CUSTOM), 5, "x: expected an object, got int"),
        (Field(1, "x", _CUSTOM), {"height": 1}, "x.label: the property is missing"),
        (Field(1, "x", _CUSTOM), {"hight": 1}, "x.hight: no such property in the schema"),
        (Field(1, "x", DataType.UINT32, repeated=True), 5, "x: expected a list, got int"),
        (Field(1, "x", DataType.STRING, repeated=True), "abc", "x: expected a list, got str"),
        (Field(1, "x", DataType.STRING, repeated=True), ["a", 5], "x[1]: expected a text, got int"),
    ],
)
def test_wrong_values_are_refused_by_name(field: Field, value: object, problem: str) -> None:
    with pytest.raises(CodecError) as caught:
        encode(Schema((field,)), {"x": value})
    assert str(caught.value) == problem


@pytest.mark.parametrize("field_number", [1, 15, 16, 17, 31, 32, 2047, 2048, 18999])
def test_keys_of_one_to_three_bytes(field_number: int) -> None:
    schema = Schema(
        (Field(field_number, "s", DataType.STRING, repeated=True), Field(field_number + 1, "b", DataType.BOOLEAN))
    )
    value = {"s": ["", "a"], "b": True}
    assert decode(schema, encode(schema, value)) == value


def test_array_elements_may_have_wire_type_0_in_their_key() -> None:
    assert decode(_SCHEMAS["peersList"], bytes.fromhex("08020000" + "0a0100")) == {"peers": [b"\0\0", b"\0"]}


_PACKED = Schema(
    (
        Field(1, "flags", DataType.BOOLEAN, repeated=True),
        Field(2, "numbers", DataType.SINT64, repeated=True),
        Field(3, "end", DataType.BOOLEAN),
    )
)


def test_packed_arrays() -> None:
    value = {"flags": [True, False, True], "numbers": [0, -1, 300], "end": False}
    assert encode(_PACKED, value).hex() == "0a03010001" + "12040001d804" + "1800"
    assert decode(_PACKED, encode(_PACKED, value)) == value
    empty = {"flags": [], "numbers": [], "end": True}
    assert encode(_PACKED, empty).hex() == "1801"
    assert decode(_PACKED, bytes.fromhex("1801")) == empty
    with pytest.raises(CodecError, match="end: the field is missing"):
        decode(_PACKED, b"")


@pytest.mark.parametrize(
    ("hex_text", "problem"),
    [
        ("08011800", "flags: wrong wire type 0"),
        ("0a0102" + "1800", "flags: expected one byte, 00 or 01"),
        ("120180" + "1800", "numbers: the data end within a varint"),
        ("1205ffffffffff" + "1800", "numbers: the data end within a varint"),
        ("120affffffffffffffffff7f" + "1800", "numbers: expected a varint of at most 64 bits"),
        ("120bffffffffffffffffff8001" + "1800", "numbers: expected a varint of at most 64 bits"),
        ("1220001800", "numbers: expected the value to end at byte 5 or before, it ends at byte 34"),
    ],
)
def test_broken_packed_arrays(hex_text: str, problem: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode(_PACKED, bytes.fromhex(hex_text))
    assert str(caught.value) == problem


def test_size_and_array_lengths_are_capped() -> None:
    schema = _SCHEMAS["peersList"]
    three = encode(schema, {"peers": [b"a", b"b", b"c"]})
    assert decode(schema, three, max_bytes=len(three), max_items=3) == {"peers": [b"a", b"b", b"c"]}
    with pytest.raises(CodecLimit, match="expected at most 8 bytes, got 9"):
        decode(schema, three, max_bytes=8)
    with pytest.raises(CodecLimit, match="peers: expected at most 2 elements"):
        decode(schema, three, max_items=2)
    with pytest.raises(CodecLimit, match="flags: expected at most 2 elements"):
        decode(_PACKED, bytes.fromhex("0a03010101" + "1800"), max_items=2)


def test_errors_cross_process_borders() -> None:
    for error in (CodecError("a.b", "missing"), CodecLimit("", "too long")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), copy.path, copy.problem, str(copy)) == (
            type(error),
            error.path,
            error.problem,
            str(error),
        )


# Properties.

_NFC_TEXT = st.text(max_size=12)
_OPTIONS = st.fixed_dictionaries(
    {
        "a": st.integers(0, 2**32 - 1),
        "b": st.integers(0, 2**64 - 1),
        "c": st.integers(-(2**31), 2**31 - 1),
        "d": st.integers(-(2**63), 2**63 - 1),
        "e": st.booleans(),
        "f": st.binary(max_size=300),
        "g": _NFC_TEXT,
        "h": st.lists(st.integers(0, 2**32 - 1), max_size=5),
        "i": st.lists(_NFC_TEXT, max_size=5),
        "j": st.fixed_dictionaries({"x": st.integers(0, 2**32 - 1)}),
    }
)
_NODE_INFOS = st.fixed_dictionaries(
    {
        "chainID": st.binary(max_size=40),
        "networkVersion": _NFC_TEXT,
        "nonce": _NFC_TEXT,
        "advertiseAddress": st.booleans(),
        "options": _OPTIONS,
    }
)


@given(_NODE_INFOS)
def test_what_is_encoded_decodes_to_the_same_record(value: dict[str, Any]) -> None:
    record = encode(_EVERYTHING, value)
    decoded = decode(_EVERYTHING, record)
    assert encode(_EVERYTHING, decoded) == record
    for name in "abcdefhj":
        assert decoded["options"][name] == value["options"][name]  # type: ignore[index, call-overload]


@given(st.sampled_from(sorted(_SCHEMAS)), st.binary(max_size=80))
def test_arbitrary_bytes_raise_nothing_but_codec_errors(schema: str, data: bytes) -> None:
    try:
        decoded = decode(_SCHEMAS[schema], data)
    except CodecError:
        return
    assert decode(_SCHEMAS[schema], encode(_SCHEMAS[schema], decoded)) == decoded


@given(_NODE_INFOS, st.data())
def test_one_changed_byte_is_rejected_or_gives_a_valid_record(value: dict[str, Any], data: st.DataObject) -> None:
    record = bytearray(encode(_EVERYTHING, value))
    at = data.draw(st.integers(0, len(record) - 1))
    record[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode(_EVERYTHING, bytes(record))
    except CodecError:
        return
    assert len(encode(_EVERYTHING, decoded)) <= len(record)


@given(_NODE_INFOS, st.data())
def test_a_cut_record_is_rejected(value: dict[str, Any], data: st.DataObject) -> None:
    record = encode(_EVERYTHING, value)
    with pytest.raises(CodecError):
        decode(_EVERYTHING, record[: data.draw(st.integers(0, len(record) - 1))])


def test_the_default_cap_is_the_largest_message() -> None:
    schema = Schema((Field(1, "x", DataType.BYTES),))
    with pytest.raises(CodecLimit):
        decode(schema, bytes(codec.MAX_BYTES + 1))
