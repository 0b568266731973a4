"""Why an address does not get into the book, as decisions."""

from __future__ import annotations

from core.book import rules
from core.decisions import Decision, DecisionKind, decide
from core.ids import Endpoint


def unusable(endpoint: Endpoint, now: float) -> Decision:
    """It is no address that could be dialled."""
    # Foreign text goes into a record only as far as an address could go.
    subject = Endpoint(endpoint.ip[:64], endpoint.port).peer_id
    return decide(subject, DecisionKind.REFUSED, rules.ADDRESS_UNUSABLE, now)


def port_kept(known: Endpoint, endpoint: Endpoint, now: float) -> Decision:
    """Its IP address is known with another port."""
    numbers = (("known_port", known.port), ("port", endpoint.port))
    return decide(endpoint.peer_id, DecisionKind.REFUSED, rules.PORT_KEPT, now, *numbers)
