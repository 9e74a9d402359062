"""Under which origins a registry is addressed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.audiences import Audiences, is_loopback, own_origins
from p2pchat.registry.refusals import Refused

OWN = own_origins("192.0.2.80", 8000, False)


class OwnTests(SynchronousTestCase):
    """The local end of a connection."""

    def test_address(self) -> None:
        """Its address and port, as they are written in a URL."""
        for ip, port, secure, origin in (
            ("192.0.2.80", 8000, False, "http://192.0.2.80:8000"),
            ("192.0.2.80", 443, True, "https://192.0.2.80:443"),
            ("2001:DB8::0:1", 80, False, "http://[2001:db8::1]:80"),
            ("fe80::1%eth0", 8000, False, "http://[fe80::1]:8000"),
        ):
            self.assertEqual(own_origins(ip, port, secure), {origin})

    def test_loopback(self) -> None:
        """On a loopback address localhost is a name for it; nowhere else."""
        for ip, literal in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
            expected = {f"http://{literal}:8000", "http://localhost:8000"}
            self.assertEqual(own_origins(ip, 8000, False), expected)

    def test_none(self) -> None:
        """A socket in the file system has no origin."""
        for name in ("", "/run/registry.sock"):
            self.assertEqual(own_origins(name, 0, False), frozenset())

    def test_is_loopback(self) -> None:
        """Which addresses are this machine's."""
        for ip, expected in (("127.9.9.9", True), ("::1", True), ("192.0.2.1", False), ("", False)):
            self.assertIs(is_loopback(ip), expected)


class AudiencesTests(SynchronousTestCase):
    """What an operator gave, and what not."""

    def refuse(self, audiences: Audiences, named: str, by_proxy: bool = False) -> str:
        """This origin is somebody else's; returns the sentence."""
        found = self.assertRaises(Refused, audiences.addressed, named, OWN, by_proxy)
        self.assertEqual((found.status, found.reason), (421, "misdirected"))
        return str(found)

    def test_own(self) -> None:
        """Without --public-url the registry goes by its own address, on its own port."""
        audiences = Audiences()
        origin = "http://192.0.2.80:8000"
        self.assertEqual(audiences.addressed(origin, OWN, False), origin)
        self.assertEqual(audiences.accepted(origin), {origin})
        for other in (
            *("http://registry.example:8000", "http://localhost:8000", "http://192.0.2.81:8000"),
            *("http://192.0.2.80:8001", "https://192.0.2.80:8000", "http://[2001:db8::1]:8000"),
        ):
            for by_proxy in (False, True):
                self.assertIn(f"--public-url {other}", self.refuse(audiences, other, by_proxy))

    def test_public(self) -> None:
        """With it, by the hosts that it gives, whatever a proxy made of scheme and port."""
        public = ("https://registry.example:443", "http://registry.test:8000")
        audiences = Audiences(public)
        for named, expected in (
            ("https://registry.example:443", public[0]),
            ("http://registry.example:80", public[0]),
            ("http://registry.test:8000", public[1]),
            ("http://192.0.2.80:8000", public[0]),
        ):
            self.assertEqual(audiences.addressed(named, OWN, False), expected)
            self.assertEqual(audiences.accepted(expected), set(public))
        self.assertIn(f"dial {public[0]}", self.refuse(audiences, "http://evil.example:8000"))

    def test_proxy(self) -> None:
        """With it, a trusted proxy may ask by a name of its own."""
        audiences = Audiences(("https://registry.example:443",))
        named = "http://registries:80"
        self.assertEqual(audiences.addressed(named, OWN, True), audiences.public[0])
        self.refuse(audiences, named)
