"""The modules that register measures, kinds of attackers, anchors and validations when they are imported."""

from __future__ import annotations

import importlib
import pkgutil

import actors.simulation

PREFIXES = ("attackers", "measures", "anchors", "library")
"""Modules and packages of :mod:`actors.simulation` whose names begin so are imported; so is ``quantities``."""

_is_loaded = False


def load() -> None:
    """Import them all, once."""
    global _is_loaded
    if _is_loaded:
        return
    _is_loaded = True
    importlib.import_module("actors.simulation.quantities")
    for module in pkgutil.iter_modules(actors.simulation.__path__, "actors.simulation."):
        if module.name.rpartition(".")[2].startswith(PREFIXES):
            importlib.import_module(module.name)
