"""lisk-codec records as lisk-p2p 0.6 to 0.8 read them: the schema is walked, and what does not fit gets a default.

Nodes of those generations accept each other's records by the rules below (lisk-codec 0.1 to 0.3), so a node among them
must too, or it refuses peers that all others take. Writing needs no module of its own: :func:`core.wire.codec.encode`
without normalisation writes what they write.

A field that is not where the schema wants it is ``0``, ``""``, no bytes, ``False`` or an empty list; the place is not
left. Bytes after the last field are ignored, as are the wire type of a key (0 stands for 2 and the other way round),
the shortest form of a varint and the value of a true boolean. Invalid UTF-8 becomes U+FFFD, a length that leads beyond
the end of the data is cut there. Rejected: wire types other than 0 and 2 where a key is read, varints that do not end
or exceed their type, and objects of which nothing is left in the data, for those have no default.

The threat is that of :mod:`core.wire.codec`, and the answer is: the schema bounds the nesting, every step moves on by
one byte at least, size and array lengths are capped.
"""

from __future__ import annotations

from core.wire.codec import BITS, MAX_BYTES, MAX_ITEMS, PACKED, SIGNED, CodecError, CodecLimit, Value, join
from core.wire.schema import DataType, Field, Schema


def decode(schema: Schema, data: bytes, *, max_bytes: int = MAX_BYTES, max_items: int = MAX_ITEMS) -> dict[str, Value]:
    """Return the record in ``data`` as a dict in field order.

    ``max_bytes`` caps the whole record, ``max_items`` the elements of each array. Raises CodecError, naming the field.
    """
    if len(data) > max_bytes:
        raise CodecLimit("", f"expected at most {max_bytes} bytes, got {len(data)}")
    return _Decoder(data, max_items).record(schema, len(data), "")


def default(kind: DataType) -> Value:
    """Return what stands for a missing field of a scalar type."""
    if kind is DataType.STRING:
        return ""
    if kind is DataType.BYTES:
        return b""
    return False if kind is DataType.BOOLEAN else 0


class _Decoder:
    """A position in the data and the steps to move it; it may lie beyond the end."""

    __slots__ = ("_at", "_data", "_max_items")

    def __init__(self, data: bytes, max_items: int) -> None:
        self._data = data
        self._at = 0
        self._max_items = max_items

    def record(self, schema: Schema, end: int, path: str) -> dict[str, Value]:
        """Read the fields of ``schema``. Only arrays look at ``end``, where the record says that it ends."""
        result: dict[str, Value] = {}
        for field in schema.fields:
            place = join(path, field.name)
            if field.repeated:
                result[field.name] = self._array(field, end, place)
            elif isinstance(field.type, Schema):
                result[field.name] = self._object(field.type, place)
            else:
                result[field.name] = self._scalar(field.number, field.type, place)
        return result

    def _scalar(self, number: int, kind: DataType, path: str) -> Value:
        start = self._at
        if start >= len(self._data):
            return default(kind)
        if self._field_number(path) != number:
            self._at = start
            return default(kind)
        return self._value(kind, path)

    def _object(self, schema: Schema, path: str) -> dict[str, Value]:
        self._varint(32, path)  # the key, whatever it says
        length = self._varint(32, path)
        return self.record(schema, self._at + length, path)

    def _array(self, field: Field, end: int, path: str) -> Value:
        start = self._at
        if start >= min(end, len(self._data)):
            return []
        number = self._field_number(path)
        if number != field.number:
            self._at = start
            return []
        if field.type in PACKED:
            return self._packed(field.type, path)
        self._at = start
        items: list[Value] = []
        first_byte = self._data[start]
        while self._at != end and self._at < len(self._data) and self._data[self._at] == first_byte:
            if len(items) >= self._max_items:
                raise CodecLimit(path, f"expected at most {self._max_items} elements")
            self._element(field.type, items, path)
        return items

    def _element(self, kind: DataType | Schema, items: list[Value], path: str) -> None:
        self._varint(32, path)  # the key, of which the first byte was compared
        if not isinstance(kind, Schema):
            items.append(self._value(kind, path))
        elif length := self._varint(32, path):  # an empty object is left out
            items.append(self.record(kind, self._at + length, path))

    def _packed(self, kind: DataType | Schema, path: str) -> Value:
        items: list[Value] = []
        length = self._varint(32, path)
        stop = self._at + length
        while self._at < stop:
            if len(items) >= self._max_items:
                raise CodecLimit(path, f"expected at most {self._max_items} elements")
            items.append(self._value(kind, path))
        return items

    def _value(self, kind: DataType | Schema, path: str) -> Value:
        if kind is DataType.BOOLEAN:
            self._at += 1
            return self._data[self._at - 1 : self._at] != b"\0"
        if kind in BITS:
            value = self._varint(BITS[kind], path)
            return value >> 1 ^ -(value & 1) if kind in SIGNED else value
        length = self._varint(32, path)
        chunk = self._data[self._at : self._at + length]
        self._at += length
        return chunk.decode("utf-8", "replace") if kind is DataType.STRING else chunk

    def _field_number(self, path: str) -> int:
        key = self._varint(32, path)
        if key & 7 not in (0, 2):
            raise CodecError(path, f"unsupported wire type {key & 7}")
        return key >> 3

    def _varint(self, bits: int, path: str) -> int:
        value = 0
        for shift in range(0, bits, 7):
            if self._at >= len(self._data):
                raise CodecError(path, "the data end within a varint")
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if value >> bits:
                break
            if byte <= 0x7F:
                return value
        raise CodecError(path, f"expected a varint of at most {bits} bits")
