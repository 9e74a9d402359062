"""A UDP port that writes and reads in batches: where they end, and on sockets of this system."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from errno import EINVAL, EIO, EMSGSIZE
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from p2pchat.peer.udp import (
    BYTES_A_TURN,
    MAX_BATCH,
    MAX_SEGMENTS,
    UDP_GRO,
    BatchPort,
    BatchProtocol,
    batches,
    listen,
)
from p2pchat.wire.addresses import Address, Family

THERE = ("127.0.0.1", 4000)
LOOPBACK = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}


class BatchesTests(SynchronousTestCase):
    """Where a call of the system has to end."""

    @given(st.lists(st.sampled_from([0, 1, 500, 1200, 30_000, 65_000]), max_size=200))
    def test_whole(self, sizes: list[int]) -> None:
        """Nothing is lost, doubled or put in another order; no batch is more than a call takes."""
        datagrams = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
        found = list(batches(datagrams))
        self.assertEqual([one for batch in found for one in batch], datagrams)
        for batch in found:
            first = len(batch[0])
            self.assertLessEqual(len(batch), MAX_SEGMENTS)
            self.assertTrue(len(batch) == 1 or sum(map(len, batch)) <= MAX_BATCH)
            self.assertTrue(all(len(one) == first for one in batch[:-1]))
            self.assertTrue(len(batch) == 1 or 0 < len(batch[-1]) <= first)

    def test_ends(self) -> None:
        """A batch ends with a shorter datagram, before a longer one, and at 64."""
        sizes = [1200] * 3 + [40] + [40, 1200] + [300] * 70
        found = [len(batch) for batch in batches([bytes(size) for size in sizes])]
        self.assertEqual(found, [4, 1, 2, 64, 5])


@attrs.define(eq=False)
class FakeSocket:
    """
    A socket that says what it was given.

    :ivar refuses: the error for a batch.
    :ivar calls: how many datagrams each call had.
    """

    refuses: OSError | None = None
    calls: list[int] = attrs.Factory(list)
    sent: list[bytes] = attrs.Factory(list)
    incoming: list[tuple[bytes, int, Address]] = attrs.Factory(list)  # with the segment's size

    def sendto(self, data: bytes, _address: Address) -> None:
        """Take one datagram."""
        self.calls.append(1)
        self.sent.append(data)

    def sendmsg(self, batch: Sequence[bytes], _options: Any, _flags: int, _to: Address) -> None:
        """Take a batch, or refuse it."""
        if self.refuses is not None:
            raise self.refuses
        self.calls.append(len(batch))
        self.sent += batch

    def recvmsg(self, _size: int, _ancillary: int) -> tuple[bytes, list[Any], int, Any]:
        """Give what one call gives."""
        if not self.incoming:
            raise BlockingIOError
        data, size, source = self.incoming.pop(0)
        ancillary = [(socket.IPPROTO_UDP, UDP_GRO, struct.pack("i", size))] if size else []
        return data, ancillary, 0, source


class Taken(BatchProtocol):
    """Notes what comes."""

    noisy = False

    def __init__(self) -> None:
        self.batches: list[tuple[list[bytes], Address]] = []
        self.fails = False

    def batch_received(self, datagrams: list[bytes], address: Address) -> None:
        """Note them, or fail."""
        self.batches.append((datagrams, address))
        if self.fails:
            raise ZeroDivisionError

    @property
    def datagrams(self) -> list[bytes]:
        """All that came."""
        return [one for batch, _ in self.batches for one in batch]


class BatchPortTests(SynchronousTestCase):
    """A port whose socket the test plays."""

    def setUp(self) -> None:
        self.taken, self.socket = Taken(), FakeSocket()
        self.port = BatchPort(0, self.taken)
        self.port.socket = self.socket  # type: ignore[assignment]
        self.many = [bytes([number]) * 100 for number in range(70)]

    def test_batches(self) -> None:
        """Many of one size go with few calls."""
        self.assertEqual(self.port.write_batch(self.many, THERE), 0)
        self.assertEqual((self.socket.calls, self.socket.sent), ([64, 6], self.many))

    def test_device_without(self) -> None:
        """A device that can't cut refuses once; from then on each goes alone, and none is lost."""
        self.socket.refuses = OSError(EIO, "Input/output error")
        self.assertEqual(self.port.write_batch(self.many, THERE), 0)
        self.assertEqual((self.socket.calls, self.socket.sent), ([1] * 70, self.many))
        self.assertFalse(self.port.is_cutting)
        self.socket.refuses = ZeroDivisionError  # type: ignore[assignment]
        self.port.write_batch(self.many, THERE)
        self.assertEqual(self.socket.sent, self.many * 2)

    def test_too_long(self) -> None:
        """Longer than the path takes in a batch: these go alone, the next together."""
        self.socket.refuses = OSError(EMSGSIZE, "Message too long")
        self.assertEqual(self.port.write_batch(self.many[:5], THERE), 0)
        self.socket.refuses = None
        self.port.write_batch(self.many[:5], THERE)
        self.assertEqual(self.socket.calls, [1, 1, 1, 1, 1, 5])

    def test_smaller_path(self) -> None:
        """Where large ones have become too long for the path, small ones still go together."""
        self.socket.refuses = OSError(EINVAL, "Invalid argument")
        self.port.write_batch([bytes(9000)] * 3, THERE)
        self.assertTrue(self.port.is_cutting)

    def test_full(self) -> None:
        """What a full buffer doesn't take is lost, and counted."""
        self.socket.refuses = BlockingIOError()
        self.assertEqual(self.port.write_batch(self.many, THERE), 70)
        self.assertTrue(self.port.is_cutting)

    def test_no_names(self) -> None:
        """A name is never looked up, nor an address of the other family used."""
        for host in ("localhost", "::1", "1.2.3"):
            self.assertRaises(ValueError, self.port.write_batch, [b"x"], (host, 1))
        self.assertEqual(self.socket.sent, [])

    def test_read(self) -> None:
        """What comes from one source is handed on together, cut as it was sent, in order."""
        near, far = ("127.0.0.1", 1), ("127.0.0.1", 2)
        self.socket.incoming = [
            (b"aabbc", 2, near),
            (b"d", 0, near),
            (b"e", 0, far),
            (b"", 0, near),
        ]
        self.port.doRead()
        expected = [([b"aa", b"bb", b"c", b"d"], near), ([b"e"], far), ([b""], near)]
        self.assertEqual(self.taken.batches, expected)

    def test_a_turn(self) -> None:
        """A flood is read little by little: keys and timers come between."""
        self.socket.incoming = [(bytes(1000), 0, THERE)] * 200
        self.port.doRead()
        self.assertEqual(len(self.taken.datagrams), BYTES_A_TURN // 1000 + 1)

    def test_failure(self) -> None:
        """What fails with one source's datagrams is logged, and the next are handed on."""
        self.taken.fails = True
        self.socket.incoming = [(b"a", 0, ("127.0.0.1", 1)), (b"b", 0, ("127.0.0.1", 2))]
        self.port.doRead()
        self.assertEqual(self.taken.datagrams, [b"a", b"b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class RealSocketTests(TestCase):
    """Two ports of the system itself."""

    def bound(self, one: Family) -> tuple[Any, Taken]:
        """Bind a port."""
        from twisted.internet import reactor  # noqa: PLC0415 - these tests alone need it

        taken = Taken()
        try:
            port = listen(reactor, 0, taken, one)
        except CannotListenError as error:
            raise SkipTest(f"no {one.value} here: {error}") from error
        self.addCleanup(port.stopListening)
        return port, taken

    async def sent(self, one: Family) -> None:
        """Send what takes several calls, and compare."""
        from twisted.internet import reactor  # noqa: PLC0415
        from twisted.internet.task import deferLater  # noqa: PLC0415

        (sender, _), (receiver, taken) = self.bound(one), self.bound(one)
        sizes = [1200] * 100 + [300, 1200, 0, 7] + [900] * 65
        datagrams = [bytes([number]) * size for number, size in enumerate(sizes)]
        to = (LOOPBACK[one], receiver.getHost().port)
        self.assertEqual(sender.write_batch(datagrams, to), 0)
        while len(taken.datagrams) < len(datagrams):
            await deferLater(reactor, 0.001)
        self.assertEqual(taken.datagrams, datagrams)
        self.assertEqual({source for _, source in taken.batches}, {(to[0], sender.getHost().port)})

    def test_ipv4(self) -> Deferred[None]:
        """Every datagram arrives as it was, in order."""
        return Deferred.fromCoroutine(self.sent(Family.IPV4)).addTimeout(10, _reactor())

    def test_ipv6(self) -> Deferred[None]:
        """So it does over IPv6."""
        return Deferred.fromCoroutine(self.sent(Family.IPV6)).addTimeout(10, _reactor())

    def test_one_number(self) -> None:
        """Both families can have the same port number; one family can't have it twice."""
        from twisted.internet import reactor  # noqa: PLC0415

        port, _ = self.bound(Family.IPV4)
        number = port.getHost().port
        self.assertRaises(CannotListenError, listen, reactor, number, Taken(), Family.IPV4)
        try:
            other = listen(reactor, number, Taken(), Family.IPV6)
        except CannotListenError as error:
            raise SkipTest(f"no IPv6 here: {error}") from error
        self.addCleanup(other.stopListening)


def _reactor() -> Any:
    from twisted.internet import reactor  # noqa: PLC0415

    return reactor
