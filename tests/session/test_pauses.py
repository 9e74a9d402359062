"""
Full speed after a pause: of a process, whose socket keeps what came, or of a path, which loses it.

QUIC by itself would take the pause for the path's round-trip time.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.traversal.routes import Datagram
from p2pchat.wire.addresses import Address
from tests.identity.people import ALICE, BOB
from tests.session.link_ends import LEFT, RIGHT, LinkEnd, link_end
from tests.session.pair import ADDRESSES, Pair
from tests.traversal.fake_wire import FakeWire, Link, Station

HEARTBEAT = 15.0  # seconds
PAUSES = (3.0, 20.0, 60.0, 130.0)  # seconds
LATENCIES = (0.0005, 0.02, 0.1)  # seconds: one room, one country, two continents
LINE = b"x" * 200


@attrs.define(eq=False)
class Freezable:
    """
    A `Station` that can be frozen: no timer comes, and what arrives waits in the socket.

    :ivar sent: how many datagrams it has sent.
    """

    inner: Station
    is_frozen: bool = False
    sent: int = 0
    _kept: list[tuple[bytes, Address]] = attrs.Factory(list)

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram."""
        if self.is_frozen:
            self._kept.append((data, source))
        else:
            self.inner.receive(data, source, now)

    def thaw(self, now: float) -> None:
        """Go on; the reactor reads the socket before it looks at its timers."""
        self.is_frozen = False
        kept, self._kept = self._kept, []
        for data, source in kept:
            self.inner.receive(data, source, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if not self.is_frozen:
            self.inner.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return when to call handle_timer."""
        return None if self.is_frozen else self.inner.get_timer()

    def outgoing(self, now: float) -> list[Datagram]:
        """Return, and forget, what is to be sent."""
        outgoing = [] if self.is_frozen else list(self.inner.outgoing(now))
        self.sent += len(outgoing)
        return outgoing


class LinkPauseTests(SynchronousTestCase):
    """Two ends of a link, and lines both ways."""

    def begin(self, latency: float) -> None:
        """Open a link that has been in use for a while."""
        self.wire = FakeWire(seed=3)
        self.path = self.wire.link(LEFT, RIGHT, Link(latency))
        self.alice = link_end(ALICE, BOB, True, self.wire.now)
        self.bob = link_end(BOB, ALICE, False, self.wire.now)
        self.waiting, self.frozen = Freezable(self.alice), Freezable(self.bob)
        self.wire.attach(self.waiting, LEFT)
        self.wire.attach(self.frozen, RIGHT)
        self.wire.run_until(lambda: self.alice.opened and self.bob.opened)
        for end in (self.alice, self.bob):
            end.link.rtt = 2 * latency
        for _ in range(10):
            self.assert_fast(latency)

    def line(self, speaker: LinkEnd, reader: LinkEnd, body: bytes = LINE) -> float:
        """Send a frame; returns the seconds until it was there."""
        before = len(reader.frames)
        speaker.send(body)
        return self.wire.run_until(lambda: len(reader.frames) > before, 60)

    def assert_fast(self, latency: float) -> None:
        """A line each way takes the path's time and little more."""
        for speaker, reader in ((self.alice, self.bob), (self.bob, self.alice)):
            self.assertLess(self.line(speaker, reader), 1.5 * latency + 0.005)
        self.wire.run(0.3)

    def pass_time(self, pause: float, *speakers: LinkEnd) -> None:
        """Let a pause pass, in which heartbeats are sent."""
        end = self.wire.now + pause
        while self.wire.now < end:
            for one in speakers:
                one.send(LINE)
            self.wire.run(min(HEARTBEAT, end - self.wire.now))

    def test_other_path(self) -> None:
        """After a lost path a line that is lost on a faster one is sent again in its time."""
        self.begin(0.4)
        for end in (self.alice, self.bob):
            end.link.path_lost()
            end.link.rtt = 0.02
            end.link.wake(self.wire.now)
        self.path.latency = 0.01
        self.line(self.alice, self.bob)  # this one also shows QUIC that somebody is there
        self.line(self.bob, self.alice)
        self.wire.run(0.3)
        self.assert_fast(0.01)
        self.alice.send(LINE)
        self.path.loss = 1.0
        self.wire.run(0.005)
        self.path.loss = 0.0
        before = len(self.bob.frames)
        self.assertLess(self.wire.run_until(lambda: len(self.bob.frames) > before), 0.3)

    def test_freeze(self) -> None:
        """After one side was frozen lines are as fast as before, from the first second on."""
        for latency in LATENCIES:
            for pause in PAUSES:
                self.begin(latency)
                for one in (self.alice, self.bob):
                    one.send(LINE)
                self.wire.run(latency / 2)
                self.frozen.is_frozen = True
                self.pass_time(pause, self.alice)
                self.frozen.thaw(self.wire.now)
                self.wire.run(1)
                for _ in range(5):
                    self.assert_fast(latency)

    def test_sleep(self) -> None:
        """And so they are after the path lost everything, once it is there again."""
        for latency in LATENCIES:
            for pause in PAUSES:
                self.begin(latency)
                self.path.loss = 1.0
                self.pass_time(pause, self.alice, self.bob)
                self.path.loss = 0.0
                for one in (self.alice, self.bob):
                    one.link.wake(self.wire.now)
                    one.send(LINE)
                self.wire.run(1)
                for _ in range(5):
                    self.assert_fast(latency)

    def test_much_after_a_freeze(self) -> None:
        """What fills many packets goes on as fast as it went before."""
        self.begin(0.02)
        before = [self.line(self.alice, self.bob, 600 * LINE) for _ in range(3)][-1]
        self.frozen.is_frozen = True
        self.pass_time(60, self.alice)
        self.frozen.thaw(self.wire.now)
        self.wire.run(1)
        self.assertLess(self.line(self.alice, self.bob, 600 * LINE), 1.5 * before)

    def test_quiet_pause(self) -> None:
        """A link that nobody sends on for minutes notices no pause, and needs none."""
        self.begin(0.02)
        self.wire.run(200)
        self.assert_fast(0.02)

    def test_few_packets_into_the_void(self) -> None:
        """While nobody answers, somebody knocks now and then; a line costs one packet more."""
        self.begin(0.02)
        self.path.loss = 1.0
        self.alice.send(LINE)
        before = self.waiting.sent
        self.wire.run(300)
        self.assertTrue(10 < self.waiting.sent - before < 40, self.waiting.sent - before)
        before = self.waiting.sent
        self.alice.send(LINE)
        self.wire.run(0.01)
        self.assertEqual(self.waiting.sent - before, 1)

    def test_much_said_in_a_pause(self) -> None:
        """What is said while nobody answers is under way within bounds, and arrives in the end."""
        self.begin(0.02)
        self.frozen.is_frozen = True
        for _ in range(1000):
            self.alice.send(LINE)
        self.wire.run(60)
        self.assertLess(self.waiting.sent, 200)
        self.frozen.thaw(self.wire.now)
        before = len(self.bob.frames)
        self.wire.run_until(lambda: len(self.bob.frames) >= before + 900, 2)

    def test_goodbye_in_a_pause(self) -> None:
        """A goodbye that comes in a pause ends the link, at the latest when a line is to go out."""
        self.begin(0.02)
        self.path.loss = 1.0
        self.bob.send(LINE)
        self.wire.run(40)
        self.path.loss = 0.0
        self.alice.link.close("bye", self.wire.now)
        self.wire.run(0.05)
        if not self.bob.errors:
            self.bob.send(LINE)
            self.wire.run(0.05)
        self.assertEqual(len(self.bob.errors), 1)

    def test_knock_is_answered(self) -> None:
        """A path that comes back without a word is noticed by a knock."""
        self.begin(0.02)
        self.path.loss = 1.0
        self.alice.send(LINE)
        self.wire.run(3)
        self.path.loss = 0.0
        before = len(self.bob.frames)
        self.wire.run_until(lambda: len(self.bob.frames) > before, 4)


class ConversationPauseTests(SynchronousTestCase):
    """Two peers with everything that they have for each other."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.connect()
        self.bob = Freezable(self.pair.bob)
        self.pair.wire.attach(self.bob, ADDRESSES["bob"])
        for _ in range(5):
            self.assert_fast()

    def assert_fast(self) -> None:
        """Lines, and what is said of round-trip times, are those of the path."""
        self.assertLess(self.pair.chat(), 0.06)
        self.pair.run(0.3)
        for one in self.pair.both:
            self.assertLess(one.session.rtt, 0.1)

    def test_freeze(self) -> None:
        """A frozen peer is back at full speed within a second, on both sides."""
        for pause in PAUSES:
            self.pair.say(self.pair.bob, "I'm off")
            self.pair.run(0.005)
            self.bob.is_frozen = True
            self.pair.run(pause / 2)
            self.pair.say(self.pair.alice, "are you there?")
            self.pair.run(pause / 2)
            self.bob.thaw(self.pair.wire.now)
            self.pair.run(1)
            for _ in range(4):
                self.assert_fast()

    def test_sleep(self) -> None:
        """So is one whose path lost everything meanwhile, as a laptop's does."""
        for pause in PAUSES:
            self.pair.part()
            for one in self.pair.both:
                self.pair.say(one, "are you there?")
            self.pair.run(pause)
            self.pair.join()
            lost = any(one.events(events.PathLost) for one in self.pair.both)
            self.pair.run_until(
                lambda: all(not p.session.conversation.undelivered for p in self.pair.both), 40
            )
            self.assertEqual(lost, any(one.events(events.PathLost) for one in self.pair.both))
            self.pair.run(1)
            for _ in range(4):
                self.assert_fast()
