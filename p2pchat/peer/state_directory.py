"""
The directory of one identity: made if it is missing, ours alone, and used by one program at a time.

::

    DIR/lock          locked (flock) as long as a program uses the directory; tells which one
    DIR/identity.pem  see :mod:`p2pchat.peer.profile`, as for the other files

The lock is the system's and ends with the process, however it ends: a file that is left means
nothing.  No child process inherits it.  Only the directory and what is in it must be ours alone:
whoever can write above it could take it away, but couldn't put one there that belongs to us.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from p2pchat.errors import ConfigurationError, DirectoryInUse
from p2pchat.peer.files import check_private, sync_directory

IDENTITY_FILE = "identity.pem"
LOCK_FILE = "lock"
_MODE = 0o700  # the owner's alone
_MAX_OWNER = 100  # bytes read of a lock file; a process id has fewer
_TAKEN = frozenset({errno.EAGAIN, errno.EACCES})


@attrs.define
class StateDirectory:
    """
    A directory that is locked until :meth:`close`.

    :ivar path: absolute and without links, so that it stays the same whatever becomes of these and
        of the working directory.
    """

    path: Path
    _lock: int

    @classmethod
    def open(cls, path: str) -> StateDirectory:
        """
        Make the directory where there is none, check who may write there, and lock it.

        :raises DirectoryInUse: another program has it.
        :raises ConfigurationError: it can't be used; says why and what helps.
        """
        with explained(Path(path)):
            directory = Path(os.path.realpath(path))
        with explained(directory):
            _make(directory)
            check_directory(directory)
            lock = os.open(
                directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600
            )
        try:
            _lock(directory, lock)
        except BaseException:
            os.close(lock)
            raise
        return cls(directory, lock)

    def close(self) -> None:
        """Let another program use the directory; again is harmless."""
        handle, self._lock = self._lock, -1
        if handle >= 0:
            os.close(handle)


def check_directory(directory: Path) -> None:
    """
    Refuse a directory that isn't ours alone.

    :raises ConfigurationError: says what is wrong, and what mends it.
    :raises OSError: it can't be looked at.
    """
    try:
        check_private(directory, directory.stat())
    except ConfigurationError:
        if _has_another_purpose(directory):  # such as /tmp, whose mode nobody should change
            raise ConfigurationError(
                f"{directory} isn't yours alone, and has other things in it: name a directory of "
                "its own with --state"
            ) from None
        raise


def _has_another_purpose(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        names = os.listdir(directory)
        return bool(names) and IDENTITY_FILE not in names
    return False


@contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Turn an error of the system into the sentence that its user reads."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        where = f" ({error.filename})" if error.filename else ""
        raise ConfigurationError(
            f"state directory {directory}: {reason}{where}. Mend that, name another one with "
            "--state, or keep nothing with --ephemeral"
        ) from error


def _make(directory: Path) -> None:
    """Make a directory and those above it, nobody else's, each known to the disk."""
    if directory.is_dir():
        return
    if not directory.parent.is_dir():
        _make(directory.parent)
    try:
        directory.mkdir(_MODE, exist_ok=True)
    except FileExistsError:
        raise ConfigurationError(
            f"{directory} is no directory: move it away, or name another one with --state"
        ) from None
    sync_directory(directory.parent)


def _lock(directory: Path, handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            raise DirectoryInUse(_taken(directory, handle)) from None
        raise ConfigurationError(
            f"state directory {directory} can't be locked ({error.strerror}); some network file "
            "systems know no locks: take a directory on a disk of this machine"
        ) from error
    with contextlib.suppress(OSError):  # on a full disk it is locked all the same
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)


def _taken(directory: Path, handle: int) -> str:
    """Say who has it; they may be writing it this very moment."""
    owner = os.pread(handle, _MAX_OWNER, 0).decode("ascii", "replace").strip()
    process = f"process {owner}" if owner.isdigit() else "another process"
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(os.fstat(handle).st_mtime))
    return (
        f"state directory {directory} is in use by {process}, since {since}: end that program, or "
        f"give this one its own with --profile NAME, or none with --ephemeral. ({LOCK_FILE} there "
        "needn't be removed: the directory is free as soon as that program has ended.)"
    )
