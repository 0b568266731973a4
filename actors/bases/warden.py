"""The warden: the first process of a multi-process system, and the one that leaves nothing of it behind.

A program starts it as a fresh interpreter, so that the actors inherit neither the program's threads nor its sockets.
It loads what the actors need once (their processes share the memory), starts the admin and the root actor, and then
waits for the first of three ends: the program is gone or says stop, or the admin is dead. Then it kills every process
that is left, and goes. If it is killed itself, all others die with it: each process of a system dies with its parent.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import select
import signal
import socket
import sys
from datetime import timedelta
from typing import Any

import msgspec
from thespian.system import systemBase
from thespian.system.utilis import thesplog_control

from actors.bases.actor_process import EXIT_ROOT_ENDED, Terms
from actors.bases.hygiene import (
    become_subreaper,
    children_of,
    kill_descendants,
    name_process,
    raise_descriptor_limit,
    reap,
)
from actors.bases.multiproc import ClosedTCPBase
from actors.bases.seal import Seal
from actors.bases.warden_terms import (
    MAX_TERMS_BYTES,
    STOP,
    LogSender,
    LogSenderHandler,
    Said,
    SystemEnded,
    SystemReady,
    SystemTerms,
)

PRELOADED = (
    "actors.node",
    "actors.storage_sqlite",
    "actors.transport.tcp",
    "actors.seed_resolver",
    "multiprocessing.popen_fork",
)
"""Loaded before anything is forked: a module that every actor loads for itself costs each a second copy."""

ROOT_LIMIT_S = 10.0
"""How long the root actor may take to come into being."""

FAREWELL_S = 1.0
"""How long actors get to end by themselves. The node has closed its connections and its storage before."""

log = logging.getLogger("ensemble.multiprocess")


class Warden:
    """See the module. ``lifeline`` is the socket to the program."""

    def __init__(self, lifeline: socket.socket, terms: SystemTerms) -> None:
        self._lifeline = lifeline
        self._terms = terms
        self._sender = LogSender(socket.socket(fileno=terms.log_fd))
        self._base: ClosedTCPBase | None = None

    def run(self) -> None:
        """Start everything, wait, end everything."""
        try:
            admin = self._start()
        except Exception as error:
            log.debug("the system could not start", exc_info=True)
            reason = f"{type(error).__name__}: {error}"
        else:
            reason = self._wait(admin)
        if not kill_descendants():
            log.error("some processes of the system could not be ended")
        self._say(Said(ended=SystemEnded(reason)))

    def _start(self) -> int:
        terms = self._terms
        logging.basicConfig(level=terms.log_level, handlers=[LogSenderHandler(self._sender)], force=True)
        thesplog_control(logging.CRITICAL, False, 0)  # no log file of Thespian's own
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the program's business
        name_process("warden")
        become_subreaper()
        raise_descriptor_limit()
        Terms.seal = Seal(terms.key)
        Terms.name = terms.name
        Terms.warden = os.getpid()
        Terms.has_root = bool(terms.root_class)
        Terms.kept_descriptors = frozenset({terms.log_fd})
        root: Any = None
        for module in (*PRELOADED, *terms.preloaded):
            importlib.import_module(module)
        if terms.root_class:
            root = getattr(importlib.import_module(terms.root_module), terms.root_class)
        gc.collect()
        gc.freeze()
        with HeldPort(terms.interface, terms.capabilities.get("Admin Port", 0)) as port:
            capabilities = {**terms.capabilities, "Admin Port": port}
            self._base = base = ClosedTCPBase(
                capabilities, interface=terms.interface, log_port=self._sender, level=terms.log_level
            )
        (admin,) = children_of(os.getpid())
        systemBase.MAX_CHILD_ACTOR_CREATE_DELAY = timedelta(seconds=ROOT_LIMIT_S)
        address = base.newPrimaryActor(root, None, None) if root is not None else None
        self._say(Said(ready=SystemReady(Terms.seal.pack((base.adminAddr, address)))))
        return admin

    def _wait(self, admin: int) -> str:
        """Until one of the ends; returns which."""
        admin_fd = os.pidfd_open(admin)
        poll = select.poll()
        poll.register(admin_fd, select.POLLIN)
        poll.register(self._lifeline, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll(1000)}
            if admin_fd in ready:
                return self._why(admin)
            if self._lifeline.fileno() in ready:
                if self._lifeline.recv(len(STOP)) == STOP:
                    self._say_farewell(admin_fd)
                    return ""
                return "the program has ended"
            _reap_others(admin)

    def _say_farewell(self, admin_fd: int) -> None:
        systemBase.MAX_SYSTEM_SHUTDOWN_DELAY = timedelta(seconds=FAREWELL_S)
        if self._base is not None:
            self._base.shutdown()
        select.select([admin_fd], [], [], FAREWELL_S)

    def _why(self, admin: int) -> str:
        _, status = os.waitpid(admin, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == EXIT_ROOT_ENDED:
            return "the node's root process has ended"
        return f"the admin process has ended ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"

    def _say(self, said: Said) -> None:
        try:
            self._lifeline.send(msgspec.json.encode(said), socket.MSG_NOSIGNAL)
        except OSError:
            return  # the program has gone; nobody else is interested


class HeldPort:
    """The port asked for, or (0) a free one: kept, until the admin listens at it, from who does not ask for it."""

    def __init__(self, interface: str, port: Any = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((interface, port))

    def __enter__(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()


def _reap_others(admin: int) -> None:
    """Take notice of orphans that have ended; the admin's end is to be seen by :meth:`Warden._why`."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid == admin:
            return
        os.waitpid(found.si_pid, os.WNOHANG)


def main() -> None:
    """Serve the program whose socket has this number: ``warden <fd>``."""
    lifeline = socket.socket(fileno=int(sys.argv[1]))
    said = lifeline.recv(MAX_TERMS_BYTES)
    if said:
        Warden(lifeline, msgspec.json.decode(said, type=SystemTerms)).run()
    reap()


if __name__ == "__main__":
    main()
