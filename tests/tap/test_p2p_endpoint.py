"""Endpoint strings for people: what they mean, and what is said of wrong ones."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.interfaces import (
    IStreamClientEndpoint,
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.internet.task import Clock
from twisted.internet.testing import AccumulatingProtocol
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import NoSuchContact, PeerOffline
from p2pchat.tap.p2p_endpoint import (
    PeerClientEndpoint,
    PeerClientParser,
    PeerServerEndpoint,
    PeerServerParser,
)
from p2pchat.tap.profiles import DEFAULT_PROFILE, directory_of
from tests.cases import each
from tests.identity.people import ALICE, BOB
from tests.peer.test_services import ServicesCase, transport_of

OWN: tuple[object, ...] = (Clock(), DEFAULT_PROFILE)


class StringTests(SynchronousTestCase):
    """What a string means, as stock programs hand it on."""

    def client(self, text: str) -> PeerClientEndpoint:
        """Return the endpoint of a client's string."""
        found: Any = clientFromString(OWN[0], text)
        assert isinstance(found, PeerClientEndpoint)
        return found

    def server(self, text: str) -> PeerServerEndpoint:
        """Return the endpoint of a server's."""
        found: Any = serverFromString(OWN[0], text)
        assert isinstance(found, PeerServerEndpoint)
        return found

    def test_interfaces(self) -> None:
        """They are plugins and parsers of Twisted's, and make endpoints."""
        for one in (PeerClientParser(), PeerServerParser()):
            self.assertTrue(verifyObject(IPlugin, one))
        client, server = PeerClientParser(), PeerServerParser()
        self.assertTrue(verifyObject(IStreamClientEndpointStringParserWithReactor, client))
        self.assertTrue(verifyObject(IStreamServerEndpointStringParser, server))
        self.assertTrue(verifyObject(IStreamClientEndpoint, self.client("p2p:bob:web")))
        self.assertTrue(verifyObject(IStreamServerEndpoint, self.server("p2p:web")))

    @each(
        ("p2p:bob:web", ("bob", "web", "any", 30.0)),
        ("p2p:bob:web:path=direct:timeout=5", ("bob", "web", "direct", 5.0)),
        ("p2p:peer=bob:service=web", ("bob", "web", "any", 30.0)),
        (f"p2p:{BOB.peer_id}:ssh", (BOB.peer_id, "ssh", "any", 30.0)),
        (r"p2p:a\:b:web", ("a:b", "web", "any", 30.0)),
    )
    def test_clients(self, text: str, expected: tuple[object, ...]) -> None:
        """Whom it reaches, and how."""
        one = self.client(text)
        self.assertEqual((one.peer, one.service, one.path, one.timeout), expected)
        self.assertEqual(one.profile, DEFAULT_PROFILE)

    @each(
        ("p2p:web", ("web", ())),
        ("p2p:web:allow=bob,carol", ("web", ("bob", "carol"))),
        ("p2p:web:allow=contacts", ("web", ("contacts",))),
        ("p2p:service=web:allow=anyone", ("web", ("anyone",))),
    )
    def test_servers(self, text: str, expected: tuple[object, ...]) -> None:
        """What it offers, and to whom."""
        one = self.server(text)
        self.assertEqual((one.service, one.allow), expected)

    def test_profile(self) -> None:
        """Either may name a profile."""
        self.assertEqual(self.client("p2p:bob:web:profile=work").profile, "work")
        self.assertEqual(self.server("p2p:web:profile=work").profile, "work")

    @each(
        *("p2p:bob", "p2p:", "p2p:bob:", "p2p::web", "p2p:bob:web:8080", "p2p:bob:web:bogus=1"),
        *("p2p:bob:Web", "p2p:bob:web:path=fast", "p2p:bob:web:timeout=soon", "p2p:bob:p2pchat.x"),
        *("p2p:bob:web:timeout=0", "p2p:bob:web:timeout=nan", "p2p:bob:web:service=web"),
        *("p2p:bob:web:timeout=1e9", "p2p:bob:../x", "p2p:web:peer=bob:service=web"),
    )
    def test_wrong_clients(self, text: str) -> None:
        """A wrong string gets a sentence with an example, never another error."""
        error = self.assertRaises(ValueError, clientFromString, OWN[0], text)
        self.assertIn("for example p2p:bob:web", str(error))

    @each(
        *("p2p", "p2p:", "p2p:web:8080", "p2p:bob:web", "p2p:web:port=1", "p2p:Web"),
        *("p2p:web:allow=", "p2p:web:allow=,", "p2p:p2pchat.files", "p2p:web:service=web"),
    )
    def test_wrong_servers(self, text: str) -> None:
        """Likewise where something is offered."""
        error = self.assertRaises(ValueError, serverFromString, OWN[0], text)
        self.assertIn("for example p2p:web", str(error))

    def test_light(self) -> None:
        """What ``twistd`` imports at each start is no node, no web, no QUIC and no reactor."""
        program = (
            "import sys; import twisted.plugins.p2pchat_plugins; "
            "print([one for one in ('qh3', 'klein', 'p2pchat.peer.node', 'twisted.web', 'nacl', "
            "'twisted.internet.reactor', 'p2pchat.resident') if one in sys.modules])"
        )
        done = run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.strip(), "[]")


class UseTests(ServicesCase):
    """Strings at work, with the nodes of two profiles."""

    def setUp(self) -> None:
        super().setUp()
        self.found: list[Path] = []
        self.refusal: Exception | None = None

    def find(self, reactor: object, directory: Path) -> Deferred[Any]:
        """Return the node of a profile."""
        self.found.append(directory)
        if self.refusal is not None:
            return fail(self.refusal)
        side = self.bob if directory == Path(directory_of("bobs")) else self.alice
        return succeed(side.services)

    def test_both(self) -> None:
        """What is offered under a string is reached by one, and nothing begins before."""
        server = PeerServerParser(self.find).parseStreamServer(
            self.clock, "web", allow="alice", profile="bobs"
        )
        client = PeerClientParser(self.find).parseStreamClient(self.clock, "bob", "web")
        self.assertEqual(self.found, [])
        port = self.successResultOf(server.listen(self.factory()))
        ours: AccumulatingProtocol = self.successResultOf(
            connectProtocol(client, AccumulatingProtocol())
        )
        transport_of(ours).write(b"hello")
        self.settle()
        self.assertEqual(self.served[0].data, b"hello")
        address: Any = port.getHost()
        self.assertEqual(address.client_string(), f"p2p:{BOB.peer_id}:web")
        peer: Any = transport_of(self.served[0]).getPeer()
        self.assertEqual((peer.host, peer.port), (ALICE.peer_id, 0))
        self.assertEqual(self.found, [Path(directory_of(one)) for one in ("bobs", "default")])

    def test_refused(self) -> None:
        """What can't be is said by the endpoint."""
        parse = PeerClientParser(self.find).parseStreamClient
        nobody = parse(self.clock, "dave", "web")
        self.failureResultOf(nobody.connect(self.factory()), NoSuchContact)
        listening = PeerServerParser(self.find).parseStreamServer(self.clock, "web", allow="dave")
        self.failureResultOf(listening.listen(self.factory()), NoSuchContact)
        self.refusal = PeerOffline()
        self.failureResultOf(nobody.connect(self.factory()), PeerOffline)
