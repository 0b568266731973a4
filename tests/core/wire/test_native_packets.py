"""MessagePack packets: the vectors, round trips, and hostile input of every kind."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.wire import native_packets as native
from core.wire import packets as packet_module
from core.wire.native_packets import decode_packets, join
from core.wire.packets import (
    Disconnect,
    ErrorCode,
    ErrorResponse,
    Handshake,
    Message,
    Packet,
    PacketFault,
    Request,
    Response,
)
from core.wire.socketcluster import MAX_INTEGER

VECTORS = json.loads((Path(__file__).parents[2] / "fixtures" / "vectors" / "native.json").read_text())


def ids(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["name"] for vector in vectors]


def read(message: bytes) -> list[Packet]:
    return decode_packets(message, binary=True)


def packet_of(vector: dict[str, Any]) -> Packet:
    """A packet as the vectors write it: payloads in hexadecimal."""
    fields = {name: value for name, value in vector.items() if name != "type"}
    if isinstance(fields.get("data"), str):
        fields["data"] = bytes.fromhex(fields["data"])
    packet: Packet = getattr(packet_module, vector["type"])(**fields)
    return packet


# ---- the vectors


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=ids(VECTORS["messages"]))
def test_a_message_is_read(vector: dict[str, Any]) -> None:
    assert read(bytes.fromhex(vector["hex"])) == [packet_of(packet) for packet in vector["packets"]]


@pytest.mark.parametrize("vector", VECTORS["faulty_messages"], ids=ids(VECTORS["faulty_messages"]))
def test_a_faulty_message_is_refused_by_its_rule(vector: dict[str, Any]) -> None:
    with pytest.raises(PacketFault) as refused:
        read(bytes.fromhex(vector["hex"]))
    assert refused.value.rule == vector["fault"]
    assert len(refused.value.detail) <= 250


def encoded(packet: Packet) -> bytes | None:
    """What the writer makes of a packet; None for what is never written."""
    match packet:
        case Handshake(cid):
            return native.encode_handshake(cid or 0)
        case Response(rid, data, None, False):
            return native.encode_response(rid, data, "1.2.3.4:5001")
        case Request(procedure, data, cid):
            return native.encode_request(procedure, data, cid)
        case ErrorResponse(rid, message, code):
            return native.encode_error(rid, message, code)
        case Message(event, data):
            return native.encode_message(event, data)
        case Disconnect(int(code), reason):
            return native.encode_disconnect(code, reason)
    return None


def test_what_is_written_is_what_the_vectors_say() -> None:
    """For those of them that are in the shortest form and hold nothing of a later version."""
    written = 0
    for vector in VECTORS["messages"]:
        packets = [encoded(packet_of(packet)) for packet in vector["packets"]]
        if "later" in vector["name"] or "shortest" in vector["name"] or None in packets:
            continue
        if "text is not looked at" not in vector["name"]:
            assert join([packet for packet in packets if packet is not None]).hex() == vector["hex"], vector["name"]
            written += 1
    assert written >= 12
    ack = next(vector for vector in VECTORS["messages"] if "acknowledgement" in vector["name"])
    assert join([native.encode_ack(1, "LSQ84NOW4TXZKA_dAAAA", 140_000)]).hex() == ack["hex"]


def test_a_text_message_is_a_fault() -> None:
    with pytest.raises(PacketFault) as refused:
        decode_packets(join([native.encode_handshake(1)]), binary=False)
    assert refused.value.rule == "not_binary"


# ---- there and back

NUMBERS = st.integers(0, MAX_INTEGER)
PAYLOADS = st.none() | st.binary(max_size=200) | st.sampled_from([255, 256, 4096, 4097, 65_535, 65_536]).map(bytes)
PACKETS: st.SearchStrategy[Packet] = st.one_of(
    st.builds(Handshake, NUMBERS),
    st.builds(Request, st.text(max_size=128), PAYLOADS, NUMBERS),
    st.builds(Response, NUMBERS, PAYLOADS),
    st.builds(ErrorResponse, NUMBERS, st.text(max_size=1000), st.none() | NUMBERS),
    st.builds(Message, st.text(max_size=128), PAYLOADS),
    st.builds(Disconnect, st.integers(3000, 4999), st.text(max_size=1000)),
)


def write(packets: list[Packet]) -> bytes:
    written = [encoded(packet) for packet in packets]
    return join([packet for packet in written if packet is not None])


@given(st.lists(PACKETS, min_size=1, max_size=40))
def test_packets_come_back_as_they_were(packets: list[Packet]) -> None:
    assert read(write(packets)) == packets


@given(st.lists(PACKETS, min_size=1, max_size=5))
def test_what_another_implementation_writes_is_the_same(packets: list[Packet]) -> None:
    """msgpack's own packer on one flat list writes the very bytes."""
    message = write(packets)
    assert msgpack.packb(msgpack.unpackb(message)) == message


def test_unpaired_surrogates_are_replaced() -> None:
    assert read(join([native.encode_message("a\ud800b", None)])) == [Message("a\ufffdb", None)]
    assert read(join([native.encode_error(1, "\udc00")])) == [ErrorResponse(1, "\ufffd")]


def test_error_codes_travel() -> None:
    message = join([native.encode_error(1, "no", ErrorCode.OVERLOADED)])
    assert read(message) == [ErrorResponse(1, "no", 3)]


def test_texts_are_cut_when_they_are_written() -> None:
    (error,) = read(join([native.encode_error(1, "\U0001d11e" * 1001)]))
    assert isinstance(error, ErrorResponse)
    assert error.message == "\U0001d11e" * 1000
    (bye,) = read(join([native.encode_disconnect(1000, "x" * 1001)]))
    assert bye == Disconnect(1000, "x" * 1000)


NO_INTEGERS = [b"", b"\x00", b"\xa1x", b"\x91\x01", b"\xcd\x01", b"\xff", b"\xc1", b"\xcb" + bytes(8)]


@pytest.mark.parametrize("data", NO_INTEGERS)
def test_an_acknowledgement_needs_its_time(data: bytes) -> None:
    packed = msgpack.packb([native.ACK, 1, "", data])
    assert read(packed) == [Response(1, None, malformed=True)]


# ---- hostile input


def test_every_cut_of_a_message_is_refused() -> None:
    whole = write([Message("postBlock", bytes(300)), Request("echo", b"x", 1), ErrorResponse(1, "e", 2)])
    for end in range(len(whole)):
        with pytest.raises(PacketFault):
            read(whole[:end])
    with pytest.raises(PacketFault):
        read(whole + whole)


@given(st.lists(PACKETS, min_size=1, max_size=3), st.data())
def test_changed_bytes_give_packets_or_a_fault(packets: list[Packet], data: st.DataObject) -> None:
    message = bytearray(write(packets))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PacketFault):
        assert read(bytes(message))


@given(st.binary(max_size=300))
def test_any_bytes_give_packets_or_a_fault(message: bytes) -> None:
    with contextlib.suppress(PacketFault):
        assert read(message)


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x94\x05\x00\xa1a" + b"\xdc\x0f\xff" * 1000,
        b"\x94\x05\x00\xa1a" + b"\xdd\x00\xff\xff\xff" * 600,
        b"\x94\x05\x00\xa1a" + b"\xdf\x00\xff\xff\xff" * 600,
        b"\x94\x05\x00\xdb\xff\xff\xff\xff",
        b"\x94\x05\x00\xa1a\xc6\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xfc" + b"\x05" * 100,
        b"\xdc\x10\x00" + b"\x90" * 4096,
    ],
)
def test_nothing_is_built_of_what_a_header_claims(bomb: bytes) -> None:
    with pytest.raises(PacketFault):
        read(bomb)
    tracemalloc.start()
    try:
        for _ in range(3):
            with pytest.raises(PacketFault):
                read(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000, "a few kilobytes must not cost more than the 4,096 values that a message may have"


# ---- the two readers

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from([0, 2, 3, 4, 5, 6, 255, 256, MAX_INTEGER])
    | st.floats(allow_nan=False)
    | st.text(max_size=200)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
SHAPED = st.tuples(
    st.sampled_from([0, 2, 3, 4, 5, 6, 7]), st.integers(0, 9), st.text(max_size=140), st.binary(max_size=9)
)


def peak_bytes(deed: Callable[[], object]) -> int:
    """How much memory it took at a time."""
    tracemalloc.start()
    try:
        deed()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def outcome(read_message: Any, message: bytes) -> object:
    """The packets, or the rule that is broken."""
    try:
        return read_message(message)
    except PacketFault as fault:
        return fault.rule
    except msgspec.DecodeError as error:
        return str(error)


def by_the_general_reader(message: bytes) -> list[Packet]:
    return native._packets_of(native._values(message))


@given(
    st.lists(SHAPED, min_size=1, max_size=70).map(lambda packets: [value for packet in packets for value in packet]),
    st.lists(st.tuples(st.integers(0, 290), VALUES), max_size=2),
)
def test_small_messages_mean_the_same_to_both_readers(values: list[Any], changes: list[tuple[int, Any]]) -> None:
    for place, value in changes:
        if place < len(values):
            values[place] = value
    message = msgpack.packb(values)
    assert outcome(read, message) == outcome(by_the_general_reader, message)


@given(st.lists(PACKETS, min_size=1, max_size=3), st.data())
def test_damaged_small_messages_too(packets: list[Packet], data: st.DataObject) -> None:
    message = bytearray(write(packets))
    for _ in range(data.draw(st.integers(1, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(read, bytes(message)) == outcome(by_the_general_reader, bytes(message))


@pytest.mark.parametrize("count", [1, 3, 4, 70])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("nested", [b"\x9f", b"\xdc\x0f\x00", b"\xde\x0f\x00", b"\x8f", b"\x91" * 900, b"\xc7\xff\x01"])
def test_nothing_nested_is_built_in_small_messages(nested: bytes, place: int, count: int) -> None:
    """4,000 bytes could be 4,000 arrays of 65,535 places each."""
    values = [b"\x05", b"\x00", b"\xa1x", b"\xc0"] * count
    values[-4 + place] = nested + b"\x91" * 2500
    head = bytes([0x90 | 4 * count]) if count < 4 else b"\xdc" + (4 * count).to_bytes(2, "big")
    message = head + b"".join(values)
    assert len(message) <= native.SMALL_MESSAGE_BYTES
    assert outcome(read, message) in ("value_limit", "not_msgpack")
    reader = native._small_reader(message)
    if reader is not None:
        assert peak_bytes(lambda: outcome(reader, message)) < 4096
    # The reader that says what is wrong takes 41 KB by itself, whatever it reads.
    assert peak_bytes(lambda: outcome(read, message)) < 60_000


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_text_in_a_small_message_cannot_be_too_long(count: int) -> None:
    rest = join([native.encode_message("x", None)] * count)[1:]
    for size in (native.MAX_TEXT_BYTES - len(rest) - 8, native.MAX_TEXT_BYTES, native.MAX_TEXT_BYTES + 1):
        text = msgpack.packb("a" * size)
        message = bytes([0x90 | 4 * count]) + rest[: -len(b"\xa1x\xc0")] + text + b"\xc0"
        expected = "value_limit" if size > native.MAX_TEXT_BYTES else native._MALFORMED_MESSAGE
        found = outcome(read, message)
        assert found == expected if isinstance(found, str) else found[-1] == expected
