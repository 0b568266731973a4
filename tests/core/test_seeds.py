"""Seeds by DNS name: what a name may be, and which addresses it stands for."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import Endpoint
from core.seeds import FRESH_S, MAX_ADDRESSES_PER_NAME, SeedName, SeedNames, usable_addresses

ALICE = SeedName("alice.example", 5001)
BOB = SeedName("bob.example", 5002)


# ---- names ----


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("seed.example.org:5001", SeedName("seed.example.org", 5001)),
        ("Seed.EXAMPLE.org:1", SeedName("seed.example.org", 1)),
        ("localhost:65535", SeedName("localhost", 65535)),
        ("seed-1:5001", SeedName("seed-1", 5001)),
        ("3com.com:5001", SeedName("3com.com", 5001)),  # RFC 1123, section 2.1: a first digit is allowed
        ("absolute.example.:5001", SeedName("absolute.example.", 5001)),
        ("xn--bcher-kva.example:5001", SeedName("xn--bcher-kva.example", 5001)),
        (
            f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}:1",
            SeedName(".".join((63 * "a", 63 * "b", 63 * "c", 61 * "d")), 1),
        ),
    ],
)
def test_names_that_rfc_1123_allows(text: str, name: SeedName) -> None:
    assert SeedName.parse(text) == name
    assert SeedName.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "", ":", ":5001", "seed.example", "seed.example:", "seed.example:0", "seed.example:65536", "seed.example:+1",
        "seed.example:1x", "seed.example:123456", "seed.example:٣", ".:1", "..:1", "a..b:1", ".a:1", "a-:1", "-a:1",
        "a.-b:1", "a_b:1", "a b:1", "bücher.example:1", "a/b:1", "[::1]:1", "::1:1", "1.2.3:1", "256.1.1.1:1",
        "1.2.3.4.:1", "a.1:1", f"{'a' * 64}.b:1", f"{'a.' * 127}b:1", "a\n:1", "a.b\n:1",
    ],
)  # fmt: skip
def test_names_that_are_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        SeedName.parse(text)


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = SeedName.parse(text)
    except ValueError:
        return
    assert SeedName.parse(str(name)) == name
    assert re.fullmatch(r"[a-z0-9.-]+", name.host)
    with pytest.raises(ValueError, match=r"expected|does not appear"):
        Endpoint.parse(str(name))  # never both a name and an address


# ---- addresses ----


def test_addresses_that_cannot_be_dialled_are_left_out() -> None:
    texts = ["1.2.3.4", "::ffff:1.2.3.4", "fe80::1%eth0", "0.0.0.0", "224.0.0.1", "::", "nonsense", "2001:DB8::1"]
    assert usable_addresses(texts) == ("1.2.3.4", "2001:db8::1")


def test_one_name_is_trusted_for_16_addresses_at_most() -> None:
    many = [f"1.2.{number // 250}.{1 + number % 250}" for number in range(5000)]
    assert usable_addresses(many) == tuple(many[:MAX_ADDRESSES_PER_NAME])


@given(st.lists(st.ip_addresses().map(str) | st.text(max_size=60), max_size=60))
def test_whatever_a_resolver_says_comes_out_canonical_and_bounded(texts: list[str]) -> None:
    usable = usable_addresses(texts)
    assert len(usable) == len(set(usable)) <= MAX_ADDRESSES_PER_NAME
    assert all(Endpoint.checked(ip, 1).ip == ip for ip in usable)


# ---- what the names stand for ----


def test_each_name_is_looked_up_once_at_a_time() -> None:
    names = SeedNames([ALICE, BOB, SeedName(ALICE.host, 7)])
    assert names.to_resolve(0.0) == (ALICE.host, BOB.host)
    assert names.to_resolve(100.0) == ()
    assert names.is_waiting
    names.resolved(ALICE.host, ["1.1.1.1"], 100.0)
    names.failed(BOB.host)
    assert not names.is_waiting
    assert names.endpoints == (Endpoint("1.1.1.1", 5001), Endpoint("1.1.1.1", 7))


def test_a_failed_name_is_looked_up_again_at_the_next_asking_a_found_one_when_it_is_not_fresh() -> None:
    names = SeedNames([ALICE, BOB])
    names.to_resolve(0.0)
    names.resolved(ALICE.host, ["1.1.1.1"], 0.0)
    names.failed(BOB.host)
    assert names.to_resolve(FRESH_S / 2) == (BOB.host,)
    assert names.to_resolve(FRESH_S) == (ALICE.host,)


def test_the_last_answer_counts_and_a_failure_keeps_it() -> None:
    names = SeedNames([ALICE])
    for now, answer in ((0.0, ["1.1.1.1", "1.1.1.2"]), (100.0, ["1.1.1.2"])):
        names.to_resolve(now)
        names.resolved(ALICE.host, answer, now)
    assert names.endpoints == (Endpoint("1.1.1.2", 5001),)
    names.to_resolve(200.0)
    names.failed(ALICE.host)
    names.to_resolve(300.0)
    names.resolved(ALICE.host, ["0.0.0.0"], 300.0)  # nothing usable is a failure as well
    assert names.endpoints == (Endpoint("1.1.1.2", 5001),)
    assert names.to_resolve(300.0) == (ALICE.host,), "the last two were no answers"


def test_answers_that_nobody_asked_for_are_ignored() -> None:
    names = SeedNames([ALICE])
    names.resolved(ALICE.host, ["6.6.6.6"], 0.0)
    names.resolved("evil.example", ["6.6.6.6"], 0.0)
    assert names.endpoints == ()


def test_a_lost_resolver_is_asked_anew() -> None:
    names = SeedNames([ALICE])
    names.to_resolve(0.0)
    names.lost()
    assert names.to_resolve(0.0) == (ALICE.host,)
