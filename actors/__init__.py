"""Ensemble: an actor-model peer-to-peer node, for programs.

``from actors import P2P`` is the form for threads, ``from actors import aio`` the one for asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.api import P2P as P2P
    from actors.commands import Response as Response
    from actors.incoming import IncomingRequest as IncomingRequest

__all__ = ["P2P", "IncomingRequest", "Response"]

_HOMES = {"P2P": "actors.api", "IncomingRequest": "actors.incoming", "Response": "actors.commands"}


def __getattr__(name: str) -> object:
    """Import on first use: an actor's process that only needs ``actors.peer`` does not load the API."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
