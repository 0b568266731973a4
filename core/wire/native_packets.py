"""The packets of the native dialect, which two Ensemble nodes speak: MessagePack in binary WebSocket messages.

A message is one MessagePack array that holds packets one after the other, and every packet is four values:

    kind, number, text, data        an integer from 0 to 255, one from 0 to 2^53 - 1, a string, nil or bytes

Several packets share a message when several are waiting; nothing waits to be joined by others. All packets have the
same shape, so that kinds which a node does not know can be stepped over. There are no arrays, maps or extensions
inside: what is nested (node infos, peer lists) is in ``data`` and read with limits of its own
(:mod:`core.wire.native_payloads`). docs/protocol.md, "The native dialect", is the specification.

The threat: whoever can open a TCP connection chooses every byte. The number of packets is read and checked before
anything is built; the length of a string is checked before it is, and an array, map or extension of one element or more
is refused at its header, so that nothing can be nested. A message is judged whole: with one fault in it, no packet of
it counts.

Two readers. ``msgspec`` reads messages of up to :data:`MAX_SMALL_PACKETS` and :data:`SMALL_MESSAGE_BYTES` by their
type, which has room for no value that must not be there: 0.2 us for one packet where ``msgpack`` takes 0.7, and 2.0 to
be given the limits that everything else needs. ``msgpack`` reads all others, and says what is wrong with what
``msgspec`` refuses.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final, cast

import msgpack
import msgspec

from core.wire.packets import (
    Disconnect,
    ErrorResponse,
    Handshake,
    MalformedMessage,
    MalformedRequest,
    Message,
    Packet,
    PacketFault,
    PlainEvent,
    Request,
    Response,
)
from core.wire.socketcluster import (
    MAX_INTEGER,
    MAX_NAME_CHARACTERS,
    MAX_PING_TIMEOUT_MS,
    MAX_TEXT_CHARACTERS,
    sendable_close_code,
)

HANDSHAKE: Final = 0
ACK: Final = 1
REQUEST: Final = 2
ANSWER: Final = 3
ERROR: Final = 4
MESSAGE: Final = 5
DISCONNECT: Final = 6

MAX_KIND = 255
VALUES_PER_PACKET = 4

MAX_PACKETS = 1024
"""Packets in one message, at most."""

MAX_TEXT_BYTES = 4 * MAX_TEXT_CHARACTERS
"""Longest text: the 1,000 characters of an error message or a reason, each at most 4 bytes of UTF-8."""

_SMALL_BYTES = 4096
"""Larger payloads are not packed by the packer, which would copy them once more and keep room of that size for ever."""

SMALL_MESSAGE_BYTES = MAX_TEXT_BYTES
"""In a message of this size no text can be too long."""

MAX_SMALL_PACKETS = 64
"""A reader for each number of packets is made when it is needed; that of the largest takes 30 KB."""

_INTEGERS, _TEXTS, _PAYLOADS = {int}, {str}, {bytes, type(None)}

_MALFORMED_MESSAGE = MalformedMessage()
_MAX_DETAIL_CHARACTERS = 200


# ---- writing ----

_pack = msgpack.Packer(autoreset=True).pack
"""One for all: it is only given texts, bytes and integers, for which it never leaves C."""

_NIL = b"\xc0"
_MESSAGE = _pack(MESSAGE) + _pack(0)
_MESSAGE_HEADS: dict[str, bytes] = {}
"""What messages of a name begin with: a program has few names, and sends many messages of each."""

_NAMES: dict[str, bytes] = {}
"""Names of procedures as they are written."""

MAX_REMEMBERED = 256
"""Entries of either."""

_ANSWER = _pack(ANSWER)
_REQUEST = _pack(REQUEST)
_NO_TEXT = _pack("")


def join(packets: Sequence[bytes]) -> bytes:
    """Return the message that holds these packets, 1 to ``MAX_PACKETS`` of them."""
    count = VALUES_PER_PACKET * len(packets)
    head = b"%c" % (0x90 | count) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    return head + packets[0] if len(packets) == 1 else b"".join((head, *packets))


def encode_message(event: str, data: bytes | None) -> bytes:
    """Return a one-way message; ``data`` None sends none."""
    head = _MESSAGE_HEADS.get(event)
    if head is None:
        if len(_MESSAGE_HEADS) == MAX_REMEMBERED:
            _MESSAGE_HEADS.clear()
        head = _MESSAGE_HEADS[event] = _MESSAGE + _text(event)
    if data is not None and len(data) <= _SMALL_BYTES:
        return head + cast(bytes, _pack(data))
    return b"".join((head, *_data(data)))


def encode_request(procedure: str, data: bytes | None, cid: int | None) -> bytes:
    """Return a call; ``cid`` None asks for no answer."""
    name = _NAMES.get(procedure)
    if name is None:
        if len(_NAMES) == MAX_REMEMBERED:
            _NAMES.clear()
        name = _NAMES[procedure] = _text(procedure)
    if data is None or len(data) <= _SMALL_BYTES:
        return cast(bytes, _REQUEST + _pack(cid or 0) + name + _pack(data))
    return b"".join((_REQUEST, _pack(cid or 0), name, *_data(data)))


def encode_response(rid: int, data: bytes | None, peer_id: str) -> bytes:
    """Return the answer to call ``rid``. The asking side's id does not travel: it is for information only."""
    if data is None or len(data) <= _SMALL_BYTES:
        return cast(bytes, _ANSWER + _pack(rid) + _NO_TEXT + _pack(data))
    return b"".join((_ANSWER, _pack(rid), _NO_TEXT, *_data(data)))


def encode_error(rid: int, message: str, code: int | None = None) -> bytes:
    """Return the error answer to call ``rid``; ``code`` is one of :class:`core.wire.packets.ErrorCode`, or none."""
    text = _text(message[:MAX_TEXT_CHARACTERS])
    return b"".join((_pack(ERROR), _pack(rid), text, *_data(None if code is None else _pack(code))))


def encode_disconnect(code: int, reason: str | None) -> bytes:
    """Return the announcement of a close."""
    return b"".join((_pack(DISCONNECT), _pack(code), _text((reason or "")[:MAX_TEXT_CHARACTERS]), _NIL))


def encode_handshake(cid: int) -> bytes:
    """Return the opener's first packet."""
    return b"".join((_pack(HANDSHAKE), _pack(cid), _NO_TEXT, _NIL))


def encode_ack(rid: int, session_id: str, ping_timeout_ms: int) -> bytes:
    """Return the listener's acknowledgement of it."""
    return b"".join((_pack(ACK), _pack(rid), _text(session_id), *_data(_pack(ping_timeout_ms))))


def _text(text: str) -> bytes:
    try:
        return cast(bytes, _pack(text))
    except UnicodeEncodeError:  # unpaired surrogates are sent as U+FFFD, as in the other dialects
        return cast(bytes, _pack(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")))


def _data(data: bytes | None) -> tuple[bytes, ...]:
    if data is None:
        return (_NIL,)
    size = len(data)
    if size <= _SMALL_BYTES:
        return (_pack(data),)
    if size <= 0xFFFF:
        return (b"\xc5" + size.to_bytes(2, "big"), data)
    return (b"\xc6" + size.to_bytes(4, "big"), data)


# ---- reading ----

Reader = Callable[[bytes], tuple[Any, ...]]


@functools.cache
def _reader_of(packets: int) -> Reader:
    """What reads exactly so many packets, and nothing but values of their types."""
    values = (int, int, str, bytes | None) * packets
    return cast(Reader, msgspec.msgpack.Decoder(tuple[values]).decode)  # type: ignore[valid-type]


def _small_reader(payload: bytes) -> Reader | None:
    """The reader of a small message, by the header that says how many values there are."""
    first = payload[0]
    if first == _ONE_PACKET:
        return _read_one
    count = first & 0x0F if first & 0xF0 == 0x90 else int.from_bytes(payload[1:3], "big") if first == 0xDC else 0
    packets, rest = divmod(count, VALUES_PER_PACKET)
    return _reader_of(packets) if not rest and 0 < packets <= MAX_SMALL_PACKETS else None


_ONE_PACKET = 0x90 | VALUES_PER_PACKET
_read_one = _reader_of(1)


def decode_packets(payload: bytes, *, binary: bool) -> list[Packet]:
    """Return the packets of one WebSocket message, in order; at least one.

    Raises :class:`PacketFault` for everything that a correct peer never sends, and nothing else.
    """
    if not binary:
        raise PacketFault("not_binary", "expected a binary message")
    if 0 < len(payload) <= SMALL_MESSAGE_BYTES and (read := _small_reader(payload)) is not None:
        try:
            values = read(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _packets_of(_values(payload))  # tells what is wrong
        return [_packet_of(*values)] if len(values) == VALUES_PER_PACKET else _packets_of(values)
    return _packets_of(_values(payload))


def _packets_of(values: Sequence[Any]) -> list[Packet]:
    """Return the packets in a row of values, four for each. Raises PacketFault.

    The hot path of receiving many: what is nearly always so is looked at for all of them at once, a third of the time.
    """
    kinds, numbers, texts, payloads = values[::4], values[1::4], values[2::4], values[3::4]
    packets: list[Packet] = []
    append = packets.append
    are_plain = (
        set(map(type, kinds)) == set(map(type, numbers)) == _INTEGERS
        and set(map(type, texts)) == _TEXTS
        and set(map(type, payloads)) <= _PAYLOADS
        and min(numbers) >= 0
        and max(numbers) <= MAX_INTEGER
        and max(map(len, texts)) <= MAX_NAME_CHARACTERS
    )
    for kind, number, text, data in zip(kinds, numbers, texts, payloads, strict=True):
        if not are_plain:
            append(_packet_of(kind, number, text, data))
        elif kind == MESSAGE:
            append(Message(text, data))
        elif kind == ANSWER:
            append(Response(number, data))
        elif kind == REQUEST:
            append(Request(text, data, number))
        else:
            append(_packet_of(kind, number, text, data))
    return packets


def _packet_of(kind: Any, number: Any, text: Any, data: Any) -> Packet:
    """Return the packet that four values are. Raises PacketFault."""
    if (
        type(number) is not int
        or type(text) is not str
        or (data is not None and type(data) is not bytes)
        or type(kind) is not int  # 5.0 equals 5, and True 1
        or not 0 <= number <= MAX_INTEGER
        or not 0 <= kind <= MAX_KIND
    ):
        raise _wrong_type(kind, number, text, data)
    if kind == ANSWER:
        return Response(number, data)
    if kind == REQUEST:
        return Request(text, data, number) if len(text) <= MAX_NAME_CHARACTERS else MalformedRequest(number)
    if kind == MESSAGE:
        return Message(text, data) if len(text) <= MAX_NAME_CHARACTERS else _MALFORMED_MESSAGE
    return _rare(kind, number, text, data)


def _values(payload: bytes) -> list[Any]:
    """Return what the array in ``payload`` holds; none of it is an array, map or extension of any length but zero."""
    unpacker = new_unpacker(payload, max_text_bytes=MAX_TEXT_BYTES)
    try:
        count = unpacker.read_array_header()
        if count % VALUES_PER_PACKET or not 0 < count <= VALUES_PER_PACKET * MAX_PACKETS:
            raise PacketFault("not_packets", f"expected 1 to {MAX_PACKETS} packets of 4 values, got {count} values")
        values = list(islice(unpacker, count))
    except msgpack.UnpackException as error:  # before ValueError, of which some are kinds
        raise PacketFault("not_msgpack", f"{type(error).__name__} at byte {unpacker.tell()}") from error
    except UnicodeDecodeError as error:
        raise PacketFault("not_msgpack", "a string is not UTF-8") from error
    except ValueError as error:
        raise PacketFault("value_limit", str(error)[:_MAX_DETAIL_CHARACTERS]) from error
    if len(values) != count:
        raise PacketFault("not_msgpack", f"expected {count} values, got {len(values)}")
    if unpacker.tell() != len(payload):
        raise PacketFault("not_msgpack", f"{len(payload) - unpacker.tell()} bytes follow the array")
    return values


def new_unpacker(data: bytes, *, max_text_bytes: int) -> Any:
    """Return msgpack's reader of ``data``. It refuses every array, map and extension with something in it.

    ``read_array_header`` and ``read_map_header`` read one that is expected. Each value takes a byte or more, so that
    no more values are built than ``data`` has bytes.
    """
    size = len(data)
    unpacker = msgpack.Unpacker(
        None,
        read_size=size or 1,  # the room for what is fed below, and no more
        max_buffer_size=size or 1,
        use_list=False,  # an array that is let through is empty, and there is one empty tuple for all
        max_str_len=max_text_bytes,
        max_bin_len=size,
        max_array_len=0,
        max_map_len=0,
        max_ext_len=0,
    )
    unpacker.feed(data)
    return unpacker


def _rare(kind: int, number: int, text: str, data: bytes | None) -> Packet:
    if kind == ERROR:
        return ErrorResponse(number, text[:MAX_TEXT_CHARACTERS], _integer_in(data))
    if kind == HANDSHAKE:
        return Handshake(number)
    if kind == ACK:
        timeout_ms = _integer_in(data)
        if timeout_ms is None or not 1 <= timeout_ms <= MAX_PING_TIMEOUT_MS:
            return Response(number, None, malformed=True)
        return Response(number, None, ping_timeout_ms=timeout_ms)
    if kind == DISCONNECT:
        return Disconnect(number if sendable_close_code(number) else None, text[:MAX_TEXT_CHARACTERS])
    return PlainEvent("", number)


def _integer_in(data: bytes | None) -> int | None:
    """Return the integer that ``data`` begins with, None if it begins with none. Whatever follows is for later."""
    if not data:
        return None
    try:
        value = new_unpacker(data, max_text_bytes=0).unpack()
    except (msgpack.UnpackException, ValueError):
        return None
    return value if type(value) is int and 0 <= value <= MAX_INTEGER else None


def _wrong_type(*values: object) -> PacketFault:
    kinds = ", ".join(type(value).__name__ for value in values)
    return PacketFault("wrong_type", f"expected integers in range, a string, and nil or bytes, got {kinds}")
