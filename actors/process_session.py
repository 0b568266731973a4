"""A session whose actors are processes: the same as :class:`actors.session.Session` for a program."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from collections.abc import Callable, Hashable
from typing import Any, Literal

from actors.bases.process_system import CLOSE_LIMIT_S, Deliver, ProcessSystem
from actors.hooks import RULE_OPTIONS
from actors.host_place import HostPlace
from core.config import NodeConfig
from core.errors import StartFailed
from core.messages import ActorMessage


class ProcessSession:
    """One multi-process system, made for one run of one node. Raises StartFailed if the node cannot be sent there."""

    def __init__(
        self,
        drive: Literal["thread", "asyncio"],
        node_class: type[Any],
        on_message: Callable[[Any, Any], None],
        config: NodeConfig,
        place: HostPlace | None = None,
    ) -> None:
        check_portable(config, node_class)
        deliver: Deliver | None = None
        if drive == "asyncio":
            loop = asyncio.get_running_loop()

            def deliver(call: Callable[[], None]) -> None:
                loop.call_soon_threadsafe(call)

            def after_turn(call: Callable[[], None]) -> None:
                loop.call_soon(call)

            self.after_turn = after_turn
        level = logging.getLogger("ensemble").getEffectiveLevel()
        options = {} if place is None else place.system_options()
        self._system = system = ProcessSystem(node_class, on_message, deliver=deliver, log_level=level, **options)
        self.tell: Callable[[Any, ActorMessage], None] = system.tell
        self.tell_node: Callable[[ActorMessage], None] = system.tell_root
        self.soon: Callable[[Callable[[], None]], None] = deliver or system.soon

    def hurry(self, call: Callable[[], None], again: bool) -> bool:
        """Never: whatever is sent goes through another thread."""
        return False

    def hand(self, address: Any, message: ActorMessage, again: bool) -> bool:
        """Never either."""
        return False

    def expect(self, remote: Hashable) -> None:
        """Nobody looks: the waiting is Thespian's."""

    @property
    def warden_pid(self) -> int:
        """The first of the system's processes; all others are its descendants."""
        return self._system.warden_pid

    def close(self) -> None:
        """End every process."""
        self._system.close()

    def close_within(self, timeout_s: float) -> bool:
        """The same; False if it takes longer and goes on in the background."""
        return self._system.close(timeout_s)

    async def aclose(self) -> None:
        """The same without holding up the loop."""
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            self._system.close(CLOSE_LIMIT_S)
            loop.call_soon_threadsafe(closed.set)

        closer = threading.Thread(target=close, name="ensemble-closer", daemon=True)
        closer.start()
        await closed.wait()
        closer.join()


def check_portable(config: NodeConfig, node_class: type[Any]) -> None:
    """Raise StartFailed, saying what it is, if something cannot be found again in another process."""
    if node_class.__module__ == "__main__" or "<locals>" in node_class.__qualname__:
        raise StartFailed(f"node_class: {node_class.__qualname__} must be in a module that other processes can import")
    for option in RULE_OPTIONS:
        rule = getattr(config, option, None)
        if callable(rule) and getattr(rule, "__module__", "") == "__main__":
            raise StartFailed(
                f"{option}: a rule of __main__ cannot be imported by other processes: move it to a module"
            )
        _check_pickle(option, rule)
    _check_pickle("the configuration", config)


def _check_pickle(what: str, value: Any) -> None:
    try:
        pickle.dumps(value)
    except Exception as error:
        raise StartFailed(
            f"{what} cannot be sent to another process ({error}): give rules as functions of a module, or by name "
            '("module:function")'
        ) from error
