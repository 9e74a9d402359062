"""Registries where we aren't registered."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RegistryError
from p2pchat.peer.other_registries import (
    IDLE,
    MAX_OTHERS,
    OtherRegistries,
    is_same_registry,
    lawful_url,
)
from p2pchat.wire.addresses import Scope
from tests.peer.fake_signaling import FakeSignaling

URL = "http://registry.test:8000"


class OtherRegistriesTests(SynchronousTestCase):
    """They are made when somebody wants them, and left when nobody does."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.made: list[tuple[FakeSignaling, Scope]] = []
        self.others = OtherRegistries(self.make, lambda: Scope.PRIVATE, self.clock)

    def make(self, url: str, nearest: Scope) -> FakeSignaling:
        """Make one, and remember it."""
        self.made.append((FakeSignaling(url), nearest))
        return self.made[-1][0]

    def test_kept(self) -> None:
        """One serves as long as it is wanted again in time; then it is closed."""
        first = self.others.at(URL)
        self.clock.advance(IDLE - 1)
        self.assertIs(self.others.at(f"{URL}/"), first)
        self.clock.advance(IDLE - 1)
        self.assertEqual([one.calls for one, _ in self.made], [[]])
        self.clock.advance(1)
        self.assertEqual([one.calls for one, _ in self.made], [["stop"]])
        self.assertIsNot(self.others.at(URL), first)

    def test_same(self) -> None:
        """A name is that of the registry at a URL, however that is spelt."""
        self.assertTrue(is_same_registry("http://R.test:80", "http://r.test/"))
        self.assertTrue(is_same_registry("the room", "the room"))
        self.assertFalse(is_same_registry("the room", URL))

    def test_near(self) -> None:
        """What our person wants may be anywhere; what a contact names, no nearer than ours."""
        self.others.at(URL)
        self.others.at(URL, Scope.LOOPBACK)
        self.assertEqual([nearest for _, nearest in self.made], [Scope.PRIVATE, Scope.LOOPBACK])

    def test_taken(self) -> None:
        """One that becomes ours is left no more."""
        asked = self.others.at(URL, Scope.LOOPBACK)
        self.assertIs(self.others.take(URL, Scope.LOOPBACK), asked)
        self.assertIsNot(self.others.take(URL, Scope.LOOPBACK), asked)
        self.clock.advance(IDLE)
        self.assertEqual([one.calls for one, _ in self.made], [[], []])

    def test_many(self) -> None:
        """Of very many some are asked; the others later."""
        for number in range(MAX_OTHERS):
            self.others.at(f"http://{number}.test")
        error = self.assertRaises(RegistryError, self.others.at, URL)
        self.assertEqual((error.reason, error.retry_after), ("registry", IDLE))
        self.clock.advance(IDLE)
        self.others.at(URL)

    def test_refused(self) -> None:
        """What is no URL of a registry is none."""
        for url in (
            *("", "ftp://registry.test", "http://", "http://a b", "http://registry.test/path"),
            *("http://me:secret@registry.test", "javascript:alert(1)", "http://" + "a" * 300),
            *(
                "http://registry.test:99999",
                "registry.test",
                "http://registry.test\r\nHost: other",
                "file:///etc",
            ),
        ):
            self.assertEqual(lawful_url(url), "")
            self.assertRaises(RegistryError, self.others.at, url)
        self.assertEqual(self.made, [])

    def test_stop(self) -> None:
        """All are closed when the program leaves."""
        self.others.at(URL)
        self.successResultOf(self.others.stop())
        self.assertEqual([one.calls for one, _ in self.made], [["stop"]])
        self.assertEqual(self.clock.getDelayedCalls(), [])
