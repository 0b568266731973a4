"""Public addresses in net groups."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.netgroup import NetClass, address_info
from core.scenario.addresses import AddressBook, net_groups, spread


def book(seed: int = 1) -> AddressBook:
    return AddressBook(lambda owner: Random(f"{seed} {owner}"))


@given(st.integers(1, 300), st.integers(1, 60))
def test_addresses_are_public_different_and_in_so_many_groups(count: int, groups: int) -> None:
    ips = book().take("a", count, slash16=groups)
    assert len(set(ips)) == count
    assert net_groups(ips) == min(groups, count)
    assert {address_info(ip).net_class for ip in ips} == {NetClass.PUBLIC}
    assert len({address_info(ip).group for ip in ips[:groups]}) == min(groups, count), "they go round"


def test_nobody_shares_a_net_group_with_another_owner() -> None:
    shared = book()
    owners = {owner: shared.take(owner, 40, slash16=8) for owner in ("a", "b", "c")}
    groups = {owner: {address_info(ip).group for ip in ips} for owner, ips in owners.items()}
    assert not groups["a"] & groups["b"]
    assert not (groups["a"] | groups["b"]) & groups["c"]
    assert shared.owners[owners["b"][0]] == "b"


def test_one_owner_more_moves_nobody() -> None:
    alone, together = book(), book()
    together.take("before", 100)
    assert alone.take("a", 20) == together.take("a", 20)


@given(st.integers(1, 5000), st.integers(1, 200), st.sampled_from(["even", "zipf"]))
def test_spreading_leaves_nobody_out(count: int, groups: int, shape: str) -> None:
    sizes = spread(count, groups, shape)
    assert sum(sizes) == count
    assert min(sizes) >= 1
    assert len(sizes) == min(groups, count)


def test_zipf_is_uneven_and_even_is_not() -> None:
    assert spread(100, 3, "zipf")[0] > 2 * spread(100, 3, "zipf")[2]
    assert max(spread(100, 3, "even")) - min(spread(100, 3, "even")) <= 1


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        book().take("a", 70_000, slash16=1)
    assert book().take("a", 0) == []
