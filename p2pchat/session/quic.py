"""
The QUIC stack: qh3, imported here and nowhere else.

Owns what qh3 wants to be told and asked; an exception of any kind out of it becomes
:class:`p2pchat.errors.LinkClosed`, after which qh3 is not touched again for this connection.

A connection is at one virtual address on a path that never changes; which real path carries its
packets is decided below it.  No session tickets, no 0-RTT, no datagram frames.

The handshake is under a secret that only the two sides of an attempt have
(:mod:`p2pchat.identity.exchange`).  It makes the destination connection id of the first packet, so
that both sides can begin at once, and the keys of the Initial packets, which in RFC 9001 section
5.2 everybody can compute.  Whoever hasn't got the secret can't begin a connection, read the
handshake or end it.  Dropped before qh3: Version Negotiation and Retry, which nothing protects,
and what goes to another connection id.

After the handshake its secrets are dropped, in our objects and in qh3's TLS; that is Python and
can't overwrite them.  What qh3's packet core holds goes with two updates of the keys.

The channel binding of a session is a hash of the server's first application traffic secret (RFC
8446 section 7.1), which qh3 hands over for its key log.  It depends on the whole handshake, both
ends know it and nobody between them; and the server has it with its first flight, so its proof
arrives one round trip sooner than a binding to an exporter would allow.
"""

from __future__ import annotations

import hmac
import logging
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from io import StringIO
from typing import Any, NamedTuple, TypeVar

import attrs
from qh3.quic import events
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import NetworkAddress
from qh3.quic.connection import QuicConnection as Qh3Connection
from qh3.quic.crypto import CIPHER_SUITES, derive_key_iv_hp
from qh3.quic.packet import QuicErrorCode, QuicProtocolVersion
from qh3.quic.tls_bridge import QuicTlsBridge, QuicTlsBridgeError
from qh3.tls import (
    AlertDescription,
    AlertHandshakeFailure,
    AlertUnexpectedMessage,
    CipherSuite,
    Epoch,
    Group,
    SignatureAlgorithm,
    load_pem_private_key,
    load_pem_x509_certificates,
    pull_client_hello,
    pull_server_hello,
)

from p2pchat.errors import HandshakeRefused, LinkClosed
from p2pchat.identity.proof import Certificate

_T = TypeVar("_T")

ALPN = "p2pchat/2"
VIRTUAL_ADDRESS = ("127.0.0.1", 1)  # qh3 wants an IP literal; nothing is ever sent there
MOVES = 3  # times that it becomes another; qh3 knows four paths in the life of a connection
DATAGRAM_SIZE = 1200  # bytes; RFC 9000 section 14, fits every path that carries QUIC at all
CONNECTION_ID = 8  # bytes
VERSION = QuicProtocolVersion.VERSION_1
INITIAL_SUITE = CipherSuite.AES_128_GCM_SHA256  # of Initial packets, RFC 9001 section 5.2
MAX_EARLY = 12  # datagrams that may wait for a key; a handshake has eight
MAX_CRYPTO = 16 * 1024  # bytes of TLS under each kind of keys; ours has 2,000, and none afterwards
IDLE_TIMEOUT = 600.0  # seconds; lost paths are noticed far above, a link outlives a tunnel
MAX_RETIRED = 64  # connection ids of ours; qh3 goes through all of them with each packet
INITIAL_RTT = (0.01, 0.333)  # seconds; least, and where nothing is known (RFC 9002 section 6.2.2)
# Bytes ahead of a gap; qh3 gives credit for all that comes.  It carries 100 Mbit/s at 0.1 seconds;
# every other byte in a frame of its own, which a peer can send, makes qh3 hold 47 times as much.
WINDOW = 2 * 1024 * 1024
# Bytes that aren't acknowledged; both windows allow half.  Answers to QUIC's own frames wait for no
# congestion window, and qh3 holds 400 bytes of each until it is acknowledged.
MAX_IN_FLIGHT = 2 * WINDOW

# Groups of RFC 8446 section 4.2.7 by the names that IANA gives them, the best first.
GROUPS: dict[str, int] = {"X25519MLKEM768": Group.X25519ML768, "X25519": Group.X25519}
KEY_EXCHANGES = tuple(GROUPS)
QUANTUM_SAFE = KEY_EXCHANGES[:1]  # secret even from a computer that breaks X25519 one day
HANDSHAKE_FAILURE = QuicErrorCode.CRYPTO_ERROR + AlertDescription.handshake_failure
# What qh3's TLS keeps of a handshake, and needs for nothing after it.
HANDSHAKE_SECRETS = (
    *("_enc_key", "_dec_key", "_next_dec_key", "key_schedule", "_expected_verify_data"),
    *("_x25519_private_key", "_x25519_kyber_768_private_key"),
)

BINDING_LABEL = b"p2pchat 2 channel binding\x00"
ID_LABEL = b"p2pchat 2 connection id"
INITIAL_LABEL = b"p2pchat 2 initial "

logging.getLogger("quic").addHandler(logging.NullHandler())
logging.getLogger("quic").propagate = False


def channel_binding(secret: bytes) -> bytes:
    """Return the channel binding that follows from the server's first traffic secret."""
    return sha256(BINDING_LABEL + secret).digest()


def connection_id(secret: bytes) -> bytes:
    """Return the destination connection id of the first packet, from the handshake secret."""
    return hmac.digest(secret, ID_LABEL, "sha256")[:CONNECTION_ID]


def initial_secret(secret: bytes, role: str) -> bytes:
    """
    Return the traffic secret of the Initial packets that one side sends.

    It stands where RFC 9001 section 5.2 has client_initial_secret or server_initial_secret.

    :param secret: the handshake secret of the attempt.
    :param role: of the side that sends them, ``client`` or ``server``.
    """
    label = INITIAL_LABEL + role.encode("ascii") + b"\x00"
    return hmac.digest(secret, label + connection_id(secret), "sha256")


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


class StreamData(NamedTuple):
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


def _refuse(_message: Any) -> None:
    """Take no compressed certificate: with a Brotli library some bytes of it make gigabytes."""
    raise AlertUnexpectedMessage


class _KeyedConnection(Qh3Connection):
    """
    A connection whose handshake only somebody with the secret can read or write.

    :ivar key_exchange: what was negotiated, once the other side's hello is read.
    """

    def __init__(
        self, configuration: QuicConfiguration, secret: bytes, key_exchanges: Sequence[str]
    ) -> None:
        identifier = connection_id(secret)
        is_client = configuration.is_client
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=None if is_client else identifier,
        )
        self._original_destination_connection_id = identifier  # a client's would be random
        self._secret = secret
        self._groups = {GROUPS[name]: name for name in key_exchanges}
        self.key_exchange = ""

    def await_client(self, now: float) -> None:
        """Be there before the first packet, which could be anybody's and tell another id."""
        self._remote_addr, self._version = VIRTUAL_ADDRESS, int(VERSION)
        self._create_core(VIRTUAL_ADDRESS, self.original_destination_connection_id, now)
        self._create_tls(remote_source_cid=None)

    def _create_core(self, remote_addr: NetworkAddress, initial_dcid: bytes, now: float) -> None:
        """
        Make the packet core, and key it.

        A server's core takes the client's address for validated: the virtual one is, and how much
        goes to a real one that isn't is for the link.
        """
        self._retry_source_connection_id = None if self._is_client else b""
        super()._create_core(remote_addr, initial_dcid, now)
        self._retry_source_connection_id = None
        roles = ("client", "server") if self._is_client else ("server", "client")
        for direction, role in zip(("send", "receive"), roles, strict=True):
            traffic = initial_secret(self._secret, role)
            key, iv, header_key = derive_key_iv_hp(
                cipher_suite=INITIAL_SUITE, secret=traffic, version=VERSION
            )
            header_name, name = (name.decode() for name in CIPHER_SUITES[INITIAL_SUITE])
            arguments = (key, iv, header_key, 0, traffic, int(VERSION))
            self._require_core().install_packet_key(
                direction, int(Epoch.INITIAL), (name, header_name), *arguments
            )
        self._secret = b""

    def _create_tls(self, remote_source_cid: bytes | None) -> QuicTlsBridge:
        """Make TLS, and have a look before it at the other side's hello, and how much comes."""
        bridge = super()._create_tls(remote_source_cid)
        bridge.receive_crypto = partial(  # type: ignore[method-assign]
            self._bound_crypto, bridge.receive_crypto
        )
        bridge.tls._supported_groups = [*self._groups]
        setattr(bridge.tls, "_client_handle_compressed_certificate", _refuse)  # noqa: B010
        name = "_client_handle_hello" if self._is_client else "_server_handle_hello"
        setattr(bridge.tls, name, partial(self._judge_hello, getattr(bridge.tls, name)))
        return bridge

    @staticmethod
    def _bound_crypto(
        take: Callable[..., None], epoch: Epoch, data: bytes, offset: int, **version: int
    ) -> None:
        """
        Hand TLS what it is to have.

        qh3 gathers a message of up to 16 MiB, and copies all of it with each packet that comes.
        """
        if offset + len(data) > MAX_CRYPTO:
            code = QuicErrorCode.CRYPTO_BUFFER_EXCEEDED
            raise QuicTlsBridgeError(code, "more than a handshake needs")
        take(epoch, data, offset, **version)

    def _judge_hello(self, take: Callable[..., None], hello: Any, *outputs: Any) -> None:
        """
        Note which key exchange a hello means, and refuse others than ours.

        qh3 has no public word for it, and a server that takes any group that it knows: the first.
        """
        if self._is_client:
            share = pull_server_hello(hello).key_share
            shares = [] if share is None else [share]
        else:
            shares = pull_client_hello(hello).key_share or []
        hello.seek(0)
        known = [group for group, _ in shares if group in set(Group)]
        if not known or known[0] not in self._groups:
            wanted = " or ".join(self._groups.values())
            raise AlertHandshakeFailure(f"only {wanted} is taken for key exchange")
        self.key_exchange = self._groups[known[0]]
        take(hello, *outputs)

    def forget_handshake(self) -> None:
        """Drop all that leads to the secrets of the handshake."""
        for name in HANDSHAKE_SECRETS:
            setattr(self.tls, name, None)
        self.configuration.secrets_log_file = None  # type: ignore[assignment]


class QuicConnection:
    """
    One QUIC connection.

    :ivar is_ready: whether the handshake is done, as far as this side can tell.
    """

    def __init__(
        self, qh3: _KeyedConnection, secrets: _SecretLog, ids: Sequence[bytes] = ()
    ) -> None:
        self._qh3 = qh3
        self._address = VIRTUAL_ADDRESS
        self._secrets = secrets
        self._destinations = {bytes([len(one)]) + one for one in ids}  # as in a long header
        self._early: list[bytes] = []
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
    def is_confirmed(self) -> bool:
        """Whether both sides have finished the handshake (RFC 9001 section 4.1.2)."""
        return self.is_ready and bool(self._qh3._handshake_confirmed)

    @property
    def key_exchange(self) -> str:
        """Name of the negotiated group, "" before; IANA's registry has it."""
        return self._qh3.key_exchange

    def forget_handshake(self) -> None:
        """Drop the secrets of the handshake, that of the binding among them; it must be done."""
        self._guard(self._qh3.forget_handshake)
        self._secrets.secret = ""
        self._early = []

    def update_keys(self) -> bool:
        """
        Begin to use new traffic keys in both directions (RFC 9001 section 6).

        It is for one who has just received something: after half a second of silence qh3 drops
        what the other side still sends under the old keys.  Returns whether it was time: the last
        ones must be confirmed.
        """
        return bool(self._guard(self._update_keys))

    def _update_keys(self) -> bool:
        try:
            self._qh3.request_key_update()
        except ValueError:
            return False
        self._qh3.send_ping(0)  # by itself qh3 would tell it with the next data
        return True

    def forget_path(self) -> None:
        """Let round-trip time and congestion window begin anew, a few times in a life."""
        moved = int(self._address[0].rpartition(".")[2])  # for qh3, to another host
        if moved <= MOVES:
            self._address = (f"127.0.0.{moved + 1}", 1)

    def receive_datagrams(self, datagrams: Sequence[bytes], now: float) -> None:
        """Feed datagrams of this connection; what can't be one is dropped."""
        if self.is_confirmed:
            qh3 = self._qh3
            self._guard(qh3.receive_many_datagrams, list(datagrams), self._address, now)
            return
        for data in datagrams:
            if self._may_be_ours(data):
                self._guard(self._receive, data, now)
                self.poll()

    def _may_be_ours(self, data: bytes) -> bool:
        """
        Tell whether a datagram is no forgery at first sight.

        Version Negotiation and Retry (RFC 9000 sections 17.2.1 and 17.2.5) could be anybody's: they
        have no key.  A long header names its destination; a short one is under keys of TLS.
        """
        if not data or data[0] < 0x80:
            return bool(data)
        is_retry = data[0] & 0x30 == 0x30
        is_version = int.from_bytes(data[1:5], "big") == VERSION
        return is_version and not is_retry and data[5 : 6 + CONNECTION_ID] in self._destinations

    def _receive(self, data: bytes, now: float) -> None:
        """
        Give a datagram of the handshake to qh3.

        A packet that overtook the one with its keys is lost on qh3 (RFC 9000 section 5.7 lets it
        wait).  So all are given once more when TLS has gone a step further; QUIC ignores what it
        has had already.
        """
        qh3, fresh = self._qh3, [data]
        while fresh:
            step = self._step
            for one in fresh:
                qh3.receive_datagram(one, self._address, now)
            fresh = self._early if self._step is not step else []
        self._early = [*self._early, data][-MAX_EARLY:]

    @property
    def _step(self) -> object:
        tls = self._qh3.tls
        return None if tls is None else tls.state

    def handle_timer(self, now: float) -> None:
        """Let qh3 do what is due."""
        self._guard(self._qh3.handle_timer, now)

    def get_timer(self) -> float | None:
        """Return when qh3 wants to be called."""
        return None if self._closed else self._qh3.get_timer()

    def datagrams_to_send(self, now: float, most: int | None = None) -> list[bytes]:
        """
        Return, and forget, what qh3 wants to send, ``most`` datagrams of it.

        :raises LinkClosed: the connection has ended, or too much isn't acknowledged.
        """
        sent = self._guard(self._poll_transmit, now, most) or []
        core = self._qh3._core if sent else None
        if core is not None and core.bytes_in_flight > MAX_IN_FLIGHT:
            raise LinkClosed("nothing of what was sent is acknowledged")
        return sent

    def _poll_transmit(self, now: float, most: int | None) -> list[bytes]:
        """
        Ask the packet core itself.

        ``datagrams_to_send`` of the connection reads the header of each packet for a log that isn't
        kept, which costs as much as to make the packet; and it can't be told to stop.
        """
        core = self._qh3._core
        assert core is not None
        poll = core.poll_transmit
        sent: list[bytes] = []
        while len(sent) != most and (transmit := poll(now)) is not None:
            sent.append(transmit[0])
        return sent

    @property
    def paced(self) -> float | None:
        """When more may be sent, if nothing but pacing holds it back."""
        core = self._qh3._core  # get_timer() of the connection leaves out what it is for
        timer = None if core is None or self._closed else core.get_timer()
        return timer[1] if timer is not None and timer[0] == "pacing" else None

    @property
    def probes(self) -> int:
        """How many probe timeouts in a row passed without an acknowledgement."""
        core = self._qh3._core  # no public word of qh3 tells it; pinned in setup.cfg
        return 0 if core is None else int(core.pto_count)

    def send(self, stream: int, data: bytes, end: bool = False) -> None:
        """Write to a stream; the first bytes open it, and where it was stopped they are lost."""
        if stream not in self._stopped:
            self._guard(self._qh3.send_stream_data, stream, data, end)

    def refuse(self, stream: int) -> None:
        """Ask the other side to write no more on a stream of its own, and write nothing on it."""
        self._end(self._qh3.stop_stream, stream)
        if not stream & 2:  # RFC 9000 section 2.1: bidirectional
            self.reset(stream)

    def reset(self, stream: int) -> None:
        """Give up what we were writing on a stream."""
        self._end(self._qh3.reset_stream, stream)

    def _end(self, call: Callable[[int, int], None], stream: int) -> None:
        def unless_over() -> None:
            with suppress(ValueError):  # it has ended, or was never there
                call(stream, 0)

        self._guard(unless_over)

    def ping(self) -> None:
        """Send a packet that asks for an acknowledgement and says nothing."""
        self._guard(self._qh3.send_ping, 0)

    def backlog(self) -> int:
        """Return how many written bytes haven't been sent once."""
        return 0 if self._closed else int(self._qh3.get_send_buffer_size())

    def poll(self) -> None:
        """
        Take in what qh3 has to say.

        :raises LinkClosed: the connection has ended.
        """
        while (event := self._qh3.next_event()) is not None:
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
        if not self.is_ready:
            self._judge_end()

    def _judge_end(self) -> None:
        """Tell a refused handshake at once; its event would come some round trips later."""
        end = self._qh3._close_event
        if end is not None and end.error_code == HANDSHAKE_FAILURE:
            raise HandshakeRefused(end.reason_phrase)

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
            self._guard(self._qh3.close, 0, None, reason)

    def _guard(self, call: Callable[..., _T], *arguments: Any) -> _T | None:
        if self._closed:
            return None
        try:
            return call(*arguments)
        except Exception as error:
            # qh3 raises what it likes on hostile or impossible input (its own tests aside);
            # whatever it is, this connection is at its end and the others aren't.
            self._closed = True
            raise LinkClosed(f"QUIC failed: {error!r}") from error


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
        original_version=VERSION,
        supported_versions=[VERSION],
        secrets_log_file=secrets,
        signature_algorithms=[SignatureAlgorithm.ED25519] if is_client else None,
        verify_mode=ssl.CERT_NONE,
        server_name="p2pchat.invalid",
    )


def dial(
    secret: bytes, now: float, rtt: float = 0.0, key_exchanges: Sequence[str] = KEY_EXCHANGES
) -> QuicConnection:
    """
    Make the connection of the side that sends the first flight, the client of TLS.

    :param secret: the handshake secret of the attempt, which has one connection on each side: a
        second one would use its keys for other packets of the same numbers.
    :param rtt: of the path in seconds, as the checks measured it; 0 while unknown.
    :param key_exchanges: those of KEY_EXCHANGES that are taken.
    """
    secrets = _SecretLog()
    connection = _KeyedConnection(_configuration(True, rtt, secrets), secret, key_exchanges)
    connection.connect(VIRTUAL_ADDRESS, now)
    return QuicConnection(connection, secrets, [connection.host_cid])


def answer(
    secret: bytes,
    certificate: Certificate,
    now: float,
    rtt: float = 0.0,
    key_exchanges: Sequence[str] = KEY_EXCHANGES,
) -> QuicConnection:
    """Make the connection of the side that waits for the first flight, the server of TLS."""
    secrets = _SecretLog()
    configuration = _configuration(False, rtt, secrets)
    configuration.certificate = load_pem_x509_certificates(certificate.certificate)[0]
    configuration.private_key = load_pem_private_key(certificate.private_key)
    connection = _KeyedConnection(configuration, secret, key_exchanges)
    connection.await_client(now)
    return QuicConnection(connection, secrets, [connection.host_cid, connection_id(secret)])


def warm_up(certificate: Certificate, now: float) -> None:
    """Begin a handshake with ourselves, so that the first caller doesn't wait for imports."""
    secret = bytes(32)
    client, server = dial(secret, now), answer(secret, certificate, now)
    server.receive_datagrams(client.datagrams_to_send(now), now)
    client.receive_datagrams(server.datagrams_to_send(now), now)
