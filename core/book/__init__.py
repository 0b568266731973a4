"""The peer book: known addresses in buckets, whom to dial, whom to tell (LIP 0004, "Peer directory", "Selection")."""

from __future__ import annotations

from core.book.book import Book
from core.book.choice import Choice, Constraints
from core.book.config import BookConfig, Hashing, Identity
from core.book.entry import BookCounts, EntryRecord, EntryView, Table
from core.book.hashing import NO_SOURCE, lisk_secret

__all__ = [
    "NO_SOURCE",
    "Book",
    "BookConfig",
    "BookCounts",
    "Choice",
    "Constraints",
    "EntryRecord",
    "EntryView",
    "Hashing",
    "Identity",
    "Table",
    "lisk_secret",
]
