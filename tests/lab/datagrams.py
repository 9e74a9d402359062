"""
A UDP socket worked by lines on standard input; runs alone, inside a lab host (see `probe`).

::

    python datagrams.py ADDRESS PORT        prints the port it got
    send ADDRESS PORT TTL TEXT              prints "sent", or why not
    receive SECONDS                         prints "TEXT ADDRESS PORT", or "nothing"

Standard library only, so that it starts in milliseconds.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable


def open_socket(address: str, port: str) -> socket.socket:
    """Bind a UDP socket and print its port."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((address, int(port)))
    print(opened.getsockname()[1], flush=True)
    return opened


def send(udp: socket.socket, address: str, port: str, ttl: str, text: str) -> str:
    """Send one datagram with this TTL."""
    udp.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(ttl))
    try:
        udp.sendto(text.encode(), (address, int(port)))
    except OSError as problem:
        return str(problem)
    return "sent"


def receive(udp: socket.socket, seconds: str) -> str:
    """Wait this long for one datagram."""
    udp.settimeout(float(seconds))
    try:
        data, (address, port) = udp.recvfrom(2048)
    except TimeoutError:
        return "nothing"
    return f"{data.decode()} {address} {port}"


COMMANDS: dict[str, Callable[..., str]] = {"send": send, "receive": receive}


def main() -> None:
    """Obey lines until standard input ends."""
    udp = open_socket(*sys.argv[1:3])
    for line in sys.stdin:
        verb, *words = line.split()
        print(COMMANDS[verb](udp, *words), flush=True)


if __name__ == "__main__":
    main()
