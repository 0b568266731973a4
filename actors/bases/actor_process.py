"""The process of an actor, and the admin process, as we want them: Thespian's, with a few methods replaced.

    warden -+- admin - Node -+- PeerBook, PeerServer
                             '- PeerPool - Peers

Everything here runs in processes that were forked for one system, so module variables belong to that system.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Collection, Hashable
from typing import Any

from thespian.actors import ActorAddress, PoisonMessage
from thespian.system import logdirector
from thespian.system.addressManager import ActorLocalAddress
from thespian.system.messages.multiproc import EndpointConnected, LoggerConnected
from thespian.system.systemCommon import actorStartupFailed
from thespian.system.transport import ReceiveEnvelope, SendStatus, TransmitIntent

from actors.bases.environment import SystemEnvironment
from actors.bases.hygiene import die_with_adopter, die_with_parent, drop_inheritance, name_process
from actors.bases.lanes import Bundle, Done, Lanes
from actors.bases.nursery import ENDING, Birth, Nursery
from actors.bases.readiness import WatchingActor
from actors.bases.seal import Seal
from actors.bases.sealed_transport import QuietIntent, intent_for
from actors.bases.thespian_parts import private_copy
from actors.transport.descriptors import DescriptorPort, ProcessNetwork
from actors.wiring import Forwarded
from core.errors import EnsembleError
from core.messages import Failed, Query

parts: Any = private_copy("thespian.system.multiprocCommon")

log = logging.getLogger("ensemble.multiprocess")

EXIT_ROOT_ENDED = 70
"""Exit code of an admin whose root actor has ended."""


class Terms:
    """What all processes of a system know by birth: set in the warden before anything is forked."""

    seal: Seal
    name: str = ""
    """Of the system; part of the names of its Unix sockets."""
    warden: int = 0
    """Process id."""
    has_root: bool = True
    """The first actor made by the admin is the root: the system ends with it."""
    kept_descriptors: frozenset[int] = frozenset()
    forking: int = 0
    """Process id of who forks at the moment: the child's parent."""

    @classmethod
    def port_name(cls, address: ActorAddress) -> bytes:
        """The abstract name of an actor's descriptor port."""
        return f"\0ensemble-{cls.name}-{socket_name(address)[1]}".encode()

    @classmethod
    def sign_descriptor(cls, content: bytes) -> bytes:
        """Signs the datagrams of hand-overs."""
        return cls.seal.sign(b"descriptor", content)


class Births:
    """Makes the processes of one process's children: in Thespian's place of a multiprocessing context.

    A class whose objects are many (``MANY = True``) gets its processes from a nursery.
    """

    def __init__(self, inherited: Any) -> None:
        self._fork: Any = inherited._fork if isinstance(inherited, Births) else inherited
        self._nursery: Nursery | None = None

    def Process(self, target: Any, args: tuple[Any, ...], name: str) -> Any:
        """A process that has not started yet."""
        if target is not _start_child or _many(args[0]) is None:
            return self._fork.Process(target=target, args=args, name=name)
        if self._nursery is None:
            self._nursery = Nursery(_start_born, (args[3], self), Terms.kept_descriptors)
        return Birth(self._nursery, args)

    def reap(self, known: Collection[int]) -> None:
        """Take notice of the nursery's end, and of whoever a nursery left to this process; ``known`` are others."""
        if self._nursery is None:
            return
        self._nursery.reap()
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid in known:
                return
            os.waitpid(found.si_pid, 0)


def _many(path: Any) -> type[Any] | None:
    """The class of this name, if its objects are many."""
    module, _, name = str(path).rpartition(".")
    found: type[Any] | None = getattr(sys.modules.get(module), name, None)
    return found if getattr(found, "MANY", False) else None


def socket_name(address: ActorAddress) -> tuple[str, int]:
    """IP address and port of an actor. Raises OSError if they are not known."""
    details = address.addressDetails
    if isinstance(details, ActorLocalAddress):
        details = details.addressManager._managed[details.addressInstanceNum]
        details = getattr(details, "addressDetails", None)
    name = getattr(details, "sockname", None)
    if name is None:
        raise OSError(f"the address of an actor is not known yet: {address}")
    ip, port = name
    return ip, port


class ProcessActor(parts.MultiProcManager):  # type: ignore[misc]
    """What an actor sees as its system: Thespian's actor process with an environment, a network and lanes."""

    spare_peers = 4
    """New actors take a while: this many peers are to be kept ready."""

    def __init__(self, *arguments: Any) -> None:
        self.actorInst: Any = None
        super().__init__(*arguments)
        name_process(str(arguments[0]).rpartition(".")[2])
        self.mpcontext: Any = Births(self.mpcontext)
        self.environment = SystemEnvironment()
        sign = Terms.sign_descriptor
        port = DescriptorPort(Terms.port_name(self.transport.myAddress), sign)
        self.network = ProcessNetwork(port, self._name_of, sign)
        self._lanes = Lanes(self._transmit)

    def _name_of(self, address: ActorAddress) -> bytes:
        ip, _ = socket_name(address)
        if ip != self.transport.myAddress.addressDetails.sockname[0]:
            raise OSError("a connection cannot be handed over to another host")
        return Terms.port_name(address)

    def _createInstance(self) -> None:
        kind = _many(self._actorClass)
        if kind is None:
            super()._createInstance()
        else:  # Thespian's way looks at the signature first, which costs half a megabyte
            self.actorInst = kind()
            self.actorInst._myRef = self
        if self.actorInst is not None:
            self.actorInst = WatchingActor(self.actorInst)

    # ---- messages ----

    def actor_send(self, target: ActorAddress, message: Any) -> None:
        """Send by the lanes."""
        self._lanes.send(self._key(target), target, message)

    def _key(self, target: ActorAddress) -> Hashable:
        """One key for each receiver, though a child has two addresses: the number it was created under is the first.

        What was sent to that number goes on under it until it has arrived, for the sake of order.
        """
        details = target.addressDetails
        if isinstance(details, ActorLocalAddress):
            known = self._addrManager._managed[details.addressInstanceNum]
            if known is None or not self._lanes.is_idle(details.addressInstanceNum):
                number: int = details.addressInstanceNum
                return number
            details = known.addressDetails
        name: Hashable = getattr(details, "sockname", None)
        return name

    def _transmit(self, address: ActorAddress, message: Any, done: Done) -> None:
        def finished(result: Any, intent: Any) -> None:
            done(bool(result))
            if not result:
                self._lost(result, intent)

        self._send_intent_to_transport(intent_for(address, message, finished))

    def _lost(self, result: Any, intent: Any) -> None:
        """The receiver has died. Dead letters, as everywhere; and nobody is to wait for an answer that cannot come."""
        messages = intent.message.messages if isinstance(intent.message, Bundle) else (intent.message,)
        for message in messages:
            if isinstance(message, Forwarded) and isinstance(message.message, Query) and message.message.request_id:
                error = EnsembleError("an actor of the node has crashed and is being replaced: try again")
                self.actor_send(message.asker, Failed(message.message.request_id, error))
            elif getattr(message, "RETURNS_IF_DEAD", False) and result == SendStatus.DeadTarget:
                poison = PoisonMessage(message, "the receiver has died")
                self._receiveQueue.append(ReceiveEnvelope(intent.targetAddr, poison))
            else:
                self.actor_send_fail(result, TransmitIntent(intent.targetAddr, message))

    def _handleOneMessage(self, envelope: Any) -> Any:
        message = envelope.message
        if isinstance(message, Bundle):
            result = True
            for one in message.messages:
                result = super()._handleOneMessage(ReceiveEnvelope(envelope.sender, one))
                if not result:
                    break
            return result
        if isinstance(message, PoisonMessage) and isinstance(message.poisonMessage, Bundle):
            unfolded = Bundle(tuple(PoisonMessage(one, message.details) for one in message.poisonMessage.messages))
            return self._handleOneMessage(ReceiveEnvelope(envelope.sender, unfolded))
        return super()._handleOneMessage(envelope)

    def _startChildActor(self, *arguments: Any, **options: Any) -> None:
        Terms.forking = os.getpid()
        super()._startChildActor(*arguments, **options)

    def childDied(self) -> Any:
        """A child that dies before it has told its address is dead, too: Thespian forgets to say so."""
        for child in _stillborn(self):
            self._retryPendingChildOperations(child.childNum, None)
        go_on = super().childDied()
        self.mpcontext.reap([child.childProc.pid for child in self._child_procs])
        return go_on

    def _childExited(self, child: ActorAddress) -> None:
        """Whoever else has died meanwhile is to be told of, too: Thespian forgets them over the first."""
        self.childDied()


class ProcessAdmin(parts.MultiProcAdmin):  # type: ignore[misc]
    """The admin: ends with its root actor, survives everything else."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.mpcontext: Any = Births(self.mpcontext)
        self._root: ActorAddress | None = None
        self.logDefs = self.logdefs  # Thespian's admin looks for it under this name when a logger dies
        die_with_adopter(Terms.warden)
        name_process("admin")

    def _startChildActor(self, number: ActorAddress, *arguments: Any, **options: Any) -> None:
        Terms.forking = os.getpid()
        if Terms.has_root and self._root is None:
            self._root = number
        super()._startChildActor(number, *arguments, **options)

    def childDied(self) -> Any:
        for child in _stillborn(self):
            if self._root is not None and self._root == child.childAddr:
                os._exit(EXIT_ROOT_ENDED)
            self._retryPendingChildOperations(child.childNum, None)
        go_on = super().childDied()
        self.mpcontext.reap([child.childProc.pid for child in self._child_procs])
        return go_on

    def _childExited(self, child: ActorAddress) -> None:
        self.childDied()

    def _handleChildExited(self, child: ActorAddress) -> Any:
        if self._root is not None and self._root == child and not self.isShuttingDown():
            os._exit(EXIT_ROOT_ENDED)
        return super()._handleChildExited(child)

    def _cleanupAdmin(self, finish: Any) -> None:
        self._reset_logging()
        self.asLogger = None  # there is no logger process to end
        super()._cleanupAdmin(finish)


def _stillborn(process: Any) -> list[Any]:
    """Take the dead children without an address out of Thespian's list."""
    children = getattr(process, "_child_procs", [])
    dead = [one for one in children if not hasattr(one, "childRealAddr") and not process._checkChildLiveness(one)]
    process._child_procs = [one for one in children if one not in dead]
    return dead


def _start_admin(*arguments: Any) -> None:
    drop_inheritance(Terms.kept_descriptors)
    _stock_start_admin(*arguments)


def _start_child(*arguments: Any) -> None:
    drop_inheritance(Terms.kept_descriptors)
    die_with_parent(Terms.forking)
    _stock_start_child(*arguments)


def _start_born(
    kind: str,
    global_name: str | None,
    endpoint: Any,
    transport_class: Any,
    source_hash: str | None,
    source: Any,
    parent: ActorAddress,
    admin: ActorAddress,
    notified: ActorAddress,
    logger: ActorAddress,
    requirements: Any,
    capabilities: Any,
    _inherited: list[int],
    births: Births,
    log_definitions: Any,
) -> None:
    """Thespian's ``startChild``, less what a nursery has for all its children: logging, signals that are not heeded.

    Each function that need not run is a page or two that a peer shares with the others.
    """
    transport = transport_class(endpoint)
    logdirector.logTransport = transport
    actor = ProcessActor(
        kind, global_name, transport, source_hash, source, parent, admin, requirements, capabilities, births,
        log_definitions,
    )  # fmt: skip
    actor.asLogger = logger
    connected = QuietIntent(notified, EndpointConnected(endpoint.addrInst))
    transport.scheduleTransmit(None, connected.addCallback(onFailure=actorStartupFailed))
    end = parts.shutdown_signal_detector(kind, transport.myAddress, actor)
    for number in ENDING:
        signal.signal(number, end)
    signal.signal(signal.SIGCHLD, actor.signalChildDied)
    actor.run()


def _name_nothing(name: str, address: Any) -> None:
    """Ours have names (hygiene.name_process). Thespian's way looks for a package that is not there, each time."""


def _detach(child: Any) -> None:
    """Children outlive nobody: multiprocessing need not end them."""
    multiprocessing.process._children.discard(child)  # type: ignore[attr-defined]


def _no_logger(transport_class: Any, transport: Any, admin: Any, *_: Any) -> None:
    """Log records go to the program without a process in between (see sealed_transport): the admin is its own logger.

    Thespian's logger process, and with it the way in which its death ends the whole system, does not exist.
    """
    admin.asLogger = None
    transport.scheduleTransmit(None, TransmitIntent(transport.myAddress, LoggerConnected()))


_stock_start_admin = parts.startAdmin
_stock_start_child = parts.startChild
parts.startAdmin = _start_admin
parts.startChild = _start_child
parts.detach_child = _detach
parts.setProcName = _name_nothing
parts.MultiProcAdmin = ProcessAdmin
parts.MultiProcManager = ProcessActor
parts._startLogger = _no_logger
