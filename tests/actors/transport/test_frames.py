"""Plain data frames: what is written is what websockets writes, what is read is what it reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side

from actors.transport import frames
from actors.transport.events import ChannelEvent, MessageReceived
from actors.transport.frames import (
    FINAL_BINARY,
    FINAL_CLOSE,
    FINAL_TEXT,
    NO_CLOSE_CODE,
    masked_frame,
    masking_keys,
    may_be_sent,
    plain_frame,
    read_close,
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


# ---- close frames


def judged(data: bytes, *, masked: bool, max_bytes: int | None = None) -> tuple[int, str] | None:
    """What websockets makes of the close frame at the beginning of ``data``; None: there is no good one."""
    core = Protocol(Side.SERVER if masked else Side.CLIENT, max_size=max_bytes)
    core.receive_data(data)
    close = core.close_rcvd
    return None if close is None else (int(close.code), close.reason)


@pytest.mark.parametrize("masked", [False, True])
def test_close_codes_are_those_that_websockets_takes_and_sends(masked: bool) -> None:
    for code in [*range(0, 5100), 65_535]:
        payload = code.to_bytes(2, "big")
        data = masked_frame(FINAL_CLOSE, payload, KEY) if masked else plain_frame(FINAL_CLOSE, payload)
        read = read_close(data, masked, 1000)
        assert read == judged(data, masked=masked)
        assert (read is not None) == may_be_sent(code)
        if read is not None:
            assert plain_frame(FINAL_CLOSE, payload) == Frame(Opcode.CLOSE, Close(code, "").serialize()).serialize(
                mask=False
            )


@given(
    first=st.sampled_from([0x88, 0x88, 0x88, 0x08, 0xC8, 0x89, 0x81, 0x80]),
    code=st.sampled_from([b"", b"\x03", b"\x03\xe8", b"\x0f\xa7", b"\x03\xed", b"\x13\x88"]),
    text=st.one_of(st.text(max_size=60).map(str.encode), st.binary(max_size=130)),
    masked=st.booleans(),
    is_server=st.booleans(),
    cut=st.integers(0, 12),
    after=st.binary(max_size=8),
    max_bytes=st.sampled_from([20, 1000]),
)
def test_a_close_frame_is_read_as_websockets_reads_it_or_not_at_all(
    first: int, code: bytes, text: bytes, masked: bool, is_server: bool, cut: int, after: bytes, max_bytes: int
) -> None:
    payload = code + text
    data = masked_frame(first, payload, KEY) if masked else plain_frame(first, payload)
    data = data[: len(data) - cut] if cut else data + after
    assert read_close(data, is_server, max_bytes) == judged(data, masked=is_server, max_bytes=max_bytes)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("text", [b"", b"bye", b"\xff", b"\xc3", "ä".encode() * 61, b"x" * 123, b"x" * 124])
def test_the_text_of_a_close_frame_is_short_and_utf_8(text: bytes, masked: bool) -> None:
    payload = b"\x03\xe8" + text
    data = masked_frame(FINAL_CLOSE, payload, KEY) if masked else plain_frame(FINAL_CLOSE, payload)
    for max_bytes in (len(payload) - 1, len(payload)):
        assert read_close(data, masked, max_bytes) == judged(data, masked=masked, max_bytes=max_bytes)


def test_a_close_frame_without_a_code_has_the_code_that_stands_for_none() -> None:
    assert read_close(plain_frame(FINAL_CLOSE, b""), False, 1000) == (NO_CLOSE_CODE, "")
    assert not may_be_sent(NO_CLOSE_CODE)
