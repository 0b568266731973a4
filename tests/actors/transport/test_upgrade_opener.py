"""The opener's side: connecting and upgrading."""

from __future__ import annotations

import errno

import pytest

from actors.transport.websocket import Closed, MessageReceived, Opened, OpenerChannel, UpgradeRefused
from core.ids import Endpoint
from tests.actors.transport.fakes import TEXT, FakeNetwork, answer_to, frame, os_error, stream_pair
from tests.actors.transport.helpers import LISTENER_AT, TARGET, new_opener


def test_request_goes_out_once_connected_with_the_headers_of_the_protocol() -> None:
    channel, _, remote = new_opener()
    assert not remote.inbox
    assert channel.wants_write
    assert not channel.is_open
    assert channel.on_writable() == []
    head = bytes(remote.inbox)
    assert head.startswith(b"GET /rpc/?chainID=00000001&port=6002 HTTP/1.1\r\n")
    assert head.endswith(b"\r\n\r\n")
    names = sorted(line.partition(b":")[0] for line in head.split(b"\r\n")[1:-2])
    assert names == [b"Connection", b"Host", b"Sec-WebSocket-Key", b"Sec-WebSocket-Version", b"Upgrade"]
    assert b"\r\nHost: 10.0.0.1:5001\r\n" in head
    assert not channel.wants_write
    assert channel.traffic.bytes_sent == len(head)


def test_ipv6_host_is_bracketed() -> None:
    own, remote = stream_pair()
    channel = OpenerChannel(FakeNetwork(own), Endpoint("::1", 5001), TARGET)
    channel.on_writable()
    assert b"\r\nHost: [::1]:5001\r\n" in remote.inbox


def test_extra_headers_are_sent() -> None:
    channel, _, remote = new_opener(extra_headers=[("Ensemble-Native", "1")])
    channel.on_writable()
    assert b"\r\nEnsemble-Native: 1\r\n" in remote.inbox


@pytest.mark.parametrize("target", ["rpc/", "", "/rpc/ x", "/rpc/\r\nX: y", "/rpc/é"])
def test_target_that_http_cannot_carry_is_refused(target: str) -> None:
    own, _ = stream_pair()
    with pytest.raises(ValueError, match="percent-encoded"):
        OpenerChannel(FakeNetwork(own), LISTENER_AT, target)


def test_opened_reports_the_response_headers() -> None:
    channel, _, remote = new_opener()
    channel.on_writable()
    answer = answer_to(bytes(remote.inbox)).replace(b"\r\n\r\n", b"\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
    remote.send(answer)
    (event,) = channel.on_readable()
    assert isinstance(event, Opened)
    assert event.headers["upgrade"] == "websocket"
    assert event.headers["x-a"] == "1, 2"
    assert channel.is_open


def test_answer_byte_by_byte_and_in_one_piece_with_frames_give_the_same_events() -> None:
    for step in (1, 2, 7, 1_000_000):
        channel, _, remote = new_opener()
        channel.on_writable()
        stream = answer_to(bytes(remote.inbox)) + frame(TEXT, b"one", mask=None) + frame(TEXT, b"", mask=None)
        events = []
        for index in range(0, len(stream), step):
            remote.send(stream[index : index + step])
            events += channel.on_readable()
        assert [type(event) for event in events] == [Opened, MessageReceived, MessageReceived]
        assert events[1:] == [MessageReceived(b"one", False), MessageReceived(b"", False)]


def test_refused_connection() -> None:
    channel, own, _ = new_opener()
    own.connect_failure = os_error(errno.ECONNREFUSED)
    assert channel.on_writable() == [Closed(1006, False, "Connection refused")]
    assert own.closed
    assert channel.closed
    assert not channel.wants_write
    assert channel.on_writable() == []
    assert channel.on_readable() == []


def test_failed_connection_may_first_be_seen_as_readable() -> None:
    channel, own, _ = new_opener()
    own.connect_failure = os_error(errno.ECONNREFUSED)
    assert channel.on_readable() == [Closed(1006, False, "Connection refused")]


REFUSAL = (
    b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-type: text/html\r\nContent-Length: 30\r\n\r\n"
    b"Peer is not allowed to connect"
)


@pytest.mark.parametrize("step", [1, 1000])
def test_401_is_reported_with_its_body(step: int) -> None:
    channel, own, remote = new_opener()
    channel.on_writable()
    events = []
    for index in range(0, len(REFUSAL), step):
        remote.send(REFUSAL[index : index + step])
        events += channel.on_readable()
    assert events[0] == UpgradeRefused(401, "Peer is not allowed to connect")
    assert isinstance(events[1], Closed)
    assert len(events) == 2
    assert own.closed


def test_refusal_without_length_ends_with_the_stream_and_is_cut_to_200_characters() -> None:
    channel, _, remote = new_opener()
    channel.on_writable()
    remote.send(b"HTTP/1.1 503 Busy\r\n\r\n" + "ü".encode() * 500)
    assert channel.on_readable() == []
    remote.shutdown()
    events = channel.on_readable()
    assert events[0] == UpgradeRefused(503, "ü" * 200)
    assert isinstance(events[1], Closed)


@pytest.mark.parametrize(
    "change",
    [
        (b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: x"),
        (b"Upgrade: websocket\r\n", b""),
        (b"Connection: Upgrade\r\n", b"Connection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"),
        (b"Connection: Upgrade\r\n", b"Connection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\n"),
    ],
)
def test_101_that_breaks_the_rules_is_refused_by_us(change: tuple[bytes, bytes]) -> None:
    channel, own, remote = new_opener()
    channel.on_writable()
    remote.send(answer_to(bytes(remote.inbox)).replace(*change))
    events = channel.on_readable()
    assert isinstance(events[0], UpgradeRefused)
    assert events[0].status == 101
    assert events[0].body
    assert isinstance(events[1], Closed)
    assert own.closed


@pytest.mark.parametrize(
    "garbage", [b"\x00\x01\x02\n", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 9 x\r\n\r\n", b"HTTP/1.1 101 x\r\nno colon\r\n"]
)
def test_garbage_instead_of_an_answer(garbage: bytes) -> None:
    channel, own, remote = new_opener()
    channel.on_writable()
    remote.send(garbage)
    (event,) = channel.on_readable()
    assert isinstance(event, Closed)
    assert event.code == 1002
    assert "HTTP" in event.reason
    assert own.closed


@pytest.mark.parametrize(
    "endless", [b"X-P: " + b"p" * 500 + b"\r\n", b"x" * 512], ids=["header lines", "one header line"]
)
def test_answer_without_end_is_cut_off(endless: bytes) -> None:
    channel, own, remote = new_opener()
    channel.on_writable()
    remote.send(b"HTTP/1.1 101 Switching Protocols\r\n")
    events = []
    while not own.closed:
        assert channel.traffic.bytes_received < 20_000
        remote.send(endless)
        events += channel.on_readable()
    assert [type(event) for event in events] == [Closed]


def test_listener_that_leaves_during_the_upgrade_is_noticed() -> None:
    channel, own, remote = new_opener()
    channel.on_writable()
    remote.send(b"HTTP/1.1 101 Swit")
    remote.shutdown()
    events = channel.on_readable() or channel.on_readable()
    assert [type(event) for event in events] == [Closed]
    assert own.closed


def test_closing_before_the_upgrade_aborts() -> None:
    channel, own, _ = new_opener()
    channel.close(1000)
    assert own.closed
    assert channel.closed
    assert channel.send_text("x") is False
