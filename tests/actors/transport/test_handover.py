"""Handing an upgraded connection over without losing a byte."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.transport.handover import MAX_FRAME_HEADER_BYTES, HandOver, frame_bytes
from actors.transport.websocket import Channel, ChannelEvent, Closed, MessageReceived
from tests.actors.transport.fakes import CONT, PING, REQUEST, TEXT, FakeNetwork, close_frame, frame
from tests.actors.transport.helpers import HANDSHAKE, drain, new_listener, upgraded_listener

AFTER = frame(TEXT, b'{"event":"rpc-request"}') + frame(PING) + frame(TEXT, b"y" * 300)
"""What an opener may have sent right behind its handshake."""


@pytest.mark.parametrize("mask", [b"abcd", None])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 100_000])
def test_length_of_a_frame(size: int, mask: bytes | None) -> None:
    whole = frame(TEXT, b"p" * size, mask=mask)
    header = len(whole) - size - (4 if mask else 0)
    for have in range(header):
        assert frame_bytes(whole[:have]) == 0
    assert frame_bytes(whole[:header]) == len(whole)
    assert frame_bytes(bytearray(whole + b"more")) == len(whole)


@given(st.binary(max_size=20))
def test_length_of_garbage(data: bytes) -> None:
    size = frame_bytes(data)
    assert size == 0 or 2 <= size < 2**64 + MAX_FRAME_HEADER_BYTES
    if len(data) >= 10:
        assert size


def test_first_message_is_reported_alone_and_reading_stops() -> None:
    channel, _, remote = upgraded_listener()
    remote.send(frame(TEXT, HANDSHAKE) + AFTER)
    assert channel.on_readable() == [MessageReceived(HANDSHAKE, False)]
    assert not channel.wants_read
    remote.send(b"never looked at")
    assert channel.on_readable() == []


def test_fragmented_first_message() -> None:
    channel, _, remote = upgraded_listener()
    remote.send(frame(TEXT, HANDSHAKE[:5], fin=False) + frame(PING) + frame(CONT, HANDSHAKE[5:]) + AFTER)
    events = channel.on_readable()
    assert events[-1] == MessageReceived(HANDSHAKE, False)
    assert channel.detach(1).leftover == AFTER


@pytest.mark.parametrize("keep", range(len(AFTER) + 1))
def test_leftover_is_exact_wherever_the_stream_is_cut(keep: int) -> None:
    """The giver has read ``keep`` bytes too many; the receiver sees all of them, and the rest from the socket."""
    channel, own, remote = upgraded_listener()
    remote.send(frame(TEXT, HANDSHAKE) + AFTER[:keep])
    assert channel.on_readable() == [MessageReceived(HANDSHAKE, False)]
    hand_over = pickle.loads(pickle.dumps(channel.detach(42)))
    assert hand_over == HandOver(
        token=42, fd=own.fd, remote_ip="10.0.0.2", remote_port=40000, leftover=AFTER[:keep], unsent=b""
    )
    adopted = Channel.adopt(FakeNetwork(own), hand_over)
    channel.confirm()
    remote.send(AFTER[keep:])
    assert [type(event).__name__ for event in drain(adopted)] == ["MessageReceived", "ControlFrame", "MessageReceived"]
    assert (adopted.remote_ip, adopted.remote_port) == ("10.0.0.2", 40000)


def test_byte_by_byte_from_request_to_first_message() -> None:
    for held_back in (0, 1, len(AFTER)):
        channel, _, remote = new_listener()
        events: list[ChannelEvent] = []
        stream = REQUEST + frame(TEXT, HANDSHAKE)
        for byte in stream:
            remote.send(bytes([byte]))
            for event in channel.on_readable():
                events.append(event)
                if type(event).__name__ == "UpgradeRequested":
                    events += channel.accept()
        remote.send(AFTER[:held_back])
        assert [type(event).__name__ for event in events] == ["UpgradeRequested", "MessageReceived"]
        assert channel.detach(1).leftover == b""


def test_request_handshake_and_more_in_one_segment() -> None:
    channel, _, remote = new_listener()
    remote.send(REQUEST + frame(TEXT, HANDSHAKE) + AFTER)
    channel.on_readable()
    assert channel.accept() == [MessageReceived(HANDSHAKE, False)]
    assert channel.detach(1).leftover == AFTER


@pytest.mark.parametrize("cut", range(1, 6))
def test_end_of_the_request_in_two_segments_with_frames_behind_it(cut: int) -> None:
    channel, _, remote = new_listener()
    remote.send(REQUEST[:-cut])
    assert channel.on_readable() == []
    remote.send(REQUEST[-cut:] + frame(TEXT, HANDSHAKE) + AFTER)
    channel.on_readable()
    assert channel.accept() == [MessageReceived(HANDSHAKE, False)]
    assert channel.detach(1).leftover == AFTER


def test_unsent_bytes_travel_along() -> None:
    channel, own, remote = upgraded_listener()
    remote.send(frame(TEXT, HANDSHAKE))
    channel.on_readable()
    own.room = 3
    channel.send_text("node info")
    channel.flush()
    channel.send_text("acknowledged")
    hand_over = channel.detach(1)
    own.room = None
    expected = frame(TEXT, b"node info", mask=None) + frame(TEXT, b"acknowledged", mask=None)
    assert hand_over.unsent == expected[3:]
    assert not channel.wants_write
    adopted = Channel.adopt(FakeNetwork(own), hand_over)
    assert adopted.wants_write
    adopted.send_text("first of the receiver")
    adopted.flush()
    assert bytes(remote.inbox) == expected + frame(TEXT, b"first of the receiver", mask=None)


def test_confirm_leaves_the_connection_alone_and_abort_ends_it() -> None:
    for giver_gives_up in (False, True):
        channel, own, remote = upgraded_listener()
        remote.send(frame(TEXT, HANDSHAKE))
        channel.on_readable()
        channel.detach(1)
        assert not channel.closed
        assert channel.send_text("x") is False
        if giver_gives_up:
            channel.abort()
        else:
            channel.confirm()
        assert own.closed
        assert own.was_shut_down is giver_gives_up
        assert channel.closed


def test_receiver_that_comes_too_late_gets_an_error() -> None:
    channel, own, remote = upgraded_listener()
    remote.send(frame(TEXT, HANDSHAKE))
    channel.on_readable()
    hand_over = channel.detach(1)
    channel.abort()
    with pytest.raises(OSError, match=r"[Ss]tale"):
        Channel.adopt(FakeNetwork(own), hand_over)


def test_connection_can_be_kept_instead() -> None:
    channel, _, remote = upgraded_listener()
    remote.send(frame(TEXT, HANDSHAKE) + AFTER)
    channel.on_readable()
    assert [type(event).__name__ for event in channel.resume_reading()] == [
        "MessageReceived",
        "ControlFrame",
        "MessageReceived",
    ]
    with pytest.raises(RuntimeError, match="detach"):
        channel.detach(1)
    remote.send(frame(TEXT, b"more") + frame(TEXT, b"and more"))
    assert channel.on_readable() == [MessageReceived(b"more", False), MessageReceived(b"and more", False)]


@pytest.mark.parametrize("already_there", [0, 10, len(AFTER)])
def test_handshake_refused_with_a_close_code(already_there: int) -> None:
    """``#disconnect`` and a close frame go out, then the opener's close frame ends the connection."""
    channel, own, remote = upgraded_listener()
    remote.send(frame(TEXT, HANDSHAKE) + AFTER[:already_there])
    channel.on_readable()
    channel.send_text("disconnect")
    channel.close(4104)
    assert bytes(remote.inbox) == frame(TEXT, b"disconnect", mask=None) + close_frame(4104, mask=None)
    with pytest.raises(RuntimeError, match="detach"):
        channel.detach(1)
    assert channel.wants_read
    remote.send(AFTER[already_there:] + close_frame(4104))
    assert drain(channel)[-1] == Closed(4104, True, "")
    assert own.closed


def test_close_while_the_first_message_is_still_awaited() -> None:
    channel, _, remote = upgraded_listener()
    channel.close(4005)
    assert bytes(remote.inbox) == close_frame(4005, mask=None)
    remote.send(frame(TEXT, HANDSHAKE))
    assert channel.on_readable() == [MessageReceived(HANDSHAKE, False)]
    remote.send(close_frame(4003))
    assert channel.on_readable() == [Closed(4005, True, "")]
