"""The files of a data directory: made for the owner's eyes only, locked against a second node, set aside if damaged.

A data directory holds ``ensemble.db`` (and, while something is written, its journal) and ``ensemble.lock``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat

from actors.storage import in_use_text
from core.errors import StartFailed

DATABASE = "ensemble.db"
LOCK = "ensemble.lock"
NEW_SUFFIX = ".new"
SIDE_SUFFIXES = ("-journal", "-wal", "-shm")
"""Files that SQLite plays back into a database of the same name: they always go where the database goes."""

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
"""The database holds the secret: whoever reads it can aim addresses at buckets."""


class DirectoryLock:
    """A data directory that nobody else can use until :meth:`release`, or until this process ends in whatever way.

    ``flock`` and not a file that says "locked": the kernel lets go of it when the process is killed. It also keeps two
    nodes of one process apart, which POSIX record locks do not.
    """

    def __init__(self, directory: str) -> None:
        self._fd = os.open(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, FILE_MODE)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)  # only to be able to name the holder
        except BlockingIOError:
            holder = os.pread(self._fd, 20, 0).strip()
            os.close(self._fd)
            raise StartFailed(in_use_text(directory, f"process {int(holder)}" if holder.isdigit() else "")) from None
        except BaseException:
            os.close(self._fd)
            raise

    def release(self) -> None:
        """Let others use the directory. Once only."""
        os.close(self._fd)


def make_directory(data_dir: str) -> str:
    """Make the directory if it is not there; returns its absolute path. Raises OSError."""
    directory = os.path.abspath(os.path.expanduser(data_dir))
    try:
        os.makedirs(directory, mode=DIRECTORY_MODE, exist_ok=True)
    except FileExistsError:  # "File exists" would be no help: what is there is no directory
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
    return directory


def size_of(path: str) -> int | None:
    """The size of a regular file in bytes; None if there is nothing. Raises OSError if something else is there."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is not a regular file")
    return found.st_size


def make_private(path: str) -> None:
    """Take the rights of others away from a file that is there. Raises OSError."""
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & ~FILE_MODE:
        os.chmod(path, mode & FILE_MODE)


def create_private(path: str) -> None:
    """Make an empty file, in the place of whatever a killed process left there. Raises OSError."""
    for name in (path, *(path + suffix for suffix in SIDE_SUFFIXES)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE))


def put_in_place(new: str, path: str) -> None:
    """Give a finished file its name, at once and durably. Raises OSError."""
    os.rename(new, path)
    sync_directory(os.path.dirname(path))


def set_aside(path: str, unix_time: int) -> str:
    """Rename a damaged database and its side files; returns the new name. Raises OSError."""
    aside, number = f"{path}.damaged-{unix_time}", 1
    while os.path.lexists(aside):
        aside, number = f"{path}.damaged-{unix_time}.{number}", number + 1
    # Side files first: killed in between, we find a database without its journal, not a journal without its database.
    for suffix in (*SIDE_SUFFIXES, ""):
        with contextlib.suppress(FileNotFoundError):
            os.rename(path + suffix, aside + suffix)
    sync_directory(os.path.dirname(path))
    return aside


def sync_directory(directory: str) -> None:
    """Make renames in a directory durable. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
