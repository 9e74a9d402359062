"""A program of Twisted and the node of a directory, whoever that is, on sockets of the system."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import CannotListenError, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IFileDescriptorReceiver, IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.errors import NodeRefused, NotGranted
from p2pchat.interfaces import IServices
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.peer.stream_lost import StreamLost
from p2pchat.resident.attached_services import AttachedServices, PassedConnection
from p2pchat.resident.node_link import NodeLink
from p2pchat.resident.server import ResidentServer
from p2pchat.resident.serving import server_of
from p2pchat.resident.shared_services import SharedServices
from p2pchat.resident.succession import PATIENCE
from p2pchat.runtime import real_runtime
from tests.peer.fake_streams import FakeStreams, link
from tests.peer.stream_programs import HalfProgram, Program
from tests.resident.fake_services import FakeServices
from tests.ui.fake_node import ALICE, BOB, FakeNode

PATIENT = 10.0  # seconds


class SharedCase(TestCase):
    """Alice's directory; Bob is a link away from whoever is its node."""

    def setUp(self) -> None:
        self.runtime = real_runtime(reactor)
        self.path = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.path)
        self.bob = FakeServices(FakeStreams(BOB, self.runtime.clock))
        self.ends: list[Any] = []
        self.bob.offered["echo"] = Factory.forProtocol(self.echo)
        self.became: list[StateDirectory] = []
        self.shared = SharedServices(self.runtime, self.path, {}, self.become)
        self.addCleanup(self.shared.stop)

    def echo(self) -> Program:
        """Return what answers at Bob's."""
        ear = HalfProgram()
        ear.echoes = True
        self.ends.append(ear)
        return ear

    def services(self) -> FakeServices:
        """Return services of a node of Alice's, linked to Bob."""
        alice = FakeServices(FakeStreams(ALICE, self.runtime.clock))
        link(alice.streams, self.bob.streams)
        return alice

    def become(self, directory: StateDirectory) -> Deferred[IServices]:
        """Let this program be the node."""
        self.became.append(directory)
        self.addCleanup(directory.close)
        self.services_here = self.services()
        return succeed(self.services_here)

    def start_node(self) -> None:
        """Let another program be the node."""
        self.directory = StateDirectory.open(self.path)
        self.alice = self.services()
        starting = events.Starting(ALICE, "alice", "http://r", "1.0", self.path)
        self.server: ResidentServer = server_of(self.runtime, FakeNode(), starting, self.alice)
        self.server.start(self.path, {})
        self.addCleanup(self.stop_node)

    def stop_node(self) -> Any:
        """Let it end."""
        self.directory.close()
        return self.server.stop()

    @inlineCallbacks
    def until(self, happened: Callable[[], object]) -> Any:
        """Wait until something holds."""
        end = self.runtime.clock.seconds() + PATIENT
        while not happened():
            self.assertLess(self.runtime.clock.seconds(), end, "it never came about")
            yield deferLater(self.runtime.clock, 0.005)

    def reach(self, ear: Program, service: str = "echo") -> Deferred[Program]:
        """Let the program reach a service of Bob's."""
        connected: Deferred[Program] = connectProtocol(self.shared.connector_for(BOB, service), ear)
        return connected


class AttachedTests(SharedCase):
    """Another program is the node."""

    def setUp(self) -> None:
        super().setUp()
        self.start_node()

    @inlineCallbacks
    def test_reached(self) -> Any:
        """A service of a peer is reached, bytes go both ways, and the end is in order."""
        ear = yield self.reach(Program())
        ear.transport.write(b"hello")
        yield self.until(lambda: ear.data == b"hello")
        self.assertEqual(ear.transport.getPeer().host, BOB)
        self.assertEqual(ear.transport.getPeer().service, "echo")
        ear.transport.loseConnection()
        yield self.until(lambda: ear.reason is not None)
        self.assertIsNotNone(ear.reason.check(ConnectionDone))
        self.assertEqual(self.became, [])

    @inlineCallbacks
    def test_half(self) -> Any:
        """A half that has ended leaves the other one open."""
        ear = yield self.reach(HalfProgram())
        ear.transport.loseWriteConnection()
        yield self.until(lambda: self.ends[0].halves == ["read"])
        self.ends[0].transport.write(b"answer")
        yield self.until(lambda: ear.data == b"answer")
        self.ends[0].transport.loseConnection()
        yield self.until(lambda: ear.reason is not None)
        self.assertIsNotNone(ear.reason.check(ConnectionDone))

    @inlineCallbacks
    def test_reset(self) -> Any:
        """A stream that the other side gave up is lost, and not done."""
        ear = yield self.reach(Program())
        self.ends[0].transport.abortConnection()
        yield self.until(lambda: ear.reason is not None)
        self.assertIsNotNone(ear.reason.check(ConnectionLost))

    @inlineCallbacks
    def test_link_lost(self) -> Any:
        """A stream that went with its link is lost for that reason."""
        ear = yield self.reach(Program())
        self.alice.streams.lose_link(BOB)
        yield self.until(lambda: ear.reason is not None)
        self.assertIsNotNone(ear.reason.check(StreamLost))

    @inlineCallbacks
    def test_refused(self) -> Any:
        """What isn't granted fails as it does at the node."""
        yield self.assertFailure(self.reach(Program(), "nothing"), NotGranted)

    @inlineCallbacks
    def test_served(self) -> Any:
        """What the program offers is reached by peers, until it stops."""
        ears: list[Any] = []

        def answer() -> Program:
            ear = Program()
            ears.append(ear)
            return ear

        port = yield self.shared.listener_for("web", ["anyone"]).listen(Factory.forProtocol(answer))
        self.assertEqual((port.getHost().host, self.alice.allowed), (ALICE, ("anyone",)))
        far: Any = Program()
        yield self.bob.streams.open(ALICE, "web", far)
        yield self.until(lambda: ears)
        self.assertEqual(ears[0].transport.getPeer().host, BOB)
        far.transport.write(b"hello")
        yield self.until(lambda: ears[0].data == b"hello")
        yield port.stopListening()
        yield self.until(lambda: not self.alice.offered)

    @inlineCallbacks
    def test_offered_already(self) -> Any:
        """A name that is taken is refused."""
        factory = Factory.forProtocol(Program)
        yield self.shared.listener_for("web").listen(factory)
        again = self.shared.listener_for("web").listen(factory)
        yield self.assertFailure(again, CannotListenError, NodeRefused)

    @inlineCallbacks
    def test_taken_over(self) -> Any:
        """When the node ends this program is the next, soon: it offers again, streams are lost."""
        yield self.shared.listener_for("web", ["anyone"]).listen(Factory.forProtocol(Program))
        ear = yield self.reach(Program())
        began = self.runtime.clock.seconds()
        yield self.stop_node()
        yield self.until(lambda: self.became)
        self.assertLess(self.runtime.clock.seconds() - began, 2.0)
        yield self.until(lambda: "web" in self.services_here.offered)
        self.assertIsNotNone(ear.reason.check(StreamLost))
        again = yield self.reach(Program())
        again.transport.write(b"hello")
        yield self.until(lambda: again.data == b"hello")

    @inlineCallbacks
    def test_interfaces(self) -> Any:
        """All provide what they promise."""
        attached: Any = yield self.shared.there()
        self.assertIsInstance(attached, AttachedServices)
        for one in (self.shared, attached):
            self.assertTrue(verifyObject(IServices, one))
        self.assertTrue(verifyObject(IHalfCloseableProtocol, PassedConnection(None, Program())))
        calls: list[Any] = [print] * 3
        one = NodeLink(self.runtime.clock, (), *calls)
        self.assertTrue(verifyObject(IFileDescriptorReceiver, one))


class AloneTests(SharedCase):
    """Nobody is the node."""

    @inlineCallbacks
    def test_becomes(self) -> Any:
        """This program becomes the node, once, when something is wanted of it."""
        self.assertEqual(self.became, [])
        yield self.reach(Program())
        ear = yield self.reach(Program())
        ear.transport.write(b"hello")
        yield self.until(lambda: ear.data == b"hello")
        self.assertEqual(len(self.became), 1)

    @inlineCallbacks
    def test_no_socket(self) -> Any:
        """A node that serves nobody is named, after a while."""
        directory = StateDirectory.open(self.path)
        self.addCleanup(directory.close)
        began = self.runtime.clock.seconds()
        error = yield self.assertFailure(self.reach(Program()), NodeRefused)
        self.assertIn("serves no other program", str(error))
        self.assertGreaterEqual(self.runtime.clock.seconds() - began, PATIENCE)
