"""An accepted connection up to the peer actor: the order of the checks, their codes, and every time-out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.admission import Admission, AdmissionSettings, Step
from core.dialects import Agreement, Languages
from core.effects import (
    AbortChannel,
    AcceptUpgrade,
    CloseChannel,
    Effect,
    Emit,
    HandOver,
    Record,
    RejectUpgrade,
    Room,
    SendPacket,
    Tell,
)
from core.events import FailedToAddInboundPeer, NewInboundPeerConnection, PenaltyApplied
from core.house_messages import (
    AdmitInbound,
    InboundRefused,
    PeerMisbehaved,
)
from core.ids import CloseCode, Direction, PeerId, PeerKind
from core.wire import native as native_dialect
from core.wire.lisk10 import Lisk10
from core.wire.native import Native
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery, Refusal
from tests.spoken import BOTH_DIALECTS, is_native, message_of, packet_of

pytestmark = BOTH_DIALECTS

OWN = NodeInfo(b"\0\0\0\1", "1.1", "00000000000000aa")
GOOD = {"networkVersion": "1.1", "chainID": "00000001", "nonce": "00000000000000bb", "port": "7001"}
HANDSHAKE = {"event": "#handshake", "data": {"authToken": None}, "cid": 1}
INVALID_QUERY = "Peer did not provide valid query parameters as part of the WebSocket connection"


def target(path: str = "/rpc/", without: str = "", **changes: str) -> str:
    values = {**GOOD, **changes}
    values.pop(without, None)
    return f"{path}?" + "&".join(f"{name}={value}" for name, value in values.items())


class Entrance:
    """An admission and a clock."""

    def __init__(
        self,
        ip: str = "10.1.2.3",
        *,
        banned: bool = False,
        trusted: bool = False,
        blacklisted: bool = False,
        languages: Languages | None = None,
        review: Callable[[PeerQuery, NodeInfo, Refusal | None], Refusal | None] | None = None,
        **settings: Any,
    ) -> None:
        self.now = 100.0
        self.decisions: list[str] = []
        self.mind = Admission(
            ticket=42,
            remote_ip=ip,
            banned=banned,
            trusted=trusted,
            blacklisted=blacklisted,
            own=OWN,
            languages=languages or Languages(Lisk10(), natives=[Native(Lisk10())]),
            settings=AdmissionSettings(**settings),
            review=review,
            now=self.now,
        )

    def upgrade(self, wanted: str | None = None) -> list[Effect]:
        """The upgrade request of an opener that speaks the dialect of the test."""
        headers = {native_dialect.HEADER.lower(): native_dialect.VERSION} if is_native() else {}
        return self.heed(self.mind.on_upgrade(target() if wanted is None else wanted, headers, self.now))

    def packet(self, packet: object = HANDSHAKE, binary: bool = False) -> list[Effect]:
        """A packet in the common form, or any bytes."""
        payload, is_binary = message_of(packet)
        return self.heed(self.mind.on_packet(payload, is_binary or binary, self.now))

    def heed(self, effects: Sequence[Effect]) -> list[Effect]:
        """Keep what is recorded as text, and return everything else."""
        for effect in effects:
            if isinstance(effect, Record):
                self.decisions += map(str, effect.decisions)
        return [effect for effect in effects if not isinstance(effect, Record)]

    def advance(self, seconds: float) -> list[Effect]:
        """Let time pass and return everything that was done."""
        end, done = self.now + seconds, list[Effect]()
        while (due := self.mind.next_deadline()) is not None and due <= end:
            self.now = due
            done += self.heed(self.mind.on_time(self.now))
            following = self.mind.next_deadline()
            assert following is None or following > self.now
        self.now = end
        return done


def at_pool(**options: Any) -> Entrance:
    """An opener that passed the checks and waits for the pool."""
    entrance = Entrance(**options)
    entrance.upgrade()
    entrance.packet()
    assert entrance.mind.step is Step.POOL
    return entrance


def summary(effects: Sequence[Effect]) -> list[object]:
    """Effects as short values: texts decoded, events and messages as they are."""
    short: list[object] = []
    for effect in effects:
        match effect:
            case SendPacket(packet):
                short.append(packet_of(packet, ""))
            case CloseChannel(code):
                short.append(int(code))
            case Emit(events):
                short.extend(events)
            case Tell(_, message):
                short.append(message)
            case Record():
                pass
            case _:
                short.append(effect)
    return short


def refusal(code: int, reason: str, ip: str = "10.1.2.3") -> list[object]:
    """What a refusal after the handshake looks like."""
    data: dict[str, object] = {"code": code, "data": reason} if reason else {"code": code}
    failed = FailedToAddInboundPeer(ip_address=ip, code=code, reason=reason)
    return [{"event": "#disconnect", "data": data}, code, failed]


def accepted() -> list[Effect]:
    """The answer to an upgrade request that is taken."""
    headers = ((native_dialect.HEADER, Native(Lisk10()).acceptance),) if is_native() else ()
    return [AcceptUpgrade(headers)]


def junk() -> tuple[bytes, str]:
    """What no opener sends, and the rule that it breaks."""
    return (b"\xc1junk", "value_limit") if is_native() else (b"junk", "not_json")


# ---- the good way


def test_a_good_opener_is_offered_to_the_pool_and_handed_over() -> None:
    entrance = Entrance()
    assert entrance.upgrade() == accepted()
    tell, emit = entrance.packet()
    assert isinstance(tell, Tell)
    assert isinstance(tell.message, AdmitInbound)
    assert (tell.room, tell.message.request_id) == (Room.POOL, 42)
    peer = tell.message.peer
    assert (peer.peer_id, peer.ip_address, peer.port) == ("10.1.2.3:7001", "10.1.2.3", 7001)
    assert (peer.chain_id, peer.network_version, peer.nonce) == (b"\0\0\0\1", "1.1", "00000000000000bb")
    assert (peer.direction, peer.advertise_address) == (Direction.INBOUND, True)
    assert emit == Emit((NewInboundPeerConnection(peer=peer),))
    assert entrance.mind.announced == NodeInfo(b"\0\0\0\1", "1.1", "00000000000000bb", True)
    assert entrance.mind.on_admitted(entrance.now) == [HandOver(1)]
    assert entrance.mind.step is Step.HANDED_OVER


@pytest.mark.lisk_form
def test_the_upgrade_agrees_on_a_dialect_for_all_that_follows() -> None:
    class Loud(Lisk10):
        name = "loud"

        @staticmethod
        def encode_disconnect(code: int, reason: str | None) -> str:
            return f"# {code}"

    class Choosy(Languages):
        def of_listener(self, target: str, headers: Mapping[str, str]) -> Agreement | None:
            return Agreement(Loud(), (("X-Loud", "yes"),)) if headers.get("x-loud") == "?" else Agreement(self.main, ())

    entrance = Entrance(languages=Choosy(Lisk10()))
    assert entrance.mind.dialect == "lisk-0.10"
    assert entrance.heed(entrance.mind.on_upgrade(target(port="0"), {"x-loud": "?"}, entrance.now)) == [
        AcceptUpgrade((("X-Loud", "yes"),))
    ]
    assert entrance.mind.dialect == "loud"
    assert entrance.packet()[0] == SendPacket("# 4105")


def test_an_opener_may_ask_not_to_be_advertised() -> None:
    entrance = Entrance()
    entrance.upgrade(target(advertiseAddress="false"))
    entrance.packet()
    assert entrance.mind.announced is not None
    assert not entrance.mind.announced.advertise_address


@pytest.mark.parametrize(
    ("payload", "cid"),
    [({"event": "#handshake"}, None), ({"event": "#handshake", "cid": 0}, 0), ({"event": "#handshake", "cid": 7}, 7)],
)
def test_the_handshake_needs_neither_data_nor_a_number(payload: object, cid: int | None) -> None:
    entrance = Entrance()
    entrance.upgrade()
    entrance.packet(payload)
    (hand_over,) = entrance.mind.on_admitted(entrance.now)
    assert isinstance(hand_over, HandOver)
    assert (hand_over.cid or None) == (cid or None)


@pytest.mark.lisk_form
def test_a_handshake_in_a_binary_frame_is_one() -> None:
    entrance = Entrance()
    entrance.upgrade()
    entrance.packet(binary=True)
    assert entrance.mind.step is Step.POOL


def test_openers_over_ipv6_are_welcome() -> None:
    """lisk-p2p crashes (lisk-p2p defect 5); 4503 is never sent by us."""
    entrance = at_pool(ip="2001:db8::1")
    assert entrance.mind.announced is not None


# ---- the checks, in lisk-p2p's order


def test_a_banned_address_gets_401_before_anything_else() -> None:
    entrance = Entrance(banned=True)
    reject, emit = entrance.upgrade("/wrong/path")
    assert reject == RejectUpgrade(401, "Peer is not allowed to connect")
    assert isinstance(emit, Emit)
    assert emit.events == (
        FailedToAddInboundPeer(ip_address="10.1.2.3", code=401, reason="Peer is not allowed to connect"),
    )


@pytest.mark.parametrize("path", ["/", "/rpc", "/rpc/x", "/socketcluster/", "/RPC/", ""])
def test_any_other_path_gets_400(path: str) -> None:
    assert Entrance().upgrade(target(path))[0] == RejectUpgrade(400, "Bad Request")


CHECKS = [
    ({"nonce": OWN.nonce}, 4101, "Peer cannot connect to itself"),
    ({"networkVersion": "1.1&networkVersion=1.1"}, 4502, INVALID_QUERY),
    (
        {"port": "0"},
        4105,
        "Invalid peer ipAddress or port for peer with ip: 10.1.2.3 and port 0",
    ),
    ({"chainID": "0000ffff"}, 4104, "Peer chainID did not match our own"),
    ({"networkVersion": "2.0"}, 4104, "Peer has incompatible protocol version"),
]
"""One failure for each check, in the order of docs/protocol.md, Checks of the listener."""


@pytest.mark.parametrize(("changes", "code", "reason"), CHECKS)
def test_the_query_is_refused_after_the_handshake(changes: dict[str, str], code: int, reason: str) -> None:
    entrance = Entrance()
    assert entrance.upgrade(target(**changes)) == accepted()
    assert summary(entrance.packet()) == refusal(code, reason)
    assert entrance.mind.step is Step.CLOSING
    assert entrance.mind.announced is None


@pytest.mark.parametrize("first", range(len(CHECKS)))
def test_an_earlier_check_wins_over_all_later_ones(first: int) -> None:
    changes: dict[str, str] = {}
    for given_changes, _, _ in reversed(CHECKS[first:]):
        changes.update(given_changes)
    if first <= 1 and "networkVersion" in CHECKS[1][0]:
        changes["networkVersion"] = "2.0&networkVersion=2.0"
    entrance = Entrance()
    entrance.upgrade(target(**changes))
    assert summary(entrance.packet()) == refusal(CHECKS[first][1], CHECKS[first][2])


@pytest.mark.parametrize("name", ["networkVersion", "chainID"])
def test_a_query_without_version_or_chain_is_invalid(name: str) -> None:
    entrance = Entrance()
    entrance.upgrade(target(without=name))
    assert summary(entrance.packet()) == refusal(4502, INVALID_QUERY)


@pytest.mark.parametrize("code", [4404, 1013, 4403])
def test_the_pool_may_refuse(code: int) -> None:
    entrance = at_pool()
    assert summary(entrance.mind.on_refused(InboundRefused(42, code, "why"), entrance.now)) == refusal(code, "why")
    assert entrance.mind.on_admitted(entrance.now) == []


def test_the_program_may_decide_itself_who_belongs_together() -> None:
    refused = Refusal(CloseCode.INCOMPATIBLE, "not today")
    for nonce, allowed in (("x", False), ("y", True)):
        entrance = Entrance(review=lambda query, own, verdict: refused if query.nonce == "x" else None)
        entrance.upgrade(target(nonce=nonce, chainID="ffff"))
        effects = entrance.packet()
        assert allowed == (entrance.mind.step is Step.POOL)
        assert allowed or summary(effects) == refusal(4104, "not today")


# ---- the first packet


@pytest.mark.parametrize(
    "payload",
    [
        {"event": "rpc-request", "data": {"procedure": "getNodeInfo"}, "cid": 1},
        {"event": "remote-message", "data": {"event": "block"}},
        {"rid": 1},
        "#2",
        pytest.param(b"{}", marks=pytest.mark.lisk_form),
        pytest.param(b"#1", marks=pytest.mark.lisk_form),
    ],
)
def test_a_first_packet_that_is_no_handshake_is_closed_with_4009_and_no_word(payload: object) -> None:
    entrance = Entrance()
    entrance.upgrade()
    assert summary(entrance.packet(payload)) == [
        4009,
        FailedToAddInboundPeer(ip_address="10.1.2.3", code=4009, reason="first packet was not #handshake"),
    ]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"garbage",
        b"\xff",
        b"[]",
        b'{"event":"#subscribe"}',
        b'{"x":1}',
    ],
)
def test_a_first_packet_that_no_opener_sends_destroys_the_connection_and_bans(payload: bytes) -> None:
    entrance = Entrance()
    entrance.upgrade()
    abort, tell, emit = entrance.packet(payload)
    assert abort == AbortChannel()
    assert isinstance(tell, Tell)
    assert isinstance(tell.message, PeerMisbehaved)
    assert tell.room is Room.NODE
    assert (tell.message.ip, tell.message.peer_id) == ("10.1.2.3", "10.1.2.3:7001")
    assert tell.message.kind is PeerKind.NONE
    assert isinstance(emit, Emit)
    assert entrance.mind.next_deadline() is None


def test_a_ban_is_never_filed_under_the_source_port() -> None:
    """lisk-p2p defects 9 and 17: lisk-p2p files them under the ephemeral port, without end."""
    entrance = Entrance()
    entrance.upgrade("/rpc/")
    tell = entrance.packet(junk()[0])[1]
    assert isinstance(tell, Tell)
    assert isinstance(tell.message, PeerMisbehaved)
    assert tell.message.peer_id == "10.1.2.3:0"


def penalty(rule: str, *, dry_run: bool = False) -> PenaltyApplied:
    return PenaltyApplied(peer_id=PeerId("10.1.2.3:7001"), penalty=100, reputation=0, reason=rule, dry_run=dry_run)


NOT_HANDSHAKE = [
    4009,
    FailedToAddInboundPeer(ip_address="10.1.2.3", code=4009, reason="first packet was not #handshake"),
]


def test_trusted_addresses_are_penalised_but_not_banned() -> None:
    """lisk-p2p defect 17: raw-frame bans hit lisk-p2p's fixed and whitelisted peers."""
    entrance = Entrance(trusted=True)
    entrance.upgrade()
    assert summary(entrance.heed(entrance.mind.on_control_frame(entrance.now))) == [penalty("control_frame")]
    payload, rule = junk()
    assert summary(entrance.packet(payload)) == [penalty(rule), *NOT_HANDSHAKE]


def test_a_trusted_opener_gets_in_after_a_control_frame() -> None:
    entrance = Entrance(trusted=True)
    entrance.upgrade()
    entrance.mind.on_control_frame(entrance.now)
    entrance.packet()
    assert entrance.mind.step is Step.POOL


def test_a_dry_run_reports_faults_and_one_ban_and_lets_the_opener_in() -> None:
    entrance = Entrance(dry_run=True)
    entrance.upgrade()
    misbehaved = PeerMisbehaved(PeerId("10.1.2.3:7001"), "10.1.2.3", PeerKind.NONE, "control_frame")
    for told in ([misbehaved], [], []):
        effects = entrance.heed(entrance.mind.on_control_frame(entrance.now))
        assert summary(effects) == [*told, penalty("control_frame", dry_run=True)]
    entrance.packet()
    assert entrance.mind.step is Step.POOL
    assert entrance.decisions[1] == "10.1.2.3:7001 kept by ban_mode_dry_run (reputation 0; Ensemble, threat model)"


def test_a_faulty_first_packet_in_a_dry_run_is_no_handshake_and_no_ban() -> None:
    entrance = Entrance(dry_run=True)
    entrance.upgrade()
    payload, rule = junk()
    misbehaved = PeerMisbehaved(PeerId("10.1.2.3:7001"), "10.1.2.3", PeerKind.NONE, rule)
    assert summary(entrance.packet(payload)) == [misbehaved, penalty(rule, dry_run=True), *NOT_HANDSHAKE]


def test_a_dry_run_refuses_whom_the_program_banned() -> None:
    assert Entrance(dry_run=True, banned=True).upgrade()[0] == RejectUpgrade(401, "Peer is not allowed to connect")


def test_an_address_that_is_banned_meanwhile_gets_no_further() -> None:
    before = Entrance()
    assert before.mind.on_banned(before.now) == []
    assert before.upgrade()[0] == RejectUpgrade(401, "Peer is not allowed to connect")
    for steps in (1, 2):
        entrance = Entrance()
        entrance.upgrade()
        if steps == 2:
            entrance.packet()
        effects = entrance.heed(entrance.mind.on_banned(entrance.now))
        assert summary(effects) == refusal(4403, "Peer is not allowed to connect")
        assert entrance.mind.on_banned(entrance.now) == []
        assert entrance.mind.on_admitted(entrance.now) == [], "the pool's answer comes too late"


@pytest.mark.parametrize("steps", [1, 2])
def test_a_control_frame_before_the_hand_over_destroys_the_connection_and_bans(steps: int) -> None:
    entrance = Entrance()
    entrance.upgrade()
    if steps == 2:
        entrance.packet()
    effects = entrance.heed(entrance.mind.on_control_frame(entrance.now))
    assert effects[0] == AbortChannel()
    assert isinstance(effects[1], Tell)
    assert isinstance(effects[1].message, PeerMisbehaved)
    assert effects[1].message.reason == "control_frame"


def test_packets_outside_their_step_are_not_acted_upon() -> None:
    entrance = Entrance()
    assert entrance.packet() == []
    entrance.upgrade()
    entrance.packet()
    assert entrance.packet() == []
    assert entrance.upgrade() == []
    entrance.mind.on_admitted(entrance.now)
    assert entrance.packet(b"garbage") == []
    assert entrance.mind.on_control_frame(entrance.now) == []
    assert entrance.mind.on_admitted(entrance.now) == []
    assert entrance.mind.on_refused(InboundRefused(42, 4404, "late"), entrance.now) == []


# ---- the clock


def test_a_connection_without_an_upgrade_request_is_destroyed_after_5_s() -> None:
    entrance = Entrance()
    assert entrance.advance(4.999) == []
    assert entrance.advance(0.001) == [AbortChannel()]
    assert entrance.mind.next_deadline() is None


@pytest.mark.lisk_form
def test_without_a_handshake_there_is_a_keep_alive_after_8_s_and_4005_after_10() -> None:
    entrance = Entrance()
    entrance.upgrade()
    assert entrance.advance(7.999) == []
    assert summary(entrance.advance(0.001)) == ["#1"]
    assert entrance.advance(1.999) == []
    assert summary(entrance.advance(0.001)) == refusal(4005, "")


@pytest.mark.lisk_form
def test_keep_alives_go_on_while_the_handshake_may_still_come() -> None:
    entrance = Entrance(handshake_timeout_s=30.0)
    entrance.upgrade()
    assert summary(entrance.advance(29.0)) == ["#1"] * 3


def test_a_refused_opener_that_does_not_close_is_cut_off_after_2_s() -> None:
    entrance = Entrance()
    entrance.upgrade(target(chainID="ff"))
    entrance.packet()
    assert entrance.advance(1.999) == []
    assert entrance.advance(0.001) == [AbortChannel()]


def test_so_is_one_that_was_refused_by_http() -> None:
    entrance = Entrance(banned=True)
    entrance.upgrade()
    assert entrance.advance(2.0) == [AbortChannel()]


def test_a_pool_that_does_not_answer_refuses() -> None:
    entrance = at_pool()
    assert entrance.advance(4.999) == []
    assert summary(entrance.advance(0.001)) == refusal(1013, "Node is too busy")
    assert entrance.mind.on_admitted(entrance.now) == []


def test_a_connection_that_no_peer_takes_over_is_destroyed() -> None:
    entrance = at_pool()
    entrance.mind.on_admitted(entrance.now)
    assert entrance.advance(9.999) == []
    assert entrance.advance(0.001) == [AbortChannel()]


def test_an_early_wake_up_does_nothing() -> None:
    entrance = Entrance()
    assert entrance.mind.on_time(entrance.now) == []
    entrance.upgrade()
    assert entrance.mind.on_time(entrance.now) == []


def test_after_the_end_nothing_is_due() -> None:
    entrance = at_pool()
    entrance.mind.on_closed()
    assert entrance.mind.step is Step.CLOSED
    assert entrance.mind.next_deadline() is None
    assert entrance.mind.on_time(entrance.now + 100.0) == []
    assert entrance.mind.on_admitted(entrance.now) == []
    assert entrance.mind.on_control_frame(entrance.now) == []


# ---- why


_BANS = "LIP 0004, Penalties and bans"
_LISTS = "LIP 0004, Static lists"
_CHECKS = "docs/protocol.md, Checks of the listener"


@pytest.mark.parametrize(
    ("options", "wanted", "expected"),
    [
        ({"banned": True}, None, f"10.1.2.3 refused by banned_address (http_status 401; {_BANS})"),
        ({"blacklisted": True}, None, f"10.1.2.3 refused by blacklisted (http_status 401; {_LISTS})"),
        ({}, "/other/", f"10.1.2.3 refused by wrong_path (http_status 400; {_CHECKS})"),
    ],
)
def test_a_refused_upgrade_is_recorded(options: dict[str, bool], wanted: str | None, expected: str) -> None:
    entrance = Entrance(**options)
    assert isinstance(entrance.upgrade(wanted)[0], RejectUpgrade)
    assert entrance.decisions == [expected]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"nonce": OWN.nonce}, f"10.1.2.3 refused by own_address (code 4101; {_CHECKS})"),
        ({"chainID": "00000002"}, f"10.1.2.3:7001 refused by incompatible_peer (code 4104; {_CHECKS})"),
        ({"port": "x"}, f"10.1.2.3 refused by invalid_peer_info (code 4105; {_CHECKS})"),
    ],
)
def test_a_refused_handshake_is_recorded_with_its_close_code(changes: dict[str, str], expected: str) -> None:
    entrance = Entrance()
    entrance.upgrade(target(**changes))
    entrance.packet()
    assert entrance.decisions == [expected]


def test_silence_is_recorded_at_every_step() -> None:
    mute = Entrance()
    mute.advance(60.0)
    assert mute.decisions == ["10.1.2.3 refused by no_upgrade_in_time (waited_s 5; Ensemble, threat model)"]
    slow = Entrance()
    slow.upgrade()
    slow.advance(60.0)
    assert slow.decisions == [f"10.1.2.3:7001 refused by no_handshake_in_time (code 4005; {_CHECKS})"]
    lost = at_pool()
    lost.advance(60.0)
    assert lost.decisions == ["10.1.2.3:7001 refused by node_too_busy (code 1013; Ensemble, threat model)"]


def test_what_the_pool_refused_is_recorded_by_the_pool() -> None:
    entrance = at_pool()
    effects = entrance.mind.on_refused(InboundRefused(42, 4404, "x"), entrance.now)
    assert CloseChannel(4404) in effects
    assert not any(isinstance(effect, Record) for effect in effects)


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [
        (False, []),
        (
            True,
            [
                "10.1.2.3:7001 kept by trusted_peer_never_banned (reputation 0; LIP 0004, Static lists)",
                "10.1.2.3:7001 refused by no_handshake_first (code 4009; docs/protocol.md, Checks of the listener)",
            ],
        ),
    ],
)
def test_a_faulty_first_packet_is_recorded(trusted: bool, expected: list[str]) -> None:
    entrance = Entrance(trusted=trusted)
    entrance.upgrade()
    payload, rule = junk()
    entrance.packet(payload)
    penalised = f"10.1.2.3:7001 penalised by {rule} (points 100, reputation 0; docs/protocol.md, Misbehaviour)"
    assert entrance.decisions == [penalised, *expected]


# ---- anything at all

ACTIONS = st.one_of(
    st.tuples(
        st.just("upgrade"), st.sampled_from([target(), target("/"), target(port="x"), "", "/rpc/?" + "a=b&" * 99])
    ),
    st.tuples(st.just("packet"), st.sampled_from([HANDSHAKE, b"#1", b"#2", b"junk", b"{}"]) | st.binary(max_size=20)),
    st.tuples(st.just("advance"), st.floats(0.0, 12.0)),
    st.sampled_from([(action, None) for action in ("control", "admitted", "refused", "banned", "closed")]),
)


@given(st.lists(ACTIONS, max_size=12), st.booleans(), st.booleans(), st.booleans())
def test_no_order_of_inputs_raises_or_says_a_word_after_the_end(
    actions: list[tuple[str, Any]], banned: bool, trusted: bool, dry_run: bool
) -> None:
    entrance = Entrance(banned=banned, trusted=trusted, dry_run=dry_run)
    ended = handed_over = closed = False
    for action, value in actions:
        match action:
            case "upgrade":
                effects = entrance.upgrade(value)
            case "packet":
                effects = entrance.packet(value)
            case "advance":
                effects = entrance.advance(value)
            case "control":
                effects = entrance.mind.on_control_frame(entrance.now)
            case "banned":
                effects = entrance.mind.on_banned(entrance.now)
            case "admitted":
                effects = entrance.mind.on_admitted(entrance.now)
            case "refused":
                effects = entrance.mind.on_refused(InboundRefused(42, 4404, "x"), entrance.now)
            case _:
                entrance.mind.on_closed()
                effects, closed = [], True
        assert not (closed and effects)
        if ended or handed_over:
            assert all(effect == AbortChannel() for effect in effects)
        ends = [isinstance(effect, CloseChannel | AbortChannel | RejectUpgrade) for effect in effects]
        # A close that nobody answers ends in an abort.
        assert sum(ends) <= 1 or (sum(ends) == 2 and effects[-1] == AbortChannel())
        ended = ended or any(ends)
        handed_over = handed_over or HandOver in map(type, effects)
        failures = [event for effect in effects if isinstance(effect, Emit) for event in effect.events]
        assert ended or all(isinstance(event, NewInboundPeerConnection | PenaltyApplied) for event in failures)
    if not closed:
        entrance.advance(100.0)
        assert entrance.mind.next_deadline() is None
        assert entrance.mind.step in (Step.CLOSING, Step.CLOSED)
