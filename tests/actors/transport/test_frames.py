"""Plain data frames: what is written is what websockets writes, what is read is what it reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from actors.transport import frames
from actors.transport.events import ChannelEvent, MessageReceived
from actors.transport.frames import (
    FINAL_BINARY,
    FINAL_TEXT,
    masked_frame,
    masking_keys,
    plain_frame,
    read_plain,
    shared_frame,
    shared_joined_frame,
)
from core.wire.native_packets import join
from tests.actors.transport.fakes import BINARY, CLOSE, CONT, PING, TEXT, frame

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]
KEY = b"\x01\x02\x03\xff"


def read(data: bytes, *, masked: bool = False, max_bytes: int = 1 << 20) -> tuple[list[ChannelEvent], int, bool]:
    messages: list[ChannelEvent] = []
    used, is_special = read_plain(data, masked, max_bytes, messages)
    return messages, used, is_special


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("first", "opcode"), [(FINAL_TEXT, Opcode.TEXT), (FINAL_BINARY, Opcode.BINARY)])
def test_frames_are_those_of_websockets(size: int, first: int, opcode: Opcode) -> None:
    payload = bytes(number % 251 for number in range(size))
    assert plain_frame(first, payload) == Frame(opcode, payload).serialize(mask=False)
    masked = masked_frame(first, payload, KEY)
    assert masked == frame(BINARY if opcode is Opcode.BINARY else TEXT, payload, mask=KEY)
    for data, is_masked in ((plain_frame(first, payload), False), (masked, True)):
        assert read(data, masked=is_masked) == ([MessageReceived(payload, first == FINAL_BINARY)], len(data), False)


@given(st.lists(st.tuples(st.binary(max_size=200), st.booleans()), max_size=6), st.booleans(), st.integers(0, 1500))
def test_any_frames_cut_anywhere(payloads: list[tuple[bytes, bool]], masked: bool, cut: int) -> None:
    firsts = [(FINAL_BINARY if binary else FINAL_TEXT, payload) for payload, binary in payloads]
    written = [masked_frame(first, data, KEY) if masked else plain_frame(first, data) for first, data in firsts]
    stream = b"".join(written)[:cut]
    whole, length = [], 0
    for data, (payload, binary) in zip(written, payloads, strict=True):
        if length + len(data) > len(stream):
            break
        whole.append(MessageReceived(payload, binary))
        length += len(data)
    assert read(stream, masked=masked) == (whole, length, False)


@pytest.mark.parametrize(
    "special",
    [
        frame(PING, b"x", mask=None),
        frame(CLOSE, b"\x03\xe8", mask=None),
        frame(TEXT, b"part", fin=False, mask=None),
        frame(CONT, b"end", mask=None),
        b"\xc1\x01x",  # RSV1
        b"\x83\x00",  # a reserved opcode
        frame(TEXT, b"x", mask=KEY),  # masked where it must not be
        frame(TEXT, bytes(1001), mask=None),
        b"\x82\x7f" + b"\xff" * 8,
    ],
)
def test_whatever_is_not_plain_is_left_to_a_closer_look(special: bytes) -> None:
    plain = frame(BINARY, b"before", mask=None)
    messages, used, is_special = read(plain + special, max_bytes=1000)
    assert (messages, used, is_special) == ([MessageReceived(b"before", True)], len(plain), True)


def test_an_unmasked_frame_of_an_opener_is_special() -> None:
    assert read(frame(TEXT, b"x", mask=None), masked=True) == ([], 0, True)


@pytest.mark.parametrize("data", [b"", b"\x82", b"\x82\x7e\x01", b"\x82\x7f" + bytes(7)])
def test_a_beginning_is_waited_for(data: bytes) -> None:
    assert read(data) == ([], 0, False)


def test_keys_are_drawn_in_bulk_and_used_once() -> None:
    drawn: list[bytes] = []

    def token_bytes(count: int) -> bytes:
        start = 4 * frames.KEYS_AT_ONCE * len(drawn)
        drawn.append(b"".join(number.to_bytes(4, "big") for number in range(start // 4, (start + count) // 4)))
        return drawn[-1]

    keys = masking_keys(token_bytes)
    count = 3 * frames.KEYS_AT_ONCE
    assert [next(keys) for _ in range(count)] == [number.to_bytes(4, "big") for number in range(count)]
    assert len(drawn) == 3


def test_a_frame_is_shared_by_those_that_send_the_same_message() -> None:
    message = b"\x05\x00\xa1a\xc4\x03abc"
    first = shared_frame(FINAL_BINARY, message)
    assert first == plain_frame(FINAL_BINARY, message)
    assert shared_frame(FINAL_BINARY, message) is first
    assert shared_frame(FINAL_TEXT, message) == plain_frame(FINAL_TEXT, message)
    text = "ä" * 70
    assert shared_frame(FINAL_TEXT, text) == plain_frame(FINAL_TEXT, text.encode())
    assert shared_frame(FINAL_TEXT, text) is shared_frame(FINAL_TEXT, text)


def test_packets_that_share_a_message_share_its_frame() -> None:
    packets = [b"\x05\x00\xa1a\xc0", b"\x05\x00\xa1b\xc0"]
    first = shared_joined_frame(list(packets), join)
    assert first == plain_frame(FINAL_BINARY, join(packets))
    assert shared_joined_frame(list(packets), join) is first
    assert shared_joined_frame(packets[:1], join) == plain_frame(FINAL_BINARY, join(packets[:1]))
    assert shared_joined_frame(packets, lambda parts: b"".join(parts)) == plain_frame(FINAL_BINARY, b"".join(packets))


def test_masking_is_the_same_without_the_c_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    from websockets import utils

    slow: Callable[[bytes, bytes], bytes] = utils.apply_mask
    fast = masked_frame(FINAL_BINARY, b"payload", KEY)
    monkeypatch.setattr(frames, "apply_mask", slow)
    assert masked_frame(FINAL_BINARY, b"payload", KEY) == fast
    assert read(fast, masked=True) == ([MessageReceived(b"payload", True)], len(fast), False)
