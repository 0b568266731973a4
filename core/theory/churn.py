"""Nodes that come and go: alternating renewal processes, sessions and absences with means of their own.

Renewal theory (Cox 1962, "Renewal Theory", chapter 7): however the times are distributed, a node is there for the share
session / (session + absence) of a long time, and leaves once in session + absence. Times are in any one unit.
"""

from __future__ import annotations

import math


def availability(session: float, absence: float) -> float:
    """The share of time for which a node is there; also of all nodes at any one moment."""
    return session / (session + absence)


def availability_sd(session: float, absence: float, nodes: int, time: float) -> float:
    """The standard deviation of the share of nodes that are there, averaged over a long time; exponential times.

    A node there and gone is a process whose correlation decays with rate 1/session + 1/absence.
    """
    share = availability(session, absence)
    decay = session * absence / (session + absence)
    return math.sqrt(share * (1.0 - share) / nodes * 2.0 * decay / time)


def departures(session: float, absence: float, time: float) -> float:
    """How often a node leaves in a long time, in the mean."""
    return time / (session + absence)


def departures_sd(session: float, absence: float, nodes: int, time: float) -> float:
    """The standard deviation of that number, averaged over so many nodes; exponential times.

    The central limit theorem of renewal processes: variance time (session^2 + absence^2) / (session + absence)^3.
    """
    variance = time * (session**2 + absence**2) / (session + absence) ** 3
    return math.sqrt(variance / nodes)
