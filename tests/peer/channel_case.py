"""One peer's documents: what it lets in, and what it sends to another at a real registry."""

from __future__ import annotations

from random import Random
from typing import cast

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from p2pchat.errors import RegistryError
from p2pchat.events import Trouble
from p2pchat.identity.keys import Identity
from p2pchat.identity.sealing import Envelope
from p2pchat.identity.signed_documents import (
    Acceptance,
    open_document,
    seal_document,
    sign_document,
)
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.event_stream import Event
from p2pchat.peer.sealing_keys import SealingKeys
from p2pchat.peer.signaling import DocumentReceived, SignalingContext, SignalingEvent
from p2pchat.peer.signaling_channel import (
    SignalingChannel,
)
from p2pchat.wire.documents import (
    Answer,
    Body,
    Candidates,
    Description,
    Offer,
    PeerDocument,
    RecordKey,
    Refusal,
    Registration,
    Ringing,
    Sealed,
)
from tests.identity.people import ALICE, BOB, CAROL, sealing_key
from tests.peer.registry_case import RegistryCase
from tests.simulation.link import Link

OFFER = Offer("session", Description("bob", b"\x09" * 32, "ufrag", ()))
ANSWER = Answer("session", Description("bob", b"\x09" * 32, "ufrag", ()))
DELIVERED: tuple[PeerDocument, ...] = (
    OFFER,
    ANSWER,
    Candidates("session", (), True),
    Ringing("session"),
    Refusal("session", "declined", "not now"),
)


def without_keys(body: PeerDocument) -> PeerDocument:
    """Return a body as a session makes it: the keys are added on the way."""
    if isinstance(body, Offer | Answer):
        return attrs.evolve(body, description=attrs.evolve(body.description, keys=()))
    return body


class ChannelCase(RegistryCase):
    """Alice's channel, and all that it hands on."""

    def setUp(self) -> None:
        super().setUp()
        self.arrived: list[tuple[str, PeerDocument]] = []
        self.returned: list[tuple[str, PeerDocument, RegistryError]] = []
        self.unsent: list[PeerDocument] = []
        self.complaints: list[str] = []
        self.blocked: set[str] = set()
        self.expected: set[str] = set()
        self.nonces = Random(1)
        self.keys = SealingKeys(sealing_key(ALICE), Contacts())
        self.shown: dict[str, tuple[RecordKey, ...]] = {
            one.peer_id: (sealing_key(one).record_key,) for one in (BOB, CAROL)
        }
        self.looked_up: list[str] = []
        self.context = SignalingContext(
            Acceptance(frozenset({ALICE.peer_id}), self.world.internet.clock.seconds),
            self.keys,
            lambda: Registration("alice"),
            self.blocked.__contains__,
            self.expected.__contains__,
            self.take,
        )
        self.channel = SignalingChannel(
            self.context, self.client.deliver, self.look_up, self.client.now
        )

    def look_up(self, peer_id: str) -> Deferred[tuple[RecordKey, ...]]:
        """Return the keys that somebody shows."""
        self.looked_up.append(peer_id)
        if peer_id not in self.shown:
            return fail(RegistryError("nobody of this id", 404, "unknown-peer"))
        return succeed(self.shown[peer_id])

    def take(self, event: SignalingEvent) -> None:
        """Keep what the channel tells."""
        match event:
            case DocumentReceived(author, body):
                self.arrived.append((author, body))
            case Trouble(sentence):
                self.complaints.append(sentence)

    def send(self, peer_id: str, body: PeerDocument) -> None:
        """Send a document, and keep what becomes of it."""
        self.unsent.append(body)
        sent: Deferred[None] = self.channel.send(peer_id, body)

        def ended(result: object) -> None:
            self.unsent.remove(body)
            if isinstance(result, Failure):
                result.trap(RegistryError)
                self.returned.append((peer_id, body, cast(RegistryError, result.value)))

        sent.addBoth(ended)

    def sign(
        self, body: Body, by: Identity = BOB, to: str = ALICE.peer_id, age: float = 0.0
    ) -> str:
        """Sign a document for Alice, sealed to her if it is one for peers."""
        now, nonce = self.client.now() - age, self.nonces.randbytes(8).hex()
        if isinstance(body, PeerDocument):
            key = sealing_key(ALICE).record_key
            return seal_document(by, to, body, key, now=now, nonce=nonce)
        return sign_document(by, to, body, now, nonce)

    def receive(self, *tokens: str) -> None:
        """Let tokens come on the event stream, and time for what follows from them."""
        for token in tokens:
            self.channel.receive(token)
        self.run_for(1)

    def refused_all(self, *tokens: str) -> None:
        """These tokens are handed on to nobody, answered by nothing, and logged as no failure."""
        self.receive(*tokens)
        self.assertEqual((self.arrived, self.returned, self.channel.is_idle), ([], [], True))
        self.assertEqual(self.flushLoggedErrors(), [])


class OutgoingCase(ChannelCase):
    """Alice and Bob are registered, and Bob listens."""

    def setUp(self) -> None:
        super().setUp()
        self.world.internet.link = Link(latency=0.01)
        self.events: list[Event] = []
        self.bob = self.make_client(BOB)
        self.result(self.client.register(Registration("alice")))
        self.result(self.bob.register(Registration("bob")))
        self.result(self.bob.subscribe(self.events.append, lambda _reason: None))

    def read(self) -> list[PeerDocument]:
        """Return what Bob got so far; each is signed by Alice and sealed to Bob."""
        found = []
        for token in [event.data for event in self.events if event.name == "document"]:
            document = open_document(token)
            assert isinstance(document.body, Sealed)
            envelope = Envelope(ALICE.peer_id, BOB.peer_id, document.nonce)
            body = sealing_key(BOB).open(document.body, envelope)
            if isinstance(body, Offer | Answer):
                self.assertEqual(body.description.keys, (sealing_key(ALICE).record_key,))
            found.append(without_keys(body))
        return found
