"""
A peer by hand, for attackers: it is called by nobody, and keeps no rule that it needn't.

It registers, offers to talk to a peer that accepts, answers that one's checks and its handshake,
proves its key, and says HELLO; from then on it sends what it is told to.  It grants no flow control
where it isn't to read: nothing that the other side writes to the link can go out.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable

import attrs

from benchmarks.asking import Connection, Site, opened
from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.exchange import Exchange, PeerIds
from p2pchat.identity.keys import Identity, peer_id_octets
from p2pchat.identity.proof import make_certificate, make_proof
from p2pchat.session import qh3_connection, quic
from p2pchat.session.conversation import KIND, Conversation
from p2pchat.session.streams import WINDOW
from p2pchat.wire import messages, stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.demultiplexing import Kind, classify
from p2pchat.wire.documents import (
    Answer,
    Candidate,
    Candidates,
    CandidateType,
    Description,
    Offer,
    PeerDocument,
)
from p2pchat.wire.framing import encode_frame

LOOPBACK = "127.0.0.1"
TURN = 0.002  # seconds that one turn waits for a datagram
PATIENCE = 15.0  # seconds to be accepted, and to be connected
CONTROL = quic.first_stream(False)
CONVERSATION = CONTROL + 4  # our stream for it
AHEAD = 1024 * 1024  # bytes handed to QUIC beyond what it has sent
RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes


@attrs.define(eq=False)
class RawPeer:
    """
    One attacker.

    :ivar site: the registry that both are at.
    :ivar source: the address that its requests come from.
    :ivar reads: whether it lets the other side write to the link.
    """

    site: Site
    source: str
    identity: Identity
    other: str
    reads: bool = True
    session: str = attrs.field(factory=lambda: os.urandom(16).hex())
    _ufrag: str = attrs.field(factory=lambda: os.urandom(4).hex())
    _theirs: str = ""
    _key: bytes = b""
    _target: Address | None = None
    _connection: quic.QuicConnection | None = None
    _udp: socket.socket = attrs.field(init=False)
    _web: Connection = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._udp.bind((LOOPBACK, 0))
        self._web = Connection(self.site.dial(self.source))

    # -- the registry

    def deliver(self, body: PeerDocument) -> bytes:
        """Have a document delivered to the other side; returns the answer."""
        self._web.socket.sendall(self.site.document(self.identity, self.other, body))
        return self._web.socket.recv(65536)

    def call(self) -> None:
        """Register and offer, wait for the answer, and make the link."""
        self._web.ask(self.site.registration(self.identity))
        with self.site.dial(self.source) as stream:
            stream.sendall(self.site.subscription(self.identity))
            stream.recv(65536)
            exchange = Exchange.from_seed(os.urandom(32))
            ours = Candidate(CandidateType.HOST, self._udp.getsockname()[:2])
            offered = Description("raw", exchange.public_key, self._ufrag, (ours,))
            self.deliver(Offer(self.session, offered))
            answered = self._answer(stream)
        answer = answered.description
        self._theirs = answer.ufrag
        peer_ids = PeerIds(self.identity.peer_id, self.other)
        secrets = exchange.secrets(answer.exchange, self.session, peer_ids, True)
        self._key = secrets.checks
        [port] = {one.address[1] for one in answer.candidates if one.address[0] == LOOPBACK}
        self._target = (LOOPBACK, port)
        self.deliver(Candidates(self.session, (), True))
        self._connect(secrets.handshake, answered.flight)

    def _answer(self, stream: socket.socket) -> Answer:
        heard, until = b"", time.monotonic() + PATIENCE
        while time.monotonic() < until:
            data = stream.recv(65536)
            heard += data
            *whole, heard = heard.split(b"\n")
            for line in whole:
                if line.startswith(b"data: ") and line.count(b".") == 2:
                    token = line.removeprefix(b"data: ").strip().decode()
                    body = opened(token, self.identity.peer_id)
                    if isinstance(body, Answer) and body.session == self.session:
                        return body
            if not data:
                break
        raise SystemExit("the offer isn't accepted")

    # -- checks and the link

    def _connect(self, secret: bytes, flight: bytes) -> None:
        """Check until the other side has checked back, answer its flight, prove, and say HELLO."""
        kept, qh3_connection.WINDOW = (
            qh3_connection.WINDOW,
            qh3_connection.WINDOW if self.reads else 0,
        )
        certificate = make_certificate(os.urandom(32), time.time())
        self._connection = quic.answer(secret, certificate, time.monotonic(), 0.001)
        qh3_connection.WINDOW = kept
        starts = range(0, len(flight), qh3_connection.DATAGRAM_SIZE)
        datagrams = [flight[start : start + qh3_connection.DATAGRAM_SIZE] for start in starts]
        self._connection.receive_datagrams(datagrams, time.monotonic())
        until, check_at = time.monotonic() + PATIENCE, 0.0
        while self._connection.binding is None or not self._connection.is_ready:
            now = time.monotonic()
            if now > until:
                raise SystemExit("no link comes about")
            if now > check_at:
                self._check()
                check_at = now + 0.1
            self.turn()
        proof = make_proof(self.identity, "server", self._connection.binding, self.other)
        self.write(encode_frame(messages.encode(proof)))
        self.say(messages.Hello("raw"))
        other = peer_id_octets(self.other)
        conversation = Conversation(self.identity, other, os.urandom)
        conversation.link_began()
        opening = encode_frame(messages.Opening(KIND, conversation.name).encode())
        self.write(opening + conversation.next_bytes(WINDOW, WINDOW, 0.0), CONVERSATION)

    def _check(self) -> None:
        assert self._target is not None
        request = stun.request(
            os.urandom(12),
            USERNAME=f"{self._theirs}:{self._ufrag}",
            PRIORITY=110 << 24 | 1,
            USE_CANDIDATE=None,
        )
        self._udp.sendto(stun.encode(request, self._key, fingerprint=True), self._target)

    def say(self, message: messages.ControlMessage) -> None:
        """Send a message, when QUIC can."""
        self.write(encode_frame(messages.encode(message)))

    def write(self, data: bytes, stream: int = CONTROL) -> None:
        """Write bytes to a stream of the link, when QUIC can."""
        assert self._connection is not None
        self._connection.send(stream, data)

    @property
    def room(self) -> bool:
        """Whether QUIC has sent nearly all that it was given."""
        assert self._connection is not None
        return self._connection.backlog() < AHEAD

    def turn(self) -> None:
        """Take what has come, send what is due."""
        assert self._connection is not None and self._target is not None
        self._udp.settimeout(TURN)
        try:
            for _ in range(64):
                self._take(*self._udp.recvfrom(2048))
                self._udp.settimeout(0)
        except (TimeoutError, BlockingIOError):
            pass
        now, wanted = time.monotonic(), self._connection.get_timer()
        if wanted is not None and wanted <= now:
            self._connection.handle_timer(now)
        self._connection.take()
        for data in self._connection.datagrams_to_send(now):
            self._udp.sendto(data, self._target)

    def _take(self, data: bytes, source: Address) -> None:
        assert self._connection is not None
        if classify(data) is Kind.QUIC:
            self._connection.receive_datagrams([data], time.monotonic())
            return
        try:
            message = stun.decode(data)
        except RemoteProtocolError:
            return
        if message.message_class is stun.MessageClass.REQUEST:
            answer = stun.success(message, XOR_MAPPED_ADDRESS=source)
            self._udp.sendto(stun.encode(answer, self._key, fingerprint=True), source)


def run(peers: Iterable[RawPeer], each: Callable[[RawPeer], None]) -> None:
    """Let connected peers go on for ever, doing something in each of their turns."""
    peers = list(peers)
    while True:
        for one in peers:
            each(one)
            one.turn()
