"""The port of a dialect is complete: what it declares, every dialect has."""

from __future__ import annotations

import inspect

import pytest

from core.wire.dialect import Dialect
from core.wire.lisk05 import Lisk05
from core.wire.lisk07 import Lisk07
from core.wire.lisk10 import Lisk10
from core.wire.native import Native

_MEMBERS = sorted(name for name in vars(Dialect) if not name.startswith("_"))


def test_there_is_something_to_check() -> None:
    assert {"decode_packets", "encode_message", "decode_node_info", "path"} <= set(_MEMBERS)


@pytest.mark.parametrize("dialect", [Lisk05(), Lisk07(), Lisk10(), Native(Lisk10())], ids=lambda one: one.name)
@pytest.mark.parametrize("name", _MEMBERS)
def test_every_dialect_has_it_with_the_same_parameters(name: str, dialect: Dialect) -> None:
    declared, made = inspect.getattr_static(Dialect, name), getattr(dialect, name)
    if isinstance(declared, property):
        assert made is None or isinstance(made, str | bool) or callable(made)
    else:
        expected = list(inspect.signature(declared).parameters.values())[1:]
        actual = list(inspect.signature(made).parameters.values())
        assert [(p.name, p.kind, p.default) for p in actual] == [(p.name, p.kind, p.default) for p in expected]
