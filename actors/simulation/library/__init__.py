"""The library: experiments whose outcome is known from theory or from print, and attacks with a score.

Every module registers its experiments with :mod:`actors.simulation.roles` when it is imported; ``ensemble simulate
--validate`` runs them. docs/validation.md has the table of what was measured against what.
"""

from __future__ import annotations

from actors.simulation.library import (
    churning,
    crowded,
    discovery,
    eclipse,
    eviction,
    floods,
    gossip,
    growing,
    healing,
    overlays,
    poisoning,
    propagation,
    rumours,
    selection,
    shuffling,
    tables,
    timelines,
)

MODULES = (
    gossip,
    discovery,
    crowded,
    overlays,
    rumours,
    selection,
    propagation,
    tables,
    eviction,
    shuffling,
    growing,
    churning,
    healing,
    timelines,
    floods,
    poisoning,
    eclipse,
)
