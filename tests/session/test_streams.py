"""Streams of a link: which are taken, what each may carry, and whose turn it is."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections import deque

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.quic import StreamData, StreamEvent, StreamReset, StreamStopped
from p2pchat.session.receive_window import QUICK
from p2pchat.session.streams import (
    CONTROL_BURST,
    CONTROL_INTERVAL,
    MAX_OPENING,
    MAX_REFUSALS,
    MAX_WINDOW,
    PIECE,
    READ_AHEAD,
    WINDOW,
    Reader,
    Streams,
)
from p2pchat.wire.framing import LENGTH, MAX_FRAME, encode_frame, encode_frames
from p2pchat.wire.messages import MAX_STREAMS, Credit, Opening, StreamRefusal, Written
from tests.cases import each
from tests.wire.frames import frames_of

NOW = 100.0
RTT = 0.05


@attrs.define(eq=False)
class Taker:
    """A reader that takes what it is allowed to take."""

    most: int = MAX_WINDOW
    may_receive: bool = True
    takes: bool = True
    bodies: list[bytes] = attrs.Factory(list)
    waiting: int = 0

    def receive(self, body: bytes, _now: float) -> None:
        """Take a frame."""
        self.bodies.append(body)
        self.waiting += LENGTH + len(body)

    def next_taken(self) -> int:
        """Return how many bytes were taken."""
        taken = self.waiting if self.takes else 0
        self.waiting -= taken
        return taken


@attrs.define(eq=False)
class Giver:
    """A writer with so many bytes to write."""

    left: int

    def next_bytes(self, most: int, enough: int, _now: float) -> bytes:
        """Return what goes out next."""
        size = min(self.left, most, enough)
        self.left -= size
        return bytes(size)


class StreamsCase(SynchronousTestCase):
    """Our side dials; the other side's streams are 3, 7, 11 and so on."""

    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin a link."""
        self.reader = Taker()
        self.control: list[bytes] = []
        self.streams = Streams(True, self.accept, lambda body, _now: self.control.append(body))

    def accept(self, opening: Opening) -> Reader | str:
        """Take streams of one kind."""
        return self.reader if opening.kind == "good" else "unknown-kind"

    def hear(self, *events: StreamEvent, now: float = NOW) -> None:
        """Let things happen on streams, and take all frames."""
        for event in events:
            self.streams.receive(event, now)
        while self.streams.take(now):
            pass

    def opened(self, stream: int = 7, of: str = "", kind: str = "good") -> int:
        """Let a stream of the other side open; returns how many bytes that took."""
        opening = encode_frame(Opening(kind, of).encode())
        self.hear(StreamData(stream, opening))
        return len(opening)

    def refusals(self) -> list[StreamRefusal]:
        """Return what is refused now."""
        found = self.streams.next_messages(RTT, NOW)
        return [one for one in found if isinstance(one, StreamRefusal)]

    def refuse(self, *events: StreamEvent) -> None:
        """These break the rules."""
        self.assertRaises(RemoteProtocolError, self.hear, *events)


class OpeningTests(StreamsCase):
    """Which streams are taken."""

    @given(st.lists(st.binary(max_size=20), max_size=5), st.lists(st.integers(1, 40), max_size=9))
    def test_any_cut(self, bodies: list[bytes], cuts: list[int]) -> None:
        """However its bytes are cut, a stream gives its frames in order."""
        self.begin()
        data = encode_frames([Opening("good", "x").encode(), *bodies])
        at = 0
        for cut in (*cuts, len(data)):
            self.hear(StreamData(7, data[at : at + cut]))
            at += cut
        self.hear(StreamData(7, b"", end=True))
        self.assertEqual(self.reader.bodies, bodies)

    def test_both_kinds(self) -> None:
        """Streams of both directions are taken, in whatever order they come."""
        for stream in (11, 7, 1):
            self.opened(stream, str(stream))
            self.hear(StreamData(stream, encode_frame(b"%d" % stream)))
        self.assertEqual(self.reader.bodies, [b"11", b"7", b"1"])

    def test_unknown_kind(self) -> None:
        """What isn't known is refused, once, and what comes on it is dropped."""
        self.opened(7, kind="newer")
        self.hear(StreamData(7, b"\xff" * 2 * WINDOW), StreamData(7, b"", end=True))
        self.assertEqual(self.refusals(), [StreamRefusal(7, "unknown-kind")])
        self.assertEqual((self.refusals(), self.streams.next_unwanted()), ([], [7]))
        self.assertEqual(self.reader.bodies, [])

    def test_duplicate(self) -> None:
        """A second stream of the same is refused while the first one is open."""
        self.opened(7, "x")
        self.opened(11, "x")
        self.assertEqual(self.refusals(), [StreamRefusal(11, "duplicate")])
        self.hear(StreamData(7, b"", end=True))
        self.opened(15, "x")
        self.assertEqual(self.refusals(), [])

    def test_too_many(self) -> None:
        """No more than MAX_STREAMS are open; one that ends makes room."""
        for number in range(MAX_STREAMS + 1):
            self.opened(7 + 4 * number, str(number))
        self.assertEqual(self.refusals(), [StreamRefusal(7 + 4 * MAX_STREAMS, "too-many")])
        self.hear(StreamReset(7))
        self.opened(1, "one more")
        self.assertEqual(self.refusals(), [])

    @each(
        (7, (MAX_OPENING + 1).to_bytes(4, "big")),
        (7, encode_frame(b"?")),
        (6, b"x"),
    )
    def test_malformed(self, stream: int, data: bytes) -> None:
        """An opening that is too long, or isn't one, breaks the rules, and so does our stream."""
        self.refuse(StreamData(stream, data))

    def test_control_stream(self) -> None:
        """The control stream has no opening, no credit and no end."""
        self.hear(StreamData(3, encode_frame(b"one")))
        self.assertEqual(self.control, [b"one"])
        for event in (StreamData(3, b"", end=True), StreamReset(3), StreamStopped(2)):
            self.refuse(event)
        self.refuse(StreamData(3, (MAX_FRAME + 1).to_bytes(4, "big")))

    def test_never_opened(self) -> None:
        """A stream that ends before it opened leaves nothing, and isn't refused."""
        for number in range(3 * MAX_STREAMS):
            self.hear(StreamData(7 + 4 * number, b"\0", end=True))
        self.assertEqual(self.refusals(), [])


class CreditTests(StreamsCase):
    """What a stream may carry."""

    def credits(self, now: float) -> list[int]:
        """Return the credit that is given now."""
        found = self.streams.next_messages(RTT, now)
        return [one.offset for one in found if isinstance(one, Credit)]

    def fill(self, size: int) -> None:
        """Let frames come, of so many bytes in all."""
        while size:
            frame = min(size, 10_000)
            self.hear(StreamData(7, encode_frame(bytes(frame - LENGTH))))
            size -= frame

    def test_window(self) -> None:
        """A reader that takes nothing gets exactly its window; more breaks the rules."""
        self.reader.takes = False
        before = self.opened()
        self.hear(StreamData(7, bytes(4) * ((WINDOW - before) // 4)))
        self.assertEqual(self.credits(NOW), [])
        self.refuse(StreamData(7, bytes((WINDOW - before) % 4 + 1)))

    def test_taken(self) -> None:
        """When half of the window was taken, the window moves on."""
        before = self.opened()
        self.fill(WINDOW // 2 - before - 100)
        self.assertEqual(self.credits(NOW), [])
        self.fill(100)
        self.assertEqual(self.credits(NOW), [WINDOW // 2 + WINDOW])
        self.assertEqual(self.credits(NOW), [])

    def test_quick(self) -> None:
        """The window doubles for who takes half of it at once, up to what the reader wants."""
        self.reader.most = 2 * WINDOW
        taken = self.opened()
        self.fill(WINDOW // 2 - taken)
        taken = WINDOW // 2
        windows, now = [], NOW
        for step in (9.0, QUICK, QUICK, 2 * RTT, 9.0):
            now += step
            (offset,) = self.credits(now)
            windows.append((offset - taken) // WINDOW)
            self.fill(windows[-1] * WINDOW // 2)
            taken += windows[-1] * WINDOW // 2
        self.assertEqual(windows, [1, 2, 2, 2, 2])

    def test_longest_frames(self) -> None:
        """Who sends the longest frames whole is never stuck."""
        used = self.opened()
        granted = WINDOW
        for _ in range(50):
            while used + LENGTH + MAX_FRAME <= granted:
                self.hear(StreamData(7, encode_frame(bytes(MAX_FRAME))))
                used += LENGTH + MAX_FRAME
            granted = max([granted, *self.credits(NOW)])
            self.assertLessEqual(used + LENGTH + MAX_FRAME, granted)

    def test_stops_nobody_else(self) -> None:
        """While one reader takes nothing, another goes on."""
        self.reader.may_receive = False
        self.opened(7, "slow")
        self.hear(StreamData(7, encode_frame(b"held")))
        slow, self.reader = self.reader, Taker()
        self.opened(11, "quick")
        for _ in range(100):
            self.hear(StreamData(11, encode_frame(b"x" * 10_000)))
            self.streams.next_messages(RTT, NOW)
        self.assertEqual((len(self.reader.bodies), slow.bodies), (100, []))
        slow.may_receive = True
        self.hear()
        self.assertEqual(slow.bodies, [b"held"])


class CostTests(StreamsCase):
    """What the other side can make us do and hold."""

    def test_control_frames(self) -> None:
        """Of a flood of control frames CONTROL_BURST are looked at, and then one an interval."""
        self.hear(StreamData(3, encode_frame(b"x") * 100_000))
        first = len(self.control)
        self.assertLessEqual(abs(first - CONTROL_BURST), 1)
        self.assertTrue(self.streams.is_full(NOW) == (5 * (100_000 - first) > READ_AHEAD))
        now = NOW
        while (due := self.streams.get_timer()) is not None and due < NOW + 1:
            now = due
            self.hear(now=now)
        self.assertLessEqual(len(self.control) - first, 1 / CONTROL_INTERVAL + 1)

    def test_read_ahead(self) -> None:
        """While much of them waits, no datagram is taken."""
        self.hear(StreamData(3, encode_frame(b"x" * 100) * (READ_AHEAD // 104 + CONTROL_BURST + 2)))
        self.assertTrue(self.streams.is_full(NOW))
        self.hear(now=NOW + 1)
        self.assertFalse(self.streams.is_full(NOW + 1))

    def test_incomplete(self) -> None:
        """A frame of which a part is missing isn't waited for with a timer."""
        self.hear(StreamData(3, b"\0\0\0\7part"))
        self.assertIsNone(self.streams.get_timer())

    def test_openings(self) -> None:
        """A storm of streams that are refused costs as much, and few refusals wait."""
        opening = encode_frame(Opening("newer").encode())
        now, count = NOW, 0
        while not self.streams.is_full(now):
            self.hear(StreamData(7 + 4 * count, opening, end=True), now=now)
            count += 1
        self.assertLess(count, CONTROL_BURST + 100)
        self.assertEqual(len(self.refusals()), MAX_REFUSALS)
        self.assertFalse(self.streams.is_full(now + 1))

    def test_memory(self) -> None:
        """Whatever opens, ends and is refused, little is kept."""
        opening = encode_frame(Opening("newer").encode())
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(20_000):
                self.hear(StreamData(7 + 4 * number, opening), StreamReset(7 + 4 * number))
                self.streams.next_unwanted()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(after - before, 100_000)


class SendingTests(StreamsCase):
    """Whose turn it is."""

    def written(self, room: int) -> dict[int, int]:
        """Let what there is room for be written; returns the bytes of each stream."""
        found: dict[int, int] = {}
        for stream, data in self.streams.next_writes(room, NOW):
            found[stream] = found.get(stream, 0) + len(data)
        return found

    def test_opening_first(self) -> None:
        """A stream of ours begins with its opening."""
        self.streams.open("good", "x", Giver(0))
        [(stream, data)] = self.streams.next_writes(1000, NOW)
        self.assertEqual((stream, frames_of(data)), (6, [Opening("good", "x").encode()]))

    def test_credit(self) -> None:
        """No more is written than credit allows; it never falls."""
        self.streams.open("good", "x", Giver(10 * WINDOW))
        self.assertEqual(self.written(9 * WINDOW), {6: WINDOW})
        for offset, more in ((WINDOW - 5, {}), (WINDOW + 5, {6: 5}), (WINDOW, {})):
            self.streams.credited(Credit(6, offset))
            self.assertEqual(self.written(9 * WINDOW), more)
        self.streams.credited(Credit(99, 1))

    def test_turns(self) -> None:
        """A conversation goes first; the others have a PIECE each, by turns."""
        for name in "abc":
            self.streams.open("good", name, Giver(WINDOW))
        self.streams.open("talk", "", Giver(3000), is_first=True)
        found = self.written(128 * 1024)
        self.assertEqual(min(found), 6)
        self.assertLess(3000, found[18])
        pieces = [found[stream] for stream in (6, 10, 14)]
        self.assertLessEqual(max(pieces) - min(pieces), PIECE + 100)
        again = self.written(16 * 1024)
        self.assertEqual(len(again), 1, "the next turn is another's")

    def test_refused(self) -> None:
        """A stream that the other side doesn't take, or stops, is written no more."""
        for name in "ab":
            self.streams.open("good", name, Giver(WINDOW))
        self.written(PIECE)
        self.assertEqual(self.streams.refused(StreamRefusal(6, "no")), Opening("good", "a"))
        self.assertIsNone(self.streams.refused(StreamRefusal(6, "no")))
        self.hear(StreamStopped(10))
        self.assertEqual(self.written(PIECE), {})

    def test_written(self) -> None:
        """What was written is told at the end, and the reader knows when it has all of it."""
        self.streams.open("good", "x", Giver(100))
        self.written(1000)
        (written,) = self.streams.written()
        self.assertEqual(written, Written(6, 100 + LENGTH + len(Opening("good", "x").encode())))

    def test_has_all(self) -> None:
        """All is here when so much of each stream went on, or isn't wanted."""
        size = self.opened()
        frame = encode_frame(b"x" * 10)
        wanted = [Written(7, size + 14)]
        self.assertFalse(self.streams.has_all(wanted))
        self.hear(StreamData(7, frame[:5]))
        self.assertFalse(self.streams.has_all(wanted))
        self.hear(StreamData(7, frame[5:]))
        self.assertTrue(self.streams.has_all(wanted))
        self.hear(StreamData(7, b"", end=True))
        self.assertTrue(self.streams.has_all(wanted))
        self.assertFalse(self.streams.has_all([*wanted, Written(11, 1)]))
        self.opened(11, kind="newer")
        self.assertTrue(self.streams.has_all([*wanted, Written(11, 1)]))


class EverythingTests(StreamsCase):
    """Any events on any streams."""

    @given(
        st.lists(
            st.tuples(st.integers(0, 30), st.sampled_from("dersx"), st.binary(max_size=30)),
            max_size=30,
        )
    )
    def test_any_events(self, events: list[tuple[int, str, bytes]]) -> None:
        """They raise only our error."""
        self.begin()
        opening = encode_frame(Opening("good").encode())
        made: deque[StreamEvent] = deque()
        for stream, kind, data in events:
            match kind:
                case "d" | "e":
                    made.append(StreamData(stream, data, kind == "e"))
                case "r":
                    made.append(StreamReset(stream))
                case "s":
                    made.append(StreamStopped(stream))
                case _:
                    made.append(StreamData(stream, opening))
        with contextlib.suppress(RemoteProtocolError):
            self.hear(*made)
