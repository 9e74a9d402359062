"""From STUN URLs to addresses."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import DNSLookupError
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.peer.stun_servers import MAX_URLS, parse_stun_url, relay_servers, stun_addresses
from p2pchat.wire.addresses import Address
from p2pchat.wire.turn import RelayServer, Transport


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


class Names:
    """A reactor, as far as names go."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.asked: list[str] = []

    def resolve(self, name: str, timeout: object = None) -> Deferred[str]:
        """Look a name up."""
        self.asked.append(name)
        found = self.known.get(name.partition(".")[0])
        return succeed(found) if found else fail(DNSLookupError(f"no {name}"))


class AddressTests(SynchronousTestCase):
    """What can be sent to."""

    def addresses(self, urls: object, **known: str) -> list[Address]:
        """Return the addresses that these URLs name, with these names known."""
        self.reactor = Names(**known)
        found: list[Address] = self.successResultOf(stun_addresses(self.reactor, urls))
        return found

    def test_resolved(self) -> None:
        """Literals need no resolver, names do; the order stays."""
        found = self.addresses(["stun:a.test:1", "stun:192.0.2.1:2"], a="198.51.100.1")
        self.assertEqual(found, [("198.51.100.1", 1), ("192.0.2.1", 2)])
        self.assertEqual(self.reactor.asked, ["a.test"])

    def test_left_out(self) -> None:
        """What can't be read, resolved or sent to is left out, and the rest stays."""
        urls: list[object] = ["nonsense", None, "stun:gone.test", "stun:many.test", "stun:six.test"]
        urls += ["stun:224.0.0.1", "stun:0.0.0.0", "stun:192.0.2.1:9"]
        found = self.addresses(urls, many="239.1.1.1", six="2001:db8::1")
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
        self.addresses([f"stun:n{number}.test" for number in range(1000)])
        self.assertEqual(len(self.reactor.asked), MAX_URLS)


class RelayTests(SynchronousTestCase):
    """Relays, of which those over UDP need an address."""

    def servers(self, urls: object, **known: str) -> list[tuple[RelayServer, Address | None]]:
        """Return the relays that these URLs name, with these names known."""
        self.reactor = Names(**known)
        found: list[tuple[RelayServer, Address | None]] = self.successResultOf(
            relay_servers(self.reactor, urls)
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
        self.assertEqual(self.reactor.asked, ["r.test"])

    def test_unresolved(self) -> None:
        """A relay whose name nobody knows has no address; what can't be read is left out."""
        found = self.servers(["turn:gone.test", "turn:224.0.0.1", "stun:r.test", None, "turn:"])
        self.assertEqual([address for _, address in found], [None, None])

    def test_no_list(self) -> None:
        """A registry with nonsense in its place, or too many, does no harm."""
        nonsense: tuple[object, ...] = (None, [], "turn:192.0.2.1", {"a": 1}, 7)
        for urls in nonsense:
            self.assertEqual(self.servers(urls), [])
        self.servers([f"turn:n{number}.test" for number in range(1000)])
        self.assertEqual(len(self.reactor.asked), MAX_URLS)
