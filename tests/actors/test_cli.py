"""The ``ensemble`` command: what it prints, where, and its exit codes."""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import actors
from actors import cli
from actors.cli_run import Status, duration, run_node
from actors.config_sources import load_config
from actors.config_table import as_table
from core.config import NodeConfig, options
from core.errors import ConfigError, NotActive, StartFailed, StopFailed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in [name for name in os.environ if name.startswith("ENSEMBLE_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Whatever a test does, the handlers of signals are afterwards what they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    after = {number: signal.getsignal(number) for number in before}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before


# ---- config check, config show -----------------------------------------------------------------------------------


def test_config_check_prints_values_units_and_origins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my.yaml").write_text("port: 7\nnode_info: {chain_id: 00000002}\n")
    monkeypatch.setenv("ENSEMBLE_SEND_PEER_LIMIT", "8")
    assert cli.main(["config", "check", "my.yaml", "--set", "connect_timeout_s=3"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    rows = [line.split() for line in printed.out.splitlines()]
    assert ["port", "7", "my.yaml:1:7"] in rows
    assert ["node_info.chain_id", "00000002", "hex", "my.yaml:2:23"] in rows
    assert ["send_peer_limit", "8", "ENSEMBLE_SEND_PEER_LIMIT"] in rows
    assert ["connect_timeout_s", "3", "s", "--set", "connect_timeout_s"] in rows
    assert ["peer_ban_time_s", "86400", "s", "default"] in rows
    assert {row[0] for row in rows if row} >= {document.name for document in options()}


def test_config_check_on_a_narrow_terminal_breaks_no_entry(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.yaml").write_text("port: 7\n")
    table = as_table(options(), load_config(Path("my.yaml")), 60)
    assert "  port: 7\n      from my.yaml:1:7\n" in table
    assert "  peer_ban_time_s: 86400 s\n" in table
    wide = as_table(options(), load_config(Path("my.yaml")), 500)
    assert wide == as_table(options(), load_config(Path("my.yaml")))


def all_parsers(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child, sub in action.choices.items():
                yield from all_parsers(sub, f"{name} {child}")


PARSERS = list(all_parsers(cli._parser(), "ensemble"))


@pytest.mark.parametrize(("name", "parser"), PARSERS, ids=[name for name, _ in PARSERS])
def test_the_help_of_every_command_says_what_it_does_and_ends_with_examples(
    name: str, parser: argparse.ArgumentParser
) -> None:
    assert parser.description, name
    assert parser.epilog, f"{name} has no examples: pass _examples(...) to its parser"
    first, *commands = parser.epilog.splitlines()
    assert first == "examples:"
    assert commands
    for command in commands:
        words = shlex.split(command)
        assert " ".join(words).startswith(name), command
        cli._parser().parse_args(words[1:])


def test_config_check_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.yaml").write_text("seed_peers: ['[::1]:5']\nsecret: 5\n")
    assert cli.main(["config", "check", "my.yaml", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["options"]}
    assert set(rows) == {document.name for document in options()}
    assert rows["seed_peers"] == {
        "name": "seed_peers",
        "value": ["[::1]:5"],
        "default": [],
        "unit": None,
        "origin": {"kind": "file", "place": "my.yaml:1:1"},
    }
    assert rows["secret"]["value"] == "(hidden)"
    assert rows["peer_ban_time_s"]["unit"] == "s"
    assert rows["peer_ban_time_s"]["origin"] == {"kind": "default", "place": None}


def test_config_show_takes_the_default_file_if_it_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config", "show"]) == 0
    assert "configs/node.yaml" not in capsys.readouterr().out
    Path("configs").mkdir()
    Path("configs/node.yaml").write_text("port: 7\n")
    assert cli.main(["config", "show"]) == 0
    assert "configs/node.yaml:1:7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["config", "check", "bad.yaml"], "bad.yaml:2:7: port: expected an integer from 0 to 65535, got 'abc'\n"),
        (["config", "check", "none.yaml"], "none.yaml: there is no such file\n"),
        (["config", "check", "."], ".: is a directory, expected a YAML file\n"),
        (["config", "show", "--set", "prot=1"], "prot: unknown option; did you mean port?\n"),
        (["run", "bad.yaml"], "bad.yaml:2:7: port: expected an integer from 0 to 65535, got 'abc'\n"),
        (["run", "--set", "port=x"], "--set port: port: expected an integer from 0 to 65535, got 'x'\n"),
    ],
)
def test_wrong_input_is_named_on_stderr_with_exit_code_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.yaml").write_text("host_ip: 127.0.0.1\nport: abc\n")
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == expected


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["config"], ["config", "check"], ["run", "--set", "port"], ["run", "--set", "=5"]]
)
def test_wrong_arguments_end_with_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: ensemble" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("ensemble ")


def test_text_that_the_terminal_cannot_show_is_escaped() -> None:
    Path("my.yaml").write_text("node_info: {options: {name: \u00e9}}\ncustom_node_info_schema: {}\n", encoding="utf-8")
    done = command(["config", "check", "my.yaml"], PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "\\xe9" in done.stdout


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    readable, writable = os.pipe()
    os.close(readable)
    with open(writable, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "actors.cli", "config", "show"],
            stdout=output,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=30,
        )
    assert done.returncode == 1
    assert done.stderr == b""


def test_a_closed_stdout_is_no_traceback() -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m actors.cli config show >&-"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def command(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "actors.cli", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        timeout=30,
    )


# ---- run ---------------------------------------------------------------------------------------------------------


class FakeNode:
    """A node of P2P's shape that counts; ``on_stats`` is called at each look at the counters."""

    def __init__(self, on_stats: Callable[[int], None] = lambda _: None) -> None:
        self.calls: list[str] = []
        self.on_stats = on_stats
        self.listen_address: tuple[str, int] | None = ("127.0.0.1", 5001)
        self.fail_start: Exception | None = None
        self.fail_stop: Exception | None = None

    def start(self) -> None:
        self.calls.append("start")
        if self.fail_start:
            raise self.fail_start

    def stop(self, timeout_s: float = 5.0) -> None:
        assert timeout_s == 5.0
        self.calls.append("stop")
        if self.fail_stop:
            raise self.fail_stop

    def get_network_stats(self) -> types.SimpleNamespace:
        self.calls.append("stats")
        self.on_stats(self.calls.count("stats"))
        return stats()


def stats(received: int = 0, sent: int = 0) -> types.SimpleNamespace:
    return types.SimpleNamespace(
        inbound_connected=3,
        outbound_connected=4,
        messages_received_total=received,
        messages_sent_total=sent,
        requests_received_total=1234,
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def signal_at_first_look(number: int) -> Callable[[int], None]:
    """Send ourselves a signal while the status is being made: the wait that follows ends at once."""
    return lambda count: os.kill(os.getpid(), number) if count == 1 else None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_stops_cleanly_on_a_signal(number: int) -> None:
    node, output = FakeNode(signal_at_first_look(number)), io.StringIO()
    assert run_node(node, output) == 0
    assert node.calls == ["start", "stats", "stop"]
    assert output.getvalue().splitlines() == [
        "listening on 127.0.0.1:5001  peers in 3 out 4  messages/s in 0 out 0  up 0:00  requests 1,234",
        "stopped",
    ]


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (200, "listening on 127.0.0.1:5001  peers in 3 out 4  messages/s in 0 out 0  up 0:00  requests 1,234"),
        (80, "peers in 3 out 4  messages/s in 0 out 0  up 0:00  requests 1,234"),
        (30, "peers in 3 out 4"),
        (10, "peers in "),
    ],
)
def test_run_rewrites_one_line_on_a_terminal_of_any_width(
    monkeypatch: pytest.MonkeyPatch, columns: int, line: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    node, output = FakeNode(signal_at_first_look(signal.SIGTERM)), Terminal()
    assert run_node(node, output) == 0
    assert output.getvalue() == f"\r{line}\x1b[K\nstopped\n"


def test_a_node_that_will_dial_nobody_is_said_to_wait(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_node(FakeNode(signal_at_first_look(signal.SIGINT)), io.StringIO(), cli._lonely(NodeConfig())) == 0
    assert "no seed_peers are configured: the node knows only who connects to it" in capsys.readouterr().err
    assert "whom it has met before" in cli._lonely(NodeConfig(data_dir="data"))
    assert cli._lonely(NodeConfig(seed_peers=["192.0.2.1:5001"])) == ""


def test_signals_while_starting_stop_the_node_at_once() -> None:
    node = FakeNode()
    node.start = lambda: os.kill(os.getpid(), signal.SIGINT)  # type: ignore[method-assign]
    assert run_node(node, io.StringIO()) == 0
    assert node.calls == ["stats", "stop"]


def test_many_signals_are_one_wish() -> None:
    def flood(_count: int) -> None:
        for _ in range(1000):
            os.kill(os.getpid(), signal.SIGTERM)

    node = FakeNode(flood)
    assert run_node(node, io.StringIO()) == 0
    assert node.calls.count("stop") == 1


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        def hang_up(count: int) -> None:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGTERM)

        assert run_node(FakeNode(hang_up), io.StringIO()) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_node_that_cannot_start_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    node.fail_start = StartFailed("port 5001 on 0.0.0.0 is taken")
    assert run_node(node, io.StringIO()) == 1
    assert capsys.readouterr().err == "ensemble: could not start: port 5001 on 0.0.0.0 is taken\n"
    assert node.calls == ["start"]


def test_a_node_that_does_not_stop_in_time_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode(signal_at_first_look(signal.SIGTERM))
    node.fail_stop = StopFailed("2 connections were still open")
    assert run_node(node, io.StringIO()) == 1
    assert capsys.readouterr().err == "ensemble: 2 connections were still open\n"


def test_a_node_that_ends_by_itself_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    def gone(_count: int) -> None:
        raise NotActive("the node has ended")

    node = FakeNode(gone)
    assert run_node(node, io.StringIO()) == 1
    assert node.calls == ["start", "stats", "stop"]
    assert capsys.readouterr().err == "ensemble: the node has ended\n"


def test_a_bug_still_stops_the_node() -> None:
    def bug(_count: int) -> None:
        raise ZeroDivisionError

    node = FakeNode(bug)
    with pytest.raises(ZeroDivisionError):
        run_node(node, io.StringIO())
    assert node.calls[-1] == "stop"


class Broken(io.StringIO):
    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


def test_an_output_without_reader_stops_the_node() -> None:
    node = FakeNode()
    assert run_node(node, Broken(BrokenPipeError())) == 0
    assert node.calls == ["start", "stats", "stop"]


def test_a_full_disk_does_not_stop_the_node(caplog: pytest.LogCaptureFixture) -> None:
    node = FakeNode(signal_at_first_look(signal.SIGTERM))
    assert run_node(node, Broken(OSError(28, "No space left on device"))) == 0
    assert "No space left on device" in caplog.text


def test_a_node_that_does_not_listen_says_so() -> None:
    node, output = FakeNode(signal_at_first_look(signal.SIGTERM)), io.StringIO()
    node.listen_address = None
    run_node(node, output)
    assert output.getvalue().startswith("not listening  peers in 3")
    node = FakeNode(signal_at_first_look(signal.SIGTERM))
    node.listen_address = ("::1", 5)
    run_node(node, output)
    assert "listening on [::1]:5 " in output.getvalue()


def test_rates_are_averages_since_the_last_line() -> None:
    status = Status("here", started_at=100.0, read_at=100.0)
    assert "messages/s in 0 out 0" in status.line(stats(500, 5), now=100.0)
    assert "messages/s in 2,500 out 10" in status.line(stats(5000, 20), now=102.0)
    assert "messages/s in 0 out 1 " in status.line(stats(5000, 30), now=112.0)
    assert "up 1:02:05" in status.line(stats(5000, 30), now=100 + 3725.0)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.9, "1:05"), (3600, "1:00:00"), (360000, "100:00:00")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_run_gives_the_configuration_to_the_node(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[NodeConfig] = []

    def make(config: NodeConfig, *, system: str) -> FakeNode:
        seen.append(config)
        return FakeNode(signal_at_first_look(signal.SIGTERM))

    monkeypatch.setattr(actors, "P2P", make, raising=False)
    Path("my.yaml").write_text("port: 7\n")
    assert cli.main(["run", "my.yaml", "--set", "host_ip=127.0.0.1", "--log-level", "error"]) == 0
    assert (seen[0].port, seen[0].host_ip, seen[0].log_level) == (7, "127.0.0.1", "error")
    assert capsys.readouterr().out.endswith("stopped\n")

    Path("other.yaml").write_text("port: 8\n")
    assert cli.main(["run", "--default-file", "other.yaml"]) == 0
    assert cli.main(["run", "my.yaml", "--default-file", "other.yaml"]) == 0
    assert cli.main(["run", "--default-file", "none.yaml"]) == 0
    assert [config.port for config in seen[1:]] == [8, 7, 5001]


def test_run_reports_what_the_node_finds_wrong_in_the_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_config: NodeConfig, *, system: str) -> FakeNode:
        raise ConfigError(["custom_node_info_schema: expected properties"])

    monkeypatch.setattr(actors, "P2P", refuse, raising=False)
    assert cli.main(["run"]) == 2
    assert capsys.readouterr().err == "custom_node_info_schema: expected properties\n"


# ---- the real thing ----------------------------------------------------------------------------------------------


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("number", "system"), [(signal.SIGINT, "inproc"), (signal.SIGTERM, "inproc"), (signal.SIGTERM, "multiprocess")]
)
def test_a_real_node_runs_and_stops(number: int, system: str) -> None:
    options = ["--system", system, "--set", "host_ip=127.0.0.1", "--set", "port=0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "actors.cli", "run", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("listening on 127.0.0.1:")
        port = int(first.removeprefix("listening on 127.0.0.1:").split()[0])
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            process.send_signal(number)
            out, err = process.communicate(timeout=10)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out) == (0, "stopped\n")
    assert err.splitlines() == ["ensemble: " + cli._lonely(NodeConfig())]


@pytest.mark.sockets
def test_a_taken_port_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command(["run", "--set", "host_ip=127.0.0.1", "--set", f"port={port}"])
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ensemble: could not start: ")
    assert f"127.0.0.1:{port}" in last
    assert "taken" in last
