"""The languages of a node: every dialect it knows, what it offers, and which one a connection speaks.

A connection's dialect is agreed in the HTTP upgrade: the opener offers by its request target and headers, the listener
answers by its response headers, and both know before the first packet. Where an upgrade does not tell (older
generations of lisk-p2p look alike to an opener), the agreed dialect is one that listens first and says by
:meth:`~core.wire.dialect.Dialect.settle` what follows from the listener's first packet.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl

from core.config import NodeConfig
from core.config.derived import derived
from core.wire import native as native_dialect
from core.wire.dialect import Dialect
from core.wire.generations import AnyGeneration
from core.wire.lisk05 import Lisk05
from core.wire.lisk07 import Lisk07
from core.wire.lisk10 import Lisk10
from core.wire.native import Native
from core.wire.payloads import NodeInfo
from core.wire.query import MAX_PARAMETERS, Refusal
from core.wire.schema import parse_schema

DIALECTS: dict[str, Callable[..., Dialect]] = {"lisk-0.10": Lisk10, "lisk-0.7": Lisk07, "lisk-0.5": Lisk05}
"""The dialects of lisk-p2p's generations by the values of ``network.protocol``, newest first; ``auto`` is all of them
in which the configuration names a network."""

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

    ``main`` is the dialect of ``network.protocol``: what is spoken unless something else is agreed. ``natives`` are the
    native dialects over the main one or its generations, the best first: offered to everybody, and spoken with whoever
    offers it too. ``known`` are all that :meth:`named` can return.
    """

    def __init__(self, main: Dialect, *others: Dialect, natives: Sequence[Native] = ()) -> None:
        self.main = main
        self.known = (main, *others, *natives)
        self._natives = {one.generation: one for one in natives}

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
        headers = ((native_dialect.HEADER, native_dialect.VERSION),) if self._natives else ()
        return Offer(self.main.request_target(info, port), headers)

    def of_opener(self, headers: Mapping[str, str]) -> Dialect:
        """What the opener speaks after the listener's response; ``headers`` have their names in lower case."""
        generation = native_dialect.accepted(headers) if self._natives else None
        if generation is None:
            return self.main
        return self._natives.get(generation) or next(iter(self._natives.values()))

    def of_listener(self, target: str, headers: Mapping[str, str]) -> Agreement | None:
        """What the listener speaks after this upgrade request; None: nothing, the target is not ours."""
        return self._agree(self.main, headers) if self.main.matches_path(target) else None

    def _agree(self, dialect: Dialect, headers: Mapping[str, str]) -> Agreement:
        """This dialect of lisk-p2p, or the native one over it if the opener offers it."""
        native = self._natives.get(dialect.name)
        if native is None or not native_dialect.is_offered(headers):
            return Agreement(dialect, ())
        return Agreement(native, ((native_dialect.HEADER, native.acceptance),))


class Generations(Languages):
    """The languages of a node that speaks several generations of lisk-p2p (``network.protocol: auto``).

    ``generations`` are their dialects, newest first, ``main`` what an opener begins with; ``names`` is a node info with
    our network's name in each.
    """

    def __init__(
        self,
        main: AnyGeneration,
        generations: tuple[Dialect, ...],
        names: NodeInfo,
        natives: Sequence[Native] = (),
    ) -> None:
        super().__init__(main, *generations, natives=natives)
        self._generations = generations
        self._names = names

    def of_listener(self, target: str, headers: Mapping[str, str]) -> Agreement | None:
        """The generation in whose terms the opener introduced itself.

        Who uses those of several speaks several, and the newest of them that fits is spoken. Who fits none is refused
        in the terms of the newest that it used.
        """
        if not self.main.matches_path(target):
            return None
        given = _parameter_names(target)
        named = [dialect for dialect in self._generations if _NETWORK_NAMES[dialect.name] in given]
        fitting = next((dialect for dialect in named if self._fits(dialect, target)), None)
        return self._agree(fitting or (named or self._generations)[0], headers)

    def _fits(self, dialect: Dialect, target: str) -> bool:
        query = dialect.parse_query(target, source_ip="", own_nonce="")
        return not isinstance(query, Refusal) and dialect.check_compatibility(query, self._names) is None


_NETWORK_NAMES = {"lisk-0.10": "chainID", "lisk-0.7": "networkIdentifier", "lisk-0.5": "networkId"}
"""The parameter that names the network, by which a listener tells the generations apart."""


def _parameter_names(target: str) -> set[str]:
    try:
        pairs = parse_qsl(target.partition("?")[2], keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:  # too many; whichever dialect is asked says so
        return set()
    return {name for name, _ in pairs}


@derived
def languages_of(config: NodeConfig) -> Languages:
    """The languages of a node. Raises SchemaError for a custom node info schema that cannot be used.

    A node with a schema has its own: schemas registered process-wide spoil each other (as in lisk-p2p).
    """
    schema = config.custom_node_info_schema
    protocol, limit = config.network.protocol, config.max_peer_info_bytes
    offers_native = config.network.native and config.ws_max_payload_bytes >= native_dialect.MIN_MESSAGE_BYTES
    if schema is None and protocol != "auto":
        return _plain_languages(protocol, limit, offers_native)
    custom = parse_schema(schema) if schema is not None else None

    def natives(*generations: Dialect) -> list[Native]:
        return [Native(one, max_node_info_bytes=limit) for one in generations] if offers_native else []

    if protocol != "auto":
        only = DIALECTS[protocol](custom, max_node_info_bytes=limit)
        return Languages(only, natives=natives(only))
    names = own_names(config)
    spoken = {"lisk-0.10": True, "lisk-0.7": bool(names.network_identifier), "lisk-0.5": bool(names.network_id)}
    generations = tuple(make(custom, max_node_info_bytes=limit) for name, make in DIALECTS.items() if spoken[name])
    main = AnyGeneration(generations, custom, max_node_info_bytes=limit)
    return Generations(main, generations, names, natives(*generations))


@functools.lru_cache(maxsize=16)
def _plain_languages(protocol: str, limit: int, offers_native: bool) -> Languages:
    """The languages of all nodes of one process that speak this generation, without a schema of their own."""
    main = DIALECTS[protocol](None, max_node_info_bytes=limit)
    return Languages(main, natives=[Native(main, max_node_info_bytes=limit)] if offers_native else [])


def own_names(config: NodeConfig) -> NodeInfo:
    """The configured node info, without options and without what only a running node has: nonce, listening port."""
    said = config.node_info
    return NodeInfo(
        said.chain_id_bytes,
        said.network_version,
        "",
        said.advertise_address,
        network_identifier=said.network_identifier or "",
        network_id=said.network_id or "",
        protocol_version=said.protocol_version or "",
        version=said.version,
    )
