"""An open channel, both sides: messages, caps, control frames, sending, closing."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.transport.channel import EVENT_BUDGET, MAX_FRAGMENTS, QUIET, READ_BUDGET_BYTES, RECV_BYTES, Channel
from actors.transport.websocket import ChannelEvent, Closed, ControlFrame, MessageReceived
from tests.actors.transport.fakes import BINARY, CLOSE, CONT, PING, PONG, TEXT, FakeStream, close_frame, frame, os_error
from tests.actors.transport.helpers import drain, new_listener, new_opener, open_channel, upgraded_listener

SIDES = pytest.mark.parametrize("side", ["listener", "opener"])

MIXED_EVENTS: list[ChannelEvent] = [
    MessageReceived(b"#1", False),
    MessageReceived(b"", False),
    MessageReceived(b"\x00\xff", True),
    MessageReceived(b"onetwothree", False),
    ControlFrame("ping"),
    MessageReceived(b"x" * 200, True),
    ControlFrame("pong"),
    MessageReceived("ä€".encode(), False),
]


def mixed_stream(mask: bytes | None) -> bytes:
    """What MIXED_EVENTS comes from."""
    return b"".join(
        [
            frame(TEXT, b"#1", mask=mask),
            frame(TEXT, b"", mask=mask),
            frame(BINARY, b"\x00\xff", mask=mask),
            frame(TEXT, b"one", fin=False, mask=mask),
            frame(CONT, b"", fin=False, mask=mask),
            frame(CONT, b"two", fin=False, mask=mask),
            frame(CONT, b"three", mask=mask),
            frame(PING, b"p", mask=mask),
            frame(BINARY, b"x" * 100, fin=False, mask=mask),
            frame(CONT, b"x" * 100, mask=mask),
            frame(PONG, mask=mask),
            frame(TEXT, "ä€".encode(), mask=mask),
        ]
    )


# ---- receiving ---------------------------------------------------------------------------------------------------


@SIDES
def test_messages_and_control_frames_come_in_order(side: str) -> None:
    channel, _, remote, mask = open_channel(side)
    remote.send(mixed_stream(mask))
    assert channel.on_readable() == MIXED_EVENTS
    assert not remote.inbox, "a ping must not be answered"


@SIDES
def test_byte_by_byte_gives_the_same_events(side: str) -> None:
    channel, _, remote, mask = open_channel(side)
    events = []
    for byte in mixed_stream(mask):
        remote.send(bytes([byte]))
        events += channel.on_readable()
    assert events == MIXED_EVENTS


@SIDES
def test_cut_at_every_position_gives_the_same_events(side: str) -> None:
    stream = mixed_stream(b"abcd" if side == "listener" else None)
    for cut in range(1, len(stream)):
        channel, _, remote, _ = open_channel(side)
        remote.send(stream[:cut])
        events = channel.on_readable()
        remote.send(stream[cut:])
        assert events + channel.on_readable() == MIXED_EVENTS, f"cut at {cut}"


@given(payload=st.binary(max_size=300), mask=st.binary(min_size=4, max_size=4), opcode=st.sampled_from([TEXT, BINARY]))
def test_any_payload_under_any_mask_arrives(payload: bytes, mask: bytes, opcode: int) -> None:
    channel, _, remote, _ = open_channel("listener")
    remote.send(frame(opcode, payload, mask=mask))
    assert channel.on_readable() == [MessageReceived(payload, opcode == BINARY)]


@given(payload=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_any_fragmentation_gives_the_whole_message(payload: bytes, cuts: list[int]) -> None:
    channel, _, remote, mask = open_channel("listener")
    bounds = [0, *sorted(min(cut, len(payload)) for cut in cuts), len(payload)]
    parts = [payload[start:end] for start, end in itertools.pairwise(bounds)]
    for index, part in enumerate(parts):
        remote.send(frame(CONT if index else TEXT, part, fin=index == len(parts) - 1, mask=mask))
    assert channel.on_readable() == [MessageReceived(payload, False)]


@SIDES
@pytest.mark.parametrize("pieces", [1, 2, 3, 10])
def test_message_of_exactly_the_maximum_is_taken_and_one_byte_more_is_not(side: str, pieces: int) -> None:
    """docs/protocol.md, "Connection": the limit counts the payload of the whole message."""
    for size in (1000, 1001):
        channel, own, remote, mask = open_channel(side, max_message_bytes=1000)
        payload = bytes(index % 251 for index in range(size))
        step = -(-size // pieces)
        for start in range(0, size, step):
            last = start + step >= size
            remote.send(frame(CONT if start else BINARY, payload[start : start + step], fin=last, mask=mask))
        (event,) = channel.on_readable()
        if size == 1000:
            assert event == MessageReceived(payload, True)
        else:
            assert isinstance(event, Closed)
            assert (event.code, event.clean) == (1009, False)
            assert own.was_shut_down
            assert not remote.inbox, "no close frame: the TCP connection is destroyed"


@SIDES
def test_message_of_lisks_maximum(side: str) -> None:
    """wsMaxPayload: 3048576 bytes are accepted, 3048577 are not."""
    channel, _, remote, mask = open_channel(side, max_message_bytes=3_048_576)
    remote.send(frame(TEXT, b"m" * 3_048_576, mask=mask))
    calls = 0
    events: list[ChannelEvent] = []
    while not events:
        calls += 1
        events = channel.on_readable()
    assert events == [MessageReceived(b"m" * 3_048_576, False)]
    assert calls == -(-3_048_576 // READ_BUDGET_BYTES), "one busy peer must leave time for the others"
    remote.send(frame(TEXT, b"m" * 3_048_577, mask=mask)[:20])
    (event,) = channel.on_readable()
    assert isinstance(event, Closed)
    assert event.code == 1009, "told by the header, before the payload is stored"


@SIDES
def test_tiny_messages_are_returned_in_bounded_numbers(side: str) -> None:
    channel, _, remote, mask = open_channel(side)
    one = frame(TEXT, mask=mask)
    count = READ_BUDGET_BYTES // len(one)
    remote.send(one * count)
    first = channel.on_readable()
    assert EVENT_BUDGET <= len(first) <= RECV_BYTES // len(one) + 1
    assert len(first) + len(drain(channel)) == count


@SIDES
def test_short_read_is_not_followed_by_another_system_call(side: str) -> None:
    channel, own, remote, mask = open_channel(side)
    before = own.recv_calls
    remote.send(frame(TEXT, b"x", mask=mask))
    channel.on_readable()
    assert own.recv_calls == before + 1


@SIDES
def test_endless_empty_fragments_are_cut_off(side: str) -> None:
    channel, own, remote, mask = open_channel(side)
    remote.send(frame(TEXT, fin=False, mask=mask) + frame(CONT, fin=False, mask=mask) * (MAX_FRAGMENTS - 2))
    assert drain(channel) == []
    remote.send(frame(CONT, fin=False, mask=mask))
    (event,) = channel.on_readable()
    assert isinstance(event, Closed)
    assert event.code == 1009
    assert own.closed


FORBIDDEN: dict[str, Callable[[bytes | None], bytes]] = {
    "rsv1": lambda mask: frame(TEXT, b"x", mask=mask, reserved=4),
    "rsv3": lambda mask: frame(TEXT, b"x", mask=mask, reserved=1),
    "opcode 3": lambda mask: frame(3, b"x", mask=mask),
    "opcode 11": lambda mask: frame(11, b"x", mask=mask),
    "lone continuation": lambda mask: frame(CONT, b"x", mask=mask),
    "message in message": lambda mask: frame(TEXT, b"x", fin=False, mask=mask) + frame(TEXT, b"x", mask=mask),
    "fragmented ping": lambda mask: frame(PING, b"x", fin=False, mask=mask),
    "long ping": lambda mask: frame(PING, b"x" * 126, mask=mask),
    "close with 1 byte": lambda mask: frame(CLOSE, b"x", mask=mask),
    "close 999": lambda mask: close_frame(999, mask=mask),
    "close 1005": lambda mask: close_frame(1005, mask=mask),
    "close 5000": lambda mask: close_frame(5000, mask=mask),
    "close in message": lambda mask: frame(TEXT, b"x", fin=False, mask=mask) + close_frame(1000, mask=mask),
    "wrong masking": lambda mask: frame(TEXT, b"x", mask=None if mask else b"abcd"),
}


@SIDES
@pytest.mark.parametrize("case", FORBIDDEN)
def test_frames_that_break_rfc_6455_end_the_connection_without_a_close_frame(side: str, case: str) -> None:
    channel, own, remote, mask = open_channel(side)
    remote.send(frame(TEXT, b"before", mask=mask) + FORBIDDEN[case](mask) + frame(TEXT, b"after", mask=mask))
    events = channel.on_readable()
    assert events[0] == MessageReceived(b"before", False)
    assert isinstance(events[-1], Closed)
    assert (events[-1].code, events[-1].clean) == (1002, False)
    assert events[-1].reason
    assert MessageReceived(b"after", False) not in events
    assert own.closed
    assert own.was_shut_down
    assert not remote.inbox
    assert channel.on_readable() == []


@SIDES
def test_close_reason_that_is_no_utf8(side: str) -> None:
    channel, _, remote, mask = open_channel(side)
    remote.send(close_frame(1000, b"\xff", mask=mask))
    (event,) = channel.on_readable()
    assert isinstance(event, Closed)
    assert (event.code, event.clean) == (1007, False)


@SIDES
def test_lost_connections_are_reported_after_what_had_arrived(side: str) -> None:
    for failure in (None, os_error(errno.ECONNRESET), os_error(errno.ETIMEDOUT)):
        channel, own, remote, mask = open_channel(side)
        remote.send(frame(TEXT, b"last", mask=mask))
        own.recv_failure = failure
        remote.shutdown()
        events = channel.on_readable() + channel.on_readable()
        assert events[0] == MessageReceived(b"last", False)
        assert isinstance(events[1], Closed)
        assert (events[1].code, events[1].clean) == (1006, False)
        assert events[1].reason
        assert len(events) == 2
        assert own.closed


@SIDES
def test_paused_channel_reads_nothing_and_goes_on_where_it_was(side: str) -> None:
    channel, own, remote, mask = open_channel(side)
    channel.pause_reading()
    remote.send(frame(TEXT, b"x", mask=mask))
    assert not channel.wants_read
    assert channel.on_readable() == []
    assert own.inbox
    assert channel.resume_reading() == [MessageReceived(b"x", False)]
    assert channel.wants_read


@given(side=st.sampled_from(["listener", "opener"]), chunks=st.lists(st.binary(max_size=400), max_size=8))
def test_garbage_never_raises_on_an_open_channel(side: str, chunks: list[bytes]) -> None:
    channel, own, remote, _ = open_channel(side)
    check_garbage(channel, own, remote, chunks)


@given(chunks=st.lists(st.binary(max_size=400), max_size=8))
def test_garbage_never_raises_before_the_first_message(chunks: list[bytes]) -> None:
    channel, own, remote = upgraded_listener()
    check_garbage(channel, own, remote, chunks)


HTTP_BITS = st.sampled_from(
    [
        b"GET ",
        b"/rpc/",
        b" HTTP/1.1\r\n",
        b"HTTP/1.1 ",
        b"101 ",
        b"200 OK\r\n",
        b"\r\n",
        b"\n",
        b": ",
        b"5\r\n",
        b"Upgrade: websocket\r\n",
        b"Connection: ,\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 9\r\n",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Sec-WebSocket-Extensions: ;;\r\n",
    ]
)


@given(chunks=st.lists(st.one_of(st.binary(max_size=40), HTTP_BITS), max_size=20), opener=st.booleans())
def test_garbage_never_raises_during_the_upgrade(chunks: list[bytes], opener: bool) -> None:
    channel, own, remote = new_opener() if opener else new_listener()
    if opener:
        channel.on_writable()
    check_garbage(channel, own, remote, chunks)


def check_garbage(channel: Channel, own: FakeStream, remote: FakeStream, chunks: list[bytes]) -> None:
    """Feed it all, then end the stream: no exception, and Closed, if any, is one and last."""
    events: list[ChannelEvent] = []
    for chunk in chunks:
        remote.send(chunk)
        events += channel.on_readable()
    remote.shutdown()
    events += channel.on_readable()
    events += channel.on_readable()
    kinds = [type(event) for event in events]
    assert kinds.count(Closed) <= 1
    assert Closed not in kinds[:-1]
    assert own.closed is (Closed in kinds)


# ---- sending -----------------------------------------------------------------------------------------------------


@SIDES
def test_sends_are_gathered_until_flush(side: str) -> None:
    channel, _, remote, _ = open_channel(side)
    assert channel.send_text("ä")
    assert channel.send_text(b"two")
    assert channel.send_binary(b"\x00")
    assert not remote.inbox
    assert channel.wants_write
    queued = channel.queued_bytes
    channel.flush()
    assert not channel.wants_write
    assert channel.queued_bytes == 0
    assert len(remote.inbox) == queued
    if side == "listener":
        assert bytes(remote.inbox) == frame(TEXT, "ä".encode(), mask=None) + frame(TEXT, b"two", mask=None) + frame(
            BINARY, b"\x00", mask=None
        )


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_both_sides_understand_each_other(size: int) -> None:
    opener, _, to_listener, _ = open_channel("opener", max_message_bytes=100_000, max_queued_bytes=200_000)
    listener, _, to_opener, _ = open_channel("listener", max_message_bytes=100_000, max_queued_bytes=200_000)
    text = "t" * size
    assert opener.send_text(text)
    opener.flush()
    to_opener.send(bytes(to_listener.inbox))  # as if the two were connected
    assert drain(listener) == [MessageReceived(text.encode(), False)]
    assert listener.send_binary(text.encode())
    listener.flush()
    to_listener.send(bytes(to_opener.inbox))
    assert drain(opener) == [MessageReceived(text.encode(), True)]


@SIDES
def test_partial_sends_lose_and_repeat_nothing(side: str) -> None:
    channel, own, remote, _ = open_channel(side)
    for number in range(20):
        own.room = 0
        channel.send_text(f"message {number}")
        own.room = 7
        before = channel.queued_bytes
        channel.flush()
        assert channel.queued_bytes == before - 7
        assert channel.wants_write
    while channel.wants_write:
        own.room = 3
        assert channel.on_writable() == []
    whole = bytes(remote.inbox)
    remote.inbox.clear()
    receiver, _, feeder, _ = open_channel("opener" if side == "listener" else "listener")
    feeder.send(whole)
    assert drain(receiver) == [MessageReceived(f"message {number}".encode(), False) for number in range(20)]


@SIDES
def test_full_queue_refuses_and_takes_nothing(side: str) -> None:
    channel, own, _, _ = open_channel(side, max_queued_bytes=1000)
    own.room = 0
    assert channel.send_text("x" * 900)
    queued = channel.queued_bytes
    assert channel.send_text("x" * 100) is False
    assert channel.queued_bytes == queued
    assert channel.send_text("x" * 10)
    own.room = None
    channel.flush()
    assert channel.send_text("x" * 900)


@SIDES
def test_queue_cap_is_exact_and_counts_the_greatest_frame_header(side: str) -> None:
    for size, fits in ((986, True), (987, False)):
        channel, _, _, _ = open_channel(side, max_queued_bytes=1000)
        assert channel.send_text("x" * size) is fits


@SIDES
def test_broken_connection_met_while_sending_is_reported_by_the_next_read(side: str) -> None:
    channel, own, remote, mask = open_channel(side)
    remote.send(frame(TEXT, b"last words", mask=mask))
    remote.shutdown()
    own.send_failure = os_error(errno.EPIPE)
    assert channel.send_text("x")
    channel.flush()
    assert not channel.wants_write
    assert channel.send_text("y") is False
    assert channel.on_readable() + channel.on_readable() == [
        MessageReceived(b"last words", False),
        Closed(1006, False, "Broken pipe"),
    ]


@SIDES
def test_nothing_of_a_peers_payload_reaches_the_log(side: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        channel, _, remote, mask = open_channel(side)
        remote.send(frame(TEXT, b"secret", mask=mask) + frame(3, mask=mask))
        channel.on_readable()
    assert caplog.records == []
    assert not QUIET.isEnabledFor(50)


# ---- closing -----------------------------------------------------------------------------------------------------


@SIDES
@pytest.mark.parametrize("code", [1000, 1001, 4000, 4104, 4999])
def test_their_close_frame_is_echoed_without_its_text(side: str, code: int) -> None:
    channel, own, remote, mask = open_channel(side)
    remote.send(close_frame(code, b"because", mask=mask) + frame(TEXT, b"after", mask=mask))
    assert channel.on_readable() == [Closed(code, True, "because")]
    echo = bytes(remote.inbox)
    assert echo[0] == 0x88
    assert echo[1] & 0x7F == 2
    if side == "listener":
        assert echo[2:] == code.to_bytes(2, "big")
    assert own.closed
    assert own.was_shut_down
    assert channel.closed
    assert channel.fileno() == -1
    assert channel.send_text("x") is False
    assert channel.on_readable() == []
    channel.close(1000)


@SIDES
def test_close_frame_without_a_code(side: str) -> None:
    channel, _, remote, mask = open_channel(side)
    remote.send(frame(CLOSE, mask=mask))
    assert channel.on_readable() == [Closed(1005, True, "")]
    assert remote.inbox[1] & 0x7F == 0


@SIDES
def test_our_close_frame_follows_what_was_queued_and_waits_for_theirs(side: str) -> None:
    channel, own, remote, mask = open_channel(side)
    assert channel.send_text('{"event":"#disconnect"}')
    channel.close(4418)
    assert channel.closing
    assert not channel.closed
    assert channel.send_text("too late") is False
    sent = bytes(remote.inbox)
    if side == "listener":
        assert sent == frame(TEXT, b'{"event":"#disconnect"}', mask=None) + close_frame(4418, mask=None)
    channel.close(1000)
    assert bytes(remote.inbox) == sent, "one close frame only"
    remote.send(frame(TEXT, b"in flight", mask=mask))
    assert channel.on_readable() == [MessageReceived(b"in flight", False)]
    remote.send(close_frame(4418, mask=mask))
    assert channel.on_readable() == [Closed(4418, True, "")]
    assert bytes(remote.inbox) == sent
    assert own.closed
    assert not channel.closing


@SIDES
def test_close_frames_that_cross_are_one_clean_close(side: str) -> None:
    channel, _, remote, mask = open_channel(side)
    remote.send(close_frame(1001, mask=mask))
    channel.close(4000)
    assert channel.on_readable() == [Closed(4000, True, "")]


@SIDES
def test_connection_that_ends_while_closing_is_not_clean(side: str) -> None:
    channel, _, remote, _ = open_channel(side)
    channel.close(4000)
    remote.shutdown()
    (event,) = channel.on_readable()
    assert isinstance(event, Closed)
    assert (event.code, event.clean) == (1006, False)


@SIDES
def test_peer_that_does_not_read_cannot_hold_up_a_close(side: str) -> None:
    channel, own, remote, mask = open_channel(side)
    own.room = 5
    assert channel.send_text("x" * 500)
    channel.close(1000)
    assert channel.wants_write
    remote.send(close_frame(1000, mask=mask))
    assert channel.on_readable() == [Closed(1000, True, "")]
    assert own.closed
    assert not channel.wants_write


@SIDES
@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 70_000])
def test_codes_that_must_not_be_sent_are_refused(side: str, code: int) -> None:
    channel, _, remote, _ = open_channel(side)
    with pytest.raises(ValueError, match=str(code)):
        channel.close(code)
    assert not remote.inbox
    assert channel.is_open


@SIDES
def test_abort_ends_the_connection_at_once_and_says_nothing(side: str) -> None:
    channel, own, remote, mask = open_channel(side)
    remote.send(frame(TEXT, b"x", mask=mask))
    channel.send_text("y")
    channel.abort()
    channel.abort()
    channel.flush()
    assert own.was_shut_down
    assert own.closed
    assert not remote.inbox
    assert channel.on_readable() == []
    assert channel.closed
    assert not channel.wants_read
