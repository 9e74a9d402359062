"""A cable's impairments, on a clock and with dice of the test's own."""

from __future__ import annotations

from random import Random

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.lab.frames import ip_size
from tests.lab.impairment import HELD_LIMIT, Impairment, Lane
from tests.lab.test_frames import DONT_FRAGMENT, ipv4_frame, ipv6_frame, put_together


def frame(n: int, size: int = 1000) -> bytes:
    """Return a frame of this many bytes that can be told from others."""
    return n.to_bytes(4, "big").ljust(size, b"-")


@attrs.define
class Trial:
    """One lane, and what came out of it, with the times."""

    lane: Lane
    out: list[tuple[float, int]] = attrs.Factory(list)

    def put(self, now: float, *numbers: int) -> None:
        """Put frames of these numbers in."""
        for n in numbers:
            self.lane.put(now, frame(n))

    def drain(self) -> list[tuple[float, int]]:
        """Let out all that is in it, each at its time; return the times and the numbers."""
        while (moment := self.lane.next_due()) is not None:
            for found in self.lane.due(moment):
                self.out.append((moment, int.from_bytes(found[:4], "big")))
        return self.out

    def numbers(self) -> list[int]:
        """Return the numbers in the order in which they came out."""
        return [n for _, n in self.drain()]


def trial(impairment: Impairment, seed: int = 1) -> Trial:
    """Return a lane that is impaired so."""
    return Trial(Lane(Random(seed), impairment))


class TimeTests(SynchronousTestCase):
    """When a frame comes out."""

    def test_nothing(self) -> None:
        """Without any impairment it comes out at once."""
        one = trial(Impairment())
        one.put(5.0, 0, 1)
        self.assertEqual(one.drain(), [(5.0, 0), (5.0, 1)])
        self.assertIsNone(one.lane.next_due())

    def test_delay(self) -> None:
        """It comes out the delay later, not earlier."""
        one = trial(Impairment(delay=0.25))
        one.put(1.0, 0)
        self.assertEqual(one.lane.due(1.2), [])
        self.assertEqual(one.drain(), [(1.25, 0)])

    def test_jitter(self) -> None:
        """The delay varies by up to the jitter, and nothing is overtaken."""
        one = trial(Impairment(delay=1.0, jitter=0.5))
        for n in range(100):
            one.put(float(n), n)
        took = [moment - n for moment, n in one.drain()]
        self.assertTrue(all(1.0 <= seconds <= 1.5 for seconds in took), took)
        self.assertGreater(max(took) - min(took), 0.4)
        self.assertEqual(one.numbers(), list(range(100)))

    def test_shorter_delay(self) -> None:
        """After a long delay a short one drains as a queue does: first in, first out."""
        one = trial(Impairment(delay=3.0))
        one.put(0.0, 0)
        one.lane.impairment = Impairment(delay=0.02)
        one.put(1.0, 1)
        one.put(4.0, 2)
        self.assertEqual(one.drain(), [(3.0, 0), (3.0, 1), (4.02, 2)])

    def test_rate(self) -> None:
        """Frames follow one another as the rate allows, after a pause at once."""
        one = trial(Impairment(rate=8_000, delay=0.5))  # one frame in a second
        one.put(0.0, 0, 1)
        one.put(10.0, 2)
        self.assertEqual(one.drain(), [(1.5, 0), (2.5, 1), (11.5, 2)])

    def test_reordering(self) -> None:
        """A share of frames is late, and others overtake it."""
        one = trial(Impairment(reordering=0.2, late=0.05))
        for n in range(100):
            one.put(n * 0.01, n)
        took = [round(moment - n * 0.01, 6) for moment, n in one.drain()]
        self.assertEqual(set(took), {0.0, 0.05})
        self.assertTrue(10 <= took.count(0.05) <= 30, took)
        self.assertNotEqual(one.numbers(), sorted(one.numbers()))


class LossTests(SynchronousTestCase):
    """What never comes out."""

    def test_loss(self) -> None:
        """A share of frames is lost, all with 1; the same ones with the same dice."""
        survivors = []
        for seed in (1, 1, 2):
            one = trial(Impairment(loss=0.3), seed)
            one.put(0.0, *range(1000))
            survivors.append(one.numbers())
        self.assertTrue(650 <= len(survivors[0]) <= 750, len(survivors[0]))
        self.assertEqual(survivors[0], survivors[1])
        self.assertNotEqual(survivors[0], survivors[2])
        cut = trial(Impairment(loss=1.0))
        cut.put(0.0, *range(100))
        self.assertEqual(cut.numbers(), [])

    def test_buffer(self) -> None:
        """What waits for the rate is bounded; there is room again as it drains."""
        one = trial(Impairment(rate=8_000, buffer=3_000))
        one.put(0.0, *range(10))
        one.put(1.0, 10, 11)
        self.assertEqual(one.numbers(), [0, 1, 2, 10])

    def test_bound(self) -> None:
        """However long the delay, what a cable holds is bounded."""
        one = trial(Impairment(delay=1e9))
        one.put(0.0, *range(HELD_LIMIT + 10))
        self.assertEqual(one.numbers(), list(range(HELD_LIMIT)))


class SizeTests(SynchronousTestCase):
    """What becomes of packets over the MTU."""

    def test_fits(self) -> None:
        """A packet of just the MTU passes; what isn't IP passes anyway."""
        lane = Lane(Random(1), Impairment(mtu=120))
        fits, other = ipv4_frame(bytes(100), DONT_FRAGMENT), bytes(500)
        self.assertIsNone(lane.put(0.0, fits))
        self.assertIsNone(lane.put(0.0, other))
        self.assertEqual(lane.due(0.0), [fits, other])

    def test_told(self) -> None:
        """One that may not be cut is lost; its sender is told, unless the cable is silent."""
        for big in (ipv4_frame(bytes(1400), DONT_FRAGMENT), ipv6_frame(bytes(1400))):
            lane = Lane(Random(1), Impairment(mtu=1280))
            answer = lane.put(0.0, big)
            self.assertIsNotNone(answer)
            lane.impairment = Impairment(mtu=1280, icmp=False)
            self.assertIsNone(lane.put(0.0, big))
            self.assertIsNone(lane.next_due())

    def test_cut(self) -> None:
        """One that may be cut passes in pieces, and nobody is told."""
        lane, body = Lane(Random(1), Impairment(mtu=1280)), bytes(range(256)) * 5
        self.assertIsNone(lane.put(0.0, ipv4_frame(body)))
        pieces = lane.due(0.0)
        self.assertEqual(lane.fragments, len(pieces))
        self.assertEqual(put_together(pieces), body)
        self.assertLessEqual(max(map(ip_size, pieces)), 1280)

    def test_smallest(self) -> None:
        """No link of IPv4 carries less than 68 bytes (RFC 791)."""
        self.assertRaises(ValueError, Impairment, mtu=67)
