"""The base as a whole: construction, logging, shutdown."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from thespian.actors import (
    Actor,
    ActorExitRequest,
    ActorSystem,
    ActorSystemFailure,
)

from actors.bases.inproc import InProcessBase

from .conftest import WAIT_S, Rig, make_rig


class Echo(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:
        if not isinstance(message, ActorExitRequest):
            self.send(sender, message)


def test_shutdown_tells_every_actor_and_can_be_repeated(drive: str) -> None:
    rig = make_rig(drive)
    farewells: list[str] = []
    parent = rig.create()
    child = rig.child_of(parent)
    for address, name in ((parent, "parent"), (child, "child")):
        rig.react(
            address,
            lambda actor, message, _, name=name: (
                farewells.append(name) if isinstance(message, ActorExitRequest) else None
            ),
        )
    base = rig.base
    rig.stop()
    base.shutdown()
    assert farewells == ["parent", "child"]
    with pytest.raises(ActorSystemFailure):
        base.newPrimaryActor(Echo, None, None, None)
    with pytest.raises(ActorSystemFailure):
        base.open_endpoint()
    base.tell(parent, "to nobody")
    assert base.listen(WAIT_S) is None


def test_shutdown_releases_whoever_listens(rig: Rig) -> None:
    heard: list[Any] = []
    with rig.system.private() as context:
        endpoint = context._systemBase
        listener = threading.Thread(target=lambda: heard.append(endpoint.listen(None)))
        listener.start()
        rig.ask(rig.create(Echo), 1)
        rig.base.shutdown()
        listener.join(WAIT_S)
    assert heard == [None]


def test_an_actor_can_shut_the_system_down(rig: Rig) -> None:
    rig.tell(rig.create(), lambda actor, sender: actor.actorSystemShutdown())
    if rig.base.drive == "caller":
        rig.base.run_until(lambda: rig.base.closed, WAIT_S)
    rig.base.shutdown()
    assert rig.base.closed


def test_shutdown_from_a_handler_ends_the_system_after_it(rig: Rig) -> None:
    rig.tell(rig.create(), lambda actor, sender: rig.base.shutdown())
    rig.base.shutdown()
    assert rig.base.closed


def test_actors_that_do_not_go_are_dropped(
    rigs: Any, drive: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("actors.bases.host.FORCED_STOP_S", 0.01)
    rig = rigs(drive)
    monkeypatch.setattr(rig.base, "_ask_to_exit", lambda cell: None)
    rig.create(Echo)
    rig.base.shutdown()
    assert rig.base.closed
    assert "dropped" in caplog.text


def test_thespian_can_build_it_by_class_with_a_system(capsys: pytest.CaptureFixture[str]) -> None:
    class Stub:
        capabilities = {"Mine": 1}  # noqa: RUF012

    base = InProcessBase(Stub(), logDefs=False)
    try:
        assert Stub.capabilities["Thespian ActorSystem Name"] == "inProcess"
        assert base.capabilities["Mine"] == 1
    finally:
        base.shutdown()


def test_an_unknown_drive_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of thread, caller, asyncio"):
        InProcessBase(logDefs=False, drive="wheels")


def test_log_definitions_are_applied_and_actors_log_their_address(rig: Rig) -> None:
    records: list[logging.LogRecord] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    definitions = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"collect": {"()": Collect}},
        "loggers": {"tests.of.logging": {"handlers": ["collect"], "level": "INFO", "propagate": False}},
    }
    other = ActorSystem(systemBase=InProcessBase(logDefs=definitions), transientUnique=True)
    other.shutdown()
    actor = rig.create()
    rig.do(actor, lambda me: me.logger("tests.of.logging").info("from the actor"))
    assert [(record.getMessage(), record.actorAddress == actor) for record in records] == [("from the actor", True)]
