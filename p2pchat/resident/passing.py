"""
Descriptors on their way to a program.

Twisted's transport takes the number of a descriptor that must stay open until it was sent, and
doesn't say when that is; it drops what it was given then.  So the number is the owner, too.
"""

from __future__ import annotations

import contextlib
import socket


class PassedSocket(int):
    """The number of a socket's descriptor, which is closed with the last use of the number."""

    _end: socket.socket

    def __new__(cls, end: socket.socket) -> PassedSocket:
        """Take over a socket."""
        made = super().__new__(cls, end.fileno())
        made._end = end
        return made

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self._end.close()
