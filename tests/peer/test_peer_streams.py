"""Programs of Twisted on streams between two endpoints."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IProtocol,
    IPushProducer,
    ITransport,
)
from twisted.internet.task import Clock
from twisted.protocols.basic import FileSender
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import LinkLost, NotGranted, TooManyStreams
from p2pchat.interfaces.streams import IPeerStreams, StreamInfo
from p2pchat.peer.driver import Driver
from p2pchat.peer.peer_streams import PeerStreams
from p2pchat.peer.stream_lost import StreamLost
from p2pchat.peer.stream_transport import CHUNK, StreamTransport
from p2pchat.session.byte_streams import MAX_IN_ALL, MAX_QUEUED, UNANSWERED
from p2pchat.session.service_stream import LOW, WINDOW
from tests.cases import each
from tests.peer.stream_programs import HalfProgram, Program
from tests.session.pair import Pair, Peer

MEGABYTE = 1024 * 1024


class Brief(Program):
    """Closes at once."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class Pushes:
    """A push producer."""

    def __init__(self, transport: Any, pieces: int) -> None:
        self.transport, self.left = transport, pieces
        self.pauses, self.is_paused, self.is_stopped = 0, False, False

    def resumeProducing(self) -> None:
        self.is_paused = False
        while self.left and not self.is_paused:
            self.left -= 1
            self.transport.write(bytes(10_000))
        if not self.left:
            self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self.pauses += 1
        self.is_paused = True

    def stopProducing(self) -> None:
        self.is_stopped = True


class StreamsCase(SynchronousTestCase):
    """Alice opens what Bob lets her."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.clock = Clock()
        self.alice, self.bob = self.streams(self.pair.alice), self.streams(self.pair.bob)
        self.ours, self.theirs = Program(), Program()
        self.bob.accept(self.decide)
        self.seen: list[tuple[StreamInfo, bool]] = []
        self.bob.watch(lambda info, is_open: self.seen.append((info, is_open)))

    def streams(self, peer: Peer) -> PeerStreams:
        """Return the streams of somebody; the wire drives the endpoint."""
        driver: Driver[Any] = Driver(peer.endpoint, self.clock, lambda _: None, lambda _: None)
        streams = PeerStreams(peer.name, peer.endpoint, driver, self.clock)
        peer.serve = streams.stirred
        return streams

    def decide(self, peer_id: str, service: str) -> IProtocol | None:
        """Decide as Bob."""
        self.assertEqual(peer_id, self.pair.bob.other)
        return self.theirs if service == "web" else None

    def open(self, service: str = "web") -> Deferred[None]:
        """Let Alice open one."""
        return self.alice.open(self.pair.alice.other, service, self.ours)

    def opened(self) -> None:
        """Let one be open."""
        self.pair.connect()
        opened = self.open()
        self.pair.run(0.2)
        self.successResultOf(opened)

    def run_on(self, seconds: float = 1.0) -> None:
        """Let time pass."""
        self.pair.run(seconds)

    def transport(self, program: Program) -> Any:
        """Return what a program writes to."""
        return program.transport


class OpenTests(StreamsCase):
    """Streams begin."""

    def test_over_at_once(self) -> None:
        """One whose service closes it as it begins was open, and has ended in order."""
        self.theirs = Brief()
        self.opened()
        self.run_on()
        self.assertEqual((self.ours.end, self.theirs.end), (ConnectionDone, ConnectionDone))

    def test_interfaces(self) -> None:
        """All provide what they promise."""
        self.opened()
        self.assertTrue(verifyObject(IPeerStreams, self.alice))
        self.assertIsInstance(self.ours.transport, StreamTransport)
        self.assertTrue(verifyObject(ITransport, self.ours.transport))
        self.assertTrue(verifyObject(IPushProducer, self.ours.transport))
        self.assertTrue(verifyObject(IConsumer, self.ours.transport))

    def test_addresses(self) -> None:
        """Each end knows whose the other one is, and what reaches a service as a string."""
        self.opened()
        ours, theirs = self.transport(self.ours), self.transport(self.theirs)
        self.assertEqual(ours.getPeer().host, self.pair.alice.other)
        self.assertEqual(ours.getPeer().service, "web")
        self.assertEqual(theirs.getHost().service, "web")
        self.assertEqual(theirs.getPeer().host, self.pair.bob.other)

    def test_not_granted(self) -> None:
        """What isn't let in fails so, and nothing is left of it."""
        self.pair.connect()
        opened = self.open("ssh")
        self.run_on()
        self.failureResultOf(opened, NotGranted)
        self.assertEqual((self.alice.open_streams(), self.bob.open_streams()), ([], []))

    def test_no_link(self) -> None:
        """Without a link it fails at once."""
        self.failureResultOf(self.open(), LinkLost)

    def test_decision_fails(self) -> None:
        """Whoever decides and can't is taken for a no."""
        self.bob.accept(lambda _peer_id, _service: {}["nothing"])  # type: ignore[index]
        self.pair.connect()
        opened = self.open()
        self.run_on()
        self.failureResultOf(opened, NotGranted)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_too_many(self) -> None:
        """Too many here fail at once, too many there when that is known."""
        self.pair.connect()
        self.pair.bob.endpoint.context.streams.open = MAX_IN_ALL
        opened = self.open()
        self.run_on()
        self.failureResultOf(opened, TooManyStreams)
        waiting = [self.open() for _ in range(MAX_QUEUED)]
        self.failureResultOf(self.open(), TooManyStreams)
        for one in waiting:
            one.addErrback(lambda _: None)
            one.cancel()

    def test_no_answer(self) -> None:
        """Without an answer it fails in time, as a link that is lost."""
        self.pair.connect()
        self.pair.part()
        opened = self.open()
        self.run_on(UNANSWERED + 1)
        self.failureResultOf(opened, LinkLost)

    def test_cancelled(self) -> None:
        """Whoever doesn't wait any longer leaves nothing there."""
        self.pair.connect()
        opened = self.open()
        self.pair.run(0.005)
        opened.addErrback(lambda _: None)
        opened.cancel()
        self.run_on()
        self.assertEqual((self.alice.open_streams(), self.bob.open_streams()), ([], []))
        self.assertIsNone(self.ours.transport)


class EndTests(StreamsCase):
    """Streams end."""

    def ends(self) -> tuple[type | None, type | None]:
        """Return what both were lost with."""
        self.run_on()
        return self.ours.end, self.theirs.end

    def test_lose(self) -> None:
        """What was written before arrives; both end in order."""
        self.opened()
        self.transport(self.ours).write(b"last")
        self.transport(self.ours).loseConnection()
        self.assertEqual(self.ends(), (ConnectionDone, ConnectionDone))
        self.assertEqual(self.theirs.data, b"last")

    def test_lose_much(self) -> None:
        """So does much more than a window."""
        self.opened()
        self.transport(self.ours).write(bytes(8 * WINDOW))
        self.transport(self.ours).loseConnection()
        self.run_on(10)
        self.assertEqual(self.ends(), (ConnectionDone, ConnectionDone))
        self.assertEqual(len(self.theirs.data), 8 * WINDOW)
        self.assertLessEqual(max(self.theirs.chunks), CHUNK)

    def test_abort(self) -> None:
        """A side that aborts is told so; the other one that it was lost."""
        self.opened()
        self.transport(self.theirs).abortConnection()
        self.assertEqual(self.ends(), (ConnectionLost, ConnectionAborted))

    def test_link_lost(self) -> None:
        """With the link it is lost for that reason."""
        self.opened()
        self.pair.bob.session.disconnect(self.pair.wire.now)
        self.assertEqual(self.ends(), (StreamLost, StreamLost))

    def test_closed(self) -> None:
        """What is closed for a peer ends at once, that service alone."""
        self.opened()
        self.bob.close(self.pair.bob.other, "ssh")
        self.assertEqual(self.ends(), (None, None))
        self.bob.close(self.pair.bob.other, "web")
        self.assertEqual(self.ends(), (ConnectionLost, ConnectionAborted))

    def test_program_fails(self) -> None:
        """What a program raises ends its stream with that, and nothing else."""
        self.opened()
        self.theirs.fails = True
        self.transport(self.ours).write(b"x")
        self.assertEqual(self.ends(), (ConnectionLost, ValueError))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.pair.chat()

    def test_half(self) -> None:
        """A program that cares for halves can go on writing when the other one has ended."""
        self.ours, self.theirs = HalfProgram(), HalfProgram()
        self.opened()
        self.transport(self.ours).write(b"question")
        self.transport(self.ours).loseWriteConnection()
        self.run_on()
        self.assertEqual((self.ours.halves, self.theirs.halves), (["write"], ["read"]))
        self.transport(self.theirs).write(b"answer")
        self.transport(self.theirs).loseConnection()
        self.assertEqual(self.ends(), (ConnectionDone, ConnectionDone))
        self.assertEqual((self.theirs.data, self.ours.data), (b"question", b"answer"))

    def test_watched(self) -> None:
        """Beginning and end are told, with how much went where."""
        self.opened()
        self.transport(self.ours).write(b"123")
        self.transport(self.ours).loseConnection()
        self.run_on()
        (begun, is_open), (ended, is_still_open) = self.seen
        self.assertEqual((is_open, is_still_open), (True, False))
        self.assertEqual((begun.service, begun.is_ours, begun.number), ("web", False, 1))
        self.assertEqual((ended.received, ended.sent), (3, 0))

    def test_verbs_afterwards(self) -> None:
        """What a program does with a transport that is lost does nothing."""
        self.opened()
        transport = self.transport(self.ours)
        transport.abortConnection()
        self.run_on()
        producer = Pushes(transport, 3)
        transport.registerProducer(producer, True)
        self.assertTrue(producer.is_stopped)
        for verb in ("loseConnection", "abortConnection", "loseWriteConnection"):
            getattr(transport, verb)()
        transport.write(b"late")
        transport.pauseProducing()
        transport.resumeProducing()
        self.run_on()


class FlowTests(StreamsCase):
    """More than there is room for."""

    def test_paused(self) -> None:
        """Whoever pauses is handed nothing until it goes on, and holds a window."""
        self.opened()
        self.transport(self.theirs).pauseProducing()
        self.transport(self.ours).write(bytes(MEGABYTE))
        self.run_on()
        self.assertEqual(self.theirs.data, b"")
        (info,) = self.alice.open_streams()
        self.assertEqual(info.sent, WINDOW)
        self.transport(self.theirs).resumeProducing()
        self.run_on(5)
        self.assertEqual(len(self.theirs.data), MEGABYTE)

    def test_paused_in_the_middle(self) -> None:
        """Whoever pauses while it is handed something is handed no more of it."""
        self.opened()
        theirs = self.theirs
        self.transport(theirs).pauseProducing()
        self.transport(self.ours).write(bytes(WINDOW))
        self.run_on()
        taken = theirs.dataReceived

        def take(data: bytes) -> None:
            taken(data)
            self.transport(theirs).pauseProducing()

        theirs.dataReceived = take  # type: ignore[method-assign]
        self.transport(theirs).resumeProducing()
        self.run_on()
        self.assertEqual(theirs.chunks, [CHUNK])

    def test_end_while_paused(self) -> None:
        """The end comes after what was paused, not before."""
        self.opened()
        self.transport(self.theirs).pauseProducing()
        self.transport(self.ours).write(b"data")
        self.transport(self.ours).loseConnection()
        self.run_on()
        self.assertIsNone(self.theirs.reason)
        self.transport(self.theirs).resumeProducing()
        self.run_on()
        self.assertEqual((self.theirs.data, self.theirs.end), (b"data", ConnectionDone))

    def test_push_producer(self) -> None:
        """A push producer pauses while there is no room, and then goes on, until all is there."""
        self.opened()
        self.transport(self.theirs).pauseProducing()
        transport = self.transport(self.ours)
        producer = Pushes(transport, 200)
        transport.registerProducer(producer, True)
        producer.resumeProducing()
        transport.loseConnection()
        self.run_on()
        self.assertTrue(producer.is_paused)
        self.assertLess(10_000 * (200 - producer.left), WINDOW + LOW + 20_000)
        self.transport(self.theirs).resumeProducing()
        self.run_on(10)
        self.assertEqual((len(self.theirs.data), self.theirs.end), (2_000_000, ConnectionDone))

    @each(1, 1000, 3 * MEGABYTE)
    def test_pull_producer(self, size: int) -> None:
        """A pull producer, such as one of a file, is asked until all is there."""
        self.opened()
        transport = self.transport(self.ours)
        done = FileSender().beginFileTransfer(BytesIO(bytes(size)), transport)
        done.addCallback(lambda _: transport.loseConnection())
        self.run_on(10)
        self.assertEqual((len(self.theirs.data), self.theirs.end), (size, ConnectionDone))

    def test_producer_of_a_lost_one(self) -> None:
        """A producer is stopped when its stream is lost."""
        self.opened()
        transport = self.transport(self.ours)
        producer = Pushes(transport, 10**6)
        transport.registerProducer(producer, True)
        producer.resumeProducing()
        self.transport(self.theirs).abortConnection()
        self.run_on()
        self.assertTrue(producer.is_stopped)

    def test_two_producers(self) -> None:
        """There is one at a time."""
        self.opened()
        transport = self.transport(self.ours)
        transport.registerProducer(Pushes(transport, 1), True)
        with self.assertRaises(RuntimeError):
            transport.registerProducer(Pushes(transport, 1), True)

    def test_echo(self) -> None:
        """Much goes there and back."""
        self.theirs.echoes = True
        self.opened()
        self.transport(self.ours).writeSequence([bytes(MEGABYTE), b"end"])
        self.run_on(10)
        self.assertEqual(len(self.ours.data), MEGABYTE + 3)
