"""A broadcast is encoded once."""

from __future__ import annotations

from core.messages import SendMessage
from core.wire.lisk10 import Lisk10
from core.wire.native import Native
from core.wire.once import MAX_REMEMBERED, MAX_REMEMBERED_BYTES, EncodeOnce, encode_all


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


def test_what_is_remembered_is_bounded_and_never_mistaken() -> None:
    once = EncodeOnce(lambda event, data: (data or b"") + event.encode())
    for number in range(1000):
        data = number.to_bytes(4, "big") * 20_000
        assert once("x", data) == data + b"x"
        assert once("x", data) is once("x", data)
        assert len(once._known) <= MAX_REMEMBERED
        held = [encoded for known in (once._known, once._older) for _, encoded in known.values()]
        assert sum(map(len, held)) <= 2 * MAX_REMEMBERED_BYTES


def test_the_dialects_do_so() -> None:
    payload = bytes(1000)
    for dialect in (Lisk10(), Native(Lisk10())):
        other = type(dialect)(Lisk10()) if isinstance(dialect, Native) else Lisk10()
        assert dialect.encode_message("block", payload) is other.encode_message("block", payload)


def test_the_same_messages_in_a_row_are_encoded_once() -> None:
    asked: list[str] = []

    def encode(event: str, data: bytes | None) -> str:
        asked.append(event)
        return f"{event} {data!r}"

    messages = [SendMessage(0, str(number), bytes([number])) for number in range(50)]
    first = encode_all(encode, messages)
    assert first == [f"{number} {bytes([number])!r}" for number in range(50)]
    assert all(encode_all(encode, list(messages)) is first for _ in range(20))
    assert len(asked) == 50
    assert encode_all(encode, messages[:49]) == first[:49]
    assert encode_all(lambda event, data: event, messages[:2]) == ["0", "1"]
