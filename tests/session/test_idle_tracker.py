"""How long a path had rested when it fell silent."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.liveness import SUSPICION, UNANSWERED, IdleTracker
from p2pchat.traversal.keepalive import Keepalive
from p2pchat.traversal.pairs import Path
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import CandidateType
from tests.cases import each

GAP = 15.0  # seconds
OLD, NEW = ("203.0.113.1", 5), ("203.0.113.1", 6)


def path(address: Address, remote: CandidateType = CandidateType.PEER_REFLEXIVE) -> Path:
    """Return a path to this address."""
    return Path(address, CandidateType.HOST, remote, 0.02)


class IdleTrackerTests(SynchronousTestCase):
    """Twice the same, so that the keepalive shows what it was told."""

    def setUp(self) -> None:
        self.keepalive = Keepalive()
        self.idle = IdleTracker(self.keepalive)

    def lose(self, silence: float) -> float | None:
        """Lose the path twice after such a silence; returns the limit."""
        for start in (100.0, 160.0):
            self.idle.heard(start)
            for later in (0.0, 1.0, 5.0):  # suspicion goes on while the path is dead
                self.idle.suspected(start + silence + SUSPICION + later)
            self.idle.lost(start + silence + 6)
            self.idle.found(start + silence + 7)
            self.idle.found(start + silence + 30)  # a new conversation tells nothing
        return self.keepalive.limit

    def move(self, before: Path | None, after: Path) -> float | None:
        """Let the path move twice after a gap; returns the limit."""
        for start in (100.0, 160.0):
            self.idle.heard(start)
            self.idle.moved(before, after, start + GAP + SUSPICION)
        return self.keepalive.limit

    def test_idle(self) -> None:
        """The silence counts up to what stayed unanswered, not up to the loss."""
        self.assertAlmostEqual(self.lose(GAP) or 0.0, GAP / 2)

    def test_busy(self) -> None:
        """A path that is lost in the middle of talk tells nothing."""
        self.assertIsNone(self.lose(1.0))

    def test_not_suspected(self) -> None:
        """A link that ends by itself wasn't idle."""
        for start in (100.0, 160.0):
            self.idle.heard(start)
            self.idle.lost(start + GAP)
            self.idle.found(start + GAP)
        self.assertIsNone(self.keepalive.limit)

    def test_unanswered(self) -> None:
        """What comes and acknowledges nothing is no sign that what we send arrives."""
        found = []
        for start in range(UNANSWERED):
            self.idle.suspected(float(start))
            self.idle.heard(start + 0.5)
            found.append(self.idle.is_unanswered)
        self.assertEqual(found, [False] * (UNANSWERED - 1) + [True])
        self.idle.answered()
        self.assertFalse(self.idle.is_unanswered)

    def test_moved(self) -> None:
        """Another port of the same address counts."""
        self.assertAlmostEqual(self.move(path(OLD), path(NEW)) or 0.0, GAP / 2)

    @each(
        (None, path(NEW)),
        (path(OLD), path(NEW, CandidateType.RELAYED)),
        (path(NEW, CandidateType.RELAYED), path(OLD)),
        (path(OLD), path(("203.0.113.2", 5))),
        (path(OLD), path(OLD)),
    )
    def test_not_moved(self, before: Path | None, after: Path) -> None:
        """Nothing else than another port of the same address counts."""
        self.assertIsNone(self.move(before, after))
