"""The node's configuration: one typed schema for files, environment, command line and programs.

Reading files and variables happens in :mod:`actors.config_sources`; here is only what an option means.
"""

from core.config.checking import OptionDoc, Path, Problem, check, dotted, sections, suggestion
from core.config.frozen import FrozenDict, freeze, thaw
from core.config.identity import NetworkConfig, NodeInfoConfig
from core.config.schema import NodeConfig, flatten, options, relations

__all__ = [
    "FrozenDict",
    "NetworkConfig",
    "NodeConfig",
    "NodeInfoConfig",
    "OptionDoc",
    "Path",
    "Problem",
    "check",
    "dotted",
    "flatten",
    "freeze",
    "options",
    "relations",
    "sections",
    "suggestion",
    "thaw",
]
