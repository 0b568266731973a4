"""Clock and entropy as actors get them."""

from __future__ import annotations

from typing import Any

import pytest
from thespian.actors import Actor, ActorSystem

from actors.bases.environment import Environment, SeededEnvironment, SystemEnvironment, environment_of

from .conftest import Rig


class Asker(Actor):
    """Answers with the type of its environment."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if message == "environment?":
            self.send(sender, type(environment_of(self)).__name__)


def test_the_system_environment_is_the_real_world() -> None:
    environment: Environment = SystemEnvironment()
    assert environment.now() <= environment.now()
    assert environment.wall_now() > 1.7e9
    assert environment.rng("one").random() != environment.rng("one").random()
    assert environment.room_rng("book") is not environment.room_rng("pool")
    assert environment.common_rng() is environment.common_rng()
    assert len(environment.token_bytes(16)) == 16
    assert environment.token_bytes(16) != environment.token_bytes(16)


def test_a_seeded_environment_repeats_itself_by_name() -> None:
    one, same, other = SeededEnvironment(1), SeededEnvironment(1), SeededEnvironment(2)
    draws = [environment.rng("peer pool").random() for environment in (one, same, other)]
    assert draws[0] == draws[1] != draws[2]
    assert one.rng("peer pool").random() == draws[0]
    assert one.rng("peer book").random() != draws[0]
    assert SeededEnvironment("1").rng("peer pool").random() != draws[0]


def test_a_seeded_environment_gives_the_same_tokens_in_the_same_order() -> None:
    one, same = SeededEnvironment(7), SeededEnvironment(7)
    first = [one.token_bytes(8), one.token_bytes(8)]
    assert first == [same.token_bytes(8), same.token_bytes(8)]
    assert first[0] != first[1]


def test_seeds_mean_the_same_on_every_run_and_machine() -> None:
    assert SeededEnvironment(1).rng("peer pool").getrandbits(32) == 2357986527


def test_actors_see_the_environment_of_their_base(rigs: Any, drive: str) -> None:
    environment = SeededEnvironment(1)
    rig: Rig = rigs(drive, environment=environment)
    assert rig.ask(rig.create(Asker), "environment?") == "SeededEnvironment"
    assert rig.do(rig.create(), environment_of) is environment


def test_on_thespians_own_bases_actors_see_the_real_world() -> None:
    system = ActorSystem("simpleSystemBase", logDefs=False, transientUnique=True)
    try:
        assert system.ask(system.createActor(Asker), "environment?", 5) == "SystemEnvironment"
    finally:
        system.shutdown()


@pytest.mark.parametrize("outsider", [None, object(), Asker()])
def test_whoever_is_no_actor_sees_the_real_world(outsider: object) -> None:
    assert isinstance(environment_of(outsider), SystemEnvironment)
