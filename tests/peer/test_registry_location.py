"""Where a registry is, by its connections."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.registry_location import (
    RegistryLocation,
    is_far_enough,
    nearest_of,
    scope_of_url,
)
from p2pchat.wire.addresses import Scope


class RegistryLocationTests(SynchronousTestCase):
    """What connections tell."""

    def setUp(self) -> None:
        self.warned: list[str] = []

    def at(self, server: str) -> RegistryLocation:
        """Return what is known of a registry before any connection."""
        return RegistryLocation(server, self.warned.append)

    def test_unknown(self) -> None:
        """Before it was reached it may name nothing near."""
        self.assertEqual(self.at("http://r.test").scope, Scope.GLOBAL)

    def test_reached(self) -> None:
        """Then it is where it was reached, also when no connection is left."""
        for host, scope in (
            ("127.0.0.1", Scope.LOOPBACK),
            ("192.168.1.1", Scope.PRIVATE),
            ("169.254.1.1", Scope.UNUSABLE),
            ("203.0.113.1", Scope.GLOBAL),
            ("nonsense", Scope.GLOBAL),
        ):
            where = self.at("http://r.test")
            self.assertEqual(where.opened(host), "")
            self.assertEqual(where.scope, scope)
            where.closed(host)
            self.assertEqual(where.scope, scope)

    def test_farthest(self) -> None:
        """Of several addresses the farthest counts as long as it has a connection."""
        where = self.at("https://r.test")
        for host in ("203.0.113.1", "10.0.0.1"):
            self.assertEqual(where.opened(host), "")
        self.assertEqual(where.scope, Scope.GLOBAL)
        where.closed("203.0.113.1")
        self.assertEqual(where.scope, Scope.PRIVATE)
        where.opened("203.0.113.1")
        self.assertEqual(where.scope, Scope.GLOBAL)

    def test_nearer(self) -> None:
        """Over http:// one that was on the internet isn't looked for in our network."""
        where = self.at("http://r.test")
        where.opened("203.0.113.1")
        for host in ("10.0.0.1", "127.0.0.1", "169.254.169.254"):
            self.assertIn(host, where.opened(host))
        self.assertEqual(where.opened("203.0.113.2"), "")

    def test_proxy(self) -> None:
        """Of a name that a proxy looks up nobody says that its address is public."""
        where = self.at("http://r.test")
        for _ in range(2):
            self.assertEqual(where.opened("r.test"), "")
        self.assertEqual(len(self.warned), 1)
        self.assertIn("r.test is http:// through a proxy: that, and whoever", self.warned[0])

    def test_farther(self) -> None:
        """One in our network that moves to the internet is followed, with the warning."""
        where = self.at("http://r.test")
        where.opened("10.0.0.1")
        self.assertEqual(self.warned, [])
        self.assertEqual(where.opened("203.0.113.1"), "")
        self.assertEqual(len(self.warned), 1)

    def test_warned_once(self) -> None:
        """Of http:// to a public address the person is warned once, of https:// never."""
        for server, count in (("HTTP://r.test", 1), ("https://r.test", 0)):
            self.warned.clear()
            where = self.at(server)
            for host in ("203.0.113.1", "203.0.113.2"):
                where.opened(host)
            self.assertEqual(len(self.warned), count)


class NearestTests(SynchronousTestCase):
    """How near a registry may be that only a contact named."""

    def test_order(self) -> None:
        """No nearer than the nearest of ours; and never at an address that nobody has."""
        places = (Scope.LOOPBACK, Scope.PRIVATE, Scope.GLOBAL)
        for nearest, fit in (
            (Scope.LOOPBACK, {*places, Scope.UNUSABLE}),
            (Scope.PRIVATE, {Scope.PRIVATE, Scope.GLOBAL}),
            (Scope.GLOBAL, {Scope.GLOBAL}),
        ):
            found = {one for one in Scope if is_far_enough(one, nearest)}
            self.assertEqual(found, fit)
        self.assertIs(nearest_of(places), Scope.LOOPBACK)
        self.assertIs(nearest_of(()), Scope.GLOBAL)

    def test_refused(self) -> None:
        """A connection to a nearer address is refused before anything is sent."""
        where = RegistryLocation("https://r.test", lambda _: None, Scope.GLOBAL)
        for host in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"):
            self.assertIn(host, where.opened(host))
        self.assertEqual(where.opened("203.0.113.1"), "")

    def test_url(self) -> None:
        """A literal says itself where it is; a name counts as far until it was reached."""
        for url, scope in (
            ("http://127.0.0.1:8000", Scope.LOOPBACK),
            ("http://[fd00::1]:8000", Scope.PRIVATE),
            ("https://r.test", Scope.GLOBAL),
        ):
            self.assertIs(scope_of_url(url), scope)
