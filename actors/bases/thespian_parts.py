"""Private copies of two of Thespian's modules, in which some names are ours.

Thespian's transport and its process code choose classes and functions by global names. To change a choice for our
systems, and for nobody else's in the same program, each system gets copies of the modules and sets the names there.
Nothing of Thespian's source is copied into this project: the copies are made from the installed package.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from types import ModuleType

_numbers = itertools.count()


def private_copy(name: str) -> ModuleType:
    """A fresh module made from the source of the installed module ``name``, registered under a name of its own."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ImportError(f"{name} is not installed", name=name)
    own_name = f"actors.bases._private_{name.rpartition('.')[2]}_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(own_name, found.origin)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} cannot be loaded from {found.origin}", name=name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[own_name] = module  # for pickle, which looks classes up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[own_name]
        raise
    return module
