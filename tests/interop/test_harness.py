"""The harness itself, lisk-p2p node to lisk-p2p node: what fails here is not Ensemble's fault."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.lisk_node import (
    ABSENT,
    BENCH_CONFIG,
    LiskCallFailed,
    LiskNode,
    LiskNodeDied,
    LiskNodeError,
    lisk_version,
)

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]

MakeNode = Callable[..., LiskNode]
PROJECT = Path(__file__).parents[2]
MEBIBYTE = 1024 * 1024


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[LiskNode, LiskNode]]:
    """A listener and an opener, connected; shared by the tests that leave them so."""
    with LiskNode() as listener, LiskNode(seedPeers=[listener], ackTimeout=1000) as opener:
        opener.wait_event("EVENT_CONNECT_OUTBOUND", lambda peer: peer["peerId"] == listener.peer_id)
        listener.wait_connected(opener)
        yield listener, opener


def test_the_pinned_version_is_installed() -> None:
    assert lisk_version() == "0.10.0"


def test_two_nodes_connect_and_know_each_other(pair: tuple[LiskNode, LiskNode]) -> None:
    listener, opener = pair
    (peer,) = opener.get_connected_peers()
    assert peer["peerId"] == listener.peer_id
    assert peer["chainID"] == b"\x00\x00\x00\x01"
    assert peer["nonce"] == listener.nonce
    kinds = [node.inspect()["pool"][0]["internalState"]["connectionKind"] for node in pair]
    assert kinds == ["inbound", "outbound"]
    assert opener.get_network_stats()["outgoing"]["connects"] == 1
    assert opener.is_active()


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (ABSENT, None),
        (b"", b""),
        (bytes(range(256)), bytes(range(256))),
        (b"x" * (2 * MEBIBYTE), b"x" * (2 * MEBIBYTE)),
        ({"a": 1}, b'{"a":1}'),
        (None, b"null"),
    ],
    ids=["absent", "empty", "binary", "2 MiB", "JSON", "null"],
)
def test_a_message_arrives_as_bytes(pair: tuple[LiskNode, LiskNode], data: object, received: bytes | None) -> None:
    for sender, receiver in (pair, pair[::-1]):
        sender.send_to_peer("greeting", data, receiver.peer_id)
        message = receiver.wait_event("EVENT_MESSAGE_RECEIVED", lambda packet: packet["event"] == "greeting")
        assert message.payload.get("data") == received
        assert message["peerId"] == sender.peer_id


def test_requests_are_answered_refused_delayed_or_left_alone(pair: tuple[LiskNode, LiskNode]) -> None:
    listener, opener = pair
    assert opener.request_from_peer("echo", b"\x00\xff", listener.peer_id) == {
        "data": b"\x00\xff",
        "peerId": opener.peer_id,
    }
    assert listener.request("echo", b"from the listener")["data"] == b"from the listener"
    listener.set_procedure("slow", "slow", delayMs=50)
    assert opener.request("slow", b"later")["data"] == b"later"
    with pytest.raises(LiskCallFailed, match="refused by the test"):
        opener.request("fail")
    with pytest.raises(LiskCallFailed, match="timed out"):
        opener.request("silent")


def test_a_held_request_is_answered_on_command(pair: tuple[LiskNode, LiskNode]) -> None:
    listener, opener = pair
    listener.set_procedure("constant", "answer", data={"height": 7})
    listener.set_procedure("held", "hold")
    held = [opener.begin_request("held", bytes([number]), listener.peer_id) for number in range(2)]
    ids = [listener.wait_event("EVENT_REQUEST_RECEIVED", lambda r: r["procedure"] == "held")["requestId"] for _ in held]
    assert opener.request("constant")["data"] == b'{"height":7}'
    listener.respond(ids[1], error="not this one")
    with pytest.raises(LiskCallFailed, match="not this one"):
        held[1].result()
    listener.respond(ids[0], b"now")
    assert held[0].result()["data"] == b"now"
    with pytest.raises(LiskCallFailed, match="no held request"):
        listener.respond(ids[0])


def test_a_third_node_is_found_through_the_second(lisk_node: MakeNode) -> None:
    first = lisk_node()
    second = lisk_node(seedPeers=[first])
    second.wait_connected(first)
    third = lisk_node(seedPeers=[second])
    third.wait_event("EVENT_DISCOVERED_PEER", lambda peer: peer["peerId"] == first.peer_id)
    third.wait_connected(first, second)
    first.wait_connected(second, third)
    third.broadcast("to all", b"!")
    for node in (first, second):
        node.wait_event("EVENT_MESSAGE_RECEIVED", lambda packet: packet["event"] == "to all")


def test_node_info_penalty_and_ban_reach_the_other_side(lisk_node: MakeNode) -> None:
    listener = lisk_node()
    opener = lisk_node(seedPeers=[listener])
    listener.wait_event("EVENT_MESSAGE_RECEIVED", lambda packet: packet["event"] == "postNodeInfo")
    opener.apply_node_info(advertiseAddress=False)
    update = listener.wait_event("EVENT_MESSAGE_RECEIVED", lambda packet: packet["event"] == "postNodeInfo")
    assert update["data"]["advertiseAddress"] is False
    listener.apply_penalty(opener.peer_id, 40)
    peer = listener.pool_peer(opener.peer_id)
    assert peer is not None
    assert peer["internalState"]["reputation"] == 60
    listener.apply_penalty(opener.peer_id, 60)
    assert listener.wait_event("EVENT_BAN_PEER").payload == opener.peer_id
    assert opener.wait_event("EVENT_CLOSE_OUTBOUND")["code"] == 1000
    assert listener.inspect()["bannedIPs"] == ["127.0.0.1"]


def test_changed_constants_make_the_ping_fast(lisk_node: MakeNode) -> None:
    listener = lisk_node(constants={"DEFAULT_PING_INTERVAL_MIN": 20, "DEFAULT_PING_INTERVAL_MAX": 30})
    opener = lisk_node(seedPeers=[listener])
    ping = listener.wait_event("DRIVER_PING")
    assert ping.payload == {"peerId": opener.peer_id, "answer": b'"pong"'}
    with pytest.raises(LiskCallFailed, match="no constant"):
        lisk_node(constants={"NO_SUCH_CONSTANT": 1})


def test_a_stopped_and_a_killed_node_are_noticed(lisk_node: MakeNode) -> None:
    stopped, killed = lisk_node(), lisk_node()
    observer = lisk_node(fixedPeers=[stopped, killed])
    observer.wait_connected(stopped, killed)
    assert stopped.stop() == 0
    close = observer.wait_event("EVENT_CLOSE_OUTBOUND", lambda close: close["peerInfo"]["peerId"] == stopped.peer_id)
    assert (close["code"], close["reason"]) == (1000, f"Intentionally removed peer {observer.peer_id}")
    killed.kill()
    close = observer.wait_event("EVENT_CLOSE_OUTBOUND", lambda close: close["peerInfo"]["peerId"] == killed.peer_id)
    assert close["code"] == 1006
    assert killed.exit_code == -signal.SIGKILL
    assert is_gone(stopped.pid)
    assert is_gone(killed.pid)
    with pytest.raises(LiskNodeDied):
        killed.wait_event("EVENT_CONNECT_OUTBOUND")


def test_waiting_ends_with_the_event_log(lisk_node: MakeNode) -> None:
    node = lisk_node()
    with pytest.raises(LiskNodeError, match=r"no EVENT_NETWORK_READY within 0\.05 s"):
        node.wait_event("EVENT_NETWORK_READY", timeout_s=0.05)
    node.pause()
    with pytest.raises(LiskNodeError, match=r"no answer to nodeInfo within 0\.05 s"):
        node.call("nodeInfo", 0.05)
    node.resume()
    assert node.node_info()["nonce"] == node.nonce


def test_a_taken_port_is_a_crash_with_its_reason(lisk_node: MakeNode) -> None:
    node = lisk_node()
    with pytest.raises(LiskNodeDied, match="EADDRINUSE"):
        lisk_node(port=node.port)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process that is not our child: Linux only")
def test_a_node_ends_with_the_process_that_started_it() -> None:
    code = "from tests.interop.lisk_node import LiskNode; print(LiskNode().pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        node_exit = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        readable, _, _ = select.select([node_exit], [], [], 10)
        assert readable, "the node outlived its test process by 10 s"
    finally:
        os.close(node_exit)


def test_load_is_made_and_counted_inside_the_nodes(lisk_node: MakeNode) -> None:
    listener = lisk_node(**BENCH_CONFIG)
    opener = lisk_node(seedPeers=[listener], **BENCH_CONFIG)
    opener.wait_connected(listener)
    listener.set_procedure("echo", "echo", quiet=True)
    counted = listener.count("load", 2000)
    sent = opener.flood("load", 2000, 32, listener.peer_id)
    arrived = counted.result(20)
    assert arrived["complete"]
    assert arrived["bytes"] == 2000 * 32
    assert sent["startedAt"] < arrived["firstAt"] <= arrived["lastAt"]
    asked = opener.rpc_flood(listener.peer_id, 500, 32, in_flight=16)
    assert asked["failed"] == 0
    assert 0 < asked["latency"]["p50"] <= asked["latency"]["p99"]
    assert listener.is_alive
    assert listener.usage()["memory"]["rss"] > MEBIBYTE
