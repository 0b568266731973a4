"""The dialect that the tests of links are run in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.core.spoken import LISK, NATIVE, Spoken


@pytest.fixture(scope="module")
def spoken(request: pytest.FixtureRequest) -> Iterator[str]:
    """Speak a dialect; see :mod:`tests.core.spoken`."""
    Spoken.name = request.param
    yield request.param
    Spoken.name = LISK


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is only about JSON text is not run in the other dialect."""
    items[:] = [item for item in items if not (item.get_closest_marker("lisk_form") and _speaks_native(item))]


def _speaks_native(item: pytest.Item) -> bool:
    return getattr(getattr(item, "callspec", None), "params", {}).get("spoken") == NATIVE
