"""Which dialect a node speaks, by its configuration."""

from __future__ import annotations

from core.config import NodeConfig
from core.wire.dialect import Dialect
from core.wire.lisk10 import Lisk10
from core.wire.schema import parse_schema

DIALECTS = {"lisk-0.10": Lisk10}
"""By the value of ``network.protocol``."""


def dialect_for(config: NodeConfig) -> Dialect:
    """The dialect of ``network.protocol``. Raises SchemaError for a custom node info schema that cannot be used.

    Each node has its own: schemas registered process-wide spoil each other (as in lisk-p2p).
    """
    schema = config.custom_node_info_schema
    custom = parse_schema(schema) if schema is not None else None
    return DIALECTS[config.network.protocol](custom, max_node_info_bytes=config.max_peer_info_bytes)
