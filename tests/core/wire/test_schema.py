"""Reading lisk-style JSON schemas."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from core.wire.schema import (
    MAX_DEPTH,
    MAX_FIELDS,
    DataType,
    Field,
    Schema,
    SchemaError,
    parse_schema,
    read_hex,
)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = _object(leaf={"dataType": "uint32", "fieldNumber": 1})
    for _ in range(levels - 1):
        schema = _object(child={**schema, "fieldNumber": 1})
    return schema


def test_reads_scalars_objects_and_arrays_in_order_of_their_numbers() -> None:
    source = {
        "$id": "/custom",
        "type": "object",
        "required": ["height"],
        "properties": {
            "tags": {"type": "array", "fieldNumber": 3, "items": {"dataType": "string", "minLength": 1}},
            "height": {"dataType": "uint32", "fieldNumber": 1, "maximum": 10},
            "points": {"type": "array", "fieldNumber": 9, "items": _object(x={"dataType": "sint32", "fieldNumber": 1})},
            "head": {"type": "object", "fieldNumber": 2, "properties": {"id": {"dataType": "bytes", "fieldNumber": 1}}},
        },
    }
    assert parse_schema(source) == Schema(
        (
            Field(1, "height", DataType.UINT32),
            Field(2, "head", Schema((Field(1, "id", DataType.BYTES),))),
            Field(3, "tags", DataType.STRING, repeated=True),
            Field(9, "points", Schema((Field(1, "x", DataType.SINT32),)), repeated=True),
        )
    )


@pytest.mark.parametrize("name", [data_type.value for data_type in DataType])
def test_reads_every_data_type(name: str) -> None:
    (field,) = parse_schema(_object(x={"dataType": name, "fieldNumber": 1})).fields
    assert field.type is DataType(name)


def test_a_schema_crosses_process_borders() -> None:
    schema = parse_schema(_nested(3))
    assert pickle.loads(pickle.dumps(schema)) == schema


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (5, "schema: expected an object, got 5"),
        (None, "schema: expected an object, got nothing"),
        ([], "schema: expected an object, got list"),
        ({}, "schema.type: expected 'object', got nothing"),
        ({"type": "array"}, "schema.type: expected 'object', got 'array'"),
        ({"type": "object"}, "schema.properties: expected an object, got nothing"),
        ({"type": "object", "properties": {}}, "schema.properties: expected at least one property"),
        (_object(**{"": {}}), "schema.properties: expected names of 1 to 128 characters, got ''"),
        ({"type": "object", "properties": {1: {}}}, "schema.properties: expected names of 1 to 128 characters, got 1"),
        (_object(a=1), "schema.properties.a: expected an object, got 1"),
        (_object(a={}), "schema.properties.a.fieldNumber: expected an integer from 1 to 18999, got nothing"),
        (_object(a={"fieldNumber": True}), "a.fieldNumber: expected an integer from 1 to 18999, got True"),
        (_object(a={"fieldNumber": 0}), "a.fieldNumber: expected an integer from 1 to 18999, got 0"),
        (_object(a={"fieldNumber": 19000}), "a.fieldNumber: expected an integer from 1 to 18999, got 19000"),
        (_object(a={"fieldNumber": 1}), "a.type: expected 'object', got nothing"),
        (_object(a={"fieldNumber": 1, "dataType": "float"}), "a.dataType: expected one of uint32, uint64, sint32"),
        (_object(a={"fieldNumber": 1, "dataType": []}), "a.dataType: expected one of uint32, uint64, sint32"),
        (_object(a={"fieldNumber": 1, "dataType": "x" * 999}), "x" * 60 + "'"),
        (_object(a={"fieldNumber": 10**99, "dataType": "x"}), "1" + "0" * 79 + "..."),
        (_object(a={"fieldNumber": 1, "type": "string", "dataType": "string"}), "a: expected either 'type' or"),
        (_object(a={"fieldNumber": 1, "type": "array"}), "a.items: expected an object, got nothing"),
        (_object(a={"fieldNumber": 1, "type": "array", "items": {"type": "array"}}), "a.items.type: expected 'object'"),
        (
            _object(a={"fieldNumber": 2, "dataType": "bytes"}, b={"fieldNumber": 2, "dataType": "bytes"}),
            "schema.properties.b.fieldNumber: 2 is also the number of 'a'",
        ),
        ({**_nested(1), "required": "leaf"}, "schema.required: expected a list of property names, got 'leaf'"),
        ({**_nested(1), "required": ["leave"]}, "schema.required: expected names of properties, got 'leave'"),
        ({**_nested(1), "required": [1]}, "schema.required: expected names of properties, got 1"),
        (_nested(MAX_DEPTH + 1), f"expected at most {MAX_DEPTH} levels of objects"),
        (
            _object(**{f"p{i}": {"dataType": "bytes", "fieldNumber": i + 1} for i in range(MAX_FIELDS + 1)}),
            f"schema.properties.p{MAX_FIELDS}: expected at most {MAX_FIELDS} fields in all",
        ),
    ],
)
def test_a_wrong_schema_is_refused_with_place_and_expectation(source: Any, problem: str) -> None:
    with pytest.raises(SchemaError) as caught:
        parse_schema(source)
    assert problem in str(caught.value)


def test_the_deepest_and_the_widest_schema_allowed() -> None:
    assert parse_schema(_nested(MAX_DEPTH)).fields[0].name == "child"
    wide = _object(**{f"p{i}": {"dataType": "bytes", "fieldNumber": i + 1} for i in range(MAX_FIELDS)})
    assert len(parse_schema(wide).fields) == MAX_FIELDS


@pytest.mark.parametrize(
    "fields",
    [
        (Field(2, "a", DataType.BYTES), Field(1, "b", DataType.BYTES)),
        (Field(1, "a", DataType.BYTES), Field(1, "b", DataType.BYTES)),
        (Field(1, "a", DataType.BYTES), Field(2, "a", DataType.BYTES)),
    ],
)
def test_fields_out_of_order_or_with_equal_names_are_refused(fields: tuple[Field, ...]) -> None:
    with pytest.raises(SchemaError):
        Schema(fields)


def test_hex_text_is_read_where_bytes_are_wanted_and_nowhere_else() -> None:
    schema = parse_schema(
        _object(
            id={"dataType": "bytes", "fieldNumber": 1},
            name={"dataType": "string", "fieldNumber": 2},
            many={"type": "array", "fieldNumber": 3, "items": {"dataType": "bytes"}},
            deep={
                "type": "object",
                "fieldNumber": 4,
                "properties": {"id": {"dataType": "bytes", "fieldNumber": 1}},
            },
        )
    )
    value = {"id": "00ff", "name": "00ff", "many": ("", b"\x01", "02"), "deep": {"id": "0a"}, "other": "0b"}
    assert read_hex(schema, value) == {
        "id": b"\x00\xff",
        "name": "00ff",
        "many": [b"", b"\x01", b"\x02"],
        "deep": {"id": b"\x0a"},
        "other": "0b",
    }
    assert read_hex(schema, {"id": 7, "deep": 7, "many": 7}) == {"id": 7, "deep": 7, "many": 7}
    for wrong, place in (({"id": "zz"}, "id"), ({"deep": {"id": "0"}}, "deep.id"), ({"many": ["01", "x"]}, "many[1]")):
        with pytest.raises(SchemaError, match="expected bytes as hex text") as caught:
            read_hex(schema, wrong)
        assert str(caught.value).startswith(f"{place}: ")
