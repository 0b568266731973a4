"""The table of connections."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import rules
from core.ids import Direction, Endpoint, PeerKind
from core.netgroup import net_group
from core.slots import Farewell, Slot, Slots, roles_of
from tests.core.pool_tools import IN, OUT, at, info


def test_a_slot_is_found_by_endpoint_and_direction() -> None:
    slots = Slots()
    slot = Slot(at(1), OUT, PeerKind.NONE)
    slots.add(slot)
    assert slots.get(at(1), OUT) is slot
    assert slots.get(at(1), IN) is None
    assert slots.is_busy(at(1))
    assert len(slots) == 1
    assert slots.pop(at(1), IN) is None
    assert slots.pop(at(1), OUT) is slot
    assert slots.pop(at(1), OUT) is None
    assert not slots.is_busy(at(1))
    assert len(slots) == 0


def test_one_endpoint_has_one_slot_in_each_direction() -> None:
    slots = Slots()
    slots.add(Slot(at(1), OUT, PeerKind.NONE))
    slots.add(Slot(at(1), IN, PeerKind.NONE))
    with pytest.raises(ValueError, match="has an outbound slot already"):
        slots.add(Slot(at(1), OUT, PeerKind.NONE))
    assert slots.endpoints() == {at(1)}


def test_connected_lists_outbound_first_and_nobody_who_leaves() -> None:
    slots = Slots()
    for number, direction in ((1, IN), (2, OUT), (3, IN), (4, OUT)):
        slots.add(Slot(at(number), direction, PeerKind.NONE, info(at(number), direction)))
    slots.add(Slot(at(5), OUT, PeerKind.NONE))
    slots.add(Slot(at(6), OUT, PeerKind.NONE, info(at(6)), Farewell(rules.DUPLICATE, in_peace=True)))
    assert [peer.endpoint for peer in slots.connected()] == [at(2), at(4), at(1), at(3)]
    assert [slot.endpoint for slot in slots.of(OUT)] == [at(2), at(4), at(5)]


def test_a_peer_is_found_by_its_id_outbound_first() -> None:
    slots = Slots()
    inbound = Slot(at(1), IN, PeerKind.NONE, info(at(1), IN))
    outbound = Slot(at(1), OUT, PeerKind.NONE)
    slots.add(inbound)
    slots.add(outbound)
    assert slots.connected_by_id(at(1).peer_id) is inbound
    slots.connect(outbound, info(at(1)))
    assert slots.connected_by_id(at(1).peer_id) is outbound
    slots.pop(at(1), OUT)
    assert slots.connected_by_id(at(1).peer_id) is inbound
    slots.leave(inbound, rules.STOPPING, in_peace=False)
    assert slots.connected_by_id(at(1).peer_id) is None
    slots.pop(at(1), IN)
    assert slots.connected_by_id(at(1).peer_id) is None
    assert len(slots) == 0


def test_only_the_one_spelling_of_an_id_is_known() -> None:
    slots = Slots()
    slots.add(Slot(at(1), OUT, PeerKind.NONE, info(at(1))))
    endpoint = at(1)
    assert slots.connected_by_id(endpoint.peer_id) is not None
    for text in (
        f"{endpoint.ip}:0{endpoint.port}",
        endpoint.ip,
        "nobody",
        "",
        f"[::ffff:{endpoint.ip}]:{endpoint.port}",
    ):
        assert slots.connected_by_id(text) is None, text


def test_groups_are_counted_for_outbound_connections_off_loopback() -> None:
    slots = Slots()
    for ip in ("9.9.1.1", "9.9.2.2", "8.8.1.1", "127.0.0.1", "::1"):
        slots.add(Slot(Endpoint(ip, 1), OUT, PeerKind.NONE))
    slots.add(Slot(Endpoint("9.9.3.3", 1), IN, PeerKind.NONE))
    assert slots.outbound_groups() == {net_group("9.9.0.0"): 2, net_group("8.8.0.0"): 1}


CHANGES = st.tuples(
    st.sampled_from(["add", "connect", "update", "leave", "pop"]),
    st.integers(1, 2),
    st.sampled_from([IN, OUT]),
    st.sampled_from([PeerKind.NONE, PeerKind.FIXED, PeerKind.SEED, PeerKind.FEELER]),
)


@given(st.lists(CHANGES, max_size=60))
def test_what_is_kept_of_the_slots_is_as_they_are_now(changes: list[tuple[str, int, Direction, PeerKind]]) -> None:
    slots = Slots()
    for change, number, direction, kind in changes:
        slot = slots.get(at(number), direction)
        if change == "add" and slot is None:
            slots.add(Slot(at(number), direction, kind))
        elif change == "connect" and slot is not None:
            slots.connect(slot, info(at(number), direction, kind=kind))
        elif change == "update" and slot is not None and slot.info is not None:
            slots.update(slot, info(at(number), direction, kind=kind, reputation=50))
        elif change == "leave" and slot is not None:
            slots.leave(slot, rules.STOPPING, in_peace=True)
        elif change == "pop":
            slots.pop(at(number), direction)
        use, outbound = slots.outbound_use(), slots.of(OUT)
        assert use.filled == sum(slot.kind in (PeerKind.NONE, PeerKind.FIXED) for slot in outbound)
        assert use.connected == len(slots.connected_of(OUT))
        assert list(use.seeds) == [it for it in outbound if it.info is not None and it.kind is PeerKind.SEED]
        roles = slots.roles()
        assert roles == roles_of(slots.connected())
        assert all(peer.kind is PeerKind.FIXED for peer in roles.fixed)
        assert all(peer.direction is IN and peer.kind is not PeerKind.FIXED for peer in roles.inbound)
