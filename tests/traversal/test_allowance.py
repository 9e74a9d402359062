"""How much goes to an address that hasn't proved that it wants it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.allowance import BURST, MAX_HOSTS, MAX_PACKET, RATE, Allowance
from p2pchat.traversal.hard_nats import PROBES
from p2pchat.traversal.punching import Credentials, Pair, Punching
from p2pchat.wire.documents import MAX_LABEL, Candidate, CandidateType

VICTIM, OTHER = "203.0.113.66", "203.0.113.67"


class AllowanceTests(SynchronousTestCase):
    """One bucket for each address."""

    def setUp(self) -> None:
        self.allowance = Allowance()

    def send(self, count: int, now: float, host: str = VICTIM) -> int:
        """Ask for so many packets; returns how many may go."""
        return sum(self.allowance.take(host, now) for _ in range(count))

    def test_burst(self) -> None:
        """BURST packets go at once, and no more; the others are counted."""
        self.assertEqual(self.send(BURST + 100, 0.0), BURST)
        self.assertEqual(self.allowance.refused, 100)

    def test_probing_fits(self) -> None:
        """A run of probing, and three attempts with nine candidates, are within it."""
        self.assertGreaterEqual(BURST, PROBES + 3 * 9 * 26)

    def test_recovery(self) -> None:
        """From then on RATE packets a second may go."""
        self.send(BURST, 0.0)
        self.assertEqual(self.send(BURST, 10.0), 10 * RATE)

    def test_each_address(self) -> None:
        """What went to one address is not held against another."""
        self.send(BURST, 0.0)
        self.assertEqual(self.send(BURST, 0.0, OTHER), BURST)

    def test_other_addresses_wash_nothing_away(self) -> None:
        """However many addresses are sent to, what went to the busiest is remembered."""
        self.send(BURST, 0.0)
        for number in range(5 * MAX_HOSTS):
            self.send(1, 0.0, f"host {number}")
        self.assertEqual(self.send(BURST, 0.0), 0)

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 2000)), max_size=20))
    def test_bound(self, wishes: list[tuple[float, int]]) -> None:
        """Whatever is asked for, and when, no more than BURST + RATE * t go in t seconds."""
        self.setUp()
        now, sent = 0.0, 0
        for pause, count in wishes:
            now += pause
            sent += self.send(count, now)
            self.assertLessEqual(sent, BURST + RATE * now)


class SizeTests(SynchronousTestCase):
    """The packets are small."""

    def test_longest_check(self) -> None:
        """A check with all that it may have, to the longest username fragment."""
        punching = Punching(
            Credentials("0" * 16, "x" * MAX_LABEL, b"\x01" * 32), True, (), (), False, bytes
        )
        punching.begin([Candidate(CandidateType.HOST, (VICTIM, 9))], 0.0, False)
        pair: Pair = next(iter(punching.pairs.values()))
        pair.nominating, pair.nomination, pair.due = True, 1, 1.0
        punching.handle_timer(1.0)
        sizes = [len(sent.data) for sent in punching.take_datagrams()]
        self.assertLessEqual(max(sizes), MAX_PACKET)
        self.assertGreater(len(set(sizes)), 1)
