"""The same by several ways, the best one first."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RegistryError
from p2pchat.peer.staggered_race import RaceResult, race

DELAY = 1.0


class RaceTests(SynchronousTestCase):
    """Each way is a Deferred that a test fires."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[Deferred[int]] = []
        self.cancelled: list[int] = []

    def way(self) -> Deferred[int]:
        """Begin one."""
        number = len(self.asked)
        self.asked.append(Deferred(lambda _: self.cancelled.append(number)))
        return self.asked[-1]

    def begin(self, count: int) -> Deferred[RaceResult[int]]:
        """Begin a race of which an even result is enough."""
        return race([self.way] * count, self.clock, DELAY, lambda found: found % 2 == 0)

    def test_first(self) -> None:
        """One that works is the only one that is asked."""
        done = self.begin(3)
        self.asked[0].callback(2)
        self.assertEqual(self.successResultOf(done), RaceResult(2, [2], []))
        self.assertEqual((len(self.asked), self.clock.getDelayedCalls()), (1, []))

    def test_dead(self) -> None:
        """One that says nothing costs the delay, and is cancelled when another has done it."""
        done = self.begin(3)
        self.clock.advance(DELAY)
        self.asked[1].callback(4)
        self.assertEqual(self.successResultOf(done).winner, 4)
        self.assertEqual((self.cancelled, len(self.asked)), ([0], 2))

    def test_failing(self) -> None:
        """After one that fails, or doesn't suffice, comes the next at once."""
        done = self.begin(3)
        error = RegistryError("away")
        self.asked[0].errback(error)
        self.asked[1].callback(1)
        self.asked[2].callback(6)
        self.assertEqual(self.successResultOf(done), RaceResult(6, [1, 6], [error]))

    def test_late(self) -> None:
        """One that was slow may still be the first."""
        done = self.begin(2)
        self.clock.advance(DELAY)
        self.asked[0].callback(2)
        self.assertEqual(self.successResultOf(done).winner, 2)
        self.assertEqual(self.cancelled, [1])

    def test_none(self) -> None:
        """That none suffices is known when all have ended; what they said keeps their order."""
        done = self.begin(3)
        self.clock.advance(DELAY)
        self.clock.advance(DELAY)
        errors = [RegistryError("first"), RegistryError("second")]
        self.asked[2].callback(1)
        self.asked[1].errback(errors[1])
        self.assertNoResult(done)
        self.asked[0].errback(errors[0])
        self.assertEqual(self.successResultOf(done), RaceResult(None, [1], errors))
        self.assertEqual(self.successResultOf(self.begin(0)), RaceResult(None, [], []))

    def test_at_once(self) -> None:
        """What has ended before it is waited for counts, too."""
        ways = [lambda: fail(RegistryError("away")), lambda: succeed(2), self.way]
        outcome = self.successResultOf(race(ways, self.clock, DELAY))
        self.assertEqual((outcome.winner, len(outcome.errors), self.asked), (2, 1, []))

    def test_fails_while_asking(self) -> None:
        """One that fails while the next is about to be asked doesn't end the race without that."""

        def ask_another() -> Deferred[int]:
            self.asked[0].errback(error)
            return self.way()

        error = RegistryError("away")
        done = race([self.way, ask_another], self.clock, DELAY)
        self.clock.advance(DELAY)
        self.assertNoResult(done)
        self.asked[1].callback(3)
        self.assertEqual(self.successResultOf(done), RaceResult(3, [3], [error]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_succeeds_while_asking(self) -> None:
        """One that does it while the next is about to be asked cancels that."""

        def ask_another() -> Deferred[int]:
            self.asked[0].callback(2)
            return self.way()

        done = race([self.way, ask_another, self.way], self.clock, DELAY)
        self.clock.advance(DELAY)
        self.assertEqual(self.successResultOf(done).winner, 2)
        self.assertEqual((self.cancelled, self.clock.getDelayedCalls()), ([1], []))

    def test_together(self) -> None:
        """Without a delay all are asked at the beginning."""
        done = race([self.way] * 3, self.clock, 0.0)
        self.assertEqual(len(self.asked), 3)
        self.asked[2].callback(1)
        self.assertEqual(self.successResultOf(done).winner, 1)
        self.assertEqual(self.cancelled, [0, 1])

    def test_mistake(self) -> None:
        """A mistake of ours is no failure of a way."""
        done = self.begin(2)
        self.asked[0].errback(ZeroDivisionError())
        self.failureResultOf(done, ZeroDivisionError)
        self.assertEqual(len(self.asked), 1)

    def test_cancelled(self) -> None:
        """Who gives up gives up all of it."""
        done = self.begin(2)
        done.addErrback(lambda _: None)
        self.clock.advance(DELAY)
        done.cancel()
        self.assertEqual((self.cancelled, self.clock.getDelayedCalls()), ([0, 1], []))
