"""Renewal of a link: other keys and sizes, and no byte lost or doubled."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.link import Link, LinkShrunk, LinkState
from p2pchat.session.qh3_connection import DATAGRAM_SIZE
from p2pchat.session.renewal import MOST, Renewal, RenewalStage
from p2pchat.traversal.routes import Datagram
from p2pchat.wire import messages
from tests.cases import each
from tests.identity.people import ALICE, BOB
from tests.session.link_ends import LEFT, RIGHT, LinkEnd, link_end
from tests.session.memory import core, reachable
from tests.traversal.fake_wire import FakeWire

LARGE = 8952
SECRET, OTHER = bytes(32), bytes([1]) * 32


class RenewalTests(SynchronousTestCase):
    """Who asks, who answers, and who gives way."""

    def test_asking(self) -> None:
        """Nothing is written from the wish on, until both have gone on."""
        renewal = Renewal(dials=False)
        self.assertTrue(renewal.is_quiet)
        renewal.want(SECRET)
        renewal.want(OTHER)  # one at a time
        self.assertEqual((renewal.stage, renewal.secret), (RenewalStage.ASKING, SECRET))
        renewal.ask()
        self.assertFalse(renewal.is_quiet)
        renewal.done()
        self.assertEqual((renewal.is_quiet, renewal.secret), (True, b""))

    @each((True, RenewalStage.ASKED), (False, RenewalStage.ANSWERING))
    def test_both_ask(self, dials: bool, stage: RenewalStage) -> None:
        """If both have asked, the side that dialed doesn't answer."""
        renewal = Renewal(dials)
        renewal.want(SECRET)
        renewal.ask()
        renewal.receive(OTHER)
        self.assertEqual((renewal.stage, renewal.secret), (stage, SECRET if dials else OTHER))

    def test_gives_way(self) -> None:
        """Who hasn't asked yet answers first; its wish is fulfilled by that, too."""
        renewal = Renewal(dials=True)
        renewal.want(SECRET)
        renewal.receive(OTHER)
        self.assertEqual((renewal.stage, renewal.secret), (RenewalStage.ANSWERING, OTHER))

    def test_too_many(self) -> None:
        """RENEW before the last one is done, and the many-th, break the rules."""
        renewal = Renewal(dials=True)
        renewal.receive(SECRET)
        self.assertRaises(RemoteProtocolError, renewal.receive, OTHER)
        renewal = Renewal(dials=True)
        for _ in range(MOST):
            renewal.receive(SECRET)
            renewal.done()
        self.assertRaises(RemoteProtocolError, renewal.receive, SECRET)

    def test_own_many(self) -> None:
        """We ask no more often than the other side takes."""
        renewal = Renewal(dials=True)
        for _ in range(MOST):
            renewal.want(SECRET)
            renewal.ask()
            renewal.done()
        renewal.want(SECRET)
        self.assertTrue(renewal.is_quiet)


@attrs.define(eq=False)
class Writer(LinkEnd):
    """An end that takes RENEW, and writes when it may."""

    waiting: list[bytes] = attrs.Factory(list)
    sizes: list[int] = attrs.Factory(list)
    secrets: list[bytes] = attrs.Factory(list)

    def outgoing(self, now: float) -> list[Datagram]:
        """See `Station`."""
        while self.waiting and self.link.is_writable:
            self.send(self.waiting.pop(0))
        for body in self.frames:
            if body.startswith(b'{"type"'):
                renewal = messages.decode(body)
                assert isinstance(renewal, messages.Renew)
                self.frames.remove(body)
                self.link.receive_renewal(renewal.secret)
                self.secrets.append(renewal.secret)
        outgoing = super().outgoing(now)
        self.sizes += [len(one.data) for one in outgoing]
        return outgoing


def writer(link: Link, other: LinkEnd) -> Writer:
    """Return an end that writes."""
    return Writer(link, other.other)


class LinkRenewalTests(SynchronousTestCase):
    """Two ends on a wire that loses, delays and repeats."""

    def setUp(self) -> None:
        self.meet(1)

    def meet(self, seed: int) -> None:
        """Let two ends be open to each other."""
        self.wire = FakeWire(seed)
        self.path = self.wire.link(LEFT, RIGHT)
        dialing = link_end(ALICE, BOB, True, self.wire.now)
        answering = link_end(BOB, ALICE, False, self.wire.now)
        self.alice, self.bob = writer(dialing.link, dialing), writer(answering.link, answering)
        self.wire.attach(self.alice, LEFT)
        self.wire.attach(self.bob, RIGHT)
        self.wire.run(0.5)
        self.assertTrue(self.alice.opened and self.bob.opened)

    def pour(self, count: int, size: int = 3000) -> list[bytes]:
        """Let both write frames; returns what each is to read."""
        bodies = [number.to_bytes(4, "big") + bytes(size) for number in range(count)]
        for one in (self.alice, self.bob):
            one.waiting += bodies
        return bodies

    def assert_read(self, *bodies: bytes) -> None:
        """Both read these, once and in order, before long."""
        ends = (self.alice, self.bob)
        self.wire.run_until(lambda: all(len(one.frames) >= len(bodies) for one in ends), 120)
        for one in ends:
            self.assertEqual(one.frames, list(bodies))
            self.assertEqual(one.errors, [])

    def largest(self) -> tuple[int, int]:
        """Return how many bytes the longest datagrams have that Alice and Bob send now."""
        for one in (self.alice, self.bob):
            one.frames.clear()
            one.sizes.clear()
        self.assert_read(*self.pour(20))
        return max(self.alice.sizes), max(self.bob.sizes)

    @each(1, 2, 3, 4, 5, 6)
    def test_nothing_is_lost(self, seed: int) -> None:
        """In the middle of bulk both ways, on a bad path, all arrives once and in order."""
        self.meet(seed)
        self.path.loss, self.path.jitter, self.path.twice = 0.15, 0.03, 0.1
        bodies = self.pour(30)
        self.wire.run(0.05 * seed)
        for one in (self.alice, self.bob)[:: 1 if seed % 2 else -1][: 1 + seed % 3 // 2]:
            one.link.size = LARGE
            one.link.renew()
        self.wire.run(0.3)
        bodies += self.pour(30)
        self.assert_read(*bodies)

    def test_size(self) -> None:
        """Each side's datagrams have the size that it wants, from the renewal on."""
        self.assertLess(max(self.largest()), DATAGRAM_SIZE)
        self.alice.link.size = LARGE
        self.alice.link.renew()
        self.wire.run(1)
        ours, theirs = self.largest()
        self.assertGreater(ours, LARGE - 50)
        self.assertLess(theirs, DATAGRAM_SIZE)
        self.bob.link.size = 1452
        self.bob.link.renew()
        self.wire.run(1)
        self.assertGreater(self.largest()[1], 1400)

    def test_secret(self) -> None:
        """Nothing refers to what the keys were made of, and they are updated twice soon."""
        self.alice.link.renew()
        self.wire.run(0.2)
        for phase in (1, 0):
            ends = (self.alice, self.bob)
            self.assertEqual([core(one.link).send_key_phase for one in ends], [phase, phase])
            for one in ends:
                found = [kept for kept in reachable(one.link) if kept in self.bob.secrets]
                self.assertEqual(found, [])
            for one in ends:
                one.frames.clear()
            self.wire.run(1)
            self.assert_read(*self.pour(2))
            self.wire.run(0.1)
        self.assertEqual(len(self.bob.secrets), 1)

    def test_black_hole(self) -> None:
        """A path that loses what is large, and nothing else, carries all in small datagrams."""
        for one in (self.alice, self.bob):
            one.link.size = LARGE
        self.alice.link.renew()
        self.wire.run(1)
        self.path.most = 2000
        started = self.wire.now
        self.assert_read(*self.pour(40))
        self.assertLess(self.wire.now - started, 3)
        for one in (self.alice, self.bob):
            self.assertIn(LinkShrunk(), one.told)
            self.assertEqual(one.link.size, DATAGRAM_SIZE)

    def test_lossy_path(self) -> None:
        """Loss of large and small ones alike is no black hole."""
        self.alice.link.size = LARGE
        self.alice.link.renew()
        self.wire.run(1)
        self.path.loss = 0.02
        self.assert_read(*self.pour(300))
        self.assertNotIn(LinkShrunk(), self.alice.told)

    def test_another_path(self) -> None:
        """A path that was lost is forgotten by a renewal, where datagrams are large."""
        self.alice.link.size = LARGE
        self.alice.link.renew()
        self.wire.run(1)
        self.largest()
        window = core(self.alice.link).congestion_window
        self.alice.link.path_lost()
        self.alice.link.shrink()
        self.alice.link.heard()
        self.wire.run(1)
        self.assertLess(core(self.alice.link).congestion_window, window)
        self.assertLess(self.largest()[0], DATAGRAM_SIZE)

    def test_path_changes_meanwhile(self) -> None:
        """On a path that is found in the middle of a renewal, nothing large is sent unproved."""
        self.alice.link.size = LARGE
        self.alice.link.renew()
        self.wire.run(0.015)  # RENEW is there, and nothing came back
        self.alice.link.shrink()
        self.wire.run(1)
        self.assertLess(max(self.largest()), DATAGRAM_SIZE)
        self.assertEqual(len(self.bob.secrets), 1)
        self.alice.link.size = LARGE
        self.alice.link.renew()
        self.wire.run(1)
        self.assertGreater(self.largest()[0], LARGE - 50)

    def test_each_datagram_lost(self) -> None:
        """Whichever datagrams of a renewal are lost, all arrives once and in order, soon."""
        for number in range(24):
            for asking in ((True, False), (False, True), (True, True)):
                self.meet(1)
                bodies = self.pour(3)
                for asks, one in zip(asking, (self.alice, self.bob), strict=True):
                    if asks:
                        one.link.renew()
                self.wire.lose_next(number, 1 + number % 3)
                bodies += self.pour(3)
                started = self.wire.now
                self.assert_read(*bodies)
                self.assertLess(self.wire.now - started, 1)

    def test_silence(self) -> None:
        """While a renewal waits for a path that is away, the link waits, and goes on after it."""
        self.wire.cut(LEFT, RIGHT)
        bodies = self.pour(5)
        self.wire.run(0.1)
        self.alice.link.renew()
        self.wire.run(60)
        self.wire.link(LEFT, RIGHT)
        self.assert_read(*bodies)
        self.assertIs(self.alice.link.state, LinkState.OPEN)
