"""Streams in memory are like those of a link."""

from __future__ import annotations

from typing import cast

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IPushProducer,
    ITransport,
)
from twisted.internet.task import Clock
from twisted.internet.testing import AccumulatingProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import LinkLost, NotGranted
from p2pchat.interfaces.streams import IPeerStreams, StreamInfo
from p2pchat.peer.stream_lost import StreamLost
from tests.identity.people import ALICE, BOB
from tests.peer.fake_streams import FakeStreams, FakeTransport, link


class FakeStreamsTests(SynchronousTestCase):
    """Alice opens what Bob lets her."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.alice = FakeStreams(ALICE.peer_id, self.clock)
        self.bob = FakeStreams(BOB.peer_id, self.clock)
        self.ours, self.theirs = AccumulatingProtocol(), AccumulatingProtocol()
        self.bob.accept(lambda _peer_id, service: self.theirs if service == "web" else None)
        self.seen: list[tuple[str, bool]] = []
        self.bob.watch(lambda info, is_open: self.seen.append((info.service, is_open)))

    def open(self) -> None:
        """Open one."""
        link(self.alice, self.bob)
        self.successResultOf(self.alice.open(BOB.peer_id, "web", self.ours))

    def transport_of(self, protocol: AccumulatingProtocol) -> FakeTransport:
        """Return the end of a stream that a protocol has."""
        self.assertIsInstance(protocol.transport, FakeTransport)
        return cast(FakeTransport, protocol.transport)

    def settle(self) -> None:
        """Let what was written arrive."""
        self.clock.pump([0.0] * 5)

    def test_interfaces(self) -> None:
        """They provide what is promised."""
        self.open()
        self.assertTrue(verifyObject(IPeerStreams, self.alice))
        for interface in (ITransport, IPushProducer, IConsumer):
            self.assertTrue(verifyObject(interface, self.ours.transport))

    def test_both_ways(self) -> None:
        """Bytes go both ways, and are counted."""
        self.open()
        self.transport_of(self.ours).write(b"ask")
        self.transport_of(self.theirs).write(b"answer")
        self.settle()
        self.assertEqual((self.theirs.data, self.ours.data), (b"ask", b"answer"))
        self.assertEqual(
            self.bob.open_streams(), [StreamInfo(ALICE.peer_id, "web", False, 0.0, 3, 6, 1)]
        )

    def test_refused(self) -> None:
        """What isn't let in is refused; without a link nothing is asked."""
        self.failureResultOf(self.alice.open(BOB.peer_id, "web", self.ours), LinkLost)
        link(self.alice, self.bob)
        self.failureResultOf(self.alice.open(BOB.peer_id, "ssh", self.ours), NotGranted)
        self.assertEqual(self.bob.asked, [(ALICE.peer_id, "ssh", False)])

    def test_ends(self) -> None:
        """An end is told to both sides, and how it came."""
        for end, reason in (
            (FakeTransport.loseConnection, ConnectionDone),
            (FakeTransport.abortConnection, ConnectionLost),
            (lambda _: self.alice.lose_link(BOB.peer_id), StreamLost),
            (lambda _: self.bob.close(ALICE.peer_id, "web"), ConnectionAborted),
        ):
            self.ours, self.theirs = AccumulatingProtocol(), AccumulatingProtocol()
            self.open()
            end(self.transport_of(self.ours))
            self.settle()
            self.assertEqual((self.ours.closed, self.theirs.closed), (1, 1))
            self.assertIs(cast(Failure, self.theirs.closedReason).type, reason)
        self.assertEqual(self.seen, [("web", True), ("web", False)] * 4)
