"""Real sockets on loopback."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import socket
from collections.abc import Iterator

import pytest

from actors.transport.channel import Channel
from actors.transport.handover import HandOver
from actors.transport.port import network_of
from actors.transport.tcp import TcpListener, TcpNetwork, TcpStream, canonical_ip
from actors.transport.websocket import (
    ChannelEvent,
    Closed,
    ListenerChannel,
    MessageReceived,
    Opened,
    OpenerChannel,
    UpgradeRefused,
    UpgradeRequested,
)
from core.ids import Endpoint

WAIT_S = 10.0
"""Longest wait for the kernel; a test that gets there has failed."""

NETWORK = TcpNetwork()


def has_ipv6() -> bool:
    try:
        NETWORK.listen("::1", 0, 1).close()
    except OSError:
        return False
    return True


NEEDS_IPV6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


def wait_readable(fd: int) -> None:
    assert select.select([fd], [], [], WAIT_S)[0], "nothing to read in time"


def wait_writable(fd: int) -> None:
    assert select.select([], [fd], [], WAIT_S)[1], "not writable in time"


def accept(listener: TcpListener) -> TcpStream:
    wait_readable(listener.fileno())
    stream = listener.accept()
    assert stream is not None
    return stream


def events_of(channel: Channel, *others: Channel) -> list[ChannelEvent]:
    """Run all these channels until the first one has something to say."""
    while True:
        live = [each for each in (channel, *others) if not each.closed]
        readable, writable, _ = select.select(
            [each for each in live if each.wants_read], [each for each in live if each.wants_write], [], WAIT_S
        )
        assert readable or writable, "nothing happened in time"
        events: list[ChannelEvent] = []
        for each in live:
            if each in writable and not each.closed:
                happened = each.on_writable()
                events += happened if each is channel else []
            if each in readable and not each.closed:
                happened = each.on_readable()
                events += happened if each is channel else []
        if events:
            return events


@contextlib.contextmanager
def no_more_descriptors() -> Iterator[None]:
    """The process may open none beyond those it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.dup(0)
    os.close(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def listener() -> Iterator[TcpListener]:
    made = NETWORK.listen("127.0.0.1", 0, 16)
    yield made
    made.close()


def connected(listener: TcpListener) -> tuple[OpenerChannel, ListenerChannel]:
    """Both ends of a connection, upgraded."""
    opener = OpenerChannel(NETWORK, listener.endpoint, "/rpc/?port=1")
    wait_writable(opener.fileno())
    assert opener.on_writable() == []
    server = ListenerChannel(accept(listener), path="/rpc/")
    (event,) = events_of(server)
    assert isinstance(event, UpgradeRequested)
    server.accept()
    assert [type(event) for event in events_of(opener)] == [Opened]
    return opener, server


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::FFFF:7f00:1", "127.0.0.1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("FE80::1%eth0", "fe80::1"),
        ("2001:DB8::0:1", "2001:db8::1"),
    ],
)
def test_canonical_ip(text: str, canonical: str) -> None:
    assert canonical_ip(text) == canonical


def test_canonical_ip_refuses_names() -> None:
    with pytest.raises(ValueError, match="localhost"):
        canonical_ip("localhost")


def test_network_of_an_actor_is_its_bases_or_the_machines() -> None:
    class Reference:
        network = object()

    class Actor:
        _myRef: object = None  # noqa: N815  Thespian's name

    actor = Actor()
    assert isinstance(network_of(actor), TcpNetwork)
    actor._myRef = Reference()
    assert network_of(actor) is Reference.network


@pytest.mark.sockets
class TestListening:
    def test_free_port_is_picked_and_reported(self, listener: TcpListener) -> None:
        assert listener.endpoint.ip == "127.0.0.1"
        assert listener.endpoint.port > 0
        assert not os.get_inheritable(listener.fileno())
        assert listener.accept() is None
        assert not listener.exhausted

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("127.0.0.1", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.1"),
            pytest.param("::", "0.0.0.0", marks=NEEDS_IPV6),
        ],
    )
    def test_taken_port_is_refused(self, first: str, second: str) -> None:
        holder = NETWORK.listen(first, 0, 16)
        try:
            with pytest.raises(OSError, match="in use") as caught:
                NETWORK.listen(second, holder.endpoint.port, 16)
            assert caught.value.errno == errno.EADDRINUSE
        finally:
            holder.close()

    def test_port_is_free_again_after_a_stop_with_connections_lingering(self, listener: TcpListener) -> None:
        opener = NETWORK.connect(listener.endpoint)
        served = accept(listener)
        served.shutdown()  # the side that ends first keeps the port in TIME_WAIT
        served.close()
        listener.close()
        wait_readable(opener.fileno())
        assert opener.recv(1) == b""
        opener.shutdown()
        opener.close()
        again = NETWORK.listen("127.0.0.1", listener.endpoint.port, 16)
        assert again.endpoint == listener.endpoint
        again.close()

    def test_foreign_address_is_refused(self) -> None:
        with pytest.raises(OSError, match="assign"):
            NETWORK.listen("192.0.2.1", 0, 16)

    def test_name_is_refused(self) -> None:
        with pytest.raises(ValueError, match="example"):
            NETWORK.listen("example.org", 0, 16)

    def test_connection_reset_in_the_queue_is_survived(self, listener: TcpListener) -> None:
        opener = socket.create_connection(listener.endpoint)
        wait_readable(listener.fileno())
        opener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        opener.close()  # RST
        stream = listener.accept()
        if stream is not None:  # Linux still gives it out; reading tells
            wait_readable(stream.fileno())
            with pytest.raises(ConnectionResetError):
                stream.recv(10)
            stream.shutdown()
            stream.close()
        assert listener.accept() is None

    def test_running_out_of_descriptors_is_told_and_survived(self, listener: TcpListener) -> None:
        opener = NETWORK.connect(listener.endpoint)
        wait_readable(listener.fileno())
        with no_more_descriptors():
            assert listener.accept() is None
            assert listener.exhausted
        served = accept(listener)
        assert not listener.exhausted
        served.close()
        opener.close()


@pytest.mark.sockets
@NEEDS_IPV6
class TestAddresses:
    def test_node_bound_to_any_address_sees_ipv4_sources_as_ipv4(self) -> None:
        """docs/protocol.md, defect 5 of lisk-p2p 0.10: a node bound to ``::`` is crashed by any connection."""
        both = NETWORK.listen("::", 0, 16)
        for target, source in (("127.0.0.1", "127.0.0.1"), ("::1", "::1")):
            opener = NETWORK.connect(Endpoint(target, both.endpoint.port))
            served = accept(both)
            assert served.remote_ip == source
            assert served.remote_port > 0
            served.close()
            opener.close()
        both.close()

    def test_other_ipv6_addresses_take_no_ipv4(self) -> None:
        six = NETWORK.listen("::1", 0, 16)
        assert six.endpoint.ip == "::1"
        opener = OpenerChannel(NETWORK, Endpoint("127.0.0.1", six.endpoint.port), "/rpc/")
        assert isinstance(events_of(opener)[0], Closed)
        six.close()


@pytest.mark.sockets
class TestConnecting:
    def test_refused(self) -> None:
        closed = NETWORK.listen("127.0.0.1", 0, 1)
        closed.close()
        opener = OpenerChannel(NETWORK, closed.endpoint, "/rpc/")
        assert events_of(opener) == [Closed(1006, False, "Connection refused")]

    def test_socket_that_reaches_itself_counts_as_refused(self) -> None:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        sock.connect(("127.0.0.1", port))  # simultaneous open with itself (RFC 9293 section 3.5)
        stream = TcpStream(sock, "127.0.0.1", port)
        error = stream.connect_error()
        assert error is not None
        assert error.errno == errno.ECONNREFUSED
        stream.close()

    def test_failure_at_once_is_raised(self, listener: TcpListener) -> None:
        with no_more_descriptors(), pytest.raises(OSError, match="Too many open files"):
            OpenerChannel(NETWORK, listener.endpoint, "/rpc/")

    def test_options_of_both_ends(self, listener: TcpListener) -> None:
        opener = NETWORK.connect(listener.endpoint)
        served = accept(listener)
        for stream in (opener, served):
            view = socket.socket(fileno=os.dup(stream.fileno()))
            assert view.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            view.close()
            assert not os.get_inheritable(stream.fileno())
            assert not os.get_blocking(stream.fileno())
        assert opener.connect_error() is None
        with pytest.raises(BlockingIOError):
            served.recv(10)
        served.close()
        opener.close()

    def test_shutdown_reaches_the_other_side_while_a_copy_lives(self, listener: TcpListener) -> None:
        """A forked child may hold a copy of every socket."""
        opener = NETWORK.connect(listener.endpoint)
        served = accept(listener)
        copy = os.dup(served.fileno())
        served.shutdown()
        served.close()
        served.shutdown()
        wait_readable(opener.fileno())
        assert opener.recv(10) == b""
        os.close(copy)
        opener.close()


@pytest.mark.sockets
class TestChannels:
    def test_messages_both_ways_and_an_orderly_close(self, listener: TcpListener) -> None:
        opener, server = connected(listener)
        opener.send_text("handshake")
        opener.flush()
        assert events_of(server) == [MessageReceived(b"handshake", False)]
        server.send_text("welcome")
        server.flush()
        assert events_of(opener) == [MessageReceived(b"welcome", False)]
        server.close(4104)
        assert events_of(opener) == [Closed(4104, True, "")]
        assert events_of(server) == [Closed(4104, True, "")]

    def test_refusal_reaches_the_opener(self, listener: TcpListener) -> None:
        opener = OpenerChannel(NETWORK, listener.endpoint, "/rpc/?port=1")
        wait_writable(opener.fileno())
        opener.on_writable()
        server = ListenerChannel(accept(listener), path="/rpc/")
        assert isinstance(events_of(server)[0], UpgradeRequested)
        server.reject(401, "Peer is not allowed to connect")
        assert events_of(opener)[0] == UpgradeRefused(401, "Peer is not allowed to connect")

    def test_slow_reader_gets_everything_in_the_end(self, listener: TcpListener) -> None:
        opener, server = connected(listener)
        message = "m" * 1_000_000
        for _ in range(6):
            assert server.send_text(message)
        server.flush()
        assert server.wants_write, "six megabytes fit no socket buffer"
        received: list[ChannelEvent] = []
        while len(received) < 6:
            received += events_of(opener, server)
        assert received == [MessageReceived(message.encode(), False)] * 6
        assert not server.wants_write
        assert server.queued_bytes == 0
        opener.abort()
        assert isinstance(events_of(server)[0], MessageReceived | Closed)
        server.abort()

    def test_reader_that_has_gone_is_noticed_by_the_writer(self, listener: TcpListener) -> None:
        opener, server = connected(listener)
        opener.send_text("handshake")
        opener.flush()
        events_of(server)
        server.resume_reading()
        opener.abort()
        for _ in range(8):
            server.send_text("m" * 1_000_000)
            server.flush()
        (event,) = events_of(server)
        assert isinstance(event, Closed)
        assert event.code == 1006

    def test_hand_over_to_another_socket_object(self, listener: TcpListener) -> None:
        opener, server = connected(listener)
        opener.send_text("handshake")
        opener.send_text("right behind it")
        opener.flush()
        assert events_of(server) == [MessageReceived(b"handshake", False)]
        hand_over = server.detach(1)
        adopted = Channel.adopt(NETWORK, hand_over)
        assert adopted.fileno() != hand_over.fd
        server.confirm()
        assert (adopted.remote_ip, adopted.remote_port) == (server.remote_ip, server.remote_port)
        received = adopted.on_readable() or events_of(adopted)
        assert received == [MessageReceived(b"right behind it", False)]
        adopted.send_text("still here")
        adopted.flush()
        assert events_of(opener) == [MessageReceived(b"still here", False)]
        adopted.close(1000)
        assert events_of(opener) == [Closed(1000, True, "")]
        assert events_of(adopted) == [Closed(1000, True, "")]

    def test_stale_hand_over_never_takes_somebody_elses_connection(self, listener: TcpListener) -> None:
        opener, server = connected(listener)
        opener.send_text("handshake")
        opener.flush()
        events_of(server)
        hand_over = server.detach(1)
        server.abort()
        with pytest.raises(OSError, match="Bad file"):
            NETWORK.adopt(hand_over)
        other_opener = NETWORK.connect(listener.endpoint)
        other = accept(listener)
        number = HandOver(token=1, fd=other.fileno(), remote_ip="127.0.0.1", remote_port=hand_over.remote_port)
        assert number.remote_port != other.remote_port
        with pytest.raises(OSError, match="gone") as caught:
            NETWORK.adopt(number)
        assert caught.value.errno == errno.ESTALE
        assert other_opener.send(b"x") == 1
        wait_readable(other.fileno())
        assert other.recv(10) == b"x", "the other connection lives"
        for stream in (other, other_opener):
            stream.close()
        opener.abort()

    def test_descriptor_from_another_process_is_used_as_it_is(self, listener: TcpListener) -> None:
        opener, server = connected(listener)
        opener.send_text("handshake")
        opener.flush()
        events_of(server)
        hand_over = server.detach(1)
        received_fd = os.dup(hand_over.fd)
        adopted = Channel.adopt(NETWORK, hand_over, received_fd=received_fd)
        assert adopted.fileno() == received_fd
        server.confirm()
        adopted.abort()
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(received_fd)
        assert isinstance(events_of(opener)[0], Closed)
