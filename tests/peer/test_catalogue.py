"""The question what a peer lets us open; the honest answer is in test_services."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.peer.catalogue import MAX_BODY, CatalogueReader
from tests.cases import each


class CatalogueReaderTests(SynchronousTestCase):
    """A peer that answers whatever it likes."""

    def setUp(self) -> None:
        self.reader, self.transport = CatalogueReader(), StringTransport()
        protocol = self.reader.buildProtocol(None)
        assert protocol is not None
        self.protocol = protocol
        self.protocol.makeConnection(self.transport)

    def answer(self, *pieces: bytes) -> None:
        """Let it answer, and end."""
        for one in pieces:
            self.protocol.dataReceived(one)
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def test_pieces(self) -> None:
        """The answer may come in pieces; names that can't be any are left out."""
        self.answer(b'{"services":["we', b'b","../x","Web","ssh"],"newer":1}')
        self.assertEqual(self.successResultOf(self.reader.names), ["web", "ssh"])

    @each(b"", b"{", b"[]", b'{"services":1}', b'{"services":[1]}', b"\xff")
    def test_nonsense(self, body: bytes) -> None:
        """What makes no sense is an error that says so."""
        self.answer(body)
        failure = self.failureResultOf(self.reader.names, RemoteProtocolError)
        self.assertIn("their list of services", str(failure.value))

    def test_endless(self) -> None:
        """One that never ends is cut off, and nothing more of it is kept."""
        for _ in range(3):
            self.protocol.dataReceived(b" " * MAX_BODY)
        self.assertTrue(self.transport.disconnecting)
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(self.reader.names, RemoteProtocolError)
