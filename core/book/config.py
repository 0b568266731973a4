"""Settings of the peer book. The defaults are LIP 0004; every departure of lisk-p2p is a named option."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from core.config import NodeConfig
from core.config.derived import one_of_equals

DAY_S = 86_400.0

LISK_SECRET_BYTES = 4

LIP_TRIED_SHARE = 0.5

KEPT_MIN_S = 21 * 3600.0
KEPT_MAX_S = 27 * 3600.0
"""How long a `getPeers` answer is given again (Bitcoin Core PR #18991): about a day, at a moment nobody can foresee."""


_MOST = {"new_bucket_count": 255, "tried_bucket_count": 255, "bucket_size": 65_535, "max_failures": 65_535}
"""The number of a bucket is one byte of the book's rows (:mod:`core.book.rows`), the others are two."""


class Hashing(enum.Enum):
    """How an address finds its bucket."""

    LIP = "lip"
    """LIP 0004, with IPv6, and a secret of any length from 4 bytes."""
    LISK = "lisk"
    """Number for number as lisk-p2p 0.6.1 to 0.10: IPv4 only, a secret of 4 bytes."""


class Identity(enum.Enum):
    """What counts as one peer."""

    IP = "ip"
    """LIP 0004: one entry for each IP address (loopback: for each ip:port)."""
    ENDPOINT = "endpoint"
    """lisk-p2p: one entry for each ip:port."""


@dataclass(frozen=True, slots=True)
class BookConfig:
    """Sizes and rules of the peer book.

    Defaults: LIP 0004, "Peer directory" and "Selection". Raises ValueError for a figure that cannot work.
    """

    new_bucket_count: int = 128
    tried_bucket_count: int = 64
    bucket_size: int = 32
    new_max_age_s: float = 30 * DAY_S
    """Age in `new` above which an occupant is evicted first when a bucket is full (lisk-p2p: 1 day)."""
    max_failures: int = 3
    """Consecutive failed dials after which a tried address is demoted."""
    hashing: Hashing = Hashing.LIP
    identity: Identity = Identity.IP
    private_networks_exempt: bool = False
    """Treat private addresses as loopback: an entry for each ip:port, no group limits. For networks on one LAN."""
    refuse_narrower_reach: bool = True
    """Refuse an address that reaches less far than whoever told it: a public peer cannot make us dial our own machine
    or LAN (Bitcoin Core drops unroutable addresses altogether)."""
    min_tried_to_weigh: int = 100
    """With fewer tried addresses the outbound choice is uniform over all known ones."""
    coin_flip_when_few: bool = False
    """lisk-p2p: with few tried addresses, flip a coin between the tables instead."""
    least_tried_share: float = LIP_TRIED_SHARE
    """Least probability that an outbound choice comes from `tried`, if there are enough tried addresses to weigh."""
    max_weight_per_group: int = 0
    """In a draw, a net group counts for so many addresses at most (:mod:`core.book.weights`). 0: each address counts
    for one."""
    test_before_evict: bool = False
    """Ask for a test of the occupant before it leaves a full tried bucket (Bitcoin Core, Heilman et al. 2015)."""
    answer_kept_min_s: float = 0.0
    answer_kept_max_s: float = 0.0
    """How long a `getPeers` answer is given again, drawn anew for each (:mod:`core.book.answers`). 0: not at all."""

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ValueError(f"{name}: expected 1 to {most}, got {value!r}")
        if not self.new_max_age_s > 0:
            raise ValueError(f"new_max_age_s: expected more than 0 seconds, got {self.new_max_age_s!r}")
        if self.min_tried_to_weigh < 0:
            raise ValueError(f"min_tried_to_weigh: expected 0 or more, got {self.min_tried_to_weigh!r}")
        if not 0.0 <= self.least_tried_share <= 1.0:
            raise ValueError(f"least_tried_share: expected 0 to 1, got {self.least_tried_share!r}")
        if self.max_weight_per_group < 0:
            raise ValueError(f"max_weight_per_group: expected 0 or more, got {self.max_weight_per_group!r}")
        if not 0 <= self.answer_kept_min_s <= self.answer_kept_max_s:
            given = (self.answer_kept_min_s, self.answer_kept_max_s)
            raise ValueError(f"answer_kept_min_s and _max_s: expected 0 <= min <= max, got {given}")

    @classmethod
    def from_config(cls, config: NodeConfig) -> BookConfig:
        """The book's part of a node's configuration."""
        settings = cls(
            new_max_age_s=config.peer_book_new_max_age_s,
            hashing=Hashing(config.peer_book_hashing),
            identity=Identity(config.peer_book_identity),
            private_networks_exempt=config.private_networks_exempt,
            refuse_narrower_reach=config.refuse_narrower_reach,
            coin_flip_when_few=config.peer_book_few_tried_choice == "coin-flip",
            # Without feelers the draws from `new` are all that ever tries a new address out.
            least_tried_share=config.tried_draws_ratio if config.feeler_interval_s > 0 else LIP_TRIED_SHARE,
            max_weight_per_group=config.draw_weight_per_netgroup,
            # Without feelers nobody would make the test, and every newcomer win after 40 minutes.
            test_before_evict=config.test_before_evict and config.feeler_interval_s > 0,
            answer_kept_min_s=KEPT_MIN_S if config.keep_getpeers_answer else 0.0,
            answer_kept_max_s=KEPT_MAX_S if config.keep_getpeers_answer else 0.0,
        )
        return one_of_equals(settings)

    def key_from(self, secret: bytes) -> bytes:
        """The part of a node's secret that keys the buckets: all, or the 4 bytes that lisk-p2p's hashing takes."""
        return secret[:LISK_SECRET_BYTES] if self.hashing is Hashing.LISK else secret

    @classmethod
    def like_lisk(cls) -> BookConfig:
        """The options under which the book files addresses as lisk-p2p 0.10 does (its defects excepted)."""
        return cls(
            new_max_age_s=DAY_S,
            hashing=Hashing.LISK,
            identity=Identity.ENDPOINT,
            refuse_narrower_reach=False,
            coin_flip_when_few=True,
        )
