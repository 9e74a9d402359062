"""Whole endpoints find out what their path carries, use it, and follow the path."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.datagram_size import SIZES
from p2pchat.session.qh3_connection import DATAGRAM_SIZE
from p2pchat.traversal.routes import Datagram
from tests.session.pair import Pair, Peer
from tests.traversal.fake_wire import Link

ETHERNET = 1472  # bytes of UDP payload
CHECKS = frozenset({0, 1})  # first bytes of STUN


def is_check(datagram: Datagram) -> bool:
    """Tell whether a datagram is a check, or the answer to one."""
    return datagram.data[0] in CHECKS


class LargeDatagramTests(SynchronousTestCase):
    """Much is said, both ways, over paths of several sizes."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.alice, self.bob = self.pair.both

    def talk(self, count: int = 100) -> None:
        """Let both say much; all of it arrives, once and in order."""
        texts = [f"{number:03}" + "x" * 4000 for number in range(count)]
        for one in self.pair.both:
            one.told.clear()
            one.sent.clear()
        for text in texts:
            for one in self.pair.both:
                self.pair.say(one, text)
        self.pair.run_until(lambda: all(len(one.texts()) == count for one in self.pair.both), 60)
        for one in self.pair.both:
            self.assertEqual(one.texts(), texts)

    def longest(self, one: Peer) -> int:
        """Return the bytes of the longest datagram of a link that somebody sent lately."""
        return max(len(datagram.data) for datagram in one.sent if not is_check(datagram))

    def proved(self) -> tuple[int, int]:
        """Let both talk until sizes are settled; returns what they have come to."""
        self.talk()
        self.pair.run(8)
        self.talk()
        return self.longest(self.alice), self.longest(self.bob)

    def test_ethernet(self) -> None:
        """What Ethernet carries is found and used, and nothing longer."""
        self.pair.join(Link(most=ETHERNET))
        self.pair.connect()
        for longest in self.proved():
            self.assertTrue(1400 < longest <= 1452, longest)

    def test_any(self) -> None:
        """Where everything passes, the largest of the sizes is used."""
        self.pair.connect()
        for longest in self.proved():
            self.assertTrue(SIZES[-1] - 50 < longest <= SIZES[-1], longest)

    def test_tunnel(self) -> None:
        """A path that carries no more than it must is used as it is."""
        self.pair.join(Link(most=1300))
        self.pair.connect()
        for longest in self.proved():
            self.assertLessEqual(longest, DATAGRAM_SIZE)

    def test_little(self) -> None:
        """Before much was said nothing is probed: a short conversation costs nothing more."""
        self.pair.connect()
        self.pair.run(1)
        self.talk(10)
        for one in self.pair.both:
            self.assertLessEqual(max(len(datagram.data) for datagram in one.sent), DATAGRAM_SIZE)

    def test_path_shrinks(self) -> None:
        """A path that carries less one day goes on at once, and nobody is told of anything."""
        path = self.pair.join(Link(most=ETHERNET))
        self.pair.connect()
        self.proved()
        path.most = 1300
        start = self.pair.wire.now
        self.talk()
        self.assertLess(self.pair.wire.now - start, 5)
        self.talk()
        for one in self.pair.both:
            self.assertLessEqual(self.longest(one), DATAGRAM_SIZE)
            self.assertEqual(one.events(events.PathLost), [])

    def test_another_path(self) -> None:
        """On another path datagrams are small until it is proved to carry larger ones."""
        self.pair.connect()
        self.proved()
        self.pair.part()
        self.pair.say(self.alice, "are you there?")
        self.pair.run_until(lambda: self.alice.events(events.PathLost), 60)
        self.pair.join(Link(most=ETHERNET))
        self.pair.run_until(lambda: "are you there?" in self.bob.texts(), 60)
        after = self.proved()
        for longest in after:
            self.assertTrue(1400 < longest <= 1452, longest)
