"""What a server can send in answer to a request, and what it can't make us do."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from itertools import product
from typing import Any

from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from p2pchat.errors import RegistryError
from p2pchat.peer.event_stream import EVENT_BURST, EVENT_RATE, Event
from p2pchat.peer.http_client import MAX_ANSWER
from p2pchat.peer.http_meter import CLOSE_TIMEOUT, MAX_HEAD, READ_BURST, READ_RATE
from p2pchat.peer.request_times import REQUEST_TIMEOUT
from p2pchat.wire.documents import Registration
from tests.cases import each
from tests.identity.people import ALICE
from tests.peer.registry_case import RegistryCase
from tests.simulation.world import HTTP_PORT

OTHER = "203.0.113.80"
OK = b"HTTP/1.1 200 OK\r\n"
STREAM = OK + b"Content-Type: text/event-stream\r\n\r\n"


class Server(Protocol):
    """
    Says the same in answer to whatever comes.

    :ivar asked: what came, by connection.
    :ivar sent: bytes of its answers.
    """

    asked: list[bytes]
    sent = 0

    def __init__(self, answer: Callable[[Server], object], asked: list[bytes]) -> None:
        self._answer = answer
        self.asked = asked
        self.is_lost = False

    def connectionMade(self) -> None:
        """See `IProtocol`."""
        self.number = len(self.asked)
        self.asked.append(b"")

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        first = not self.asked[self.number]
        self.asked[self.number] += data
        if first:
            self._answer(self)

    def connectionLost(self, _reason: Any = None) -> None:
        """See `IProtocol`."""
        self.is_lost = True

    def say(self, data: bytes) -> None:
        """Send something, unless the connection is gone."""
        if self.transport is not None and not self.is_lost:
            self.sent += len(data)
            self.transport.write(data)


@implementer(IPullProducer)
class Flood:
    """Newlines without end, as fast as the connection takes them."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def begin(self) -> None:
        """Begin with the head of an event stream."""
        transport: Any = self._server.transport
        self._server.say(STREAM)
        transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """See `IPullProducer`."""
        self._server.say(b"\n" * 16384)

    def stopProducing(self) -> None:
        """See `IPullProducer`."""


class ServerCase(RegistryCase):
    """A server of the test's, and a client of it."""

    def setUp(self) -> None:
        super().setUp()
        self.other = self.world.internet.host(OTHER)
        self.asked: list[bytes] = []
        self.servers: list[Server] = []
        self.client = self.make_client(ALICE, self.host, f"http://{OTHER}:{HTTP_PORT}")

    def serve(self, answer: bytes | Callable[[Server], object]) -> None:
        """Start a server that answers so."""
        act = answer if callable(answer) else lambda server: server.say(answer)

        def make() -> Server:
            self.servers.append(Server(act, self.asked))
            return self.servers[-1]

        self.other.reactor.listenTCP(HTTP_PORT, Factory.forProtocol(make))

    def sentence(self, answer: bytes | Callable[[Server], object]) -> str:
        """Return what a person reads of a server that answers so."""
        self.serve(answer)
        started = self.host.reactor.seconds()
        error = self.refused(self.client.peers(), RegistryError)
        self.assertLess(self.host.reactor.seconds() - started, 2 * REQUEST_TIMEOUT + 1)
        self.result(self.client.close())
        self.run_for(REQUEST_TIMEOUT + CLOSE_TIMEOUT)
        self.assertEqual(len(self.host.connections), 0)
        self.assertIn(OTHER, str(error))
        self.assert_sentence(str(error))
        return str(error)

    def assert_sentence(self, text: str) -> None:
        """A text is one line, and ends as whoever shows it wants."""
        self.assertEqual(text, " ".join(text.split()))
        self.assertFalse(text.endswith("."), text)
        self.assertNotIn("b'", text)


class NoWayTests(RegistryCase):
    """A registry that nothing leads to."""

    def test_no_address(self) -> None:
        """A name without addresses and a name server that is away look alike: both are named."""
        client = self.make_client(ALICE, self.host, "http://nobody.example:8000")
        said = str(self.refused(client.status(), RegistryError))
        self.assertIn("its name has no address, or no name server tells it", said)

    def test_ipv6_alone(self) -> None:
        """IPv4 from a network of IPv6 alone, without a NAT64: the missing way is named."""
        host = self.world.internet.host("2001:db8:1::7")
        client = self.make_client(ALICE, host, f"http://{OTHER}:{HTTP_PORT}")
        said = str(self.refused(client.status(), RegistryError))
        self.assertIn("no route leads there; this machine has IPv6 alone", said)


INTERIM = b"HTTP/1.1 102 Processing\r\nX: %b\r\n\r\n" % (b"y" * 100)
PLACES = (b"http://127.0.0.1:81/admin/reboot", b"/peers", b"//203.0.113.1/")


class HeadTests(ServerCase):
    """The head of an answer."""

    def test_closed(self) -> None:
        """Who closes the connection may speak TLS, unless plain HTTP came from there before."""
        answers = [OK + b"Content-Length: 2\r\n\r\n{}"]

        def answer(server: Server) -> None:
            server.say(answers[0])
            assert server.transport is not None
            server.transport.loseConnection()

        self.serve(answer)
        self.result(self.client.status())
        answers[0] = b""
        self.assertNotIn("TLS", str(self.refused(self.client.status(), RegistryError)))
        other = self.make_client(ALICE, self.host, f"http://{OTHER}:{HTTP_PORT}")
        self.assertIn("if it speaks TLS", str(self.refused(other.status(), RegistryError)))

    @each(*product((300, 301, 302, 303, 307, 308), PLACES))
    def test_redirects(self, status: int, place: bytes) -> None:
        """Nobody is sent anywhere, by whatever status and to whatever place."""
        head = b"HTTP/1.1 %d Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"
        self.assertIn("doesn't follow", self.sentence(head % (status, place)))
        self.assertEqual(len(self.asked), 1)

    def test_redirected_stream(self) -> None:
        """An event stream isn't looked for elsewhere either, nor taken for one."""
        self.serve(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:81/\r\n\r\n")
        subscribing = self.client.subscribe(lambda _event: None, lambda _reason: None)
        error = self.refused(subscribing, RegistryError)
        self.assertIn("doesn't follow", str(error))
        self.assertEqual(len(self.asked), 1)

    def test_identity(self) -> None:
        """Answers are asked for as they are, and taken where the registry says they are."""
        body = b'{"peers": []}'
        length = b"Content-Encoding: identity\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.serve(OK + length + body)
        self.assertEqual(self.result(self.client.peers()), {"peers": []})
        self.assertIn(b"accept-encoding: identity\r\n", self.asked[0].lower())

    @each(b"gzip", b"GZIP", b"deflate", b"br", b"identity, gzip")
    def test_compressed(self, encoding: bytes) -> None:
        """What is compressed all the same is refused before a byte of it is read."""
        bomb = gzip.compress(bytes(10_000_000))
        head = OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
        sentence = self.sentence(head % (encoding, len(bomb)) + bomb)
        self.assertIn("compresses its answers", sentence)

    @each(
        (b"502 Bad Gateway", "says that it is away (502 Bad Gateway)"),
        (b"200 OK", "a page of its own and is no p2pchat registry"),
    )
    def test_compressed_page(self, status: bytes, words: str) -> None:
        """A page isn't a registry's, compressed or not, and nobody unpacks it to know that."""
        page = gzip.compress(b"<html></html>")
        head = b"HTTP/1.1 %b\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n"
        length = b"Content-Length: %d\r\n\r\n" % len(page)
        self.assertIn(words, self.sentence(head % status + length + page))

    def test_compressed_stream(self) -> None:
        """So is a compressed event stream."""
        bomb = gzip.compress(b"\n" * 10_000_000)
        self.serve(OK + b"Content-Encoding: gzip\r\n\r\n" + bomb)
        subscribing = self.client.subscribe(lambda _event: None, lambda _reason: None)
        self.assertIn("compresses", str(self.refused(subscribing, RegistryError)))

    @each(
        OK + b"X: " + b"y" * (MAX_HEAD + 1),
        OK + b"a: b\r\n" * MAX_HEAD + b"\r\n",
        OK + b"a: b\r\n c\r\n" * MAX_HEAD,
        INTERIM * 1000,
    )
    def test_long(self, head: bytes) -> None:
        """A head that goes on and on is cut off: one line, many, or many before the answer."""
        sentence = self.sentence(head)
        self.assertIn(str(MAX_HEAD), sentence)
        self.assertNotIn("TLS", sentence)
        self.assertLessEqual(len(self.asked), 2)

    def test_interim(self) -> None:
        """One interim answer does no harm."""
        interim = b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"
        self.serve(interim + OK + b'Content-Length: 12\r\n\r\n{"peers":[]}')
        self.assertEqual(self.result(self.client.peers()), {"peers": []})

    @each(
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 -5 OK\r\n\r\n{}",
        b"HTTP/1.1 0 OK\r\n\r\n{}",
        b"HTTP/1.1 999 OK\r\n\r\n{}",
        b"HTTP/1.1 %b OK\r\n\r\n{}" % (b"9" * 400),
        b"HTTP/x.y 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n{}",
        OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Transfer-Encoding: gzip\r\n\r\n{}",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 400,
        b"\r\n\r\n\r\n",
        b"\x00" * 1000,
    )
    def test_nonsense(self, answer: bytes) -> None:
        """What is no HTTP fails, with a sentence in our words."""
        self.sentence(answer)

    @each(b"now", b"", b"\xff", b"Mon, 99999999999999 Jan 2020 00:00:00 GMT")
    def test_date(self, date: bytes) -> None:
        """A date that is none, or many, changes nothing and breaks nothing."""
        fields = b'Date: %b\r\nDate: %b\r\nContent-Length: 12\r\n\r\n{"peers":[]}' % (date, date)
        self.serve(OK + fields)
        before = self.client.now() - self.host.reactor.seconds()
        self.assertEqual(self.result(self.client.peers()), {"peers": []})
        self.assertAlmostEqual(self.client.now() - self.host.reactor.seconds(), before)


class BodyTests(ServerCase):
    """What follows the head."""

    @each(b"Content-Length: %d\r\n\r\n" % (2 * MAX_ANSWER), b"\r\n")
    def test_declared(self, fields: bytes) -> None:
        """More than an answer can have is cut off, be it declared, or not."""
        self.assertIn(str(MAX_ANSWER), self.sentence(OK + fields + bytes(2 * MAX_ANSWER)))

    def test_rate(self) -> None:
        """A server that sends without end is read no faster than READ_RATE."""
        self.serve(lambda server: Flood(server).begin())
        self.result(self.client.subscribe(lambda _event: None, lambda _reason: None))
        self.run_for(10)
        (server,) = self.servers
        self.assertGreater(server.sent, READ_BURST + 9 * READ_RATE)
        self.assertLess(server.sent, READ_BURST + 10 * READ_RATE + 512 * 1024)  # in flight

    def test_events(self) -> None:
        """Events are handed on no faster than EVENT_RATE after the first EVENT_BURST."""
        received: list[Event] = []
        self.serve(STREAM + b"event:x\ndata:y\n\n" * 10_000)
        self.result(self.client.subscribe(received.append, lambda _reason: None))
        self.run_for(1)
        self.assertLess(len(received), EVENT_BURST + 2 * EVENT_RATE)
        self.run_for(10)
        self.assertLess(len(received), EVENT_BURST + 12 * EVENT_RATE)
        self.assertGreater(len(received), EVENT_BURST + 8 * EVENT_RATE)

    def test_all_events(self) -> None:
        """However fast they come, none is lost."""
        received: list[Event] = []
        ended: list[str] = []
        events = b"".join(b"event:x\ndata:%d\n\n" % number for number in range(3000))
        self.serve(STREAM + events)
        self.result(self.client.subscribe(received.append, ended.append))
        self.run_for(3000 / EVENT_RATE)
        self.assertEqual([event.data for event in received], [str(n) for n in range(3000)])
        self.assertEqual(ended, [])

    def test_deaf(self) -> None:
        """A server that doesn't let go of a connection is cut off."""
        self.serve(b"HTTP/1.1 302 Found\r\n\r\n")
        self.refused(self.client.peers(), RegistryError)
        self.other.online = False
        self.run_for(CLOSE_TIMEOUT + 0.1)
        self.assertEqual(len(self.host.connections), 0)


class OriginTests(ServerCase):
    """What a registry's documents are addressed to."""

    @each(f"HTTP://{OTHER}:8000/", f"http://{OTHER}:8000")
    def test_host(self, url: str) -> None:
        """The Host header is that of the origin which signed documents name."""
        self.client = self.make_client(ALICE, self.host, url)
        self.serve(OK + b"Content-Length: 13\r\n\r\n" + b'{"lease": 60}')
        self.result(self.client.register(Registration("alice")))
        self.assertIn(b"host: 203.0.113.80:8000\r\n", self.asked[0].lower())
