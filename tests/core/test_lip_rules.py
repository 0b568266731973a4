"""Rules of LIP 0004 that no other test names. docs/lip-0004.md has all rules, each with its test."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from core.book.config import BookConfig
from core.config import NodeConfig
from core.effects import ForwardToPeer
from core.events import PeerInfo
from core.evict import ProtectionRatios
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.messages import SendMessage
from core.pool_settings import PoolSettings
from core.select import Selection, for_request
from tests.core.pool_tools import IN, OUT, Driven, at, info

INTERVAL_S = 300.0
SEEDS = (Endpoint("9.1.0.1", 5001), Endpoint("9.2.0.1", 5001))


def crowded(selection: Selection | None = None) -> Driven:
    """A pool with 20 outbound and 40 inbound peers."""
    driven = Driven(selection=selection or Selection(), shuffle_interval_s=1e6).start()
    driven.fill_outbound(20)
    for number in range(20, 60):
        driven.let_in(at(number))
    return driven


def test_lip_sizes_of_the_two_collections() -> None:
    """LIP 0004, "Peer directory": tried has 64 x 32 places, new 128 x 32."""
    for config in (BookConfig(), BookConfig.from_config(NodeConfig())):
        assert config.tried_bucket_count * config.bucket_size == 2048
        assert config.new_bucket_count * config.bucket_size == 4096
        assert (config.tried_bucket_count, config.new_bucket_count, config.max_failures) == (64, 128, 3)


def test_lip_fractions_of_the_inbound_peers_that_are_protected() -> None:
    """LIP 0004, "Inbound eviction"; the fractions are lisk-p2p's, as the LIP gives none."""
    protection = PoolSettings.from_config(NodeConfig()).protection
    assert protection == ProtectionRatios(net_group=0.034, latency=0.068, productivity=0.068, longevity=0.5)


def test_lip_shuffling_drops_any_outbound_peer_alike_and_dials_a_replacement() -> None:
    """LIP 0004, "Connections": one uniformly chosen outbound connection, never a fixed peer, and a replacement."""
    fixed = at(90)
    dropped: Counter[Endpoint] = Counter()
    for seed in range(200):
        driven = Driven(seed=seed, max_outbound_connections=5, fixed_peers=(fixed,)).start()
        driven.connected(fixed)
        driven.fill_outbound(4)
        driven.advance(INTERVAL_S)
        (gone,) = driven.log.closes()
        dropped[gone] += 1
        driven.closed(gone, code=CloseCode.EVICTED)
        driven.answer_book(at(50))
        assert driven.dialled()[-1] == at(50)
    assert set(dropped) == {at(number) for number in range(4)}
    assert min(dropped.values()) >= 30, "50 each are expected"


def test_lip_a_request_goes_to_any_outbound_peer_alike() -> None:
    """LIP 0004, "Selection": for a request a random connected peer, outbound ones first."""
    driven = crowded()
    asked: Counter[Endpoint] = Counter()
    for _ in range(600):
        answer = driven.request("procedure")
        assert isinstance(answer, ForwardToPeer)
        assert answer.direction is OUT
        asked[answer.endpoint] += 1
    assert len(asked) == 20
    assert min(asked.values()) >= 10, "30 each are expected"


def test_lip_without_outbound_peers_a_request_goes_to_any_inbound_peer() -> None:
    """LIP 0004, "Selection": outbound peers come first, inbound ones are asked when there is no other."""
    peers = [info(at(number), IN) for number in range(4)]
    rng = Random(1)
    asked = [for_request(peers, rng) for _ in range(200)]
    assert {peer.peer_id for peer in asked if peer is not None} == {peer.peer_id for peer in peers}
    assert for_request([], rng) is None


@pytest.mark.parametrize(("connected", "asked"), [(19, True), (20, False)])
def test_lip_after_30_s_seeds_are_asked_again_below_20_outbound(connected: int, asked: bool) -> None:
    """LIP 0004, "Start-up and discovery", step 4, with the LIP's 20 wanted connections."""
    driven = Driven(seed_peers=SEEDS, shuffle_interval_s=1e6).start()
    driven.fill_outbound(connected)
    driven.advance(29.0)
    assert not set(SEEDS) & set(driven.dialled())
    driven.advance(1.0)
    assert (set(SEEDS) <= set(driven.dialled())) is asked


def test_departure_whoever_wants_more_than_20_asks_the_seeds_until_all_slots_are_taken() -> None:
    """LIP 0004, "Start-up and discovery", step 4, stops at 20; here the seeds help to fill whatever is wanted."""
    driven = Driven(seed_peers=SEEDS, max_outbound_connections=25, shuffle_interval_s=1e6).start()
    driven.fill_outbound(22)
    driven.advance(30.0)
    assert {endpoint for _, endpoint, kind in driven.log.dials if kind is PeerKind.SEED} == set(SEEDS)


def test_lip_a_block_is_pushed_to_16_peers_and_announced_to_all_the_others() -> None:
    """LIP 0004, "Propagation": a rule of the application tells the second group from the first."""
    pushed: set[str] = set()

    def others(peers: tuple[PeerInfo, ...], _limit: int, message: SendMessage) -> list[PeerInfo] | None:
        if message.event != "announce":
            return None  # 16, 8 of them outbound: the node's own rule
        return [peer for peer in peers if peer.peer_id not in pushed]

    driven = crowded(Selection(send_rule=others))
    driven.send("block")
    first = driven.log.sent_to("block")
    pushed.update(endpoint.peer_id for endpoint, _ in first)
    assert len(pushed) == 16
    assert sum(direction is Direction.OUTBOUND for _, direction in first) >= 8
    driven.send("announce")
    second = driven.log.sent_to("announce")
    assert len(second) == 60 - 16
    assert not set(first) & set(second)


def test_lip_transactions_are_announced_to_everybody_and_asked_of_the_announcer() -> None:
    """LIP 0004, "Propagation": announce to everybody; the receiver asks the one who announced for what it lacks."""
    driven = crowded()
    driven.broadcast("ids")
    told = driven.log.sent_to("ids")
    assert len(told) == len(set(told)) == 60
    for endpoint, direction in told:
        answer = driven.request("transactions", endpoint.peer_id)
        assert isinstance(answer, ForwardToPeer)
        assert (answer.endpoint, answer.direction) == (endpoint, direction)
