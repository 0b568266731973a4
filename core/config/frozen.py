"""Free-form mappings inside the configuration, made immutable.

In the in-process base actors share message objects, and a configuration travels in messages: nothing in it may change
under anybody's hands. JSON-like data therefore becomes :class:`FrozenDict` and tuples, capped in depth and size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeAlias

MAX_DEPTH = 16
"""Levels of nesting; a deeper structure is a mistake or an attack on recursive code."""

MAX_NODES = 10_000
"""Values in all; node info must fit ``max_peer_info_bytes`` anyway."""

Scalar: TypeAlias = bool | int | float | str | bytes | None


class FrozenDict(dict[str, Any]):
    """A dict that cannot be changed, can be hashed, pickled, and passed wherever a dict is read."""

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("configuration is immutable; use core.config.thaw() for a copy that can be changed")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return type(self), (dict(self),)


def freeze(value: object) -> Any:
    """Return ``value`` with every mapping as :class:`FrozenDict` and every list as tuple.

    Raises ValueError, saying what was expected, for keys that are not text, values that are not JSON-like (or bytes),
    or a structure deeper than ``MAX_DEPTH`` or larger than ``MAX_NODES``.
    """
    return _freeze(value, MAX_DEPTH, [MAX_NODES])


def _freeze(value: object, depth: int, budget: list[int]) -> Any:
    budget[0] -= 1
    if depth < 0 or budget[0] < 0:
        raise ValueError(f"a mapping at most {MAX_DEPTH} levels deep with at most {MAX_NODES} values")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a mapping whose keys are text")
        return FrozenDict({key: _freeze(item, depth - 1, budget) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_freeze(item, depth - 1, budget) for item in value)
    if isinstance(value, Scalar):
        return value
    raise ValueError("text, numbers, booleans, bytes, lists and mappings only")


def thaw(value: object) -> Any:
    """Return a deep copy of frozen data made of plain dicts and lists, as JSON libraries and schemas expect it."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [thaw(item) for item in value]
    return value
