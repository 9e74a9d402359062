"""
A UDP port that hands many datagrams to the system with one call, and takes as many.

::

    datagrams of one size, one shorter at the end  ──UDP_SEGMENT──▶  one sendmsg()
    one recvmsg()  ──UDP_GRO──▶  what came from one address, in datagrams of one size

Linux has both (udp(7)), for IPv4 and IPv6, and the datagrams on the wire are the same as ever.
A call costs several times as much as what is done for one datagram in it.  Owns where a batch
ends, and the way back to one call a datagram: a kernel without these options has them refused
once and for all, a device that can't cut a buffer refuses the first, and whatever is longer than
the path takes goes out alone.  Datagrams are never put in another order.

On reactors that aren't of this system, as the simulated internet's, a port is the reactor's own.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from errno import EINVAL, EIO, EMSGSIZE, ENOPROTOOPT, EOPNOTSUPP
from struct import Struct
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from p2pchat.runtime import UdpPort, listen_udp
from p2pchat.traversal.size_probe import BASE_SIZE
from p2pchat.wire.addresses import ANY_IPV6, Address, Family

UDP_SEGMENT, UDP_GRO = 103, 104  # <linux/udp.h>; the module socket has no names for them
SO_RCVBUFFORCE = 33  # <asm/socket.h>; above net.core.rmem_max, for the administrator
MAX_SEGMENTS = 64  # of one call: UDP_MAX_SEGMENTS of the kernels that have the least
MAX_BATCH = 65_000  # bytes of one call; an IP packet with its headers has 65,535
MAX_READ = 65_535  # bytes of one call; a shorter buffer would cut a batch
RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes; the usual 208 kB lose what comes within a millisecond
BYTES_A_TURN = 128 * 1024  # of one socket; what follows waits for keys, timers and other sockets

_SIZE = Struct("=H")
_GRO_SIZE = Struct("=i")
_ANCILLARY = socket.CMSG_SPACE(_GRO_SIZE.size)
_NO_SEGMENTS = frozenset({EINVAL, EIO, ENOPROTOOPT, EOPNOTSUPP})  # of this kernel or device

_log = Logger()


class BatchProtocol(DatagramProtocol):
    """A protocol that takes datagrams of one source together."""

    def batch_received(self, datagrams: list[bytes], address: Address) -> None:
        """Take datagrams, in the order in which they came."""
        raise NotImplementedError

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Take one, of a port that knows no batches."""
        self.batch_received([datagram], (addr[0], addr[1]))


class BatchPort(UdpPort):
    """
    A socket of this system; see the module.

    :ivar is_cutting: whether the system cuts batches, as far as is known.
    """

    protocol: BatchProtocol
    maxThroughput = BYTES_A_TURN
    is_cutting = True
    _literal: Address | None = None  # the last destination, found to be no name

    def createInternetSocket(self) -> socket.socket:
        """Make the socket, and ask for what makes it fast; it works without."""
        made = super().createInternetSocket()
        with suppress(OSError):
            made.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        for option in (socket.SO_RCVBUF, SO_RCVBUFFORCE):
            with suppress(OSError):
                made.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER)
        return made

    def doRead(self) -> None:
        """Take what is there, up to a turn's worth, and hand it on by source."""
        batch: list[bytes] = []
        source: Any = None
        read = 0
        while read < self.maxThroughput:
            try:
                data, ancillary, _, sender = self.socket.recvmsg(MAX_READ, _ANCILLARY)
            except (BlockingIOError, InterruptedError, ConnectionRefusedError):
                break
            read += len(data)
            if sender != source:
                self._hand_on(batch, source)
                batch, source = [], sender
            batch += _cut(data, ancillary)
        self._hand_on(batch, source)

    def _hand_on(self, batch: list[bytes], source: Any) -> None:
        if batch:
            try:
                self.protocol.batch_received(batch, source[:2])
            except Exception:
                _log.failure("a datagram wasn't taken")

    def write_batch(self, datagrams: Sequence[bytes], address: Address) -> int:
        """
        Send datagrams in their order; returns how many the network refused.

        :raises ValueError: the address is no IP literal of this port's family.
        """
        self._check(address)
        cut = batches(datagrams) if self.is_cutting else [[one] for one in datagrams]
        return sum(self._send(batch, address) for batch in cut)

    def _send(self, batch: Sequence[bytes], address: Address) -> int:
        try:
            if len(batch) == 1:
                self.socket.sendto(batch[0], address)
            else:
                size = (socket.IPPROTO_UDP, UDP_SEGMENT, _SIZE.pack(len(batch[0])))
                self.socket.sendmsg(batch, [size], 0, address)
        except OSError as error:
            return self._refused(batch, address, error)
        return 0

    def _check(self, address: Address) -> None:
        """Refuse what isn't an address: the system would look a name up, and block."""
        if address != self._literal:
            is_ipv6 = self.addressFamily == socket.AF_INET6
            if not (isIPv6Address if is_ipv6 else isIPAddress)(address[0]):
                raise ValueError(f"{address[0]} is no address of this port's family")
            self._literal = address

    def _refused(self, batch: Sequence[bytes], address: Address, error: OSError) -> int:
        """Send one by one what can't be sent together; returns how many can't be at all."""
        if len(batch) > 1 and error.errno in _NO_SEGMENTS:
            if len(batch[0]) <= BASE_SIZE:  # else the path of these has become smaller
                _log.debug("no batches from now on: {error}", error=error)
                self.is_cutting = False
        elif len(batch) == 1 or error.errno != EMSGSIZE:
            _log.debug("datagrams not sent: {error}", error=error)
            return len(batch)
        return sum(self._send([one], address) for one in batch)


def batches(datagrams: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut a sequence where a call of the system has to end: one size, the last may be shorter."""
    start, count = 0, len(datagrams)
    while start < count:
        size = len(datagrams[start])
        together = max(1, min(MAX_SEGMENTS, MAX_BATCH // size)) if size else 1
        most = min(count, start + together)
        end = start + 1
        while end < most and len(datagrams[end]) == size:
            end += 1
        if end < most and 0 < len(datagrams[end]) < size:
            end += 1
        yield datagrams[start:end]
        start = end


def _cut(data: bytes, ancillary: Sequence[tuple[int, int, bytes]]) -> list[bytes]:
    """Cut what one call gave into its datagrams."""
    for level, kind, value in ancillary:
        if level == socket.IPPROTO_UDP and kind == UDP_GRO:
            (size,) = _GRO_SIZE.unpack_from(value)
            if 0 < size < len(data):
                return [data[start : start + size] for start in range(0, len(data), size)]
    return [data]


def listen(reactor: Any, port: int, protocol: BatchProtocol, one: Family) -> Any:
    """
    Bind a UDP port of one family on all interfaces, beside one of the other with the same number.

    Returns the ``IListeningPort``.

    :raises CannotListenError: the port is taken, or this machine doesn't have the family.
    """
    return listen_udp(reactor, port, protocol, ANY_IPV6 if one is Family.IPV6 else "", BatchPort)
