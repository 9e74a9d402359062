"""The link that is held for one peer, and the path that it goes over."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.byte_streams import ByteStreams, StreamCount
from p2pchat.session.control import Control
from p2pchat.session.conversation import Conversation
from p2pchat.session.link import Link, LinkEnded
from p2pchat.session.live_link import (
    FRAMES,
    REVIVAL,
    SLOT,
    UNHEARD,
    UNHEARD_RTTS,
    UNOPENED,
    LiveLink,
)
from p2pchat.session.liveness import IdleTracker
from p2pchat.session.streams import CONTROL_BURST, CONTROL_INTERVAL
from p2pchat.traversal.keepalive import Keepalive
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.routes import Datagram
from p2pchat.wire import entries, messages
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import CandidateType
from tests.identity.people import ALICE, BOB
from tests.session.link_ends import CERTIFICATE, LEFT, SECRET, BareEnd
from tests.session.test_newer_peer import CONTROL, CONVERSATION, LinkCase
from tests.session.test_streams import Giver

NEAR, FAR = ("203.0.113.1", 5), ("203.0.113.1", 6)


def path(rtt: float = 0.02) -> Path:
    """Return a path to FAR."""
    return Path(FAR, CandidateType.HOST, CandidateType.HOST, rtt)


class LiveLinkTests(SynchronousTestCase):
    """Alice dials Bob."""

    def setUp(self) -> None:
        control = Control("alice", Conversation(ALICE, b"b" * 16, lambda size: b"l" * size))
        self.live = LiveLink(
            control, IdleTracker(Keepalive()), ByteStreams(BOB.peer_id, StreamCount())
        )

    def begin(self, name: str = "first") -> Link:
        """Hold a link."""
        link = Link(ALICE, BOB.peer_id, CERTIFICATE, SECRET, True, bytes)
        self.live.begin(link, name, 0.0)
        return link

    def targets(self, now: float = 0.0) -> set[Address]:
        """Return where datagrams go now."""
        return {one.destination for one in self.live.datagrams_to_send(now)}

    def test_nothing(self) -> None:
        """Without a link nothing is sent, taken or waited for."""
        self.live.use(path(), 0.0)
        self.live.receive_datagrams([b"?"], 0.0)
        self.live.handle_timer(9.0)
        self.live.close("", 9.0)
        self.assertEqual((bool(self.live), self.live.open_name), (False, ""))
        self.assertEqual((self.targets(), self.live.get_timer()), (set(), None))
        self.assertIsNone(self.live.next_event(9.0))

    def test_overdue(self) -> None:
        """On a new path something has to come soon, and the handshake to be done a while later."""
        self.begin()
        for moment in (0.0, 10.0):
            self.live.path = None
            self.live.use(path(), moment)
            for later, is_overdue in (
                *((UNHEARD - 0.1, False), (UNHEARD, True), (UNHEARD, False)),
                *((UNOPENED - 0.1, False), (UNOPENED, True), (UNOPENED, False)),
            ):
                self.live.handle_timer(moment + later)
                self.assertEqual(self.live.takes_overdue(), is_overdue)
        self.assertTrue(self.live.stops_doubt())
        self.assertFalse(self.live.stops_doubt())

    def test_heard(self) -> None:
        """What comes in time ends the first wait; a slow path has longer for both."""
        self.begin()
        self.live.use(path(rtt=0.5), 0.0)
        for later, is_overdue in ((0.5 * UNHEARD_RTTS - 0.1, False), (0.5 * UNHEARD_RTTS, True)):
            self.live.handle_timer(later)
            self.assertEqual(self.live.takes_overdue(), is_overdue)
        self.live.use(path(), 2.0)
        self.live.stops_doubt()
        self.live.handle_timer(2.0 + UNHEARD)
        self.assertFalse(self.live.takes_overdue())

    def test_path(self) -> None:
        """Datagrams go over the path; its round-trip time is the link's; the name stays."""
        link = self.begin()
        self.assertEqual(self.targets(), set(), "nobody knows where to")
        self.live.use(path(0.3), 0.0)
        self.assertEqual((self.targets(), link.rtt), ({FAR}, 0.3))
        self.live.close("", 1.0)
        self.assertEqual((self.live.name, bool(self.live)), ("first", False))

    def test_no_path(self) -> None:
        """While no path is chosen nothing goes anywhere, whoever has been heard."""
        self.begin()
        self.live.receive_datagrams([b"?"], 0.0)
        self.assertEqual(self.targets(), set())
        self.live.use(path(), 0.0)
        self.assertEqual(self.targets(), {FAR})

    def test_last_words(self) -> None:
        """What a link has to say at its end goes out after it is gone, and once."""
        self.begin()
        self.live.use(path(), 0.0)
        self.assertEqual(self.targets(), {FAR})
        self.live.close("enough", 1.0)
        self.live.path = None
        self.assertEqual((self.targets(1.0), self.targets(2.0)), ({FAR}, set()))

    def test_ended(self) -> None:
        """A link that has ended takes nothing more, and tells so once, raising nothing."""
        link = self.begin()
        self.live.control.link_began()
        link.close("enough", 1.0)
        self.live.fill(1.0)
        self.assertIsInstance(self.live.next_event(1.0), LinkEnded)
        self.assertIsNone(self.live.next_event(1.0))

    def test_replaced(self) -> None:
        """A new link has its own name, and its path is still to be chosen."""
        self.begin()
        self.live.use(path(), 0.0)
        self.live.probe(0.0)
        self.begin("second")
        self.assertEqual((self.live.name, self.live.path), ("second", None))
        self.assertFalse(self.live.is_silent(REVIVAL))

    def test_silent(self) -> None:
        """A link that isn't heard on its new path in time is silent; one that is heard isn't."""
        self.begin()
        self.live.use(path(), 0.0)
        self.live.probe(1.0)
        self.assertEqual(
            [self.live.is_silent(now) for now in (1.0, 0.9 + REVIVAL, 1.0 + REVIVAL)],
            [False, False, True],
        )
        timer = self.live.get_timer()
        assert timer is not None
        self.assertLessEqual(timer, 1.0 + REVIVAL)
        self.live.heard()
        self.assertFalse(self.live.is_silent(9.0))
        self.live.probe(9.0)
        self.live.close("", 9.0)
        self.assertFalse(self.live.is_silent(99.0))


@attrs.define(eq=False)
class Deaf:
    """A `Station` that hears nothing of what it is sent, and speaks."""

    end: BareEnd

    def receive(self, _data: bytes, _source: Address, _now: float) -> None:
        """Lose a datagram."""

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.end.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return when to call handle_timer."""
        return self.end.get_timer()

    def outgoing(self, now: float) -> list[Datagram]:
        """Return, and forget, what is to be sent."""
        return self.end.outgoing(now)


class DeafTests(LinkCase):
    """Bob's path changes, and what he sends over the new one doesn't arrive."""

    def use_another(self) -> None:
        """Let Bob move, and Alice speak all the while."""
        self.bob.live.path = None
        self.bob.live.use(Path(LEFT, CandidateType.HOST, CandidateType.HOST, 0.02), self.wire.now)
        for number in range(15):
            self.alice.say(messages.Ping(number + 1))
            self.wire.run(0.1)
            self.bob.live.stops_doubt()  # as its owner does when something comes

    def test_unanswered(self) -> None:
        """What comes is no sign that the new path carries the link."""
        self.greet()
        self.wire.attach(Deaf(self.alice), LEFT)
        self.use_another()
        self.assertTrue(self.bob.live.takes_overdue())
        self.assertTrue(self.bob.live.is_answer_doubted)
        self.assertFalse(self.bob.live.stops_doubt())

    def test_answered(self) -> None:
        """An acknowledgement is."""
        self.greet()
        self.use_another()
        self.assertFalse(self.bob.live.takes_overdue())
        self.assertFalse(self.bob.live.is_answer_doubted)


class ClosedTests(LinkCase):
    """Alice has closed the link, and Bob's program is about to say much."""

    def test_unnoticed(self) -> None:
        """It isn't written to any more, whatever waits, and has ended."""
        self.greet()
        self.alice.connection.close("bye")
        closing = self.alice.connection.datagrams_to_send(self.wire.now)
        live, now = self.bob.live, self.wire.now
        live.receive_datagrams(closing, now)
        live.control.beat(now)
        live.open_stream("bulk", "x", Giver(1_000_000))
        live.datagrams_to_send(now)
        self.wire.run(1)
        self.assertEqual(len([one for one in self.bob.told if isinstance(one, LinkEnded)]), 1)


class FloodTests(LinkCase):
    """What comes in a flood is taken by portions, and costs what it may cost."""

    def test_frames(self) -> None:
        """Of many small frames so many are taken as a slot has; in order, and none is lost."""
        self.greet()
        before, texts = b"", [str(number) for number in range(3000)]
        for number, text in enumerate(texts, 1):
            entry = self.entry(number, before, body=text.encode())
            before = entry.encode()
            self.write(CONVERSATION, entries.ENTRY + before)
        most = 0
        while len(self.received()) < len(texts):
            seen = len(self.received())
            self.wire.run(SLOT / 2)
            most = max(most, len(self.received()) - seen)
            self.assertLess(self.wire.now, 130)
        self.assertLessEqual(most, FRAMES)
        self.assertEqual([one.text for one in self.received()], texts)
        self.assert_alive()

    def test_pings(self) -> None:
        """PINGs in a flood are looked at as their rate allows; the link goes on after it."""
        self.greet()
        ping = messages.encode(messages.Ping(1))
        self.write(CONTROL, *[ping] * 20_000)
        self.wire.run(1)
        self.assertLess(len(self.heard(messages.Pong)), CONTROL_BURST + 3 / CONTROL_INTERVAL)
        self.wire.run(20)
        self.assert_alive()
