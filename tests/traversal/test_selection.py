"""Tests of :mod:`p2pchat.traversal.selection`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.pairs import Pair
from p2pchat.traversal.routes import CHAT_SOCKET, RELAYS, Route
from p2pchat.traversal.selection import (
    BETTER,
    FAIR_RTTS,
    FAIR_WAIT,
    LOCAL_ADVANTAGE,
    Choice,
    cost,
    select,
)
from p2pchat.wire.documents import CandidateType

STARTED = 100.0
HOST, REFLEXIVE, RELAYED = (
    CandidateType.HOST,
    CandidateType.SERVER_REFLEXIVE,
    CandidateType.RELAYED,
)


def pair(rtt: float, kind: CandidateType = REFLEXIVE, base: str = CHAT_SOCKET) -> Pair:
    """Return a pair with this round-trip time."""
    return Pair(Route(("198.51.100.1", 9), base), kind, rtt=rtt)


kinds = st.sampled_from([HOST, REFLEXIVE, RELAYED])
pairs = st.lists(st.builds(pair, st.floats(0.001, 2.0), kinds), max_size=6)


class CostTests(SynchronousTestCase):
    """Which of two pairs is better, whatever is in use."""

    def test_order(self) -> None:
        """Direct before relayed, then the time; an address of the machine itself has a start."""
        ordered = [
            *(pair(0.01, HOST), pair(0.012), pair(0.9, HOST)),
            *(pair(0.001, RELAYED), pair(0.002, HOST, f"{RELAYS}1")),
        ]
        shuffled = [ordered[index] for index in (3, 0, 4, 2, 1)]
        self.assertEqual(sorted(shuffled, key=cost), ordered)
        self.assertLess(cost(pair(0.02 + LOCAL_ADVANTAGE / 2, HOST)), cost(pair(0.02)))
        self.assertGreater(cost(pair(0.02 + LOCAL_ADVANTAGE * 2, HOST)), cost(pair(0.02)))


class SelectTests(SynchronousTestCase):
    """From valid pairs, the pair in use and a nomination to a choice."""

    def test_nothing(self) -> None:
        """Where no pair is valid, nothing is chosen, and nothing awaited."""
        for current in (None, pair(0.1)):
            self.assertEqual(select([], current, pair(0.1), STARTED, STARTED), Choice())

    def test_first(self) -> None:
        """The first pair is taken at once, the best of several."""
        worse, better = pair(0.2), pair(0.1)
        self.assertIs(select([worse], None, None, STARTED, STARTED).pair, worse)
        self.assertIs(select([worse, better], None, None, STARTED, STARTED).pair, better)

    def test_nominated(self) -> None:
        """A nominated pair is taken as soon as it is valid, even for a better one in use."""
        worse, better = pair(0.5, RELAYED), pair(0.1)
        self.assertIs(select([worse, better], better, worse, STARTED, STARTED).pair, worse)
        self.assertIs(select([better], None, worse, STARTED, STARTED).pair, better)

    def test_fair_wait(self) -> None:
        """The pair in use has the time to answer, by its own round-trip time."""
        for rtt, wait in ((0.001, FAIR_WAIT), (0.1, FAIR_RTTS * 0.1)):
            current, other = pair(rtt), pair(0.0001)
            early = select([other], current, None, STARTED, STARTED + wait - 0.001)
            self.assertEqual(early, Choice(again_at=STARTED + wait))
            self.assertIs(select([other], current, None, STARTED, STARTED + wait).pair, other)

    def test_clearly_better(self) -> None:
        """A valid pair in use is left only for one with less than BETTER of its time."""
        current = pair(0.1)
        seconds = (0.1 + LOCAL_ADVANTAGE) * BETTER - LOCAL_ADVANTAGE
        for rtt, moves in ((seconds + 0.001, False), (seconds - 0.001, True)):
            other = pair(rtt)
            chosen = select([current, other], current, None, STARTED, STARTED).pair
            self.assertEqual(chosen is other, moves)

    def test_comes_home(self) -> None:
        """From a NAT's mapping to an address of the machine itself any gain is enough."""
        current, home = pair(0.1), pair(0.1, HOST)
        self.assertIs(select([current, home], current, None, STARTED, STARTED).pair, home)
        self.assertIsNone(select([current, home], home, None, STARTED, STARTED).pair)

    @given(pairs)
    def test_stays(self, valid: list[Pair]) -> None:
        """Whatever was chosen is kept, while nothing changes."""
        chosen = select(valid, None, None, STARTED, STARTED).pair
        self.assertEqual(chosen is None, not valid)
        if chosen is not None:
            self.assertEqual(select(valid, chosen, None, STARTED, STARTED), Choice())
            self.assertEqual(select(valid, chosen, chosen, STARTED, STARTED).pair, chosen)
