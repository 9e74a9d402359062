"""Copies of a handshake's datagrams, and when they go out."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.flight import FIRST_WAIT, MAX_KEPT, REPEATS, Flight


class FlightTests(SynchronousTestCase):
    """A side that has sent two datagrams."""

    def setUp(self) -> None:
        self.flight = Flight()
        self.flight.sent([b"1", b"2"], 0.0)

    def times(self) -> list[float]:
        """Let time pass, and return when something went out again."""
        times = []
        while (now := self.flight.get_timer()) is not None:
            self.flight.handle_timer(now)
            self.assertEqual(self.flight.take_due(), [b"1", b"2"])
            times.append(now)
        return times

    def test_waits(self) -> None:
        """It goes out again at twice the distance each, so many times."""
        times = self.times()
        self.assertEqual(times, [FIRST_WAIT * (2**n - 1) for n in range(1, REPEATS + 1)])
        self.flight.sent([b"3"], 20.0)
        self.assertIsNone(self.flight.get_timer())

    def test_not_yet(self) -> None:
        """Before its time nothing does, and once is once."""
        self.flight.handle_timer(FIRST_WAIT / 2)
        self.assertEqual(self.flight.take_due(), [])
        self.flight.handle_timer(FIRST_WAIT)
        self.assertEqual([self.flight.take_due(), self.flight.take_due()], [[b"1", b"2"], []])

    def test_path(self) -> None:
        """A path makes it go out at once; where nothing was sent there is nothing."""
        self.flight.send_again()
        self.assertEqual(self.flight.take_due(), [b"1", b"2"])
        nothing = Flight()
        nothing.send_again()
        nothing.sent([], 0.0)
        self.assertEqual((nothing.take_due(), nothing.get_timer()), ([], None))

    def test_bound(self) -> None:
        """The first datagrams are kept, and no more than MAX_KEPT."""
        for number in range(40):
            self.flight.sent([b"more"] * 3, number)
        self.flight.send_again()
        kept = self.flight.take_due()
        self.assertEqual((len(kept), kept[:2]), (MAX_KEPT, [b"1", b"2"]))

    def test_done(self) -> None:
        """When the handshake is done all of it goes, for good."""
        self.flight.send_again()
        self.flight.forget()
        self.flight.sent([], 1.0)
        self.assertEqual((self.flight.take_due(), self.flight.get_timer()), ([], None))
