"""The listener's side of the HTTP upgrade."""

from __future__ import annotations

import pytest

from actors.transport.listener import MAX_EARLY_BYTES
from actors.transport.websocket import (
    ChannelEvent,
    Closed,
    ControlFrame,
    MessageReceived,
    UpgradeRequested,
)
from tests.actors.transport.fakes import PING, REQUEST, SWITCHING, TEXT, frame
from tests.actors.transport.helpers import HANDSHAKE, drain, new_listener, upgraded_listener


def test_request_of_a_lisk_opener_is_reported_with_target_and_headers() -> None:
    channel, _, remote = new_listener()
    remote.send(REQUEST)
    (event,) = channel.on_readable()
    assert isinstance(event, UpgradeRequested)
    assert event.target == "/rpc/?chainID=00000001&port=6002"
    assert event.headers["host"] == "127.0.0.1:6001"
    assert not channel.wants_read
    assert not remote.inbox


def test_accept_answers_with_exactly_three_headers_and_no_compression() -> None:
    channel, _, remote = new_listener()
    remote.send(REQUEST)
    channel.on_readable()
    channel.accept()
    assert bytes(remote.inbox) == SWITCHING
    assert channel.is_open
    assert channel.wants_read


def test_accept_may_add_headers() -> None:
    channel, _, remote = new_listener()
    remote.send(REQUEST)
    channel.on_readable()
    channel.accept([("Ensemble-Native", "1")])
    assert b"\r\nEnsemble-Native: 1\r\n" in remote.inbox


def test_request_byte_by_byte_gives_the_same_events() -> None:
    channel, _, remote = new_listener()
    events: list[ChannelEvent] = []
    for index in range(len(REQUEST)):
        assert not events
        remote.send(REQUEST[index : index + 1])
        events = channel.on_readable()
    assert [type(event) for event in events] == [UpgradeRequested]
    assert channel.traffic.bytes_received == len(REQUEST)


@pytest.mark.parametrize("cut", range(1, len(REQUEST)))
def test_request_in_two_parts_gives_the_same_events(cut: int) -> None:
    channel, _, remote = new_listener()
    remote.send(REQUEST[:cut])
    assert channel.on_readable() == []
    remote.send(REQUEST[cut:])
    assert [type(event) for event in channel.on_readable()] == [UpgradeRequested]


def test_slow_request_stays_pending_until_the_actor_gives_up() -> None:
    channel, own, remote = new_listener()
    for byte in REQUEST[:-1]:
        remote.send(bytes([byte]))
        assert channel.on_readable() == []
    channel.abort()
    assert own.closed
    assert own.was_shut_down
    assert channel.on_readable() == []


def test_hasty_opener_that_sends_frames_before_the_answer_is_served() -> None:
    channel, _, remote = new_listener()
    remote.send(REQUEST + frame(TEXT, HANDSHAKE))
    assert [type(event) for event in channel.on_readable()] == [UpgradeRequested]
    assert channel.accept() == [MessageReceived(HANDSHAKE, False)]


def test_banned_opener_gets_401_and_the_connection_is_closed() -> None:
    channel, own, remote = new_listener()
    remote.send(REQUEST)
    channel.on_readable()
    channel.reject(401, "Peer is not allowed to connect")
    head, _, body = bytes(remote.inbox).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 401 Unauthorized"
    assert {b"Content-type: text/html", b"Content-Length: 30", b"Connection: close"} == set(lines[1:])
    assert body == b"Peer is not allowed to connect"
    assert own.closed
    assert own.was_shut_down
    assert channel.closed


@pytest.mark.parametrize("path", ["/", "/rpc", "/rpc/x", "/RPC/", "//rpc/", "http://10.0.0.1/rpc/"])
def test_other_paths_get_400_bad_request(path: str) -> None:
    channel, own, remote = new_listener()
    remote.send(REQUEST.replace(b"/rpc/", path.encode()))
    (event,) = channel.on_readable()
    assert isinstance(event, Closed)
    assert event.code == 1006
    assert bytes(remote.inbox).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nConnection: close\r\n" in remote.inbox
    assert bytes(remote.inbox).endswith(b"\r\n\r\nBad Request")
    assert own.closed


def test_refusal_is_not_overtaken_by_a_reset_over_unread_bytes() -> None:
    channel, _, remote = new_listener()
    remote.send(REQUEST.replace(b"/rpc/", b"/") + b"x" * 100_000)
    assert [type(event) for event in channel.on_readable()] == [Closed]
    assert bytes(remote.inbox).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b""), 426),
        ((b"Upgrade: websocket", b"Upgrade: h2c"), 426),
        ((b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8"), 400),
        ((b"dGhlIHNhbXBsZSBub25jZQ==", b"c2hvcnQ="), 400),
        ((b"dGhlIHNhbXBsZSBub25jZQ==", b"!"), 400),
        ((b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""), 400),
        ((b"Host:", b"Content-Length: 5\r\nHost:"), 400),
        ((b"Host:", b"Ho st:"), 400),
        ((b"\r\nHost:", b"\nHost:"), 400),
        ((b"/rpc/", b"/rpc/\xff"), 400),
    ],
)
def test_requests_that_are_no_upgrade_are_answered_and_closed(change: tuple[bytes, bytes], status: int) -> None:
    channel, own, remote = new_listener()
    remote.send(REQUEST.replace(*change))
    (event,) = channel.on_readable()
    assert isinstance(event, Closed)
    assert f" {status}" in event.reason
    assert bytes(remote.inbox).startswith(f"HTTP/1.1 {status} ".encode())
    assert own.closed


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\n", b"hello\r\n", b"\r\n\r\n", b"SSH-2.0-x\r\n"])
def test_garbage_is_refused_at_the_first_line(garbage: bytes) -> None:
    channel, own, remote = new_listener()
    remote.send(garbage)
    (event,) = channel.on_readable()
    assert isinstance(event, Closed)
    assert bytes(remote.inbox).startswith(b"HTTP/1.1 400 ")
    assert own.closed


def test_head_of_16_kib_is_the_most() -> None:
    for surplus, answer in ((0, UpgradeRequested), (1, Closed)):
        channel, _, remote = new_listener()
        missing = 16 * 1024 + surplus - len(REQUEST)
        padding = b""
        while missing:
            line = min(missing, 4000)
            line = line if missing - line == 0 or missing - line > 10 else line - 20
            padding += b"X-P: " + b"p" * (line - 7) + b"\r\n"
            missing -= line
        request = REQUEST[:-2] + padding + b"\r\n"
        assert len(request) == 16 * 1024 + surplus
        remote.send(request)
        assert [type(event) for event in channel.on_readable()] == [answer]
        assert bytes(remote.inbox).startswith(b"HTTP/1.1 431 ") is bool(surplus)


def test_head_without_end_is_cut_off_at_16_kib() -> None:
    channel, own, remote = new_listener()
    remote.send(REQUEST[:-2])
    assert channel.on_readable() == []
    while not channel.closed:
        assert channel.traffic.bytes_received < 17 * 1024
        remote.send(b"X-P: " + b"p" * 500 + b"\r\n")
        events = channel.on_readable()
    assert [type(event) for event in events] == [Closed]
    assert bytes(remote.inbox).startswith(b"HTTP/1.1 431 ")
    assert own.closed


def test_opener_that_leaves_during_the_upgrade_is_noticed() -> None:
    channel, own, remote = new_listener()
    remote.send(REQUEST[:50])
    remote.shutdown()
    (event,) = channel.on_readable() or channel.on_readable()
    assert isinstance(event, Closed)
    assert event.code == 1006
    assert own.closed


def test_closing_before_the_upgrade_aborts() -> None:
    channel, own, remote = new_listener()
    remote.send(REQUEST)
    channel.on_readable()
    channel.close(1000)
    assert own.closed
    assert not remote.inbox
    channel.reject(401, "too late")
    with pytest.raises(RuntimeError, match="accept"):
        channel.accept()


def test_answers_out_of_order_are_refused() -> None:
    channel, _, _ = new_listener()
    with pytest.raises(RuntimeError, match="accept"):
        channel.accept()
    with pytest.raises(RuntimeError, match="detach"):
        channel.detach(1)
    with pytest.raises(RuntimeError, match="confirm"):
        channel.confirm()
    channel, _, _ = upgraded_listener()
    with pytest.raises(RuntimeError, match="accept"):
        channel.accept()
    with pytest.raises(RuntimeError, match="reject"):
        channel.reject(400, "no")


def test_ping_before_the_handshake_is_reported_and_not_answered() -> None:
    channel, _, remote = upgraded_listener()
    remote.send(frame(PING, b"x"))
    assert channel.on_readable() == [ControlFrame("ping")]
    assert not remote.inbox


def test_bytes_before_the_first_message_are_capped() -> None:
    header = 8  # of a masked frame of this size
    channel, own, remote = upgraded_listener(max_message_bytes=1_000_000)
    remote.send(frame(TEXT, b"h" * (MAX_EARLY_BYTES - header)))
    assert [type(event) for event in drain(channel)] == [MessageReceived]
    channel, own, remote = upgraded_listener(max_message_bytes=1_000_000)
    remote.send(frame(TEXT, b"h" * (MAX_EARLY_BYTES - header + 1)))
    (event,) = channel.on_readable()
    assert isinstance(event, Closed)
    assert event.code == 1009
    assert own.closed
    assert not remote.inbox


def test_pings_do_not_extend_the_time_before_the_first_message_for_ever() -> None:
    channel, own, remote = upgraded_listener()
    events = []
    while not own.closed:
        assert channel.traffic.bytes_received < 70_000
        remote.send(frame(PING) * 100)
        events += channel.on_readable()
    assert isinstance(events[-1], Closed)
    assert events[-1].code == 1009
