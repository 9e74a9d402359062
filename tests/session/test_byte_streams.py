"""Streams of services between two peers who talk."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LinkLost, TooManyStreams
from p2pchat.session.byte_streams import (
    HALF_OPEN,
    MAX_GROWTH,
    MAX_IN_ALL,
    MAX_OPEN,
    MAX_QUEUED,
    UNANSWERED,
    ByteStreams,
    StreamCount,
)
from p2pchat.session.qh3_connection import DATAGRAM_SIZE
from p2pchat.session.service_stream import (
    LOW,
    WINDOW,
    ServiceStream,
    StreamEnd,
    StreamState,
)
from p2pchat.session.streams import MAX_WINDOW
from tests.cases import each
from tests.identity.people import BOB
from tests.session.pair import Pair
from tests.session.serving import Program
from tests.traversal.fake_wire import Link

MEGABYTE = 1024 * 1024


class StreamCase(SynchronousTestCase):
    """Alice reaches services of Bob, on a link that is open."""

    seed = 1

    def setUp(self) -> None:
        self.pair = Pair(self.seed)
        self.ours, self.theirs = Program(), Program({"web", "ssh"})
        self.pair.alice.serve, self.pair.bob.serve = self.ours.look, self.theirs.look
        self.path = Link()
        self.pair.connect()

    @property
    def now(self) -> float:
        """The time."""
        return self.pair.wire.now

    def open(self, service: str = "web") -> ServiceStream:
        """Let Alice open one."""
        endpoint = self.pair.alice.endpoint
        return endpoint.open_stream(self.pair.alice.other, service)

    def opened(self, service: str = "web") -> tuple[ServiceStream, ServiceStream]:
        """Return both ends of one that is open."""
        before = len(self.theirs.theirs())
        stream = self.open(service)
        self.pair.run_until(lambda: stream.state is StreamState.OPEN)
        return stream, self.theirs.theirs()[before]

    def until(self, happened: object, within: float = 30.0) -> float:
        """Let time pass until something holds."""
        assert callable(happened)
        return self.pair.run_until(happened, within)

    def renew(self) -> None:
        """Let so much be written that the link is renewed, for longer datagrams."""
        ours, _ = self.opened()
        ours.write(bytes(MEGABYTE))
        self.pair.run(8.0)
        self.pair.alice.sent.clear()
        ours.write(bytes(MEGABYTE // 4))
        self.pair.run(1.0)
        longest = max(len(one.data) for one in self.pair.alice.sent)
        self.assertGreater(longest, DATAGRAM_SIZE)
        ours.abort()

    def move(self) -> None:
        """Let the path be lost for a while; the link begins anew on the next one."""
        self.pair.part()
        self.pair.run(10.0)
        self.pair.join(self.path)
        self.pair.run(10.0)


class OpenTests(StreamCase):
    """How a stream begins."""

    def test_accepted(self) -> None:
        """It is open on both sides after one round trip, and names its service and its peer."""
        ours, theirs = self.opened()
        self.assertEqual((theirs.service, theirs.is_ours), ("web", False))
        self.assertEqual(
            (ours.peer_id, theirs.peer_id), (self.pair.alice.other, self.pair.bob.other)
        )

    def test_refused(self) -> None:
        """One that isn't granted ends with that reason, and the next one can be opened."""
        refused = self.open("secret")
        self.until(lambda: refused.state is StreamState.OVER)
        self.assertIs(refused.end, StreamEnd.NOT_GRANTED)
        self.opened()

    def test_no_link(self) -> None:
        """Without a link there is nothing to open one on."""
        pair = Pair()
        self.assertRaises(LinkLost, pair.alice.endpoint.open_stream, pair.alice.other, "web")

    def test_undecided(self) -> None:
        """One on which nobody decides is refused, in time."""
        self.pair.bob.serve = lambda _stream: None
        ours = self.open()
        waited = self.until(lambda: ours.state is StreamState.OVER)
        self.assertIs(ours.end, StreamEnd.NOT_GRANTED)
        self.assertLess(abs(waited - HALF_OPEN), 0.5)

    def test_aborted_before(self) -> None:
        """One that is given up before the answer leaves nothing on the other side."""
        ours = self.open()
        ours.abort()
        self.pair.run(1.0)
        self.assertEqual(self.ours.data(ours), b"")
        ours = self.open()
        self.pair.run(0.001)
        ours.abort()
        self.pair.run(1.0)
        self.assertEqual(self.theirs.ends(), [StreamEnd.RESET])
        self.opened()

    def test_chat_goes_on(self) -> None:
        """The conversation beside it goes on."""
        self.opened()
        self.pair.chat()


class BytesTests(StreamCase):
    """Bytes on a stream."""

    @each(0, 1, 2, 3)
    def test_both_ways(self, seed: int) -> None:
        """They arrive in order, whole, both ways, over a wire that loses and delays."""
        self.theirs.echoes = True
        ours, _ = self.opened()
        self.pair.join(Link(loss=0.02 * seed, jitter=0.004 * seed))
        sent = Random(seed).randbytes(MEGABYTE)
        for at in range(0, len(sent), 50_000):
            ours.write(sent[at : at + 50_000])
        ours.finish()
        self.until(lambda: ours.state is StreamState.OVER, 120)
        self.assertIs(ours.end, StreamEnd.DONE)
        self.assertTrue(self.ours.data(ours) == sent)
        self.assertEqual((ours.sent, ours.received), (MEGABYTE, MEGABYTE))

    def test_half_close(self) -> None:
        """After FIN one way the other way goes on."""
        ours, theirs = self.opened()
        ours.write(b"what")
        ours.finish()
        self.until(lambda: theirs.has_all)
        self.assertEqual(self.theirs.data(theirs), b"what")
        theirs.write(b"that")
        self.until(lambda: self.ours.data(ours) == b"that")
        self.assertIs(theirs.state, StreamState.OPEN)
        theirs.finish()
        self.until(lambda: ours.end is not None and theirs.end is not None)
        self.assertEqual([ours.end, theirs.end], [StreamEnd.DONE] * 2)

    def test_abort(self) -> None:
        """A side that aborts ends both halves, whatever is under way."""
        ours, theirs = self.opened()
        ours.write(bytes(MEGABYTE))
        self.pair.run(0.05)
        ours.abort()
        self.until(lambda: theirs.state is StreamState.OVER)
        self.assertEqual([ours.end, theirs.end], [StreamEnd.ABORTED, StreamEnd.RESET])

    def test_stop(self) -> None:
        """Who leaves is sent nothing more, and what it wrote before arrives."""
        ours, theirs = self.opened()
        theirs.write(bytes(4 * MEGABYTE))
        self.pair.run(0.02)
        ours.write(b"bye")
        ours.finish()
        ours.stop()
        self.until(lambda: ours.state is StreamState.OVER)
        self.until(lambda: theirs.state is StreamState.OVER)
        self.assertEqual(self.theirs.data(theirs), b"bye")
        self.assertEqual([ours.end, theirs.end], [StreamEnd.DONE] * 2)
        self.assertLess(theirs.sent, 2 * MEGABYTE)

    def test_pending(self) -> None:
        """Whoever writes hears when little waits."""
        ours, theirs = self.opened()
        self.theirs.readers[theirs].is_paused = True
        looked: list[int] = []
        self.pair.alice.serve = lambda stream: looked.append(stream.pending)
        ours.write(bytes(WINDOW + 2 * LOW))
        self.pair.run(1.0)
        self.assertEqual(looked, [])
        self.assertEqual(ours.pending, 2 * LOW)
        self.theirs.readers[theirs].is_paused = False
        self.theirs.look(theirs)
        self.until(lambda: not ours.pending)
        self.assertEqual(looked[-1], 0)

    def test_verbs_after_the_end(self) -> None:
        """What is asked of a stream that is over does nothing."""
        ours, theirs = self.opened()
        ours.abort()
        for stream in (ours, theirs):
            self.until(lambda stream=stream: stream.state is StreamState.OVER)
            end = stream.end
            stream.write(b"late")
            stream.finish()
            stream.stop()
            stream.accept()
            stream.refuse()
            stream.abort()
            self.assertEqual((stream.read(), stream.end, stream.pending), (b"", end, 0))
        self.pair.run(0.5)
        self.pair.chat()


class BackpressureTests(StreamCase):
    """Readers that don't read."""

    def test_window(self) -> None:
        """A reader that is paused holds its window, and chat beside it goes on."""
        self.theirs.pauses = True
        ours, theirs = self.opened()
        ours.write(bytes(4 * MEGABYTE))
        self.pair.run(2.0)
        self.assertEqual(theirs.waiting, WINDOW)
        self.assertEqual(ours.pending, 4 * MEGABYTE - WINDOW)
        self.assertLess(self.pair.chat(), 0.2)

    def test_growth(self) -> None:
        """A quick reader's window grows, as long as all of the link don't have too much."""
        streams = [self.opened() for _ in range(12)]
        for ours, _ in streams:
            ours.write(bytes(24 * MEGABYTE // 4))
        self.until(lambda: not any(ours.pending for ours, _ in streams), 120)
        sizes = [theirs.window.size for _, theirs in streams]
        self.assertGreater(max(sizes), 2 * WINDOW)
        self.assertLessEqual(max(sizes), MAX_WINDOW)
        self.assertLessEqual(sum(sizes) - 12 * WINDOW, MAX_GROWTH)

    def test_others_go_on(self) -> None:
        """Beside a reader that is paused another one reads."""
        paused, their_paused = self.opened()
        self.theirs.readers[their_paused].is_paused = True
        quick, their_quick = self.opened()
        paused.write(bytes(MEGABYTE))
        quick.write(bytes(MEGABYTE))
        self.until(lambda: len(self.theirs.data(their_quick)) == MEGABYTE)
        self.assertEqual(their_paused.waiting, WINDOW)

    def test_turns(self) -> None:
        """Of several that write none is far ahead of the others."""
        streams = [self.opened() for _ in range(4)]
        for ours, _ in streams:
            ours.write(bytes(MEGABYTE))
        self.until(lambda: streams[0][0].sent > MEGABYTE // 4)
        sent = [ours.sent for ours, _ in streams]
        self.assertLessEqual(max(sent) - min(sent), 4 * 16 * 1024)


class LimitTests(StreamCase):
    """How many there are."""

    def test_open(self) -> None:
        """The next one waits until one has ended."""
        streams = [self.opened()[0] for _ in range(MAX_OPEN)]
        waits = self.open()
        self.pair.run(2.0)
        self.assertIs(waits.state, StreamState.ASKING)
        streams[7].abort()
        self.until(lambda: waits.state is StreamState.OPEN)

    def test_many(self) -> None:
        """Far more than QUIC lets be open can be opened one after the other, a renewal between."""
        self.theirs.echoes = True
        for number in range(300):
            ours = self.open()
            ours.finish()
            self.until(lambda ours=ours: ours.state is StreamState.OVER)
            self.assertIs(ours.end, StreamEnd.DONE)
            if number == 150:
                self.renew()

    def test_at_once(self) -> None:
        """Hundreds that are asked for at once are all opened, by and by."""
        self.theirs.echoes = True
        streams = [self.open() for _ in range(400)]
        for number, one in enumerate(streams):
            one.write(b"%d" % number)
            one.finish()
        self.until(lambda: all(one.state is StreamState.OVER for one in streams), 60)
        self.assertEqual({one.end for one in streams}, {StreamEnd.DONE})
        self.assertEqual([self.ours.data(one) for one in streams], [b"%d" % n for n in range(400)])

    def test_queue(self) -> None:
        """The queue is bounded."""
        for _ in range(MAX_QUEUED):
            self.open()
        self.assertRaises(TooManyStreams, self.open)

    def test_in_all(self) -> None:
        """A node that has many open takes no more, and says so."""
        self.pair.bob.endpoint.context.streams.open = MAX_IN_ALL
        ours = self.open()
        self.until(lambda: ours.state is StreamState.OVER)
        self.assertIs(ours.end, StreamEnd.TOO_MANY)
        self.assertEqual(self.pair.bob.endpoint.context.streams.open, MAX_IN_ALL)

    def test_given_back(self) -> None:
        """What has ended, however it did, counts no more."""
        for _ in range(3):
            ours, theirs = self.opened()
            ours.finish()
            theirs.finish()
            self.opened()[0].abort()
            self.opened()[1].abort()
        self.pair.run(1.0)
        self.assertEqual(self.pair.bob.endpoint.context.streams.open, 0)


class LossTests(StreamCase):
    """Paths and links that are lost."""

    def test_link_lost(self) -> None:
        """With the link its streams are lost, on both sides, and those that weren't open yet."""
        ours, theirs = self.opened()
        self.pair.bob.session.disconnect(self.now)
        asked = self.open()
        self.until(lambda: ours.end is not None and theirs.end is not None)
        self.assertEqual([ours.end, theirs.end, asked.end], [StreamEnd.LOST] * 3)

    def test_restart(self) -> None:
        """Where the other program has begun anew the stream is lost when there is another link."""
        ours, _ = self.opened()
        self.pair.bob = self.pair.peer(
            "bob", self.pair.identities["bob"], self.pair.identities["alice"]
        )
        self.pair.alice.session.network_changed(self.now)
        self.until(lambda: ours.end is not None, 120)
        self.assertIs(ours.end, StreamEnd.LOST)

    def test_path_lost(self) -> None:
        """While there is no path it waits; over the next one it goes on."""
        ours, theirs = self.opened()
        self.pair.part()
        ours.write(bytes(MEGABYTE))
        self.pair.run(40.0)
        self.pair.join()
        self.until(lambda: len(self.theirs.data(theirs)) == MEGABYTE, 120)
        self.assertIs(ours.state, StreamState.OPEN)

    def test_unanswered(self) -> None:
        """One that is asked for while nothing comes through is given up."""
        self.pair.part()
        ours = self.open()
        waited = self.until(lambda: ours.end is not None, 60)
        self.assertIs(ours.end, StreamEnd.UNANSWERED)
        self.assertLess(abs(waited - UNANSWERED), 0.5)


class RenewalTests(StreamCase):
    """Links that are renewed while streams are open."""

    def test_both_write(self) -> None:
        """Either side can write after it, whoever opened the stream."""
        ours, theirs = self.opened()
        ours.write(b"a")
        theirs.write(b"b")
        self.until(lambda: self.ours.data(ours) and self.theirs.data(theirs))
        self.renew()
        theirs.write(b"d")
        self.until(lambda: self.ours.data(ours) == b"bd")
        ours.write(b"c")
        self.until(lambda: self.theirs.data(theirs) == b"ac")

    def test_half_closed(self) -> None:
        """What one side has ended stays ended, and the other half goes on and ends."""
        first, their_first = self.opened()
        second, their_second = self.opened()
        first.finish()
        their_second.finish()
        self.until(lambda: their_first.has_fin and second.has_fin)
        self.renew()
        their_first.write(b"on")
        second.write(b"on")
        their_first.finish()
        second.finish()
        streams = [first, their_first, second, their_second]
        self.until(lambda: all(one.end is not None for one in streams))
        self.assertEqual({one.end for one in streams}, {StreamEnd.DONE})
        self.assertEqual(self.ours.data(first), b"on")
        self.assertEqual(self.theirs.data(their_second), b"on")

    @each(1, 2, 3, 4)
    def test_in_the_middle(self, seed: int) -> None:
        """In the middle of bulk both ways, on a bad path, nothing is lost or doubled."""
        self.theirs.echoes = True
        ours, _ = self.opened()
        self.path = self.pair.join(Link(loss=0.03, jitter=0.01))
        sent = Random(seed).randbytes(4 * MEGABYTE)
        ours.write(sent)
        for _ in range(4):
            self.pair.run(1.0)
            self.move()
        ours.finish()
        self.until(lambda: ours.state is StreamState.OVER, 120)
        self.assertTrue(self.ours.data(ours) == sent)
        self.assertIs(ours.end, StreamEnd.DONE)


class QueueTests(SynchronousTestCase):
    """Streams that never met a link."""

    def test_lost(self) -> None:
        """They end when the link does."""
        streams = ByteStreams(BOB.peer_id, StreamCount())
        stream = streams.open("web")
        streams.lose()
        self.assertIs(stream.end, StreamEnd.LOST)
        self.assertIs(streams.next_stirred(), stream)
        self.assertIs(streams.next_stirred(), None)
