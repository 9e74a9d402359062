"""What a person reads of a server whose TLS is wrong, over the simulated internet."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, CertificateOptions, PrivateCertificate, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from p2pchat.errors import RegistryError
from p2pchat.peer.foreign_answers import ForeignAnswer
from p2pchat.peer.http_client import HttpClient
from p2pchat.peer.registry_location import RegistryLocation
from p2pchat.peer.tls import ServerTls
from p2pchat.registry.http.resource import RegistryResource
from tests.cases import each
from tests.certificates import Authority, make_certificate
from tests.identity.people import ALICE
from tests.peer.registry_case import RegistryCase
from tests.peer.test_registry_client import Page

HOST, PORT = "203.0.113.80", 8443
NAME = "registry.test"
URL = f"https://{NAME}:{PORT}"
ROOT = Authority("Lab Root")


class TlsCase(RegistryCase):
    """A server of the test's, and a client that trusts one authority."""

    def setUp(self) -> None:
        super().setUp()
        self.other = self.world.internet.host(HOST)
        self.world.internet.dns[NAME] = HOST

    def serve(self, options: Any, factory: Any = None) -> None:
        """Listen, over TLS if there are options for it."""
        factory = factory or Site(Page(200, b"{}"), reactor=self.other.reactor)
        if options is not None:
            clock = self.other.reactor
            factory = TLSMemoryBIOFactory(options, False, factory, clock=clock)
        self.other.reactor.listenTCP(PORT, factory)

    def certified(self, pem: bytes, **options: Any) -> CertificateOptions:
        """Return a server's options with this certificate."""
        loaded = PrivateCertificate.loadPEM(pem)
        return CertificateOptions(
            privateKey=loaded.privateKey.original, certificate=loaded.original, **options
        )

    def ask(self, url: str = URL) -> Any:
        """Return the answer to a request, or the error that the person reads."""
        runtime = self.runtime(self.host)
        trust = Certificate.loadPEM(ROOT.certificate)
        client = HttpClient(url, runtime, RegistryLocation(url, lambda _: None), trust)
        try:
            return self.result(client.ask("GET", "/status", {}))
        except RegistryError as error:
            text = str(error)
            self.assertEqual(text, " ".join(text.split()))
            for internal in ("SSL", "routines", "Error", "Mismatch", "verify failed", "['"):
                self.assertNotIn(internal, text)
            return error
        finally:
            self.result(client.close())
            self.run_for(3)
            self.assertEqual(len(self.host.connections), 0)


class CertificateTests(TlsCase):
    """Certificates."""

    def test_interface(self) -> None:
        """It is what Twisted makes a client's connections by."""
        made = ServerTls(NAME, self.runtime(self.host).wall_time)
        verifyObject(IOpenSSLClientConnectionCreator, made)

    def refusal(self, pem: bytes) -> str:
        """Return what is said of a server with this certificate."""
        self.serve(self.certified(pem))
        error = self.ask()
        self.assertIsInstance(error, ForeignAnswer)
        return str(error)

    def test_good(self) -> None:
        """A good one is taken."""
        self.serve(self.certified(ROOT.sign("*.example.test", NAME)))
        self.assertEqual(self.ask().body, b"{}")

    def test_expired(self) -> None:
        """Of one that has expired it is said since when, and what this machine's clock says."""
        said = self.refusal(ROOT.sign(NAME, since=-9, until=-3))
        self.assertRegex(said, r"was valid until 20\d\d-\d\d-\d\d \d\d:\d\d UTC, and this machine")
        self.assertIn("2027-", said)  # the clock of the simulation
        self.assertIn("else set the clock", said)

    def test_not_yet_valid(self) -> None:
        """Of one that isn't valid yet it is said that the clock may be wrong."""
        said = self.refusal(ROOT.sign(NAME, since=3, until=9))
        self.assertRegex(said, r"is valid from 20\d\d-.* on, and this machine's clock says")
        self.assertIn("perhaps the clock is wrong", said)

    def test_self_signed(self) -> None:
        """One that signs itself is said to, with its name and who may have put it there."""
        private, certificate = make_certificate(HOST)
        said = self.refusal(certificate + private)
        self.assertIn(f"is signed by itself ('{HOST}')", said)
        self.assertIn("captive portal", said)

    def test_unknown_root(self) -> None:
        """One of somebody whom this machine doesn't know is said to be, by name."""
        said = self.refusal(Authority("Antivirus \x1b[2J Web Shield").sign(NAME))
        self.assertIn(r"is signed by 'Antivirus \x1b[2J Web Shield', whom this machine", said)

    def test_wrong_name(self) -> None:
        """One for another host: which it is for, a few of many, and made harmless."""
        said = self.refusal(ROOT.sign("other.example", *(f"n{n}.example" for n in range(9))))
        names = "other.example, n0.example, n1.example and 7 more"
        self.assertIn(f"is for {names}, not for {NAME}", said)

    @each((("*.test",), "*.test"), (("*",), "*"), ((), "no name"))
    def test_odd_names(self, hosts: tuple[str, ...], names: str) -> None:
        """One whose names no server can have, or that has none, is told for what it is."""
        self.assertIn(f"is for {names}, not for {NAME}", self.refusal(ROOT.sign(*hosts)))


class Saying(Protocol):
    """A server that says the same to whatever comes, and hangs up."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        assert self.transport is not None
        self.transport.write(self._said)
        self.transport.loseConnection()


def alert(number: int) -> bytes:
    """Return a fatal alert (RFC 8446 section 6)."""
    return b"\x15\x03\x03\x00\x02\x02" + bytes([number])


class HandshakeTests(TlsCase):
    """Handshakes."""

    @each(
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers there speaks no TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what answers there speaks no TLS"),
        (alert(40), "no encryption in common"),
        (alert(70), "another version of TLS"),
        (alert(80), "it has trouble of its own"),
        (alert(112), "doesn't know the name"),
        (alert(116), "wants a certificate of ours"),
        (alert(255), "TLS was broken off"),
        (b"", "the connection was closed"),
    )
    def test_answers(self, said: bytes, words: str) -> None:
        """Whatever a server answers in place of a handshake."""
        self.serve(None, Factory.forProtocol(lambda: Saying(said)))
        self.assertIn(words, str(self.ask()))

    def test_tls_port(self) -> None:
        """HTTP to a server that speaks TLS there."""
        self.serve(None, Factory.forProtocol(lambda: Saying(alert(70))))
        self.assertIn("it speaks TLS there", str(self.ask(URL.replace("https", "http"))))

    @each(
        b"<h1>The plain HTTP request was sent to HTTPS port</h1>",
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"You're speaking plain HTTP to an SSL-enabled server port.",
    )
    def test_tls_port_page(self, page: bytes) -> None:
        """HTTP to a server that knows it, and says so on a page."""
        self.serve(None, Site(Page(400, page), reactor=self.other.reactor))
        client = self.make_client(ALICE, self.host, URL.replace("https", "http"))
        error = self.refused(client.status(), ForeignAnswer)
        self.assertIn("speaks TLS there: its address begins with https://", str(error))

    def test_registry_without_tls(self) -> None:
        """A registry of ours that has none says so at once."""
        self.serve(None, RegistryResource(self.world.registry).site())
        self.assertIn("speaks no TLS", str(self.ask()))

    def test_registry_with_tls(self) -> None:
        """A server of Twisted's hangs up on who speaks HTTP to TLS: that is told for a reason."""
        self.serve(self.certified(ROOT.sign(NAME)))
        said = str(self.ask(URL.replace("https", "http")))
        self.assertIn("if it speaks TLS there, its address begins with https://", said)

    def test_no_encryption_in_common(self) -> None:
        """A server that knows no encryption that this program knows."""
        options = self.certified(ROOT.sign(NAME), lowerMaximumSecurityTo=TLSVersion.TLSv1_2)
        options.getContext().set_cipher_list(b"AES128-SHA@SECLEVEL=0")
        self.serve(options)
        self.assertIn("no encryption in common", str(self.ask()))
