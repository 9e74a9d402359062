"""Server-sent events, as the registry writes them and as a stranger might."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import RemoteProtocolError
from p2pchat.peer.event_stream import (
    KEEPALIVE,
    MAX_EVENT,
    SILENCE,
    Event,
    EventReader,
    EventStream,
)
from tests.cases import each

words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
events = st.builds(
    Event, words.filter(bool), st.lists(words, min_size=1, max_size=3).map("\n".join)
)


def written(event: Event) -> bytes:
    """Write an event as a server does."""
    lines = [f"event: {event.name}", *(f"data: {line}" for line in event.data.split("\n"))]
    return "\n".join([*lines, "", ""]).encode()


class ReaderTests(SynchronousTestCase):
    """Cutting bytes into events."""

    def read(self, data: bytes) -> list[Event]:
        """Read all of it at once."""
        return EventReader().receive(data)

    @given(st.lists(events, max_size=4), st.lists(st.integers(0, 200), max_size=6))
    def test_any_cut(self, expected: list[Event], cuts: list[int]) -> None:
        """Any cut of the bytes gives the same events, comments between them or not."""
        stream = b": keepalive\n\n".join(map(written, expected)) + b":\n"
        edges = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
        reader, found = EventReader(), []
        for start, end in zip(edges, [*edges[1:], len(stream)], strict=True):
            found += reader.receive(stream[start:end])
        self.assertEqual(found, expected)

    def test_format(self) -> None:
        """Comments, unknown fields, missing names, CRLF: as the format has them."""
        for data, expected in (
            (b": comment\n\n", []),
            (b"\n\n\n", []),
            (b"data: a\n\n", [Event("message", "a")]),
            (b"data:a\ndata:  b\n\n", [Event("message", "a\n b")]),
            (b"event: bye\n\n", [Event("bye", "")]),
            (b"id: 7\nretry: 5\nevent: x\r\ndata: y\r\n\r\n", [Event("x", "y", "7")]),
            (b"event: x\ndata: y\n", []),
            (b"event: x\ndata: y\n\ndata: z\n\n", [Event("x", "y"), Event("message", "z")]),
        ):
            with self.subTest(data=data):
                self.assertEqual(self.read(data), expected)

    @each((b"15.0", "15.0"), (b"0", "0"), (b"999999999.999", "999999999.999"))
    def test_keepalive(self, number: bytes, data: str) -> None:
        """A comment that says for how long the stream has been live is handed on at once."""
        reader = EventReader()
        found = reader.receive(b"event: a\ndata: b\n: keepalive " + number + b"\r\n")
        self.assertEqual(found, [Event(KEEPALIVE, data)])
        self.assertEqual(reader.receive(b"\n"), [Event("a", "b")])

    @each(b"", b"x", b"-1", b"1e9", b"nan", b"9" * 400, b"1.0 2", b"\xd9\xa1")
    def test_other_comments(self, text: bytes) -> None:
        """Other comments mean nothing."""
        self.assertEqual(EventReader().receive(b": keepalive " + text + b"\n\n"), [])

    def test_too_long(self) -> None:
        """An event that never ends is refused, whether in one line or in many."""
        for piece in (b"data: " + b"x" * 1000, b"data: " + b"x" * 1000 + b"\n"):
            reader = EventReader()
            with self.assertRaises(RemoteProtocolError):
                for _ in range(MAX_EVENT // 1000 + 2):
                    reader.receive(piece)

    def test_too_long_at_once(self) -> None:
        """One that comes whole is refused as well, and so are empty lines without end."""
        too_long = b"data: " + b"x" * 2 * MAX_EVENT + b"\n\n"
        self.assertRaises(RemoteProtocolError, self.read, too_long)
        reader = EventReader()
        with self.assertRaises(RemoteProtocolError):
            for _ in range(MAX_EVENT // 1000 + 2):
                reader.receive(b"data:\n" * 200)

    def test_many(self) -> None:
        """Any number of events may come at once."""
        event = Event("document", "x" * (MAX_EVENT // 2))
        self.assertEqual(self.read(written(event) * 10), [event] * 10)

    def test_longest(self) -> None:
        """An event just below the limit is read."""
        data = "x" * (MAX_EVENT - 100)
        self.assertEqual(self.read(written(Event("document", data))), [Event("document", data)])

    def test_not_utf8(self) -> None:
        """What isn't UTF-8 is refused."""
        self.assertRaises(RemoteProtocolError, self.read, b"data: \xff\n\n")

    @given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b"data:", b"\n"]))))
    def test_any_bytes(self, chunks: list[bytes]) -> None:
        """Any bytes raise only our error."""
        reader = EventReader()
        try:
            for chunk in chunks:
                reader.receive(chunk)
        except RemoteProtocolError:
            return


class StreamTests(SynchronousTestCase):
    """The body of a response that doesn't end."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.received: list[Event] = []
        self.ended: list[str] = []
        self.stream = EventStream(self.clock, self.received.append, self.ended.append)
        self.transport = StringTransport()
        self.stream.makeConnection(self.transport)

    def test_interface(self) -> None:
        """It can take the body of a response."""
        self.assertTrue(verifyObject(IProtocol, self.stream))

    def test_events(self) -> None:
        """Each event is handed on as soon as it is complete."""
        self.stream.dataReceived(b"data: a\n\ndata: b\n")
        self.assertEqual(self.received, [Event("message", "a")])
        self.stream.dataReceived(b"\n")
        self.assertEqual(self.received[1:], [Event("message", "b")])

    def test_silence(self) -> None:
        """Comments keep the stream alive; without anything for SILENCE it is given up."""
        for _ in range(10):
            self.clock.advance(SILENCE - 1)
            self.stream.dataReceived(b":\n")
        self.assertEqual(self.ended, [])
        self.clock.advance(SILENCE)
        self.assertEqual(self.ended, ["the registry fell silent"])
        self.assertTrue(self.transport.disconnecting)

    def test_closed(self) -> None:
        """The end of the response is told once, and no timer is left."""
        self.stream.connectionLost()
        self.stream.stop("again")
        self.assertEqual(self.ended, ["the registry closed the event stream"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_broken(self) -> None:
        """What can't be read ends the stream, and nothing is read after it."""
        self.stream.dataReceived(b"data: \xff\n\n")
        self.stream.dataReceived(b"data: a\n\n")
        self.assertEqual((len(self.ended), self.received), (1, []))
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """Who stops it is told the reason they gave."""
        self.stream.stop("given up")
        self.assertEqual(self.ended, ["given up"])
        self.assertTrue(self.transport.disconnecting)
