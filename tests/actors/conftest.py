"""A world for tests of actors: virtual time, connections in memory, no complaint left unexpected, nothing left open."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from tests.actors.bases.conftest import open_descriptors
from tests.actors.forms import PROCESS_FORMS
from tests.actors.world import Complaints, RealWorld, World

ALL_PROCESS_TESTS = os.environ.get("PROCESS_TESTS") == "all"

IN_PROCESSES = {
    "test_start_and_stop",
    "test_stop_ends_a_start_that_is_under_way",
    "test_a_node_that_never_says_it_has_stopped_is_ended_hard",
    "test_a_stopped_node_starts_again_with_its_handlers",
    "test_a_failed_start_gives_the_nodes_reason_and_can_be_repeated",
    "test_many_messages_in_a_loop_arrive_complete_and_in_order",
    "test_a_message_on_which_the_node_fails_raises_at_the_caller",
    "test_a_handler_may_call_the_node",
    "test_a_handler_may_stop_the_node",
    "test_a_request_that_nobody_keeps_is_refused_at_once",
    "test_wait_for_ends_with_the_node",
}
"""Tests of both forms of P2P that also run with the actors in processes; all others only with the variable above set:
each takes a second, and they say nothing about processes that these do not."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what :data:`IN_PROCESSES` leaves out."""
    left_out = [item for item in items if "processes" in item.name and _is_left_out(item)]
    if left_out and not ALL_PROCESS_TESTS:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _is_left_out(item: pytest.Item) -> bool:
    in_processes = getattr(getattr(item, "callspec", None), "params", {}).get("make") in PROCESS_FORMS
    return in_processes and getattr(item, "originalname", "") not in IN_PROCESSES


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """What actors complain about. A test that expects some takes them out; any that are left fail it."""
    handler = Complaints()
    logger = logging.getLogger("ensemble")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    assert handler.texts() == []


@pytest.fixture
def world(complaints: Complaints) -> Iterator[World]:
    """A fresh world; every descriptor of it must be closed in the end."""
    before = open_descriptors()
    made = World()
    yield made
    made.close()
    assert open_descriptors() <= before


@pytest.fixture
def real_world(complaints: Complaints) -> Iterator[RealWorld]:
    """A base with real sockets, for the few tests that need them; nothing may stay open."""
    before = open_descriptors()
    made = RealWorld()
    yield made
    made.close()
    assert open_descriptors() <= before
