"""
The QUIC stack: qh3, imported here and nowhere else.

Owns what qh3 wants to be told and asked; an exception of any kind out of it becomes
:class:`p2pchat.errors.LinkClosed`, after which the engine is not touched again.

The engine lives at one virtual address on a path that never changes; which real path carries
its packets is decided below it.  No session tickets, no 0-RTT, no datagram frames.

The channel binding of a session is a hash of the server's first application traffic secret (RFC
8446 section 7.1), which qh3 hands over for its key log.  It depends on the whole handshake, both
ends know it and nobody between them; and the answering side has it with its first flight, so its
proof arrives one round trip sooner than a binding to an exporter would allow.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from io import StringIO
from typing import Any, TypeVar

import attrs
from qh3.quic import events
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection, QuicConnectionError
from qh3.tls import SignatureAlgorithm, load_pem_private_key, load_pem_x509_certificates

from p2pchat.errors import LinkClosed
from p2pchat.identity.proof import Certificate

_T = TypeVar("_T")

ALPN = "p2pchat/1"
VIRTUAL_ADDRESS = ("127.0.0.1", 1)  # the engine wants an IP literal; nothing is ever sent there
DATAGRAM_SIZE = 1200  # bytes; RFC 9000 section 14, fits every path that carries QUIC at all
CONNECTION_ID = 8  # bytes
IDLE_TIMEOUT = 600.0  # seconds; lost paths are noticed far above, a link outlives a tunnel
MAX_RETIRED = 64  # connection ids of ours; qh3 goes through all of them with each packet
INITIAL_RTT = (0.01, 0.333)  # seconds; least, and where nothing is known (RFC 9002 section 6.2.2)
WINDOW = 1024 * 1024  # bytes a peer may send ahead of a gap; qh3 gives credit for all the rest

BINDING_LABEL = b"p2pchat 1 channel binding\x00"

logging.getLogger("quic").addHandler(logging.NullHandler())
logging.getLogger("quic").propagate = False


def channel_binding(secret: bytes) -> bytes:
    """Return the channel binding that follows from the server's first traffic secret."""
    return sha256(BINDING_LABEL + secret).digest()


class _SecretLog(StringIO):
    """Keeps the one secret that the binding is made of; qh3 writes NSS key log lines."""

    LABEL = "SERVER_TRAFFIC_SECRET_0"

    def __init__(self) -> None:
        super().__init__()
        self.secret = ""

    def write(self, line: str) -> int:
        """Take one line ``LABEL client-random secret``."""
        label, _, secret = line.split()
        if label == self.LABEL:
            self.secret = self.secret or secret
        return len(line)


@attrs.frozen
class StreamData:
    """Bytes of a stream, in order; after the ``end`` no more of it come."""

    stream: int
    data: bytes
    end: bool = False


@attrs.frozen
class StreamReset:
    """The other side gave up what it was writing on a stream."""

    stream: int


@attrs.frozen
class StreamStopped:
    """The other side takes nothing more of what we write on a stream."""

    stream: int


StreamEvent = StreamData | StreamReset | StreamStopped


def first_stream(is_client: bool) -> int:
    """Return the id of a side's first unidirectional stream (RFC 9000 section 2.1)."""
    return 2 if is_client else 3


class Engine:
    """One QUIC connection."""

    def __init__(self, connection: QuicConnection, secrets: _SecretLog) -> None:
        self._connection = connection
        self._secrets = secrets
        self._closed = False
        self._arrived: list[StreamEvent] = []
        self._stopped: set[int] = set()  # streams of ours, of which there are few
        self._retired = 0
        self.is_ready = False

    @property
    def binding(self) -> bytes | None:
        """The channel binding, 32 bytes, once this side can derive it."""
        secret = self._secrets.secret
        return channel_binding(bytes.fromhex(secret)) if secret else None

    @property
    def connection_id(self) -> bytes:
        """The connection id that this side chose; the other side's packets go to it."""
        return bytes(self._connection.host_cid)

    def receive_datagram(self, data: bytes, now: float) -> None:
        """Feed one datagram of this connection."""
        self._guard(self._connection.receive_datagram, data, VIRTUAL_ADDRESS, now)

    def receive_datagrams(self, datagrams: Sequence[bytes], now: float) -> None:
        """Feed datagrams of this connection together."""
        self._guard(self._connection.receive_many_datagrams, list(datagrams), VIRTUAL_ADDRESS, now)

    def handle_timer(self, now: float) -> None:
        """Let the engine do what is due."""
        self._guard(self._connection.handle_timer, now)

    def get_timer(self) -> float | None:
        """Return when the engine wants to be called."""
        return None if self._closed else self._connection.get_timer()

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Return, and forget, what the engine wants to send."""
        if not self.is_ready:
            return self._handshake_datagrams(now)
        return self._guard(self._poll_transmit, now) or []

    def _poll_transmit(self, now: float) -> list[bytes]:
        """
        Ask the packet core itself.

        ``datagrams_to_send`` of the connection reads the header of each packet for a log that isn't
        kept, which costs as much as to make the packet.
        """
        core = self._connection._core
        assert core is not None
        poll = core.poll_transmit
        sent = []
        while (transmit := poll(now)) is not None:
            sent.append(transmit[0])
        return sent

    def _handshake_datagrams(self, now: float) -> list[bytes]:
        """
        Return what the engine can send before the handshake is done.

        A server may send three times what it got (RFC 9000 section 8.1); where a lost packet
        leaves qh3 less room than its next one needs, it raises, and sends once more has come.
        """
        if self._closed:
            return []
        try:
            return [data for data, _ in self._connection.datagrams_to_send(now)]
        except QuicConnectionError:
            return []
        except Exception as error:
            self._closed = True
            raise LinkClosed(f"the QUIC engine failed: {error!r}") from error

    @property
    def paced(self) -> float | None:
        """When more may be sent, if nothing but pacing holds it back."""
        core = self._connection._core  # get_timer() of the connection leaves out what it is for
        timer = None if core is None or self._closed else core.get_timer()
        return timer[1] if timer is not None and timer[0] == "pacing" else None

    @property
    def probes(self) -> int:
        """How many probe timeouts in a row passed without an acknowledgement."""
        core = self._connection._core  # no public word of qh3 tells it; pinned in setup.cfg
        return 0 if core is None else int(core.pto_count)

    def send(self, stream: int, data: bytes, end: bool = False) -> None:
        """Write to a stream; the first bytes open it, and where it was stopped they are lost."""
        if stream not in self._stopped:
            self._guard(self._connection.send_stream_data, stream, data, end)

    def reset(self, stream: int) -> None:
        """Give up what we were writing on a stream."""
        self._end(self._connection.reset_stream, stream)

    def stop(self, stream: int) -> None:
        """Ask the other side to write no more on a stream."""
        self._end(self._connection.stop_stream, stream)

    def _end(self, call: Callable[[int, int], None], stream: int) -> None:
        with suppress(ValueError):  # it has ended, or was never there
            if not self._closed:
                call(stream, 0)

    def ping(self) -> None:
        """Send a packet that asks for an acknowledgement and says nothing."""
        self._guard(self._connection.send_ping, 0)

    def backlog(self) -> int:
        """Return how many written bytes haven't been sent once."""
        return 0 if self._closed else int(self._connection.get_send_buffer_size())

    def poll(self) -> None:
        """
        Take in what the engine has to say.

        :raises LinkClosed: the connection has ended.
        """
        while (event := self._connection.next_event()) is not None:
            match event:
                case events.StreamDataReceived(data, end, stream):
                    self._arrived.append(StreamData(stream, data, end))
                case events.HandshakeCompleted():
                    self.is_ready = True
                case events.StreamReset(_, stream):
                    self._arrived.append(StreamReset(stream))
                case events.StopSendingReceived(_, stream):
                    self._stopped.add(stream)  # qh3 raises on what is written to it
                    self._arrived.append(StreamStopped(stream))
                case events.ConnectionIdRetired():
                    self._retired += 1
                    if self._retired > MAX_RETIRED:
                        raise LinkClosed("too many connection ids were retired")
                case events.ConnectionTerminated():
                    self._closed = True
                    raise LinkClosed(event.reason_phrase or "the link ended")

    def take(self) -> list[StreamEvent]:
        """
        Return, and forget, what happened on the streams.

        :raises LinkClosed: the connection has ended.
        """
        self.poll()
        arrived, self._arrived = self._arrived, []
        return arrived

    def close(self, reason: str) -> None:
        """Say goodbye on the wire; the datagrams must still be sent."""
        if not self._closed:
            self._guard(self._connection.close, 0, None, reason)

    def _guard(self, call: Callable[..., _T], *arguments: Any) -> _T | None:
        if self._closed:
            return None
        try:
            return call(*arguments)
        except Exception as error:
            # qh3 raises what it likes on hostile or impossible input (its own tests aside);
            # whatever it is, this connection is at its end and the others aren't.
            self._closed = True
            raise LinkClosed(f"the QUIC engine failed: {error!r}") from error


def _configuration(is_client: bool, rtt: float, secrets: _SecretLog) -> QuicConfiguration:
    return QuicConfiguration(
        is_client=is_client,
        alpn_protocols=[ALPN],
        connection_id_length=CONNECTION_ID,
        idle_timeout=IDLE_TIMEOUT,
        max_datagram_size=DATAGRAM_SIZE,
        probe_datagram_size=False,
        initial_rtt=max(INITIAL_RTT[0], rtt) if rtt else INITIAL_RTT[1],
        max_data=WINDOW,
        max_stream_data=WINDOW,
        secrets_log_file=secrets,
        signature_algorithms=[SignatureAlgorithm.ED25519] if is_client else None,
        verify_mode=ssl.CERT_NONE,
        server_name="p2pchat.invalid",
    )


def dial(now: float, rtt: float = 0.0) -> Engine:
    """
    Make the engine of the side that sends the first flight.

    :param rtt: of the path in seconds, as the checks measured it; 0 while unknown.
    """
    secrets = _SecretLog()
    connection = QuicConnection(configuration=_configuration(True, rtt, secrets))
    connection.connect(VIRTUAL_ADDRESS, now)
    return Engine(connection, secrets)


def initial_destination(data: bytes) -> bytes | None:
    """Return the destination connection id of a client's first packet, ``None`` for others."""
    # RFC 9000 section 17.2.2: long header, type Initial, version 1, then the id with its length.
    if len(data) < DATAGRAM_SIZE or data[0] & 0xF0 != 0xC0 or data[1:5] != b"\x00\x00\x00\x01":
        return None
    length = data[5]
    return data[6 : 6 + length] if 8 <= length <= 20 else None


def answer(destination: bytes, certificate: Certificate, rtt: float = 0.0) -> Engine:
    """Make the engine of the side that answers a first packet to ``destination``."""
    secrets = _SecretLog()
    configuration = _configuration(False, rtt, secrets)
    configuration.certificate = load_pem_x509_certificates(certificate.certificate)[0]
    configuration.private_key = load_pem_private_key(certificate.private_key)
    connection = QuicConnection(
        configuration=configuration, original_destination_connection_id=destination
    )
    return Engine(connection, secrets)


def warm_up(certificate: Certificate, now: float) -> None:
    """Begin a handshake with ourselves, so that the first caller doesn't wait for imports."""
    client, server = dial(now), None
    for data in client.datagrams_to_send(now):
        server = server or answer(initial_destination(data) or b"", certificate)
        server.receive_datagram(data, now)
    for data in [] if server is None else server.datagrams_to_send(now):
        client.receive_datagram(data, now)
