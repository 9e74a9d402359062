"""
qh3, imported here and nowhere else: a connection whose handshake is under a secret.

Only the two sides of an attempt have the secret (:mod:`p2pchat.identity.exchange`).  It makes the
destination connection id of the first packet, so that both sides can begin at once, and the keys of
the Initial packets, which in RFC 9001 section 5.2 everybody can compute.  Whoever hasn't got it
can't begin a connection, read the handshake or end it.

No session tickets, no 0-RTT, no datagram frames.

After the handshake its secrets are dropped, in our objects and in qh3's TLS; that is Python and
can't overwrite them.  What qh3's packet core holds goes with two updates of the keys.

qh3 fixes the size of datagrams when a packet core begins, and can lower it afterwards and never
raise it.  So a connection that is to have larger ones *goes on* in another core, without a
handshake: both ends make one from a secret that one of them sent the other.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from io import StringIO
from typing import Any

from qh3._hazmat import QuicConnectionCore as PacketCore
from qh3.quic import events
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import NetworkAddress, QuicConnection
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

from p2pchat.identity.proof import Certificate
from p2pchat.session.quic_secrets import (
    CONNECTION_ID,
    ROLES,
    connection_id,
    initial_secret,
    next_id,
    next_secret,
)

__all__ = ["PacketCore", "events"]

ALPN = "p2pchat/2"
VIRTUAL_ADDRESS = ("127.0.0.1", 1)  # qh3 wants an IP literal; nothing is ever sent there
DATAGRAM_SIZE = 1200  # bytes; RFC 9000 section 14, fits every path that carries QUIC at all
VERSION = QuicProtocolVersion.VERSION_1
SUITE = CipherSuite.AES_128_GCM_SHA256  # of Initial packets (RFC 9001 section 5.2), and renewed
STREAMS = 103  # of each kind that the other side may have opened; what a handshake of qh3's says
# Unidirectional ones that we take for allowed after going on: their owner has a lower limit.
MAY_OPEN = 2**20
ACK_DELAY = (3, 0.025)  # exponent, and seconds; what qh3 tells in a handshake
MAX_CRYPTO = 16 * 1024  # bytes of TLS under each kind of keys; ours has 2,000, and none afterwards
IDLE_TIMEOUT = 600.0  # seconds; lost paths are noticed far above, a link outlives a tunnel
INITIAL_RTT = (0.01, 0.333)  # seconds; least, and where nothing is known (RFC 9002 section 6.2.2)
# Bytes ahead of a gap; qh3 gives credit for all that comes.  It carries 100 Mbit/s at 0.1 seconds;
# every other byte in a frame of its own, which a peer can send, makes qh3 hold 47 times as much.
WINDOW = 2 * 1024 * 1024

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

logging.getLogger("quic").addHandler(logging.NullHandler())
logging.getLogger("quic").propagate = False


class SecretLog(StringIO):
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


def _refuse(_message: Any) -> None:
    """Take no compressed certificate: with a Brotli library some bytes of it make gigabytes."""
    raise AlertUnexpectedMessage


def _install(core: PacketCore, direction: str, epoch: Epoch, traffic: bytes) -> None:
    """Protect the packets of one direction by what follows from a traffic secret."""
    key, iv, header_key = derive_key_iv_hp(cipher_suite=SUITE, secret=traffic, version=VERSION)
    header_name, name = (name.decode() for name in CIPHER_SUITES[SUITE])
    arguments = (key, iv, header_key, 0, traffic, int(VERSION))
    core.install_packet_key(direction, int(epoch), (name, header_name), *arguments)


def _allow(core: PacketCore, most: int | None, may_open: int) -> None:
    """
    Tell a core that goes on what the other side allows.

    :param most: bytes of its datagrams.
    :param may_open: bidirectional streams of ours, in all.
    """
    core.apply_peer_transport_parameters(
        *(WINDOW, WINDOW, WINDOW, WINDOW, may_open, MAY_OPEN),
        *ACK_DELAY,
        peer_idle_timeout=IDLE_TIMEOUT,
        max_datagram_frame_size=None,
        max_udp_payload_size=most,
    )


class KeyedConnection(QuicConnection):
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
        roles = ROLES if self._is_client else ROLES[::-1]
        for direction, role in zip(("send", "receive"), roles, strict=True):
            traffic = initial_secret(self._secret, role)
            _install(self._require_core(), direction, Epoch.INITIAL, traffic)
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

    def next_core(
        self, secret: bytes, size: int, rtt: float, opened: tuple[int, int], now: float
    ) -> PacketCore:
        """
        Make a packet core that this connection can go on in.

        :param secret: 32 random bytes that only both ends know.
        :param size: bytes of its longest datagrams.
        :param opened: streams of each kind that the other side has opened before, and
            bidirectional ones that we have.
        """
        ours, theirs = ROLES if self._is_client else ROLES[::-1]
        core = PacketCore(
            is_client=self._is_client,
            version=int(VERSION),
            local_addr=("0.0.0.0", 0),
            remote_addr=VIRTUAL_ADDRESS,
            source_cid=next_id(secret, ours),
            destination_cid=next_id(secret, theirs),
            peer_address_validated=True,
            active_connection_id_limit=2,
            max_datagram_size=size,
            probe_datagram_size=False,
            idle_timeout=IDLE_TIMEOUT,
            ack_delay_exponent=ACK_DELAY[0],
            max_datagram_frame_size=None,
            peer_max_datagram_frame_size=None,
            connection_receive_window=WINDOW,
            connection_send_limit=0,
            stream_receive_window=WINDOW,
            stream_send_limit_bidi_local=0,
            stream_send_limit_bidi_remote=0,
            stream_send_limit_uni=0,
            max_stream_reassembly=WINDOW,
            local_max_streams_bidi=opened[0] + STREAMS,
            local_max_streams_uni=opened[0] + STREAMS,
            peer_max_streams_bidi=0,
            peer_max_streams_uni=0,
            initial_rtt=max(INITIAL_RTT[0], rtt),
            max_ack_delay=ACK_DELAY[1],
            initial_time=now,
        )
        for direction, role in (("send", ours), ("receive", theirs)):
            _install(core, direction, Epoch.ONE_RTT, next_secret(secret, role))
        for epoch in (Epoch.INITIAL, Epoch.HANDSHAKE):
            core.discard_keys(int(epoch))
        _allow(core, None, opened[1] + STREAMS)
        core.handshake_complete()
        core.handshake_confirmed()
        return core

    def go_on(self, core: PacketCore) -> None:
        """Send and receive by this core from now on."""
        self._core = core

    def shrink(self) -> None:
        """Send no datagrams above DATAGRAM_SIZE from now on; qh3 has no other word for it."""
        core = self._require_core()
        _allow(core, DATAGRAM_SIZE, core.stream_limits[0])

    def forget_handshake(self) -> None:
        """Drop all that leads to the secrets of the handshake."""
        for name in HANDSHAKE_SECRETS:
            setattr(self.tls, name, None)
        self.configuration.secrets_log_file = None  # type: ignore[assignment]


def _configuration(is_client: bool, rtt: float, secrets: SecretLog) -> QuicConfiguration:
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


def client(
    secret: bytes, secrets: SecretLog, rtt: float, key_exchanges: Sequence[str]
) -> KeyedConnection:
    """Make the side of a connection that begins it."""
    return KeyedConnection(_configuration(True, rtt, secrets), secret, key_exchanges)


def server(
    secret: bytes,
    secrets: SecretLog,
    certificate: Certificate,
    rtt: float,
    key_exchanges: Sequence[str],
) -> KeyedConnection:
    """Make the side of a connection that waits for it."""
    configuration = _configuration(False, rtt, secrets)
    configuration.certificate = load_pem_x509_certificates(certificate.certificate)[0]
    configuration.private_key = load_pem_private_key(certificate.private_key)
    return KeyedConnection(configuration, secret, key_exchanges)
