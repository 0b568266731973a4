"""lisk-codec records as lisk-p2p 0.9 and 0.10 write and read them: binary, positional, strict.

A record is its fields in ascending order of their numbers, each a key (``number << 3 | wire type``, a varint) and a
value: a varint for integers and booleans (wire type 0), length and bytes for everything else (wire type 2). Unlike in
protocol buffers every field is written, zero and empty ones too; only an empty array is left out.

The decoder walks the *schema*, not the data, so a hostile record cannot choose the nesting; total size and array
lengths are capped. It rejects whatever lisk-codec 0.4 and 0.5 reject: missing, repeated, reordered and unknown fields,
wrong wire types, trailing bytes, varints that are not in shortest form or out of range, booleans other than 0 and 1,
text that is not UTF-8 in normal form C. The one leniency is lisk-codec's too: an element of an array of texts, bytes
or objects may have wire type 0 in its key.

The encoder, unlike lisk-codec's, refuses what nobody could read again: missing fields and integers out of range.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from core.wire.schema import DataType, Field, Schema

MAX_BYTES = 3_048_576
"""Largest record that is decoded unless the caller allows less: lisk-p2p's limit for a whole message."""

MAX_ITEMS = 65_536
"""Longest array that is decoded unless the caller allows less."""

Value: TypeAlias = "int | bool | str | bytes | dict[str, Value] | list[Value]"
"""A decoded value: objects are dicts in field order, arrays are lists."""

_VARINT, _LENGTH = 0, 2

BITS = {DataType.UINT32: 32, DataType.UINT64: 64, DataType.SINT32: 32, DataType.SINT64: 64}
SIGNED = frozenset({DataType.SINT32, DataType.SINT64})
PACKED = frozenset({*BITS, DataType.BOOLEAN})
"""Types whose arrays are one field with all values in a row."""


class CodecError(ValueError):
    """Bytes that are no record of the schema, or a value that is none. ``path`` names the field: ``options.height``."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem

    def __reduce__(self) -> tuple[type[CodecError], tuple[str, str]]:
        return type(self), (self.path, self.problem)


class CodecLimit(CodecError):
    """A record that is larger, or an array that is longer, than the caller allows."""


# Encoding.


def encode(schema: Schema, value: Mapping[str, object], *, normalise: bool = True) -> bytes:
    """Return ``value`` as a record of ``schema``.

    Integers are ``int``, booleans ``bool``, bytes anything with the buffer protocol of ``bytes``, objects mappings,
    arrays sequences. Texts are brought into Unicode normal form C; ``normalise`` False writes them as they are, as
    lisk-codec did before 0.4. Raises CodecError, naming the field, for a missing or unknown property or a wrong value.
    """
    encoder = _Encoder(normalise)
    encoder.record(schema, value, "")
    return bytes(encoder.out)


class _Encoder:
    """What is written so far, and how texts are written."""

    __slots__ = ("_normalise", "out")

    def __init__(self, normalise: bool) -> None:
        self._normalise = normalise
        self.out = bytearray()

    def record(self, schema: Schema, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise CodecError(path, f"expected an object, got {type(value).__name__}")
        known = {field.name for field in schema.fields}
        for name in value:
            if name not in known:
                raise CodecError(join(path, str(name)[:80]), "no such property in the schema")
        for field in schema.fields:
            place = join(path, field.name)
            if field.name not in value:
                raise CodecError(place, "the property is missing")
            if field.repeated:
                self._array(field, value[field.name], place)
            else:
                _write_key(field, self.out)
                self._value(field.type, value[field.name], place)

    def _array(self, field: Field, value: object, path: str) -> None:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray):
            raise CodecError(path, f"expected a list, got {type(value).__name__}")
        if field.type not in PACKED:
            for index, item in enumerate(value):
                _write_key(field, self.out)
                self._value(field.type, item, f"{path}[{index}]")
        elif value:
            packed = _Encoder(self._normalise)
            for index, item in enumerate(value):
                packed._value(field.type, item, f"{path}[{index}]")
            _write_varint(field.number << 3 | _LENGTH, self.out)
            self._chunk(packed.out)

    def _value(self, kind: DataType | Schema, value: object, path: str) -> None:
        if isinstance(kind, Schema):
            nested = _Encoder(self._normalise)
            nested.record(kind, value, path)
            self._chunk(nested.out)
        elif kind is DataType.BOOLEAN:
            if not isinstance(value, bool):
                raise CodecError(path, f"expected True or False, got {type(value).__name__}")
            self.out.append(value)
        elif kind in BITS:
            _write_varint(_unsigned(kind, value, path), self.out)
        elif kind is DataType.STRING:
            self._chunk(self._text(value, path))
        else:
            self._chunk(_plain_bytes(value, path))

    def _text(self, value: object, path: str) -> bytes:
        if not isinstance(value, str):
            raise CodecError(path, f"expected a text, got {type(value).__name__}")
        text = unicodedata.normalize("NFC", value) if self._normalise else value
        try:
            return text.encode()
        except UnicodeEncodeError as error:
            raise CodecError(path, "expected valid Unicode text") from error

    def _chunk(self, data: bytes | bytearray) -> None:
        _write_varint(len(data), self.out)
        self.out += data


def _unsigned(kind: DataType, value: object, path: str) -> int:
    """Return the integer as it is written: itself, or zig-zag for the signed types."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise CodecError(path, f"expected an integer, got {type(value).__name__}")
    bits = BITS[kind]
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind in SIGNED else (0, (1 << bits) - 1)
    if not low <= value <= high:
        raise CodecError(path, f"expected an integer from {low} to {high}")
    return (value << 1 if value >= 0 else ~(value << 1)) if kind in SIGNED else value


def _plain_bytes(value: object, path: str) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise CodecError(path, f"expected bytes, got {type(value).__name__}")
    return bytes(value)


def _write_key(field: Field, out: bytearray) -> None:
    _write_varint(field.number << 3 | (_VARINT if field.type in PACKED else _LENGTH), out)


def _write_varint(value: int, out: bytearray) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# Decoding.


def decode(schema: Schema, data: bytes, *, max_bytes: int = MAX_BYTES, max_items: int = MAX_ITEMS) -> dict[str, Value]:
    """Return the record in ``data`` as a dict in field order.

    ``max_bytes`` caps the whole record, ``max_items`` the elements of each array. Raises CodecError, naming the field.
    """
    if len(data) > max_bytes:
        raise CodecLimit("", f"expected at most {max_bytes} bytes, got {len(data)}")
    return _Decoder(data, max_items).record(schema, len(data), "")


class _Decoder:
    """A position in the data and the steps to move it."""

    __slots__ = ("_at", "_data", "_max_items")

    def __init__(self, data: bytes, max_items: int) -> None:
        self._data = data
        self._at = 0
        self._max_items = max_items

    def record(self, schema: Schema, end: int, path: str) -> dict[str, Value]:
        """Read all fields of ``schema``, which must end exactly at ``end``."""
        result: dict[str, Value] = {}
        for field in schema.fields:
            place = join(path, field.name)
            result[field.name] = self._array(field, end, place) if field.repeated else self._single(field, end, place)
        if self._at != end:
            raise CodecError(path, f"expected the record to end at byte {end}, its fields end at byte {self._at}")
        return result

    def _single(self, field: Field, end: int, path: str) -> Value:
        if self._at >= end:
            raise CodecError(path, "the field is missing")
        number, wire = self._key(end, path)
        if number != field.number:
            raise CodecError(path, f"expected field {field.number}, got field {number}")
        if wire != (_VARINT if field.type in PACKED else _LENGTH):
            raise CodecError(path, f"wrong wire type {wire}")
        return self._value(field.type, end, path)

    def _array(self, field: Field, end: int, path: str) -> Value:
        if field.type in PACKED:
            return self._packed(field, end, path)
        items: list[Value] = []
        while self._at < end:
            start = self._at
            number, _ = self._key(end, path)
            if number != field.number:
                self._at = start
                break
            if len(items) >= self._max_items:
                raise CodecLimit(path, f"expected at most {self._max_items} elements")
            items.append(self._value(field.type, end, path))
        return items

    def _packed(self, field: Field, end: int, path: str) -> Value:
        items: list[Value] = []
        if self._at >= end:
            return items
        start = self._at
        number, wire = self._key(end, path)
        if number != field.number:
            self._at = start
            return items
        if wire != _LENGTH:
            raise CodecError(path, f"wrong wire type {wire}")
        stop = self._length(end, path)
        while self._at < stop:
            if len(items) >= self._max_items:
                raise CodecLimit(path, f"expected at most {self._max_items} elements")
            items.append(self._value(field.type, stop, path))
        return items

    def _value(self, kind: DataType | Schema, end: int, path: str) -> Value:
        if isinstance(kind, Schema):
            stop = self._length(end, path)
            return self.record(kind, stop, path)
        if kind is DataType.BOOLEAN:
            return self._boolean(end, path)
        if kind in BITS:
            value = self._varint(BITS[kind], end, path)
            return value >> 1 ^ -(value & 1) if kind in SIGNED else value
        stop = self._length(end, path)
        start, self._at = self._at, stop
        chunk = self._data[start:stop]
        return _checked_text(chunk, path) if kind is DataType.STRING else chunk

    def _boolean(self, end: int, path: str) -> bool:
        if self._at >= end or self._data[self._at] > 1:
            raise CodecError(path, "expected one byte, 00 or 01")
        self._at += 1
        return self._data[self._at - 1] == 1

    def _key(self, end: int, path: str) -> tuple[int, int]:
        key = self._varint(32, end, path)
        wire = key & 7
        if wire not in (_VARINT, _LENGTH):
            raise CodecError(path, f"unsupported wire type {wire}")
        return key >> 3, wire

    def _length(self, end: int, path: str) -> int:
        """Read a length and return where the value ends, which is not beyond ``end``."""
        stop = self._varint(32, end, path) + self._at
        if stop > end:
            raise CodecError(path, f"expected the value to end at byte {end} or before, it ends at byte {stop}")
        return stop

    def _varint(self, bits: int, end: int, path: str) -> int:
        value = shift = 0
        while self._at < end:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if value >> bits or shift >= bits:
                raise CodecError(path, f"expected a varint of at most {bits} bits")
            if byte <= 0x7F:
                if byte == 0 and shift:
                    raise CodecError(path, "expected a varint in shortest form")
                return value
            shift += 7
        raise CodecError(path, "the data end within a varint")


def _checked_text(chunk: bytes, path: str) -> str:
    try:
        text = chunk.decode()
    except UnicodeDecodeError as error:
        raise CodecError(path, "expected UTF-8 text") from error
    if not unicodedata.is_normalized("NFC", text):
        raise CodecError(path, "expected text in Unicode normal form C")
    return text
