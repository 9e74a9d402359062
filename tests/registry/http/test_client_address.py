"""Whose request it is: proxies are believed only where the operator says so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.registry.http.client_address import MAX_HOPS, TrustedProxies

PROXY, INNER, CLIENT, LIE = "192.0.2.1", "192.0.2.9", "203.0.113.7", "8.8.8.8"


class ClientTests(SynchronousTestCase):
    """The address of the client."""

    def setUp(self) -> None:
        self.proxies = TrustedProxies.parse("192.0.2.0/24, 2001:db8::1")

    def client(self, *forwarded: str, peer: str = PROXY) -> str:
        """Return whose request it is."""
        return self.proxies.client(peer, forwarded)

    def test_stranger(self) -> None:
        """Somebody who isn't a trusted proxy speaks for nobody; with none, nobody is."""
        self.assertEqual(self.client(LIE, peer=CLIENT), CLIENT)
        self.assertEqual(TrustedProxies.parse("").client(PROXY, [LIE]), PROXY)

    def test_rightmost(self) -> None:
        """The nearest hop that isn't ours counts, in one header or in several."""
        self.assertEqual(self.client(f"{LIE}, {CLIENT}"), CLIENT)
        self.assertEqual(self.client(LIE, CLIENT), CLIENT)
        self.assertEqual(self.client(f"{LIE},{CLIENT} , {INNER}"), CLIENT)
        self.assertEqual(self.client(CLIENT, peer="2001:db8::1"), CLIENT)

    def test_forms(self) -> None:
        """A port or brackets are taken off; IPv6 is written in one way."""
        for form, expected in (
            ("203.0.113.7:4711", CLIENT),
            ("[2001:DB8::7]:4711", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:db8:0::7", "2001:db8::7"),
            ("::ffff:203.0.113.7", CLIENT),
        ):
            self.assertEqual(self.client(f"{LIE}, {form}"), expected)

    def test_nothing_to_believe(self) -> None:
        """Without a hop that can be read, the request is that of the last proxy that can."""
        self.assertEqual(self.client(), PROXY)
        self.assertEqual(self.client(""), PROXY)
        self.assertEqual(self.client(f"{LIE}, unknown"), PROXY)
        self.assertEqual(self.client(f"{LIE}, unknown, {INNER}"), INNER)
        self.assertEqual(self.client(f"{LIE}, unknown", peer=INNER), INNER)

    def test_long(self) -> None:
        """However long the header is, only its right end is read."""
        self.assertEqual(self.client(f"{LIE}, " + ", ".join([INNER] * MAX_HOPS)), INNER)

    @given(st.lists(st.text(max_size=60), max_size=4))
    def test_anything(self, forwarded: list[str]) -> None:
        """Nothing that a client writes is an error, nor counts over what the proxy appends."""
        self.client(*forwarded)
        self.assertEqual(self.client(*forwarded, CLIENT), CLIENT)


class ParseTests(SynchronousTestCase):
    """What the operator writes."""

    def test_bad(self) -> None:
        """What is no network is named, with what is one."""
        for text in ("proxy.example", "192.0.2.1/24", "192.0.2.1,", "192.0.2.0/33"):
            error = self.assertRaises(ConfigurationError, TrustedProxies.parse, text)
            self.assertIn("try 192.0.2.1 or 192.0.2.0/24", str(error))
        many = ",".join(["192.0.2.1"] * 65)
        self.assertRaises(ConfigurationError, TrustedProxies.parse, many)
