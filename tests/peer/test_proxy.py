"""Which proxy a connection goes through, and the handshake with one that may be anything."""

from __future__ import annotations

from random import Random

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError, ProxyError
from p2pchat.peer.proxy import (
    MAX_HEAD,
    Proxy,
    ProxyKind,
    UnusableProxy,
    choose_proxies,
    handshake,
    parse_proxy,
)
from tests.cases import each

HTTP = Proxy(ProxyKind.HTTP, "proxy.example", 3128)
SOCKS = Proxy(ProxyKind.SOCKS5, "proxy.example", 1080)


class UrlTests(SynchronousTestCase):
    """:func:`parse_proxy`."""

    @each(
        ("http://proxy.example:3128", HTTP),
        ("proxy.example:3128", HTTP),
        ("HTTP://PROXY.example:3128/", HTTP),
        ("http://proxy.example", Proxy(ProxyKind.HTTP, "proxy.example", 80)),
        ("socks5://proxy.example", SOCKS),
        ("socks5h://proxy.example:1080", SOCKS),
        ("http://[2001:db8::1]:80", Proxy(ProxyKind.HTTP, "2001:db8::1", 80)),
        ("http://a:b%40c@h:3128", Proxy(ProxyKind.HTTP, "h", 3128, "a", "b@c")),
    )
    def test_read(self, url: str, expected: Proxy) -> None:
        """A URL is read as curl reads it."""
        self.assertEqual(parse_proxy(url, "--proxy"), expected)

    @each(
        "https://proxy.example",
        "socks4://proxy.example",
        "ftp://proxy.example",
        "http://",
        "http://proxy.example:99999",
        "http://proxy.example:x",
        "http://proxy.example/path",
        "http://[::1",
        "http://a%3Ab:c@proxy.example",
        "http://ä:b@proxy.example",
        f"http://{'a' * 256}:b@proxy.example",
        "http://a%0D%0A:b@proxy.example",
        "http://pröxy.example",
        "",
    )
    def test_refused(self, url: str) -> None:
        """What can't be used is refused with the name of the option, and without the password."""
        error = self.assertRaises(ConfigurationError, parse_proxy, url, "HTTPS_PROXY")
        self.assertTrue(str(error).startswith("HTTPS_PROXY: "), str(error))

    def test_text(self) -> None:
        """A proxy is shown without name and password."""
        proxy = parse_proxy("http://alice:secret@proxy.example:3128", "--proxy")
        self.assertEqual(str(proxy), "http://proxy.example:3128")
        self.assertNotIn("secret", repr(proxy))


class ChoiceTests(SynchronousTestCase):
    """:func:`choose_proxies`."""

    def test_environment(self) -> None:
        """Each scheme has its variable, ALL_PROXY stands in, small letters go first."""
        choice = choose_proxies(
            {
                "HTTP_PROXY": "http://one:1",
                "ALL_PROXY": "socks5://two:2",
                "HTTPS_PROXY": "http://three:3",
                "https_proxy": "http://four:4",
            },
            None,
        )
        found = [str(choice(scheme, "registry.example")) for scheme in ("http", "https")]
        self.assertEqual(found, ["http://one:1", "http://four:4"])
        all_proxy = choose_proxies({"all_proxy": "socks5://two:2", "HTTPS_PROXY": " "}, None)
        self.assertEqual(str(all_proxy("https", "registry.example")), "socks5://two:2")

    def test_option(self) -> None:
        """--proxy goes before the environment, and can say that there is none."""
        environment = {"HTTPS_PROXY": "ftp://nonsense"}
        choice = choose_proxies(environment, "socks5://two:2")
        self.assertEqual(str(choice("http", "registry.example")), "socks5://two:2")
        self.assertIsNone(choose_proxies(environment, "none")("https", "registry.example"))

    def test_unusable(self) -> None:
        """One that the environment names matters to connections through it alone."""
        choice = choose_proxies({"HTTPS_PROXY": "https://one:1"}, None)
        self.assertIsNone(choice("http", "registry.example"))
        self.assertIsNone(choice("https", "localhost"))
        unusable = choice("https", "relay.example")
        assert isinstance(unusable, UnusableProxy)
        self.assertIn("HTTPS_PROXY: a proxy of https:// can't be used", str(unusable.error))

    @each("localhost", "127.0.0.1", "[::1]", "::1", "registry.example", "a.registry.example")
    def test_without(self, host: str) -> None:
        """This machine is reached without a proxy, and what NO_PROXY names."""
        environment = {"ALL_PROXY": "http://one:1", "NO_PROXY": "other, .registry.example"}
        choice = choose_proxies(environment, None)
        self.assertIsNone(choice("https", host))
        self.assertIsNotNone(choice("https", "registry.example.net"))

    @each("192.0.2.7", "2001:db8::7", "[2001:db8::7]", "10.0.0.1", "a.registry.example")
    def test_networks(self, host: str) -> None:
        """NO_PROXY may name networks, addresses in brackets, and all names below one."""
        bypass = "192.0.2.0/24,10.0.0.1, [2001:db8::7] ,*.registry.example,,x/99"
        choice = choose_proxies({"HTTP_PROXY": "http://one:1", "NO_PROXY": bypass}, None)
        self.assertIsNone(choice("http", host))
        for other in ("192.0.3.7", "10.0.0.11", "2001:db8::8", "registry.example.net"):
            self.assertIsNotNone(choice("http", other), other)


class HandshakeTests(SynchronousTestCase):
    """:func:`handshake`, byte by byte, and with what isn't a proxy."""

    @each(
        (HTTP, b"HTTP/1.0 200 OK\r\nX: y\r\n\r\n"),
        (HTTP, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 200\r\n\r\n"),
        (HTTP, b"HTTP/1.1 204 OK\r\nContent-Length: 0\r\n\r\n"),
        (HTTP, b"HTTP/1.0 200 OK\nX: y\n\n"),
        (SOCKS, b"\x05\x00" + b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"),
        (SOCKS, b"\x05\x00" + b"\x05\x00\x00\x04" + bytes(18)),
        (SOCKS, b"\x05\x00" + b"\x05\x00\x00\x03\x03abc\x00\x50"),
    )
    def test_pieces(self, proxy: Proxy, answers: bytes) -> None:
        """However the answers are cut, what comes behind them is the other end's."""
        for cut in range(1, len(answers)):
            shaking = handshake(proxy, "registry.example", 443)
            sent = [shaking.begin()]
            stream = answers + b"hello"
            for start in range(0, len(stream), cut):
                if shaking.rest is None:
                    sent.append(shaking.receive(stream[start : start + cut]))
                else:
                    shaking.rest += stream[start : start + cut]
            self.assertEqual(shaking.rest, b"hello")
            self.assertIn(b"registry.example", b"".join(sent))

    def test_literal(self) -> None:
        """IP literals are told as such."""
        self.assertIn(b"CONNECT [2001:db8::1]:443 ", handshake(HTTP, "2001:db8::1", 443).begin())
        shaking = handshake(SOCKS, "192.0.2.1", 443)
        shaking.begin()
        self.assertTrue(shaking.receive(b"\x05\x00").endswith(b"\x01\xc0\x00\x02\x01\x01\xbb"))

    def test_endless(self) -> None:
        """A head that doesn't end is cut off."""
        shaking = handshake(HTTP, "registry.example", 443)
        shaking.receive(b"HTTP/1.1 200 OK\r\n")
        self.assertRaises(ProxyError, shaking.receive, b"X: " + b"y" * MAX_HEAD)
        shaking = handshake(HTTP, "registry.example", 443)
        self.assertRaises(ProxyError, shaking.receive, b"HTTP/1.1 100 \r\n\r\n" * MAX_HEAD)

    def test_long_name(self) -> None:
        """A name that SOCKS5 can't carry is an error of the connection."""
        shaking = handshake(SOCKS, "x" * 300 + ".example", 443)
        shaking.begin()
        self.assertRaises(ProxyError, shaking.receive, b"\x05\x00")

    @each(
        (HTTP, b"HTTP/1.1 407 Who?\r\n\r\n"),
        (HTTP, b"HTTP/1.0 401 Unauthorized\r\n\r\n"),
        (SOCKS, b"\x05\xff"),
        (SOCKS, b"\x05\x02\x01\x01"),
    )
    def test_stranger(self, proxy: Proxy, answer: bytes) -> None:
        """A proxy that doesn't know us wants credentials, or doesn't take ours."""
        for username, expected in (("", "wants a user name"), ("me", "doesn't take this")):
            shaking = handshake(attrs.evolve(proxy, username=username), "registry.example", 443)
            shaking.begin()
            error = self.assertRaises(ProxyError, shaking.receive, answer)
            if username or len(answer) != 4:  # without credentials no method asks for them
                self.assertIn(expected, str(error))

    @each(b"HTTP/1.1 400 Bad Request", b"SSH-2.0-x")
    def test_another_server(self, answer: bytes) -> None:
        """What speaks another protocol is no proxy."""
        shaking = handshake(SOCKS, "registry.example", 443)
        shaking.begin()
        error = self.assertRaises(ProxyError, shaking.receive, answer)
        self.assertIn("is no SOCKS5 proxy", str(error))

    def test_noise(self) -> None:
        """Whatever a proxy says, the handshake waits, ends or fails as one of a proxy."""
        random = Random(5)
        for number in range(3000):
            proxy = (HTTP, SOCKS)[number % 2]
            shaking = handshake(proxy, "registry.example", 443)
            shaking.begin()
            start = random.choice([b"", b"HTTP/1.1 ", b"\x05\x00\x05\x00\x00", b"\x05\x00"])
            data = start + random.randbytes(random.randrange(1, 40))
            try:
                for octet in data:
                    if shaking.rest is None:
                        shaking.receive(bytes([octet]))
            except ProxyError as error:
                self.assertIn("proxy.example", str(error))
