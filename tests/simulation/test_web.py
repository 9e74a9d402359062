"""Tests for HTTP over the simulated internet: the real `Agent`, treq and `Site`."""

from __future__ import annotations

from typing import Any

import treq
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed
from twisted.web.iweb import IBodyProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface.verify import verifyObject

from tests.simulation.internet import Internet
from tests.simulation.web import ImmediateBody, http_client

ADDRESS = "203.0.113.10"
URL = "http://registry.example/"


class Reader(Protocol):
    """Reads a response that it may leave."""

    transport: Any
    received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data


class Echo(Resource):
    """Says who asks; echoes what is posted."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return str(request.getClientAddress().host).encode()

    def render_POST(self, request: Request) -> bytes:
        assert request.content is not None
        body: bytes = request.content.read()
        return body[::-1]


class Events(Resource):
    """A stream of events that never ends by itself."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Request] = []
        self.ended: list[object] = []

    def render_GET(self, request: Request) -> int:
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(b": welcome\n\n")
        request.notifyFinish().addBoth(self.ended.append)
        self.open.append(request)
        return int(NOT_DONE_YET)


class WebTests(SynchronousTestCase):
    """A client behind two NATs, and a web server."""

    def setUp(self) -> None:
        self.internet = Internet(seed=1)
        self.internet.dns["registry.example"] = ADDRESS
        self.server = self.internet.host(ADDRESS)
        self.carrier = self.internet.nat()
        self.nat = self.internet.nat(behind=self.carrier)
        self.client = self.internet.host(behind=self.nat)
        self.events = Events()
        self.serve()
        self.http = http_client(self.client)

    def serve(self) -> None:
        """Start the web server."""
        root = Resource()
        root.putChild(b"", Echo())
        root.putChild(b"events", self.events)
        self.server.reactor.listenTCP(80, Site(root, reactor=self.server.reactor))

    def result(self, asking: Deferred[Any], seconds: float = 1.0) -> Any:
        """Let time pass, and return the result."""
        self.internet.run(seconds)
        return self.successResultOf(asking)

    def subscribe(self) -> list[bytes]:
        """Open the event stream, and return the list that its pieces come into."""
        pieces: list[bytes] = []
        response = self.result(self.http.get(URL + "events", unbuffered=True))
        self.reading = response.collect(pieces.append)
        self.internet.run(1)
        return pieces

    def test_interface(self) -> None:
        """Our body producer is one."""
        self.assertTrue(verifyObject(IBodyProducer, ImmediateBody(b"")))

    def test_get(self) -> None:
        """A GET is answered; the server sees the outermost NAT."""
        response = self.result(self.http.get(URL))
        self.assertEqual(200, response.code)
        self.assertEqual(self.carrier.address, self.result(treq.text_content(response)))

    def test_post(self) -> None:
        """Bodies large and small go both ways."""
        for body in (b"abc", b"0123456789" * 100_000):
            response = self.result(self.http.post(URL, data=body), 10)
            self.assertEqual(body[::-1], self.result(treq.content(response), 10))

    def test_persistent(self) -> None:
        """A second request uses the same connection."""
        for _ in range(2):
            self.result(self.http.get(URL).addCallback(treq.content))
            self.assertEqual(1, len(self.client.connections))

    def test_stream(self) -> None:
        """Events of a long-lived response arrive one by one."""
        pieces = self.subscribe()
        self.assertEqual([b": welcome\n\n"], pieces)
        for number in range(3):
            self.events.open[0].write(b"data: %d\n\n" % number)
            self.internet.run(30)
        self.assertEqual([b"data: %d\n\n" % number for number in range(3)], pieces[1:])

    def test_client_aborts(self) -> None:
        """When the client goes, the server's request is told."""
        reader = Reader()
        self.result(self.http.get(URL + "events", unbuffered=True)).deliverBody(reader)
        self.internet.run(1)
        reader.transport.loseConnection()
        self.internet.run(1)
        self.assertEqual(b": welcome\n\n", reader.received)
        self.assertEqual(1, len(self.events.ended))

    def test_server_ends(self) -> None:
        """When the server finishes, the client's reading is done."""
        self.subscribe()
        self.events.open[0].finish()
        self.internet.run(1)
        self.successResultOf(self.reading)

    def test_server_loses_connection(self) -> None:
        """When the server drops the connection, the client's reading fails."""
        self.subscribe()
        transport: Any = self.events.open[0].transport
        transport.loseConnection()
        self.internet.run(1)
        self.failureResultOf(self.reading)

    def test_server_killed(self) -> None:
        """When the server is killed, reading fails; a new server is found by a new request."""
        self.subscribe()
        self.server.boot()
        self.serve()
        self.internet.run(1)
        self.failureResultOf(self.reading)
        self.assertEqual(200, self.result(self.http.get(URL)).code)

    def test_offline_for_a_while(self) -> None:
        """An event sent while the client is offline arrives when it is back."""
        pieces = self.subscribe()
        self.client.online = False
        self.events.open[0].write(b"data: waiting\n\n")
        self.internet.run(30)
        self.assertEqual(1, len(pieces))
        self.client.online = True
        self.internet.run(3)
        self.assertEqual([b"data: waiting\n\n"], pieces[1:])

    def test_kept_connection_dies(self) -> None:
        """A NAT reboot breaks a kept connection: the next request on it fails, or is retried."""
        self.result(self.http.get(URL).addCallback(treq.content))
        self.carrier.reboot()
        self.assertEqual(200, self.result(self.http.get(URL), 3).code)
        self.carrier.reboot()
        posting = self.http.post(URL, data=b"not idempotent")
        self.internet.run(3)
        failure = self.failureResultOf(posting, ResponseFailed)
        self.assertTrue(failure.value.reasons[0].check(ConnectionLost))
