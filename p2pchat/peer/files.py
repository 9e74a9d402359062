"""
The files that a program keeps: replaced whole, and read only if nobody else can have written them.

A crash, of the program or of the machine, leaves the old file or the new one.  A replacement that a
crash left half written, ``NAME.new``, is overwritten by the next one, or discarded.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from p2pchat.errors import ConfigurationError, RemoteProtocolError

_WRITABLE = stat.S_IWGRP | stat.S_IWOTH
_ACCESSIBLE = stat.S_IRWXG | stat.S_IRWXO
_DIRECTORY, _FILE = 0o700, 0o600  # modes: the owner's alone

_Content = TypeVar("_Content")


def replace_file(path: Path, data: bytes) -> None:
    """
    Put a file of mode 0600 in the place of what was there; when it returns, the disk has it.

    One program at a time may write into a directory (:mod:`p2pchat.peer.state_directory`).

    :raises OSError: the old file is still there.
    """
    temporary = _replacement(path)
    discard_unfinished(path)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE)
        with open(handle, "wb") as file:
            os.fchmod(handle, _FILE)  # a umask may have taken our own bits
            file.write(data)
            file.flush()
            os.fsync(handle)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def discard_unfinished(path: Path) -> None:
    """
    Remove what a crash left of a replacement, if it did.

    :raises OSError: it is still there.
    """
    _replacement(path).unlink(missing_ok=True)


def _replacement(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def sync_directory(path: Path) -> None:
    """Wait until the disk has the names in a directory."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that can't do that for directories
            raise
    finally:
        os.close(handle)


def read_file(path: Path, *, secret: bool = False) -> bytes | None:
    """
    Read a file of ours; ``None`` if there is none.

    :param secret: others may not even read it.
    :raises ConfigurationError: others could write it, or read what is secret; says what mends it.
    :raises OSError: it can't be read.
    """
    try:
        # Opening a pipe would wait for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        if path.is_symlink():
            raise ConfigurationError(f"{path} is a link to nothing: mend or remove it") from None
        return None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"{path} is no regular file: move it away")
        check_private(path, status, secret=secret)
        with open(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


def read_as(path: Path, parse: Callable[[bytes], _Content], nothing: _Content) -> _Content:
    """
    Read and understand a file of ours that isn't secret; ``nothing`` if there is none.

    :raises ConfigurationError: it can't be trusted, as in :func:`read_file`, or understood.
    :raises OSError: it can't be read.
    """
    data = read_file(path)
    try:
        return nothing if data is None else parse(data)
    except RemoteProtocolError as error:
        raise ConfigurationError(f"{path}: {error}; mend it or move it away") from None


def check_private(path: Path, status: os.stat_result, *, secret: bool = False) -> None:
    """
    Refuse what is somebody else's, or others could change, or may read although it is secret.

    :raises ConfigurationError: says what is wrong and which command mends it.
    """
    quoted = shlex.quote(str(path))
    if status.st_uid != os.geteuid():
        owner, we = _user(status.st_uid), _user(os.geteuid())
        raise ConfigurationError(
            f"{path} belongs to {owner}, and this program runs as {we}: run it as {owner}, "
            f"or make it yours: sudo chown -R {we} {quoted}"
        )
    mode = stat.S_IMODE(status.st_mode)
    proper = f"{_DIRECTORY if stat.S_ISDIR(status.st_mode) else _FILE:o}"
    if mode & _WRITABLE:
        raise ConfigurationError(
            f"{path} can be changed by others (mode {mode:03o}): see that what is there is still "
            f"yours, then: chmod {proper} {quoted}"
        )
    if secret and mode & _ACCESSIBLE:
        raise ConfigurationError(
            f"{path} is secret, and others may read it (mode {mode:03o}): chmod {proper} {quoted}"
        )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
