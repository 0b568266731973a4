"""Looking names up without making anybody wait: threads, the descriptor, the table."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest

from actors.transport import resolver as module
from actors.transport.resolver import (
    MAX_ANSWER,
    MAX_THREADS,
    Lookup,
    TableResolver,
    ThreadResolver,
    look_up,
    resolver_of,
)

WAIT_S = 10.0
"""How long a test waits at most for a thread that has nothing to wait for."""


class Gate:
    """Look-ups that go on when the test says so."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.free = threading.Semaphore(0)
        self.busy = threading.Semaphore(0)

    def __call__(self, host: str) -> Sequence[str]:
        self.started.append(host)
        self.busy.release()
        assert self.free.acquire(timeout=WAIT_S)
        return ("1.2.3.4",)

    def wait_started(self, count: int) -> None:
        for _ in range(count):
            assert self.busy.acquire(timeout=WAIT_S)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    for _ in range(100):
        made.free.release()
    join()


def join() -> None:
    """Wait until no look-up is left: tests must leave no thread."""
    for thread in threading.enumerate():
        if thread.name == "ensemble-resolver":
            thread.join(WAIT_S)
            assert not thread.is_alive()


def collect(resolver: ThreadResolver, count: int) -> list[Lookup]:
    """Wait on the descriptor until so many answers have come."""
    answers: list[Lookup] = []
    while len(answers) < count:
        readable, _, _ = select.select([resolver.fileno()], [], [], WAIT_S)
        assert readable, f"only {answers}"
        answers += resolver.take()
    return answers


def is_readable(resolver: ThreadResolver) -> bool:
    return bool(select.select([resolver.fileno()], [], [], 0)[0])


def test_an_answer_makes_the_descriptor_readable_until_it_is_taken() -> None:
    resolver = ThreadResolver(lambda host: ["1.1.1.1", "::1"])
    assert not is_readable(resolver)
    assert resolver.take() == []
    resolver.ask("seed.example")
    assert collect(resolver, 1) == [Lookup("seed.example", ("1.1.1.1", "::1"))]
    assert not is_readable(resolver)
    resolver.close()


def test_asking_returns_before_the_answer_is_there(gate: Gate) -> None:
    resolver = ThreadResolver(gate)
    resolver.ask("seed.example")
    gate.wait_started(1)
    assert resolver.take() == []
    gate.free.release()
    assert collect(resolver, 1)[0].addresses == ("1.2.3.4",)
    resolver.close()


def test_never_more_threads_than_allowed_and_none_when_nothing_is_to_do(gate: Gate) -> None:
    resolver = ThreadResolver(gate)
    hosts = [f"host-{number}.example" for number in range(MAX_THREADS + 3)]
    for host in hosts:
        resolver.ask(host)
    gate.wait_started(MAX_THREADS)
    assert len([one for one in threading.enumerate() if one.name == "ensemble-resolver"]) == MAX_THREADS
    assert not gate.busy.acquire(blocking=False)
    for _ in hosts:
        gate.free.release()
    assert sorted(answer.host for answer in collect(resolver, len(hosts))) == hosts
    join()
    assert [one for one in threading.enumerate() if one.name == "ensemble-resolver"] == []
    resolver.close()


def test_a_host_under_way_is_not_asked_for_twice_and_can_be_asked_again_after_its_answer(gate: Gate) -> None:
    resolver = ThreadResolver(gate)
    for _ in range(3):
        resolver.ask("seed.example")
    gate.free.release()
    assert len(collect(resolver, 1)) == 1
    resolver.ask("seed.example")
    gate.free.release()
    assert len(collect(resolver, 1)) == 1
    assert gate.started == ["seed.example"] * 2
    resolver.close()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (OSError("broken"), "broken"),
        (UnicodeError("label too long"), "label too long"),
        (ValueError(), "ValueError"),
    ],
)
def test_a_failure_is_an_answer_with_its_reason(error: Exception, text: str) -> None:
    def fail(host: str) -> Sequence[str]:
        raise error

    resolver = ThreadResolver(fail)
    resolver.ask("seed.example")
    assert collect(resolver, 1) == [Lookup("seed.example", (), text)]
    resolver.close()


def test_no_address_is_a_failure_and_thousands_are_cut() -> None:
    resolver = ThreadResolver(lambda host: [] if host == "none.example" else ["1.1.1.1"] * 10_000)
    resolver.ask("none.example")
    assert collect(resolver, 1) == [Lookup("none.example", (), "it has no address")]
    resolver.ask("many.example")
    assert len(collect(resolver, 1)[0].addresses) == MAX_ANSWER
    resolver.close()


def test_closing_while_a_look_up_hangs_loses_its_answer_and_nothing_else(gate: Gate) -> None:
    resolver = ThreadResolver(gate)
    resolver.ask("seed.example")
    gate.wait_started(1)
    resolver.close()
    resolver.close()
    assert resolver.fileno() == -1
    gate.free.release()
    join()  # the thread ended without an error: pytest would report it
    resolver.ask("other.example")
    assert (resolver.take(), gate.started) == ([], ["seed.example"])


def test_the_machines_resolver_gives_both_families_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(module.socket, "getaddrinfo", lambda *arguments, **options: answer)
    assert look_up("seed.example") == ("::1", "127.0.0.1")


def test_localhost_is_found_by_the_real_resolver() -> None:
    resolver = ThreadResolver()
    resolver.ask("localhost")
    (answer,) = collect(resolver, 1)
    assert set(answer.addresses) & {"127.0.0.1", "::1"}
    resolver.close()
    join()


def test_a_table_answers_at_once() -> None:
    table = {"a.example": ["1.1.1.1"]}
    resolver = TableResolver(table)
    assert resolver.fileno() == -1
    resolver.ask("a.example")
    resolver.ask("b.example")
    assert resolver.take() == [Lookup("a.example", ("1.1.1.1",)), Lookup("b.example", (), "no such name")]
    table["a.example"] = ["2.2.2.2"]
    resolver.ask("a.example")
    assert resolver.take() == [Lookup("a.example", ("2.2.2.2",))]
    resolver.ask("a.example")
    resolver.close()
    assert resolver.take() == []


def test_an_actor_of_another_network_never_asks_the_machines_dns() -> None:
    given = TableResolver({})
    assert resolver_of(SimpleNamespace(_myRef=SimpleNamespace(resolver=given))) is given
    nameless = resolver_of(SimpleNamespace(_myRef=SimpleNamespace(network=object())))
    nameless.ask("localhost")
    assert nameless.take() == [Lookup("localhost", (), "no such name")]
    names = SimpleNamespace(names={"a.example": ["1.1.1.1"]})
    named = resolver_of(SimpleNamespace(_myRef=SimpleNamespace(network=names)))
    named.ask("a.example")
    assert named.take()[0].addresses == ("1.1.1.1",)
    real = resolver_of(object())
    assert isinstance(real, ThreadResolver)
    real.close()
