"""What comes back from disk is checked field by field, and when to write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.book import EntryRecord
from core.ids import Endpoint
from core.messages import (
    Ban,
)
from core.netgroup import net_group
from core.stored import (
    MAX_ENTRIES,
    MAX_REASON_CHARACTERS,
    MAX_STORED_BANS,
    MAX_UNIX_TIME,
    SECRET_BYTES,
    SOON_S,
    RowReader,
    SavePlan,
    Snapshot,
    anchor_from_row,
    ban_from_row,
    entry_from_row,
    secret_from,
)

NOW_S = 1_700_000_000.0
ENTRY = ("1.2.3.4", 5001, "tried", bytes(net_group("9.8.7.6")), 2, NOW_S, NOW_S + 1, NOW_S + 2, 1)
BAN = ("1.2.3.4", NOW_S, "too many messages")
ANCHOR = ("2001:db8::1", 5001)

NAN, INFINITY = float("nan"), float("inf")
BAD_IPS = (
    None, 5, b"1.2.3.4", "", "1.2.3", "01.2.3.4", "1.2.3.4 ", "::ffff:1.2.3.4", "2001:DB8::1", "2001:db8:0::1",
    "fe80::1%eth0", "localhost", "\ufffd", "1" * 10_000,
)  # fmt: skip
UNDIALLED_IPS = ("0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1")
BAD_PORTS = (None, 0, -1, 65_536, 2**63, 5001.0, "5001", b"\0\0")
BAD_TIMES = (NAN, INFINITY, -INFINITY, -1.0, MAX_UNIX_TIME + 1e3, "soon", b"", 10**400)

BAD_ENTRIES = {
    0: (*BAD_IPS, *UNDIALLED_IPS),
    1: BAD_PORTS,
    2: (None, "", "old", b"new", 1),
    3: (None, "", b"junk", b"\x40\x01", b"\x40\x01\x02\x03", b"\x60" * 4, b"\x40" * 100_000),
    4: (None, -1, 10**9, 1.5, "0"),
    5: (None, *BAD_TIMES),
    6: BAD_TIMES,
    7: BAD_TIMES,
    8: (None, 2, -1, "true", 1.0),
}
BAD_BANS = {0: BAD_IPS, 1: (None, *BAD_TIMES), 2: (None, b"reason", 5, "x" * (MAX_REASON_CHARACTERS + 1))}
BAD_ANCHORS = {0: (*BAD_IPS, *UNDIALLED_IPS), 1: BAD_PORTS}


def cases() -> list[Any]:
    found = []
    for convert, good, bad in (
        (entry_from_row, ENTRY, BAD_ENTRIES),
        (ban_from_row, BAN, BAD_BANS),
        (anchor_from_row, ANCHOR, BAD_ANCHORS),
    ):
        for column, values in bad.items():
            for value in values:
                row = (*good[:column], value, *good[column + 1 :])
                found.append(pytest.param(convert, row, id=f"{convert.__name__}-{column}-{str(value)[:12]}"))
    return found


def test_good_rows_become_what_they_were() -> None:
    record = entry_from_row(ENTRY)
    assert record == EntryRecord(*ENTRY[:8], True)  # type: ignore[arg-type]
    assert record.advertise is True
    assert ban_from_row(BAN) == Ban(*BAN)
    assert anchor_from_row(ANCHOR) == Endpoint("2001:db8::1", 5001)
    assert secret_from(bytes(range(32))) == bytes(range(32))


def test_what_may_be_missing_may_be_missing() -> None:
    record = entry_from_row(("1.2.3.4", 5001, "new", b"", 0, 0, None, None, 0))
    assert (record.source_group, record.last_connected, record.last_seen, record.advertise) == (b"", None, None, False)
    assert type(record.placed_at) is float


def test_an_address_that_cannot_be_dialled_can_be_banned() -> None:
    for ip in UNDIALLED_IPS:
        assert ban_from_row((ip, NOW_S, "")).ip == ip


@pytest.mark.parametrize(("convert", "row"), cases())
def test_one_bad_field_makes_a_row_unusable(
    convert: Callable[[Sequence[object]], object], row: Sequence[object]
) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        convert(row)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(("convert", "row"), [(entry_from_row, ENTRY), (ban_from_row, BAN), (anchor_from_row, ANCHOR)])
def test_a_row_has_its_columns_no_more_and_no_less(
    convert: Callable[[Sequence[object]], object], row: Sequence[object]
) -> None:
    for wrong in (row[:-1], (*row, None), ()):
        with pytest.raises(ValueError, match=rf"expected {len(row)} columns, got {len(wrong)}"):
            convert(wrong)


@pytest.mark.parametrize("value", [None, "", b"", bytes(SECRET_BYTES - 1), bytes(SECRET_BYTES + 1), "x" * SECRET_BYTES])
def test_a_secret_has_32_bytes_and_stays_out_of_messages(value: object) -> None:
    with pytest.raises(ValueError, match=f"^secret: expected {SECRET_BYTES} bytes$"):
        secret_from(value)


ANYTHING = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=60), st.binary(max_size=60))


@given(st.lists(ANYTHING, max_size=10))
def test_whatever_a_row_holds_it_is_taken_or_refused_with_a_reason(row: list[object]) -> None:
    for convert in (entry_from_row, ban_from_row, anchor_from_row):
        reader = RowReader()
        kept = reader.read([row], convert, "rows")
        assert len(kept) + reader.skipped == 1
        assert bool(reader.first) == bool(reader.skipped)


def test_unusable_rows_make_one_warning() -> None:
    reader = RowReader()
    assert reader.notices() == ()
    assert reader.read([BAN, BAN[:2], BAN], ban_from_row, "bans") == [Ban(*BAN), Ban(*BAN)]
    assert reader.notices() == ("1 stored row is unusable and left out; the first: bans: expected 3 columns, got 2",)
    reader.skip("entries: too many", 7)
    assert reader.notices() == ("8 stored rows are unusable and left out; the first: bans: expected 3 columns, got 2",)


def test_a_snapshot_is_cut_to_what_is_read_back() -> None:
    record = entry_from_row(ENTRY)
    many = Snapshot((record,) * (MAX_ENTRIES + 5), (Ban("1.2.3.4", NOW_S, "x" * 1000),) * (MAX_STORED_BANS + 5))
    cut = many.bounded()
    assert (len(cut.entries), len(cut.bans)) == (MAX_ENTRIES, MAX_STORED_BANS)
    assert ban_from_row((cut.bans[0].ip, cut.bans[0].until, cut.bans[0].reason)) == cut.bans[0]


def test_a_change_is_due_at_the_end_of_the_interval() -> None:
    plan = SavePlan(60.0, now=100.0)
    assert plan.next_due(0) == 160.0  # what was read may not be what there is now
    plan.saved(8, now=160.0)
    assert plan.next_due(8) is None
    assert plan.next_due(9) == 220.0


def test_what_must_not_be_lost_is_due_soon_and_only_once() -> None:
    plan = SavePlan(60.0, now=100.0)
    plan.saved(7, now=100.0)
    plan.hurry()
    assert plan.next_due(7) == 100.0 + SOON_S
    plan.saved(7, now=101.0)
    assert plan.next_due(7) is None


def test_soon_is_never_later_than_the_interval() -> None:
    plan = SavePlan(0.25, now=100.0)
    plan.hurry()
    assert plan.next_due(7) == 100.25


def test_a_failed_write_is_tried_again_though_nothing_changed() -> None:
    plan = SavePlan(60.0, now=100.0)
    plan.saved(8, now=160.0)
    plan.failed()
    assert plan.next_due(8) == 220.0
    plan.saved(8, now=220.0)
    assert plan.next_due(8) is None
