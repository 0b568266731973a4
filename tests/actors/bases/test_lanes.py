"""One packet at a time to each receiver, in order, the rest in bundles."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.bases import lanes as module
from actors.bases.lanes import MAX_BUNDLE_BYTES, MAX_BUNDLE_MESSAGES, Bundle, Lanes, payload_bytes
from core.events import MessageReceived
from core.ids import PeerId
from core.messages import EventBatch, GetNodeInfo, SendMessage


class Wire:
    """Where lanes send to; a test says when something has arrived."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, Any]] = []
        self.open: list[tuple[Any, Callable[[bool], None]]] = []
        self.lanes = Lanes(self.transmit)

    def transmit(self, address: Any, message: Any, done: Callable[[bool], None]) -> None:
        self.sent.append((address, message))
        self.open.append((address, done))

    def arrive(self, at: int = 0, received: bool = True) -> None:
        self.open.pop(at)[1](received)

    def got(self, address: Any) -> list[Any]:
        found = []
        for to, message in self.sent:
            if to == address:
                found += message.messages if isinstance(message, Bundle) else [message]
        return found


def number(count: int) -> GetNodeInfo:
    return GetNodeInfo(count)


@given(st.lists(st.one_of(st.integers(0, 2), st.just("arrive")), max_size=60), st.randoms())
def test_order_is_kept_and_one_packet_is_on_its_way(steps: list[Any], rng: Any) -> None:
    wire = Wire()
    wanted: dict[int, list[Any]] = {0: [], 1: [], 2: []}
    for count, step in enumerate(steps):
        if step == "arrive":
            if wire.open:
                wire.arrive(rng.randrange(len(wire.open)), rng.random() < 0.8)
        else:
            wanted[step].append(number(count))
            wire.lanes.send(step, f"to {step}", wanted[step][-1])
        under_way = [address for address, _ in wire.open]
        assert len(under_way) == len(set(under_way))
    while wire.open:
        wire.arrive()
    assert {to: wire.got(f"to {to}") for to in wanted} == wanted
    assert wire.lanes.is_empty


def test_what_waits_travels_together() -> None:
    wire = Wire()
    for count in range(5):
        wire.lanes.send(1, "a", number(count))
    wire.arrive()
    assert wire.sent[0][1] == number(0)
    assert wire.sent[1][1].messages == tuple(number(count) for count in range(1, 5))


def test_a_message_of_thespian_travels_alone_and_in_turn() -> None:
    wire = Wire()
    for message in (number(0), number(1), "an order to exit", number(2), number(3)):
        wire.lanes.send(1, "a", message)
    for _ in range(4):
        wire.arrive()
    assert wire.got("a") == [number(0), number(1), "an order to exit", number(2), number(3)]
    assert wire.sent[2][1] == "an order to exit"


def test_bundles_have_bounds() -> None:
    wire = Wire()
    for count in range(MAX_BUNDLE_MESSAGES + 10):
        wire.lanes.send(1, "a", number(count))
    wire.arrive()
    assert len(wire.sent[1][1].messages) == MAX_BUNDLE_MESSAGES

    wire = Wire()
    big = SendMessage(0, "e", b"x" * (MAX_BUNDLE_BYTES // 2), None)
    for _ in range(4):
        wire.lanes.send(1, "a", big)
    wire.arrive()
    assert len(wire.sent[1][1].messages) == 2


def test_a_receiver_that_is_dead_at_once_needs_no_depth_of_calls() -> None:
    sent = []

    def transmit(address: Any, message: Any, done: Callable[[bool], None]) -> None:
        sent.append(message)
        if len(sent) > 1:
            done(False)

    first: list[Callable[[bool], None]] = []

    def hold(address: Any, message: Any, done: Callable[[bool], None]) -> None:
        if not first:
            first.append(done)
        transmit(address, message, done)

    lanes = Lanes(hold)
    for _ in range(3000):
        lanes.send(1, "a", "single")
    first[0](True)
    assert len(sent) == 3000
    assert lanes.is_empty


def test_what_waits_has_bounds(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_MESSAGES", 10)
    wire = Wire()
    for count in range(20):
        wire.lanes.send(1, "a", number(count))
    assert wire.lanes.dropped_total == 9  # one is on its way, ten wait
    assert "does not read" in caplog.text


def test_another_receiver_is_not_kept_waiting() -> None:
    wire = Wire()
    for count in range(100):
        wire.lanes.send(1, "busy", number(count))
    wire.lanes.send(2, "free", number(7))
    assert wire.got("free") == [number(7)]


def test_payloads_are_counted_wherever_they_are() -> None:
    event = MessageReceived(peer_id=PeerId("1.2.3.4:5"), event="e", data=b"12345")
    assert payload_bytes(EventBatch((event, event))) == 10
    assert payload_bytes(SendMessage(0, "e", b"123", None)) == 3
    assert payload_bytes(number(1)) == 0


def test_bundles_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Bundle((number(1), number(2))))).messages == (number(1), number(2))
