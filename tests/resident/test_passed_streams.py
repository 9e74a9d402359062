"""Tests of :mod:`p2pchat.resident.passed_streams`."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.interfaces import IListeningPort, IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import AccumulatingProtocol
from zope.interface.verify import verifyObject

from p2pchat.interfaces import IAttachedPart, INode, IServices
from p2pchat.resident.passed_streams import MAX_SERVED, MAX_STREAMS, ServicePart, StreamPart
from p2pchat.resident.server import ResidentServer
from p2pchat.resident.serving import server_of
from tests.peer.fake_streams import FakeStreams, link
from tests.resident.attached_case import AttachedCase, end, is_open, said, words
from tests.resident.fake_services import FakeServices
from tests.ui.fake_node import ALICE, BOB


class Echo(Protocol):
    """A service that says what it is told."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class StreamsCase(AttachedCase):
    """Alice's node, to which a program is attached; bob's offers an echo."""

    def make_server(self, node: INode) -> ResidentServer:
        self.bob = FakeServices(FakeStreams(BOB, self.clock))
        self.alice = FakeServices(FakeStreams(ALICE, self.clock))
        link(self.alice.streams, self.bob.streams)
        self.bob.offered["echo"] = Factory.forProtocol(Echo)
        return server_of(self.runtime, node, self.starting, self.alice)

    def settle(self) -> None:
        """Let what was written arrive."""
        for _ in range(10):
            self.clock.advance(0.01)


class StreamTests(StreamsCase):
    """The streams that a program opens."""

    def setUp(self) -> None:
        super().setUp()
        self.program, self.transport = self.attached("stream")

    def open(self, **request: Any) -> list[dict[str, Any]]:
        """Open a stream to bob's echo, if nothing else is said."""
        request = {"do": "open", "peer": BOB, "service": "echo", "id": 1, **request}
        return self.ask(self.program, self.transport, **request)

    def test_interfaces(self) -> None:
        """Parts of a program, and the fakes, are what they say."""
        given = self.program, self.alice, self.reactor
        self.assertTrue(verifyObject(IAttachedPart, StreamPart(*given)))
        self.assertTrue(verifyObject(IAttachedPart, ServicePart(*given)))
        self.assertTrue(verifyObject(IServices, self.alice))
        connector, listener = self.alice.connector_for(BOB, "x"), self.alice.listener_for("x")
        self.assertTrue(verifyObject(IStreamClientEndpoint, connector))
        self.assertTrue(verifyObject(IStreamServerEndpoint, listener))
        port = self.successResultOf(listener.listen(Factory.forProtocol(Echo)))
        self.assertTrue(verifyObject(IListeningPort, port))

    def test_open(self) -> None:
        """The program gets a socket; bytes go both ways."""
        (opened,) = self.open(path="direct", timeout=5)
        self.assertEqual((opened["event"], opened["request"], opened["fds"]), ("opened", 1, 1))
        self.assertTrue(is_open(self.transport.passed[0]))
        self.assertEqual(self.alice.asked, [("direct", 5.0)])
        near, pair = self.reactor.adopted[-1]
        near.dataReceived(b"hello")
        self.settle()
        self.assertEqual(pair.value(), b"hello")

    def test_ends(self) -> None:
        """When both have closed it, the program is told so."""
        (opened,) = self.open()
        near, pair = self.reactor.adopted[-1]
        near.readConnectionLost()
        self.settle()
        self.assertTrue(pair.disconnecting)
        (ended,) = said(self.transport)
        self.assertEqual((ended["stream"], ended["word"]), (opened["stream"], ""))

    def test_link_lost(self) -> None:
        """When the link is lost it is told that."""
        self.open()
        self.alice.streams.lose_link(BOB)
        (ended,) = said(self.transport)
        self.assertEqual((ended["event"], ended["word"]), ("stream_ended", "lost"))
        self.assertIn("link", ended["reason"])

    def test_reset(self) -> None:
        """When bob aborts, that."""
        self.open()
        self.bob.streams.close(ALICE)
        self.assertEqual(words(said(self.transport)), [("stream_ended", "reset")])

    def test_refused(self) -> None:
        """What can't be opened has the error's word and sentence."""
        for request, word in (
            ({"service": "secret"}, "not-granted"),
            ({"peer": "carol"}, "lost"),
            ({"service": "../x"}, "service-name"),
            ({"peer": 5}, "broken"),
            ({"timeout": -1}, "broken"),
            ({"timeout": True}, "broken"),
        ):
            (error,) = self.open(**request)
            self.assertEqual((error["event"], error["word"]), ("error", word))
            self.assertTrue(error["reason"])
        self.assertEqual(self.reactor.adopted, [])

    def test_too_many(self) -> None:
        """A program has no more streams than it may; those that end make room."""
        for _ in range(MAX_STREAMS):
            self.open()
        self.assertEqual(words(self.open()), [("error", "too-many")])
        self.bob.streams.close(ALICE)
        said(self.transport)
        self.assertEqual(words(self.open()), [("opened", "")])

    def test_program_gone(self) -> None:
        """A program that goes takes its streams along."""
        self.open()
        end(self.program)
        self.assertEqual(self.bob.streams.open_streams(), [])
        self.assertTrue(self.reactor.adopted[-1][1].is_aborted)

    def test_socket_gone(self) -> None:
        """A socket that breaks resets the stream; the program is told, and stays."""
        self.open()
        end(self.reactor.adopted[-1][0])
        self.assertEqual(self.bob.streams.open_streams(), [])
        self.assertEqual(words(said(self.transport)), [("stream_ended", "reset")])

    def test_paused(self) -> None:
        """A program that doesn't take what comes holds its peer back."""
        self.open()
        near, pair = self.reactor.adopted[-1]
        cast(Any, pair.producer).pauseProducing()
        (theirs,) = self.bob.streams.open_streams()
        near.dataReceived(b"x" * 100_000)
        self.settle()
        self.assertEqual(pair.value(), b"")
        self.assertEqual(theirs.service, "echo")
        cast(Any, pair.producer).resumeProducing()
        self.settle()
        self.assertEqual(len(pair.value()), 100_000)


class ServiceTests(StreamsCase):
    """The services that a program serves."""

    def setUp(self) -> None:
        super().setUp()
        self.program, self.transport = self.attached("service")

    def serve(self, service: Any = "web", **more: Any) -> list[dict[str, Any]]:
        """Let the program serve."""
        return self.ask(self.program, self.transport, do="serve", service=service, id=2, **more)

    def visit(self, service: str = "web") -> AccumulatingProtocol:
        """Let bob open a stream."""
        protocol = AccumulatingProtocol()
        factory: Any = Factory()
        factory.protocolConnectionMade = None
        protocol.factory = factory
        self.bob.streams.open(ALICE, service, protocol).addErrback(lambda _: None)
        return protocol

    def test_serve(self) -> None:
        """Whoever opens it is announced by the id that the link has proved, with a socket."""
        found = self.serve(allow=["contacts", "anyone"])
        self.assertEqual(words(found), [("serving", "")])
        self.assertEqual(self.alice.allowed, ("contacts", "anyone"))
        visitor = self.visit()
        (incoming,) = said(self.transport)
        self.assertEqual((incoming["event"], incoming["peer_id"]), ("incoming", BOB))
        self.assertEqual((incoming["fds"], len(self.transport.passed)), (1, 1))
        self.reactor.adopted[-1][0].dataReceived(b"page")
        self.settle()
        self.assertEqual(visitor.data, b"page")

    def test_stop(self) -> None:
        """It serves no more when it says so, and then another may."""
        self.serve()
        self.assertEqual(words(self.serve()), [("error", "served")])
        found = self.ask(self.program, self.transport, do="stop", service="web", id=3)
        self.assertEqual(words(found), [("stopped", "")])
        found = self.ask(self.program, self.transport, do="stop", service="web", id=3)
        self.assertEqual(words(found), [("error", "not-served")])
        self.assertEqual(words(self.serve()), [("serving", "")])

    def test_another_program(self) -> None:
        """Two programs can't serve the same; what one served is free when it goes."""
        self.serve()
        program, transport = self.attached("service")
        request = {"do": "serve", "service": "web", "id": 1}
        self.assertEqual(words(self.ask(program, transport, **request)), [("error", "served")])
        self.visit()
        end(self.program)
        self.assertEqual(self.alice.streams.open_streams(), [])
        self.assertEqual(words(self.ask(program, transport, **request)), [("serving", "")])

    def test_refused(self) -> None:
        """A request that makes no sense is answered so."""
        for service, allow, word in (
            ("../x", [], "service-name"),
            (5, [], "broken"),
            ("web", "anyone", "broken"),
            ("web", [1], "broken"),
            ("web", ["x"] * 2000, "broken"),
        ):
            self.assertEqual(words(self.serve(service, allow=allow)), [("error", word)])
        self.assertEqual(self.alice.offered, {})

    def test_too_many(self) -> None:
        """There is a bound for services, and one for streams: what comes then is closed."""
        for number in range(MAX_SERVED):
            self.serve(f"s{number}")
        self.assertEqual(words(self.serve()), [("error", "too-many")])
        for _ in range(MAX_STREAMS + 1):
            self.visit("s1")
        self.assertEqual(len(said(self.transport)), MAX_STREAMS)
        self.assertEqual(len(self.alice.streams.open_streams()), MAX_STREAMS)
