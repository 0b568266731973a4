"""The LIP's choice of peers for sending and asking, as properties over any set of peers."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from core.events import PeerInfo
from core.ids import Direction, PeerKind
from core.select import for_request, for_send
from core.slots import roles_of
from tests.core.pool_tools import IN, OUT, at, info

KINDS = st.sampled_from(
    [PeerKind.NONE, PeerKind.NONE, PeerKind.NONE, PeerKind.FIXED, PeerKind.WHITELISTED, PeerKind.SEED]
)
PEERS = st.lists(st.tuples(st.sampled_from([IN, OUT]), KINDS), max_size=60).map(
    lambda shapes: [info(at(number), direction, kind=kind) for number, (direction, kind) in enumerate(shapes)]
)


def outbound(peers: list[PeerInfo]) -> int:
    return sum(peer.direction is Direction.OUTBOUND for peer in peers)


@given(peers=PEERS, limit=st.integers(1, 40), seed=st.integers(0, 1000))
def test_a_send_has_its_size_its_fixed_peers_and_its_outbound_half(
    peers: list[PeerInfo], limit: int, seed: int
) -> None:
    chosen = for_send(roles_of(peers), limit, Random(seed))
    ids = [peer.peer_id for peer in chosen]
    fixed = [peer for peer in peers if peer.kind is PeerKind.FIXED]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= {peer.peer_id for peer in peers}
    assert {peer.peer_id for peer in fixed} <= set(ids)
    assert len(chosen) == max(min(limit, len(peers)), len(fixed))
    # At least half outbound, while there are as many, and while fixed inbound peers leave room.
    fixed_inbound = len(fixed) - outbound(fixed)
    wanted = min((limit + 1) // 2, outbound(peers), max(outbound(fixed), limit - fixed_inbound))
    assert outbound(chosen) >= wanted


def test_every_peer_has_its_turn() -> None:
    peers = [info(at(number), OUT if number < 20 else IN) for number in range(120)]
    rng = Random(3)
    counts = Counter(peer.peer_id for _ in range(400) for peer in for_send(roles_of(peers), 16, rng))
    assert len(counts) == 120
    shares = [counts[peer.peer_id] / 400 for peer in peers[:20]]
    assert max(shares) - min(shares) < 0.2  # 8 of 20 and a little more, each


@given(peers=PEERS, seed=st.integers(0, 1000))
def test_a_request_goes_to_an_outbound_peer_if_there_is_one(peers: list[PeerInfo], seed: int) -> None:
    chosen = for_request(peers, Random(seed))
    if not peers:
        assert chosen is None
    else:
        assert chosen in peers
        assert chosen is not None
        assert chosen.direction is OUT or not outbound(peers)
