"""What a program and its warden say to each other, over a pair of sockets that nobody else can reach."""

from __future__ import annotations

import logging
import socket
from typing import Any

import msgspec

MAX_TERMS_BYTES = 128 * 1024
MAX_RECORD_BYTES = 32 * 1024
"""Log records that are longer lose their end."""

STOP = b"stop"


class SystemTerms(msgspec.Struct, frozen=True):
    """Program -> warden, first message, as JSON. ``key`` never shows in an environment or on a command line."""

    name: str
    key: bytes
    root_module: str
    root_class: str
    interface: str
    log_level: int
    log_fd: int
    capabilities: dict[str, str | int | bool | list[str]] = {}
    preloaded: list[str] = []
    """Further modules that all processes share."""


class SystemReady(msgspec.Struct, frozen=True):
    """Warden -> program: the root actor exists. ``addresses``: a sealed packet with those of the admin and the root."""

    addresses: bytes


class SystemEnded(msgspec.Struct, frozen=True):
    """Warden -> program, last message: nothing of the system is left, and why it ended."""

    reason: str


Notice = SystemReady | SystemEnded


class Said(msgspec.Struct, frozen=True, tag_field="said"):
    """An envelope of a notice."""

    ready: SystemReady | None = None
    ended: SystemEnded | None = None


class Record(msgspec.Struct, frozen=True):
    """A log record on its way to the program's own logging."""

    name: str
    level: int
    text: str
    created: float
    process: int
    process_name: str


class LogSender:
    """Sends log records through an inherited socket; never waits, and drops what does not fit."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def __call__(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING and not record.name.startswith("ensemble"):
            return  # Thespian's own chatter
        text = record.getMessage()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            text = f"{text}\n{record.exc_text}"
        line = Record(
            record.name, record.levelno, text[: MAX_RECORD_BYTES // 4], record.created, record.process or 0,
            record.processName or "",
        )  # fmt: skip
        try:
            self._socket.send(msgspec.json.encode(line), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            return  # full, or the program has gone: logging must not be what ends an actor


class LogSenderHandler(logging.Handler):
    """The same as a handler, for the warden's own records."""

    def __init__(self, sender: LogSender) -> None:
        super().__init__()
        self._sender = sender

    def emit(self, record: logging.LogRecord) -> None:
        """Send it."""
        self._sender(record)


def replay(data: bytes) -> None:
    """Hand a record of another process to this program's loggers, as if it had been made here."""
    record = msgspec.json.decode(data, type=Record)
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.level):
        fields: dict[str, Any] = {
            "name": record.name,
            "levelno": record.level,
            "levelname": logging.getLevelName(record.level),
            "msg": record.text,
            "args": None,
            "created": record.created,
            "msecs": record.created % 1 * 1000,
            "process": record.process,
            "processName": record.process_name,
        }
        logger.handle(logging.makeLogRecord(fields))
