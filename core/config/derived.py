"""What follows from a configuration, worked out once and shared by all who need it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TypeVar

from core.config.schema import NodeConfig

T = TypeVar("T")


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
