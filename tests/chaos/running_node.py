"""A node in processes for a test that kills it, in a program of its own: ``running_node <JSON options>``.

Writes a line of JSON for each thing that happens: its address first, then connections lost, at last why it ended.
Ends with 0 when its standard input is closed, with 1 when the node has failed.
"""

from __future__ import annotations

import contextlib
import json
import select
import sqlite3
import sys
from typing import Any

from actors import P2P
from core.errors import EnsembleError


def say(**said: object) -> None:
    """One line."""
    print(json.dumps(said), flush=True)


def obey(p2p: P2P, command: dict[str, Any]) -> None:
    """Do what the test wants, and say what came of it."""
    if "ban" in command:
        p2p.ban(command["ban"])
        say(done=True)
    elif "bans" in command:
        try:
            say(bans=[ban.ip for ban in p2p.bans()])
        except EnsembleError as error:
            say(bans=None, error=str(error))
    elif "stored" in command:
        with contextlib.closing(sqlite3.connect(command["stored"])) as database:
            say(stored=database.execute("SELECT count(*) FROM bans").fetchone()[0])


def main() -> int:
    """See the module."""
    p2p = P2P(json.loads(sys.argv[1]), system="multiprocess")
    try:
        p2p.start()
        assert p2p.listen_address is not None
        say(port=p2p.listen_address[1], warden=p2p._run._session.warden_pid)
        while p2p.is_active:
            if select.select([sys.stdin], [], [], 0.02)[0]:
                line = sys.stdin.readline()
                if not line:
                    p2p.stop()
                    return 0
                obey(p2p, json.loads(line))
        p2p.get_network_stats()
    except EnsembleError as error:
        say(failed=str(error))
    return 1


if __name__ == "__main__":
    sys.exit(main())
