"""What a process of ours has used."""

from __future__ import annotations

import resource


def usage() -> dict[str, float]:
    """``cpu_s``: user and system time so far, ``rss_bytes``: resident memory now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/statm", encoding="ascii") as statm:
        pages = int(statm.read().split()[1])
    return {"cpu_s": used.ru_utime + used.ru_stime, "rss_bytes": float(pages * resource.getpagesize())}
