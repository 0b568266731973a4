"""Rules that an application replaces: a callable, or ``module:function`` in a file.

A rule of the application runs inside an actor. If it raises or returns nonsense, that is logged and the node's own rule
decides: somebody else's code must not be able to stop a node.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

from core.errors import StartFailed

Rule = Callable[..., Any]


def load_rule(option: str, value: Callable[..., Any] | str | None) -> Rule | None:
    """The callable that an option names; None if it is not set.

    Raises StartFailed, naming the option, if the module or its function cannot be found.
    """
    if value is None or callable(value):
        return value
    module_name, _, attribute = value.partition(":")
    try:
        rule = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise StartFailed(f"{option}: cannot load {value!r}: {error}") from error
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
