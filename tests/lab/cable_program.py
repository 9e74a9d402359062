"""
A cable between two interfaces of one namespace; a process of its own, started by `cable`.

::

    python -m tests.lab.cable_program NEAR FAR    prints "ready"
    {"outward": {...}, "inward": {...}}           prints "changed"; outward is from NEAR to FAR
    {}                                            prints how many fragments it has carried

It sleeps while nothing is in the cable, and ends with its standard input.
"""

from __future__ import annotations

import gc
import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from random import Random

import attrs

from tests.lab.frames import ETHERNET, finish_checksum
from tests.lab.impairment import Impairment, Lane

ALL_PROTOCOLS = 0x0003  # ETH_P_ALL
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23  # if_packet.h
VNET_HEADER = struct.Struct(
    "=BBHHHH"
)  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
NEEDS_CHECKSUM = 1  # of its flags
RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes
LONGEST_FRAME = 65536 + ETHERNET + VNET_HEADER.size  # bytes
BATCH = 64  # frames that one end may bring before the other has its turn
STDIN = 0
PRIORITY = -10  # niceness; a delay is as accurate as the program is prompt


def open_end(device: str) -> socket.socket:
    """Open the packet socket of one end."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    opened.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    opened.bind((device, 0))
    opened.setblocking(False)
    return opened


def receive(end: socket.socket) -> bytes | None:
    """Return the next frame that waits at an end, as a network card would have sent it."""
    try:
        data = end.recv(LONGEST_FRAME)
    except OSError:  # nothing there, or the interface was switched off
        return None
    flags, _, _, _, start, offset = VNET_HEADER.unpack_from(data)
    frame = data[VNET_HEADER.size :]
    return finish_checksum(frame, start, offset) if flags & NEEDS_CHECKSUM else frame


def send(end: socket.socket, frame: bytes) -> None:
    """Let a frame out; one that the kernel doesn't take is lost."""
    with suppress(OSError):
        end.send(bytes(VNET_HEADER.size) + frame)


@attrs.frozen
class Way:
    """One direction: frames from the socket `start` leave by the socket `end`."""

    start: socket.socket
    end: socket.socket
    lane: Lane

    def carry(self) -> None:
        """Take in what waits at the start."""
        for _ in range(BATCH):
            frame = receive(self.start)
            if frame is None:
                return
            answer = self.lane.put(time.monotonic(), frame)
            if answer is not None:
                send(self.start, answer)

    def deliver(self) -> None:
        """Let out what is due."""
        for frame in self.lane.due(time.monotonic()):
            send(self.end, frame)


def wait(ways: Sequence[Way]) -> list[int]:
    """Sleep until a frame comes in or is due, or there is an order; return what can be read."""
    moments = [moment for way in ways if (moment := way.lane.next_due()) is not None]
    rest = max(0.0, min(moments) - time.monotonic()) if moments else None
    ready, _, _ = select.select([STDIN, *(way.start.fileno() for way in ways)], [], [], rest)
    return ready


def obey(outward: Way, inward: Way) -> bool:
    """Read an order and follow it; tell whether there was one, for the end comes after the last."""
    line = sys.stdin.readline()
    if not line:
        return False
    order = json.loads(line)
    if order:
        outward.lane.impairment = Impairment(**order["outward"])
        inward.lane.impairment = Impairment(**order["inward"])
    answer = "changed" if order else outward.lane.fragments + inward.lane.fragments
    print(answer, flush=True)
    return True


def main() -> None:
    """Be a cable."""
    near, far = open_end(sys.argv[1]), open_end(sys.argv[2])
    with suppress(PermissionError):
        os.nice(PRIORITY)
    gc.disable()  # nothing here is circular
    ways = Way(near, far, Lane(Random())), Way(far, near, Lane(Random()))
    print("ready", flush=True)
    while True:
        ready = wait(ways)
        if STDIN in ready and not obey(*ways):
            return
        for way in ways:
            if way.start.fileno() in ready:
                way.carry()
            way.deliver()


if __name__ == "__main__":
    main()
