"""``ensemble deploy``: this host's part of a node on several hosts."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Any, TextIO

from actors.cli_help import examples
from core.errors import ConfigError


def add_deploy(commands: Any) -> None:
    """Add the command to the command line."""
    deploy = commands.add_parser(
        "deploy",
        help="run this host's part of a node on several hosts",
        description="Run this host's part of a node on several hosts, as one file describes them (docs/deployment.md). "
        "Without --host the file is checked and the hosts are shown.",
        **examples(
            "deploy configs/deployment.yaml",
            "deploy configs/deployment.yaml --host home",
            "deploy --new-key key",
        ),
    )
    deploy.add_argument("file", nargs="?", type=Path, metavar="FILE", help="YAML file with the hosts")
    deploy.add_argument("--host", metavar="NAME", help="which of them this is")
    deploy.add_argument("--new-key", type=Path, metavar="PATH", help="make a key file for all hosts, and nothing else")
    deploy.add_argument("--log-level", choices=("error", "warning", "info", "debug"), default="warning")
    deploy.set_defaults(command=_deploy)


def _deploy(parsed: argparse.Namespace, output: TextIO) -> int:
    from actors import deploy  # with Thespian, which most commands do not need
    from actors.cli_run import run_node, stop_signals, wait_for
    from actors.config_sources import load_config

    if parsed.new_key is not None:
        deploy.make_key(parsed.new_key)
        return 0
    if parsed.file is None:
        raise ConfigError(["ensemble deploy: expected FILE, the hosts; or --new-key PATH"])
    deployment = deploy.load_deployment(parsed.file)
    config = load_config(deployment.node, os.environ, {}).config
    if parsed.host is None:
        print(deploy.table(deployment), file=output)
        return 0
    place = deployment.place(parsed.host)
    logging.basicConfig(level=parsed.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if place.is_leader:
        from actors import P2P

        return run_node(P2P(config, system=place), output)
    with stop_signals() as stop_requested:
        return deploy.run_member(place, output, lambda seconds: wait_for(stop_requested, seconds))
