"""Fixtures of the interop tests, and the nodes' event logs in the report of a failed one."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.interop.ensemble_node import EnsembleNode, live_nodes
from tests.interop.generations import World, world
from tests.interop.links import Link, lisk_dials, we_dial
from tests.interop.lisk_driver import driver_problem, forget_recent_nodes, recent_nodes
from tests.interop.lisk_node import LiskNode, stop_all

COMPLAINTS = ("EVENT_INVALID_MESSAGE_RECEIVED", "EVENT_INVALID_REQUEST_RECEIVED", "DRIVER_CRASHED")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without the driver interop tests are skipped; in CI they run nevertheless, and fail with the reason."""
    problem = driver_problem()
    if problem is None or os.environ.get("CI") == "true":
        return
    for item in items:
        if item.get_closest_marker("interop") is not None:
            item.add_marker(pytest.mark.skip(reason=problem))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        logs = {repr(node): node.log_text() for node in recent_nodes()}
        logs |= {repr(node): node.log_text() for node in live_nodes()}
        report.sections.extend((f"event log of {node}", log) for node, log in logs.items())
    return report


@pytest.fixture(autouse=True)
def _fresh_node_list() -> None:
    forget_recent_nodes()


@pytest.fixture
def lisk_node() -> Iterator[Callable[..., LiskNode]]:
    """Makes lisk-p2p nodes (arguments of `LiskNode`) and stops them at the end of the test."""
    nodes: list[LiskNode] = []

    def make(*args: Any, **config: Any) -> LiskNode:
        node = LiskNode(*args, **config)
        nodes.append(node)
        return node

    try:
        yield make
    finally:
        stop_all(nodes)


@pytest.fixture
def ensemble_node() -> Iterator[Callable[..., EnsembleNode]]:
    """Makes nodes of ours (arguments of `EnsembleNode`) and stops them at the end of the test."""
    nodes: list[EnsembleNode] = []

    def make(**config: Any) -> EnsembleNode:
        node = EnsembleNode(**config)
        nodes.append(node)
        return node

    try:
        yield make
    finally:
        for node in reversed(nodes):
            node.stop()


@pytest.fixture
def nobody_complains(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """At the end of the test: no lisk-p2p node called anything invalid or crashed, and no node of ours logged an error.

    Tests of deliberate misbehaviour towards a lisk-p2p node do without.
    """
    yield
    complaints = [f"{node!r}: {event}" for node in recent_nodes() for name in COMPLAINTS for event in node.events(name)]
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    complaints += [record.getMessage() for record in errors if record.name.startswith("ensemble")]
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="session")
def link_we_dial() -> Iterator[Link]:
    """A connection that our node opened; shared by all tests that leave it so."""
    with we_dial() as link:
        yield link


@pytest.fixture(scope="session")
def link_lisk_dials() -> Iterator[Link]:
    """A connection that the lisk-p2p node opened; shared by all tests that leave it so."""
    with lisk_dials() as link:
        yield link


@pytest.fixture(scope="session")
def generations() -> Iterator[World]:
    """Nodes of every generation of lisk-p2p, connected to nodes of ours; shared by all tests that leave them so."""
    with world() as found:
        yield found


@pytest.fixture(params=["link_we_dial", "link_lisk_dials"], ids=["we dial", "lisk dials"])
def link(request: pytest.FixtureRequest) -> Link:
    """Each of the two shared connections in turn."""
    found: Link = request.getfixturevalue(request.param)
    return found
