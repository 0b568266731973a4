"""One getPeers answer for about a day: the scraper learns nothing by asking again, and the honest lose nothing."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.book import Book, BookConfig
from core.book.answers import KEPT_FROM_ANSWERS, KeptAnswers, asker_class, fit_for
from core.book.sample import WIRE_CAP
from core.config import NodeConfig
from core.ids import Endpoint
from core.netgroup import NetClass, net_class
from tests.core.book.tools import NOW_S, SECRET, CheckedBook, at, spread

HOUR_S = 3600.0
ASKER = "8.8.8.8"


def keeping(known: int, seed: int = 1) -> CheckedBook:
    book = CheckedBook(BookConfig(answer_kept_min_s=21 * HOUR_S, answer_kept_max_s=27 * HOUR_S), SECRET, Random(seed))
    fill(book, known)
    return book


def fill(book: Book, known: int) -> None:
    """By different sources, so that hardly a bucket overflows."""
    for peer in spread(known):
        book.inbound_seen(peer, NOW_S)


def ask(book: Book, now: float, ip: str = ASKER) -> tuple[Endpoint, ...]:
    return book.sample_for_getpeers(requester_ip=ip, now=now)


def test_a_scraper_gets_the_same_answer_all_day_from_any_address() -> None:
    book = keeping(1000)
    first = ask(book, NOW_S)
    assert len(first) == WIRE_CAP
    seen = {endpoint for n in range(200) for endpoint in ask(book, NOW_S + 350 * n, f"{30 + n % 90}.1.1.1")}
    assert seen == set(first)


def test_without_it_a_scraper_gets_the_whole_book() -> None:
    """The attack itself."""
    book = Book(BookConfig(), SECRET, Random(1))
    fill(book, 1000)
    seen = {endpoint for n in range(60) for endpoint in ask(book, NOW_S + n)}
    assert len(seen) == book.counts().new


def test_the_answer_changes_after_21_to_27_hours_at_no_fixed_time() -> None:
    lasted = []
    for seed in range(40):
        answers = KeptAnswers(21 * HOUR_S, 27 * HOUR_S, Random(seed))
        made = iter(range(1, 100))
        fresh = lambda made=made: (at("1.2.3.4", next(made)),)  # noqa: E731
        first = answers.get(None, NOW_S, fresh)
        ages = (minutes * 60.0 for minutes in range(28 * 60))
        lasted.append(next(age for age in ages if answers.get(None, NOW_S + age, fresh) != first))
    assert 21 * HOUR_S <= min(lasted) < 22 * HOUR_S
    assert 26 * HOUR_S < max(lasted) <= 27 * HOUR_S + 60


def test_a_clock_that_is_set_back_does_not_keep_an_answer_for_ever() -> None:
    answers = KeptAnswers(21 * HOUR_S, 27 * HOUR_S, Random(1))
    old, new = (at("1.2.3.4"),), (at("1.2.3.5"),)
    assert answers.get(None, NOW_S, lambda: old) == old
    assert answers.get(None, NOW_S - 1.0, lambda: new) == new


def test_a_small_book_answers_afresh() -> None:
    """A node that has just started would pass on the first addresses that it heard of, and nothing else, all day."""
    known = KEPT_FROM_ANSWERS * WIRE_CAP - 1
    book = keeping(known)
    assert book.counts().new == known
    assert len({ask(book, NOW_S) for _ in range(5)}) == 5
    book.inbound_seen(at("200.1.1.1"), NOW_S)
    assert len({ask(book, NOW_S) for _ in range(5)}) == 1


def test_who_is_banned_is_not_told_any_more() -> None:
    book = keeping(1000)
    first = ask(book, NOW_S)
    book.remove_ip(first[0].ip, NOW_S)
    book.remove(first[1], NOW_S)
    assert ask(book, NOW_S) == first[2:]


def test_who_was_evicted_before_he_was_banned_is_not_told_either() -> None:
    book = keeping(1000)
    first = ask(book, NOW_S)
    book.dial_failed(first[0], NOW_S)
    assert ask(book, NOW_S) == first, "the answer does not show whom we lost"
    book.remove_ip(first[0].ip, NOW_S)
    assert ask(book, NOW_S) == first[1:]


def test_who_asks_not_to_be_advertised_is_not_told_any_more() -> None:
    book = keeping(1000)
    first = ask(book, NOW_S)
    book.set_advertise(first[0], False)
    assert ask(book, NOW_S) == first[1:]


def test_nobody_is_told_about_himself_or_about_what_he_cannot_reach() -> None:
    book = keeping(390)
    for n in range(30):
        book.add(at(f"192.168.{n}.1"), None, NOW_S)
    answers = {ip: ask(book, NOW_S, ip) for ip in (ASKER, "192.168.200.1")}
    assert not any(endpoint.ip.startswith("192.168.") for endpoint in answers[ASKER])
    assert any(endpoint.ip.startswith("192.168.") for endpoint in answers["192.168.200.1"])
    asker = answers[ASKER][0].ip
    assert ask(book, NOW_S, asker) == answers[ASKER][1:]


IPS = ["8.8.8.8", "9.9.9.9", "2a01:4f8::1", "10.1.1.1", "192.168.1.1", "127.0.0.1", "::1"]


@given(st.sampled_from(IPS), st.lists(st.builds(at, st.sampled_from(IPS), st.integers(1, 3)), max_size=12))
def test_what_an_asker_gets_is_what_the_rule_says_of_each_address(asker: str, told: list[Endpoint]) -> None:
    reach = net_class(asker)
    fit = tuple(it for it in told if net_class(it.ip) <= reach and (it.ip != asker or reach is not NetClass.PUBLIC))
    assert fit_for(asker, tuple(told)) == fit
    assert fit_for(None, tuple(told)) == tuple(told)


@given(st.integers(0, 3), st.lists(st.integers(0, 150), max_size=5))
def test_each_answer_is_the_kept_one_without_who_must_not_be_told(asking: int, silent: list[int]) -> None:
    book = Book(BookConfig(answer_kept_min_s=21 * HOUR_S, answer_kept_max_s=27 * HOUR_S), SECRET, Random(1))
    fill(book, 450)
    for n in range(60):
        book.add(at(f"192.168.{n}.1"), None, NOW_S)
    kept = ask(book, NOW_S)
    asker = (ASKER, kept[0].ip, kept[-1].ip, "9.9.9.9")[asking]
    for number in silent:
        book.set_advertise(kept[number % len(kept)], False)
    hidden = {kept[number % len(kept)] for number in silent}
    assert all(net_class(it.ip) is NetClass.PUBLIC for it in kept)
    assert ask(book, NOW_S, asker) == tuple(it for it in kept if it not in hidden and it.ip != asker)


def test_each_class_of_askers_has_an_answer_of_its_own() -> None:
    """Else the same answer over IPv4 and IPv6 shows that both addresses are one node."""
    book = keeping(1000)
    four, six = ask(book, NOW_S, ASKER), ask(book, NOW_S, "2a01:4f8::1")
    assert set(four) != set(six)
    assert ask(book, NOW_S, "2a01:4f8::2") == six
    assert asker_class(ASKER) != asker_class("10.1.1.1") != asker_class("127.0.0.1")


def test_it_is_on_by_default_and_can_be_turned_off() -> None:
    on, off = BookConfig.from_config(NodeConfig()), BookConfig.from_config(NodeConfig(keep_getpeers_answer=False))
    assert (on.answer_kept_min_s, on.answer_kept_max_s) == (21 * HOUR_S, 27 * HOUR_S)
    assert (off.answer_kept_min_s, off.answer_kept_max_s) == (0.0, 0.0)
    with pytest.raises(ValueError, match="expected 0 <= min <= max"):
        BookConfig(answer_kept_min_s=2.0, answer_kept_max_s=1.0)
