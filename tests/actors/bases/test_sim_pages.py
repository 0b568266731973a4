"""Large pages are asked for where they are, and nothing is said where they are not."""

from __future__ import annotations

import mmap
import re
import resource
import sys
from pathlib import Path

import pytest

from actors.bases import sim_pages
from actors.bases.sim_pages import PAGE_BYTES, LargePages, use_large_pages


def huge_bytes() -> int:
    """What the kernel says that this process has in large pages."""
    found = re.search(r"AnonHugePages:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text())
    return int(found[1]) * 1024 if found else 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has them")
def test_what_is_said_to_be_in_large_pages_is() -> None:
    with mmap.mmap(-1, 4 * PAGE_BYTES, flags=mmap.MAP_PRIVATE) as memory:
        memory.write(bytes([1]) * (4 * PAGE_BYTES))
        done = use_large_pages()
        assert done >= 0
        assert done == 0 or huge_bytes() >= PAGE_BYTES, "a kernel may refuse, but must not be misquoted"
        assert memory[::PAGE_BYTES] == bytes([1]) * 4, "the memory is as it was"


@pytest.mark.parametrize("lines", ["", "not a map", "7f00-zz00 rw-p 0 0 0\n"])
def test_a_system_that_tells_nothing_is_left_alone(lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = tmp_path / "maps"
    maps.write_text(lines)
    monkeypatch.setattr(sim_pages, "MAPS", str(maps))
    assert use_large_pages() == 0
    monkeypatch.setattr(sim_pages, "MAPS", str(tmp_path / "none"))
    assert use_large_pages() == 0


def test_growth_is_seen_to_when_there_is_enough_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen_to: list[int] = []
    monkeypatch.setattr(sim_pages, "use_large_pages", lambda: seen_to.append(1))
    monkeypatch.setattr(sim_pages, "SIZES", str(tmp_path / "sizes"))
    pages = LargePages()
    resident_mib = [10, 15, 16, 25, 31, 32, 20, 47, 48]
    looks = []
    for mib in resident_mib:
        (tmp_path / "sizes").write_text(f"999999 {mib * 1024 * 1024 // resource.getpagesize()} 3 4\n")
        looks.append(pages.keep_up())
    assert [mib for mib, grown in zip(resident_mib, looks, strict=True) if grown] == [16, 32, 48]
    assert len(seen_to) == 3


def test_a_system_that_does_not_tell_its_size_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (None, "", "12", "a b"):
        if text is not None:
            (tmp_path / "sizes").write_text(text)
        monkeypatch.setattr(sim_pages, "SIZES", str(tmp_path / "sizes"))
        assert not LargePages().keep_up()
