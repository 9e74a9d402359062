"""
A name server that knows few names; runs alone, inside the lab (see `names`).

::

    python name_server.py '{"registry.lab": ["203.0.113.10"], ...}' [PREFIX]

With a PREFIX, of 96 bits as `64:ff9b::`, it is a DNS64 (RFC 6147): a name without an IPv6 address
has those that are made of the prefix and its IPv4 ones. Unknown names don't exist. Messages as in
RFC 1035; one question each, over UDP. Standard library only, so that it starts in milliseconds.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address

PORT = 53
HEADER = struct.Struct("!6H")  # id, flags, questions, answers, two more
ANSWER, NO_SUCH_NAME = 0x8580, 3  # flags: a response, authoritative, recursion; code
A, AAAA = 1, 28  # types of records
NAME_ABOVE = b"\xc0\x0c"  # a pointer to the name in the question
TTL = 1  # seconds

Zone = dict[str, list[str]]


def question(message: bytes) -> tuple[str, int, bytes]:
    """Return the name that is asked for, the type, and the question as it stands there."""
    labels, at = [], HEADER.size
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    end = at + 5  # the root's empty label, type and class
    return (
        ".".join(labels).lower(),
        int.from_bytes(message[at + 1 : at + 3], "big"),
        message[HEADER.size : end],
    )


def addresses(known: list[str], kind: int, prefix: str) -> list[bytes]:
    """Return the addresses of this type that a name has."""
    found = [ip_address(one) for one in known]
    ipv4 = [one.packed for one in found if isinstance(one, IPv4Address)]
    ipv6 = [one.packed for one in found if isinstance(one, IPv6Address)]
    if kind == AAAA and not ipv6 and prefix:
        ipv6 = [IPv6Address(prefix).packed[:12] + packed for packed in ipv4]
    return {A: ipv4, AAAA: ipv6}.get(kind, [])


def answer(message: bytes, zone: Zone, prefix: str) -> bytes:
    """Return the response to a query."""
    name, kind, asked = question(message)
    found = addresses(zone.get(name, []), kind, prefix)
    flags = ANSWER | (0 if name in zone else NO_SUCH_NAME)
    header = HEADER.pack(int.from_bytes(message[:2], "big"), flags, 1, len(found), 0, 0)
    records = [
        NAME_ABOVE + struct.pack("!HHIH", kind, 1, TTL, len(packed)) + packed for packed in found
    ]
    return header + asked + b"".join(records)


def main() -> None:
    """Answer until killed."""
    zone, prefix = json.loads(sys.argv[1]), (sys.argv[2] if len(sys.argv) > 2 else "")
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", PORT))
    print("ready", flush=True)
    while True:
        message, client = udp.recvfrom(2048)
        udp.sendto(answer(message, zone, prefix), client)


if __name__ == "__main__":
    main()
