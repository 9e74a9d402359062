"""One stream of a service, by itself."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.service_stream import (
    ANSWER,
    EMPTY,
    WINDOW,
    ServiceStream,
    StreamEnd,
    StreamState,
)
from p2pchat.wire.framing import encode_frame


def _do_nothing(_stream: ServiceStream) -> None:
    pass


QUIET = (_do_nothing, _do_nothing)


def asked() -> ServiceStream:
    """Return a stream that somebody else opened, and was accepted; its answer is written."""
    stream = ServiceStream("them", "web", False, *QUIET, StreamState.ASKED, 1)
    stream.asked(0)
    stream.receive(encode_frame(b"opening"), 0)
    stream.accept()
    stream.next_write(100, 0)
    return stream


def opened() -> ServiceStream:
    """Return a stream that we opened, and that was accepted."""
    stream = ServiceStream("them", "web", True, *QUIET, StreamState.ASKING)
    stream.opened(0, b"opening", 0)
    stream.next_write(100, 0)
    stream.receive(ANSWER, 0)
    stream.state = StreamState.OPEN
    return stream


class WritingTests(SynchronousTestCase):
    """What goes out."""

    def test_before_the_answer(self) -> None:
        """Nothing but the opening goes out before the answer, and all that was written after it."""
        stream = ServiceStream("them", "web", True, *QUIET, StreamState.ASKING)
        stream.opened(0, b"opening", 0)
        stream.write(b"bytes")
        self.assertEqual(stream.next_write(100, 0), (b"opening", False))
        self.assertIsNone(stream.next_write(100, 0))
        stream.state = StreamState.OPEN
        self.assertEqual(stream.next_write(100, 0), (b"bytes", False))

    def test_pieces(self) -> None:
        """What was written goes out in pieces, in order, and FIN with the last."""
        stream = opened()
        stream.write(b"abcde")
        stream.write(b"fg")
        stream.finish()
        written = [stream.next_write(3, 0) for _ in range(4)]
        self.assertEqual(written, [(b"abc", False), (b"de", False), (b"fg", True), None])

    def test_credit(self) -> None:
        """No more goes out than credit allows."""
        stream = opened()
        stream.credit = 3
        stream.write(b"abcde")
        self.assertEqual(stream.next_write(100, 0), (b"abc", False))
        self.assertIsNone(stream.next_write(100, 0))
        self.assertEqual(stream.pending, 2)

    def test_renewed(self) -> None:
        """After a renewal, ours begins with an empty frame, and says FIN again."""
        stream = opened()
        stream.finish()
        self.assertEqual(stream.next_write(100, 0), (b"", True))
        self.assertEqual(stream.next_write(100, 1), (EMPTY, False))
        self.assertEqual(stream.next_write(100, 1), (b"", True))
        self.assertIsNone(stream.next_write(100, 1))

    def test_renewed_theirs(self) -> None:
        """After a renewal, nothing goes out on theirs before their empty frame came."""
        stream = asked()
        stream.write(b"bytes")
        self.assertIsNone(stream.next_write(100, 1))
        stream.renewed()
        for byte in EMPTY:
            stream.receive(bytes([byte]), 1)
        self.assertEqual(stream.next_write(100, 1), (b"bytes", False))

    def test_renewed_badly(self) -> None:
        """Anything but an empty frame breaks the rules there."""
        stream = asked()
        stream.renewed()
        self.assertRaises(RemoteProtocolError, stream.receive, b"bytes", 1)


class ReadingTests(SynchronousTestCase):
    """What comes."""

    def test_window(self) -> None:
        """A window of bytes is taken, and no more."""
        stream = asked()
        stream.receive(bytes(WINDOW), 0)
        self.assertEqual(stream.waiting, WINDOW)
        self.assertRaises(RemoteProtocolError, stream.receive, b"x", 0)

    def test_head(self) -> None:
        """The first frame doesn't count, however it is cut, and what follows is bytes."""
        stream = ServiceStream("them", "web", True, *QUIET, StreamState.ASKING)
        heads = [stream.receive(bytes([byte]), 0) for byte in ANSWER]
        self.assertEqual([head for head in heads if head is not None], [b"{}"])
        stream.receive(b"bytes", 0)
        self.assertEqual((stream.read(), stream.window.received), (b"bytes", 5))

    def test_long_head(self) -> None:
        """A long one breaks the rules before it is there."""
        stream = ServiceStream("them", "web", True, *QUIET, StreamState.ASKING)
        self.assertRaises(RemoteProtocolError, stream.receive, b"\x00\x01\x00\x00", 0)

    def test_stopped(self) -> None:
        """What comes after it was stopped is dropped, and counts."""
        stream = asked()
        stream.receive(b"bytes", 0)
        stream.stop()
        stream.receive(b"more", 0)
        self.assertEqual((stream.read(), stream.window.received), (b"", 9))

    def test_end(self) -> None:
        """It has ended the way it did first."""
        stream = asked()
        stream.over(StreamEnd.LOST)
        stream.abort()
        self.assertIs(stream.end, StreamEnd.LOST)
