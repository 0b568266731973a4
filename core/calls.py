"""Requests on one connection: ours that wait for the remote's answer, and the remote's that wait for ours."""

from __future__ import annotations

import heapq
from functools import lru_cache
from typing import Any

import msgspec

_SLACK = 64
"""Deadlines of answered requests that may stay behind before they are swept."""


class PendingRequest(msgspec.Struct, frozen=True):
    """A request of ours. Times are monotonic seconds.

    ``ask_id`` is who waits for it: None the link itself, 0 nobody, anything else somebody of the node
    (:data:`core.effects.AskId`).
    """

    cid: int
    procedure: str
    ask_id: int | tuple[Any, int] | None
    sent_at: float
    deadline: float


class PendingRequests:
    """Our open requests by call id, and their deadlines. Call ids count from 1 (SocketCluster's ``cid``).

    Most connections have none for most of the time: those share a :class:`NoRequests`.
    """

    __slots__ = ("_by_cid", "_deadlines", "next_cid")

    def __init__(self, next_cid: int = 1) -> None:
        self.next_cid = next_cid
        self._by_cid: dict[int, PendingRequest] = {}
        self._deadlines: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._by_cid)

    def add(self, procedure: str, ask_id: int | tuple[Any, int] | None, timeout_s: float, now: float) -> PendingRequest:
        """Open a request and give it the next call id."""
        request = PendingRequest(self.next_cid, procedure, ask_id, now, now + timeout_s)
        self.next_cid += 1
        self._by_cid[request.cid] = request
        if len(self._deadlines) > 2 * len(self._by_cid) + _SLACK:
            self._sweep()
        else:
            heapq.heappush(self._deadlines, (request.deadline, request.cid))
        return request

    def take(self, cid: int) -> PendingRequest | None:
        """Close the request with this id and return it; None if there is none (answered, expired, or never ours)."""
        return self._by_cid.pop(cid, None) if self._by_cid else None

    def next_deadline(self) -> float | None:
        """The earliest deadline of an open request."""
        heap = self._deadlines
        while heap and heap[0][1] not in self._by_cid:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def take_expired(self, now: float) -> list[PendingRequest]:
        """Close and return every request whose deadline has come, earliest first."""
        expired = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            expired.append(self._by_cid.pop(heapq.heappop(self._deadlines)[1]))
        return expired

    def take_all(self) -> list[PendingRequest]:
        """Close and return every request, in the order they were made."""
        requests = list(self._by_cid.values())
        self._by_cid, self._deadlines = {}, []
        return requests

    def _sweep(self) -> None:
        # One slow request at the top would keep the deadlines of all later ones, answered or not, in memory.
        self._deadlines = [(request.deadline, request.cid) for request in self._by_cid.values()]
        heapq.heapify(self._deadlines)


class NoRequests(PendingRequests):
    """For a connection that has none: only says which call id comes next. Never to be added to, for those of the same
    number share one (:func:`no_requests`)."""

    __slots__ = ()


@lru_cache(maxsize=1024)
def no_requests(next_cid: int) -> NoRequests:
    """That of connections whose next call id is this."""
    return NoRequests(next_cid)


class OpenCalls:
    """The remote's calls that the application has not answered, capped.

    A call that nobody handles is never answered (as in lisk-p2p), so entries expire: without the cap and the expiry a
    remote could fill memory by asking for procedures that do not exist.
    """

    __slots__ = ("_cap", "_expiry_s", "_opened_at")

    def __init__(self, cap: int, expiry_s: float) -> None:
        self._cap = cap
        self._expiry_s = expiry_s
        self._opened_at: dict[int, float] = {}  # in the order of the times, so that the oldest comes first

    def __len__(self) -> int:
        return len(self._opened_at)

    def open(self, cid: int, now: float) -> bool:
        """Remember a call; False if there are too many (it should be refused). A repeated id replaces the earlier."""
        opened_at = self._opened_at
        opened_at.pop(cid, None)
        if len(opened_at) >= self._cap:
            self._forget_expired(now)
            if len(opened_at) >= self._cap:
                return False
        opened_at[cid] = now
        return True

    def close(self, cid: int) -> bool:
        """True if the call was open: it may be answered, once."""
        return self._opened_at.pop(cid, None) is not None

    def _forget_expired(self, now: float) -> None:
        limit = now - self._expiry_s
        for cid, opened_at in list(self._opened_at.items()):
            if opened_at > limit:
                break  # everything after is younger
            del self._opened_at[cid]


class ResponseRate:
    """How many of our application's requests the remote answered. An error is an answer; lateness is none."""

    __slots__ = ("answered", "unanswered")

    def __init__(self) -> None:
        self.answered = 0
        self.unanswered = 0

    def share(self) -> float | None:
        """The share that was answered, from 0 to 1; None before the first request was answered or timed out."""
        settled = self.answered + self.unanswered
        return self.answered / settled if settled else None
