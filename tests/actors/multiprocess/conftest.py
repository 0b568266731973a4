"""A multi-process system for a test, of which nothing may be left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from actors.bases.process_system import ProcessSystem
from tests.actors.bases.conftest import open_descriptors
from tests.actors.multiprocess.kernel import PATIENCE_S, abstract_names, alive, tree, wait_until
from tests.actors.multiprocess.parts import Answer, Ask, Root


class Rig:
    """A running system, its root actor, and what the actors said."""

    def __init__(self, root: type[Any] = Root, **options: Any) -> None:
        self.inbox: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
        self.system = ProcessSystem(root, lambda message, sender: self.inbox.put((message, sender)), **options)
        self.seen: set[int] = set()

    def tell(self, deed: str, value: Any = None, to: Any = None) -> None:
        """Have an actor do something; the root, if none is named."""
        if to is None:
            self.system.tell_root(Ask(deed, value))
        else:
            self.system.tell(to, Ask(deed, value))

    def ask(self, deed: str, value: Any = None, to: Any = None) -> Any:
        """And wait for what comes of it."""
        self.tell(deed, value, to)
        answer = self.next()
        assert isinstance(answer, Answer), answer
        assert answer.deed == deed
        return answer.value

    def next(self) -> Any:
        """What comes next from the actors."""
        try:
            return self.inbox.get(timeout=PATIENCE_S)[0]
        except Empty:
            raise AssertionError("the actors say nothing") from None

    def pids(self) -> list[int]:
        """All processes of the system, now; remembered."""
        found = tree(self.system.warden_pid)
        self.seen.update(found)
        return found

    def is_gone(self) -> bool:
        """Whether every process that was ever seen has ended."""
        return not alive(self.seen) and not tree(self.system.warden_pid)


@pytest.fixture
def rig() -> Iterator[Callable[..., Rig]]:
    """Makes systems; each is closed, and must leave no process, no descriptor and no name behind."""
    before = open_descriptors()
    made: list[Rig] = []

    def make(root: type[Any] = Root, **options: Any) -> Rig:
        made.append(Rig(root, **options))
        return made[-1]

    yield make
    for one in made:
        one.pids()
        assert one.system.close()
        wait_until(one.is_gone, "processes are left")
        assert abstract_names(one.system.name) == []
    assert open_descriptors() <= before
