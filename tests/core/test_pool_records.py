"""Why the pool did it: the record of every decision about a connection, with its rule, source and numbers."""

from __future__ import annotations

from core.evict import NO_PROTECTION, ProtectionRatios
from core.ids import CloseCode, Direction
from core.messages import (
    Ban,
)
from tests.core.pool_tools import IN, Driven, at

SELECTION, LISTS = "LIP 0004, Selection", "LIP 0004, Static lists"
CONNECTIONS, CODES = "LIP 0004, Connections", "docs/protocol.md, Close codes"
EVICTION = "LIP 0004, Inbound eviction"
A, B = at(1), at(2)


def test_a_dial_that_succeeds_and_is_closed_by_the_peer() -> None:
    pool = Driven(max_outbound_connections=3).start()
    pool.answer_book(A)
    pool.connected(A)
    pool.closed(A, code=CloseCode.NORMAL)
    assert pool.log.decisions == [
        f"{A.peer_id} dialled by outbound_slot_free (free_slots 3; {SELECTION})",
        f"{A.peer_id} connected by handshake_done (outbound 1, limit 3; {CONNECTIONS})",
        f"{A.peer_id} disconnected by closed_by_peer (code 1000; {CODES})",
    ]


def test_a_dial_that_fails() -> None:
    pool = Driven().start()
    pool.answer_book(A, B)
    pool.log.decisions.clear()
    pool.closed(A)
    pool.closed(B, code=CloseCode.TRY_AGAIN_LATER)
    assert pool.log.decisions == [
        f"{A.peer_id} disconnected by dial_failed (code 1006; {CONNECTIONS})",
        f"{B.peer_id} disconnected by refused_by_peer (code 1013; {CODES})",
    ]


def test_who_was_chosen_and_is_not_dialled_is_passed_over() -> None:
    pool = Driven(max_outbound_connections=9, fixed_peers=(at(3),)).start()
    pool.answer_book(A)
    pool.closed(A)
    pool.let_in(B)
    pool.advance(10.0)
    pool.ban(at(4).ip)
    pool.answer_book(at(5))
    pool.closed(at(5), code=CloseCode.OWN_NONCE)
    pool.log.decisions.clear()
    pool.answer_book(at(5), B, at(3), at(4))
    assert pool.log.decisions == [
        f"{at(5).peer_id} passed_over by rests_after_close (Ensemble, threat model)",
        f"{B.peer_id} passed_over by already_connected ({SELECTION})",
        f"{at(3).peer_id} passed_over by fixed_peer ({LISTS})",
        f"{at(4).peer_id} passed_over by banned_address (LIP 0004, Penalties and bans)",
    ]
    pool.advance(20.0)
    pool.log.decisions.clear()
    pool.answer_book(at(5))
    assert pool.log.decisions == [
        f"{at(5).peer_id} passed_over by own_address (docs/protocol.md, Checks of the listener)"
    ]


def test_a_fourth_peer_of_a_net_group_is_passed_over() -> None:
    pool = Driven().start()
    group = [at(1)._replace(ip=f"7.7.0.{number}") for number in range(1, 5)]
    pool.answer_book(*group)
    assert pool.log.decisions[-1] == f"7.7.0.4:5001 passed_over by outbound_group_full ({SELECTION})"


def test_fixed_peers_are_dialled_with_growing_pauses() -> None:
    pool = Driven(fixed_peers=(A,)).start()
    pool.closed(A)
    pool.advance(1.0)
    pool.closed(A)
    failed = f"{A.peer_id} disconnected by dial_failed (code 1006; {CONNECTIONS})"
    assert [line for line in pool.log.decisions if A.peer_id in line] == [
        f"{A.peer_id} dialled by fixed_peer (losses 0; {LISTS})",
        failed,
        f"{A.peer_id} deferred by redial_back_off (losses 1, pause_s 1; {LISTS})",
        f"{A.peer_id} dialled by fixed_peer (losses 1; {LISTS})",
        failed,
        f"{A.peer_id} deferred by redial_back_off (losses 2, pause_s 2; {LISTS})",
    ]


def test_seeds_are_asked_and_released() -> None:
    pool = Driven(max_outbound_connections=1, seed_peers=(A,)).start()
    pool.answer_book(tried=0)
    pool.connected(A)
    pool.fill_outbound(1, first=10)
    pool.advance(10.0)
    pool.closed(A)
    discovery = "LIP 0004, Start-up and discovery"
    story = [line for line in pool.log.decisions if line.startswith(A.peer_id)]
    assert story[0] == f"{A.peer_id} dialled by seed_asked (free_slots 1; {discovery})"
    assert story[-1] == f"{A.peer_id} disconnected by seed_released (code 1006; {discovery})"


def test_shuffling_says_among_how_many() -> None:
    pool = Driven(max_outbound_connections=2).start()
    peers = pool.fill_outbound(2)
    pool.log.decisions.clear()
    pool.advance(300.0)
    (line,) = (line for line in pool.log.decisions if "shuffled_out" in line)
    (gone,) = (peer for peer in peers if line.startswith(peer.peer_id))
    assert line == f"{gone.peer_id} shuffled_out by outbound_shuffling (candidates 2, limit 2; {CONNECTIONS})"
    pool.closed(gone, code=CloseCode.EVICTED)
    assert f"{gone.peer_id} disconnected by outbound_shuffling (code 4418; {CONNECTIONS})" in pool.log.decisions


def test_openers_are_admitted_and_refused_with_their_reason() -> None:
    pool = Driven(max_inbound_per_ip=1).start()
    pool.let_in(A)
    assert pool.log.decisions == [f"{A.peer_id} connected by admitted (inbound 1, limit 100; {CONNECTIONS})"]
    pool.log.decisions.clear()
    pool.admit(A)
    pool.admit(A._replace(port=9))
    pool.ban(B.ip)
    pool.admit(B)
    pool.stop()
    pool.admit(at(3))
    assert pool.log.decisions == [
        f"{A.peer_id} refused by duplicate_connection (code 4404; {CODES})",
        f"{A.ip}:9 refused by inbound_host_full (code 1013, from_host 1, limit 1; Ensemble, threat model)",
        f"{B.peer_id} refused by banned_address (code 4403; LIP 0004, Penalties and bans)",
        f"{at(3).peer_id} refused by node_is_stopping (code 1013; {CONNECTIONS})",
    ]


def test_an_eviction_says_why_and_who_was_spared() -> None:
    pool = Driven(max_inbound_connections=3, protection=ProtectionRatios(0, 0, 0, 0.5)).start()
    for number in range(3):
        pool.now += 1.0
        pool.let_in(at(number))
    pool.log.decisions.clear()
    pool.let_in(at(7))
    assert pool.log.decisions[0].startswith(f"{at(2).peer_id} evicted by youngest_of_largest_group (group_size 1, ")
    assert "limit 3" in pool.log.decisions[0]
    spared = [line.split(" (")[0] for line in pool.log.decisions if " protected " in line]
    assert spared == [f"{at(number).peer_id} protected by protected_by_longevity" for number in (0, 1)]
    pool.closed(at(2), IN, CloseCode.EVICTED)
    assert pool.log.decisions[-1] == f"{at(2).peer_id} disconnected by inbound_evicted (code 4418; {EVICTION})"


def test_that_a_peer_is_spared_is_told_once_and_anew_after_it_left() -> None:
    pool = Driven(max_inbound_connections=2, protection=ProtectionRatios(0, 0, 0, 0.5)).start()

    def told_after(number: int) -> int:
        pool.log.decisions.clear()
        pool.now += 1.0
        pool.let_in(at(number))
        (victim,) = (line.split()[0] for line in pool.log.decisions if " evicted " in line)
        pool.closed(next(endpoint for endpoint in map(at, range(20)) if endpoint.peer_id == victim), IN)
        return sum(" protected " in line for line in pool.log.decisions)

    for number in range(2):
        pool.now += 1.0
        pool.let_in(at(number))
    assert [told_after(number) for number in range(2, 7)] == [1, 0, 0, 0, 0]
    pool.closed(at(0), IN)
    pool.let_in(at(0))
    assert told_after(8) == 1


def test_nobody_to_evict_refuses_the_newcomer() -> None:
    pool = Driven(max_inbound_connections=1, protection=NO_PROTECTION, whitelisted_peers=(A,)).start()
    pool.let_in(A)
    pool.admit(B)
    assert pool.log.decisions[-1] == f"{B.peer_id} refused by nobody_to_evict (code 1013, limit 1; {EVICTION})"


def test_a_ban_and_a_stop_end_connections_for_their_own_reasons() -> None:
    pool = Driven().start()
    pool.answer_book(A, B)
    pool.connected(A)
    pool.connected(B)
    pool.apply(pool.pool.on_banned(Ban(A.ip, 9.0, "x")))
    pool.stop()
    pool.closed(A, Direction.OUTBOUND, CloseCode.NORMAL)
    pool.closed(B, Direction.OUTBOUND, CloseCode.NORMAL)
    assert pool.log.decisions[-2:] == [
        f"{A.peer_id} disconnected by banned_address (code 1000; LIP 0004, Penalties and bans)",
        f"{B.peer_id} disconnected by node_is_stopping (code 1000; {CONNECTIONS})",
    ]
