"""A world for tests of actors: virtual time, connections in memory, no complaint left unexpected, nothing left open."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.actors.bases.conftest import open_descriptors
from tests.actors.world import Complaints, RealWorld, World


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
