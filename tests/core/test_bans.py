"""Bans and the blacklist (LIP 0004, "Penalties and bans")."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import bans as module
from core.bans import Bans, Blacklist, canonical_ip, trusted_ips
from core.config import NodeConfig
from core.messages import (
    Ban,
)

DAY_S = 86400.0


def make(**options: object) -> Bans:
    return Bans(NodeConfig(**options))  # type: ignore[arg-type]


def test_a_ban_lasts_24_hours() -> None:
    bans = make()
    ban = bans.ban("1.2.3.4", "flood", 1000.0)
    assert ban is not None
    assert (ban.ip, ban.until, ban.reason) == ("1.2.3.4", 1000.0 + DAY_S, "flood")
    assert bans.is_refused("1.2.3.4")
    assert bans.next_end() == 1000.0 + DAY_S
    assert bans.take_ended(999.0 + DAY_S) == []
    assert bans.take_ended(1000.0 + DAY_S) == ["1.2.3.4"]
    assert not bans.is_refused("1.2.3.4")
    assert bans.next_end() is None
    assert (len(bans), bans.total) == (0, 1)


def test_the_time_is_an_option_and_an_argument() -> None:
    bans = make(peer_ban_time_s=5.0)
    first, second = bans.ban("1.1.1.1", "", 0.0), bans.ban("2.2.2.2", "", 0.0, 7.0)
    assert first is not None
    assert second is not None
    assert (first.until, second.until) == (5.0, 7.0)


def test_a_ban_of_years_is_no_shorter_than_one_of_days() -> None:
    """Defect 20 of lisk-p2p: more than 2^31 - 1 ms overflow its timer, and the ban lasts 1 ms."""
    bans = make(peer_ban_time_s=5 * 365 * DAY_S)
    bans.ban("1.1.1.1", "", 0.0)
    assert bans.take_ended(4 * 365 * DAY_S) == []
    assert bans.take_ended(5 * 365 * DAY_S) == ["1.1.1.1"]


@pytest.mark.parametrize("duration_s", [0, -1, math.nan, math.inf, 1e12])
def test_a_time_that_is_no_time_is_refused(duration_s: float) -> None:
    bans = make()
    with pytest.raises(ValueError, match="expected a ban of more than 0"):
        bans.ban("1.1.1.1", "", 0.0, duration_s)
    assert len(bans) == 0


def test_a_further_offence_does_not_prolong_a_ban() -> None:
    bans = make()
    bans.ban("1.2.3.4", "first", 0.0)
    assert bans.ban("1.2.3.4", "second", 50.0) is None
    assert bans.take_ended(DAY_S) == ["1.2.3.4"]
    assert bans.total == 1


def test_after_its_end_a_ban_can_be_made_anew() -> None:
    bans = make()
    bans.ban("1.2.3.4", "", 0.0)
    bans.take_ended(DAY_S)
    assert bans.ban("1.2.3.4", "", DAY_S) is not None


def test_a_ban_ended_by_hand_does_not_end_a_later_one() -> None:
    bans = make()
    bans.ban("1.2.3.4", "", 0.0)
    assert bans.unban("1.2.3.4") == "1.2.3.4"
    assert bans.unban("1.2.3.4") is None
    bans.ban("1.2.3.4", "", 100.0)
    assert bans.take_ended(DAY_S) == []
    assert bans.is_refused("1.2.3.4")
    assert bans.take_ended(DAY_S + 100) == ["1.2.3.4"]


@pytest.mark.parametrize("option", ["fixed_peers", "whitelisted_peers", "seed_peers"])
def test_trusted_addresses_are_never_banned(option: str) -> None:
    """Defect 17 of lisk-p2p: raw-frame bans hit whitelisted and fixed peers, and seeds are never exempt."""
    bans = make(**{option: ["1.2.3.4:5001"]})
    with pytest.raises(ValueError, match="never banned"):
        bans.ban("1.2.3.4", "whatever another port did", 0.0)
    assert trusted_ips(NodeConfig(**{option: ["1.2.3.4:5001"]})) == {"1.2.3.4"}  # type: ignore[arg-type]


def test_an_address_has_one_spelling() -> None:
    bans = make(seed_peers=["9.9.9.9:1"])
    ban = bans.ban("::ffff:1.2.3.4", "", 0.0)
    assert ban is not None
    assert ban.ip == "1.2.3.4"  # as connections have it
    assert bans.unban("::FFFF:1.2.3.4") == "1.2.3.4"
    ban = bans.ban("2001:DB8:0:0::1", "", 0.0)
    assert ban is not None
    assert ban.ip == "2001:db8::1"
    with pytest.raises(ValueError, match="never banned"):
        bans.ban("::ffff:9.9.9.9", "", 0.0)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "1.2.3.4:5", "1.2.3.4/8", "fe80::1%eth0", "x" * 1000])
def test_what_is_no_address_is_refused(text: str) -> None:
    bans = make()
    for call in (lambda: bans.ban(text, "", 0.0), lambda: bans.unban(text), lambda: canonical_ip(text)):
        with pytest.raises(ValueError, match=r".") as caught:
            call()
        assert len(str(caught.value)) < 200


def test_reasons_are_cut() -> None:
    ban = make().ban("1.2.3.4", "x" * 100_000, 0.0)
    assert ban is not None
    assert len(ban.reason) == 1000


def test_the_list_of_bans_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns a /64 can be banned under 2^64 addresses."""
    monkeypatch.setattr(module, "MAX_BANS", 3)
    bans = make()
    for number in range(5):
        bans.ban(f"2001:db8::{number + 1}", "", float(number))
    assert [ban.ip for ban in bans.all()] == ["2001:db8::3", "2001:db8::4", "2001:db8::5"]
    assert bans.next_end() == 0.0  # at once: the others must be told
    assert bans.take_ended(10.0) == ["2001:db8::1", "2001:db8::2"]
    assert bans.next_end() == 2.0 + DAY_S


def test_bans_made_and_ended_by_hand_leave_nothing_behind() -> None:
    """Defect 9 of lisk-p2p: the timer of a ban that was lifted stays until its time, which may be years away."""
    bans = make()
    bans.ban("9.9.9.9", "", 0.0)
    for number in range(10_000):
        bans.ban(f"10.0.{number // 256}.{number % 256}", "", 0.0, 1e8)
        bans.unban(f"10.0.{number // 256}.{number % 256}")
    assert len(bans._ends) <= 2 * len(bans) + module.SPARE_ENDS + 1
    assert bans.take_ended(DAY_S) == ["9.9.9.9"]


def test_what_would_be_banned_is_told_and_not_banned() -> None:
    bans = make(seed_peers=["9.9.9.9:1"])
    told = bans.would_ban("::ffff:1.2.3.4", "flood", 1000.0)
    assert told == Ban("1.2.3.4", 1000.0 + DAY_S, "flood")
    assert (len(bans), bans.total, bans.next_end()) == (0, 0, None)
    assert bans.ban("1.2.3.4", "flood", 1000.0) == told
    assert bans.would_ban("1.2.3.4", "flood", 1000.0) is None
    for ip, duration_s in (("9.9.9.9", None), ("no address", None), ("5.6.7.8", -1.0)):
        with pytest.raises(ValueError, match=r"."):
            bans.would_ban(ip, "", 0.0, duration_s)


def test_an_address_displaced_and_banned_again_is_not_told_to_be_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BANS", 1)
    bans = make()
    bans.ban("1.1.1.1", "", 0.0)
    bans.ban("2.2.2.2", "", 1.0)
    bans.ban("1.1.1.1", "", 2.0)
    assert bans.take_ended(3.0) == ["2.2.2.2"]


def test_the_blacklist_refuses_addresses_and_prefixes_for_ever() -> None:
    bans = make(blacklisted_ips=["1.2.3.4", "10.0.0.0/8", "2001:db8::/32"])
    for ip in ("1.2.3.4", "10.255.0.1", "2001:db8::5"):
        assert bans.is_refused(ip)
    for ip in ("1.2.3.5", "11.0.0.1", "2001:db9::5", "::1"):
        assert not bans.is_refused(ip)
    assert "1.2.3.4" not in Blacklist(())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ban", "unban", "wait"]),
            st.sampled_from(["1.1.1.1", "2.2.2.2", "3.3.3.3"]),
            st.floats(0.1, 50),
        ),
        max_size=60,
    )
)
def test_against_a_list_of_times(steps: list[tuple[str, str, float]]) -> None:
    bans, twin, now = make(), {}, 1000.0
    for what, ip, amount in steps:
        if what == "ban":
            assert (bans.ban(ip, "", now, amount) is None) == (ip in twin)
            twin.setdefault(ip, now + amount)
        elif what == "unban":
            assert (bans.unban(ip) == ip) == (twin.pop(ip, None) is not None)
        else:
            now += amount
            ended = {ip for ip, until in twin.items() if until <= now}
            assert sorted(bans.take_ended(now)) == sorted(ended)
            twin = {ip: until for ip, until in twin.items() if ip not in ended}
        assert {ban.ip: ban.until for ban in bans.all()} == twin
        due = bans.next_end()
        assert not twin or (due is not None and due <= min(twin.values()))


# ---- across restarts ----


def test_stored_bans_come_back_with_the_time_they_have_left() -> None:
    first, second = make(), make()
    first.ban("1.1.1.1", "one", 1000.0, 500.0)
    first.ban("2.2.2.2", "two", 1000.0, 50.0)
    first.ban("3.3.3.3", "three", 1000.0, 5.0)
    second.restore(first.all(), 1010.0)
    assert second.all() == (Ban("2.2.2.2", 1050.0, "two"), Ban("1.1.1.1", 1500.0, "one"))
    assert second.total == 0  # they were counted when they were made
    assert second.take_ended(1049.0) == []
    assert second.take_ended(1050.0) == ["2.2.2.2"]
    assert second.unban("1.1.1.1") == "1.1.1.1"


def test_peers_that_are_trusted_by_now_are_banned_no_more() -> None:
    bans = make(fixed_peers=["1.1.1.1:5001"])
    bans.restore([Ban("1.1.1.1", 2000.0, ""), Ban("2.2.2.2", 2000.0, "")], 1000.0)
    assert [ban.ip for ban in bans.all()] == ["2.2.2.2"]


def test_a_ban_made_when_the_clock_was_wrong_does_not_last_for_ever() -> None:
    bans = make()
    bans.restore([Ban("1.1.1.1", 1e11, "")], 1000.0)
    assert bans.next_end() == 1000.0 + module.MAX_DURATION_S


def test_stored_bans_are_bounded_and_single(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BANS", 3)
    bans = make()
    bans.restore([Ban("1.1.1.1", 2000.0, "x" * 5000), Ban("1.1.1.1", 3000.0, "")], 1000.0)
    assert bans.all() == (Ban("1.1.1.1", 2000.0, "x" * module.MAX_REASON_CHARACTERS),)
    bans.restore([Ban(f"2.2.2.{number}", 2000.0, "") for number in range(9)], 1000.0)
    assert len(bans) == 3
