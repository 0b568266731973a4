"""What stands for an empty list, set or dictionary in objects of which there is one for each connection or node.

An empty list takes 56 bytes, an empty dictionary 64, and 232 once it has had an entry: of ten in each of tens of
thousands of connections nearly all are empty. Whoever puts something in makes a real one first.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

NO_ITEMS: Any = ()
"""Reads like an empty list."""

NO_NAMES: frozenset[str] = frozenset()
"""One for all: each empty set that is made takes 224 bytes."""

NO_ENTRIES: Any = MappingProxyType({})
"""Reads like an empty dictionary."""
