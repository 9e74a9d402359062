"""From STUN URLs to addresses."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.peer.stun_servers import MAX_URLS, parse_stun_url, relay_servers, stun_addresses
from p2pchat.wire.addresses import Address
from p2pchat.wire.turn import RelayServer, Transport
from tests.simulation.internet import Internet
from tests.simulation.world import runtime_on


class ParseTests(SynchronousTestCase):
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
        """Other schemes, no host, no port, and what isn't text."""
        for url in (
            *("", "stun", "stun:", "stuns:example.org", "http://example.org", "stun:a:0"),
            *("stun:a:65536", "stun:a:b", "stun:a:", "stun:user@a", "stun:a b"),
            *("stun:a:" + "9" * 5000, "stun:a:٣"),
            *("stun:[::1", "stun:2001:db8::1x", None, 5, ["stun:a"]),
        ):
            with self.subTest(url=url):
                self.assertRaises(RemoteProtocolError, parse_stun_url, url)


class NamesCase(SynchronousTestCase):
    """A host in a simulated internet, whose names the test gives out."""

    def setUp(self) -> None:
        self.host = Internet(1).host()
        self.runtime = runtime_on(self.host, Random(1))

    def know(self, known: dict[str, str]) -> None:
        """Give names, the first labels of which are these, an address."""
        dns, dns6 = self.host.internet.dns, self.host.internet.dns6
        for name, address in known.items():
            (dns6 if ":" in address else dns)[f"{name.removesuffix('_6')}.test"] = address

    def result(self, found: Deferred[Any]) -> Any:
        """Let the resolver work, and return what was found."""
        self.host.internet.run(0.1)
        return self.successResultOf(found)


class AddressTests(NamesCase):
    """What can be sent to."""

    def addresses(self, urls: object, **known: str) -> list[Address]:
        """Return the addresses that these URLs name, with these names known."""
        self.know(known)
        found: list[Address] = self.result(stun_addresses(self.runtime, urls))
        return found

    def test_resolved(self) -> None:
        """Literals are taken as they are, names resolved; the order stays."""
        found = self.addresses(["stun:a.test:1", "stun:192.0.2.1:2"], a="198.51.100.1")
        self.assertEqual(found, [("198.51.100.1", 1), ("192.0.2.1", 2)])

    def test_both_families(self) -> None:
        """A name with addresses of both families is asked at both; a literal may be of either."""
        urls = ["stun:a.test:1", "stun:[2001:db8::7]:2"]
        found = self.addresses(urls, a="198.51.100.1", a_6="2001:db8::1")
        ipv6 = [("2001:db8::1", 1), ("2001:db8::7", 2)]
        self.assertEqual(found, [("198.51.100.1", 1), *ipv6])

    def test_left_out(self) -> None:
        """What can't be read, resolved or sent to is left out, and the rest stays."""
        urls: list[object] = ["nonsense", None, "stun:gone.test", "stun:many.test"]
        urls += ["stun:[fe80::1]"]
        urls += ["stun:224.0.0.1", "stun:0.0.0.0", "stun:192.0.2.1:9"]
        found = self.addresses(urls, many="239.1.1.1")
        self.assertEqual(found, [("192.0.2.1", 9)])

    def test_loopback(self) -> None:
        """A registry on this machine has its STUN service here."""
        self.assertEqual(self.addresses(["stun:127.0.0.1:5"]), [("127.0.0.1", 5)])

    def test_no_list(self) -> None:
        """A registry without STUN, or with nonsense in its place, leaves us without."""
        nonsense: tuple[object, ...] = (None, [], "stun:192.0.2.1", {"a": 1}, 7)
        for urls in nonsense:
            self.assertEqual(self.addresses(urls), [])

    def test_many(self) -> None:
        """A long list makes no flood of lookups."""
        names = [f"n{number}" for number in range(1000)]
        known = {name: f"198.51.{n >> 8}.{n & 255}" for n, name in enumerate(names)}
        found = self.addresses([f"stun:{name}.test" for name in names], **known)
        self.assertEqual(len(found), MAX_URLS)


class RelayTests(NamesCase):
    """Relays, of which those over UDP need an address."""

    def servers(self, urls: object, **known: str) -> list[tuple[RelayServer, Address | None]]:
        """Return the relays that these URLs name, with these names known."""
        self.know(known)
        found: list[tuple[RelayServer, Address | None]] = self.result(
            relay_servers(self.runtime, urls)
        )
        return found

    def test_read(self) -> None:
        """The order stays; who connects over TCP or TLS resolves the name by itself."""
        urls = ["turns:r.test", "turn:r.test", "turn:r.test:80?transport=tcp", "turn:192.0.2.1"]
        found = self.servers(urls, r="198.51.100.1")
        self.assertEqual(
            found,
            [
                (RelayServer("r.test", 5349, Transport.TLS), None),
                (RelayServer("r.test", 3478, Transport.UDP), ("198.51.100.1", 3478)),
                (RelayServer("r.test", 80, Transport.TCP), None),
                (RelayServer("192.0.2.1", 3478, Transport.UDP), ("192.0.2.1", 3478)),
            ],
        )

    def test_both_families(self) -> None:
        """A relay over UDP comes once for each of its addresses."""
        found = self.servers(["turn:r.test"], r="198.51.100.1", r_6="2001:db8::1")
        server = RelayServer("r.test", 3478, Transport.UDP)
        addresses = [("198.51.100.1", 3478), ("2001:db8::1", 3478)]
        self.assertEqual(found, [(server, address) for address in addresses])

    def test_left_out(self) -> None:
        """What can't be read, resolved or sent to is left out, and the rest stays."""
        urls = ["turn:gone.test", "turn:224.0.0.1", "stun:r.test", None, "turn:", "turns:b.test"]
        self.assertEqual([address for _, address in self.servers(urls)], [None])

    def test_no_list(self) -> None:
        """A registry with nonsense in its place, or too many, does no harm."""
        nonsense: tuple[object, ...] = (None, [], "turn:192.0.2.1", {"a": 1}, 7)
        for urls in nonsense:
            self.assertEqual(self.servers(urls), [])
        many = self.servers([f"turns:n{number}.test" for number in range(1000)])
        self.assertEqual(len(many), MAX_URLS)
