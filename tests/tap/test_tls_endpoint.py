"""TLS whose certificate is replaced while it serves."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import time
from contextlib import closing
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint, IStreamServerEndpointStringParser
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import ConfigurationError
from p2pchat.identity.keys import Identity
from p2pchat.tap.tls_endpoint import LOOK, CertificateFiles, TLSParser, read_context
from p2pchat.wire.documents import Body, Registration, Sealed, Subscription
from tests.openapi.signing import person, sign
from tests.registry.process import PATIENCE, RegistryProcess, running_registry


def make_certificate(directory: Path, name: str) -> None:
    """Make a key and a self-signed certificate, as the documentation says, and move them in."""
    new = [directory / "key.new", directory / "chain.new"]
    if shutil.which("openssl") is None:
        raise SkipTest("needs openssl")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    files = ["-keyout", str(new[0]), "-out", str(new[1])]
    extra = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]
    subprocess.run([*command.split(), *files, *extra], check=True, capture_output=True)
    for path in new:
        path.replace(path.with_suffix(".pem"))


class FilesCase(SynchronousTestCase):
    """A directory with a key and a certificate."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        self.key, self.chain = (str(self.directory / f"{one}.pem") for one in ("key", "chain"))


class CertificateFilesTests(FilesCase):
    """When the files are read; contexts are numbers here."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.reads = 0
        self.problem: Exception | None = None
        self.write("first")
        self.files = CertificateFiles(self.key, self.chain, self.clock, self.read)

    def write(self, text: str) -> None:
        """Write both files."""
        for path in (self.key, self.chain):
            Path(path).write_text(text, encoding="ascii")

    def read(self, private_key: str, certificates: str) -> int:
        """Count, or fail."""
        self.assertEqual((private_key, certificates), (self.key, self.chain))
        if self.problem is not None:
            raise self.problem
        self.reads += 1
        return self.reads

    def later(self) -> Any:
        """Return the context after the next look."""
        self.clock.advance(LOOK)
        return self.files.context()

    def test_unchanged(self) -> None:
        """Files that are as they were are read once."""
        self.assertEqual([self.later() for _ in range(3)], [1, 1, 1])

    def test_changed(self) -> None:
        """Files that changed are read again, at the next look and no sooner."""
        self.write("the second")
        self.assertEqual(self.files.context(), 1)
        self.assertEqual([self.later(), self.later()], [2, 2])

    def test_half_changed(self) -> None:
        """What can't be used changes nothing, is told once, and is tried again when it changes."""
        for error in (ValueError("no key"), PermissionError("not yours")):
            self.problem = error
            self.write(f"wrong: {error}")
            self.assertEqual([self.later(), self.later()], [1, 1])
        os.unlink(self.key)
        self.assertEqual(self.later(), 1)
        self.problem = None
        self.write("right")
        self.assertEqual(self.later(), 2)


class EndpointTests(FilesCase):
    """The endpoint string."""

    def test_interfaces(self) -> None:
        """They are what Twisted wants."""
        for interface in (IPlugin, IStreamServerEndpointStringParser):
            self.assertTrue(verifyObject(interface, TLSParser()))
        endpoint = serverFromString(MemoryReactorClock(), "tlsfiles:443:privateKey=key.pem")
        self.assertTrue(verifyObject(IStreamServerEndpoint, endpoint))

    def test_listens(self) -> None:
        """It listens where the string says, and the files may be one."""
        make_certificate(self.directory, "first")
        Path(self.key).write_bytes(Path(self.key).read_bytes() + Path(self.chain).read_bytes())
        both = f"tlsfiles:443:privateKey={self.key}"
        for string, interface in (
            (both, ""),
            (f"{both}:certKey={self.chain}:interface=192.0.2.1", "192.0.2.1"),
            (f"{both}:interface=\\:\\:", "::"),
        ):
            reactor = MemoryReactorClock()
            self.successResultOf(serverFromString(reactor, string).listen(Factory()))
            ((port, _, _, found),) = reactor.tcpServers
            self.assertEqual((port, found), (443, interface))

    def test_refused(self) -> None:
        """Files that can't be used at the start are one line that says which and why."""
        make_certificate(self.directory, "first")
        other = Path(self.mktemp())
        other.mkdir()
        make_certificate(other, "other")
        for key, chain, words in (
            (self.key, "nowhere.pem", "nowhere.pem"),
            (self.key, self.key, "no certificate in PEM form"),
            (self.chain, self.chain, "can't be used"),
            (self.key, str(other / "chain.pem"), "can't be used"),
        ):
            endpoint = serverFromString(
                MemoryReactorClock(), f"tlsfiles:443:privateKey={key}:certKey={chain}"
            )
            failure = self.failureResultOf(endpoint.listen(Factory()), ConfigurationError)
            self.assertIn(words, str(failure.value))

    def test_chain(self) -> None:
        """Certificates that follow the first are sent too."""
        make_certificate(self.directory, "first")
        Path(self.chain).write_bytes(2 * Path(self.chain).read_bytes())
        self.assertTrue(read_context(self.key, self.chain))


class ProcessTests(FilesCase):
    """The real program, with certificates made by openssl."""

    def connect(self, registry: RegistryProcess) -> HTTPSConnection:
        """Return a connection that trusts the certificate of the moment, and the first one."""
        context = ssl.create_default_context(cafile=self.chain)
        context.load_verify_locations(cadata=self.first)
        return HTTPSConnection("127.0.0.1", registry.port, timeout=PATIENCE, context=context)

    def served(self, registry: RegistryProcess) -> str:
        """Return the name in the certificate that new connections are shown."""
        with closing(self.connect(registry)) as connection:
            connection.connect()
            certificate: Any = connection.sock.getpeercert()
            return str(dict(pair for name in certificate["subject"] for pair in name)["commonName"])

    def send(
        self, registry: RegistryProcess, path: str, who: Identity, body: Body, to: str = ""
    ) -> None:
        """Post a document, on a connection of its own."""
        kind = {"Content-Type": "application/jose"}
        with closing(self.connect(registry)) as connection:
            connection.request("POST", path, sign(who, to or self.audience(registry), body), kind)
            response = connection.getresponse()
            self.assertLess(response.status, 300, response.read())

    def audience(self, registry: RegistryProcess) -> str:
        """Return the registry's name."""
        return f"https://127.0.0.1:{registry.port}"

    def subscribe(self, registry: RegistryProcess, who: Identity) -> HTTPResponse:
        """Open an event stream."""
        connection = self.connect(registry)
        signed = sign(who, self.audience(registry), Subscription())
        headers = {"Authorization": f"JWS {signed}"}
        connection.request("GET", f"/events/{who.peer_id}", headers=headers)
        response = connection.getresponse()
        self.assertEqual((response.status, response.readline()), (200, b"event: ready\n"))
        self.addCleanup(connection.close)
        return response

    def test_replaced(self) -> None:
        """A new certificate is used for new connections; an event stream goes on meanwhile."""
        make_certificate(self.directory, "first")
        self.first = Path(self.chain).read_text(encoding="ascii")
        listen = f"tlsfiles:0:privateKey={self.key}:certKey={self.chain}:interface=127.0.0.1"
        with running_registry(listen=listen) as registry:
            self.assertEqual(self.served(registry), "first")
            alice, bob = person(1), person(2)
            self.send(registry, "/register", alice, Registration("alice"))
            self.send(registry, "/register", bob, Registration("bob"))
            with closing(self.subscribe(registry, alice)) as stream:
                make_certificate(self.directory, "second")
                deadline = time.monotonic() + PATIENCE
                while (name := self.served(registry)) == "first":
                    self.assertLess(time.monotonic(), deadline)
                self.assertEqual(name, "second")
                self.send(registry, f"/deliver/{alice.peer_id}", bob, Sealed(b""), alice.peer_id)
                registry.terminate()
                said = stream.read()
        self.assertIn(b"event: document", said)
        self.assertIn(b"event: bye", said)
