"""Sealed packets: whole, in pieces, cut, changed, too long."""

from __future__ import annotations

import hmac
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.bases.seal import KEY_BYTES, MAX_LENGTH_DIGITS, SEALS_BYTES, Seal, SealedBuffer

KEY = bytes(range(KEY_BYTES))
SEAL = Seal(KEY)


def feed(*parts: bytes, seal: Seal = SEAL) -> SealedBuffer:
    buffer = SealedBuffer(seal)
    for part in parts:
        buffer.addMore(part)
    return buffer


@given(st.binary(max_size=300), st.lists(st.integers(1, 60)), st.binary(max_size=10))
def test_what_is_packed_comes_out_whatever_the_pieces(payload: bytes, cuts: list[int], behind: bytes) -> None:
    data = SEAL.pack(payload) + behind
    parts = []
    for cut in cuts:
        parts.append(data[:cut])
        data = data[cut:]
    assert feed(*parts, data).completed() == (payload, behind)


def test_byte_by_byte_it_asks_for_no_more_than_there_is() -> None:
    data = SEAL.pack("hello")
    buffer = SealedBuffer(SEAL)
    assert buffer.is_empty()
    taken = 0
    while not buffer.isDone():
        assert 0 < buffer.remainingAmount() <= len(data) - taken
        buffer.addMore(data[taken : taken + 1])
        taken += 1
    assert taken == len(data)
    assert buffer.completed() == ("hello", b"")


@given(st.data())
def test_no_changed_byte_goes_unnoticed(data: st.DataObject) -> None:
    packet = bytearray(SEAL.pack(["some", "content"]))
    at = data.draw(st.integers(0, len(packet) - 1))
    packet[at] ^= data.draw(st.integers(1, 255))
    assert feed(bytes(packet) + b"\0" * 100).completed() is None


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_and_means_nothing(garbage: bytes) -> None:
    assert feed(garbage).completed() is None


def test_a_stock_packet_means_nothing() -> None:
    content = pickle.dumps("x" * 100)
    assert feed(b"%d>" % len(content) + content).completed() is None


def test_another_key_opens_nothing() -> None:
    assert feed(Seal(bytes(KEY_BYTES)).pack("x")).completed() is None


@pytest.mark.parametrize("length", [b"99999999", b"1" * (MAX_LENGTH_DIGITS + 1), b"0", b"-5", b"+70", b" 70", b""])
def test_an_announcement_out_of_bounds_is_broken_at_once(length: bytes) -> None:
    seal = Seal(KEY, max_bytes=1000)
    signature = hmac.new(KEY, b"length\0" + length, "sha256").digest()[:16]
    buffer = feed(length + b">" + signature, seal=seal)
    assert buffer.isDone()
    assert buffer.completed() is None


def test_an_unsigned_announcement_makes_nobody_wait() -> None:
    buffer = feed(b"50000000>" + bytes(16))
    assert buffer.isDone()
    assert buffer.completed() is None
    buffer.addMore(b"x" * 1_000_000)
    assert len(buffer._buffer) < 100


def test_before_the_length_is_signed_little_is_asked_for() -> None:
    assert SealedBuffer(SEAL).remainingAmount() <= 40
    assert feed(b"1").remainingAmount() <= 40


def test_too_long_a_message_is_refused_by_who_sends_it() -> None:
    seal = Seal(KEY, max_bytes=100)
    assert feed(seal.pack(b"x" * 50), seal=seal).completed() == (b"x" * 50, b"")
    with pytest.raises(ValueError, match="100 are the limit"):
        seal.pack(b"x" * 100)


def test_a_signature_serves_one_purpose_only() -> None:
    signature = SEAL.sign(b"descriptor", b"content")
    assert SEAL.is_signature(b"descriptor", b"content", signature)
    assert not SEAL.is_signature(b"content", b"content", signature)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Seal(b"short")


def test_a_class_that_is_gone_breaks_the_packet_not_the_process(caplog: pytest.LogCaptureFixture) -> None:
    packet = SEAL.pack(Gone())
    del globals()["Gone"]
    assert feed(packet).completed() is None
    assert "cannot be unpickled" in caplog.text


class Gone:
    """A class that one side knows and the other does not."""


def test_seals_take_48_bytes() -> None:
    content = pickle.dumps("x", pickle.HIGHEST_PROTOCOL)
    assert len(SEAL.pack("x")) == len(b"%d>" % (SEALS_BYTES + len(content))) + SEALS_BYTES + len(content)
