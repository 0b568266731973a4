"""A pytest plugin for running the tests that ship with Thespian on the in-process base.

Thespian's tests ask for a base by name. The plugin puts :class:`InProcessBase` in the place of the class behind the
name ``simpleSystemBase``, the one in-process base among them, and leaves out what does not concern such a base: each
group with its reason, printed at the end. The tests themselves are not touched.

Used by test_thespian_suite.py, in a process of its own: ``pytest -p tests.actors.bases.thespian_suite_plugin``.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import thespian.system.simpleSystemBase
import thespian.test

from actors.bases.inproc import InProcessBase

STAND_IN_FOR = "simpleSystemBase"

LEFT_OUT = {
    "test_HAConvention.py": "conventions of several systems",
    "test_manyActorSystems.py": "conventions of several systems",
    "test_multipleActorSystems.py": "conventions of several systems",
    "test_updateSystemCapabilities.py::TestFuncCapabilityUpdates": "conventions of several systems",
    "TestFuncMultipleSystemsLoadSource": "conventions of several systems",
    "test_preRegistration.py": "systems registered by network address",
    "test_director.py": "a command-line tool that starts multi-process systems",
    "TestFuncMultiProcActorSignals": "POSIX signals to an actor's own process, which here is the test's",
    f"private_context[{STAND_IN_FOR}-100]": "needs parallel actors: 100 threads ask sleeping handlers, 70 s in all",
    f"private_context_ask[{STAND_IN_FOR}-100]": "needs parallel actors: 100 threads ask sleeping handlers, 70 s in all",
}
THREADS_S = 60.0
"""Instead of the 5 s for which test_threadedExternal waits for each of its threads, one after the other. Of ten threads
whose handlers sleep 6.2 s in all, one after the other on this base, the first one asked may well be the last to end: it
is not waited for again, and counts as failed."""
OTHER_BASE = "runs on another base"
NO_BASE = "a unit test that runs on no base"

RUN_ALL_THE_SAME = ("test_threadedExternal", "test08_DeepActorInvoluntary", "test_abrupt_child_exit", "test_runcommand")
"""Tests that skip themselves on simpleSystemBase, for what it cannot do and this base can."""

_SUMMARY = "thespian_suite_left_out"


def _reason(item: pytest.Item) -> str | None:
    """Why a collected test is left out; None if it is run."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if not fixtures & {"asys", "victoria"}:
        return NO_BASE
    parameters = getattr(item, "callspec", None)
    names = set(parameters.params.values()) if parameters is not None else set()
    if STAND_IN_FOR not in {name for name in names if isinstance(name, str)}:
        return OTHER_BASE
    return next((reason for part, reason in LEFT_OUT.items() if part in item.nodeid), None)


def pytest_configure(config: pytest.Config) -> None:
    thespian.system.simpleSystemBase.ActorSystemBase = InProcessBase
    skip_on = thespian.test.actor_system_unsupported

    def unsupported(system: Any, *bases: str) -> None:
        running = config.stash.get(_RUNNING, "")
        if system.base_name != STAND_IN_FOR or not any(part in running for part in RUN_ALL_THE_SAME):
            skip_on(system, *bases)

    thespian.test.actor_system_unsupported = unsupported


_RUNNING = pytest.StashKey[str]()
_LEFT_OUT = pytest.StashKey[dict[str, int]]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.config.stash[_RUNNING] = item.nodeid


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = [(item, _reason(item)) for item in items]
    items[:] = [item for item, reason in reasons if reason is None]
    for module in {item.module for item in items if isinstance(item, pytest.Function)}:
        if hasattr(module, "THREAD_WAIT_TIME"):
            module.THREAD_WAIT_TIME = THREADS_S
    config.hook.pytest_deselected(items=[item for item, reason in reasons if reason is not None])
    counts = Counter(reason for _, reason in reasons if reason is not None)
    config.stash[_LEFT_OUT] = dict(counts)
    if hasattr(config, "workeroutput"):  # a worker of pytest-xdist: only its master has a terminal
        config.workeroutput[_SUMMARY] = dict(counts)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get(_SUMMARY, {})


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    terminalreporter.write_line(f"Thespian's tests on {InProcessBase.__module__}.{InProcessBase.__name__}")
    for reason, count in sorted(config.stash.get(_LEFT_OUT, {}).items(), key=lambda item: -item[1]):
        terminalreporter.write_line(f"  left out {count:5}: {reason}")
