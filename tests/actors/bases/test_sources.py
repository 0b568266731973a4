"""Actor code loaded at run time: only with a source authority, and gone when unloaded."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from thespian.actors import (
    InvalidActorSourceHash,
    LoadedSource,
    Thespian_StatusReq,
    UnloadedSource,
    ValidatedSource,
    ValidateSource,
)

from .conftest import Puppet, Rig

# Thespian's loader of zipped sources is of the kind that Python calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore::ImportWarning", "ignore::DeprecationWarning")

PARROT = """
from thespian.actors import Actor

class Parrot(Actor):
    def receiveMessage(self, message, sender):
        if isinstance(message, str):
            self.send(sender, message + message)
"""


def archive(**modules: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, source in modules.items():
            file.writestr(f"{name}.py", source)
    return buffer.getvalue()


def accept(actor: Puppet, message: Any, sender: Any) -> None:
    if isinstance(message, ValidateSource):
        actor.send(sender, ValidatedSource(message.sourceHash, message.sourceData, "checked"))


def reject(actor: Puppet, message: Any, sender: Any) -> None:
    if isinstance(message, ValidateSource):
        actor.send(sender, ValidatedSource(message.sourceHash, None))


def answer_nonsense(actor: Puppet, message: Any, sender: Any) -> None:
    if isinstance(message, ValidateSource):
        actor.send(sender, ValidatedSource(message.sourceHash, b"no archive"))


def authority(rig: Rig, reaction: Any) -> Any:
    address = rig.create()
    rig.react(address, reaction)
    rig.do(address, lambda actor: actor.registerSourceAuthority())
    return address


def settled(rig: Rig, authority: Any, count: int = 1) -> None:
    """Wait until the authority has been asked and the system has heard its answer."""
    rig.wait_until(lambda: len(rig.seen(authority, ValidateSource)) >= count)
    root = rig.ask(authority, Thespian_StatusReq()).adminAddress
    assert rig.ask(root, Thespian_StatusReq()).sourceAuthority == authority


def test_an_actor_is_created_from_a_source_that_the_authority_accepts(rig: Rig, tmp_path: Path) -> None:
    judge, listener = authority(rig, accept), rig.create()
    rig.do(listener, lambda actor: actor.notifyOnSourceAvailability())
    path = tmp_path / "parrot.zip"
    path.write_bytes(archive(parrot=PARROT))
    source = rig.system.loadActorSource(str(path))
    settled(rig, judge)
    assert rig.ask(rig.create("parrot.Parrot", sourceHash=source), "po") == "popo"
    rig.wait_until(lambda: rig.seen(listener, LoadedSource) == [LoadedSource(source, "checked")])
    rig.system.unloadActorSource(source)
    rig.wait_until(lambda: rig.seen(listener, UnloadedSource) == [UnloadedSource(source, "checked")])
    assert not [name for name in sys.modules if source in name]
    with pytest.raises(InvalidActorSourceHash):
        rig.create("parrot.Parrot", sourceHash=source)


def test_a_listener_hears_of_what_is_loaded_already_and_can_stop_listening(rig: Rig) -> None:
    judge, listener = authority(rig, accept), rig.create()
    one = rig.do(judge, lambda actor: actor.loadActorSource(io.BytesIO(archive(one=PARROT))))
    settled(rig, judge)
    rig.do(listener, lambda actor: actor.notifyOnSourceAvailability())
    rig.wait_until(lambda: [m.sourceHash for m in rig.seen(listener, LoadedSource)] == [one])
    rig.do(listener, lambda actor: actor.notifyOnSourceAvailability(False))
    rig.do(judge, lambda actor: actor.unloadActorSource(one))
    assert rig.seen(listener, UnloadedSource) == []


@pytest.mark.parametrize("reaction", [reject, answer_nonsense])
def test_what_the_authority_does_not_accept_is_not_loaded(rig: Rig, reaction: Any) -> None:
    judge = authority(rig, reaction)
    source = rig.system.loadActorSource(io.BytesIO(archive(parrot=PARROT)))
    settled(rig, judge)
    with pytest.raises(InvalidActorSourceHash):
        rig.create("parrot.Parrot", sourceHash=source)


def test_nothing_is_loaded_without_an_authority(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    source = rig.system.loadActorSource(io.BytesIO(archive(parrot=PARROT)))
    assert "no source authority" in caplog.text
    with pytest.raises(InvalidActorSourceHash):
        rig.create("parrot.Parrot", sourceHash=source)


def test_only_the_authority_can_validate_and_only_what_was_asked(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    judge, impostor = authority(rig, accept), rig.create()
    data = archive(parrot=PARROT)
    source = rig.base.sources.hash_of(data)
    root = rig.ask(judge, Thespian_StatusReq()).adminAddress
    for actor in (impostor, judge):
        rig.do(actor, lambda me: me.send(root, ValidatedSource(source, data)))
    assert rig.ask(root, Thespian_StatusReq()).loadedSources == []
    assert "not the source authority" in caplog.text
    assert "nobody asked" in caplog.text


def test_an_archive_that_does_not_exist_is_the_callers_error(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rig.system.loadActorSource(str(tmp_path / "missing.zip"))
