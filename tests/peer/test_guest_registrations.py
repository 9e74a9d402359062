"""Registrations at a contact's registry, for the time of a call."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RegistryError
from p2pchat.interfaces import ISignaling
from p2pchat.peer.guest_registrations import (
    FIRST_REST,
    IDLE,
    LONGEST_REST,
    MAX_GUESTS,
    MAX_RESTS,
    PATIENCE,
    QUIET,
    GuestRegistrations,
    Resting,
    Rests,
)
from p2pchat.peer.other_registries import OtherRegistries
from p2pchat.wire.addresses import Scope
from tests.identity.people import ALICE
from tests.peer.fake_signaling import FakeSignaling

URL = "http://registry.test:8000"


class GuestCase(SynchronousTestCase):
    """Alice, and registries that a test plays."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.made: list[FakeSignaling] = []
        self.started: list[ISignaling] = []
        self.names: dict[str, str] = {}  # who is registered there already
        self.error: RegistryError | None = None
        others = OtherRegistries(self.make, lambda: Scope.GLOBAL, self.clock)
        self.guests = GuestRegistrations(ALICE.peer_id, self.started.append, others, self.clock)

    def make(self, url: str, _nearest: Scope) -> FakeSignaling:
        """Make a way to a registry."""
        self.made.append(FakeSignaling(url, self.names, self.error))
        return self.made[-1]

    def registered(self) -> ISignaling:
        """Register as a guest."""
        waiting = self.guests.at(URL)
        self.guests.became_available(self.made[-1])
        found: ISignaling = self.successResultOf(waiting)
        return found


class GuestTests(GuestCase):
    """They are made when a call needs them."""

    def test_registered(self) -> None:
        """Whoever wants one waits until documents reach us there; later callers share it."""
        first, second = self.guests.at(URL), self.guests.at(URL)
        self.assertNoResult(first)
        self.assertEqual(self.started, self.made)
        self.assertEqual(self.guests.ready(), [])
        self.guests.became_available(self.made[0])
        for one in (first, second, self.guests.at(URL)):
            self.assertIs(self.successResultOf(one), self.made[0])
        self.assertEqual(self.guests.ready(), self.made)

    def test_idle(self) -> None:
        """One is left when nothing went by it for a while, in either direction."""
        way = self.registered()
        for use in (lambda: self.guests.at(URL), lambda: self.guests.heard(way)):
            self.clock.advance(IDLE - 1)
            use()
        self.clock.advance(IDLE - 1)
        self.assertEqual(self.made[0].calls, [])
        self.clock.advance(1)
        self.assertEqual((self.made[0].calls, self.guests.ready()), (["stop"], []))
        self.assertIsNot(self.registered(), way)

    def test_ours_already(self) -> None:
        """Where we are registered already another stream of ours would take that one's place."""
        self.names[ALICE.peer_id] = "alice"
        self.failureResultOf(self.guests.at(URL), RegistryError)
        self.assertEqual(self.started, [])

    def test_lost(self) -> None:
        """One that was lost comes back, or is given up at its second failure."""
        way = self.registered()
        self.guests.lost(way, "stopping")
        waiting = self.guests.at(URL)
        self.assertNoResult(waiting)
        self.guests.became_available(way)
        self.successResultOf(waiting)
        self.guests.lost(way, "stopping")
        waiting = self.guests.at(URL)
        self.guests.lost(way, "can't be reached")
        self.failureResultOf(waiting, RegistryError)
        self.assertEqual(self.made[0].calls, ["stop"])

    def test_failing(self) -> None:
        """What can't be asked, or says nothing, is left alone for a while, and told at once."""
        self.error = RegistryError("away")
        self.failureResultOf(self.guests.at(URL), RegistryError)
        self.made[0].error = None
        why = self.failureResultOf(self.guests.at(URL), Resting).value
        self.assertEqual(why.reason, "registry", "which lets waiting lines be tried again soon")
        self.clock.advance(FIRST_REST)
        waiting = self.guests.at(URL)
        self.clock.advance(PATIENCE)
        self.failureResultOf(waiting, RegistryError)
        self.assertEqual(self.made[0].calls, ["stop"])

    def test_many(self) -> None:
        """No more than a few at once; the one that is of no use for long makes room."""
        for number in range(MAX_GUESTS):
            self.guests.at(f"http://{number}.test")
            self.guests.became_available(self.made[number])
        self.clock.advance(QUIET - 1)
        why = self.failureResultOf(self.guests.at(URL), RegistryError).value
        self.assertEqual(why.retry_after, QUIET)
        self.guests.heard(self.made[0])
        self.clock.advance(1)
        self.registered()
        self.assertEqual([one.calls for one in self.made[:3]], [[], ["stop"], []])

    def test_stop(self) -> None:
        """The program leaves them all, and whoever waits is told."""
        waiting: list[Deferred[ISignaling]] = [self.guests.at(URL)]
        self.guests.at("http://other.test").addErrback(lambda _: None)
        self.assertFalse(self.guests.refresh())
        self.guests.became_available(self.made[1])
        self.assertTrue(self.guests.refresh())
        self.successResultOf(self.guests.stop())
        self.failureResultOf(waiting[0], RegistryError)
        self.assertEqual([one.calls for one in self.made], [["stop"], ["refresh", "stop"]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Who gives up waiting leaves the others waiting."""
        first, second = self.guests.at(URL), self.guests.at(URL)
        first.addErrback(lambda _: None)
        first.cancel()
        self.guests.became_available(self.made[0])
        self.successResultOf(second)


class RestTests(SynchronousTestCase):
    """Registries that failed."""

    def test_longer(self) -> None:
        """Each time twice as long, up to a bound; one that answers begins anew."""
        clock = Clock()
        rests = Rests(clock)
        rests.refuse(URL)
        seconds = FIRST_REST
        while seconds < LONGEST_REST:
            rests.failed(URL)
            clock.advance(seconds - 1)
            self.assertRaises(RegistryError, rests.refuse, URL)
            clock.advance(1)
            rests.refuse(URL)
            seconds *= 2
        rests.answered(URL)
        rests.failed(URL)
        clock.advance(FIRST_REST)
        rests.refuse(URL)

    def test_many(self) -> None:
        """Of very many the last ones are remembered."""
        rests = Rests(Clock())
        for number in range(MAX_RESTS + 1):
            rests.failed(f"http://{number}.test")
        rests.refuse("http://0.test")
        self.assertRaises(RegistryError, rests.refuse, "http://1.test")
