"""Ends of a QUIC link on a fake wire: honest ones, and one that speaks as the test wants."""

from __future__ import annotations

from random import Random

import attrs

from p2pchat.errors import LinkClosed, P2PChatError
from p2pchat.identity.keys import Identity
from p2pchat.identity.proof import make_certificate, make_proof
from p2pchat.session import quic
from p2pchat.session.link import Link, LinkEnded, LinkEvent, LinkOpened
from p2pchat.session.quic import StreamData
from p2pchat.traversal.routes import Datagram
from p2pchat.wire import messages
from p2pchat.wire.addresses import Address
from p2pchat.wire.framing import FrameReader, encode_frame, encode_frames
from tests.wire.frames import frames_of, whole_frames

CERTIFICATE = make_certificate(bytes(range(32)), 1_800_000_000.0)
SECRET = bytes(range(100, 132))  # of the handshake
LEFT, RIGHT = ("192.0.2.1", 1), ("192.0.2.2", 2)


@attrs.define(eq=False)
class LinkEnd:
    """
    A `Station` with a real link, and what it told.

    :ivar frames: those that came on the control stream after PROOF.
    """

    link: Link
    other: Address
    told: list[LinkEvent] = attrs.Factory(list)
    frames: list[bytes] = attrs.Factory(list)
    _reader: FrameReader = attrs.Factory(FrameReader)

    def receive(self, data: bytes, _source: Address, now: float) -> None:
        """Take a datagram."""
        self.link.receive_datagrams([data], now)
        self._note()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.link.handle_timer(now)
        self._note()

    def get_timer(self) -> float | None:
        """Return when to call handle_timer."""
        return self.link.get_timer()

    def outgoing(self, now: float) -> list[Datagram]:
        """Return, and forget, what is to be sent."""
        outgoing = [Datagram(data, self.other) for data in self.link.datagrams_to_send(now)]
        self._note()
        return outgoing

    def _note(self) -> None:
        while (event := self.link.next_event()) is not None:
            self.told.append(event)
            if isinstance(event, StreamData) and event.stream == self._control:
                self._reader.add(event.data)
                self.frames += whole_frames(self._reader)

    @property
    def opened(self) -> bool:
        """Whether the other end was ever believed."""
        return LinkOpened() in self.told

    @property
    def _control(self) -> int:
        """The other side's control stream."""
        return quic.first_stream(not self.link.dials)

    def send(self, *bodies: bytes) -> None:
        """Send frames on the control stream."""
        self.link.send(self.link.control, encode_frames(bodies))

    @property
    def errors(self) -> list[P2PChatError]:
        """Why it ended; one at most."""
        return [event.error for event in self.told if isinstance(event, LinkEnded)]


@attrs.define(eq=False)
class BareEnd:
    """
    A `Station` with a QUIC connection that proves only what it is told to.

    :ivar peer_id: whom it proves itself to.
    :ivar received: on the other side's control stream.
    """

    connection: quic.QuicConnection
    dials: bool
    peer_id: str
    received: bytes = b""
    closed: bool = False

    @property
    def other(self) -> Address:
        """Where datagrams go."""
        return RIGHT if self.dials else LEFT

    def receive(self, data: bytes, _source: Address, now: float) -> None:
        """Take a datagram."""
        try:
            self.connection.receive_datagrams([data], now)
        except LinkClosed:
            self.closed = True
        self._take()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.connection.handle_timer(now)
        self._take()

    def _take(self) -> None:
        try:
            for event in self.connection.take():
                if isinstance(event, StreamData) and event.stream == quic.first_stream(
                    not self.dials
                ):
                    self.received += event.data
        except LinkClosed:
            self.closed = True

    def get_timer(self) -> float | None:
        """Return when to call handle_timer."""
        return None if self.closed else self.connection.get_timer()

    def outgoing(self, now: float) -> list[Datagram]:
        """Return, and forget, what is to be sent."""
        return [Datagram(data, self.other) for data in self.connection.datagrams_to_send(now)]

    def flight(self) -> list[bytes]:
        """Return, and forget, the datagrams that begin the handshake."""
        return self.connection.datagrams_to_send(0.0)

    def say(self, message: messages.ControlMessage) -> None:
        """Send a message, proved or not."""
        self.write(encode_frame(messages.encode(message)))

    def write(self, data: bytes) -> None:
        """Write on the control stream."""
        self.connection.send(quic.first_stream(self.dials), data)

    def prove(self, identity: Identity, role: str) -> None:
        """Send a true proof of somebody's key."""
        assert self.connection.binding is not None
        self.say(make_proof(identity, role, self.connection.binding, self.peer_id))

    def heard(self) -> list[messages.ControlMessage | None]:
        """Return the messages that came so far."""
        return [messages.decode(body) for body in frames_of(self.received)]


def dialing_end(peer: Identity, now: float, secret: bytes = SECRET) -> BareEnd:
    """Make an end that begins the handshake with somebody at RIGHT."""
    return BareEnd(quic.dial(secret, now), True, peer.peer_id)


def answering_end(peer: Identity, now: float, secret: bytes = SECRET) -> BareEnd:
    """Make an end that waits for the handshake of somebody at LEFT."""
    return BareEnd(quic.answer(secret, CERTIFICATE, now), False, peer.peer_id)


def link_end(
    identity: Identity, peer: Identity, dials: bool, now: float, secret: bytes = SECRET
) -> LinkEnd:
    """Make and start the link of somebody who wants to talk with ``peer``."""
    link = Link(identity, peer.peer_id, CERTIFICATE, secret, dials, Random(dials).randbytes)
    link.start(now)
    return LinkEnd(link, RIGHT if dials else LEFT)
