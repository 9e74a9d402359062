"""By which way each peer was heard last."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.known_ways import MAX_ROUTES, KnownWays

WAYS = ["first", "second", "third"]


class KnownWaysTests(SynchronousTestCase):
    """Ways have names; peers have ids."""

    def setUp(self) -> None:
        self.known = KnownWays()

    def order(self) -> list[str]:
        """Return in which order the ways to Bob are tried."""
        return self.known.in_order("bob", WAYS, str)

    def test_best(self) -> None:
        """The last word counts, whether he was found, heard or offered something."""
        self.assertEqual(self.known.best("bob"), "")
        for tell in (self.known.found, self.known.heard, self.known.offered):
            for name in WAYS:
                tell("bob", name)
                self.assertEqual(self.known.best("bob"), name)

    def test_in_vain(self) -> None:
        """Ways that took offers in vain come later, until he is heard."""
        self.assertEqual(self.order(), WAYS)
        self.known.offered("bob", "first")
        self.assertEqual(self.order(), ["second", "third", "first"])
        self.known.offered("bob", "second")
        self.known.offered("bob", "second")
        self.assertEqual(self.order(), ["third", "first", "second"])
        self.known.found("bob", "first")
        self.assertEqual(self.order(), ["third", "first", "second"])
        self.known.heard("bob", "first")
        self.assertEqual(self.order(), WAYS)

    def test_many(self) -> None:
        """Of very many peers the last ones are remembered."""
        for number in range(MAX_ROUTES + 1):
            self.known.heard(str(number), "first")
        self.assertEqual((self.known.best("0"), self.known.best("1")), ("", "first"))
