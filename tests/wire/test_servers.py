"""STUN and TURN servers: their URLs, and credentials for them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.servers import LongTermCredential, RelayServer, parse_stun_url, parse_turn_url


class UrlTests(SynchronousTestCase):
    """RFC 7065."""

    def test_read(self) -> None:
        """Defaults are filled in, and what is written reads the same."""
        for url, expected, written in (
            ("turn:a.example", ("a.example", 3478, "udp"), "turn:a.example:3478"),
            ("TURN:A.example:99", ("a.example", 99, "udp"), "turn:a.example:99"),
            ("turn:a?transport=udp", ("a", 3478, "udp"), "turn:a:3478"),
            ("turn:a?transport=tcp", ("a", 3478, "tcp"), "turn:a:3478?transport=tcp"),
            ("turns:a.example", ("a.example", 5349, "tls"), "turns:a.example:5349"),
            ("turns:192.0.2.1:443?transport=tcp", ("192.0.2.1", 443, "tls"), "turns:192.0.2.1:443"),
            ("turn:[2001:DB8::1]", ("2001:db8::1", 3478, "udp"), "turn:[2001:db8::1]:3478"),
            ("turn:[2001:db8::1]:5", ("2001:db8::1", 5, "udp"), "turn:[2001:db8::1]:5"),
        ):
            server = parse_turn_url(url)
            self.assertEqual((server.host, server.port, server.transport.value), expected)
            self.assertEqual(str(server), written)
            self.assertEqual(parse_turn_url(written), server)

    def test_refused(self) -> None:
        """What is no TURN URL, or names what we don't speak, is refused."""
        for url in (
            "", "turn:", "turn", "stun:a", "http://a", "turn://a", "turn:a:0", "turn:a:65536",
            "turn:a:x", "turn:a:", "turns:a?transport=udp", "turn:a?transport=sctp", "turn:a?",
            "turn:a/b", "turn:me@a", "turn:a b", "turn:a\n", "turn:" + "a" * 400,
            "turn:2001:db8::1", "turn:a#f", "turn:a?transport=tcp&x",
        ):  # fmt: skip
            with self.subTest(url=url):
                self.assertRaises(RemoteProtocolError, parse_turn_url, url)

    @given(st.text(max_size=40))
    def test_any_text(self, text: str) -> None:
        """Any text is read or refused."""
        for url in (text, "turn:" + text, "turns:a" + text):
            try:
                self.assertIsInstance(parse_turn_url(url), RelayServer)
            except RemoteProtocolError:
                continue


class StunUrlTests(SynchronousTestCase):
    """RFC 7064, without its secure form."""

    def test_read(self) -> None:
        """The port may lack; an IPv6 literal has brackets."""
        for url, expected in (
            ("stun:example.org", ("example.org", 3478)),
            ("stun:example.org:19302", ("example.org", 19302)),
            ("stun:192.0.2.1:3479", ("192.0.2.1", 3479)),
            ("stun:[2001:db8::1]", ("2001:db8::1", 3478)),
            ("stun:[2001:db8::1]:5", ("2001:db8::1", 5)),
        ):
            with self.subTest(url=url):
                self.assertEqual(parse_stun_url(url), expected)

    def test_refused(self) -> None:
        """Other schemes, no host, no port, and more than that."""
        for url in (
            *("", "stun", "stun:", "stuns:example.org", "http://example.org", "stun:a:0"),
            *("stun:a:65536", "stun:a:b", "stun:a:", "stun:user@a", "stun:a b"),
            *("stun:a:" + "9" * 5000, "stun:a:٣"),
            *("stun:[::1", "stun:2001:db8::1x", "stun:a?x", "stun:a/b", "stun:a#f"),
        ):
            with self.subTest(url=url):
                self.assertRaises(RemoteProtocolError, parse_stun_url, url)


class KeyTests(SynchronousTestCase):
    """Long-term credentials."""

    def test_key(self) -> None:
        """The key is the MD5 of RFC 8489 section 9.2.2; the password isn't shown."""
        credentials = LongTermCredential("user", "pass")
        self.assertEqual(credentials.key("realm").hex(), "8493fbc53ba582fb4c044c456bdc40eb")
        self.assertNotIn("pass", repr(credentials))
