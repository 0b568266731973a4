"""The ``ensemble`` command: run a node, simulate networks, check and show configurations.

Exit codes: 0 done, 1 the node could not start or failed while running, 2 wrong input (arguments, file, environment).
Results go to stdout, complaints and the log to stderr; a wrong input never ends in a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TextIO

from actors.cli_deploy import add_deploy
from actors.cli_help import examples
from actors.cli_simulate import add_parser as add_simulate
from actors.config_sources import LoadedConfig, Text, load_config
from actors.config_table import as_json, as_table
from core.config import NodeConfig, options
from core.errors import ConfigError, EnsembleError

DEFAULT_FILE = Path("configs/node.yaml")
"""What ``run`` and ``config show`` read, where it is there, when no file is named."""

SYSTEMS = ("inproc", "multiprocess")

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (argparse itself exits with 2 on wrong arguments)."""
    parsed = _parser().parse_args(arguments)
    with _writable_output() as output:
        return _guarded(parsed, output)


@contextlib.contextmanager
def _writable_output() -> Iterator[TextIO]:
    """Yield stdout, made fit for any text; where it is closed, a place that swallows what is written."""
    if sys.stdout is None:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            yield nowhere
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    yield sys.stdout


def _guarded(parsed: argparse.Namespace, output: TextIO) -> int:
    """Run the command; turn its errors into messages and exit codes."""
    try:
        code: int = parsed.command(parsed, output)
        output.flush()
        return code
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except EnsembleError as error:
        print(f"ensemble: {error}", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader of our output has gone (`ensemble config show | head`). Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED  # before the node has taken over the signals


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ensemble",
        description="An actor-model peer-to-peer node.",
        **examples(
            "run",
            "run my-node.yaml --log-level info",
            "config check my-node.yaml",
            "simulate configs/simulations/hello-network.yaml",
        ),
    )
    parser.add_argument("--version", action="version", version=f"ensemble {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run a node until Ctrl-C or SIGTERM",
        description="Run a node until Ctrl-C or SIGTERM. The status goes to stdout: one line that is rewritten on a "
        "terminal, a line every 10 s elsewhere. The log goes to stderr. Exit code 0: it was stopped; 1: it could not "
        "start, or failed; 2: wrong options.",
        **examples(
            "run",
            "run my-node.yaml --set port=5002 --set seed_peers=[192.0.2.1:5001]",
            "run --log-level info --set data_dir=data",
            "run --system multiprocess",
        ),
    )
    run.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help=f"YAML file (default: {DEFAULT_FILE}, if there)"
    )
    run.add_argument("--default-file", type=Path, default=DEFAULT_FILE, help=argparse.SUPPRESS)
    run.add_argument("--log-level", choices=("error", "warning", "info", "debug"), help="short for --set log_level=...")
    run.add_argument(
        "--system",
        choices=SYSTEMS,
        default=SYSTEMS[0],
        help="where the actors run: all in this process, or each in a process of its own (default: %(default)s)",
    )
    _add_set(run)
    run.set_defaults(command=_run)

    add_simulate(commands)

    add_deploy(commands)

    config = commands.add_parser(
        "config",
        help="check or show a configuration",
        description="Check or show a configuration: every option with its value and where that comes from.",
        **examples("config check my-node.yaml", "config show --json"),
    )
    actions = config.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser(
        "check",
        help="check a file; print the values in effect and where each comes from",
        description="Check a file. Prints the values in effect and where each comes from, or every problem with its "
        "line and what was expected, and then exits with 2.",
        **examples("config check my-node.yaml", "config check my-node.yaml --set port=5002 --json"),
    )
    check.add_argument("file", type=Path, metavar="FILE", help="YAML file")
    check.set_defaults(default_file=None)
    show = actions.add_parser(
        "show",
        help="print the values that `ensemble run` would use here",
        description=f"Print the values that `ensemble run` would use here: from {DEFAULT_FILE} where it is there, and "
        "from the environment.",
        **examples("config show", "config show --json"),
    )
    show.set_defaults(file=None, default_file=DEFAULT_FILE)
    for action in (check, show):
        action.add_argument("--json", action="store_true", help="for programs")
        _add_set(action)
        action.set_defaults(command=_show_config, log_level=None)
    return parser


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_assignment,
        dest="assignments",
        metavar="OPTION=VALUE",
        help="set an option, as --set port=5002 or --set node_info.chain_id=00000002; may be repeated",
    )


def _assignment(text: str) -> tuple[str, Text]:
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise argparse.ArgumentTypeError(f"expected OPTION=VALUE, got {text[:80]!r}")
    return name.strip(), Text(value.strip())


def _version() -> str:
    try:
        return metadata.version("ensemble-p2p")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _load(parsed: argparse.Namespace) -> LoadedConfig:
    """Read the configuration that the arguments ask for. Raises ConfigError."""
    file: Path | None = parsed.file
    if file is None and parsed.default_file is not None and parsed.default_file.exists():
        file = parsed.default_file
    overrides = dict(parsed.assignments)
    if parsed.log_level is not None:
        overrides["log_level"] = Text(parsed.log_level)
    return load_config(file, os.environ, overrides)


def _show_config(parsed: argparse.Namespace, output: TextIO) -> int:
    loaded = _load(parsed)
    width = shutil.get_terminal_size().columns if output.isatty() else None
    print(as_json(options(), loaded) if parsed.json else as_table(options(), loaded, width), file=output)
    return 0


def _run(parsed: argparse.Namespace, output: TextIO) -> int:
    loaded = _load(parsed)
    # On a terminal, a log line takes the place of the status line, which is then written anew below it.
    clear = "\r\x1b[K" if output.isatty() and sys.stderr is not None and sys.stderr.isatty() else ""
    logging.basicConfig(
        level=loaded.config.log_level.upper(), format=f"{clear}%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Imported here: checking a configuration needs neither the node nor Thespian.
    from actors import P2P
    from actors.cli_run import run_node

    return run_node(P2P(loaded.config, system=parsed.system), output, _lonely(loaded.config))


def _lonely(config: NodeConfig) -> str:
    """What to tell a newcomer whose node will dial nobody; empty if it knows somebody."""
    if config.seed_peers or config.fixed_peers or config.whitelisted_peers or config.previous_peers:
        return ""
    known = "whom it has met before and " if config.data_dir is not None else ""
    return f"no seed_peers are configured: the node knows only {known}who connects to it"


if __name__ == "__main__":
    sys.exit(main())
