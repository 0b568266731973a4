"""What a channel has only at times is there only then."""

from __future__ import annotations

import pytest

from actors.transport.channel_aside import NOTHING
from actors.transport.websocket import Channel, Closed, MessageReceived
from tests.actors.transport.fakes import BINARY, CLOSE, CONT, PING, frame
from tests.actors.transport.helpers import open_channel


@pytest.mark.parametrize("side", ["listener", "opener"])
@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([(BINARY, b"x" * 300, True)], id="a frame in two parts"),
        pytest.param([(BINARY, b"one", False), (CONT, b"two", True)], id="a message in two frames"),
    ],
)
def test_parts_of_a_message_leave_nothing_behind(side: str, pieces: list[tuple[int, bytes, bool]]) -> None:
    channel, _, remote, mask = open_channel(side)
    wire = b"".join(frame(opcode, data, fin=fin, mask=mask) for opcode, data, fin in pieces)
    assert channel._aside is NOTHING
    remote.send(wire[:5])
    assert channel.on_readable() == []
    assert channel._aside is not NOTHING
    remote.send(wire[5:])
    whole = MessageReceived(b"".join(data for _, data, _ in pieces), True)
    assert channel.on_readable() == [whole]
    aside = channel._aside
    assert aside is NOTHING or aside.protocol is not None, "websockets' core stays once it was needed"
    assert NOTHING.is_empty


def test_an_end_is_kept() -> None:
    channel, _, remote, mask = open_channel("listener")
    remote.send(frame(PING, mask=mask))
    channel.on_readable()
    channel.close(1000)
    assert channel.closing
    assert channel._aside.close_code == 1000
    assert NOTHING.is_empty


@pytest.mark.parametrize("side", ["listener", "opener"])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("before", [[], [(CONT, b"end of a message")]])
def test_an_orderly_end_needs_no_core(
    side: str, is_first: bool, before: list[tuple[int, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, _, remote, mask = open_channel(side)
    if before:  # parts of a message, which the core reads, and then lets go of
        remote.send(frame(BINARY, b"", fin=False, mask=mask) + b"".join(frame(*one, mask=mask) for one in before))
        assert channel.on_readable() == [MessageReceived(b"end of a message", True)]
    monkeypatch.setattr(Channel, "_feed_core", lambda *_: pytest.fail("the core was asked"))
    if is_first:
        channel.close(4001)
    remote.send(frame(BINARY, b"late", mask=mask) + frame(CLOSE, b"\x0f\xa2bye", mask=mask) + b"junk")
    assert channel.on_readable() == [MessageReceived(b"late", True), Closed(4001 if is_first else 4002, True, "bye")]
    assert NOTHING.is_empty
