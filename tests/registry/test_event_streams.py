"""Event streams, over the real site on a connection that the test slows down."""

from __future__ import annotations

import re

from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel
from zope.interface.verify import verifyObject

from p2pchat.identity.sealing import OVERHEAD, STEP
from p2pchat.registry.admission.rates import Limits
from p2pchat.registry.event_streams import MAX_QUEUED, EventStreamResponse
from p2pchat.registry.kept_documents import KEPT
from p2pchat.registry.registry import Settings
from p2pchat.runtime import MAX_SEGMENT
from p2pchat.wire.documents import Removal, Sealed, Subscription
from tests.cases import each
from tests.registry.web import UNLIMITED, Connection, Response, Web, identity

ALICE, BOB = identity(1), identity(2)


class StreamCase(SynchronousTestCase):
    """Alice and Bob are registered; Bob listens."""

    def setUp(self) -> None:
        self.web = Web(Settings(rates=UNLIMITED))
        self.web.register(ALICE, "alice")
        self.web.register(BOB, "bob")
        self.stream = self.subscribe()

    def subscribe(self) -> Connection:
        return self.web.subscribe(BOB, self.web.signed(BOB, Subscription()))

    def deliver(self) -> Response:
        token = self.web.signed(ALICE, Sealed(b""), BOB.peer_id)
        return self.web.post(f"/deliver/{BOB.peer_id}", token)


class StreamTests(StreamCase):
    """What a subscriber reads."""

    def test_is_a_push_producer(self) -> None:
        """A stream lets its transport pause it."""
        self.assertTrue(
            verifyObject(IPushProducer, EventStreamResponse(Request(DummyChannel()), 0.0))
        )

    def test_ready_at_once(self) -> None:
        """The first thing on a stream says that it is live."""
        response = self.stream.response()
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers["content-type"], "text/event-stream")
        self.assertIn(b"event: ready\ndata: {}\n\n", response.body)

    def test_document_at_once(self) -> None:
        """A delivered document is on the stream before its author has the answer."""
        token = self.web.signed(ALICE, Sealed(b""), BOB.peer_id)
        response = self.web.post(f"/deliver/{BOB.peer_id}", token)
        self.assertEqual((response.status, response.json), (202, {"delivered": True}))
        expected = f"event: document\nid: 1\ndata: {token}\n\n".encode()
        self.assertIn(expected, self.stream.wire.value())

    def test_segment(self) -> None:
        """An offer on its way out fits in a TCP segment, with room for TLS and timestamps."""
        token = self.web.signed(ALICE, Sealed(bytes(STEP + OVERHEAD)), BOB.peer_id)
        before = len(self.stream.wire.value())
        self.web.post(f"/deliver/{BOB.peer_id}", token)
        self.assertLess(len(self.stream.wire.value()) - before, MAX_SEGMENT - 12 - 22 - 100)

    def test_numbered(self) -> None:
        """Documents are counted from 1 on each stream."""
        self.deliver()
        self.deliver()
        self.assertIn(b"\nid: 2\n", self.stream.wire.value())

    def test_keepalive(self) -> None:
        """Every 15 seconds a comment says that the stream lives, for as long as the lease."""
        self.web.pass_time(46)
        found = re.findall(rb": keepalive ([0-9.]+)\n\n", self.stream.wire.value())
        self.assertEqual(found, [b"15.0", b"30.0", b"45.0"])

    @each((None, 15.0), ("15", 15.0), ("60", 15.0), ("14", 5.0), ("5", 5.0), ("4", 2.0), ("1", 2.0))
    def test_keepalive_asked_for(self, asked: str | None, interval: float) -> None:
        """Whoever is behind a proxy that gives up sooner has one every 5 or 2 seconds."""
        query = "" if asked is None else f"?keepalive={asked}"
        token = self.web.signed(ALICE, Subscription())
        stream = self.web.subscribe(ALICE, token, query=query)
        self.web.pass_time(31)
        self.assertEqual(stream.wire.value().count(b": keepalive"), 30 // interval)
        self.assertEqual(self.stream.wire.value().count(b": keepalive"), 2)

    @each("0", "-1", "x", "3601", "1.5", "")
    def test_keepalive_that_is_none(self, asked: str) -> None:
        """Anything else is refused."""
        token = self.web.signed(ALICE, Subscription())
        stream = self.web.subscribe(ALICE, token, query=f"?keepalive={asked}")
        self.assertEqual(stream.response().status, 400)

    def test_padding(self) -> None:
        """Whoever asks for it has a comment of so many bytes behind whatever is written."""
        token = self.web.signed(BOB, Subscription())
        stream = self.web.subscribe(BOB, token, query="?padding=4096")
        self.deliver()
        self.web.pass_time(16)
        written = stream.wire.value()
        comments = re.findall(rb"\n\n(: *\n\n)", written)
        self.assertEqual([len(one) for one in comments], [4096] * 3)

    def test_padding_is_rare(self) -> None:
        """With padding comments come as usual, whatever is asked for beside it."""
        token = self.web.signed(BOB, Subscription())
        stream = self.web.subscribe(BOB, token, query="?padding=8192&keepalive=1")
        self.web.pass_time(46)
        self.assertEqual(stream.wire.value().count(b": keepalive"), 3)

    @each("0", "8193", "x", "")
    def test_padding_that_is_none(self, asked: str) -> None:
        """Anything else is refused."""
        token = self.web.signed(ALICE, Subscription())
        stream = self.web.subscribe(ALICE, token, query=f"?padding={asked}")
        self.assertEqual(stream.response().status, 400)

    def test_keepalive_of_a_new_stream(self) -> None:
        """A stream that takes another's place has a rhythm of its own, and the only one."""
        for query in ("?keepalive=5", "", "?keepalive=5", "?keepalive=5", ""):
            token = self.web.signed(ALICE, Subscription())
            stream = self.web.subscribe(ALICE, token, query=query)
            self.web.pass_time(2)
        self.web.pass_time(29)
        self.assertEqual(stream.wire.value().count(b": keepalive"), 2)
        stream.hang_up()
        self.web.pass_time(60)
        self.assertEqual(len(self.web.registry.streams), 0)

    def test_outlives_the_idle_timeout(self) -> None:
        """The idle timeout of the site doesn't end a stream whose lease is renewed."""
        for _ in range(10):
            self.web.pass_time(30)
            self.web.register(ALICE, "alice")
            self.web.register(BOB, "bob")
        self.assertFalse(self.stream.wire.aborted)
        self.assertEqual(self.deliver().status, 202)


class ReplacedTests(StreamCase):
    """A stream in place of one that was dead, on which documents were lost."""

    def replace(self, last: str = "") -> bytes:
        """Let Bob open another stream; returns what comes on it at once."""
        token = self.web.signed(BOB, Subscription())
        written: bytes = self.web.subscribe(BOB, token, last=last).wire.value()
        return written

    def sent(self) -> bytes:
        """Return all that was written on Bob's first stream."""
        written: bytes = self.stream.wire.value()
        return written

    def documents(self, written: bytes) -> list[bytes]:
        """Return the documents in what was written, with their ids."""
        return re.findall(rb"event: document\n(id: [0-9]+\ndata: [^\n]+)\n", written)

    def test_given_again(self) -> None:
        """What came after the document that the peer had last comes again, in order, first."""
        for _ in range(4):
            self.deliver()
        replaced = self.replace("2")
        self.assertEqual(self.documents(replaced), self.documents(self.sent())[2:])
        self.assertLess(replaced.index(b"event: ready"), replaced.index(b"event: document"))

    def test_goes_on(self) -> None:
        """Numbers go on, so that streams that die one after the other lose nothing."""
        for _ in range(3):
            self.deliver()
        self.replace("1")
        self.assertEqual(self.documents(self.replace("1")), self.documents(self.sent())[1:])
        self.assertEqual(self.documents(self.replace("3")), [])
        self.stream = self.web.subscribe(BOB, self.web.signed(BOB, Subscription()), last="3")
        self.deliver()
        self.assertIn(b"\nid: 4\n", self.sent())

    @each("", "x", "-1", "1" * 16, "2.5")
    def test_another_run(self, last: str) -> None:
        """A program that doesn't say that it had a stream gets nothing that was for another run."""
        self.deliver()
        replaced = self.replace(last)
        self.assertEqual(self.documents(replaced), [])
        self.assertEqual(self.documents(self.replace("0")), [])

    def test_ended(self) -> None:
        """What is lost with a stream that ended meanwhile comes, too; not after a removal."""
        self.deliver()
        self.stream.hang_up()
        self.assertEqual(len(self.documents(self.replace("0"))), 1)
        removal = {"Authorization": f"JWS {self.web.signed(BOB, Removal())}"}
        self.web.ask("DELETE", f"/peer/{BOB.peer_id}", headers=removal)
        self.web.register(BOB, "bob")
        self.assertEqual(self.documents(self.replace("0")), [])

    def test_late(self) -> None:
        """After a minute it is lost."""
        self.assertLessEqual(KEPT, 61)
        self.deliver()
        self.web.pass_time(30)
        self.web.register(BOB, "bob")
        self.web.pass_time(31)
        self.assertEqual(self.documents(self.replace("0")), [])


class RoomTests(SynchronousTestCase):
    """No more streams than the operator allows."""

    def setUp(self) -> None:
        self.web = Web(Settings(streams=Limits(3, 2)))
        self.people = [identity(number) for number in range(1, 6)]
        for number, person in enumerate(self.people):
            self.web.register(person, f"peer {number}")

    def ask(self, number: int, ip: str) -> Connection:
        """Ask for a peer's stream from an address."""
        person = self.people[number]
        token = self.web.signed(person, Subscription())
        return self.web.subscribe(person, token, ip)

    def assertRefused(self, stream: Connection, status: int) -> None:
        """The answer is a refusal that says when to come back."""
        response = stream.response()
        self.assertEqual((response.status, response.reason), (status, "too-many-streams"))
        self.assertIn("retry-after", response.headers)

    def test_source(self) -> None:
        """One address has its share; a newer stream of the same peer is no more."""
        for number in (0, 1):
            self.assertEqual(self.ask(number, "192.0.2.1").response().status, 200)
        self.assertRefused(self.ask(2, "192.0.2.1"), 429)
        self.assertEqual(self.ask(0, "192.0.2.1").response().status, 200)
        self.assertEqual(self.ask(2, "192.0.2.2").response().status, 200)

    def test_network(self) -> None:
        """The addresses of an IPv6 /64 share one share."""
        for number in (0, 1):
            self.ask(number, f"2001:db8::{number}")
        self.assertRefused(self.ask(2, "2001:db8::9"), 429)
        self.assertEqual(self.ask(2, "2001:db8:0:1::").response().status, 200)

    def test_all(self) -> None:
        """There is an end to it in all; one that closes makes room."""
        streams = [self.ask(number, f"192.0.2.{number}") for number in range(3)]
        self.assertRefused(self.ask(3, "192.0.2.3"), 503)
        streams[0].hang_up()
        self.assertEqual(self.ask(3, "192.0.2.3").response().status, 200)


class EndTests(StreamCase):
    """Why a stream ends, and what follows."""

    def test_superseded(self) -> None:
        """A newer stream ends the older one, and gets what comes from then on."""
        newer = self.subscribe()
        self.assertTrue(self.stream.response().body.endswith(b"\r\n0\r\n\r\n"))
        self.assertIn(b"event: superseded\ndata: {}", self.stream.wire.value())
        self.deliver()
        self.assertIn(b"event: document", newer.wire.value())
        self.assertNotIn(b"event: document", self.stream.wire.value())

    def test_closed_is_offline(self) -> None:
        """A peer whose stream closed can't be delivered to, though its record stays."""
        self.stream.hang_up()
        response = self.deliver()
        self.assertEqual((response.status, response.reason), (404, "peer-offline"))
        record = self.web.ask("GET", f"/peer/{BOB.peer_id}")
        self.assertEqual((record.status, record.json["online"]), (200, False))

    def test_closing_an_old_one_keeps_the_new(self) -> None:
        """The end of a superseded connection doesn't touch the newer stream."""
        self.subscribe()
        self.stream.hang_up()
        self.assertEqual(self.deliver().status, 202)

    def test_gone_is_told_once(self) -> None:
        """The store is told when a peer has no stream here any more, not when it has another."""
        gone: list[str] = []
        self.web.registry.streams.gone = gone.append
        newer = self.subscribe()
        self.stream.hang_up()
        self.assertEqual((gone, list(self.web.registry.streams)), ([], [BOB.peer_id]))
        newer.hang_up()
        self.assertEqual((gone, list(self.web.registry.streams)), ([BOB.peer_id], []))

    def test_bye(self) -> None:
        """A registry that stops says so on every stream."""
        self.web.registry.stop()
        self.assertIn(b"event: bye\ndata: {}", self.stream.wire.value())
        self.assertEqual(len(self.web.registry.streams), 0)

    def test_expired(self) -> None:
        """The end of a lease ends the stream."""
        self.web.pass_time(61)
        self.assertIn(b"event: expired", self.stream.wire.value())

    def test_removed(self) -> None:
        """A removal ends the stream."""
        token = self.web.signed(BOB, Removal())
        path = f"/peer/{BOB.peer_id}"
        self.web.ask("DELETE", path, headers={"Authorization": f"JWS {token}"})
        self.assertIn(b"event: removed", self.stream.wire.value())


class SlowReaderTests(StreamCase):
    """A subscriber that doesn't read."""

    def setUp(self) -> None:
        super().setUp()
        self.stream.fill()
        self.before = len(self.stream.wire.value())

    def test_queue_then_read(self) -> None:
        """What comes while the connection is full is written, in order, when there is room."""
        for _ in range(3):
            self.assertEqual(self.deliver().status, 202)
        self.assertEqual(len(self.stream.wire.value()), self.before)
        self.stream.drain()
        written = self.stream.wire.value()
        self.assertLess(written.index(b"id: 1\n"), written.index(b"id: 3\n"))

    def test_dropped_when_full(self) -> None:
        """One document more than the queue holds is dropped, and not the stream."""
        statuses = {self.deliver().status for _ in range(MAX_QUEUED)}
        self.assertEqual(statuses, {202})
        for _ in range(3):
            response = self.deliver()
            self.assertEqual((response.status, response.reason), (503, "stream-full"))
            self.assertEqual(response.headers["retry-after"], "4")
        self.assertFalse(self.stream.wire.aborted)
        self.stream.drain()
        self.assertIn(b"id: %d\n" % MAX_QUEUED, self.stream.wire.value())
        self.assertEqual(self.deliver().status, 202)
        self.assertIn(b"id: %d\n" % (MAX_QUEUED + 1), self.stream.wire.value())

    def test_others_unharmed(self) -> None:
        """A stream that is full doesn't hold another up."""
        other = self.web.subscribe(ALICE, self.web.signed(ALICE, Subscription()))
        for _ in range(MAX_QUEUED + 1):
            self.deliver()
        token = self.web.signed(BOB, Sealed(b""), ALICE.peer_id)
        self.assertEqual(self.web.post(f"/deliver/{ALICE.peer_id}", token).status, 202)
        self.assertIn(token.encode(), other.wire.value())

    def test_dropped_when_stalled(self) -> None:
        """A connection that takes nothing for two keepalives is cut off."""
        self.web.pass_time(29)
        self.assertFalse(self.stream.wire.aborted)
        self.web.pass_time(2)
        self.assertTrue(self.stream.wire.aborted)
        self.assertEqual(len(self.web.registry.streams), 0)

    def test_superseding_a_full_one(self) -> None:
        """A newer stream takes over from one that is full, and works."""
        newer = self.subscribe()
        self.assertEqual(self.deliver().status, 202)
        self.assertIn(b"event: document", newer.wire.value())
