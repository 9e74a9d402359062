"""Origins: one way of writing each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.origins import host, origin, registry_url


class OriginTests(SynchronousTestCase):
    """What an origin looks like."""

    def test_forms(self) -> None:
        """Case, default ports, paths and the forms of an IP literal don't matter."""
        for url, expected in (
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("HTTP://Example.ORG", "http://example.org:80"),
            ("https://example.org/", "https://example.org:443"),
            ("https://example.org:80/a/b?c=d#e", "https://example.org:80"),
            ("http://[2001:DB8:0::1]:81", "http://[2001:db8::1]:81"),
            ("http://my_host", "http://my_host:80"),
        ):
            self.assertEqual(origin(url), expected)

    def test_host(self) -> None:
        """The host comes alone, an IPv6 literal in brackets."""
        self.assertEqual(host("http://Example.org:80/x"), "example.org")
        self.assertEqual(host("http://[::1]:80"), "[::1]")

    def test_refused(self) -> None:
        """What isn't an HTTP URL with a host is refused, with a sentence."""
        for url in (
            "",
            "example.org",
            "ftp://example.org",
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:65536",
            "http://a:",
            "http://a:b",
            "http://user@a",
            "http://a b",
            "http://a\n.b",
            "http://é.org",
            "http://[::1",
            "http://[::1]x",
            "http://[fe80::1%25eth0]",
            "http://-a.org",
            "http://a..b",
            "http://a\\b",
            "http://" + "a" * 261,
        ):
            with self.subTest(url=url):
                self.assertRaises(RemoteProtocolError, origin, url)

    @given(st.text(max_size=40))
    def test_any_text(self, text: str) -> None:
        """Any text raises only our error, and an origin is its own origin."""
        for url in (text, f"http://{text}", f"https://a:{text}", f"http://[{text}]"):
            try:
                found = origin(url)
            except RemoteProtocolError:
                continue
            self.assertEqual(origin(found), found)


class RegistryUrlTests(SynchronousTestCase):
    """The URL of a registry, as a person writes it."""

    def test_read(self) -> None:
        """The scheme may lack, and a slash may be too many."""
        for text, expected in (
            ("https://r.example/", "https://r.example"),
            ("http://r.example:8000", "http://r.example:8000"),
            ("localhost:8140", "http://localhost:8140"),
            ("r.example", "http://r.example"),
            ("[::1]:8000/", "http://[::1]:8000"),
            ("::1", "http://[::1]"),
            (" http://r.example\n", "http://r.example"),
            ("https://b\xfccher.example:81", "https://xn--bcher-kva.example:81"),
            ("B\xdcCHER.example", "http://xn--bcher-kva.example"),
        ):
            self.assertEqual(registry_url(text), expected)

    def test_refused(self) -> None:
        """Paths and queries, which no registry has, are refused, and so is what is no origin."""
        for text, part in (
            ("http://r.example/sub/path", "no path"),
            ("r.example/x", "no path"),
            ("http://r.example?x=1", "no path"),
            ("http://r.example/?", "no path"),
            ("http://r.example/#", "no path"),
            ("http://u:p@r.example", "no password"),
            ("ftp://r.example", "http://"),
            ("", "domain name"),
            ("localhost:port", "domain name"),
            ("http://b\xfc cher.example", "not a URL"),
            ("http://b\xfccher.example\n.x", "not a URL"),
            ("http://b\xfccher.example/x", "no path"),
            ("http://b\xfccher..example", "not a URL"),
        ):
            error = self.assertRaises(RemoteProtocolError, registry_url, text)
            self.assertIn(part, str(error))
