"""Tests of :mod:`p2pchat.tap.stdio_relay`."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.tap.stdio_relay import Keyboard, StdioRelay


class Taking(Protocol):
    """A protocol that keeps what comes."""

    taken = b""

    def dataReceived(self, data: bytes) -> None:
        self.taken += data


class StdioRelayTests(SynchronousTestCase):
    """Stdio goes to whoever has it now."""

    def setUp(self) -> None:
        self.relay, self.stdio = StdioRelay(), StringTransport()
        self.typed: list[bytes] = []
        self.left: list[bool] = []
        self.relay.typed, self.relay.gone = self.typed.append, lambda: self.left.append(True)
        self.relay.makeConnection(cast(Any, self.stdio))

    def test_interface(self) -> None:
        """It is a protocol of which one half may end."""
        verifyObject(IHalfCloseableProtocol, self.relay)

    def test_waits(self) -> None:
        """Without a far side nothing is read, and what came is kept for the next one."""
        self.assertEqual(self.stdio.producerState, "paused")
        self.relay.dataReceived(b"early")
        far = StringTransport()
        self.relay.join(far, lambda: None)
        self.assertEqual(far.value(), b"early")
        self.assertEqual(self.stdio.producerState, "producing")

    def test_again(self) -> None:
        """One far side follows another."""
        first, second = StringTransport(), StringTransport()
        self.relay.join(first, lambda: None)
        self.relay.dataReceived(b"a")
        self.relay.part()
        self.relay.join(second, lambda: None)
        self.relay.dataReceived(b"b")
        self.assertEqual((first.value(), second.value()), (b"a", b"b"))
        self.assertEqual(self.typed, [b"a", b"b"])

    def test_lost(self) -> None:
        """A far side that is lost doesn't take stdio with it."""
        verifyObject(IPushProducer, Keyboard(self.stdio))
        far = StringTransport()
        self.relay.join(far, lambda: None)
        cast(Any, far.producer).stopProducing()
        self.assertFalse(self.stdio.disconnecting)

    def test_end_of_input(self) -> None:
        """That the input has ended is told to a far side that comes later, too."""
        self.relay.readConnectionLost()
        finished: list[bool] = []
        self.relay.join(StringTransport(), lambda: finished.append(True))
        self.assertEqual(finished, [True])

    def test_hand_over(self) -> None:
        """A protocol of our own gets what came meanwhile."""
        self.relay.dataReceived(b"meanwhile")
        ours = Taking()
        self.relay.hand_over(ours)
        self.assertEqual(ours.taken, b"meanwhile")
        self.assertIs(ours.transport, self.stdio)

    def test_gone(self) -> None:
        """That nobody reads the output is told."""
        self.relay.writeConnectionLost()
        self.assertEqual(self.left, [True])
