"""
Bulk over QUIC on UDP sockets of p2pchat: its own link, and the bare engine without p2pchat.

Both have the same sockets, the same sizes and the same window.  The link is that of two whole
endpoints with their drivers, which found their path by checks; only their signed documents go over
a TCP connection in place of a registry.  The bulk goes as frames on a stream
beside the conversation's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import attrs
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection
from qh3.quic.events import HandshakeCompleted, StreamDataReceived
from qh3.tls import SignatureAlgorithm, load_pem_private_key, load_pem_x509_certificates
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory
from twisted.protocols.basic import Int32StringReceiver

from benchmarks.bulk import AHEAD, CHUNK, Tally
from p2pchat import events
from p2pchat.host_addresses import HostAddress
from p2pchat.identity.keys import Identity
from p2pchat.identity.proof import make_certificate
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.endpoint_adapter import EndpointAdapter
from p2pchat.peer.udp import BatchProtocol, listen
from p2pchat.runtime import real_runtime
from p2pchat.session import qh3_connection
from p2pchat.session.approval import AcceptPolicy
from p2pchat.session.endpoint import Endpoint
from p2pchat.session.stages import DocumentReady, SessionContext
from p2pchat.session.streams import MAX_WINDOW
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.relays import Relays
from p2pchat.wire.addresses import Address, Family
from p2pchat.wire.documents import Document
from p2pchat.wire.framing import LENGTH, encode_frame
from p2pchat.wire.strict_json import dumps, loads

LOOPBACK = "127.0.0.1"
KIND = "bulk"  # of streams
_ZEROS = bytes(CHUNK)

reactor: Any = installed_reactor


class Documents(Int32StringReceiver):
    """A connection that carries documents, and first who each side is."""

    def __init__(self, carrier: LinkCarrier) -> None:
        self._carrier = carrier

    def connectionMade(self) -> None:
        """Say who we are."""
        self.sendString(self._carrier.peer_id.encode())

    def stringReceived(self, string: bytes) -> None:
        """Take a document, or who the other one is."""
        if string[:1] == b"{":
            self._carrier.document_came(Document.from_json(loads(string)))
        else:
            self._carrier.met(string.decode(), self)


@attrs.define(eq=False)
class BulkReader:
    """Takes bulk as fast as it comes."""

    arrived: Callable[[int], object]
    most: int = MAX_WINDOW
    may_receive: bool = True
    _taken: int = 0

    def receive(self, body: bytes, _now: float) -> None:
        """Take a frame."""
        self._taken += LENGTH + len(body)
        self.arrived(len(body))

    def next_taken(self) -> int:
        """Return how many bytes were taken."""
        taken, self._taken = self._taken, 0
        return taken


@attrs.define(eq=False)
class BulkWriter:
    """Writes frames of nothing."""

    left: int = 0

    def next_bytes(self, most: int, enough: int, _now: float) -> bytes:
        """Return a frame, as long as may be."""
        size = min(self.left, most - LENGTH, enough)
        if size <= 0:
            return b""
        self.left -= size
        return encode_frame(_ZEROS[:size])


class LinkCarrier:
    """Two endpoints of p2pchat, in conversation."""

    def __init__(self) -> None:
        identity, runtime = Identity.from_seed(os.urandom(32)), real_runtime(reactor)
        self.peer_id = identity.peer_id
        runtime = attrs.evolve(runtime, interface_addresses=lambda: [HostAddress(LOOPBACK)])
        context = SessionContext(
            identity,
            make_certificate(os.urandom(32), time.time()),
            "bulk",
            3,
            Agent(DualGathering((), os.urandom, True), Relays(os.urandom), False, os.urandom),
            lambda now: now + (time.time() - runtime.clock.seconds()),
            os.urandom,
        )
        endpoint = Endpoint(context, AcceptPolicy.ALL, 15.0, Contacts().__getitem__)
        self._adapter = EndpointAdapter(runtime, endpoint, self._react)
        self._adapter.bind(0)
        self._bulk = BulkWriter()
        self._documents: Documents | None = None
        self._other = ""
        self._tally: Tally | None = None
        self._ready: Deferred[object] = Deferred()
        self._done: Deferred[object] = Deferred()

    def receive(self, tally: Tally) -> Deferred[str]:
        """Wait for the other endpoint's offer."""
        self._tally = tally
        port = reactor.listenTCP(0, self._factory(), interface=LOOPBACK)
        return succeed(str(port.getHost().port))

    def reach(self, where: str) -> Deferred[object]:
        """Call the other endpoint."""
        TCP4ClientEndpoint(reactor, LOOPBACK, int(where)).connect(self._factory())
        return self._ready

    def _factory(self) -> Factory:
        return Factory.forProtocol(lambda: Documents(self))

    def met(self, peer_id: str, documents: Documents) -> None:
        """The other one is there."""
        self._other, self._documents = peer_id, documents
        endpoint = self._adapter.endpoint
        session = endpoint.ensure_session(peer_id)
        arrived = self._done.callback if self._tally is None else self._arrived
        reader = BulkReader(arrived)
        session.link.kinds[KIND] = lambda _opening: reader
        if self._tally is None:
            with self._adapter.driver as now:
                endpoint.call(peer_id, "", now)

    def document_came(self, document: Document) -> None:
        """Take a document of the other one."""
        with self._adapter.driver as now:
            self._adapter.endpoint.receive_document(self._other, document.body, now)  # type: ignore[arg-type]

    def _react(self, event: object) -> None:
        if isinstance(event, DocumentReady) and self._documents is not None:
            document = Document(self.peer_id, event.peer_id, time.time(), "once", event.body)
            self._documents.sendString(dumps(document.to_json()))
        elif isinstance(event, events.Connected) and not self._ready.called:
            session = self._adapter.endpoint.ensure_session(self._other)
            session.link.open_stream(KIND, "", self._bulk)
            self._ready.callback(None)

    def _arrived(self, count: int) -> None:
        assert self._tally is not None
        if self._tally.add(count):
            self._bulk.left = 1  # what the other end waits for

    def pour(self, size: int) -> Deferred[object]:
        """Send frames as the link has room; a heartbeat begins it."""
        self._bulk.left = size
        with self._adapter.driver as now:
            self._adapter.endpoint.beat(now)
        return self._done


class EngineSocket(BatchProtocol):
    """The socket of an engine."""

    def __init__(self, carrier: EngineCarrier) -> None:
        self._carrier = carrier

    def batch_received(self, datagrams: list[bytes], address: Address) -> None:
        """Hand datagrams on."""
        self._carrier.received(datagrams, address)


class EngineCarrier:
    """Two qh3 connections, each on its socket, and as little around them as will do."""

    def __init__(self) -> None:
        self._socket = EngineSocket(self)
        self._port: Any = listen(reactor, 0, self._socket, Family.IPV4)
        self._connection: QuicConnection | None = None
        self._target: Address = (LOOPBACK, 0)
        self._tally: Tally | None = None
        self._left = 0
        self._timer: IDelayedCall | None = None
        self._due: float | None = None
        self._ready: Deferred[object] = Deferred()
        self._done: Deferred[object] = Deferred()

    def receive(self, tally: Tally) -> Deferred[str]:
        """Wait for the first packet."""
        self._tally = tally
        return succeed(str(self._port.getHost().port))

    def reach(self, where: str) -> Deferred[object]:
        """Begin the handshake."""
        self._target = (LOOPBACK, int(where))
        self._connection = QuicConnection(configuration=_configuration(True))
        self._connection.connect(qh3_connection.VIRTUAL_ADDRESS, time.monotonic())
        self._step(time.monotonic())
        return self._ready

    def pour(self, size: int) -> Deferred[object]:
        """Send as the connection has room."""
        self._left = size
        self._step(time.monotonic())
        return self._done

    def received(self, datagrams: list[bytes], address: Address) -> None:
        """Take datagrams."""
        if self._connection is None:
            self._target = address
            self._connection = _answering(datagrams[0])
        now = time.monotonic()
        self._connection.receive_many_datagrams(datagrams, qh3_connection.VIRTUAL_ADDRESS, now)
        self._step(now)

    def _step(self, now: float) -> None:
        connection = self._connection
        assert connection is not None
        while (event := connection.next_event()) is not None:
            self._react(event, connection)
        while True:
            while self._left and connection.get_send_buffer_size() < AHEAD:
                chunk = _ZEROS[: self._left]
                self._left -= len(chunk)
                connection.send_stream_data(2, chunk)
            datagrams = connection.datagrams_to_send(now)
            if not datagrams:
                break
            self._port.write_batch([data for data, _ in datagrams], self._target)
        self._arm(connection, now)

    def _react(self, event: object, connection: QuicConnection) -> None:
        if isinstance(event, HandshakeCompleted):
            self._ready.callback(None)
        elif isinstance(event, StreamDataReceived):
            if self._tally is None:
                self._done.callback(None)
            elif self._tally.add(len(event.data)):
                connection.send_stream_data(3, b"x")

    def _arm(self, connection: QuicConnection, now: float) -> None:
        due = connection.get_timer()
        if due != self._due:
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
            self._due = due
            if due is not None:
                self._timer = reactor.callLater(max(0.0, due - now), self._time_came)

    def _time_came(self) -> None:
        assert self._connection is not None
        now, self._due = time.monotonic(), None
        self._connection.handle_timer(now)
        self._step(now)


def _configuration(is_client: bool) -> QuicConfiguration:
    return QuicConfiguration(
        is_client=is_client,
        alpn_protocols=["bulk"],
        idle_timeout=60.0,
        max_datagram_size=qh3_connection.DATAGRAM_SIZE,
        probe_datagram_size=False,
        max_data=qh3_connection.WINDOW,
        max_stream_data=qh3_connection.WINDOW,
        initial_rtt=qh3_connection.INITIAL_RTT[0],
        signature_algorithms=[SignatureAlgorithm.ED25519] if is_client else None,
        verify_mode=0,
        server_name="bulk.invalid",
    )


def _answering(first: bytes) -> QuicConnection:
    made, configuration = make_certificate(os.urandom(32), time.time()), _configuration(False)
    configuration.certificate = load_pem_x509_certificates(made.certificate)[0]
    configuration.private_key = load_pem_private_key(made.private_key)
    return QuicConnection(
        configuration=configuration,
        original_destination_connection_id=first[6 : 6 + first[5]],
    )
