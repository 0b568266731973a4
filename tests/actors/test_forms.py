"""What P2P does in both forms, threads and asyncio, on the real in-process base with a Node that has no network."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors import commands
from actors.client import SendWindow
from actors.incoming import MAX_ERROR_CHARS
from core.config import NodeConfig
from core.errors import (
    AlreadyActive,
    ConfigError,
    ConnectionLost,
    EnsembleError,
    InvalidNodeInfo,
    Misuse,
    NotActive,
    PeerNotFound,
    RequestRefused,
    RequestTimedOut,
    ResponseAlreadySent,
    SendFailed,
    StartFailed,
    StopFailed,
)
from core.events import BanPeer, Event, MessageReceived, NetworkReady, NewInboundPeer, RemovePeer, RequestReceived
from core.ids import Direction
from tests.actors.fake_node import (
    BAD_PEER,
    PEER,
    PORT_IF_ANY,
    BusyNode,
    DeafNode,
    SilentNode,
    StubbornNode,
    banned,
    peer,
    request_event,
)
from tests.actors.forms import FORMS, PATIENCE_S, PROCESS_FORMS, Form, Seen

Make = Callable[..., Form]


IN_PROCESSES = [pytest.param(name, marks=(pytest.mark.slow, pytest.mark.sockets)) for name in PROCESS_FORMS]


@pytest.fixture(params=[*FORMS, *IN_PROCESSES])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes a P2P of either form, not started; sees to it that none leaves a thread or a descriptor behind."""
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    made: list[Form] = []

    def build(*args: Any, **options: Any) -> Form:
        made.append((FORMS | PROCESS_FORMS)[request.param](*args, **options))
        return made[-1]

    yield build
    for form in made:
        form.close()
    for thread in threading.enumerate():
        if thread.name == "ensemble-closer":  # of a stop() that had no time to wait for it
            thread.join(PATIENCE_S)
    assert set(threading.enumerate()) == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.fixture
def p2p(make: Make) -> Form:
    """A running node."""
    form = make(port=0)
    form.start()
    return form


def message(event: str, data: bytes | None = None) -> MessageReceived:
    return MessageReceived(peer_id=PEER, event=event, data=data)


def ban(ip: str) -> BanPeer:
    return BanPeer(peer_id=PEER, ip_address=ip, until=1.0, reason="")


# ---- life


def test_start_and_stop(make: Make) -> None:
    form = make(port=0)
    assert (form.is_active, form.listen_address, form.node_info) == (False, None, None)
    form.start()
    assert form.is_active
    assert form.listen_address == ("127.0.0.1", PORT_IF_ANY)
    assert form.node_info.nonce == "nonce"
    form.stop()
    assert (form.is_active, form.listen_address) == (False, None)
    assert form.node_info.nonce == "nonce"


def test_a_node_that_does_not_listen_has_no_address(make: Make) -> None:
    form = make(max_inbound_connections=0)
    form.start()
    assert form.is_active
    assert form.listen_address is None


def test_start_twice_is_an_error_and_harms_nothing(p2p: Form) -> None:
    with pytest.raises(AlreadyActive):
        p2p.start()
    assert p2p.request("echo", b"x").data == b"x"


def test_stop_may_be_called_again_and_before_the_start(make: Make) -> None:
    form = make(port=0)
    form.stop()
    form.start()
    form.stop()
    form.stop()
    assert not form.is_active


def test_a_stopped_node_starts_again_with_its_handlers(p2p: Form) -> None:
    seen = Seen()
    p2p.on(MessageReceived, seen)
    for _ in range(3):
        p2p.stop()
        p2p.start()
        p2p.emit(message("again"))
        assert seen.next().event == "again"


def test_the_node_is_told_to_stop_and_then_its_actors_end(p2p: Form) -> None:
    p2p.stop()
    with pytest.raises(NotActive):
        p2p.get_network_stats()


def test_a_failed_start_gives_the_nodes_reason_and_can_be_repeated(make: Make) -> None:
    form = make(port=1)
    for _ in range(2):
        with pytest.raises(StartFailed, match="port 1 is taken"):
            form.start()
        assert not form.is_active


def test_a_node_that_never_answers_start_is_given_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "START_TIMEOUT_S", 0.05)
    form = make(node_class=SilentNode)
    with pytest.raises(StartFailed, match=r"did not answer StartNode within 0.05 s"):
        form.start()
    assert not form.is_active


def test_stop_ends_a_start_that_is_under_way(make: Make) -> None:
    form = make(node_class=SilentNode)
    outcome: list[BaseException] = []

    def start() -> None:
        try:
            form.start()
        except StartFailed as error:
            outcome.append(error)

    starter = threading.Thread(target=start)
    starter.start()
    while starter.is_alive():
        form.stop()
        starter.join(0.01)
    assert "stopped" in str(outcome[0])


def test_a_node_that_never_says_it_has_stopped_is_ended_hard(make: Make) -> None:
    form = make(node_class=StubbornNode)
    form.start()
    with pytest.raises(StopFailed, match=r"ended hard.*did not answer StopNode within 0.0\d+ s"):
        form.stop(0.1)
    assert not form.is_active
    form.start()
    with pytest.raises(StopFailed):
        form.stop(0.1)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), "5", None, True])
def test_a_bad_stop_timeout_is_refused(p2p: Form, timeout_s: Any) -> None:
    with pytest.raises(Misuse, match="timeout_s"):
        p2p.stop(timeout_s)
    assert p2p.is_active


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get_node_info", ()),
        ("apply_node_info", ({},)),
        ("get_connected_peers", ()),
        ("get_disconnected_peers", ()),
        ("get_tried_peers", ()),
        ("get_network_stats", ()),
        ("apply_penalty", (PEER, 10)),
        ("ban", ("1.2.3.4",)),
        ("unban", ("1.2.3.4",)),
        ("bans", ()),
        ("explain", (PEER,)),
        ("request", ("p",)),
        ("request_from_peer", (PEER, "p")),
        ("send", ("e",)),
        ("send_to_peer", (PEER, "e")),
        ("broadcast", ("e",)),
        ("wait_for", (MessageReceived,)),
        ("wait_for_peers", ()),
    ],
)
def test_every_call_needs_a_running_node(make: Make, name: str, arguments: tuple[Any, ...]) -> None:
    form = make()
    with pytest.raises(NotActive, match="not running"):
        getattr(form, name)(*arguments)
    form.start()
    form.stop()
    with pytest.raises(NotActive):
        getattr(form, name)(*arguments)


# ---- configuration


def test_configuration_by_object_mapping_or_keywords(make: Make) -> None:
    expected = NodeConfig(port=7777, send_peer_limit=3)
    assert make(expected).config == expected
    assert make({"port": 7777, "send_peer_limit": 3}).config == expected
    assert make(port=7777, send_peer_limit=3).config == expected
    assert make(NodeConfig(port=7777), send_peer_limit=3).config == expected


def test_configuration_by_file_with_keywords_on_top(make: Make, tmp_path: Any) -> None:
    path = tmp_path / "node.yaml"
    path.write_text("port: 7777\nsend_peer_limit: 5\n")
    expected = NodeConfig(port=7777, send_peer_limit=3)
    assert make(path, send_peer_limit=3).config == expected
    assert make(str(path), send_peer_limit=3).config == expected


@pytest.mark.parametrize("source", [{}, NodeConfig(), None])
def test_a_misspelt_option_is_named_with_the_one_meant(make: Make, source: Any) -> None:
    with pytest.raises(ConfigError, match=r"seed_peer.*did you mean seed_peers"):
        make(source, seed_peer=[])


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [((42,), {}, "int"), ((), {"system": "moon"}, "inproc"), ((), {"port": -1}, "port")],
)
def test_what_cannot_be_used_is_refused(
    make: Make, arguments: tuple[Any, ...], options: dict[str, Any], text: str
) -> None:
    with pytest.raises((Misuse, ConfigError), match=text):
        make(*arguments, **options)


# ---- queries


def test_queries(p2p: Form) -> None:
    assert [peer.peer_id for peer in p2p.get_connected_peers()] == ["10.0.0.1:5001", "10.0.0.2:5001"]
    assert [peer.peer_id for peer in p2p.get_disconnected_peers()] == ["10.0.0.3:5001"]
    assert [peer.peer_id for peer in p2p.get_tried_peers()] == ["10.0.0.4:5001"]
    assert p2p.get_network_stats().inbound_connected == 2


def test_node_info_is_applied_and_remembered(p2p: Form) -> None:
    assert p2p.apply_node_info({"height": 5}).options == {"height": 5}
    assert p2p.node_info.options == {"height": 5}
    assert p2p.get_node_info().options == {"height": 5}
    with pytest.raises(InvalidNodeInfo, match="not in the schema"):
        p2p.apply_node_info({"bad": 1})
    assert p2p.node_info.options == {"height": 5}


@pytest.mark.parametrize("options", [None, [1], {1: 2}, "x"])
def test_node_info_options_must_be_a_mapping(p2p: Form, options: Any) -> None:
    with pytest.raises(Misuse, match="mapping"):
        p2p.apply_node_info(options)


@pytest.mark.parametrize(
    ("asked", "subject"),
    [
        (PEER, PEER),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("[2001:DB8::0:1]:5001", "[2001:db8::1]:5001"),
    ],
)
def test_a_story_is_told_under_the_canonical_name(p2p: Form, asked: str, subject: str) -> None:
    assert p2p.explain(asked) == (banned(subject),)
    assert str(p2p.explain(asked)[0]) == f"1970-01-01 00:00:13Z {subject} banned by by_hand (until 99; the application)"
    assert f"Explain {subject}" in p2p.log()


@pytest.mark.parametrize("subject", [None, 5, "", "localhost", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:99999", "x" * 10_000])
def test_only_a_peer_or_an_address_has_a_story(p2p: Form, subject: Any) -> None:
    with pytest.raises(Misuse):
        p2p.explain(subject)


def test_penalties_and_bans(p2p: Form) -> None:
    p2p.apply_penalty(PEER, 10, "spam")
    p2p.ban("::ffff:1.2.3.4", "by hand", duration_s=60)
    p2p.ban(PEER)
    assert [(found.ip, found.reason) for found in p2p.bans()] == [("1.2.3.4", "by hand"), ("10.0.0.1", "")]
    p2p.unban("1.2.3.4")
    assert [found.ip for found in p2p.bans()] == ["10.0.0.1"]
    log = p2p.log()
    assert "ApplyPenalty 10.0.0.1:5001 10 spam" in log
    assert f"BanAddress 10.0.0.1 {PEER} None" in log
    with pytest.raises(PeerNotFound):
        p2p.apply_penalty(BAD_PEER, 1)
    with pytest.raises(PeerNotFound, match="not banned"):
        p2p.unban("1.2.3.4")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("apply_penalty", (PEER, 0)),
        ("apply_penalty", (PEER, -5)),
        ("apply_penalty", (PEER, 1.5)),
        ("apply_penalty", (PEER, True)),
        ("apply_penalty", ("10.0.0.1", 5)),
        ("apply_penalty", (None, 5)),
        ("apply_penalty", (PEER, 5, None)),
        ("ban", ("nonsense",)),
        ("ban", (None,)),
        ("ban", ("fe80::1%eth0",)),
        ("unban", ("",)),
        ("request_from_peer", (None, "p")),
        ("request_from_peer", ("example.org:5001", "p")),
        ("request_from_peer", ("10.0.0.1:0", "p")),
        ("send_to_peer", (None, "p")),
        ("send_to_peer", ("10.0.0.1:99999", "p")),
        ("request", ("",)),
        ("request", ("x" * 129,)),
        ("request", (5,)),
        ("send", (None,)),
        ("broadcast", ("",)),
        ("send", ("e", {1, 2})),
        ("broadcast", ("e", float("nan"))),
        ("request", ("p", object())),
    ],
)
def test_arguments_that_cannot_work_are_refused_before_anything_is_sent(
    p2p: Form, name: str, arguments: tuple[Any, ...]
) -> None:
    before = p2p.log()
    with pytest.raises(Misuse):
        getattr(p2p, name)(*arguments)
    assert p2p.log() == before


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), "1", True, 1e9])
def test_a_bad_request_timeout_is_refused(p2p: Form, timeout_s: Any) -> None:
    with pytest.raises(Misuse, match="timeout_s"):
        p2p.request("p", timeout_s=timeout_s)


def test_a_bad_ban_duration_is_refused(p2p: Form) -> None:
    with pytest.raises(Misuse, match="duration_s"):
        p2p.ban("1.2.3.4", duration_s=-1)


# ---- requests


@pytest.mark.parametrize(
    ("data", "sent"),
    [(None, None), (b"", b""), (b"\x00\xff", b"\x00\xff"), (0, b"0"), ("", b'""'), (False, b"false"), ([], b"[]")],
)
def test_a_request_carries_its_data_and_brings_the_answer(p2p: Form, data: Any, sent: bytes | None) -> None:
    response = p2p.request("echo", data)
    assert (response.peer_id, response.data) == (PEER, sent)


def test_an_answer_in_json(p2p: Form) -> None:
    assert p2p.request("echo", {"ż": [1, None]}).json() == {"ż": [1, None]}
    assert p2p.request("echo").json() is None
    with pytest.raises(ValueError, match=r"JSON|utf|Expecting"):
        p2p.request("echo", b"\xff{").json()


def test_a_request_to_one_peer_takes_its_id_in_any_spelling(p2p: Form) -> None:
    assert p2p.request_from_peer("[::ffff:10.0.0.7]:5001", "echo").peer_id == "10.0.0.7:5001"
    with pytest.raises(PeerNotFound):
        p2p.request_from_peer(BAD_PEER, "echo")


@pytest.mark.parametrize(
    ("procedure", "error", "text"),
    [
        ("fake/timeout", RequestTimedOut, "no answer within 1.0 s"),
        ("fake/refuse", RequestRefused, "no such block"),
        ("fake/lose", ConnectionLost, "1006"),
    ],
)
def test_a_failed_request_raises_what_happened(
    p2p: Form, procedure: str, error: type[EnsembleError], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        p2p.request(procedure, timeout_s=1)
    assert caught.value.peer_id == PEER  # type: ignore[attr-defined]


def test_a_request_that_the_node_forgets_ends_nevertheless(p2p: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "BACKSTOP_S", 0.0)
    with pytest.raises(RequestTimedOut, match=r"did not answer SendRequest within 0.05 s"):
        p2p.request("fake/silence", timeout_s=0.05)
    assert p2p.client_counters.late_answers_total == 0
    p2p.request("fake/speak")
    p2p.request("echo")  # after this the late answer has been taken in
    assert p2p.client_counters.late_answers_total == 1


def test_data_too_large_for_a_frame_is_refused(make: Make) -> None:
    form = make(ws_max_payload_bytes=4096, max_peer_info_bytes=1024)
    form.start()
    fits = bytes((4096 - 256 - 6) // 4 * 3)
    form.send("e", fits, wait=True)
    with pytest.raises(Misuse, match="ws_max_payload_bytes is 4,096"):
        form.send("e", fits + bytes(3))
    with pytest.raises(Misuse, match="too large"):
        form.request("p", "x" * 5000)


def test_an_answer_of_the_wrong_type_is_an_error(p2p: Form) -> None:
    with pytest.raises(EnsembleError, match="answered SendRequest with Done"):
        p2p.request("fake/wrong_type")


def test_a_message_outside_the_protocol_is_logged_and_counted(p2p: Form, caplog: pytest.LogCaptureFixture) -> None:
    p2p.request("fake/strange")
    assert p2p.client_counters.unknown_messages_total == 1
    assert "unknown message dict" in caplog.text


def test_a_message_on_which_the_node_fails_raises_at_the_caller(p2p: Form) -> None:
    with pytest.raises(EnsembleError, match="the node failed on SendMessage"):
        p2p.send("poison", wait=True)
    assert p2p.request("echo", b"x").data == b"x"


def test_calls_that_wait_when_the_node_stops_raise(p2p: Form) -> None:
    outcome: list[BaseException] = []

    def ask() -> None:
        try:
            p2p.request("fake/silence", timeout_s=60)
        except NotActive as error:
            outcome.append(error)

    caller = threading.Thread(target=ask)
    caller.start()
    while "silence" not in p2p.log():
        pass
    p2p.stop()
    caller.join(20)
    assert "stopped" in str(outcome[0])


# ---- messages


def test_messages_reach_the_node_in_order(p2p: Form) -> None:
    p2p.send("a")
    p2p.broadcast("b", {"x": 1})
    p2p.send_to_peer(PEER, "c", b"1")
    p2p.send_to_peer(PEER, "d", b"1", wait=False)
    p2p.send("e", wait=True)
    p2p.broadcast("f", wait=True)
    assert [entry for entry in p2p.log() if "Message" in entry] == [
        "SendMessage a any None",
        "BroadcastMessage b b'{\"x\":1}'",
        "SendMessage c 10.0.0.1:5001 b'1'",
        "SendMessage d 10.0.0.1:5001 b'1'",
        "SendMessage e any None",
        "BroadcastMessage f None",
    ]


def test_a_message_to_one_peer_that_is_not_connected(p2p: Form) -> None:
    with pytest.raises(PeerNotFound):
        p2p.send_to_peer(BAD_PEER, "e")
    p2p.send_to_peer(BAD_PEER, "e", wait=False)


def test_many_messages_in_a_loop_arrive_complete_and_in_order(p2p: Form) -> None:
    count = 3 * SendWindow.MARK_MESSAGES * SendWindow.OPEN_MARKS

    def send_all() -> Any:
        if p2p.name == "threads":
            for number in range(count):
                p2p.p2p.send(str(number))
            return None
        return send_all_async()

    async def send_all_async() -> None:
        for number in range(count):
            await p2p.p2p.send(str(number))

    p2p.run(send_all)
    sent = [entry.split()[1] for entry in p2p.log() if entry.startswith("SendMessage")]
    assert sent == [str(number) for number in range(count)]


@pytest.mark.parametrize(
    ("size", "allowed"),
    [
        (0, (SendWindow.OPEN_MARKS + 1) * SendWindow.MARK_MESSAGES - 1),
        (SendWindow.MARK_BYTES, SendWindow.OPEN_MARKS),
    ],
)
def test_a_node_that_takes_no_messages_stops_the_sender(
    make: Make, monkeypatch: pytest.MonkeyPatch, size: int, allowed: int
) -> None:
    for module in ("actors.thread_run", "actors.aio_run"):
        monkeypatch.setattr(f"{module}.CALL_TIMEOUT_S", 0.05)
    form = make(node_class=DeafNode)
    form.start()
    data = bytes(size)
    for _ in range(allowed):
        form.send("e", data)
    with pytest.raises(SendFailed, match=r"has not taken messages for 0.05 s"):
        form.send("e", data)


# ---- handlers


def test_handlers_by_class_by_name_and_as_decorators(p2p: Form) -> None:
    by_class, by_name, decorated, named = Seen(), Seen(), Seen(), Seen()
    p2p.on(MessageReceived, by_class)
    p2p.on("EVENT_MESSAGE_RECEIVED", by_name)
    assert p2p.on(MessageReceived)(decorated) is decorated
    assert p2p.on("EVENT_MESSAGE_RECEIVED")(named) is named
    p2p.emit(message("hello", b"x"))
    for seen in (by_class, by_name, decorated, named):
        found = seen.next()
        assert (found.peer_id, found.event, found.data) == (PEER, "hello", b"x")


def test_events_reach_handlers_in_order(p2p: Form) -> None:
    seen = Seen()
    p2p.on(MessageReceived, seen)
    p2p.emit(*(message(str(number)) for number in range(600)))
    assert [seen.next().event for _ in range(600)] == [str(number) for number in range(600)]


def test_the_node_only_sends_what_somebody_wants(p2p: Form) -> None:
    assert p2p.emit(message("nobody listens")) == 0
    p2p.on(MessageReceived, Seen())
    assert p2p.emit(message("now"), ban("1.2.3.4")) == 1
    assert "Subscribe ['EVENT_REQUEST_RECEIVED']" in p2p.log()
    assert "Subscribe ['EVENT_MESSAGE_RECEIVED', 'EVENT_REQUEST_RECEIVED']" in p2p.log()


def test_handlers_that_were_there_before_the_start_miss_nothing(make: Make) -> None:
    form = make(node_class=BusyNode)
    seen = Seen(lambda request: form.p2p.is_active)
    form.on(RequestReceived, seen)
    form.start()
    assert seen.next().procedure == "early"
    form.stop()


def test_once_and_off(p2p: Form) -> None:
    once, twice, always = Seen(), Seen(), Seen()
    p2p.once(MessageReceived, once)
    p2p.once("EVENT_MESSAGE_RECEIVED")(twice)
    p2p.on(MessageReceived, always)
    p2p.on(MessageReceived, always)
    p2p.emit(message("1"), message("2"))
    assert [always.next().event for _ in range(4)] == ["1", "1", "2", "2"]
    assert (once.next().event, once.is_empty) == ("1", True)
    assert (twice.next().event, twice.is_empty) == ("1", True)
    assert p2p.off(MessageReceived, always)
    assert p2p.off("EVENT_MESSAGE_RECEIVED", always)
    assert not p2p.off(MessageReceived, always)
    last = Seen()
    p2p.on(MessageReceived, last)
    p2p.emit(message("3"))
    last.next()
    assert always.is_empty


@pytest.mark.parametrize("event", ["EVENT_MESSAGE_RECIEVED", "", 5, int, Event, None])
def test_an_unknown_event_is_refused(p2p: Form, event: Any) -> None:
    for name in ("on", "once"):
        with pytest.raises(Misuse, match="expected an event class"):
            getattr(p2p, name)(event, print)
    with pytest.raises(Misuse, match="expected an event class"):
        p2p.events(event)


def test_a_misspelt_event_is_guessed(p2p: Form) -> None:
    with pytest.raises(Misuse, match="did you mean EVENT_MESSAGE_RECEIVED"):
        p2p.on("EVENT_MESSAGE_RECIEVED", print)


def test_a_handler_must_be_callable(p2p: Form) -> None:
    with pytest.raises(Misuse, match=r"expected a function.*int"):
        p2p.on(MessageReceived, 5)
    with pytest.raises(Misuse, match=r"expected a function.*int"):
        p2p.procedure("p", 5)


@pytest.mark.parametrize("style", ["plain", "async"])
def test_a_handler_that_raises_is_logged_and_harms_nobody(
    p2p: Form, caplog: pytest.LogCaptureFixture, style: str
) -> None:
    def faulty(found: Any) -> None:
        raise ZeroDivisionError("by a handler")

    seen = Seen()
    p2p.on(MessageReceived, faulty if style == "plain" else p2p.async_handler(faulty))
    p2p.on(MessageReceived, seen)
    with caplog.at_level(logging.ERROR):
        p2p.emit(message("1"), message("2"))
        assert [seen.next().event, seen.next().event] == ["1", "2"]
        done = Seen()
        p2p.on(NetworkReady, done)
        p2p.emit(NetworkReady())
        done.next()
        while p2p.client_counters.handler_errors_total < 2:
            p2p.get_network_stats()
    record = next(record for record in caplog.records if "handler" in record.message)
    assert "EVENT_MESSAGE_RECEIVED" in record.message
    assert record.exc_info is not None
    assert "by a handler" in caplog.text


def test_a_handler_may_call_the_node(p2p: Form) -> None:
    seen = Seen(lambda found: None)

    def handler(found: MessageReceived) -> Any:
        if p2p.name == "threads":
            p2p.p2p.send_to_peer(found.peer_id, "thanks")
            seen(p2p.p2p.request_from_peer(found.peer_id, "echo", found.data).data)
            return None
        return handle_async(found)

    async def handle_async(found: MessageReceived) -> None:
        await p2p.p2p.send_to_peer(found.peer_id, "thanks")
        seen((await p2p.p2p.request_from_peer(found.peer_id, "echo", found.data)).data)

    p2p.on(MessageReceived, handler)
    p2p.emit(message("a", b"1"), message("b", b"2"))
    assert sorted([seen.next(), seen.next()]) == [b"1", b"2"]


def test_a_handler_may_stop_the_node(p2p: Form) -> None:
    seen = Seen()

    def handler(found: Any) -> Any:
        if p2p.name == "threads":
            p2p.p2p.stop()
            seen(p2p.p2p.is_active)
            return None
        return stop_async()

    async def stop_async() -> None:
        await p2p.p2p.stop()
        seen(p2p.p2p.is_active)

    p2p.on(MessageReceived, handler)
    p2p.emit(message("a"))
    assert seen.next() is False


# ---- requests of peers


def answered(p2p: Form, count: int = 1) -> list[Any]:
    """The answers that have reached the peer, once there are so many."""
    while len(replies := p2p.replies()) < count:
        pass
    return sorted(replies)


@pytest.mark.parametrize("style", ["plain", "async"])
@pytest.mark.parametrize(
    ("value", "text"),
    [(b"raw", "raw"), (b"", ""), ("x", '"x"'), (0, "0"), (False, "false"), ([], "[]"), ({"a": 1}, '{"a":1}')],
)
def test_what_a_handler_returns_is_the_answer(p2p: Form, style: str, value: Any, text: str) -> None:
    p2p.on(RequestReceived, (lambda r: value) if style == "plain" else p2p.async_handler(lambda r: value))
    p2p.emit(request_event("p"))
    assert answered(p2p) == [[1, "answer", text]]


@pytest.mark.parametrize("style", ["plain", "async"])
def test_a_handler_that_raises_refuses_the_request(p2p: Form, style: str) -> None:
    def handler(request: Any) -> None:
        raise LookupError("no such block" + "!" * 2000 if request.procedure == "long" else "")

    p2p.on(RequestReceived, handler if style == "plain" else p2p.async_handler(handler))
    p2p.emit(request_event("long", call_id=1), request_event("bare", call_id=2))
    replies = answered(p2p, 2)
    assert replies[0] == [1, "refusal", ("no such block" + "!" * 2000)[:MAX_ERROR_CHARS]]
    assert replies[1] == [2, "refusal", "LookupError"]


def test_a_handler_that_returns_none_keeps_the_request_open(p2p: Form) -> None:
    seen = Seen()
    p2p.on(RequestReceived, seen)
    p2p.emit(request_event("p", b'{"a":1}', call_id=7), request_event("q", call_id=8))
    request, other = seen.next(), seen.next()
    assert (request.peer_id, request.procedure, request.data, request.json()) == (PEER, "p", b'{"a":1}', {"a": 1})
    assert not request.answered
    assert p2p.replies() == []
    p2p.run(request.end, 0)
    p2p.run(other.error, ValueError("not now"))
    assert request.answered
    assert answered(p2p, 2) == [[7, "answer", "0"], [8, "refusal", "not now"]]


def test_a_request_is_answered_once(p2p: Form) -> None:
    seen = Seen(lambda request: request.end(b"first"))
    p2p.on(RequestReceived, seen)
    p2p.emit(request_event("p"))
    request = seen.next()
    assert answered(p2p) == [[1, "answer", "first"]]
    for again in (lambda: request.end(b"second"), lambda: request.error("second")):
        with pytest.raises(ResponseAlreadySent, match=r"'p'.*answered before"):
            p2p.run(again)
    assert answered(p2p) == [[1, "answer", "first"]]


def test_the_first_of_several_handlers_answers(p2p: Form) -> None:
    p2p.on(RequestReceived, lambda request: None)
    p2p.on(RequestReceived, lambda request: b"first")
    p2p.on(RequestReceived, lambda request: b"second")
    seen = Seen()
    p2p.on(RequestReceived, seen)
    p2p.emit(request_event("p"))
    assert seen.next().answered
    assert answered(p2p) == [[1, "answer", "first"]]


def test_an_error_after_the_answer_changes_nothing(p2p: Form, caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: Any) -> None:
        request.end(b"done")
        raise RuntimeError("afterwards")

    p2p.on(RequestReceived, handler)
    p2p.emit(request_event("p"))
    assert answered(p2p) == [[1, "answer", "done"]]
    while p2p.client_counters.handler_errors_total < 1:
        p2p.get_network_stats()
    assert "'p'" in caplog.text


@pytest.mark.parametrize("style", ["plain", "async"])
def test_a_procedure_answers_with_whatever_it_returns(p2p: Form, style: str) -> None:
    others = Seen()
    p2p.on(RequestReceived, others)

    def nothing(request: Any) -> None:
        return None

    p2p.procedure("nothing", nothing if style == "plain" else p2p.async_handler(nothing))

    @p2p.procedure("double")
    def double(request: Any) -> int:
        return 2 * int(request.json())

    p2p.emit(
        request_event("nothing", call_id=1), request_event("double", b"21", call_id=2), request_event("x", call_id=3)
    )
    assert others.next().procedure == "x"
    assert answered(p2p, 3) == [
        [1, "answer", None],
        [2, "answer", "42"],
        [3, "refusal", "the request 'x' was not answered"],
    ]
    assert others.is_empty


def test_a_procedure_has_one_handler(p2p: Form) -> None:
    p2p.procedure("p", lambda request: 1)
    with pytest.raises(Misuse, match="'p' has a handler already"):
        p2p.procedure("p", lambda request: 2)
    assert p2p.off_procedure("p")
    assert not p2p.off_procedure("p")
    p2p.procedure("p", lambda request: 3)
    p2p.emit(request_event("p"))
    assert answered(p2p) == [[1, "answer", "3"]]


def test_a_request_that_nobody_keeps_is_refused_at_once(p2p: Form) -> None:
    p2p.on(RequestReceived, lambda request: None)
    p2p.emit(request_event("p"))
    assert answered(p2p) == [[1, "refusal", "the request 'p' was not answered"]]
    assert p2p.client_counters.requests_unhandled_total == 1


def test_a_request_that_nothing_handles_is_refused_at_once(p2p: Form) -> None:
    p2p.procedure("known", lambda request: 1)
    p2p.emit(request_event("unknown"))
    assert answered(p2p) == [[1, "refusal", "nothing handles the procedure 'unknown'"]]
    assert p2p.client_counters.requests_unhandled_total == 1


def test_an_answer_that_cannot_be_sent_is_refused_and_logged(p2p: Form, caplog: pytest.LogCaptureFixture) -> None:
    p2p.procedure("set", lambda request: {1, 2})
    p2p.procedure("large", lambda request: bytes(4_000_000))
    p2p.emit(request_event("set", call_id=1), request_event("large", call_id=2))
    replies = answered(p2p, 2)
    assert [reply[1] for reply in replies] == ["refusal", "refusal"]
    assert "JSON" in replies[0][2]
    assert "too large" in replies[1][2]
    assert p2p.client_counters.handler_errors_total == 2


def test_end_with_data_that_cannot_be_sent_leaves_the_request_open(p2p: Form) -> None:
    def handler(request: Any) -> None:
        with pytest.raises(Misuse):
            request.end({1, 2})
        assert not request.answered
        request.end("instead")

    p2p.on(RequestReceived, handler)
    p2p.emit(request_event("p"))
    assert answered(p2p) == [[1, "answer", '"instead"']]


def test_a_request_that_wants_no_answer_gets_none(p2p: Form) -> None:
    seen = Seen(lambda request: b"x")
    p2p.on(RequestReceived, seen)
    p2p.emit(request_event("p", call_id=None), request_event("q", call_id=2))
    seen.next()
    seen.next()
    assert answered(p2p) == [[2, "answer", "x"]]


def test_a_request_kept_beyond_the_stop_cannot_be_answered(p2p: Form) -> None:
    seen = Seen()
    p2p.on(RequestReceived, seen)
    p2p.emit(request_event("p"))
    request = seen.next()
    p2p.stop()
    with pytest.raises(NotActive, match="no connection to answer on"):
        p2p.run(request.end)


# ---- too many events


def test_a_slow_program_loses_the_oldest_messages_and_no_other_events(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    form = make(max_subscriber_queue_events=3, one_handler_at_a_time=True)
    form.start()
    entered = threading.Event()
    release: Any = threading.Event() if form.name == "threads" else asyncio.Event()

    def blocking(found: Any) -> Any:
        entered.set()
        return release.wait()

    seen = Seen()
    form.on(RemovePeer, blocking)
    form.on(MessageReceived, seen)
    form.on(BanPeer, seen)
    form.on(RequestReceived, seen)
    removal = RemovePeer(peer_id=PEER, reason="")
    form.emit(removal)
    assert entered.wait(20)
    if form.name == "asyncio":
        form.emit(removal)  # the one that waits for the slot
    form.emit(request_event("old"), ban("1.1.1.1"), message("1"), ban("2.2.2.2"), message("2"), message("3"))
    form.emit(message("4"), ban("3.3.3.3"), message("5"))
    form.run(release.set)
    found = [seen.next() for _ in range(5)]
    assert [getattr(item, "event", None) or getattr(item, "ip_address", None) for item in found] == [
        "1.1.1.1",
        "2.2.2.2",
        "4",
        "3.3.3.3",
        "5",
    ]
    assert form.client_counters.events_dropped_total == 4
    assert answered(form) == [[1, "refusal", "the node is overloaded"]]
    assert "too slowly: 4 dropped so far" in caplog.text


# ---- streams


def collect(form: Form, stream: Any) -> list[Any]:
    """All that is left in a stream that ends."""
    if form.name == "threads":
        return list(stream)

    async def rest() -> list[Any]:
        return [item async for item in stream]

    found: list[Any] = form.run(rest)
    return found


def test_a_stream_has_the_events_since_it_was_made_until_the_stop(p2p: Form) -> None:
    p2p.emit(message("before"))
    stream = p2p.events(MessageReceived)
    everything = p2p.events()
    p2p.emit(message("1"), ban("1.2.3.4"), message("2"))
    assert p2p.run(stream.get, 20).event == "1"
    p2p.stop()
    assert [item.event for item in collect(p2p, stream)] == ["2"]
    assert [type(item) for item in collect(p2p, everything)] == [MessageReceived, BanPeer, MessageReceived]
    with pytest.raises(NotActive, match="closed"):
        p2p.run(stream.get)


def test_a_stream_made_before_the_start_sees_the_start(make: Make) -> None:
    form = make(node_class=BusyNode)
    stream = form.events(RequestReceived)
    form.start()
    request = form.run(stream.get, 20)
    assert request.procedure == "early"
    form.run(request.end, b"ok")
    assert answered(form) == [[1, "answer", "ok"]]


def test_a_closed_stream_takes_no_more(p2p: Form) -> None:
    stream = p2p.events("EVENT_MESSAGE_RECEIVED")
    p2p.emit(message("1"))
    p2p.run(stream.close)
    p2p.emit(message("2"))
    assert [item.event for item in collect(p2p, stream)] == ["1"]


def test_a_stream_gives_up_after_its_timeout(p2p: Form) -> None:
    stream = p2p.events(MessageReceived)
    with pytest.raises(TimeoutError, match=r"no event within 0.01 s"):
        p2p.run(stream.get, 0.01)


def test_a_stream_that_is_not_read_loses_the_oldest(make: Make) -> None:
    form = make(max_subscriber_queue_events=2)
    form.start()
    stream = form.events(MessageReceived)
    form.emit(message("1"), message("2"), message("3"))
    assert form.run(stream.get, 20).event == "2"
    assert stream.dropped_total == 1


def test_wait_for_returns_the_first_event_that_fits(p2p: Form) -> None:
    outcome: list[Any] = []
    waiter = threading.Thread(
        target=lambda: outcome.append(p2p.wait_for(MessageReceived, lambda found: found.event == "this", timeout_s=20))
    )
    waiter.start()
    while waiter.is_alive():
        p2p.emit(message("that"), message("this", b"x"))
        waiter.join(0.01)
    assert outcome[0].data == b"x"


def test_wait_for_gives_up(p2p: Form) -> None:
    with pytest.raises(TimeoutError, match=r"no such event within 0.01 s"):
        p2p.wait_for("EVENT_BAN_PEER", timeout_s=0.01)


def test_wait_for_ends_with_the_node(p2p: Form) -> None:
    outcome: list[BaseException] = []

    def wait() -> None:
        try:
            p2p.wait_for(MessageReceived, timeout_s=60)
        except NotActive as error:
            outcome.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    while waiter.is_alive():
        p2p.stop()
        waiter.join(0.01)
    assert len(outcome) == 1


def test_wait_for_peers_returns_at_once_when_there_are_enough(p2p: Form) -> None:
    assert [peer.peer_id for peer in p2p.wait_for_peers()] == ["10.0.0.1:5001", "10.0.0.2:5001"]
    assert len(p2p.wait_for_peers(2, timeout_s=0.01)) == 2


def test_wait_for_peers_looks_again_when_somebody_connects(p2p: Form) -> None:
    outcome: list[Any] = []
    waiter = threading.Thread(target=lambda: outcome.append(p2p.wait_for_peers(3, timeout_s=20)))
    waiter.start()
    p2p.request("fake/connect")
    p2p.emit(NewInboundPeer(peer=peer(5, Direction.INBOUND)))
    waiter.join(PATIENCE_S)
    assert len(outcome[0]) == 3


def test_wait_for_peers_gives_up(p2p: Form) -> None:
    with pytest.raises(TimeoutError, match=r"2 of 3 peers within 0.3 s"):
        p2p.wait_for_peers(3, timeout_s=0.3)
    for wrong in (0, -1, True, "2", None):
        with pytest.raises(Misuse, match="1 or more"):
            p2p.wait_for_peers(wrong)
