"""The actor that looks names up: answers, time-outs, what the operator hears. In virtual time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from thespian.actors import ActorExitRequest

from actors.seed_resolver import TIMEOUT_S, SeedResolver
from actors.transport.resolver import Lookup
from core.house_messages import (
    HostsResolved,
    ResolvedHost,
    ResolveHosts,
)
from tests.actors.world import Complaints, Probe, World, WorldCell


class SlowDns:
    """A resolver that answers when the test says so, through a descriptor as the real one does."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: list[Lookup] = []
        self.bell, self.ring = socket.socketpair()
        self.bell.setblocking(False)
        self.closed = 0

    def fileno(self) -> int:
        return self.bell.fileno()

    def ask(self, host: str) -> None:
        self.asked.append(host)

    def take(self) -> list[Lookup]:
        answers, self.answers = self.answers, []
        if answers:
            self.bell.recv(100)
        return answers

    def close(self) -> None:
        self.closed += 1

    def answer(self, host: str, *addresses: str, error: str = "") -> None:
        self.answers.append(Lookup(host, addresses, error))
        self.ring.send(b"!")


@pytest.fixture
def dns(world: World) -> Iterator[SlowDns]:
    made = SlowDns()

    class Cell(WorldCell):
        __slots__ = ()
        resolver = made

    world.world_base._cell_class = Cell
    yield made
    world.close()
    made.bell.close()
    made.ring.close()


@pytest.fixture
def pool(world: World, dns: SlowDns) -> Probe:
    return world.probe()


def ask(world: World, pool: Probe, *hosts: str, resolver: Any = None) -> Any:
    resolver = resolver or world.create(SeedResolver)
    pool.tell(resolver, ResolveHosts(hosts))
    world.run(0.01)
    return resolver


def answers(pool: Probe) -> list[ResolvedHost]:
    return [host for message in pool.of(HostsResolved) for host in message.hosts]


def test_answers_go_to_who_asked_as_they_come(world: World, pool: Probe, dns: SlowDns) -> None:
    ask(world, pool, "a.example", "b.example")
    assert dns.asked == ["a.example", "b.example"]
    world.run(1)
    assert answers(pool) == [], "the actor does not wait, and neither does anybody else"
    dns.answer("b.example", "1.1.1.1", "::1")
    world.run(0.01)
    assert answers(pool) == [ResolvedHost("b.example", ("1.1.1.1", "::1"))]
    dns.answer("a.example", "2.2.2.2")
    world.run(0.01)
    assert answers(pool)[1:] == [ResolvedHost("a.example", ("2.2.2.2",))]


def test_what_takes_too_long_is_a_failure_and_a_late_answer_is_ignored(
    world: World, pool: Probe, dns: SlowDns, complaints: Complaints
) -> None:
    resolver = ask(world, pool, "a.example")
    world.run(TIMEOUT_S - 0.1)
    assert answers(pool) == []
    world.run(0.2)
    assert answers(pool) == [ResolvedHost("a.example", ())]
    complaints.expect(f"a.example cannot be resolved: no answer within {TIMEOUT_S:g} s")
    dns.answer("a.example", "6.6.6.6")
    world.run(1)
    assert len(answers(pool)) == 1
    ask(world, pool, "a.example", resolver=resolver)
    dns.answer("a.example", "1.1.1.1")
    world.run(1)
    assert answers(pool)[1:] == [ResolvedHost("a.example", ("1.1.1.1",))]
    complaints.expect("a.example is found again: 1.1.1.1")


def test_a_failure_is_reported_once_for_each_reason(
    world: World, pool: Probe, dns: SlowDns, complaints: Complaints
) -> None:
    resolver = None
    for error in ("no such name", "no such name", "no such name", "the server failed", "the server failed"):
        resolver = ask(world, pool, "a.example", resolver=resolver)
        dns.answer("a.example", error=error)
        world.run(30)
    assert complaints.texts() == [
        "seed_peers: a.example cannot be resolved: no such name",
        "seed_peers: a.example cannot be resolved: the server failed",
    ]
    complaints.expect("a.example cannot be resolved")
    assert answers(pool) == [ResolvedHost("a.example", ())] * 5


def test_answers_that_nobody_asked_for_are_not_passed_on(world: World, pool: Probe, dns: SlowDns) -> None:
    ask(world, pool, "a.example")
    dns.answer("evil.example", "6.6.6.6")
    world.run(1)
    assert answers(pool) == []
    dns.answer("a.example", "1.1.1.1")
    world.run(1)


def test_the_resolver_is_closed_with_its_actor(world: World, pool: Probe, dns: SlowDns) -> None:
    resolver = ask(world, pool, "a.example")
    pool.tell(resolver, ActorExitRequest())
    world.run(1)
    assert dns.closed == 1
