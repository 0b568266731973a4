"""Rules that an application replaces: a callable, or ``module:function`` in a file.

A rule of the application runs inside an actor. If it raises or returns nonsense, that is logged and the node's own rule
decides: somebody else's code must not be able to stop a node.
"""

from __future__ import annotations

import importlib
import itertools
import logging
import operator
from collections.abc import Callable
from typing import Any

from core.errors import StartFailed
from core.events import PeerInfo
from core.ids import CloseCode, Direction, Endpoint
from core.link_extras import Review
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery, Refusal

Rule = Callable[..., Any]

RULE_OPTIONS = (
    "peer_selection_for_send",
    "peer_selection_for_request",
    "peer_selection_for_connection",
    "peer_handshake_check",
)
"""Options that hold, or name, code of the application."""

MAX_CHOSEN = 100_000
"""A rule may return a generator that never ends."""

MAX_REASON_CHARACTERS = 200
UNKNOWN_REASON = "Peer is incompatible with the node for unknown reasons"


def load_rule(option: str, value: Callable[..., Any] | str | None) -> Rule | None:
    """The callable that an option names; None if it is not set.

    Raises StartFailed, naming the option, if the module or its function cannot be found.
    """
    if value is None or callable(value):
        return value
    module_name, _, attribute = value.partition(":")
    try:
        rule = operator.attrgetter(attribute)(importlib.import_module(module_name))
    except Exception as error:  # importing runs the module, and that may raise anything
        raise StartFailed(f"{option}: cannot load {value!r}: {type(error).__name__}: {error}") from error
    if not callable(rule):
        raise StartFailed(f"{option}: {value!r} is not callable")
    found: Rule = rule
    return found


def guarded(
    option: str,
    value: Callable[..., Any] | str | None,
    log: logging.Logger,
    form: Callable[[Any], Any] = lambda result: result,
) -> Rule | None:
    """The rule of an option, returning None (the node's own rule decides) where it raises.

    ``form`` brings what the rule returns into shape (``tuple``); what it refuses counts as raised.
    """
    rule = load_rule(option, value)
    if rule is None:
        return None

    def call(*arguments: Any) -> Any:
        try:
            result = rule(*arguments)
            return None if result is None else form(result)
        except Exception:
            log.exception("%s raised; the node's own rule decides", option)
            return None

    return call


def chosen(result: Any) -> tuple[Any, ...]:
    """What a rule chose, as a tuple. Raises TypeError if it is no collection."""
    return tuple(itertools.islice(result, MAX_CHOSEN))


class HandshakeCheck:
    """The option ``peer_handshake_check``: a callable (peer: PeerInfo, own: NodeInfo).

    It decides in place of chain id and version. None or True lets the peer in; a text, or False, refuses it with 4104
    and that reason. If it raises or returns anything else, chain id and version decide. A connection to ourselves is
    refused whatever it says. Raises StartFailed if it cannot be found.
    """

    def __init__(self, value: Callable[..., Any] | str | None, log: logging.Logger) -> None:
        self._rule = load_rule("peer_handshake_check", value)
        self._log = log

    def of_opener(self, ip: str) -> Callable[[PeerQuery, NodeInfo, Refusal | None], Refusal | None] | None:
        """The review of an opener at this address, by its query; None without a rule."""
        if self._rule is None:
            return None

        def review(query: PeerQuery, own: NodeInfo, verdict: Refusal | None) -> Refusal | None:
            return self._judge(Endpoint(ip, query.port), Direction.INBOUND, query, own, verdict)

        return review

    def of(self, endpoint: Endpoint, direction: Direction) -> Review | None:
        """The review of the node info of a remote; None without a rule."""
        if self._rule is None:
            return None

        def review(info: NodeInfo, own: NodeInfo, verdict: Refusal | None) -> Refusal | None:
            return self._judge(endpoint, direction, info, own, verdict)

        return review

    def _judge(
        self,
        endpoint: Endpoint,
        direction: Direction,
        theirs: PeerQuery | NodeInfo,
        own: NodeInfo,
        default: Refusal | None,
    ) -> Refusal | None:
        if self._rule is None or (default is not None and default.code is CloseCode.OWN_NONCE):
            return default
        try:
            result = self._rule(_peer_info(endpoint, direction, theirs), own)
            if result is None or result is True:
                return None
            if result is False:
                return Refusal(CloseCode.INCOMPATIBLE, UNKNOWN_REASON)
            if isinstance(result, str):
                return Refusal(CloseCode.INCOMPATIBLE, result[:MAX_REASON_CHARACTERS] or UNKNOWN_REASON)
            raise TypeError(f"expected None, True, False or a text, got {type(result).__name__}")
        except Exception:
            self._log.exception("peer_handshake_check failed; chain id and version decide")
            return default


def _peer_info(endpoint: Endpoint, direction: Direction, theirs: PeerQuery | NodeInfo) -> PeerInfo:
    return PeerInfo(
        peer_id=endpoint.peer_id,
        ip_address=endpoint.ip,
        port=endpoint.port,
        chain_id=theirs.chain_id,
        network_identifier=theirs.network_identifier,
        network_id=theirs.network_id,
        network_version=theirs.network_version,
        nonce=theirs.nonce,
        options=theirs.options,
        advertise_address=theirs.advertise_address,
        direction=direction,
    )
