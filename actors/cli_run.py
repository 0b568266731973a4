"""What ``ensemble run`` does while the node runs: a live status, and a clean stop at Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

from core.errors import EnsembleError, StopFailed

TTY_INTERVAL_S = 1.0
LOG_INTERVAL_S = 10.0
STOP_TIMEOUT_S = 5.0

MIN_RATE_INTERVAL_S = 0.1
"""Over less than this a rate is noise: a handful of messages at the start would read as thousands a second."""

Stats = Any
"""What ``get_network_stats()`` returns: :class:`core.messages.NetworkStats`."""


class Node(Protocol):
    """What of ``P2P`` is used here."""

    @property
    def listen_address(self) -> tuple[str, int] | None:
        """The bound address, None if the node does not listen."""

    def start(self) -> object:
        """Start; raises StartFailed."""

    def stop(self, timeout_s: float = ...) -> object:
        """Stop; raises StopFailed."""

    def get_network_stats(self) -> Stats:
        """Counters since the start."""


@dataclass(slots=True)
class Status:
    """Turns two readings of the counters into one line. ``started_at`` and ``read_at`` are monotonic seconds."""

    address: str
    started_at: float
    read_at: float
    received: int = 0
    sent: int = 0

    def line(self, stats: Stats, now: float) -> str:
        """The status at ``now``; rates are averages since the last call."""
        rate_in = rate_out = 0.0
        elapsed_s = now - self.read_at
        if elapsed_s >= MIN_RATE_INTERVAL_S:
            rate_in = (stats.messages_received_total - self.received) / elapsed_s
            rate_out = (stats.messages_sent_total - self.sent) / elapsed_s
            self.read_at, self.received, self.sent = now, stats.messages_received_total, stats.messages_sent_total
        return (
            f"{self.address}  peers in {stats.inbound_connected} out {stats.outbound_connected}"
            f"  messages/s in {rate_in:,.0f} out {rate_out:,.0f}  up {duration(now - self.started_at)}"
            f"  requests {stats.requests_received_total:,}"
        )


def short(stats: Stats) -> str:
    """What matters most, for a terminal that is too narrow for the line."""
    return f"peers in {stats.inbound_connected} out {stats.outbound_connected}"


def duration(seconds: float) -> str:
    """``3725`` as ``1:02:05``, ``65`` as ``1:05``; days are counted in hours."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextlib.contextmanager
def stop_signals() -> Iterator[int]:
    """Turn SIGINT, SIGTERM and a closed terminal into a byte on a pipe; yields the file descriptor to wait for.

    A pipe, because a handler that sets a ``threading.Event`` can deadlock with the wait that it interrupts.
    """
    readable, writable = os.pipe()
    os.set_blocking(writable, False)

    def note(_number: int, _frame: object) -> None:
        with contextlib.suppress(BlockingIOError):  # full of earlier signals: the wish is known
            os.write(writable, b"!")

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup has asked to go on without the terminal
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, note) for number in numbers}
    try:
        yield readable
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        os.close(readable)
        os.close(writable)


def run_node(node: Node, output: TextIO, note: str = "") -> int:
    """Start the node, show its status until a signal comes, stop it. Returns the exit code: 0, or 1 on failure.

    ``note`` is said once, on stderr, when the node runs.
    """
    with stop_signals() as stop_requested:
        try:
            node.start()
        except EnsembleError as error:
            print(f"ensemble: could not start: {error}", file=sys.stderr)
            return 1
        if note:
            print(f"ensemble: {note}", file=sys.stderr)
        failure: EnsembleError | None = None
        try:
            _show_status(node, output, stop_requested)
        except EnsembleError as error:
            failure = error
        except BrokenPipeError:
            failure = None  # nobody reads the status any more; a pipeline ends this way
        finally:
            failure = _stop(node) or failure
    if failure is not None:
        print(f"ensemble: {failure}", file=sys.stderr)
        return 1
    with contextlib.suppress(OSError):
        print("stopped", file=output, flush=True)
    return 0


def _stop(node: Node) -> EnsembleError | None:
    try:
        node.stop(timeout_s=STOP_TIMEOUT_S)
    except StopFailed as error:
        return error
    return None


def _show_status(node: Node, output: TextIO, stop_requested: int) -> None:
    """Write the status until ``stop_requested`` becomes readable. Raises what the node and the output raise."""
    address = node.listen_address
    shown = "not listening" if address is None else f"listening on {_endpoint(*address)}"
    is_tty = output.isatty()
    started_at = time.monotonic()
    status = Status(shown, started_at, started_at)
    try:
        while True:
            stats = node.get_network_stats()
            line = status.line(stats, time.monotonic())
            # Rewritten in place on a terminal, where a line longer than the terminal would wrap and scroll.
            width = shutil.get_terminal_size().columns - 1
            if is_tty and len(line) > width:
                line = line.removeprefix(f"{shown}  ") if width > len(line) - len(shown) else short(stats)
            _write(output, f"\r{line[:width]}\x1b[K" if is_tty else f"{line}\n")
            interval_s = TTY_INTERVAL_S if is_tty else LOG_INTERVAL_S
            if _wait(node, stop_requested, time.monotonic() + interval_s):
                return
    finally:
        if is_tty:
            _write(output, "\n")


def wait_for(stop_requested: int, seconds: float) -> bool:
    """Wait for a signal, so long at most; whether one came."""
    return bool(select.select([stop_requested], [], [], seconds)[0])


def _wait(node: Node, stop_requested: int, until: float) -> bool:
    """Wait for a signal; whether one came. A node that has failed is not waited for: the next question tells why."""
    while (left_s := until - time.monotonic()) > 0 and getattr(node, "is_active", True):
        if select.select([stop_requested], [], [], min(left_s, TTY_INTERVAL_S))[0]:
            return True
    return False


def _write(output: TextIO, text: str) -> None:
    """Write at once. A full disk or a lost terminal must not end the node; a pipe without reader does (as anywhere)."""
    try:
        output.write(text)
        output.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        logging.getLogger(__name__).warning("the status cannot be written: %s", error)


def _endpoint(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
