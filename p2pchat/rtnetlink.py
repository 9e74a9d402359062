"""
The addresses of this machine, as Linux tells them: rtnetlink(7).

Asks for two tables, each on a socket that is closed with the last of the answer::

    RTM_GETLINK   interfaces: number, flags, name, the bridge that it is a port of, kind
    RTM_GETADDR   addresses: number of the interface, flags, octets

A bridge runs as soon as it is switched on, whoever is plugged in.  So it leads nowhere without a
port that runs, and inward where all of these are ends of containers or virtual machines.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from struct import Struct
from sys import byteorder

import attrs

from p2pchat.host_addresses import HostAddress, Outlook, outlook_of

PATIENCE = 0.2  # seconds; the kernel answers within the call
BUFFER = 65536  # bytes; the kernel sends 32 KiB at most at once
MAX_TABLE = 4 * 1024 * 1024  # bytes; an answer that doesn't end is none

# <linux/netlink.h>, <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if_addr.h>, <linux/if.h>
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3  # types of messages
_NEW_LINK, _GET_LINK, _NEW_ADDRESS, _GET_ADDRESS = 16, 18, 20, 22  # types of messages
_NAME, _MASTER, _LINK_INFO, _KIND = 3, 10, 18, 1  # attributes of a link
_EXT_MASK, _SKIP_STATISTICS = 29, 8
_ADDRESS, _LOCAL = 1, 2  # attributes of an address; the second is ours where both are there
_UP, _RUNNING = 0x1, 0x40  # flags of a link
_DAD_FAILED, _DEPRECATED, _TENTATIVE = 0x08, 0x20, 0x40  # flags of an address
_LINK_SCOPE = 253  # RT_SCOPE_LINK: without a meaning on another link
_OCTETS = {socket.AF_INET: 4, socket.AF_INET6: 16}  # of an address
_TYPE = 0x3FFF  # of an attribute; the bits above are flags
_GUESTS = frozenset({"veth", "tun", "vnet", "macvtap"})  # kinds of ports that lead to no cable

_HEADER = Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = Struct("=HH")  # length, type
_LINK = Struct("=BxHiII")  # family, type, number, flags, change
_ADDRESSED = Struct("=BBBBI")  # family, length of the prefix, flags, scope, number of the interface
_MASK = Struct("=I")


@attrs.frozen
class _Interface:
    name: str
    kind: str
    runs: bool
    master: int


def read_addresses() -> list[HostAddress]:
    """
    Return the addresses of this machine, those of IPv4 first, loopback included.

    IPv6 addresses that mean nothing on another link are left out, and those that aren't usable yet.

    :raises OSError: the system doesn't tell.
    """
    links = _table(_GET_LINK, _LINK.pack(0, 0, 0, 0, 0) + _without())
    return addresses_in(links, _table(_GET_ADDRESS, _ADDRESSED.pack(0, 0, 0, 0, 0)))


def addresses_in(links: bytes, table: bytes) -> list[HostAddress]:
    """Return the addresses in a table of them, by what a table of links says of interfaces."""
    interfaces = dict(_interface(one) for kind, one in _messages(links) if kind == _NEW_LINK)
    ports: defaultdict[int, list[_Interface]] = defaultdict(list)
    for one in interfaces.values():
        if one.runs:
            ports[one.master].append(one)
    outlooks = [(n, one.name, _outlook(one, ports[n])) for n, one in interfaces.items()]
    return list(_addresses(tuple(outlooks), table))


@lru_cache(maxsize=1)  # asked for every second, and of many addresses hardly one ever changes
def _addresses(outlooks: tuple[tuple[int, str, Outlook], ...], table: bytes) -> list[HostAddress]:
    """Read a table of addresses; interfaces have a number, a name and an outlook."""
    interfaces, found = {number: (name, outlook) for number, name, outlook in outlooks}, []
    for kind, message in _messages(table):
        if kind != _NEW_ADDRESS:
            continue
        family, _, flags, scope, number = _ADDRESSED.unpack_from(message)
        parts = dict(_attributes(message[_ADDRESSED.size :]))
        octets = parts.get(_LOCAL, parts.get(_ADDRESS, b""))
        is_ipv6 = family == socket.AF_INET6
        if len(octets) != _OCTETS.get(family) or number not in interfaces:
            continue
        if is_ipv6 and (scope == _LINK_SCOPE or flags & (_TENTATIVE | _DAD_FAILED)):
            continue
        name, outlook = interfaces[number]
        if is_ipv6 and flags & _DEPRECATED and outlook is Outlook.OUT:
            outlook = Outlook.DEPRECATED
        found.append(HostAddress(socket.inet_ntop(family, octets), name, outlook))
    return sorted(found, key=lambda one: ":" in one.host)


def _without() -> bytes:
    """Return the attribute that leaves statistics out of an answer."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + _MASK.size, _EXT_MASK) + _MASK.pack(_SKIP_STATISTICS)


def _interface(message: bytes) -> tuple[int, _Interface]:
    """Read a link, and its number."""
    _, _, number, flags, _ = _LINK.unpack_from(message)
    parts = dict(_attributes(message[_LINK.size :]))
    info = dict(_attributes(parts.get(_LINK_INFO, b"")))
    name, kind = (_word(one) for one in (parts.get(_NAME, b""), info.get(_KIND, b"")))
    runs = flags & (_UP | _RUNNING) == _UP | _RUNNING
    master = int.from_bytes(parts.get(_MASTER, b""), byteorder)
    return number, _Interface(name, kind, runs, master)


def _word(octets: bytes) -> str:
    return octets.rstrip(b"\0").decode("utf-8", "replace")


def _outlook(own: _Interface, ports: list[_Interface]) -> Outlook:
    """Tell where an interface leads, which may have running ports."""
    if not own.runs:
        return Outlook.NOWHERE
    if own.kind != "bridge":
        return outlook_of(own.name)
    if not ports:
        return Outlook.NOWHERE
    return Outlook.INWARD if all(one.kind in _GUESTS for one in ports) else Outlook.OUT


def _table(kind: int, body: bytes) -> bytes:
    """Ask for a table, and return its messages up to the end mark."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asking:
        asking.settimeout(PATIENCE)
        request = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, 1, 0) + body
        asking.sendto(request, (0, 0))
        found = bytearray()
        while len(found) < MAX_TABLE:
            part = asking.recv(BUFFER)
            kinds = [what for what, _ in _messages(part)]
            if _ERROR in kinds:
                break
            found += part
            if _DONE in kinds:
                return bytes(found)
    raise OSError("the kernel doesn't tell a table of rtnetlink")


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Go over netlink messages, each as its type and what follows its header."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, start)
        if length < _HEADER.size or start + length > len(data):
            return
        yield kind, data[start + _HEADER.size : start + length]
        start += _aligned(length)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Go over attributes, which follow one another."""
    start = 0
    while start + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE, data[start + _ATTRIBUTE.size : start + length]
        start += _aligned(length)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
