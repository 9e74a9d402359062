"""
Place of the socket of a node: ``node.sock`` in its state directory.

The system takes some 100 bytes of a path.  Where the directory's is longer, the socket stands in
``$XDG_RUNTIME_DIR/p2pchat/``, under a name made of the directory's.  Either place is ours alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from p2pchat.errors import ConfigurationError

SOCKET_FILE = "node.sock"
MAX_PATH = 100  # bytes; sockaddr_un has 108 on Linux, 104 on macOS and the BSDs
_DIGITS = 32  # of a name: 128 bits


def socket_path(directory: str, environment: Mapping[str, str]) -> str:
    """
    Return where the node of a state directory serves.

    :raises ConfigurationError: the path is too long, and there is no other place.
    """
    whole = os.path.realpath(directory)
    path = os.path.join(whole, SOCKET_FILE)
    if len(os.fsencode(path)) <= MAX_PATH:
        return path
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    path = os.path.join(runtime, "p2pchat", f"{_name(whole)}.sock")
    if not os.path.isabs(runtime) or len(os.fsencode(path)) > MAX_PATH:
        raise ConfigurationError(
            f"the path of {whole} is too long for a socket, and XDG_RUNTIME_DIR names no other "
            "place: take a directory with a shorter path"
        )
    return path


def _name(directory: str) -> str:
    from hashlib import sha256  # noqa: PLC0415 - seldom needed, and loads OpenSSL

    return sha256(os.fsencode(directory)).hexdigest()[:_DIGITS]


def check_place(path: str) -> None:
    """
    Refuse a socket in a directory that isn't ours alone.

    :raises ConfigurationError: says what is wrong.
    :raises OSError: it can't be looked at.
    """
    directory = os.path.dirname(path)
    status = os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ConfigurationError(f"{directory} is no directory of yours: remove it")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(f"{directory} can be changed by others: chmod 700 {directory}")
