"""Measure the in-process base beside Thespian's simpleSystemBase, in one run.

    python -m scripts.benchmarks.actors [--rounds 5] [--messages 200000] [--json FILE]

Every round measures every base once, in turn, so that a change of the machine's speed hits all of them alike; what is
reported is the median over the rounds with the lowest and highest, and the median of the *ratios within a round*.

* ping-pong: two actors, 1 or 32 messages under way between them; messages handled per second of wall clock.
* ask: one question at a time from outside.
* idle: CPU seconds of the whole process in 2 s of a system with a hundred waiting actors.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thespian.actors import Actor, ActorSystem, WakeupMessage

from actors.bases.inproc import InProcessBase

IDLE_S = 2.0
IDLE_ACTORS = 100
TIME_LIMIT_S = 120

REFERENCE = "simpleSystemBase"
BASES: dict[str, Callable[[], ActorSystem]] = {
    REFERENCE: lambda: ActorSystem(REFERENCE, logDefs=False, transientUnique=True),
    "in-process, own thread": lambda: _in_process(drive="thread"),
    "in-process, caller": lambda: _in_process(drive="caller"),
    "in-process, own thread, strict": lambda: _in_process(drive="thread", strict=True),
    "in-process, caller, strict": lambda: _in_process(drive="caller", strict=True),
}


def _in_process(**options: Any) -> ActorSystem:
    return ActorSystem(systemBase=InProcessBase(logDefs=False, **options), transientUnique=True)


class Echo(Actor):
    """Sends back whatever it gets."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        self.send(sender, message)


class Pinger(Actor):
    """Told (echo, count, window): keeps ``window`` messages under way until ``count`` have come back, then tells."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if message == 1:
            self.missing -= 1
            if self.missing >= self.window:
                self.send(sender, 1)
            elif self.missing == 0:
                self.send(self.client, "done")
        elif isinstance(message, tuple):
            echo, self.missing, self.window = message
            self.client = sender
            for _ in range(self.window):
                self.send(echo, 1)


class Sleeper(Actor):
    """Waits: asked, it answers after the given seconds."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, WakeupMessage):
            self.send(message.payload, "awake")
        elif isinstance(message, int | float):
            self.wakeupAfter(message, sender)


def ping_pong(system: ActorSystem, count: int, window: int) -> float:
    """Return messages handled per second, both ways counted."""
    echo, pinger = system.createActor(Echo), system.createActor(Pinger)
    start = time.perf_counter()
    answer = system.ask(pinger, (echo, count // 2, window), TIME_LIMIT_S)
    elapsed = time.perf_counter() - start
    if answer != "done":
        raise RuntimeError(f"ping-pong did not end within {TIME_LIMIT_S} s")
    return count / elapsed


def ask_rate(system: ActorSystem, count: int) -> float:
    """Return questions answered per second, one at a time."""
    echo = system.createActor(Echo)
    start = time.perf_counter()
    for number in range(count):
        if system.ask(echo, number, TIME_LIMIT_S) != number:
            raise RuntimeError("a question was not answered")
    return count / (time.perf_counter() - start)


def idle_cpu(seconds: float = IDLE_S) -> dict[str, float]:
    """Return CPU seconds and loop turns of a system whose actors wait."""
    base = InProcessBase(logDefs=False)
    system = ActorSystem(systemBase=base, transientUnique=True)
    try:
        sleepers = [system.createActor(Sleeper) for _ in range(IDLE_ACTORS)]
        for sleeper in sleepers[1:]:
            system.tell(sleeper, 3600)
        turns, cpu = base.loop_turns, time.process_time()
        system.ask(sleepers[0], seconds, TIME_LIMIT_S)
        return {
            "seconds": seconds,
            "cpu_s": time.process_time() - cpu,
            "loop_turns": base.loop_turns - turns,
        }
    finally:
        system.shutdown()


def _measure(make: Callable[[], ActorSystem], messages: int) -> dict[str, float]:
    system = make()
    try:
        return {
            "window_1": ping_pong(system, messages, 1),
            "window_32": ping_pong(system, messages, 32),
            "ask": ask_rate(system, max(messages // 20, 1)),
        }
    finally:
        system.shutdown()


def _summary(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def run(rounds: int = 5, messages: int = 200_000, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Return the figures of every base: per second, and as ratio to simpleSystemBase in the same round."""
    raw: dict[str, list[dict[str, float]]] = {name: [] for name in BASES}
    for number in range(rounds):
        if progress is not None:
            progress(f"round {number + 1} of {rounds}")
        names = list(BASES)
        for name in names if number % 2 == 0 else reversed(names):
            raw[name].append(_measure(BASES[name], messages))
    result: dict[str, Any] = {"rounds": rounds, "messages": messages, "bases": {}, "idle": idle_cpu()}
    for name, figures in raw.items():
        result["bases"][name] = {
            measure: {
                "per_s": _summary([figure[measure] for figure in figures]),
                "ratio": _summary(
                    [
                        mine[measure] / reference[measure]
                        for mine, reference in zip(figures, raw[REFERENCE], strict=True)
                    ]
                ),
            }
            for measure in ("window_1", "window_32", "ask")
        }
    return result


def table(result: dict[str, Any]) -> str:
    """Return ``run``'s result as text."""
    lines = [
        f"median of {result['rounds']} rounds (lowest - highest), {result['messages']} messages each; "
        f"x: ratio to {REFERENCE} in the same round",
        f"{'':32}{'ping-pong, window 1':>34}{'ping-pong, window 32':>34}{'ask from outside':>34}",
    ]
    for name, measures in result["bases"].items():
        cells = ""
        for figures in measures.values():
            rate, ratio = figures["per_s"], figures["ratio"]
            thousands = f"{rate['median'] / 1e3:.0f}k ({rate['low'] / 1e3:.0f}k - {rate['high'] / 1e3:.0f}k)"
            cells += f"{thousands:>25}{ratio['median']:7.1f} x"
        lines.append(f"{name:32}{cells}")
    idle = result["idle"]
    lines.append(
        f"idle for {idle['seconds']:.0f} s with {IDLE_ACTORS} waiting actors: "
        f"{idle['cpu_s'] * 1e3:.1f} ms CPU, {idle['loop_turns']:.0f} loop turns"
    )
    return "\n".join(lines)


def markdown(result: dict[str, Any]) -> str:
    """Return ``run``'s result as it stands in docs/performance.md."""
    lines = ["| | messages/s, 1 under way | ratio | messages/s, 32 under way | ratio |", "|---|---|---|---|---|"]
    for name, measures in result["bases"].items():
        cells = []
        for window in ("window_1", "window_32"):
            rate, ratio = measures[window]["per_s"], measures[window]["ratio"]
            cells.append(f"{rate['median'] / 1e3:,.0f}k ({rate['low'] / 1e3:,.0f}k to {rate['high'] / 1e3:,.0f}k)")
            cells.append(f"**{ratio['median']:.1f}**")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the in-process base beside Thespian's simpleSystemBase.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    if options.rounds < 1 or options.messages < 100:
        parser.error("expected at least 1 round and 100 messages")
    result = run(options.rounds, options.messages, lambda text: print(text, file=sys.stderr, flush=True))
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
