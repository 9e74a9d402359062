"""Ends of a QUIC link on a fake wire: honest ones, and one that speaks as the test wants."""

from __future__ import annotations

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

CERTIFICATE = make_certificate(bytes(range(32)), 1_800_000_000.0)
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
        self.link.receive_datagram(data, now)
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
                self.frames += self._reader.receive(event.data)

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

    :ivar engine: made by the first datagram, where this end answers.
    :ivar received: on the other side's control stream.
    """

    other: Address
    engine: quic.Engine | None = None
    received: bytes = b""
    closed: bool = False
    dials: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.dials = self.engine is not None

    def receive(self, data: bytes, _source: Address, now: float) -> None:
        """Take a datagram."""
        if self.engine is None:
            destination = quic.initial_destination(data)
            assert destination is not None
            self.engine = quic.answer(destination, CERTIFICATE)
        self.engine.receive_datagram(data, now)
        self._take(self.engine)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self.engine is not None:
            self.engine.handle_timer(now)
            self._take(self.engine)

    def _take(self, engine: quic.Engine) -> None:
        try:
            for event in engine.take():
                if isinstance(event, StreamData) and event.stream == quic.first_stream(
                    not self.dials
                ):
                    self.received += event.data
        except LinkClosed:
            self.closed = True

    def get_timer(self) -> float | None:
        """Return when to call handle_timer."""
        return None if self.engine is None or self.closed else self.engine.get_timer()

    def outgoing(self, now: float) -> list[Datagram]:
        """Return, and forget, what is to be sent."""
        if self.engine is None:
            return []
        return [Datagram(data, self.other) for data in self.engine.datagrams_to_send(now)]

    def say(self, message: messages.ChatMessage) -> None:
        """Send a message, proved or not."""
        self.write(encode_frame(messages.encode(message, 1.0)))

    def write(self, data: bytes) -> None:
        """Write on the control stream."""
        assert self.engine is not None
        self.engine.send(quic.first_stream(self.dials), data)

    def prove(self, identity: Identity, role: str) -> None:
        """Send a true proof of somebody's key."""
        assert self.engine is not None and self.engine.binding is not None
        self.say(make_proof(identity, role, self.engine.binding))

    def heard(self) -> list[messages.ChatMessage | None]:
        """Return the messages that came so far."""
        return [messages.decode(body) for body in FrameReader().receive(self.received)]


def link_end(
    identity: Identity, peer: Identity, dials: bool, other: Address, now: float
) -> LinkEnd:
    """Make and start the link of somebody who wants to talk with ``peer``."""
    link = Link(identity, peer.peer_id, CERTIFICATE, dials)
    link.start(now)
    return LinkEnd(link, other)
