"""
A UDP socket worked by lines on standard input; runs alone, inside a lab host (see `probe`).

::

    python datagrams.py ADDRESS PORT        prints the port it got
    send ADDRESS PORT TTL TEXT              prints "sent", or why not
    receive SECONDS                         prints "TEXT ADDRESS PORT", or "nothing"
    stream ADDRESS PORT COUNT INTERVAL SIZE DF  sends numbered datagrams, prints when each was sent
    collect SECONDS                         prints [number, when] of each until it is silent so long

Both print JSON; "when" is by the system's clock, at arrival the moment when the kernel had it. DF
is 1 where no router may fragment, else 0; what the kernel refuses as too large isn't sent: null.

Standard library only, so that it starts in milliseconds.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections.abc import Callable

IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_DO = 10, 0, 2  # in.h
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35  # socket.h
RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes; a flow waits there until it is collected
TIMESPEC = struct.Struct("@qq")  # seconds, nanoseconds
NUMBER = struct.Struct("!I")


def open_socket(address: str, port: str) -> socket.socket:
    """Bind a UDP socket and print its port."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
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


def stream(udp: socket.socket, address: str, port: str, *rhythm: str) -> str:
    """Send numbered datagrams in a rhythm."""
    count, interval, size, df = rhythm
    discover = IP_PMTUDISC_DO if df == "1" else IP_PMTUDISC_DONT
    udp.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, discover)
    sent: list[float | None] = []
    began = time.monotonic()
    for n in range(int(count)):
        time.sleep(max(0.0, began + n * float(interval) - time.monotonic()))
        now = time.time()
        try:
            udp.sendto(NUMBER.pack(n).ljust(int(size), b"-"), (address, int(port)))
        except OSError:
            sent.append(None)
        else:
            sent.append(now)
    return json.dumps(sent)


def collect(udp: socket.socket, seconds: str) -> str:
    """Take in numbered datagrams until none comes for this long."""
    udp.settimeout(float(seconds))
    found: list[tuple[int, float]] = []
    while True:
        try:
            data, ((_, _, stamp),), _, _ = udp.recvmsg(65535, socket.CMSG_SPACE(TIMESPEC.size))
        except TimeoutError:
            return json.dumps(found)
        seconds_then, nanoseconds = TIMESPEC.unpack(stamp)
        found.append((NUMBER.unpack_from(data)[0], seconds_then + nanoseconds / 1e9))


COMMANDS: dict[str, Callable[..., str]] = {
    "send": send,
    "receive": receive,
    "stream": stream,
    "collect": collect,
}


def main() -> None:
    """Obey lines until standard input ends."""
    udp = open_socket(*sys.argv[1:3])
    for line in sys.stdin:
        verb, *words = line.split()
        print(COMMANDS[verb](udp, *words), flush=True)


if __name__ == "__main__":
    main()
