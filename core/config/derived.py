"""What follows from a configuration, worked out once and shared by all who need it."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from core.config.schema import NodeConfig

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)

REMEMBERED_VALUES = 64
"""Most networks of a simulation have nodes of a few kinds."""


@functools.lru_cache(maxsize=REMEMBERED_VALUES)
def _first(value: Any) -> Any:
    return value


def one_of_equals(value: H) -> H:
    """Return ``value``, or an equal one that was made before: nodes of a kind then share what is equal in all of them.

    For what is immutable, and made when a node starts.
    """
    return cast("H", _first(value))


def derived(function: Callable[[NodeConfig], T]) -> Callable[[NodeConfig], T]:
    """Make ``function`` remember its results, which must be immutable, for as long as the configuration object lives.

    By the object and not by its value: hashing a hundred options for each new connection would cost more than it saves.
    """
    kept: dict[int, tuple[weakref.ref[NodeConfig], T]] = {}

    def remembered(config: NodeConfig) -> T:
        key = id(config)
        found = kept.get(key)
        if found is None:
            result = function(config)
            kept[key] = (weakref.ref(config, lambda _: kept.pop(key, None)), result)
            return result
        return found[1]

    return remembered
