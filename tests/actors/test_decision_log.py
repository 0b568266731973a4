"""What of the node's decisions is logged, and how much."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from actors.decision_log import LOGGER, MAX_LINES, WINDOW_S, DecisionLog
from core.decisions import Decision, DecisionKind, Rule, decide

RULE = Rule("test_rule", "a test")
PASSING, NOTABLE = DecisionKind.CHOSEN, DecisionKind.REFUSED


def decision(kind: DecisionKind, at: float = 1.0) -> Decision:
    return decide("1.2.3.4:5001", kind, RULE, at)


class Lines(logging.Handler):
    """Every line logged, with its level."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.got.append((record.levelno, record.getMessage()))


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger(LOGGER)
    logger.addHandler(handler)
    before = logger.level
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.mark.parametrize(
    ("level", "logged"),
    [
        (logging.DEBUG, [(logging.DEBUG, "chosen"), (logging.INFO, "refused")]),
        (logging.INFO, [(logging.INFO, "refused")]),
        (logging.WARNING, []),
    ],
)
def test_routine_is_for_debugging_and_the_rest_is_information(
    lines: Lines, level: int, logged: list[tuple[int, str]]
) -> None:
    logging.getLogger(LOGGER).setLevel(level)
    log = DecisionLog(10)
    log.take((decision(PASSING), decision(NOTABLE)), 1.0)
    assert lines.got == [(level, f"1.2.3.4:5001 {word} by test_rule (a test)") for level, word in logged]
    assert len(log.story("1.2.3.4:5001")) == 2


def test_strangers_who_knock_do_not_fill_the_log(lines: Lines) -> None:
    logging.getLogger(LOGGER).setLevel(logging.INFO)
    log = DecisionLog(10)
    for _ in range(50):
        log.take((decision(NOTABLE),) * 20, 5.0)
    assert len(lines.got) == MAX_LINES + 1
    assert "are not logged" in lines.got[-1][1]
    log.take((decision(NOTABLE),), 5.0 + WINDOW_S)
    assert len(lines.got) == MAX_LINES + 2


def test_who_asks_for_details_gets_them_all(lines: Lines) -> None:
    logging.getLogger(LOGGER).setLevel(logging.DEBUG)
    DecisionLog(10).take((decision(NOTABLE),) * 1000, 5.0)
    assert len(lines.got) == 1000


def test_a_story_is_asked_for_by_any_spelling_of_the_address() -> None:
    log = DecisionLog(10)
    log.take((decision(NOTABLE),), 1.0)
    assert len(log.story("::ffff:1.2.3.4")) == 1
    with pytest.raises(ValueError, match="expected"):
        log.story("nobody")
