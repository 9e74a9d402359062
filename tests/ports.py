"""Ports of loopback for the servers that tests start."""

from __future__ import annotations

import socket
from random import SystemRandom

HOST = "127.0.0.1"
# Below those that the system gives to whoever asks for any (32768 and up on Linux): there a
# connection or a peer may have the port a moment later.
_PORTS = range(10_000, 32_000)
_random = SystemRandom()


def free_port() -> int:
    """Return a port that nobody has, for TCP and UDP; nor for UDP the next one."""
    while True:
        port = _random.choice(_PORTS)
        stun = (socket.SOCK_DGRAM, port), (socket.SOCK_DGRAM, port + 1)
        if all(_is_free(*wanted) for wanted in ((socket.SOCK_STREAM, port), *stun)):
            return port


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(type=kind) as one:
        try:
            one.bind((HOST, port))
        except OSError:
            return False
    return True
