"""Tests of :mod:`p2pchat.resident.bounded_output`."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.resident.bounded_output import MAX_WAITING, BoundedOutput, FrontEndTransport, Unpaused


class BoundedOutputTests(SynchronousTestCase):
    """What waits for a program that doesn't read."""

    def setUp(self) -> None:
        self.transport = StringTransport()
        self.overflows: list[int] = []
        self.output = BoundedOutput(self.transport, lambda: self.overflows.append(1))
        self.output.begin()

    def test_interfaces(self) -> None:
        """The transport tells it when nothing is read; a front end's events don't wait."""
        self.assertTrue(verifyObject(IPushProducer, self.output))
        self.assertTrue(verifyObject(IPushProducer, Unpaused()))

    def test_read(self) -> None:
        """Whatever is read is no matter, however much."""
        for _ in range(10):
            self.output.write(b"x" * MAX_WAITING)
        self.assertEqual(self.overflows, [])

    def test_not_read(self) -> None:
        """Beyond the bound it ends, once, and writes no more."""
        self.output.pauseProducing()
        self.output.write(b"x" * MAX_WAITING)
        self.assertEqual(self.overflows, [])
        self.output.write(b"x")
        self.output.write(b"x")
        self.assertEqual((self.overflows, len(self.transport.value())), ([1], MAX_WAITING + 1))

    def test_read_late(self) -> None:
        """What was read meanwhile counts no more."""
        for _ in range(3):
            self.output.pauseProducing()
            self.output.write(b"x" * MAX_WAITING)
            self.output.resumeProducing()
        self.assertEqual(self.overflows, [])

    def test_front_end(self) -> None:
        """A front end knows when it isn't read, reads no more itself then, and may let go."""
        ended: list[int] = []
        transport = FrontEndTransport(self.output, lambda: ended.append(1))
        follower = StringTransport()
        transport.registerProducer(follower, True)
        self.output.pauseProducing()
        self.assertEqual(follower.producerState, "paused")
        self.output.resumeProducing()
        self.assertEqual(follower.producerState, "producing")
        transport.pauseProducing()
        self.assertEqual(self.transport.producerState, "paused")
        transport.resumeProducing()
        transport.write(b"x")
        transport.unregisterProducer()
        transport.loseConnection()
        self.output.pauseProducing()
        self.assertEqual((follower.producerState, ended), ("producing", [1]))
