"""Anything in any order: packets good and bad, commands, time. The rig checks what must always hold after each step."""

from __future__ import annotations

import contextlib
import json
from random import Random
from typing import Any

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.ids import Direction, Endpoint, PeerKind
from core.link_base import Stage
from core.messages import (
    Failed,
    RequestAnswered,
)
from core.wire.dialect import Dialect
from core.wire.generations import AnyGeneration
from core.wire.lisk05 import Lisk05
from core.wire.lisk07 import Lisk07
from core.wire.lisk10 import Lisk10
from tests.core.link_rig import (
    OURS,
    SESSION_ID,
    THEIRS,
    Rig,
    ack_packet,
    answer_packet,
    info_bytes,
    message_packet,
    peers_bytes,
    request_packet,
)
from tests.spoken import LISK, NATIVE, Spoken, is_native, message_of

MAX_OPEN, MAX_PENDING = 4, 6

GENERATIONS: tuple[Dialect, ...] = (Lisk10(), Lisk07(), Lisk05())
DIALECTS: tuple[Dialect, ...] = (*GENERATIONS, AnyGeneration(GENERATIONS))

cids = st.integers(-1, 9)
payloads = st.sampled_from(
    [None, b"", b"x", info_bytes(), info_bytes(OURS), peers_bytes(Endpoint("1.2.3.4", 5)), b"\xff" * 30]
)
names = st.sampled_from(["getNodeInfo", "getPeers", "ping", "postNodeInfo", "app", "#handshake", ""])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abcde"), inner, max_size=2),
    max_leaves=4,
)
well_formed = st.one_of(
    st.builds(request_packet, names, payloads, cids | st.none()),
    st.builds(message_packet, names, payloads),
    st.builds(answer_packet, cids, payloads),
    st.builds(ack_packet, cids, st.integers(1, 30_000)),
    st.builds(lambda rid, code: {"rid": rid, "error": {"message": "no"}, "data": {"code": code}}, cids, st.integers()),
    st.sampled_from(["#1", "#2"]),
)
odd = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "event": st.sampled_from(
                ["#disconnect", "#handshake", "rpc-request", "remote-message", "#publish", "x" * 129]
            ),
            "data": json_values,
            "cid": json_values,
            "rid": cids,
            "error": json_values,
            "extra": st.just(1),
        },
    ),
    st.binary(max_size=20),
    st.text(max_size=10),
)


odd_values = st.lists(
    st.one_of(
        st.sampled_from([*range(8), 200]), cids, st.sampled_from(["postNodeInfo", "", "x" * 129]), payloads, json_values
    ),
    max_size=9,
)


def as_bytes(packet: object) -> bytes:
    if isinstance(packet, bytes):
        return packet
    if is_native():
        with contextlib.suppress(
            AttributeError, LookupError, TypeError, ValueError, OverflowError
        ):  # a form that only JSON has
            return message_of(packet)[0]
    text = packet if isinstance(packet, str) else json.dumps(packet)
    return text.encode("utf-8", "surrogatepass")


class AnyLink(RuleBasedStateMachine):
    """A link between a mad remote and a mad node."""

    spoken = LISK

    @initialize(
        direction=st.sampled_from(Direction),
        kind=st.sampled_from([PeerKind.NONE, PeerKind.NONE, PeerKind.SEED]),
        seed=st.integers(0, 9),
        shaken=st.booleans(),
        dialect=st.sampled_from(DIALECTS),
    )
    def begin(self, direction: Direction, kind: PeerKind, seed: int, shaken: bool, dialect: Dialect) -> None:
        Spoken.name = self.spoken
        self.rig = Rig(
            direction,
            kind=kind,
            rng=Random(seed),
            dialect=dialect if self.spoken == LISK else None,
            max_open_calls=MAX_OPEN,
            max_pending_requests=MAX_PENDING,
        )
        self.asked = 0
        self.highest = Stage.CONNECTING
        if direction is Direction.INBOUND:
            self.rig.do(self.rig.link.expect_hand_over(self.rig.now))
        else:
            self.rig.do(self.rig.link.start_outbound(self.rig.now))
        if shaken:
            self.open()
            self.rig.receive(ack_packet())

    # The channel

    @rule()
    def connected(self) -> None:
        self.rig.do(self.rig.link.on_connected(self.rig.now))

    @rule()
    def open(self) -> None:
        rig = self.rig
        if rig.link.direction is Direction.OUTBOUND:
            rig.do(rig.link.on_opened(rig.now))
        elif rig.link.stage is Stage.CONNECTING:
            rig.do(rig.link.start_inbound(THEIRS, 1, SESSION_ID, rig.now))

    @rule(packets=st.lists(well_formed, min_size=1, max_size=4))
    def receive(self, packets: list[object]) -> None:
        self.rig.receive(*map(as_bytes, packets))

    @rule(packet=odd, binary=st.booleans())
    def receive_odd(self, packet: object, binary: bool) -> None:
        self.rig.receive(as_bytes(packet), binary=binary)

    @rule(values=odd_values)
    def receive_odd_values(self, values: list[object]) -> None:
        with contextlib.suppress(ValueError, OverflowError):
            self.rig.receive(msgpack.packb(values), binary=True)

    @rule(count=st.integers(50, 1200))
    def flood(self, count: int) -> None:
        self.rig.receive(*["#2"] * count)

    @rule(rid=st.integers(2, 3), good=st.booleans())
    def answer_introduction(self, rid: int, good: bool) -> None:
        self.rig.reply(rid, (info_bytes() if rid == 2 else peers_bytes()) if good else None)

    @rule()
    def control_frame(self) -> None:
        self.rig.do(self.rig.link.on_control_frame(self.rig.now))

    @rule(status=st.integers(100, 599))
    def refused(self, status: int) -> None:
        self.rig.do(self.rig.link.on_refused(status, "no", self.rig.now))

    @precondition(lambda self: self.rig.link.stage is Stage.CLOSING)
    @rule(code=st.integers(1000, 4999), error=st.sampled_from(["", "reset"]))
    def closed(self, code: int, error: str) -> None:
        self.rig.closed(code, error)

    @rule(error=st.sampled_from(["", "reset"]), really=st.integers(0, 9))
    def lost(self, error: str, really: int) -> None:
        if not really:
            self.rig.closed(1006, error)

    @rule()
    def overflow(self) -> None:
        if self.rig.sent:
            self.rig.do(self.rig.link.on_overflow(self.rig.now))

    # The node

    @rule(procedure=names, data=payloads, timeout_s=st.none() | st.floats(0.1, 30.0))
    def request(self, procedure: str, data: bytes | None, timeout_s: float | None) -> None:
        self.asked += 1
        self.rig.request(procedure, data, timeout_s, ask_id=self.asked)

    @rule(procedure=names)
    def request_without_asker(self, procedure: str) -> None:
        self.rig.request(procedure, None, None, ask_id=0)

    @rule(name=names, data=payloads)
    def send(self, name: str, data: bytes | None) -> None:
        self.rig.do(self.rig.link.send(name, data, self.rig.now))

    @rule(cid=cids, how=st.sampled_from(["answer", "refuse", "sample"]))
    def settle_call(self, cid: int, how: str) -> None:
        link = self.rig.link
        if how == "answer":
            self.rig.do(link.answer(cid, b"x"))
        elif how == "refuse":
            self.rig.do(link.refuse(cid, "no"))
        else:
            self.rig.do(link.on_sample(cid, [Endpoint("1.2.3.4", 5)] * 300))

    @rule(points=st.integers(0, 40))
    def penalise(self, points: int) -> None:
        self.rig.do(self.rig.link.apply_penalty(points, "bad", self.rig.now))

    @rule(code=st.sampled_from([1000, 4418, 4404]), reason=st.text(max_size=5), really=st.integers(0, 4))
    def close(self, code: int, reason: str, really: int) -> None:
        if not really:
            self.rig.close(code, reason)

    @rule()
    def ask_for_peers(self) -> None:
        self.rig.do(self.rig.link.ask_for_peers(self.rig.now))

    @rule()
    def push(self) -> None:
        self.rig.do(self.rig.link.push_node_info(OURS, self.rig.now))

    # Time

    @rule(seconds=st.floats(0.0, 3.0))
    def pass_time(self, seconds: float) -> None:
        self.rig.advance(seconds)

    @rule(seconds=st.floats(0.0, 100.0))
    def sleep(self, seconds: float) -> None:
        """The machine was suspended: everything is late."""
        self.rig.now += seconds
        self.rig.do(self.rig.link.on_time(self.rig.now))
        due = self.rig.link.next_deadline()
        assert due is None or due > self.rig.now

    @invariant()
    def caps_and_answers(self) -> None:
        if not hasattr(self, "rig"):
            return
        rig, link = self.rig, self.rig.link
        assert len(link._extras.calls or ()) <= MAX_OPEN
        # The link's own few questions come on top: getNodeInfo, getPeers, ping, and those of the pool.
        assert sum(request.ask_id is not None for request in link._pending._by_cid.values()) <= MAX_PENDING
        answered = [ask_id for ask_id, _ in rig.replies if ask_id]
        assert len(answered) == len(set(answered))
        assert all(isinstance(answer, RequestAnswered | Failed) for _, answer in rig.replies)
        assert link.stage >= self.highest
        self.highest = link.stage

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            self.end()
        Spoken.name = LISK

    def end(self) -> None:
        rig = self.rig
        rig.closed(1006, "the end")
        assert rig.link.stage is Stage.CLOSED
        assert sorted(ask_id for ask_id, _ in rig.replies if ask_id) == list(range(1, self.asked + 1))
        rig.forget()
        rig.receive("#1")
        rig.advance(100.0)
        assert (rig.sent, rig.events, rig.told) == ([], [], [])


class AnyNativeLink(AnyLink):
    """The same in the native dialect."""

    spoken = NATIVE


TestAnyLink = AnyLink.TestCase
TestAnyNativeLink = AnyNativeLink.TestCase
TestAnyLink.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyNativeLink.settings = TestAnyLink.settings


@settings(max_examples=60, deadline=None)
@given(
    pauses=st.lists(st.floats(0.01, 30.0), min_size=1, max_size=40),
    behaviour=st.lists(st.sampled_from(["pong", "keep", "message", "mute"]), min_size=40, max_size=40),
)
def test_a_remote_is_dropped_for_silence_or_an_unanswered_ping_and_for_nothing_else(
    pauses: list[float], behaviour: list[Any]
) -> None:
    """The link agrees with a plain account of when the remote spoke last and when it was asked."""
    rig = Rig(Direction.INBOUND, rng=Random(1))
    rig.do(rig.link.start_inbound(THEIRS, 1, SESSION_ID, rig.now))
    heard_at, asked_at, open_ping = rig.now, dict[int, float](), 0
    for pause, deed in zip(pauses, behaviour, strict=False):
        end = rig.now + pause
        while rig.link.is_connected and (due := rig.link.next_deadline() or end + 1) <= end:
            rig.advance(due - rig.now)
            for packet in rig.take_sent():
                if isinstance(packet, dict) and packet.get("data", {}).get("procedure") == "ping":
                    open_ping = packet["cid"]
                    asked_at[open_ping] = rig.now
        rig.now = max(rig.now, end)
        late = rig.now - heard_at >= 20.0 or (bool(open_ping) and rig.now - asked_at[open_ping] >= 10.0)
        assert rig.link.is_connected != late
        if late:
            return
        if deed == "pong" and open_ping:
            rig.reply(open_ping, b'"pong"')
            open_ping = 0
        elif deed != "mute":
            rig.receive("#2" if deed == "keep" else message_packet("x"))
        heard_at = heard_at if deed == "mute" else rig.now
