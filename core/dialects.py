"""The languages of a node: every dialect it knows, what it offers, and which one a connection speaks.

A connection's dialect is agreed in the HTTP upgrade: the opener offers by its request target and headers, the listener
answers by its response headers, and both know before the first packet. Where an upgrade does not tell (older
generations of lisk-p2p look alike to an opener), the agreed dialect is one that listens first and says by
:meth:`~core.wire.dialect.Dialect.settle` what follows from the listener's first packet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from core.config import NodeConfig
from core.wire.dialect import Dialect
from core.wire.lisk10 import Lisk10
from core.wire.payloads import NodeInfo
from core.wire.schema import parse_schema

DIALECTS = {"lisk-0.10": Lisk10}
"""By the value of ``network.protocol``."""

Headers = tuple[tuple[str, str], ...]
"""HTTP headers as (name, value)."""


class Offer(NamedTuple):
    """What an opener asks for: the request target, and headers beyond those of every WebSocket upgrade."""

    target: str
    headers: Headers


class Agreement(NamedTuple):
    """What a listener answers: the dialect of the connection, and headers for its response."""

    dialect: Dialect
    headers: Headers


class Languages:
    """All dialects of one node. Stateless: one object serves all of its connections.

    ``main`` is the dialect of ``network.protocol``: what is spoken unless something else is agreed. ``known`` are all
    that :meth:`named` can return, the main one among them.
    """

    def __init__(self, main: Dialect, *others: Dialect) -> None:
        self.main = main
        self.known = (main, *others)

    @property
    def path(self) -> str:
        """The path of the HTTP upgrade that a listener answers; every other gets HTTP 400."""
        return self.main.path

    def named(self, name: str) -> Dialect:
        """The dialect that calls itself so (``Dialect.name``). Raises KeyError for one that the node does not know."""
        for dialect in self.known:
            if dialect.name == name:
                return dialect
        raise KeyError(f"{name!r} is not among {', '.join(dialect.name for dialect in self.known)}")

    def offer(self, info: NodeInfo, port: int) -> Offer:
        """The upgrade request of an opener that is ``info`` and listens on ``port``."""
        return Offer(self.main.request_target(info, port), ())

    def of_opener(self, headers: Mapping[str, str]) -> Dialect:
        """What the opener speaks after the listener's response; ``headers`` have their names in lower case."""
        return self.main

    def of_listener(self, target: str, headers: Mapping[str, str]) -> Agreement | None:
        """What the listener speaks after this upgrade request; None: nothing, the target is not ours."""
        return Agreement(self.main, ()) if self.main.matches_path(target) else None


def languages_of(config: NodeConfig) -> Languages:
    """The languages of a node. Raises SchemaError for a custom node info schema that cannot be used.

    Each node has its own: schemas registered process-wide spoil each other (as in lisk-p2p).
    """
    schema = config.custom_node_info_schema
    custom = parse_schema(schema) if schema is not None else None
    return Languages(DIALECTS[config.network.protocol](custom, max_node_info_bytes=config.max_peer_info_bytes))


def dialect_for(config: NodeConfig) -> Dialect:
    """The node's main dialect."""
    return languages_of(config).main
