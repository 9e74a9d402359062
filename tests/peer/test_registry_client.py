"""The registry's routes, called as a peer calls them, on the real registry and on others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from p2pchat.errors import RegistryError, RegistryUnreachable, RemoteProtocolError
from p2pchat.identity.sealing import Envelope
from p2pchat.identity.signed_documents import MAX_AGE, open_document
from p2pchat.peer.event_stream import Event
from p2pchat.peer.http_client import MAX_ANSWER
from p2pchat.peer.registry_client import RegistryClient, WorkRequired
from p2pchat.peer.request_times import REQUEST_TIMEOUT
from p2pchat.runtime import MAX_SEGMENT, Runtime
from p2pchat.wire.addresses import Scope
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import (
    Candidate,
    CandidateType,
    Description,
    NatWords,
    Offer,
    Refusal,
    Registration,
    Ringing,
    Sealed,
)
from p2pchat.wire.problems import MAX_RETRY_AFTER, Problem
from p2pchat.wire.work import ALGORITHM, MIN_DIFFICULTY, Challenge
from tests.cases import each
from tests.identity.people import ALICE, BOB, CAROL, sealing_key
from tests.peer.registry_case import RegistryCase
from tests.simulation.world import EPOCH, HTTP_PORT, REGISTRY

OTHER = "203.0.113.80"
SEGMENT = MAX_SEGMENT - 12  # bytes; timestamps (RFC 7323) take their room from it
RECORD = 22  # bytes of TLS 1.3 around what is written at once
LONG_HOST = len("registry.a-company-with-a-name.example")
KEY = sealing_key(BOB).record_key


class RoutesTests(RegistryCase):
    """What a registry is for."""

    def register(self, name: str = "alice") -> dict[str, Any]:
        """Register Alice."""
        answer: dict[str, Any] = self.result(self.client.register(Registration(name)))
        return answer

    def test_register(self) -> None:
        """The answer has the lease, the STUN service and our address as it was seen."""
        answer = self.register()
        self.assertEqual((answer["lease"], answer["your_ip"]), (60.0, self.host.address))
        self.assertIn(f"stun:{REGISTRY[0]}:3478", answer["stun"])
        self.assertEqual(len(answer["stun"]), 4)

    def test_look_up(self) -> None:
        """A record is found by id, by name and in the list, until it is removed."""
        self.register()
        self.assertEqual(self.result(self.client.peer(ALICE.peer_id))["username"], "alice")
        for query in ({}, {"username": "alice"}, {"limit": "5"}):
            (record,) = self.result(self.client.peers(**query))["peers"]
            self.assertEqual(record["peer_id"], ALICE.peer_id)
        self.assertEqual(self.result(self.client.peers(username="bob"))["peers"], [])
        self.result(self.client.remove())
        error = self.refused(self.client.peer(ALICE.peer_id), RegistryError)
        self.assertEqual((error.status, error.reason), (404, "unknown-peer"))
        self.assertIn(ALICE.peer_id, str(error))

    def test_deliver(self) -> None:
        """A document arrives on the stream of the peer it is for, signed by us."""
        bob = self.make_client(BOB)
        self.result(bob.register(Registration("bob")))
        received: list[Event] = []
        self.result(bob.subscribe(received.append, lambda _reason: None))
        self.register()
        key = sealing_key(BOB)
        self.result(self.client.deliver(BOB.peer_id, Ringing("session"), key.record_key))
        self.run_for(0.2)
        (event,) = [one for one in received if one.name == "document"]
        document = open_document(event.data)
        assert isinstance(document.body, Sealed)
        envelope = Envelope(ALICE.peer_id, BOB.peer_id, document.nonce)
        self.assertEqual(key.open(document.body, envelope), Ringing("session"))

    def test_unfit_key(self) -> None:
        """To a key with which anybody has the secret nothing is sent; it is no mistake of ours."""
        weak = attrs.evolve(KEY, key=encode_bytes(bytes(32)))
        error = self.refused(self.client.deliver(BOB.peer_id, Ringing("s"), weak), RegistryError)
        self.assertEqual(error.reason, "no-sealing-key")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_undeliverable(self) -> None:
        """Who is unknown, and who is known but not listening, are told apart by a word."""
        self.register()
        self.result(self.make_client(BOB).register(Registration("bob")))
        for peer, reason in ((BOB, "peer-offline"), (CAROL, "unknown-peer")):
            sent = self.client.deliver(peer.peer_id, Ringing("s"), KEY)
            error = self.refused(sent, RegistryError)
            self.assertEqual((error.status, error.reason), (404, reason))

    def test_unregistered(self) -> None:
        """Before we are registered there is no stream for us."""
        error = self.refused(
            self.client.subscribe(lambda _event: None, lambda _reason: None), RegistryError
        )
        self.assertEqual(error.reason, "not-registered")

    def test_superseded(self) -> None:
        """A second stream of the same identity ends the first, which is told."""
        self.register()
        received: list[Event] = []
        ended: list[str] = []
        self.result(self.client.subscribe(received.append, ended.append))
        self.result(self.client.subscribe(lambda _event: None, lambda _reason: None))
        self.run_for(1)
        self.assertIn("superseded", [event.name for event in received])
        self.assertEqual(len(ended), 1)

    def test_trailing_slash(self) -> None:
        """The registry's URL may end with a slash."""
        client = self.make_client(ALICE, url=self.world.url + "/")
        self.assertIn("lease", self.result(client.register(Registration("alice"))))


class Listener(Protocol):
    """A server that answers nothing, and keeps what it reads in its factory's list."""

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        assert self.factory is not None
        cast(Any, self.factory).read.append(data)


class SegmentTests(RegistryCase):
    """Requests that fit in a TCP segment get over paths that lose large packets."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.world.internet.host(OTHER)
        self.read: list[bytes] = []
        factory: Any = Factory.forProtocol(Listener)
        factory.read = self.read
        self.server.reactor.listenTCP(HTTP_PORT, factory)
        self.client = self.make_client(ALICE, url=f"http://{OTHER}:{HTTP_PORT}")

    def size(self, request: Deferred[Any]) -> int:
        """Return how many bytes a request has, over TLS and to a host with a long name."""
        request.addErrback(lambda failure: failure.trap(RegistryError))
        self.run_for(0.5)
        return len(b"".join(self.read)) + RECORD + LONG_HOST - len(f"{OTHER}:{HTTP_PORT}")

    def test_offer(self) -> None:
        """An offer of a machine with IPv4, IPv6, Docker, a VPN and a relay does."""
        addresses = (
            *("192.168.100.101", "172.17.0.1", "10.200.200.101", "2001:db8:1:2:a:b:c:d"),
            *("2001:db8:1:2:1:2:3:4", "203.0.113.100", "198.51.100.100", "fd00::1:2:3:4"),
        )
        candidates = tuple(Candidate(CandidateType.HOST, (one, 54321)) for one in addresses)
        words = NatWords("endpoint-independent", "", "address-and-port-dependent")
        described = Description(
            "Alice Liddell", bytes(32), "f" * 16, candidates, "f" * 32, words, (KEY,), 123, 4567
        )
        offer = Offer("f" * 32, described)
        self.assertLessEqual(self.size(self.client.deliver(BOB.peer_id, offer, KEY)), SEGMENT)

    def test_others(self) -> None:
        """So does what a peer sends without a person: registration, subscription, refusal."""
        named = Registration("Alice Liddell", "endpoint-independent", keys=(KEY,))
        refusal = Refusal("f" * 32, "clock", "yours is 86400 seconds ahead of theirs, 300 allowed")
        client, wanted = self.client, {"keepalive": 5, "padding": 8192}
        requests: tuple[Callable[[], Deferred[Any]], ...] = (
            lambda: client.register(named),
            lambda: client.subscribe(lambda _event: None, lambda _why: None, wanted),
            lambda: client.deliver(BOB.peer_id, refusal, KEY),
            client.remove,
        )
        for request in requests:
            self.read.clear()
            self.assertLessEqual(self.size(request()), SEGMENT)


class Clocked(Resource):
    """Refuses stale documents and says what time it is, by a clock of its own."""

    isLeaf = True

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self._now = now

    def render_POST(self, request: Request) -> bytes:
        """See `IResource`."""
        assert request.content is not None
        document = open_document(request.content.read().decode())
        request.setHeader(b"date", formatdate(self._now(), usegmt=True).encode())
        if abs(document.issued_at - self._now()) < MAX_AGE:
            return b'{"lease": 60}'
        request.setResponseCode(401)
        return Problem(401, "stale-document", "set your clock").encode()


class ClockTests(RegistryCase):
    """A peer whose clock is wrong."""

    def setUp(self) -> None:
        super().setUp()
        self.other = self.world.internet.host(OTHER)

    def serve(self, error: float) -> RegistryClient:
        """Start a registry with a clock that is right; returns a client whose clock isn't."""
        site = Site(Clocked(self.true_time), reactor=self.other.reactor)
        self.other.reactor.listenTCP(HTTP_PORT, site)
        return self.make_client(ALICE, url=f"http://{OTHER}:{HTTP_PORT}", error=error)

    def true_time(self) -> float:
        """Return the time."""
        return EPOCH + self.other.reactor.seconds()

    def register(self, error: float) -> tuple[RegistryClient, list[str]]:
        """Register with a clock that is wrong; returns the client, and its warnings of clocks."""
        warned: list[str] = []
        client = self.serve(error)
        client.warn = warned.append
        with contextlib.suppress(RegistryError):
            self.result(client.register(Registration("alice")))
        return client, [one for one in warned if "http" not in one]

    @each(3600.0, -3600.0, 86300.0, 50.0, -50.0)
    def test_corrected(self, error: float) -> None:
        """Early or late, it goes by the registry's clock from the first answer on, and says so."""
        client, warned = self.register(error)
        self.assertLess(abs(client.now() - self.true_time()), 2)
        self.run_for(1000)
        self.assertLess(abs(client.now() - self.true_time()), 2)
        (sentence,) = warned
        self.assertIn("ahead of" if error > 0 else "behind", sentence)

    def test_close_enough(self) -> None:
        """A clock that is right, as far as a date of whole seconds shows, is left alone."""
        client, warned = self.register(0.4)
        self.assertAlmostEqual(client.now(), self.true_time() + 0.4)
        self.assertEqual(warned, [])

    @each(-86400.0 * 365, 86400.0 * 10_000)
    def test_another_year(self, error: float) -> None:
        """A machine whose clock is years off goes by the registry's, too; the person is told."""
        client, warned = self.register(error)
        self.assertLess(abs(client.now() - self.true_time()), 2)
        (sentence,) = warned
        self.assertIn("365 days behind" if error < 0 else "10000 days ahead", sentence)

    def test_many_answers(self) -> None:
        """The registry's clock may be set again and again; the person is told once."""
        page = Page(200, b'{"peers": []}')
        self.other.reactor.listenTCP(HTTP_PORT, Site(page, reactor=self.other.reactor))
        client = self.make_client(ALICE, url=f"http://{OTHER}:{HTTP_PORT}")
        warned: list[str] = []
        client.warn = warned.append
        for hours in range(0, 480, 12):
            page.date = formatdate(self.true_time() + 3600 * hours, usegmt=True).encode()
            self.result(client.peers())
            self.assertLess(abs(client.now() - self.true_time() - 3600 * hours), 2)
        self.assertEqual(sum("machine's" in one for one in warned), 1)


class WarningTests(RegistryCase):
    """A registry whose answers anybody on the way can change."""

    def warned(self, url: str) -> list[str]:
        """Return what the person is told who uses this registry, twice."""
        client = self.make_client(ALICE, url=url)
        warned: list[str] = []
        client.warn = warned.append
        for _ in range(2):
            with contextlib.suppress(RegistryError):
                self.result(client.peers())
            self.result(client.close())
        return warned

    def test_public(self) -> None:
        """http:// to a public address, by number or by name, is warned of once."""
        self.world.internet.dns["registry.test"] = REGISTRY[0]
        for host in (REGISTRY[0], "registry.test"):
            (sentence,) = self.warned(f"http://{host}:{HTTP_PORT}")
            self.assertIn(f"http://{host}", sentence)
            self.assertIn(REGISTRY[0], sentence)
            self.assertIn("https://", sentence)

    def test_private(self) -> None:
        """A registry on this machine or network isn't."""
        other = self.world.internet.host("192.168.7.7")
        other.reactor.listenTCP(HTTP_PORT, Site(Page(200, b"{}"), reactor=other.reactor))
        self.assertEqual(self.warned(f"http://192.168.7.7:{HTTP_PORT}"), [])

    def test_rebound(self) -> None:
        """A name that leads into our network after all gets no request there."""
        near, far = self.world.internet.host("192.168.7.7"), self.world.internet.host(OTHER)
        pages = [Counting(200, b'{"peers": []}') for _ in range(2)]
        for host, page in zip((near, far), pages, strict=True):
            host.reactor.listenTCP(HTTP_PORT, Site(page, reactor=host.reactor))
        dns = self.world.internet.dns
        client = self.make_client(ALICE, url=f"http://registry.test:{HTTP_PORT}")
        for address in (OTHER, near.address, OTHER):
            dns["registry.test"] = address
            self.result(client.close())
            try:
                self.result(client.peers())
            except RegistryUnreachable as error:
                self.assertIn("start this program anew", str(error))
        self.assertEqual([page.asked for page in pages], [0, 2])
        self.assertEqual(client.scope, Scope.GLOBAL)

    def test_never_reached(self) -> None:
        """One that isn't there is nobody's trouble yet."""
        self.assertEqual(self.warned(f"http://{REGISTRY[0]}:9"), [])


class AwayTests(RegistryCase):
    """A registry that can't be reached, or no longer."""

    def test_nobody_listens(self) -> None:
        """A closed port is said to be, at once."""
        self.world.host.kill()
        error = self.refused(self.client.peers(), RegistryUnreachable)
        self.assertIn(self.world.url, str(error))
        self.assertEqual(error.status, 0)

    def test_no_network(self) -> None:
        """Without a network it takes REQUEST_TIMEOUT, and no timer is left."""
        self.host.online = False
        started = self.host.reactor.seconds()
        self.refused(self.client.peers(), RegistryUnreachable)
        self.assertLess(self.host.reactor.seconds() - started, REQUEST_TIMEOUT + 0.1)

    def test_restarted(self) -> None:
        """A kept connection that died with the registry costs one more try, not a failure."""
        self.result(self.client.peers())
        self.world.host.kill()
        self.world.host.boot()
        self.world.boot_registry()
        self.assertEqual(self.result(self.client.peers())["peers"], [])

    def test_unknown_host(self) -> None:
        """A name that nobody knows is named."""
        client = self.make_client(ALICE, url="http://nowhere.test:8000")
        error = self.refused(client.peers(), RegistryUnreachable)
        self.assertIn("nowhere.test", str(error))

    def test_closed(self) -> None:
        """Closing leaves no connection."""
        self.result(self.client.peers())
        self.assertEqual(len(self.host.connections), 1)
        self.result(self.client.close())
        self.run_for(1)
        self.assertEqual(len(self.host.connections), 0)


class Page(Resource):
    """
    Answers everything alike.

    :ivar date: what it says of the time; nothing, if it is ``None``.
    :ivar retry_after: for how long it wants to be left alone.
    """

    isLeaf = True
    date: bytes | None = None
    retry_after: tuple[bytes, ...] = ()

    def __init__(self, status: int, body: bytes, kind: bytes = b"text/html") -> None:
        super().__init__()
        self._answer = status, body, kind

    def render(self, request: Request) -> bytes:
        """See `IResource`."""
        status, body, kind = self._answer
        request.setResponseCode(status)
        request.setHeader(b"content-type", kind)
        request.responseHeaders.setRawHeaders(b"date", [] if self.date is None else [self.date])
        request.responseHeaders.setRawHeaders(b"retry-after", self.retry_after)
        return body


class Counting(Page):
    """Counts how often it is asked."""

    asked = 0

    def render(self, request: Request) -> bytes:
        """See `IResource`."""
        self.asked += 1
        return super().render(request)


class Never(Resource):
    """Begins an answer, or doesn't, and never ends it."""

    isLeaf = True

    def __init__(self, start: bytes) -> None:
        super().__init__()
        self._start = start

    def render(self, request: Request) -> int:
        """See `IResource`."""
        if self._start:
            request.write(self._start)
        return NOT_DONE_YET


class Endless(Resource):
    """
    Answers with blanks, and never stops.

    :ivar sent: bytes.
    """

    isLeaf = True
    sent = 0

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__()
        self._clock = clock

    def render(self, request: Request) -> int:
        """See `IResource`."""
        self._go_on(request)
        return NOT_DONE_YET

    def _go_on(self, request: Request) -> None:
        if self.sent < 100 * MAX_ANSWER:
            request.write(b" " * 65536)
            self.sent += 65536
            self._clock.callLater(0.01, self._go_on, request)


class Greeter(Protocol):
    """A server of some other protocol."""

    def connectionMade(self) -> None:
        """See `IProtocol`."""
        assert self.transport is not None
        self.transport.write(b"SSH-2.0-OpenSSH_9.2\r\n")


class OtherServerCase(RegistryCase):
    """A server of the test's at the registry's address."""

    def setUp(self) -> None:
        super().setUp()
        self.other = self.world.internet.host(OTHER)
        self.client = self.make_client(ALICE, url=f"http://{OTHER}:{HTTP_PORT}")

    def refusal(self, server: Any, kind: type[Exception] = RegistryError) -> Any:
        """Return the error with which a registration at this server fails."""
        port = self.other.reactor.listenTCP(HTTP_PORT, server)
        error = self.refused(self.client.register(Registration("alice")), kind)
        port.stopListening()
        self.run_for(0.1)
        self.result(self.client.close())
        self.assertIn(OTHER, str(error))
        return error

    def site(self, resource: Resource) -> Site:
        """Serve a resource."""
        return Site(resource, reactor=self.other.reactor)


class NoRegistryTests(OtherServerCase):
    """Something else at the registry's address."""

    def test_html(self) -> None:
        """A web page, whatever its status, is no registry, and the person reads so."""
        for status in (200, 404, 500):
            error = self.refusal(self.site(Page(status, b"<html>It works!</html>")))
            self.assertIn("p2pchat registry", str(error))
            self.assertEqual(error.status, 0 if status == 200 else status)

    def test_other_json(self) -> None:
        """JSON that is no problem document isn't taken for one."""
        for body in (b"[]", b'{"error": "no"}', b"\xff", b'{"status": 403}'):
            error = self.refusal(self.site(Page(403, body, b"application/json")))
            self.assertEqual((error.status, error.reason), (403, "registry"))

    def test_other_protocol(self) -> None:
        """A server that doesn't speak HTTP is as good as none."""
        self.refusal(Factory.forProtocol(Greeter), RegistryUnreachable)

    def test_silence(self) -> None:
        """An answer that doesn't come, or doesn't end, is given up after a while."""
        for start in (b"", b'{"lease":'):
            started = self.other.reactor.seconds()
            self.refusal(self.site(Never(start)), RegistryUnreachable)
            self.assertLess(self.other.reactor.seconds() - started, 2 * REQUEST_TIMEOUT + 1)

    def test_endless(self) -> None:
        """An answer that goes on and on is cut off, long before memory is full."""
        endless = Endless(self.other.reactor)
        port = self.other.reactor.listenTCP(HTTP_PORT, self.site(endless))
        error = self.refused(self.client.peers(), RegistryError)
        self.assertIn(str(MAX_ANSWER), str(error))
        self.assertLess(endless.sent, 4 * MAX_ANSWER)
        port.stopListening()
        self.run_for(1)
        self.assertEqual(len(self.host.connections), 0)

    def test_absurd_date(self) -> None:
        """A date that no calendar has leaves our clock as it is."""
        for date in (b"Mon, 99999999999999999999 Jan 2020 00:00:00 GMT", b"now", b""):
            self.assert_ignored(date)

    def test_date_in_no_charset(self) -> None:
        """Nor does a date that isn't even text raise anything else than our error."""
        self.assert_ignored(b"\xff")

    def assert_ignored(self, date: bytes) -> None:
        """A refusal with this date leaves our clock as it is."""
        page = Page(401, Problem(401, "stale-document", f"not at {OTHER}").encode())
        page.date = date
        before = self.client.now() - self.other.reactor.seconds()
        self.assertEqual(self.refusal(self.site(page)).reason, "stale-document")
        self.assertAlmostEqual(self.client.now() - self.other.reactor.seconds(), before)

    def test_problem(self) -> None:
        """The sentence of a problem document is what the person reads."""
        body = b'{"type":"/problems/full","status":503,"detail":"no room at 203.0.113.80"}'
        error = self.refusal(self.site(Page(503, body, b"application/problem+json")))
        self.assertEqual((error.status, error.reason), (503, "full"))
        self.assertEqual(str(error), "no room at 203.0.113.80")

    def test_other_version(self) -> None:
        """A registry of another version isn't asked soon again; the person reads what helps."""
        page = Page(400, Problem(400, "unsupported-version", "this program knows 1").encode())
        error = self.refusal(self.site(page))
        self.assertEqual((error.reason, error.retry_after), ("unsupported-version", 300.0))
        said = "speaks another version of the protocol than this program (2); one of the two must"
        self.assertIn(said, str(error))


class RetryAfterTests(OtherServerCase):
    """A refusal that says when to come back."""

    def asking(self, *retry_after: bytes, problem: Problem | None = None) -> RegistryError:
        """Return the error of a registry that refuses so."""
        problem = problem or Problem(429, "too-many-requests", f"slow down, says {OTHER}")
        page = Page(problem.status, problem.encode())
        page.retry_after, page.date = retry_after, b"Sun, 06 Nov 1994 08:49:37 GMT"
        error = self.refusal(self.site(page))
        assert isinstance(error, RegistryError)
        return error

    def test_seconds(self) -> None:
        """The error has the seconds, and its sentence says them to the person."""
        for value, words in ((b"60", "in 60 seconds"), (b"1", "in 1 second"), (b"0", "in 0 sec")):
            error = self.asking(value)
            self.assertEqual((error.status, error.retry_after), (429, float(value)))
            self.assertIn(f"slow down, says {OTHER}; worth asking again {words}", str(error))

    def test_date(self) -> None:
        """A date counts by the clock of whoever answered, however wrong ours or theirs is."""
        self.assertEqual(self.asking(b"Sun, 06 Nov 1994 08:50:07 GMT").retry_after, 30.0)

    def test_bounded(self) -> None:
        """A registry that asks for a day gets minutes."""
        self.assertEqual(self.asking(b"86400").retry_after, MAX_RETRY_AFTER)

    def test_nothing_clear(self) -> None:
        """Where it asks for nothing that can be understood, the sentence is its own."""
        for values in ((), (b"soon",), (b"-1",), (b"\xff",), (b"5", b"6")):
            error = self.asking(*values)
            self.assertIsNone(error.retry_after)
            self.assertEqual(str(error), f"slow down, says {OTHER}")

    def test_no_problem_document(self) -> None:
        """What stands before a registry is heeded too, though it says no with a web page."""
        page = Page(503, b"<html>Service Unavailable</html>")
        page.retry_after = (b"10",)
        error = self.refusal(self.site(page))
        self.assertEqual((error.status, error.retry_after), (503, 10.0))

    def test_work(self) -> None:
        """Whoever works needn't wait; how long the others must is known too."""
        challenge = Challenge(ALGORITHM, bytes(16), MIN_DIFFICULTY, 1_800_000_060)
        problem = Problem(429, "work-required", f"work for {OTHER}", challenge)
        error = self.asking(b"120", problem=problem)
        assert isinstance(error, WorkRequired)
        self.assertEqual((error.retry_after, error.idle_wait), (None, 120.0))
        self.assertEqual(str(error), f"work for {OTHER}")


class BadUrlTests(SynchronousTestCase):
    """A registry's address that isn't one."""

    def test_refused(self) -> None:
        """It is refused before anything is sent."""
        runtime = Runtime(None, cast(Any, None), lambda: 0.0, bytes, list)
        for url in ("", "registry.test", "ftp://registry.test", "http://a b"):
            self.assertRaises(RemoteProtocolError, RegistryClient, url, ALICE, runtime)
