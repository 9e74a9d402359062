"""Tests of :mod:`p2pchat.forwarding.bridge`, without sockets."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.forwarding.bridge import BridgeEnd


class HalfCloseable(StringTransport):
    """A transport that notes how it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: list[str] = []

    def loseWriteConnection(self) -> None:
        """Note that no more is to be sent."""
        self.closed.append("half")

    def loseConnection(self) -> None:
        """Note that it is to be closed when all is sent."""
        self.closed.append("whole")

    def abortConnection(self) -> None:
        """Note that it is to be closed at once."""
        self.closed.append("aborted")


class BridgeTests(SynchronousTestCase):
    """Two ends on transports in memory."""

    def setUp(self) -> None:
        self.ended: list[tuple[BridgeEnd, BaseException | None]] = []
        self.near_transport, self.far_transport = HalfCloseable(), HalfCloseable()
        self.near = BridgeEnd(ended=lambda *how: self.ended.append(how))
        self.far = BridgeEnd(ended=lambda *how: self.ended.append(how))
        self.near.makeConnection(self.near_transport)
        self.far.makeConnection(self.far_transport)

    def test_interface(self) -> None:
        """An end is a protocol whose connection can be closed by half."""
        self.assertTrue(verifyObject(IHalfCloseableProtocol, self.near))

    def test_waits(self) -> None:
        """Nothing is read before the two are joined."""
        self.assertEqual(self.near_transport.producerState, "paused")
        self.near.join(self.far)
        self.assertEqual(self.near_transport.producerState, "producing")
        self.assertEqual(self.far_transport.producerState, "producing")

    def test_bytes(self) -> None:
        """Each sends what the other receives, and counts it."""
        self.near.join(self.far)
        self.near.dataReceived(b"question")
        self.far.dataReceived(b"answer!")
        self.assertEqual(self.far_transport.value(), b"question")
        self.assertEqual(self.near_transport.value(), b"answer!")
        self.assertEqual((self.near.received, self.far.received), (8, 7))

    def test_backpressure(self) -> None:
        """Who can't send holds back the one who receives for it."""
        self.near.join(self.far)
        self.assertIs(self.far_transport.producer, self.near_transport)
        self.assertIs(self.near_transport.producer, self.far_transport)
        self.assertTrue(self.far_transport.streaming)

    def test_half_close(self) -> None:
        """The end of one direction is passed on, and the other direction goes on."""
        self.near.join(self.far)
        self.near.readConnectionLost()
        self.assertEqual((self.near_transport.closed, self.far_transport.closed), ([], ["half"]))
        self.far.writeConnectionLost()
        self.far.dataReceived(b"late")
        self.assertEqual(self.near_transport.value(), b"late")
        self.far.readConnectionLost()
        self.assertEqual(self.near_transport.closed, ["whole"])
        self.near.connectionLost(Failure(ConnectionDone()))
        self.assertEqual([reason for _, reason in self.ended], [None, None])

    def test_done_without_loss(self) -> None:
        """Where both directions have ended and nobody says more, as on stdio, that is the end."""
        self.near.join(self.far)
        self.far.readConnectionLost()
        self.near.writeConnectionLost()
        self.near.readConnectionLost()
        self.assertEqual([end for end, _ in self.ended], [self.near])

    def test_reset(self) -> None:
        """What is broken on one side is broken on the other."""
        self.near.join(self.far)
        self.near.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.far_transport.closed, ["aborted"])
        self.assertIsInstance(self.ended[0][1], ConnectionLost)

    def test_closed(self) -> None:
        """What one side sent before it closed is delivered: the other is closed in order."""
        self.near.join(self.far)
        self.near.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.far_transport.closed, ["whole"])
        self.assertEqual(self.ended, [(self.near, None)])

    def test_broken_output(self) -> None:
        """An end that takes no more, such as stdout of a program that is gone, breaks both."""
        self.near.join(self.far)
        self.near.writeConnectionLost()
        self.assertEqual(self.far_transport.closed, ["aborted"])
        self.assertIsInstance(self.ended[0][1], BrokenPipeError)

    def test_abort(self) -> None:
        """An end that is over isn't ended again."""
        self.near.abort()
        self.near.connectionLost(Failure(ConnectionLost()))
        self.near.abort()
        self.assertEqual(self.near_transport.closed, ["aborted"])
