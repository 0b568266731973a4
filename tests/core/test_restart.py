"""How often crashed actors are replaced."""

from __future__ import annotations

from core.restart import CRASH_WINDOW_S, MAX_CRASHES, MAX_PAUSE_S, RestartBudget


def test_crashes_are_forgiven_with_growing_pauses_and_then_no_more() -> None:
    budget, now, pauses = RestartBudget(), 100.0, []
    for _ in range(MAX_CRASHES):
        assert budget.crashed("book", now)
        due = budget.next_due()
        assert due is not None
        assert budget.due(due - 0.001) == []
        pauses.append(due - now)
        now = due
        assert budget.due(now) == ["book"]
        assert budget.next_due() is None
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.1
    assert pauses[-1] == MAX_PAUSE_S
    assert not budget.crashed("book", now)
    assert budget.next_due() is None


def test_a_crash_told_twice_counts_once() -> None:
    budget = RestartBudget()
    for _ in range(10 * MAX_CRASHES):
        assert budget.crashed("pool", 1.0)
    assert len(budget.due(1e9)) == 1


def test_old_crashes_are_forgotten() -> None:
    budget, now = RestartBudget(), 0.0
    for _ in range(10 * MAX_CRASHES):
        assert budget.crashed("server", now)
        budget.due(1e9)
        now += CRASH_WINDOW_S / MAX_CRASHES + 1


def test_each_actor_has_its_own_budget() -> None:
    budget = RestartBudget()
    for _ in range(MAX_CRASHES):
        budget.crashed("book", 0.0)
        budget.due(1e9)
    assert not budget.crashed("book", 0.0)
    assert budget.crashed("pool", 0.0)
    assert budget.crashed("server", 0.0)
    assert sorted(budget.due(1e9)) == ["pool", "server"]


def test_budget_and_window_are_the_nodes_own() -> None:
    budget = RestartBudget(1, 10.0)
    assert budget.crashed("book", 0.0)
    budget.due(1.0)
    assert not budget.crashed("book", 9.0)
    budget = RestartBudget(1, 10.0)
    assert budget.crashed("book", 0.0)
    budget.due(1.0)
    assert budget.crashed("book", 11.0)
    assert not RestartBudget(0, 10.0).crashed("book", 0.0)
