"""Schemas of lisk-codec records: which fields a record has, in which order, of which type.

Source: the JSON schemas that lisk-p2p takes as ``customNodeInfoSchema`` (LIP 0027 describes the format). A schema is
what the decoders walk, so its size bounds what a hostile record can make them do: fields and depth are capped.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

MAX_FIELD_NUMBER = 18999
"""Largest field number (LIP 0027; protocol buffers reserve those from 19000 on)."""

MAX_DEPTH = 8
"""Objects within objects in a schema that is read from configuration."""

MAX_FIELDS = 256
"""Fields of a schema that is read from configuration, nested ones included."""

MAX_NAME_CHARACTERS = 128
"""Longest property name."""


class DataType(enum.Enum):
    """Scalar types; values are the ``dataType`` texts of lisk-codec."""

    UINT32 = "uint32"
    UINT64 = "uint64"
    SINT32 = "sint32"
    SINT64 = "sint64"
    BOOLEAN = "boolean"
    STRING = "string"
    BYTES = "bytes"


class SchemaError(ValueError):
    """A schema that cannot be used; the text says where, what, and what was expected."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: ``number`` on the wire, ``name`` in Python, scalar type or nested schema; ``repeated`` for arrays."""

    number: int
    name: str
    type: DataType | Schema
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of a record in ascending order of their numbers. Raises SchemaError for numbers out of order."""

    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        numbers = [field.number for field in self.fields]
        if numbers != sorted(set(numbers)):
            raise SchemaError(f"expected distinct field numbers in ascending order, got {numbers}")
        if len({field.name for field in self.fields}) != len(numbers):
            raise SchemaError("expected distinct field names")


def parse_schema(source: Mapping[str, object]) -> Schema:
    """Return the schema that a lisk-style JSON schema describes.

    ``{"$id": "/x", "type": "object", "properties": {"height": {"dataType": "uint32", "fieldNumber": 1}, ...}}``

    Properties are scalars (``dataType``), objects (``type: object`` with ``properties``) or arrays of either
    (``type: array`` with ``items``). Keywords that only restrict values (``maximum``, ``minLength``, ...) do not change
    the encoding and are ignored, as lisk-codec ignores them. Raises SchemaError with the place of the first problem.
    """
    reader = _Reader()
    return reader.read_object(source, "schema", 1)


def read_hex(schema: Schema, value: Mapping[str, object], place: str = "") -> dict[str, object]:
    """Return ``value`` with hex text read as bytes where the schema wants bytes: a configuration file has no bytes.

    Everything else is left as it is, for the codec to judge. Raises SchemaError for text that is not hex.
    """
    kinds = {field.name: field.type for field in schema.fields}
    return {
        name: _read_hex(kinds[name], item, f"{place}.{name}".lstrip(".")) if name in kinds else item
        for name, item in value.items()
    }


def _read_hex(kind: DataType | Schema, value: object, place: str) -> object:
    if isinstance(value, list | tuple):
        return [_read_hex(kind, item, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(kind, Schema):
        return read_hex(kind, value, place) if isinstance(value, Mapping) else value
    if kind is not DataType.BYTES or not isinstance(value, str):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise SchemaError(f"{place}: expected bytes as hex text, got {_show(value)}") from None


class _Reader:
    """One pass over a JSON schema; counts the fields of all levels."""

    def __init__(self) -> None:
        self._fields = 0

    def read_object(self, source: object, place: str, depth: int) -> Schema:
        if depth > MAX_DEPTH:
            raise SchemaError(f"{place}: expected at most {MAX_DEPTH} levels of objects")
        mapping = _mapping(source, place)
        if mapping.get("type") != "object":
            raise SchemaError(f"{place}.type: expected 'object', got {_show(mapping.get('type'))}")
        properties = _mapping(mapping.get("properties"), f"{place}.properties")
        if not properties:
            raise SchemaError(f"{place}.properties: expected at least one property")
        _check_required(mapping.get("required", ()), properties, f"{place}.required")
        fields: dict[int, Field] = {}
        for name, description in properties.items():
            field = self._read_field(name, description, f"{place}.properties", depth)
            if field.number in fields:
                raise SchemaError(
                    f"{place}.properties.{field.name}.fieldNumber: {field.number} is also the number of "
                    f"{fields[field.number].name!r}"
                )
            fields[field.number] = field
        return Schema(tuple(fields[number] for number in sorted(fields)))

    def _read_field(self, name: object, source: object, parent: str, depth: int) -> Field:
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_CHARACTERS:
            raise SchemaError(
                f"{parent}: expected names of 1 to {MAX_NAME_CHARACTERS} characters, got {_show(name)}",
            )
        place = f"{parent}.{name}"
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise SchemaError(f"{place}: expected at most {MAX_FIELDS} fields in all")
        mapping = _mapping(source, place)
        number = mapping.get("fieldNumber")
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MAX_FIELD_NUMBER:
            raise SchemaError(
                f"{place}.fieldNumber: expected an integer from 1 to {MAX_FIELD_NUMBER}, got {_show(number)}"
            )
        if mapping.get("type") != "array":
            return Field(number, name, self._read_type(mapping, place, depth))
        items = _mapping(mapping.get("items"), f"{place}.items")
        return Field(number, name, self._read_type(items, f"{place}.items", depth), repeated=True)

    def _read_type(self, mapping: Mapping[str, object], place: str, depth: int) -> DataType | Schema:
        if "dataType" not in mapping:
            return self.read_object(mapping, place, depth + 1)
        if "type" in mapping:
            raise SchemaError(f"{place}: expected either 'type' or 'dataType', got both")
        try:
            return DataType(mapping["dataType"])
        except ValueError:
            known = ", ".join(data_type.value for data_type in DataType)
            raise SchemaError(f"{place}.dataType: expected one of {known}, got {_show(mapping['dataType'])}") from None


def _mapping(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise SchemaError(f"{place}: expected an object, got {_show(value)}")
    return value


def _check_required(required: object, properties: Mapping[str, object], place: str) -> None:
    """``required`` changes nothing (all properties are required), but a wrong name in it is a mistake to report."""
    if not isinstance(required, list | tuple):
        raise SchemaError(f"{place}: expected a list of property names, got {_show(required)}")
    for name in required:
        if not isinstance(name, str) or name not in properties:
            raise SchemaError(f"{place}: expected names of properties, got {_show(name)}")


def _show(value: object) -> str:
    """Return a short text for a value of any size."""
    if value is None:
        return "nothing"
    if isinstance(value, str | int | float | bool):
        text = repr(value if not isinstance(value, str) else value[:60])
        return text if len(text) <= 80 else text[:80] + "..."
    return type(value).__name__
