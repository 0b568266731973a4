"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.spoken import LISK, NATIVE, Spoken

# No deadline: how long an example takes says how busy the machine is. In CI the examples are the same in every run, so
# that what is red there is red at home; at home each run looks at new ones.
settings.register_profile("home", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("home"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "home")


@pytest.fixture(scope="module")
def spoken(request: pytest.FixtureRequest) -> Iterator[str]:
    """Speak a dialect; see :mod:`tests.spoken`."""
    Spoken.name = request.param
    yield request.param
    Spoken.name = LISK


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is only about the form of one dialect is not run in the other."""
    items[:] = [item for item in items if not (item.get_closest_marker("lisk_form") and _speaks_native(item))]


def _speaks_native(item: pytest.Item) -> bool:
    return getattr(getattr(item, "callspec", None), "params", {}).get("spoken") == NATIVE
