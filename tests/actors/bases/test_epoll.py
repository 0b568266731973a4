"""Our selector says what the standard library's says."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Iterator
from selectors import EVENT_READ, EVENT_WRITE

import pytest

epoll = pytest.importorskip("actors.bases.epoll", exc_type=AttributeError)

BOTH = EVENT_READ | EVENT_WRITE


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    found = [socket.socketpair() for _ in range(3)]
    for pair in found:
        for end in pair:
            end.setblocking(False)
    yield found
    for pair in found:
        for end in pair:
            end.close()


@pytest.fixture
def ours() -> Iterator[selectors.BaseSelector]:
    selector = epoll.EpollSelector()
    yield selector
    selector.close()


def found(selector: selectors.BaseSelector, timeout_s: float | None = 0) -> dict[int, tuple[int, object]]:
    return {key.fd: (mask, key.data) for key, mask in selector.select(timeout_s)}


@pytest.mark.parametrize("interest", [EVENT_READ, EVENT_WRITE, BOTH])
@pytest.mark.parametrize("deed", ["nothing", "data", "half closed", "closed", "two have data"])
def test_it_agrees_with_the_standard_library(
    ours: selectors.BaseSelector, pairs: list[tuple[socket.socket, socket.socket]], interest: int, deed: str
) -> None:
    theirs = selectors.EpollSelector()
    try:
        for number, (mine, _) in enumerate(pairs):
            for selector in (ours, theirs):
                selector.register(mine, interest, f"pair {number}")
        if deed in ("data", "two have data"):
            pairs[0][1].send(b"x")
        if deed == "two have data":
            pairs[1][1].send(b"x")
        if deed == "half closed":
            pairs[0][1].shutdown(socket.SHUT_WR)
        if deed == "closed":
            pairs[0][1].close()
        assert found(ours) == found(theirs)
        assert found(ours, 0.001) == found(theirs, 0.001)
    finally:
        theirs.close()


def test_interest_changes_and_ends(
    ours: selectors.BaseSelector, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    mine = pairs[0][0]
    ours.register(mine, EVENT_READ, "a")
    assert not found(ours)
    ours.modify(mine, BOTH, "b")
    assert found(ours) == {mine.fileno(): (EVENT_WRITE, "b")}
    ours.modify(mine, BOTH, "c")
    assert found(ours) == {mine.fileno(): (EVENT_WRITE, "c")}
    assert ours.unregister(mine).data == "c"
    assert not found(ours)
    assert not ours.get_map()


def test_what_cannot_be_registered_is_refused(ours: selectors.BaseSelector, tmp_path: object) -> None:
    reader, writer = os.pipe()
    ours.register(reader, EVENT_READ)
    with pytest.raises(KeyError):
        ours.register(reader, EVENT_READ)
    with pytest.raises(ValueError, match="file descriptor"):
        ours.register(-1, EVENT_READ)
    with pytest.raises(KeyError):
        ours.unregister(writer)
    with pytest.raises(KeyError):
        ours.modify(writer, EVENT_READ)
    with open(os.path.join(str(tmp_path), "file"), "wb") as file, pytest.raises(OSError, match="permitted"):
        ours.register(file, EVENT_READ)
    os.close(reader)
    with pytest.raises(OSError, match="descriptor"):
        ours.modify(reader, BOTH)
    with pytest.raises(KeyError):
        ours.unregister(reader)
    os.close(writer)


def test_a_descriptor_that_was_closed_is_unregistered_all_the_same(ours: selectors.BaseSelector) -> None:
    reader, writer = os.pipe()
    ours.register(reader, EVENT_READ)
    os.close(reader)
    ours.unregister(reader)
    os.close(writer)


def test_its_descriptor_tells_that_something_is_ready(ours: selectors.BaseSelector) -> None:
    reader, writer = os.pipe()
    with selectors.DefaultSelector() as outer:
        outer.register(ours.fileno(), EVENT_READ)  # type: ignore[attr-defined]
        ours.register(reader, EVENT_READ)
        assert not outer.select(0)
        os.write(writer, b"x")
        assert outer.select(1)
        assert found(ours, None) == {reader: (EVENT_READ, None)}
    os.close(reader)
    os.close(writer)
