"""A broadcast is encoded once."""

from __future__ import annotations

from core.wire.lisk10 import Lisk10
from core.wire.native import Native
from core.wire.once import EncodeOnce


def test_the_same_payload_is_encoded_once() -> None:
    asked: list[tuple[str, bytes | None]] = []

    def encode(event: str, data: bytes | None) -> bytes:
        asked.append((event, data))
        return event.encode() + (data or b"")

    once = EncodeOnce(encode)
    payload, equal = bytes(bytearray(b"0123")), bytes(bytearray(b"0123"))
    first = once("a", payload)
    assert first == b"a0123"
    assert all(once("a", payload) is first for _ in range(100))
    assert len(asked) == 1
    assert once("b", payload) == b"b0123"
    assert once("b", equal) == b"b0123"
    assert once("b", None) == b"b"
    assert asked == [("a", payload), ("b", payload), ("b", equal), ("b", None)]


def test_the_dialects_do_so() -> None:
    payload = bytes(1000)
    for dialect in (Lisk10(), Native(Lisk10())):
        other = type(dialect)(Lisk10()) if isinstance(dialect, Native) else Lisk10()
        assert dialect.encode_message("block", payload) is other.encode_message("block", payload)
