"""Sockets that travel: given, taken, forged."""

from __future__ import annotations

import array
import errno
import os
import secrets
import socket
from collections.abc import Iterator

import pytest

from actors.transport.descriptors import TOKEN, DescriptorPort, ProcessNetwork, send_descriptor
from actors.transport.handover import HandOver
from actors.transport.port import give
from actors.transport.tcp import TcpNetwork
from tests.actors.bases.conftest import open_descriptors


def sign(content: bytes) -> bytes:
    return (b"signed " + content)[:32].ljust(32, b".")


def forged(content: bytes) -> bytes:
    return b"?" * 32


@pytest.fixture
def name() -> bytes:
    return b"\0ensemble-test-" + secrets.token_hex(8).encode()


@pytest.fixture
def port(name: bytes) -> Iterator[DescriptorPort]:
    before = open_descriptors()
    made = DescriptorPort(name, sign)
    yield made
    made.close()
    assert open_descriptors() <= before


def test_a_descriptor_is_there_before_its_message_is_read(port: DescriptorPort, name: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send_descriptor(name, sign, 7, theirs.fileno())
        theirs.close()
        received = port.take(7)
        assert received is not None
        with socket.socket(fileno=received) as copy:
            copy.send(b"across")
            assert ours.recv(10) == b"across"
        assert ours.recv(10) == b""  # the giver has closed its own, the receiver just now: nobody holds it open
        assert port.take(7) is None


def test_several_wait_for_their_messages_in_any_order(port: DescriptorPort, name: bytes) -> None:
    for token in (1, 2, 3):
        with socket.socket() as one:
            send_descriptor(name, sign, token, one.fileno())
    for token in (3, 1, 2):
        received = port.take(token)
        assert received is not None
        os.close(received)


def test_what_nobody_takes_is_closed_with_the_port(port: DescriptorPort, name: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        send_descriptor(name, sign, 1, theirs.fileno())
        theirs.close()
        assert port.take(2) is None
        port.close()
        assert ours.recv(1) == b""


def test_forgeries_are_thrown_away_and_closed(port: DescriptorPort, name: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        send_descriptor(name, forged, 1, theirs.fileno())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"short", name)
            sender.sendto(b"x" * 1000, name)
            data = TOKEN.pack(1)
            sender.sendto(data + sign(name + data), name)  # signed, without a descriptor
            two = array.array("i", [theirs.fileno(), theirs.fileno()])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, two)]
            sender.sendmsg([data + sign(name + data)], rights, 0, name)
        theirs.close()
        assert port.take(1) is None
        assert ours.recv(1) == b""


def test_a_signature_for_one_receiver_serves_no_other(port: DescriptorPort, name: bytes) -> None:
    with socket.socket() as one:
        send_descriptor(name, lambda content: sign(content.replace(name, b"\0other")), 1, one.fileno())
    assert port.take(1) is None


def test_a_receiver_that_is_gone_is_an_error_for_the_giver(name: bytes) -> None:
    with socket.socket() as one, pytest.raises(OSError, match="refused"):
        send_descriptor(name, sign, 1, one.fileno())


def test_a_connection_changes_its_network(port: DescriptorPort, name: bytes) -> None:
    network = ProcessNetwork(port, lambda address: name, sign)
    with socket.create_server(("127.0.0.1", 0)) as server:
        opener = socket.create_connection(server.getsockname())
        accepted, (ip, remote_port) = server.accept()
        hand_over = HandOver(token=5, fd=accepted.fileno(), remote_ip=ip, remote_port=remote_port)
        assert give(network, hand_over, "the peer")
        accepted.close()
        stream = network.adopt(hand_over)
        stream.send(b"hello")
        assert opener.recv(10) == b"hello"
        stream.close()
        assert opener.recv(10) == b""
        opener.close()


def test_without_its_descriptor_a_hand_over_is_stale(port: DescriptorPort, name: bytes) -> None:
    network = ProcessNetwork(port, lambda address: name, sign)
    with pytest.raises(OSError, match="did not arrive") as caught:
        network.adopt(HandOver(token=5, fd=0, remote_ip="1.2.3.4", remote_port=5))
    assert caught.value.errno == errno.ESTALE


def test_in_one_process_nothing_is_sent_ahead() -> None:
    assert not give(TcpNetwork(), HandOver(token=5, fd=0, remote_ip="1.2.3.4", remote_port=5), "the peer")
