"""What is learned of a NAT that forgets, and what isn't."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.keepalive import (
    NEW_NETWORK,
    ONE_EVENT,
    PATTERN_SPAN,
    QUICK,
    SHORTEST,
    SLACK,
    Keepalive,
)
from tests.cases import each

GAP = 20.0  # seconds


class KeepaliveTests(SynchronousTestCase):
    """One event is chance, two make a pattern."""

    def setUp(self) -> None:
        self.keepalive = Keepalive()

    def see(self, *times: float, gap: float = GAP) -> float | None:
        """Let the mapping be another at these times; returns the limit."""
        for now in times:
            self.keepalive.mapping_changed(gap, now)
        return self.keepalive.limit

    def test_nothing(self) -> None:
        """Without a reason every interval is left as it is."""
        self.assertEqual([self.keepalive.within(seconds) for seconds in (1.0, 3600.0)], [1, 3600])

    def test_one(self) -> None:
        """A NAT that was rebooted once, or now and then, changes nothing."""
        times = [number * (PATTERN_SPAN + 1) for number in range(10)]
        self.assertIsNone(self.see(*times))

    def test_pattern(self) -> None:
        """The second event within the span halves the shorter gap."""
        self.see(100.0, gap=GAP + 4)
        self.assertEqual(self.see(100.0 + PATTERN_SPAN - 1), GAP / 2)
        self.assertEqual([self.keepalive.within(seconds) for seconds in (3.0, 15.0)], [3, GAP / 2])

    def test_again(self) -> None:
        """What goes on below the limit halves it again, down to SHORTEST."""
        now = 100.0
        for limit in (GAP / 2, SHORTEST, SHORTEST):
            gap = self.keepalive.within(GAP)
            self.assertEqual(self.see(now, now + 20, gap=gap), limit)
            now += 40

    def test_one_cause(self) -> None:
        """Several mappings found gone within ONE_EVENT, or in whose gap the first was, are one."""
        self.assertIsNone(self.see(100.0, 100.1, 100 + ONE_EVENT - 0.1, gap=SHORTEST))
        self.assertIsNone(self.see(100 + GAP - 0.1))
        self.assertIsNotNone(self.see(100 + ONE_EVENT, gap=SHORTEST))

    def test_busy(self) -> None:
        """After a gap shorter than SHORTEST it was something else."""
        self.assertIsNone(self.see(100.0, 110.0, 120.0, gap=SHORTEST - 0.1))

    def test_old_gap(self) -> None:
        """A gap that began before the limit was learned says nothing new."""
        limit = self.see(100.0, 120.0)
        assert limit is not None
        self.assertEqual(self.see(140.0, 160.0, gap=limit + SLACK + 0.1), limit)

    def test_new_network(self) -> None:
        """Other addresses: all is forgotten, and the change itself is no event."""
        self.see(100.0, 120.0)
        self.keepalive.network_changed(130.0)
        self.assertIsNone(self.keepalive.limit)
        self.assertIsNone(self.see(131.0, 130 + NEW_NETWORK - 0.1, 150.0))
        self.assertIsNotNone(self.see(170.0))

    @each((QUICK + 0.1, None), (QUICK - 0.1, GAP / 2))
    def test_path(self, search: float, limit: float | None) -> None:
        """An idle path that is found anew in no time counts; one that took its time doesn't."""
        for lost in (100.0, 140.0):
            self.keepalive.path_found_anew(GAP, lost, lost + search)
        self.assertEqual(self.keepalive.limit, limit)

    def test_moved(self) -> None:
        """So does a port of theirs that became another after a silence."""
        for now in (100.0, 140.0):
            self.keepalive.path_moved(GAP, now)
        self.assertEqual(self.keepalive.limit, GAP / 2)
