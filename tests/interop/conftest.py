"""Fixtures of the interop tests, and the nodes' event logs in the report of a failed one."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.interop.lisk_driver import driver_problem, forget_recent_nodes, recent_nodes
from tests.interop.lisk_node import LiskNode, stop_all


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
        for node in recent_nodes():
            report.sections.append((f"event log of {node!r}", node.log_text()))
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
