"""Upgrades like earlier ones: what is said of them is what websockets would say."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterator, Mapping

import pytest
from websockets.client import ClientProtocol
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.uri import WebSocketURI

from actors.transport import listener, opener, precedents
from actors.transport.precedents import (
    MAX_FORMS,
    MAX_PLAIN_HEAD_BYTES,
    Upgrade,
    known_answer,
    known_request,
    remember_answer,
    remember_request,
    upgrade_request,
)
from actors.transport.upgrade import headers_of
from actors.transport.websocket import Opened, UpgradeRequested
from core.ids import Endpoint
from tests.actors.transport.fakes import REQUEST, SWITCHING, answer_to
from tests.actors.transport.helpers import TARGET, new_listener, new_opener

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
OTHER_KEY = base64.b64encode(bytes(range(16))).decode()
CAPITALS = REQUEST.replace(b"Host:", b"HOST:")
FROM_NODE_JS = (
    b"GET /rpc/?port=1 HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY.encode() + b"\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nHost: 127.0.0.1:5001\r\n\r\n"
)


@pytest.fixture(autouse=True)
def _no_precedents() -> Iterator[None]:
    precedents.forget_all()
    yield
    precedents.forget_all()


def judged_request(head: bytes) -> Upgrade | None:
    """What websockets makes of a request; None: nothing good."""
    server = ServerProtocol(max_size=1000)
    server.receive_data(head)
    received = server.events_received()
    if not received or server.handshake_exc is not None:
        return None
    request = received[0]
    assert isinstance(request, Request)
    response = server.accept(request)
    del response.headers["Date"]
    return (
        Upgrade(request.path, headers_of(request.headers), response.serialize()) if not server.handshake_exc else None
    )


def judged_answer(head: bytes, key: str) -> Mapping[str, str] | None:
    """What websockets makes of an answer to ``key``; None: nothing good."""
    client = ClientProtocol(WebSocketURI(False, "10.0.0.1", 5001, "/", ""))
    client.key = key
    client.receive_data(head)
    received = client.events_received()
    if client.handshake_exc is not None or not received:
        return None
    assert isinstance(received[0], Response)
    return headers_of(received[0].headers)


def learn(head: bytes) -> None:
    found = judged_request(head)
    assert found is not None
    remember_request(head, found)


# ---- requests


@pytest.mark.parametrize("first", [REQUEST, FROM_NODE_JS])
def test_a_request_of_a_known_form_is_found_good_with_its_own_values(first: bytes) -> None:
    second = first.replace(KEY.encode(), OTHER_KEY.encode()).replace(b"/rpc/?", b"/rpc/?x=1&")
    second = second.replace(b"127.0.0.1", b"203.0.113.7")
    assert known_request(first) is None
    learn(first)
    for head in (first, second):
        known = known_request(head)
        assert known == judged_request(head)
        assert known is not None
    assert known_request(second) != known_request(first)


CHANGES: list[tuple[bytes, bytes]] = [
    (b"GET", b"POST"),
    (b"HTTP/1.1", b"HTTP/1.0"),
    (b"/rpc/", b"rpc/"),
    (b"/rpc/", b"/r pc/"),
    (b"/rpc/", b"/rpc/\xff"),
    (b"websocket", b"h2c"),
    (b"websocket", b"WebSocket"),
    (b": Upgrade", b": close"),
    (b"Version: 13", b"Version: 8"),
    (KEY.encode(), b"c2hvcnQ="),
    (KEY.encode(), b"!" * 22 + b"=="),
    (KEY.encode(), b"A" * 24),
    (KEY.encode(), OTHER_KEY.encode() + b" "),
    (b"Host: ", b"Host: a\x7fb"),
    (b"Host: ", b"Host: a b"),
    (b"Host: ", b"host: "),
    (b"Host: ", b"Host:"),
    (b"Host: ", b"Host: other\r\nHost: "),
    (b"Host: ", b"Host: other\r\nhost: "),
    (b"Host: ", b"X: y\r\nHost: "),
    (b"Host: ", b"Content-Length: 5\r\nHost: "),
    (b"Host: ", b"Transfer-Encoding: chunked\r\nHost: "),
    (b"Host: ", b"Sec-WebSocket-Extensions: permessage-deflate\r\nHost: "),
    (b"Host: ", b"Sec-WebSocket-Protocol: chat\r\nHost: "),
    (b"Sec-WebSocket-Key: ", b"sec-websocket-key: "),
    (b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: " + OTHER_KEY.encode() + b"\r\nSec-WebSocket-Key: "),
    (b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: " + OTHER_KEY.encode() + b"\r\nsec-websocket-key: "),
    (b"\r\nHost", b"\nHost"),
    (b"\r\nHost", b"\rHost"),
    (b"\r\nHost", b"\r\n Host"),
]


@pytest.mark.parametrize("first", [REQUEST, FROM_NODE_JS])
@pytest.mark.parametrize("target", [b"/rpc/?port=1", b"/", b"x", b"", b"/a b", b"/\x7f", b"/\xe4", b"//[]{}%zz'\""])
def test_whatever_was_learned_a_request_is_judged_as_by_websockets_or_not_at_all(first: bytes, target: bytes) -> None:
    nothing = (b"", b"")
    later = re.sub(rb"/rpc/\S+", lambda _: target, first).replace(KEY.encode(), OTHER_KEY.encode())
    verdicts = [(head, judged_request(head)) for change in [nothing, *CHANGES] if (head := changed(later, change))]
    count = 0
    for change in [nothing, *CHANGES]:
        precedents.forget_all()
        earlier = changed(first, change)
        if (found := judged_request(earlier)) is not None:
            remember_request(earlier, found)
        for head, verdict in verdicts:
            known = known_request(head)
            assert known is None or known == verdict
            count += known is not None
    assert bool(count) is (judged_request(later) is not None and target.startswith(b"/") and b"\x7f" not in target)


def changed(head: bytes, change: tuple[bytes, bytes]) -> bytes:
    """As if it had been written with another key, where the change is of the key."""
    old, new = change
    return head.replace(old, new) if old in head else head.replace(OTHER_KEY.encode(), new) if old else head


def test_a_long_head_is_no_precedent() -> None:
    longest = REQUEST.replace(b"/rpc/", b"/rpc/" + b"x" * (MAX_PLAIN_HEAD_BYTES - len(REQUEST)))
    learn(longest)
    assert known_request(longest) is not None
    longer = longest.replace(b"/rpc/", b"/rpc/y")
    learn(longer)
    assert known_request(longer) is None


def test_only_so_many_forms_are_remembered() -> None:
    for number in range(MAX_FORMS):
        learn(REQUEST.replace(b"Host:", b"X: %d\r\nHost:" % number))
    assert len(precedents._requests) == MAX_FORMS
    learn(REQUEST)
    assert len(precedents._requests) == 1
    for number in range(MAX_FORMS + 1):
        remember_answer(SWITCHING.replace(b"Upgrade:", b"X: %d\r\nUpgrade:" % number), KEY, headers_in(SWITCHING))
    assert len(precedents._answers) == 1


def test_a_listener_has_a_form_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []
    for head in (REQUEST, REQUEST, REQUEST.replace(KEY.encode(), OTHER_KEY.encode())):
        channel, _, remote = new_listener()
        remote.send(head)
        (event,) = channel.on_readable()
        assert isinstance(event, UpgradeRequested)
        channel.accept([("Ensemble-Native", "1")])
        answers.append(bytes(remote.inbox))
        assert dict(headers_in(answers[-1]))["ensemble-native"] == "1"
        monkeypatch.setattr(listener, "ServerProtocol", lambda **_: pytest.fail("judged again"))
    assert answers[0] == answers[1] != answers[2]


def test_a_known_form_for_another_path_is_refused() -> None:
    learn(REQUEST)
    channel, _, remote = new_listener()
    remote.send(REQUEST.replace(b"/rpc/", b"/"))
    channel.on_readable()
    assert bytes(remote.inbox).startswith(b"HTTP/1.1 400 ")


def test_frames_behind_a_head_of_a_known_form_are_kept() -> None:
    learn(REQUEST)
    channel, _, remote = new_listener()
    remote.send(REQUEST + b"\x81\x81\0\0\0\0x")
    channel.on_readable()
    assert [type(event).__name__ for event in channel.accept()] == ["MessageReceived"]


# ---- answers


def headers_in(head: bytes) -> Mapping[str, str]:
    lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:-2]]
    return {name.lower(): value for name, _, value in lines}


def answer(key: str) -> bytes:
    return answer_to(REQUEST.replace(KEY.encode(), key.encode()))


@pytest.mark.parametrize("extra", [(), (("Ensemble-Native", "1;x%y"),), (("A", "1"), ("B", "%b"))])
@pytest.mark.parametrize("endpoint", [Endpoint("10.0.0.1", 5001), Endpoint("::1", 80), Endpoint("10.0.0.1", 80)])
def test_requests_are_those_of_websockets(endpoint: Endpoint, extra: tuple[tuple[str, str], ...]) -> None:
    path, _, query = TARGET.partition("?")
    client = ClientProtocol(WebSocketURI(False, endpoint.ip, endpoint.port, path, query))
    request = client.connect()
    for name, value in extra:
        request.headers[name] = value
    assert upgrade_request(endpoint, TARGET, extra, client.key) == request.serialize()


def test_an_answer_of_a_known_form_is_found_good_if_it_proves_that_the_key_was_read() -> None:
    first, second = answer(KEY), answer(OTHER_KEY)
    assert known_answer(first, KEY) is None
    remember_answer(first, KEY, headers_in(first))
    assert known_answer(first, KEY) == judged_answer(first, KEY) is not None
    assert known_answer(second, OTHER_KEY) == judged_answer(second, OTHER_KEY) is not None
    assert known_answer(second, KEY) is None
    assert known_answer(first, OTHER_KEY) is None


ANSWER_CHANGES: list[tuple[bytes, bytes]] = [
    (b"HTTP/1.1", b"HTTP/1.0"),
    (b"101", b"200"),
    (b"websocket", b"h2c"),
    (b": Upgrade", b": close"),
    (b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: x"),
    (b"Sec-WebSocket-Accept: ", b"sec-websocket-accept: "),
    (b"Upgrade: ", b"Sec-WebSocket-Accept: x\r\nUpgrade: "),
    (b"Upgrade: ", b"X: y\r\nUpgrade: "),
    (b"Upgrade: ", b"Sec-WebSocket-Protocol: chat\r\nUpgrade: "),
    (b"Upgrade: ", b"Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: "),
    (b"\r\nUpgrade", b"\nUpgrade"),
]


@pytest.mark.parametrize("elsewhere", ["", "the proof", "another proof"])
def test_whatever_was_learned_an_answer_is_judged_as_by_websockets_or_not_at_all(elsewhere: str) -> None:
    count = 0
    for learned, asked in itertools.product([(b"", b""), *ANSWER_CHANGES], repeat=2):
        precedents.forget_all()
        earlier, good, bad = answer(KEY), answer(OTHER_KEY), answer(KEY)
        if elsewhere:  # in the wrong place too, or there only
            first, second = proof_in(earlier), proof_in(good)
            earlier = earlier.replace(b"\r\n", b"\r\nX: %b\r\n" % first, 1)
            good, bad = (head.replace(b"\r\n", b"\r\nX: %b\r\n" % second, 1) for head in (good, bad))
        if elsewhere == "another proof":
            bad = bad.replace(b"Sec-WebSocket-Accept: " + second, b"Sec-WebSocket-Accept: " + first)
        earlier = earlier.replace(*learned) if learned[0] else earlier
        headers = judged_answer(earlier, KEY)
        if headers is not None:
            remember_answer(earlier, KEY, headers)
        for head in (good, bad):
            head = head.replace(*asked) if asked[0] else head
            known = known_answer(head, OTHER_KEY)
            assert known is None or known == judged_answer(head, OTHER_KEY)
            count += known is not None
    assert bool(count) is not bool(elsewhere)


def proof_in(head: bytes) -> bytes:
    return headers_in(head)["sec-websocket-accept"].encode()


def test_an_opener_has_a_form_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        channel, _, remote = new_opener()
        channel.on_writable()
        remote.send(answer_to(bytes(remote.inbox)))
        (event,) = channel.on_readable()
        assert isinstance(event, Opened)
        assert event.headers["upgrade"] == "websocket"
        assert channel.is_open
        monkeypatch.setattr(opener, "ClientProtocol", lambda *_, **__: pytest.fail("judged again"))
