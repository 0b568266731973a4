"""Several packets in one message: when they are waiting, and only then."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.transport.channel import Channel
from actors.transport.channel_writer import JOINED_BYTES
from actors.transport.events import ChannelEvent, MessageReceived
from core.wire.native import MIN_MESSAGE_BYTES
from core.wire.native_packets import MAX_PACKETS, decode_packets, encode_message, join
from core.wire.packets import Message
from tests.actors.transport.fakes import FakeStream
from tests.actors.transport.helpers import open_channel

SIDES = pytest.mark.parametrize("side", ["listener", "opener"])


def joining(side: str = "listener", max_queued_bytes: int = 1 << 20) -> tuple[Channel, Channel, FakeStream]:
    """A channel that joins packets, the channel that reads them, and the stream between."""
    channel, own, remote, _ = open_channel(side, max_queued_bytes=max_queued_bytes)
    reader, _, _, _ = open_channel("opener" if side == "listener" else "listener", max_message_bytes=1 << 20)
    reader._stream = remote
    channel.join = join
    return channel, reader, own


def received(reader: Channel) -> list[list[Message]]:
    """The packets that came, by message."""
    events: list[ChannelEvent] = reader.on_readable()
    messages = []
    for event in events:
        assert isinstance(event, MessageReceived)
        assert event.binary
        messages.append(decode_packets(event.payload, binary=True))
    return messages  # type: ignore[return-value]


@SIDES
def test_a_single_packet_goes_alone_and_at_once(side: str) -> None:
    channel, reader, _ = joining(side)
    for number in range(3):
        assert channel.send(encode_message("a", bytes([number])))
        assert channel.wants_write
        channel.flush()
        assert received(reader) == [[Message("a", bytes([number]))]]
    assert not channel.wants_write


@SIDES
def test_what_waits_goes_in_one_message(side: str) -> None:
    channel, reader, _ = joining(side)
    for number in range(100):
        assert channel.send(encode_message("a", bytes([number])))
    channel.flush()
    assert received(reader) == [[Message("a", bytes([number])) for number in range(100)]]
    assert channel.queued_bytes == 0


def test_a_message_has_at_most_so_many_packets() -> None:
    channel, reader, _ = joining()
    for _ in range(2 * MAX_PACKETS + 1):
        channel.send(encode_message("a", None))
    channel.flush()
    assert [len(packets) for packets in received(reader)] == [MAX_PACKETS, MAX_PACKETS, 1]


def test_a_joined_message_has_at_most_64_kib() -> None:
    """Any node that speaks the dialect must take it; a single larger packet is the sender's decision."""
    channel, reader, _ = joining()
    sizes = [30_000, 30_000, 30_000, 100_000, 10, 10]
    for size in sizes:
        channel.send(encode_message("a", bytes(size)))
    channel.flush()
    events = reader.on_readable() + reader.on_readable() + reader.on_readable()
    lengths = [len(event.payload) for event in events if isinstance(event, MessageReceived)]
    assert len(lengths) == 4
    assert [length <= MIN_MESSAGE_BYTES for length in lengths] == [True, True, False, True]


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=200), st.integers(1, 50))
def test_any_packets_arrive_in_order_whenever_it_is_flushed(sizes: list[int], every: int) -> None:
    channel, reader, _ = joining()
    sent = [Message(str(number), bytes(size)) for number, size in enumerate(sizes)]
    for number, message in enumerate(sent):
        assert channel.send(encode_message(message.event, message.data))
        if number % every == 0:
            channel.flush()
    channel.flush()
    came: list[Message] = []
    while batch := received(reader):
        came += itertools.chain.from_iterable(batch)
    assert came == sent


def test_what_waits_for_a_slow_reader_is_joined_when_there_is_room() -> None:
    channel, reader, own = joining()
    own.room = 0
    for number in range(50):
        channel.send(encode_message("a", bytes([number])))
        channel.flush()
    own.room = None
    channel.on_writable()
    assert [len(packets) for packets in received(reader)] == [1, 49]
    assert channel.queued_bytes == 0


def test_the_queue_counts_what_is_not_joined_yet() -> None:
    channel, _, _ = joining(max_queued_bytes=1000)
    accepted = 0
    while channel.send(encode_message("a", bytes(50))):
        accepted += 1
    assert accepted == (1000 - 14) // len(encode_message("a", bytes(50)))
    assert channel.queued_bytes == accepted * len(encode_message("a", bytes(50)))
    channel.flush()
    assert channel.queued_bytes == 0
    assert channel.send(encode_message("a", b""))


@SIDES
def test_text_and_packets_keep_their_order(side: str) -> None:
    channel, reader, _ = joining(side)
    channel.send(encode_message("a", None))
    channel.send("text")
    channel.send(encode_message("b", None))
    channel.send_binary(b"raw")
    channel.send(encode_message("c", None))
    channel.flush()
    payloads = [event.payload for event in reader.on_readable() if isinstance(event, MessageReceived)]
    packets = [join([encode_message(name, None)]) for name in "abc"]
    assert payloads == [packets[0], b"text", packets[1], b"raw", packets[2]]


@SIDES
def test_a_close_frame_follows_what_was_waiting(side: str) -> None:
    channel, reader, _ = joining(side)
    channel.send(encode_message("a", b"last"))
    channel.close(1000)
    assert reader.on_readable()[0] == MessageReceived(join([encode_message("a", b"last")]), True)
    assert not channel.send(encode_message("a", None))


def frame_under_way(channel: Channel) -> object:
    """The bytes that the socket is being given, of which it may have taken a part."""
    pending = channel._pending
    return pending.obj if isinstance(pending, memoryview) else pending


def test_bytes_that_are_taken_late_show_that_the_other_side_reads() -> None:
    channel, _, own = joining()
    channel.send(encode_message("a", bytes(100)))
    channel.flush()
    assert channel.sent_bytes == 0, "taken at once"
    size = channel.traffic.bytes_sent
    own.room = 0
    channel.send(encode_message("a", bytes(100)))
    channel.flush()
    assert channel.sent_bytes == 0
    for room, taken in ((10, 10), (0, 10), (20, 30), (None, size)):
        own.room = room
        channel.flush()
        assert channel.sent_bytes == taken
    assert channel.queued_bytes == 0
    assert channel.traffic.bytes_sent == 2 * size


def test_broadcasts_in_a_row_are_one_frame_for_all_inbound_peers() -> None:
    channels = [joining() for _ in range(20)]
    packets = [encode_message("block", bytes([number])) for number in range(50)]
    for channel, _, own in channels:
        own.room = 0
        channel.send_all(packets)
        channel.flush()
    queued = {id(frame_under_way(channel)) for channel, _, _ in channels if channel._pending is not None}
    assert len(queued) == 1


def test_an_aborted_channel_forgets_what_was_waiting() -> None:
    channel, reader, _ = joining()
    channel.send(encode_message("a", bytes(100)))
    channel.abort()
    assert channel.queued_bytes == 0
    assert not any(isinstance(event, MessageReceived) for event in reader.on_readable())


def test_a_broadcast_is_one_frame_for_all_inbound_peers() -> None:
    channels = [joining() for _ in range(20)]
    packet = encode_message("block", bytes(1000))
    for channel, _, own in channels:
        own.room = 0
        channel.send(packet)
        channel.flush()
    queued = {id(frame_under_way(channel)) for channel, _, _ in channels if channel._pending is not None}
    assert len(queued) == 1
    for channel, reader, own in channels:
        own.room = None
        channel.flush()
        assert received(reader) == [[Message("block", bytes(1000))]]


def test_the_header_of_the_array_fits_beside_the_packets() -> None:
    assert len(join([bytes(JOINED_BYTES - MAX_PACKETS)] + [b"x"] * (MAX_PACKETS - 1))) <= MIN_MESSAGE_BYTES


@given(st.lists(st.lists(st.integers(0, 3000), min_size=1, max_size=60), min_size=1, max_size=8), st.booleans())
def test_packets_queued_together_are_the_same_as_one_by_one(groups: list[list[int]], joins: bool) -> None:
    together, _, _ = joining(max_queued_bytes=100_000)
    single, _, _ = joining(max_queued_bytes=100_000)
    together.join = single.join = join if joins else None
    for group in groups:
        packets = [encode_message("a", bytes(size)) for size in group]
        assert together.send_all(packets) == sum(not single.send(packet) for packet in packets)
        assert together.queued_bytes == single.queued_bytes
    streams = [channel._stream for channel in (together, single)]
    together.flush()
    single.flush()
    assert all(isinstance(stream, FakeStream) for stream in streams)
    assert together.traffic.bytes_sent == single.traffic.bytes_sent


def test_nothing_is_queued_on_a_closed_channel() -> None:
    channel, _, _ = joining()
    channel.close(1000)
    assert channel.send_all([encode_message("a", None)] * 3) == 3
