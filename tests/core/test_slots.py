"""The table of connections."""

from __future__ import annotations

import gc
import weakref

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
    for ip in ("9.9.1.1", "9.9.2.2", "8.8.1.1", "10.1.1.1", "127.0.0.1", "::1"):
        slots.add(Slot(Endpoint(ip, 1), OUT, PeerKind.NONE))
    slots.add(Slot(Endpoint("9.9.3.3", 1), IN, PeerKind.NONE))
    public = {net_group("9.9.0.0"): 2, net_group("8.8.0.0"): 1}
    assert slots.outbound_groups() == {**public, net_group("10.1.0.0"): 1}
    assert slots.outbound_groups(private_too=True) == public


def test_outbound_connections_of_a_group_are_counted_for_themselves() -> None:
    slots = Slots()
    for ip in ("9.9.1.1", "9.9.2.2", "8.8.1.1", "127.0.0.1"):
        slots.add(Slot(Endpoint(ip, 1), OUT, PeerKind.NONE))
    slots.add(Slot(Endpoint("9.9.3.3", 1), IN, PeerKind.NONE))
    assert [slots.outbound_of_group(net_group(ip)) for ip in ("9.9.4.4", "8.8.4.4", "7.7.4.4")] == [2, 1, 0]


def test_inbound_connections_of_a_host_are_counted_while_they_stay() -> None:
    slots = Slots()
    for port in (1, 2, 3):
        for ip in ("9.9.1.1", "2001:db8::1", "2001:db8::2"):
            slots.add(Slot(Endpoint(ip, port), IN, PeerKind.NONE))
    slots.add(Slot(Endpoint("9.9.1.1", 1), OUT, PeerKind.NONE))
    for ip in ("9.9.1.2", "2001:db8:0:1::1"):
        slots.add(Slot(Endpoint(ip, 1), IN, PeerKind.NONE))
    leaving = slots.get(Endpoint("9.9.1.1", 3), IN)
    assert leaving is not None
    slots.leave(leaving, rules.STOPPING, in_peace=True)
    assert slots.inbound_of_host("9.9.1.1") == 2
    assert slots.inbound_of_host("2001:db8::3") == 6, "a /64 is one host"
    assert slots.inbound_of_host("2001:db8:0:2::1") == 0
    assert slots.inbound_of_host("9.9.1.3") == 0


def test_a_slot_keeps_the_address_of_its_actor_and_nothing_alive_by_that() -> None:
    class Address:
        slots: Slots

    slots, address = Slots(), Address()
    address.slots = slots  # as an address leads to its actor, and that to its parent
    slots.add(Slot(at(1), OUT, PeerKind.NONE))
    slots.set_actor(at(1), OUT, address)
    slot = slots.get(at(1), OUT)
    assert slot is not None
    assert slot.actor is address
    with pytest.raises(KeyError):
        slots.set_actor(at(1), IN, address)
    kept = weakref.ref(address)
    del slots, slot, address
    gc.collect()
    assert kept() is None


def test_what_is_known_of_a_peer_may_change_without_sorting_anew() -> None:
    slots = Slots()
    slot = Slot(at(1), OUT, PeerKind.NONE, info(at(1)))
    slots.add(slot)
    roles = slots.roles()
    slots.update(slot, info(at(1), reputation=50))
    slots.add(Slot(at(2), OUT, PeerKind.FEELER))
    slots.pop(at(2), OUT)
    assert slots.roles() is roles
    assert roles.outbound[0].info == info(at(1), reputation=50)


CHANGES = st.tuples(
    st.sampled_from(["add", "connect", "update", "leave", "pop"]),
    st.integers(1, 2),
    st.sampled_from([IN, OUT]),
    st.sampled_from([PeerKind.NONE, PeerKind.FIXED, PeerKind.SEED, PeerKind.FEELER]),
)


@given(st.lists(CHANGES, max_size=60))
def test_what_is_kept_of_the_slots_is_as_they_are_now(changes: list[tuple[str, int, Direction, PeerKind]]) -> None:
    slots = Slots()
    outbound: list[Slot] = []
    for change, number, direction, kind in changes:
        before = slots.outbound_changes
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
        for one, tally in ((OUT, slots.outbound_tally), (IN, slots.inbound_tally)):
            staying = slots.of(one)
            connected = [slot for slot in staying if slot.info is not None]
            assert tally.staying == len(staying)
            assert tally.guests == sum(slot.kind in (PeerKind.SEED, PeerKind.FEELER) for slot in staying)
            assert tally.connected == len(connected)
            assert tally.seeds == sum(slot.kind is PeerKind.SEED for slot in connected)
            if one is OUT and connected != outbound:
                assert slots.outbound_changes > before
                outbound = connected
        roles = slots.roles()
        assert roles == roles_of(slots.connected_slots())
        assert [slot.info for slot in slots.connected_slots()] == slots.connected()
        assert all(peer.kind is PeerKind.FIXED for peer in roles.fixed)
        assert all(peer.direction is IN and peer.kind is not PeerKind.FIXED for peer in roles.inbound)
