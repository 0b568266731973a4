"""HTTP upgrades like one that went well before.

websockets reads and judges every form of request and answer that comes along. What it found good is remembered without
what differs from one connection to the next, its *form*, and the same form with other values is good again:

* of a request: target and host, which websockets takes as they are, and the key, which must be 16 bytes in base64;
* of an answer: the proof that our key was read, which must be the right one.

Nearly all peers of a node have a handful of forms, and a judgement takes 100 us on either side, which this room saves:
a fifteenth of what a short connection costs. Whatever is spelled otherwise, comes in parts or is long, is read by
websockets each time. Safe for several threads: what one forgets, another finds out again.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.headers import build_host
from websockets.uri import WebSocketURI
from websockets.utils import accept_key

from core.ids import Endpoint

MAX_PLAIN_HEAD_BYTES = 2048
"""Longer heads are not looked at here. Real ones have 250 to 400 bytes, and websockets takes lines of 8 KiB."""

MAX_FORMS = 64
"""Of each sort; strangers choose their forms. When there are more, all are forgotten."""

HTTP_PORT = 80

HeaderLines = tuple[tuple[str, str], ...]
"""Headers as (name, value)."""

_REQUEST_LINE = re.compile(rb"GET (/[!-~]*) HTTP/1\.1")
_VALUES = re.compile(rb"\r\n(?:Host: ([!-~]+)|Sec-WebSocket-Key: ([A-Za-z0-9+/]{22}==))(?=\r\n)")
_HOST, _KEY, _PROOF = "host", "sec-websocket-key", "sec-websocket-accept"


class Upgrade(NamedTuple):
    """A good request: path and query as sent, headers by their names in lower case, and the whole answer to it."""

    target: str
    headers: Mapping[str, str]
    answer: bytes


class _Parts(NamedTuple):
    """A request, taken apart."""

    form: tuple[bytes | bool, ...]
    target: str
    host: str
    key: str


class _GoodRequest(NamedTuple):
    """What follows from a form: headers, and the answer before and after the proof that the key was read."""

    headers: Mapping[str, str]
    before: bytes
    after: bytes


_requests: dict[tuple[bytes | bool, ...], _GoodRequest] = {}
_answers: dict[tuple[bytes, bytes], Mapping[str, str]] = {}


def forget_all() -> None:
    """Let websockets judge everything anew."""
    _requests.clear()
    _answers.clear()


# ---- the listener's side


def known_request(head: bytes) -> Upgrade | None:
    """Return what websockets would find of this whole head, if it has found a request of the form good before."""
    parts = _parts_of(head)
    good = None if parts is None else _requests.get(parts.form)
    if parts is None or good is None:
        return None
    headers = {**good.headers, _HOST: parts.host, _KEY: parts.key}
    return Upgrade(parts.target, headers, b"%b%b%b" % (good.before, accept_key(parts.key).encode(), good.after))


def remember_request(head: bytes, found: Upgrade) -> None:
    """``found`` is what websockets has found of this whole head."""
    parts = _parts_of(head)
    if parts is None or (found.headers.get(_HOST), found.headers.get(_KEY)) != (parts.host, parts.key):
        return  # there are several of one name, spelled differently
    before, proof, after = found.answer.partition(accept_key(parts.key).encode())
    if proof and found.target == parts.target:
        _make_room(_requests)
        _requests[parts.form] = _GoodRequest(found.headers, before, after)


def _parts_of(head: bytes) -> _Parts | None:
    """Take a request apart; None if it is not one of host and key, in the usual spelling, once each."""
    if len(head) > MAX_PLAIN_HEAD_BYTES:
        return None
    pieces = _VALUES.split(head)
    if len(pieces) != 7:
        return None
    start, host, key, between, other_host, other_key, end = pieces
    line, _, start = start.partition(b"\r\n")
    host_first = host is not None
    host, key = host or other_host, key or other_key
    request_line = _REQUEST_LINE.fullmatch(line)
    if request_line is None or host is None or key is None:
        return None
    form = (start, host_first, between, end)
    return _Parts(form, request_line[1].decode("ascii"), host.decode("ascii"), key.decode("ascii"))


@functools.lru_cache(maxsize=MAX_FORMS)
def header_lines(headers: HeaderLines) -> bytes:
    """Return headers as they stand in a head, and its end. Raises websockets' InvalidHeaderValue."""
    return Headers(headers).serialize()


# ---- the opener's side


def upgrade_request(endpoint: Endpoint, target: str, headers: HeaderLines, key: str) -> bytes:
    """Return the request that websockets would write. ``target``: what HTTP can carry; ``headers``: further ones.

    Raises websockets' InvalidHeaderValue.
    """
    # The same but for the port that goes without saying, and websockets would parse the address.
    host = endpoint.peer_id if endpoint.port != HTTP_PORT else build_host(endpoint.ip, endpoint.port, secure=False)
    return _request_form(headers) % (target.encode("ascii"), host.encode("ascii"), key.encode("ascii"))


@functools.lru_cache(maxsize=MAX_FORMS)
def _request_form(headers: HeaderLines) -> bytes:
    """A request of websockets', with places for target, host and key."""
    client = ClientProtocol(WebSocketURI(False, "host.invalid", 1, "/target", ""))
    request = client.connect()
    for name, value in headers:
        request.headers[name] = value
    form = request.serialize().replace(b"%", b"%%")
    for value in ("/target", "host.invalid:1", client.key):
        form = form.replace(value.encode("ascii"), b"%b", 1)
    return form


def known_answer(head: bytes, key: str) -> Mapping[str, str] | None:
    """Return the headers of this whole head, if websockets has found an answer of the form good before, and it proves
    that ``key`` was read."""
    proof = accept_key(key)
    headers = _answers.get(_around(head, proof))
    return None if headers is None else {**headers, _PROOF: proof}


def remember_answer(head: bytes, key: str, headers: Mapping[str, str]) -> None:
    """websockets has found this whole head a good answer to ``key``, with these headers."""
    proof = accept_key(key)
    form = _around(head, proof)
    if form[1] and headers.get(_PROOF) == proof and len(head) <= MAX_PLAIN_HEAD_BYTES:
        _make_room(_answers)
        _answers[form] = headers


def _around(head: bytes, proof: str) -> tuple[bytes, bytes]:
    before, _, after = head.partition(b"\r\nSec-WebSocket-Accept: %b\r\n" % proof.encode("ascii"))
    return before, after


def _make_room(forms: dict[Any, Any]) -> None:
    if len(forms) >= MAX_FORMS:
        forms.clear()
